package engines

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

func compareRefs(a, b report.Container) int { return cmp.Compare(a.Ref, b.Ref) }

// A process of a container that is in the host's namespaces while the rest of
// the container is not: what an escape that kept its cgroup looks like.
func TestDockerStray(t *testing.T) {
	l := newLab(t, "docker stray", "/usr/sbin/dockerd", "/usr/bin/docker")
	d := startDocker(l)
	id := d.start("with-stray")
	d.start("without")
	all := d.containers()
	i := slices.IndexFunc(all, func(x truth) bool { return x.id == id })

	stray := l.sleeper("stray", "sleep", "1000000")
	if moved := joinCgroups(t, stray.pid, all[i].init); moved == 0 {
		l.Skip("no cgroup hierarchy is mounted here where it could be moved")
	}

	r, code := l.scan()
	got := find(r, "docker", id)
	if got == nil {
		t.Fatalf("missed\n%s", describe(all[i].init))
	}
	if got.Init != all[i].init {
		t.Errorf("init is %d, the engine says %d", got.Init, all[i].init)
	}
	want := []int{stray.pid}
	if !slices.Equal(got.IPC.Strays, want) || !slices.Equal(got.PID.Strays, want) {
		t.Errorf("strays are ipc %v, pid %v, want %v\n%s", got.IPC.Strays, got.PID.Strays, want, describe(stray.pid))
	}
	if !got.Exposed {
		t.Error("not exposed")
	}
	for rule, n := range map[string]int{"stray-ipc": 1, "stray-pid": 1, "host-ipc": 0, "host-pid": 0} {
		if found := findings(r, rule, got.Ref); found != n {
			t.Errorf("%d findings %s, want %d", found, rule, n)
		}
	}
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	checkContainer(t, r, all, all[1-i])
}

// joinCgroups moves a process into every cgroup that another is in, and returns
// into how many.
func joinCgroups(t *testing.T, pid, other int) (moved int) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", other))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		hierarchies := []string{strings.TrimPrefix(f[1], "name=")}
		if f[1] == "" {
			hierarchies = []string{"unified", "."} // v2 beside v1, v2 alone
		}
		for _, hierarchy := range hierarchies {
			procs := filepath.Join("/sys/fs/cgroup", hierarchy, f[2], "cgroup.procs")
			if exists(procs)() != nil {
				continue
			}
			if err := os.WriteFile(procs, fmt.Append(nil, pid), 0); err != nil {
				t.Logf("moving it: %v", err)
				continue
			}
			moved++
			break
		}
	}
	return moved
}
