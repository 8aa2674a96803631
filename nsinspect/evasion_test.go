package nsinspect

import "testing"

// A container that is being started is not to be called evasive, and a quiet host is read once.
func TestSettled(t *testing.T) {
	for _, tt := range []struct {
		story  string
		lost   map[string]int
		passes int
		want   bool
		gaps   int
	}{
		{"a quiet host", nil, 1, true, 0},
		{"once in the first pass", map[string]int{"docker:a": 1}, 1, false, 0},
		{"that was all", map[string]int{"docker:a": 1}, 3, true, 0},
		{"one that was missed once may come back", map[string]int{"docker:a": 2}, 3, false, 0},
		{"twice, and no more passes", map[string]int{"docker:a": 2}, 4, true, 0},
		{"all the time", map[string]int{"docker:a": 3}, 3, true, 1},
		{"one that hides beside one that starts", map[string]int{"docker:a": 3, "docker:b": 1}, 3, true, 1},
		{"two that hide, one of them missed once", map[string]int{"docker:a": 3, "docker:b": 2}, 3, false, 1},
	} {
		if got := settled(tt.lost, tt.passes); got != tt.want {
			t.Errorf("%s: %t", tt.story, got)
		}
		gaps := evasions(tt.lost)
		if len(gaps) != tt.gaps || len(gaps) > 0 && (!gaps[0].Decides || gaps[0].File != "processes of docker:a") {
			t.Errorf("%s: %+v", tt.story, gaps)
		}
	}
}
