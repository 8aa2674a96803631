package locale

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// catalog makes a .mo file.
func catalog(order binary.ByteOrder, charset string, texts ...string) []byte {
	texts = append([]string{"", "Content-Type: text/plain; charset=" + charset + "\n"}, texts...)
	n := len(texts) / 2
	b := make([]byte, 28+16*n)
	for i, v := range []uint32{0x950412de, 0, uint32(n), 28, uint32(28 + 8*n)} {
		order.PutUint32(b[4*i:], v)
	}
	for i, s := range texts {
		at := 28 + 8*(i/2) + 8*n*(i%2)
		order.PutUint32(b[at:], uint32(len(s)))
		order.PutUint32(b[at+4:], uint32(len(b)))
		b = append(append(b, s...), 0)
	}
	return b
}

func TestParseCatalog(t *testing.T) {
	want := map[string]string{"key": "Schlüssel", "one": "eins"}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		got, err := ParseCatalog(catalog(order, "UTF-8", "key", "Schlüssel", "one\x00many", "eins\x00viele"))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %q, %v", order, got, err)
		}
	}
	good := catalog(binary.LittleEndian, "UTF-8", "key", "x")
	beyond := bytes.Clone(good)
	binary.LittleEndian.PutUint32(beyond[8:], 1<<31)
	for name, bad := range map[string][]byte{
		"empty": {}, "no catalogue": bytes.Repeat([]byte("x"), 100), "cut": good[:len(good)-3], "too many texts": beyond,
		"latin": catalog(binary.LittleEndian, "ISO-8859-15", "key", "x"),
	} {
		if got, err := ParseCatalog(bad); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func FuzzParseCatalog(f *testing.F) {
	f.Add(catalog(binary.LittleEndian, "UTF-8", "key", "Schlüssel"))
	f.Add(catalog(binary.BigEndian, "UTF-8", "a", "b", "c", "d"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParseCatalog(b)
		if err != nil {
			return
		}
		var texts []string
		for k, v := range got {
			texts = append(texts, k, v)
		}
		if again, err := ParseCatalog(catalog(binary.LittleEndian, "utf-8", texts...)); err != nil || !reflect.DeepEqual(got, again) {
			t.Fatalf("%q became %q, %v", got, again, err)
		}
	})
}

func numeric(point string) []byte {
	b := binary.NativeEndian.AppendUint32(nil, 0x20031114)
	b = binary.NativeEndian.AppendUint32(b, 1)
	b = binary.NativeEndian.AppendUint32(b, 12)
	return append(append(b, point...), 0)
}

func FuzzParseNumeric(f *testing.F) {
	f.Add(numeric(","))
	f.Fuzz(func(t *testing.T, b []byte) {
		point, err := ParseNumeric(b)
		if err != nil {
			return
		}
		if again, err := ParseNumeric(numeric(point)); err != nil || again != point {
			t.Fatalf("%q became %q, %v", point, again, err)
		}
	})
}

func FuzzReadArchive(f *testing.F) {
	f.Add(bytes.Repeat([]byte{9, 1, 2, 0xde}, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		data, err := ReadArchive(bytes.NewReader(b), "de_DE.utf8", lcNumeric)
		if err == nil && !bytes.Contains(b, data) {
			t.Fatalf("%q is not in the archive", data)
		}
	})
}

func TestSpellings(t *testing.T) {
	for name, want := range map[string]string{
		"de_DE.UTF-8":      "de_DE.UTF-8 de_DE.utf8 de_DE de.UTF-8 de.utf8 de",
		"de":               "de",
		"ca_ES@valencia":   "ca_ES@valencia ca_ES ca@valencia ca",
		"pt_BR.ISO8859-1":  "pt_BR.ISO8859-1 pt_BR.iso88591 pt_BR pt.ISO8859-1 pt.iso88591 pt",
		"../../etc/passwd": "",
		"..":               "",
		"":                 "",
	} {
		if got := strings.Join(spellings(name), " "); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	f := Files{Locales: t.TempDir(), Catalogs: t.TempDir()}
	put := func(path string, content []byte) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"de_DE.utf8", "fr_FR.utf8", "de_DE"} {
		put(filepath.Join(f.Locales, name, "LC_NUMERIC"), numeric(","))
	}
	put(filepath.Join(f.Locales, "en_US.utf8", "LC_NUMERIC"), numeric("."))
	put(filepath.Join(f.Catalogs, "de/LC_MESSAGES/prog.mo"), catalog(binary.LittleEndian, "UTF-8", "key", "Schlüssel", "empty", ""))
	put(filepath.Join(f.Catalogs, "fr/LC_MESSAGES/prog.mo"), catalog(binary.LittleEndian, "UTF-8", "key", "clef", "only", "seulement"))
	put(filepath.Join(f.Catalogs, "et/LC_MESSAGES/prog.mo"), catalog(binary.LittleEndian, "ISO-8859-15", "key", "v\xf5ti"))
	for _, tt := range []struct{ env, decimal, key string }{
		{"", ".", "key"},
		{"LANG=C", ".", "key"},
		{"LANG=de_DE.UTF-8", ",", "Schlüssel"},
		{"LC_ALL=de_DE.UTF-8 LANG=fr_FR.UTF-8", ",", "Schlüssel"},
		{"LANG=de_DE.UTF-8 LC_NUMERIC=en_US.UTF-8", ".", "Schlüssel"},
		{"LANG=de_DE.UTF-8 LC_MESSAGES=C", ",", "key"},
		{"LANG=de_DE.UTF-8 LC_PAPER=not_THERE", ".", "key"},
		{"LANG=not_THERE.UTF-8", ".", "key"},
		{"LANG=de_DE.UTF-8 LANGUAGE=xx:fr:de", ",", "clef"},
		{"LANG=de_DE.UTF-8 LANGUAGE=et:fr", ",", "clef"},
		{"LANG=C.UTF-8 LANGUAGE=fr", ".", "clef"},
		{"LANG=C LANGUAGE=fr", ".", "key"},
		{"LANG=de_DE", ",", "key"},
		{"LANG=/etc", ".", "key"},
	} {
		env := map[string]string{}
		for _, pair := range strings.Fields(tt.env) {
			k, v, _ := strings.Cut(pair, "=")
			env[k] = v
		}
		l := f.Find(func(k string) string { return env[k] }, "prog")
		if l.Decimal != tt.decimal || l.Message("key") != tt.key || l.Message("empty") != "empty" {
			t.Errorf("%s: decimal point %q, key %q", tt.env, l.Decimal, l.Message("key"))
		}
	}
}

// The archive is what localedef(1) makes.
func TestReadArchive(t *testing.T) {
	localedef, err := exec.LookPath("localedef")
	if err != nil {
		t.Skip("no localedef(1) to make an archive with")
	}
	prefix := t.TempDir()
	dir := filepath.Join(prefix, "usr/lib/locale")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-i", "de_DE", "-f", "UTF-8", "de_DE.UTF-8"}, {"-i", "en_US", "-f", "UTF-8", "en_US.UTF-8"}} {
		if out, err := exec.Command(localedef, append([]string{"--prefix=" + prefix}, args...)...).CombinedOutput(); err != nil {
			t.Skipf("localedef cannot make %s here: %v: %.200s", args[1], err, out)
		}
	}
	archive, err := os.ReadFile(filepath.Join(dir, "locale-archive"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasPrefix(archive, binary.NativeEndian.AppendUint32(nil, 0x090102de)) {
		t.Skip("localedef(1) is of a machine with the other byte order: this test is emulated")
	}
	for name, want := range map[string]string{"de_DE.UTF-8": ",", "de_DE.utf8": ",", "en_US.UTF-8": ".", "fr_FR.UTF-8": ""} {
		if got, ok := (Files{Locales: dir}).decimalPoint(name); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", name, got, ok, want)
		}
	}
}

// FuzzSpellings: a name of the environment leads to directories of that name, and nowhere else.
func FuzzSpellings(f *testing.F) {
	for _, s := range []string{"de_DE.UTF-8@euro", "C", "../../etc/passwd", "a\x00b", ".", "@", "_", ".@_", "en_US.ISO-8859-1", "sr@latin", "x.88591"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		seen := map[string]bool{}
		for _, s := range spellings(name) {
			if strings.ContainsAny(s, "/\x00") || strings.HasPrefix(s, "..") || seen[s] {
				t.Fatalf("%q: %q", name, s)
			}
			seen[s] = true
		}
		if _, codeset, _ := parts(name); normalized(normalized(codeset)) != normalized(codeset) {
			t.Fatalf("%q is normalized to %q, and that to %q", codeset, normalized(codeset), normalized(normalized(codeset)))
		}
	})
}

