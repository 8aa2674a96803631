package render

import (
	"math/big"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzWrap: lines have the words of the text in their order, and none is wider than it has to be.
func FuzzWrap(f *testing.F) {
	f.Add("the quick brown fox", 9)
	f.Add("", 10)
	f.Add("a "+strings.Repeat("x", 50)+" b", 10)
	f.Add("größe \u2003 ümläute\t\n\xff", 7)
	f.Add("a b c", -1)
	f.Fuzz(func(t *testing.T, text string, width int) {
		lines := wrap(text, width)
		if got := strings.Join(lines, " "); got != strings.Join(strings.Fields(text), " ") {
			t.Fatalf("%q became %q", text, lines)
		}
		for i, line := range lines {
			if utf8.RuneCountInString(line) > width && strings.Contains(line, " ") {
				t.Fatalf("%q is wider than %d", line, width)
			}
			if i == 0 {
				continue
			}
			if first := strings.Fields(line)[0]; utf8.RuneCountInString(lines[i-1]+" "+first) <= width {
				t.Fatalf("%q had room for %q", lines[i-1], first)
			}
		}
	})
}

// FuzzCut: what is cut has the width that was asked for and is the beginning of the text.
func FuzzCut(f *testing.F) {
	f.Add("a-very-long-name", 8)
	f.Add("größe", 4)
	f.Add("\xff\xfe\xfd", 2)
	f.Add("x", 0)
	f.Add("", 1)
	f.Fuzz(func(t *testing.T, s string, most int) {
		if most < 0 {
			return // the columns have none such
		}
		got := cut(s, most)
		if got == s {
			return
		}
		if n := utf8.RuneCountInString(got); n != most || utf8.RuneCountInString(s) <= most {
			t.Fatalf("%q to %d: %q", s, most, got)
		}
		if begin := []rune(s)[:most-1]; got != string(begin)+"…" {
			t.Fatalf("%q to %d: %q", s, most, got)
		}
	})
}

// FuzzShortRef: only an id of 64 digits is cut, and the engine stays.
func FuzzShortRef(f *testing.F) {
	f.Add("docker:" + strings.Repeat("0123456789abcdef", 4))
	f.Add("docker:" + strings.Repeat("0123456789abcdeF", 4))
	f.Add("lxc:web")
	f.Add("web")
	f.Add(":" + strings.Repeat("é", 32))
	f.Fuzz(func(t *testing.T, ref string) {
		got := ShortRef(ref)
		if got == ref {
			return
		}
		engine, id, _ := strings.Cut(ref, ":")
		if _, err := strconv.ParseUint(id[:16], 16, 64); err != nil || len(id) != 64 || got != engine+":"+id[:12] {
			t.Fatalf("%q: %q", ref, got)
		}
	})
}

// FuzzSizes: sizes in both styles name the number of bytes to within what they round to.
func FuzzSizes(f *testing.F) {
	for _, n := range []uint64{0, 1, 1023, 1024, 1536, 1<<20 - 1, 1 << 30, 1<<32 + 1, 5 << 40, 1<<60 - 1, 1<<64 - 1} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n uint64) {
		letters := sizeLetters(n, ".")
		unit := strings.IndexByte("BKMGTPE", letters[len(letters)-1])
		near(t, n, letters, letters[:len(letters)-1], unit, 0.051)
		text := size(n)
		number, name, ok := strings.Cut(text, " ")
		if !ok {
			t.Fatalf("%d: %q", n, text)
		}
		near(t, n, text, number, strings.IndexByte("BKMGTPE", name[0]), 0.51)
	})
}

func near(t *testing.T, n uint64, text, number string, unit int, off float64) {
	t.Helper()
	value, ok := new(big.Float).SetString(number)
	if !ok || unit < 0 {
		t.Fatalf("%d: %q", n, text)
	}
	value.Mul(value, new(big.Float).SetUint64(1<<(10*unit)))
	value.Sub(value, new(big.Float).SetUint64(n))
	allowed := new(big.Float).Mul(big.NewFloat(off), new(big.Float).SetUint64(1<<(10*unit)))
	if value.Abs(value).Cmp(allowed) > 0 {
		t.Fatalf("%d is not %s", n, text)
	}
}
