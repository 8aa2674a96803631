package nsinspect

import (
	"os"
	"testing"
)

func TestParseUptime(t *testing.T) {
	for text, want := range map[string]uint64{
		"5033.47 19886.06\n": 503347, "0.00 0.00\n": 0, "99999999999.5 1\n": 9999999999950, "": forever, "x": forever, "-1 1\n": forever, "NaN 1\n": forever, "Inf 1\n": forever,
		"1e300 1\n": forever,
	} {
		if got := parseUptime([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

// FuzzParseUptime: the same on every machine, and never more than for ever.
func FuzzParseUptime(f *testing.F) {
	if own, err := os.ReadFile("/proc/uptime"); err == nil {
		f.Add(own)
	}
	for _, s := range []string{"5033.47 19886.06\n", "-0.0 1", "NaN", "0x1p70 1", "1e18 1", "4611686018427387904"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got := parseUptime(text); got > forever {
			t.Fatalf("%q: %d", text, got)
		}
	})
}
