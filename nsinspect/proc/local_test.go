package proc

import "testing"

func TestParseMountOf(t *testing.T) {
	for _, c := range []struct {
		story, text string
		id          int
		ok          bool
	}{
		{"a descriptor of O_PATH", "pos:\t0\nflags:\t012100000\nmnt_id:\t27\nino:\t2\n", 27, true},
		{"before Linux 3.15", "pos:\t0\nflags:\t0100000\n", 0, false},
		{"no number", "mnt_id:\tx\n", 0, false},
		{"nothing", "", 0, false},
	} {
		if id, err := parseMountOf([]byte(c.text)); id != c.id || (err == nil) != c.ok {
			t.Errorf("%s: %d, %v", c.story, id, err)
		}
	}
}

func FuzzParseMountOf(f *testing.F) {
	f.Add([]byte("pos:\t0\nmnt_id:\t27\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if id, err := parseMountOf(text); err != nil && id != 0 {
			t.Errorf("%d beside %v", id, err)
		}
	})
}
