package engines

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// bundles are containers of an OCI runtime alone, from configurations written by
// hand; no engine stands behind them.
type bundles struct {
	*lab
	runtime string // runc or crun
	names   map[string]namespaces
	order   []string
}

// newBundles prepares an OCI runtime. Its state is where it always is
// (/run/runc, /run/crun), because that is what there is to find such a container by.
func newBundles(l *lab, runtime string) *bundles {
	l.Helper()
	b := &bundles{lab: l, runtime: runtime, names: map[string]namespaces{}}
	l.rootfs("rootfs")
	return b
}

// id makes names that nobody else's container has.
func (b *bundles) id(name string) string {
	return fmt.Sprintf("nsi-%d-%s", os.Getpid(), name)
}

// start runs a container with the given namespaces besides mount and uts.
func (b *bundles) start(name, cgroup string, ns namespaces) int {
	b.Helper()
	pid, err := b.tryStart(name, cgroup, ns)
	if err != nil {
		b.Fatal(err)
	}
	return pid
}

// writeBundle writes the configuration of a container.
func (b *bundles) writeBundle(name, cgroup string, ns namespaces) {
	b.Helper()
	linux := map[string]any{
		"namespaces": append(namespaces{{Type: "mount"}, {Type: "uts"}}, ns...),
		"resources":  map[string]any{"devices": []any{map[string]any{"allow": true, "access": "rwm"}}},
	}
	if cgroup != "" {
		linux["cgroupsPath"] = cgroup
	}
	config := map[string]any{
		"ociVersion": "1.0.2",
		"root":       map[string]any{"path": b.path("rootfs"), "readonly": true},
		"process":    map[string]any{"args": payload, "cwd": "/", "user": map[string]any{"uid": 0, "gid": 0}, "env": []string{"PATH=/bin"}},
		"mounts": []any{
			map[string]any{"destination": "/proc", "type": "proc", "source": "proc"},
			map[string]any{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}, // the root is shared by all of them
		},
		"linux": linux,
	}
	b.write("bundle-"+name+"/config.json", string(b.json(config)))
}

func (b *bundles) tryStart(name, cgroup string, ns namespaces) (int, error) {
	b.Helper()
	b.writeBundle(name, cgroup, ns)
	id := b.id(name)
	if _, err := b.try(b.runtime, "run", "-d", "-b", b.path("bundle-"+name), id); err != nil {
		return 0, err
	}
	b.Cleanup(func() {
		if _, err := b.try(b.runtime, "delete", "-f", id); err != nil {
			b.Errorf("%s: deleting %s: %v", b.runtime, id, err)
		}
	})
	b.names[id], b.order = ns, append(b.order, id)
	return b.init(id), nil
}

// init asks the runtime for a container's init.
func (b *bundles) init(id string) int {
	b.Helper()
	var state struct{ Pid int }
	b.decode(&state, b.runtime, "state", id)
	return state.Pid
}

// containers is the truth: the configurations that were written.
func (b *bundles) containers() []truth {
	b.Helper()
	inits := map[int]string{}
	for _, id := range b.order {
		inits[b.init(id)] = id
	}
	var all []truth
	for _, id := range b.order {
		init := b.init(id)
		all = append(all, truth{story: b.runtime + " bundle", runtime: b.runtime, id: id, init: init,
			ipc: b.names[id].place("ipc", id, inits), pid: b.names[id].place("pid", id, inits), members: []int{init}})
	}
	return all
}

func TestRunc(t *testing.T) { testBundles(t, "runc", "") }

func TestCrun(t *testing.T) { testBundles(t, "crun", legacyCgroups) }

// On a host with nothing but cgroup v2, as the runtime sees it.
func TestCrunUnified(t *testing.T) { testBundles(t, "crun", unifiedCgroups) }

func testBundles(t *testing.T, runtime, mounts string) {
	name := runtime
	if mounts == unifiedCgroups {
		name += " on cgroup v2"
	}
	l := newLab(t, name, runtime)
	if mounts != "" {
		l.privateMounts(mounts)
	}
	b := newBundles(l, runtime)
	ipc, pid := namespaces{{Type: "ipc"}}, namespaces{{Type: "pid"}}
	both := slices.Concat(ipc, pid)

	one, err := b.tryStart("both", "", both)
	if err != nil {
		l.Skipf("%s cannot run a container on this machine: %v", runtime, err)
	}
	b.start("no-ipc-namespace", "", pid)
	b.start("no-pid-namespace", "", ipc)
	b.start("neither", "", nil)
	b.start("ipc-by-path", "", append(namespaces{{Type: "ipc", Path: fmt.Sprintf("/proc/%d/ns/ipc", one)}}, pid...))
	b.start("ipc-by-path-of-host", "", append(namespaces{{Type: "ipc", Path: "/proc/2/ns/ipc"}}, pid...))
	b.start("any-cgroup", "/nsi-any/thing", both)
	b.start("hex-cgroup", "/nsi-any/"+strings.Repeat("0a", 32), both)

	for _, p := range []string{"both", "no-ipc-namespace"} {
		if _, err := b.try(slices.Concat([]string{runtime, "exec", "-d", b.id(p)}, payload)...); err != nil {
			l.Fatal(err)
		}
	}
	all := b.containers()
	r, _ := l.scan()
	check(t, r, all, []int{os.Getpid()})
	for i := range all {
		c := find(r, runtime, all[i].id)
		if want := 2; c != nil && (all[i].id == b.id("both") || all[i].id == b.id("no-ipc-namespace")) && len(c.PIDs) != want {
			t.Errorf("%s has the processes %v, %d were started in it", c.Ref, c.PIDs, want)
		}
	}
}
