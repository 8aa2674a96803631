package proc

import (
	"strings"
	"testing"
)

func TestParseLiveness(t *testing.T) {
	tests := []struct {
		story, stat string
		dead, ok    bool
	}{
		{"a sleeper", "7 (sleep) S 1 7 7 0 -1 4194304 1 2", false, true},
		{"a zombie", "7 (sleep) Z 1 7 7 0 -1 4227084 1 2", true, true},
		{"dying, not a zombie yet", "7 (sleep) R 1 7 7 0 -1 4194308 1 2", true, true},
		{"dead since Linux 3.14", "7 (sleep) X 1 7 7 0 -1 0 1", true, true},
		{"calls itself a zombie", "7 (a) Z 1 7 7 0 -1 4 () S 1 7 7 0 -1 4194304 1 2", false, true},
		{"name of parentheses", "7 (" + strings.Repeat(")", 4096) + ") Z 1 7 7 0 -1 0", true, true},
		{"name with a newline", "7 (a\nb) S 1 7 7 0 -1 0", false, true},
		{"nothing", "", false, false},
		{"no name", "7 sleep Z 1 7 7 0 -1 4", false, false},
		{"ends after the name", "7 (sleep)", false, false},
		{"no flags", "7 (sleep) Z 1 7 7 0 -1", false, false},
		{"flags that are no number", "7 (sleep) Z 1 7 7 0 -1 x", false, false},
		{"a state of two letters", "7 (sleep) ZZ 1 7 7 0 -1 0", false, false},
	}
	for _, tt := range tests {
		if dead, ok := parseLiveness([]byte(tt.stat)); dead != tt.dead || ok != tt.ok {
			t.Errorf("%s: got %t, %t", tt.story, dead, ok)
		}
	}
}

func FuzzParseLiveness(f *testing.F) {
	f.Add([]byte("7 (sleep) Z 1 7 7 0 -1 4227084 1 2"))
	f.Add([]byte("7 (a) Z) S 1 7 7 0 -1 4 1 2"))
	f.Add([]byte(")"))
	f.Fuzz(func(t *testing.T, stat []byte) {
		if dead, ok := parseLiveness(stat); dead && !ok {
			t.Error("dead by a file that is none")
		}
	})
}
