package proc

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestParseNamespace(t *testing.T) {
	tests := []struct {
		story, target, kind string
		want                uint64
	}{
		{"the initial IPC namespace", "ipc:[4026531839]", "ipc", 4026531839},
		{"a wider inode than kernels count today", "ipc:[18446744073709551615]", "ipc", 18446744073709551615},
		{"more than 64 bits", "ipc:[18446744073709551616]", "ipc", 0},
		{"much more than 64 bits", "ipc:[99999999999999999999999999]", "ipc", 0},
		{"another kind of namespace", "pid:[4026531836]", "ipc", 0},
		{"a longer kind", "ipcx:[1]", "ipc", 0},
		{"nothing", "", "ipc", 0},
		{"no number", "ipc:[]", "ipc", 0},
		{"zero, which would mean unknown", "ipc:[0]", "ipc", 0},
		{"a leading zero", "ipc:[01]", "ipc", 0},
		{"a sign", "ipc:[+1]", "ipc", 0},
		{"a space", "ipc:[ 1]", "ipc", 0},
		{"hexadecimal", "ipc:[0x1]", "ipc", 0},
		{"not closed", "ipc:[1", "ipc", 0},
		{"something after it", "ipc:[1] (deleted)", "ipc", 0},
		{"a newline after it", "ipc:[1]\n", "ipc", 0},
		{"a path", "/proc/1/ns/ipc", "ipc", 0},
	}
	for _, tt := range tests {
		got, ok := parseNamespace([]byte(tt.target), tt.kind)
		if got != tt.want && ok || ok != (tt.want != 0) {
			t.Errorf("%s: parseNamespace(%q, %q) = %d, %t", tt.story, tt.target, tt.kind, got, ok)
		}
	}
}

// Whatever is taken for a namespace is printed back as it was.
func FuzzParseNamespace(f *testing.F) {
	for _, s := range []string{"ipc:[4026531839]", "ipc:[0]", "ipc:[18446744073709551616]", "ipc:[", "", "pid:[1]"} {
		f.Add([]byte(s), "ipc")
	}
	f.Add([]byte(":[1]"), "")
	f.Fuzz(func(t *testing.T, target []byte, kind string) {
		ino, ok := parseNamespace(target, kind)
		if digits, found := strings.CutPrefix(string(target), kind+":["); found {
			// As the standard library reads it.
			n, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 64)
			if plain := err == nil && n != 0 && fmt.Sprintf("%s:[%d]", kind, n) == string(target); plain != ok || plain && n != ino {
				t.Errorf("%q: %d, %t", target, ino, ok)
			}
		}
		if !ok {
			return
		}
		if again := fmt.Sprintf("%s:[%d]", kind, ino); again != string(target) {
			t.Errorf("%q was read as %q", target, again)
		}
	})
}

// FuzzNamespaceLink: the sieve for the links of descriptors lets through what the kernel shows for a namespace, and nothing else.
func FuzzNamespaceLink(f *testing.F) {
	for _, s := range []string{
		"ipc:[4026531839]", "pipe:[12345]", "socket:[1]", "anon_inode:[eventfd]", "anon_inode:[1]", "/memfd:x (deleted)", "/tmp/ipc:[1]", "mnt:[0]", "net:[01]", "user:[18446744073709551616]",
		":[1]", "ipc:[1] (deleted)", "IPC:[1]", "ipc:[1]]", "a:[b:[1]",
	} {
		f.Add([]byte(s))
	}
	shape := regexp.MustCompile(`^([a-z]+):\[([1-9][0-9]*)\]$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		want := false
		if m := shape.FindSubmatch(text); m != nil && string(m[1]) != "pipe" && string(m[1]) != "socket" && !bytes.ContainsRune(text, '\n') {
			_, err := strconv.ParseUint(string(m[2]), 10, 64)
			want = err == nil
		}
		if got := namespaceLink(text); got != want {
			t.Errorf("%q: %t", text, got)
		}
	})
}
