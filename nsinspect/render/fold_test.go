package render

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

func TestFold(t *testing.T) {
	for _, c := range []struct {
		story, line, want string
	}{
		{"fits", "0123456789\n", "0123456789\n"},
		{"at a space", "01234 56789 01\n", "01234\n  56789 01\n"},
		{"exactly", "0123456789 01\n", "0123456789\n  01\n"},
		{"a space at the edge", "012345678  01\n", "012345678\n  01\n"},
		{"two spaces", "01234567 9  12 45\n", "01234567 9\n  12 45\n"},
		{"further in", "    0123 5678\n", "    0123\n      5678\n"},
		{"a long word stays whole", "x 0123456789abcdef y\n", "x\n  0123456789abcdef\n  y\n"},
		{"a long word alone", "0123456789abcdef\n", "0123456789abcdef\n"},
		{"colours have no width", "\x1b[31m01234\x1b[0m 6789\n", "\x1b[31m01234\x1b[0m 6789\n"},
		{"colours are kept", "\x1b[31m01234\x1b[0m 6789ab\n", "\x1b[31m01234\x1b[0m\n  6789ab\n"},
		{"letters and not bytes", "ööööö üüüü\n", "ööööö üüüü\n"},
		{"no line end", "01234 56789", "01234\n  56789"},
	} {
		if got := fold(c.line, 10); got != c.want {
			t.Errorf("%s: got %q, want %q", c.story, got, c.want)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("    /proc/1/ns/ipc = ipc:[1]  (it should not be the baseline)\n", 20)
	f.Fuzz(func(t *testing.T, line string, width int) {
		if strings.ContainsAny(line, "\x1b") || strings.Contains(strings.TrimSuffix(line, "\n"), "\n") || !utf8.ValidString(line) {
			return
		}
		words := func(text string) []string {
			return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\n' })
		}
		got := fold(line, width)
		if !slices.Equal(words(got), words(line)) {
			t.Errorf("%q became %q", line, got)
		}
		for part := range strings.Lines(got) {
			part = strings.TrimSuffix(part, "\n")
			if utf8.RuneCountInString(part) > width && len(words(part)) > 1 && part != strings.TrimSuffix(line, "\n") {
				t.Errorf("%q in %d columns: %q is too wide", line, width, part)
			}
		}
	})
}

// Tables of a terminal are as wide as that, and say what they have left out.
func TestNarrowTables(t *testing.T) {
	columns := func() []column {
		return []column{{title: "PID", right: true}, {title: "MNT", spare: true}, {title: "IPC"}, {title: "NOTE"}, {title: "COMM", most: 40}}
	}
	rows := func() [][]cell {
		return [][]cell{{{text: "1"}, {text: "4026531832"}, {text: "host"}, {text: "-"}, {text: "kworker/R-kvfree_rcu_reclaim"}},
			{{text: "4389"}, {text: "4026532200"}, {text: "4026532201"}, {text: "twenty letters or so"}, {text: "postgres"}}}
	}
	for _, c := range []struct {
		story string
		width int
		want  string
	}{
		{"no terminal", 0, ` PID  MNT         IPC         NOTE                  COMM
   1  4026531832  host        -                     kworker/R-kvfree_rcu_reclaim
4389  4026532200  4026532201  twenty letters or so  postgres
`},
		{"the last one is cut", 70, ` PID  MNT         IPC         NOTE                  COMM
   1  4026531832  host        -                     kworker/R-kvfree_…
4389  4026532200  4026532201  twenty letters or so  postgres
`},
		{"one is left out", 60, ` PID  IPC         NOTE                  COMM
   1  host        -                     kworker/R-kvfree_rc…
4389  4026532201  twenty letters or so  postgres
(too narrow for MNT)
`},
		{"lines of their own", 30, ` PID  IPC
   1  host
    comm: kworker/R-kvfree_rcu_reclaim
4389  4026532201
    note: twenty letters or so
    comm: postgres
(too narrow for MNT)
`},
	} {
		var b strings.Builder
		Style{Width: c.width}.grid(&b, columns(), rows())
		if b.String() != c.want {
			t.Errorf("%s: got\n%s", c.story, b.String())
		}
	}
}

func TestComparison(t *testing.T) {
	for _, c := range []struct{ value, expected, want string }{
		{"ipc:[1]", "not ipc:[1], the baseline", "  (it should not be the baseline)"},
		{"2", "none", "  (there should be none)"},
		{"ipc:[2]", "not the baseline's, ipc:[1]", "  (not the baseline's, ipc:[1])"},
		{"ipc:[2]", "the container's own, by its init", "  (the container's own, by its init)"},
		{"x", "", ""},
	} {
		if got := comparison(report.Evidence{Value: c.value, Expected: c.expected}); got != c.want {
			t.Errorf("%q: %q", c.expected, got)
		}
	}
}
