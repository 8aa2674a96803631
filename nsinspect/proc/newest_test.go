package proc

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

func TestParseLastPID(t *testing.T) {
	for _, tt := range []struct {
		story, text string
		want        int
	}{
		{"as the kernel writes it", "0.20 0.18 0.12 1/80 11206\n", 11206},
		{"the highest that there can be", "0.20 0.18 0.12 1/80 4194304\n", 4194304},
		{"beyond that", "0.20 0.18 0.12 1/80 4194305\n", 0},
		{"a kernel that has made none yet", "0.20 0.18 0.12 1/80 0\n", 0},
		{"cut off", "0.20 0.18 0.12 1/80", 0},
		{"a sign", "0.20 0.18 0.12 1/80 -5\n", 0},
		{"nothing", "", 0},
	} {
		if got := parseLastPID([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.story, got, tt.want)
		}
	}
}

func FuzzParseLastPID(f *testing.F) {
	f.Add([]byte("0.20 0.18 0.12 1/80 11206\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if pid := parseLastPID(text); pid < 0 || pid > maxPID {
			t.Errorf("%q: %d", text, pid)
		}
	})
}

// A process that has just started is among those above any number below its own, and above its own it is not.
func TestAbove(t *testing.T) {
	fs, err := Open("/proc")
	if err != nil {
		t.Skip(err)
	}
	defer fs.Close()
	if fs.Self() != os.Getpid() {
		t.Skip("/proc shows another PID namespace")
	}
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	pid := cmd.Process.Pid
	if last := fs.LastPID(); last == 0 {
		t.Error("no last number")
	}
	for _, tt := range []struct {
		above int
		want  bool
	}{{pid - 1, true}, {pid, false}} {
		got, err := fs.Above(tt.above)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(got, pid) != tt.want || slices.ContainsFunc(got, func(p int) bool { return p <= tt.above }) || !slices.IsSorted(got) {
			t.Errorf("above %d: %v", tt.above, got)
		}
	}
	if all, err := fs.Above(0); err != nil || len(all) == 0 || all[0] != 1 {
		t.Errorf("above 0: %v, %v", all, err)
	}
	if none, err := fs.Above(maxPID); err != nil || len(none) != 0 {
		t.Errorf("above all: %v, %v", none, err)
	}
}
