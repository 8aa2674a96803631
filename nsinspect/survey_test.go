package nsinspect_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect"
)

// A process that forks and exits all the time is another one at each look, and
// every one of them is too young to be believed. That must not read as no container.
func TestProcessesThatNeverStay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a cgroup")
	}
	id := strings.Repeat("e", 64-len(strconv.Itoa(os.Getpid()))) + strconv.Itoa(os.Getpid())
	var dir string
	for _, root := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/pids"} {
		d := filepath.Join(root, "docker-"+id+".scope")
		if os.Mkdir(d, 0o755) != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(d, "cgroup.procs")); err == nil {
			dir = d
			break
		}
		os.Remove(d)
	}
	if dir == "" {
		t.Skip("no cgroup can be made here")
	}
	procs := filepath.Join(dir, "cgroup.procs")
	stop := filepath.Join(t.TempDir(), "stop")
	t.Cleanup(func() {
		os.WriteFile(stop, nil, 0o600)
		for os.Remove(dir) != nil {
			b, err := os.ReadFile(procs)
			if err != nil {
				break
			}
			if len(b) == 0 {
				os.Remove(dir)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	hop := exec.Command("sh", "-c", `echo $$ > "$1"; hop() { n=$((n+1)); [ -e "$2" ] || [ $n -gt 200 ] && exit; sleep 0.4; ( hop "$1" "$2" ) & exit; }; hop "$1" "$2"`, "sh", procs, stop)
	if err := hop.Start(); err != nil {
		t.Fatal(err)
	}
	hop.Wait() // the first of them; the next one is there
	r, err := nsinspect.Inspect(context.Background(), nsinspect.Source{}, nsinspect.Options{NoNames: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Containers {
		if c.ID == id && c.Exposed {
			return // one of them was looked at before it ended
		}
	}
	for _, g := range r.Coverage.Gaps {
		if strings.Contains(g.File, id) && g.Decides {
			return
		}
	}
	b, _ := os.ReadFile(procs)
	t.Errorf("neither a container nor a gap; in it are now %q", b)
}
