package render

import (
	"strings"
	"testing"
)

func TestAppendC(t *testing.T) {
	for _, tt := range []struct {
		format string
		args   []any
		want   string
	}{
		{"plain", nil, "plain"},
		{"%d|%u|%i|%ld|%ju|%zu", []any{1, uint32(2), -3, int64(-4), uint64(5), uint64(6)}, "1|2|-3|-4|5|6"},
		{"%5d|%-5d|", []any{42, 42}, "   42|42   |"},
		{"%o|%#o|%#o|%-6o|", []any{uint32(0o644), uint32(0o644), uint32(0), uint32(0o7)}, "644|0644|0|7     |"},
		{"%-10.10s|", []any{"elevenchars"}, "elevenchar|"},
		{"%-20.16s|", []any{"Nov 21 23:39:02 2026\n"}, "Nov 21 23:39:02     |"},
		{"%6s|", []any{"1K"}, "    1K|"},
		{"%s costs %d%%", []any{"it", 5}, "it costs 5%"},
		{"%2$s %1$d", []any{1, "x"}, "x 1"},
		// Bytes are counted as C does, also when that cuts a rune.
		{"%-10.10s|", []any{"jürgenößö"}, "jürgenö\xc3|"},
		{"%-8s|", []any{"größe"}, "größe |"},
		// What no format of ours has.
		{"%", nil, "%"},
		{"100%", nil, "100%"},
		{"%q%x", []any{1}, "%q%x"},
		{"%d", nil, "<nil>"},
		{"%9$d", []any{1}, "<nil>"},
		{"%d", []any{"text"}, "text"},
		{"%.3", nil, "%.3"},
	} {
		if got := string(appendC(nil, tt.format, tt.args...)); got != tt.want {
			t.Errorf("%q %v: got %q, want %q", tt.format, tt.args, got, tt.want)
		}
	}
}

func FuzzAppendC(f *testing.F) {
	f.Add("%-10d %s%%", "x", int64(-3))
	f.Add("%99999999999999999999d%1$s%.2s%#o", "", int64(0))
	f.Fuzz(func(t *testing.T, format, s string, n int64) {
		out := appendC(nil, format, s, n, uint64(n))
		if most := len(format) * (maxPad + len(s) + 30); len(out) > most {
			t.Fatalf("%d bytes from a format of %d", len(out), len(format))
		}
		if !strings.Contains(format, "%") && string(out) != format {
			t.Fatalf("%q became %q", format, out)
		}
	})
}

// What ipcs --human of util-linux 2.38.1 printed for segments of these sizes.
func TestSizeLetters(t *testing.T) {
	for bytes, want := range map[uint64]string{
		0: "0B", 1: "1B", 1023: "1023B", 1024: "1K", 1025: "1K", 1075: "1K", 1076: "1.1K", 1535: "1.5K", 1536: "1.5K",
		2047: "2K", 100000: "97.7K", 10485759: "10M", 1<<30 - 1: "1024M", 1 << 30: "1G", 1<<40 - 1: "1024G",
		1<<43 + 12345: "8T", 1<<64 - 1: "16E", 18446744073692774399: "16E",
	} {
		if got := sizeLetters(bytes, "."); got != want {
			t.Errorf("%d: got %s, want %s", bytes, got, want)
		}
	}
	if got := sizeLetters(1536, ","); got != "1,5K" {
		t.Errorf("with a comma: %s", got)
	}
}
