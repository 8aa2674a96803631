package report

import (
	"strconv"
	"unicode/utf8"
)

// Text carries a text that came from a process, a file or an engine: as it is
// when it is valid UTF-8 and printable, otherwise Go-quoted without the quotes,
// so that nothing is lost and no control byte, bidi mark or broken rune gets to
// a terminal or into a document.
func Text(s string) string {
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		if r == utf8.RuneError && n == 1 || !strconv.IsPrint(r) {
			q := strconv.Quote(s)
			return q[1 : len(q)-1]
		}
		i += n
	}
	return s
}
