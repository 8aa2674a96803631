package proc

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
)

func TestParseCovers(t *testing.T) {
	const host = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:5 / /proc rw shared:5 - proc proc rw\n22 21 0:6 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n"
	for _, c := range []struct {
		story, text string
		procfs      int
		want        []Cover
		bad         bool
	}{
		{"a host", host, 21, nil, false},
		{"a process's directory over another's", host + "30 21 0:5 /2 /proc/100 rw - proc proc rw\n", 21, []Cover{{100, ""}}, false},
		{"a file, and one of a thread", host + "30 21 0:5 /2/cgroup /proc/100/cgroup rw - proc proc rw\n31 21 0:7 / /proc/100/task/101/ns rw - tmpfs t rw\n", 21,
			[]Cover{{100, "cgroup"}, {100, "task/101/ns"}}, false},
		{"another procfs", host + "29 20 0:8 / /other rw - proc proc rw\n30 29 0:8 /2 /other/100 rw - proc proc rw\n", 21, nil, false},
		{"the same in that one", host + "29 20 0:8 / /other rw - proc proc rw\n30 29 0:8 /2 /other/100 rw - proc proc rw\n", 29, []Cover{{100, ""}}, false},
		{"a procfs at the root", "29 1 0:8 / / rw - proc proc rw\n30 29 0:8 /2 /100 rw - proc proc rw\n", 29, []Cover{{100, ""}}, false},
		{"a part of a procfs, where numbers are not processes", "29 1 0:8 /1/task /proc rw - proc proc rw\n30 29 0:8 /2 /proc/100 rw - proc proc rw\n", 29, nil, false},
		{"no processes", host + "30 21 0:7 / /proc/0 rw - tmpfs t rw\n31 21 0:7 / /proc/12x rw - tmpfs t rw\n32 21 0:7 / /proc/99999999999 rw - tmpfs t rw\n", 21, nil, false},
		{"not mounted here", host, 99, nil, false},
		{"nonsense", "nonsense\n", 21, nil, true},
	} {
		got, ok := parseCovers([]byte(c.text), c.procfs)
		if ok == c.bad || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %t", c.story, got, ok)
		}
	}
}

func FuzzParseCovers(f *testing.F) {
	f.Add([]byte("21 20 0:5 / /proc rw - proc proc rw\n30 21 0:5 /2 /proc/100/cgroup rw - proc proc rw\n"), 21)
	f.Fuzz(func(t *testing.T, text []byte, procfs int) {
		covers, ok := parseCovers(text, procfs)
		if !ok && covers != nil {
			t.Error("an answer, and none")
		}
		for _, c := range covers {
			if c.PID <= 0 || c.PID > maxPID {
				t.Errorf("%+v", c)
			}
		}
	})
}

// The mounts are those of whoever asks, so a child with mounts of its own has to be asked.
func TestCoversOfAProcfs(t *testing.T) {
	if os.Getenv("NSINSPECT_COVERED") != "" {
		fs, err := Open("/proc")
		if err != nil {
			t.Fatal(err)
		}
		defer fs.Close()
		covers, err := fs.Covers()
		pid, _ := strconv.Atoi(os.Getenv("NSINSPECT_COVERED"))
		if want := []Cover{{pid, "cgroup"}, {pid, ""}}; err != nil || !slices.Equal(covers, want) {
			t.Fatalf("%v, %v, want %v", covers, err, want)
		}
		return
	}
	fs, err := Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	if covers, err := fs.Covers(); err != nil || len(covers) > 0 {
		t.Fatalf("without a mount: %v, %v", covers, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ppid := strconv.Itoa(os.Getpid())
	cmd := exec.Command("unshare", "--mount", "--", "sh", "-c", `mount --bind /proc/2/cgroup "/proc/$1/cgroup" && mount --bind /proc/2 "/proc/$1" && mount --bind /proc/2/cgroup "/proc/$1/cgroup" || exit 77
exec "$2" -test.run '^TestCoversOfAProcfs$' -test.v`, "sh", ppid, self)
	cmd.Env = append(os.Environ(), "NSINSPECT_COVERED="+ppid)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 77 || os.Geteuid() != 0 {
		t.Skipf("nothing can be mounted here: %v: %s", err, out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