// FuzzReadArchiveEntry: a well-formed archive with one locale gives its category back, wherever it is and whatever follows.
func FuzzReadArchiveEntry(f *testing.F) {
	f.Add("de_DE.utf8", []byte(","), uint32(0))
	f.Add("", []byte{}, uint32(7))
	f.Add("a\x00b", bytes.Repeat([]byte{0xff}, 100), uint32(300))
	f.Fuzz(func(t *testing.T, name string, data []byte, gap uint32) {
		if strings.Contains(name, "\x00") || len(name) > 200 {
			return
		}
		gap %= 1 << 12
		const head, entry, places = 56, 12, 4 + 8*2
		at := uint32(head + entry + gap)
		b := make([]byte, head, 1<<13)
		put := binary.NativeEndian.PutUint32
		put(b, 0xde020109)
		put(b[8:], head)
		put(b[16:], 1)
		b = binary.NativeEndian.AppendUint32(b, 1) // the hash, which is not looked at
		b = binary.NativeEndian.AppendUint32(b, at)
		b = binary.NativeEndian.AppendUint32(b, at+uint32(len(name))+1)
		b = append(b, make([]byte, gap)...)
		b = append(append(b, name...), 0)
		b = append(b, make([]byte, places)...)
		put(b[len(b)-8:], uint32(len(b)))
		put(b[len(b)-4:], uint32(len(data)))
		b = append(append(b, data...), 0)
		got, err := ReadArchive(bytes.NewReader(b), name, lcNumeric)
		if len(data) > 1<<16 {
			if err == nil {
				t.Fatal("a category that is too long")
			}
			return
		}
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%q: %q, %v, want %q", name, got, err, data)
		}
		if _, err := ReadArchive(bytes.NewReader(b), name+"x", lcNumeric); err == nil {
			t.Fatal("another locale is in it, too")
		}
	})
}
