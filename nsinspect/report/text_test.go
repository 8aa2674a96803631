package report

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzText: text is printable, nothing of it is lost, and what is printable stays as it is.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"", "postgres: writer", "größe", "a\\b", `a\nb`, "\x1b]0;x\x07", "\u202e\u2066", "\xff\xfe", "\ufffd", "\x9b31m", "a\u00adb", "\u2028", "\"quoted\"", "\U000e0041", strings.Repeat(")", 100),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		for _, r := range got {
			if !strconv.IsPrint(r) {
				t.Fatalf("%q: %q", s, got)
			}
		}
		if !utf8.ValidString(got) || Text(got) != got {
			t.Fatalf("%q: %q, and again %q", s, got, Text(got))
		}
		if got == s {
			return
		}
		if back, err := strconv.Unquote(`"` + got + `"`); err != nil || back != s {
			t.Fatalf("%q became %q, which is %q, %v", s, got, back, err)
		}
		printable := utf8.ValidString(s)
		for _, r := range s {
			printable = printable && strconv.IsPrint(r)
		}
		if printable {
			t.Fatalf("%q: %q", s, got)
		}
	})
}
