package engines

import (
	"slices"
	"testing"
)

// A platform engineer's host: every engine at once, and each container under the
// name of its own engine.
func TestEnginesTogether(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	const name = "all together"
	var all []truth
	var helpers []int

	d := startDocker(newLab(t, name, "/usr/sbin/dockerd", "/usr/bin/docker"))
	d.start("no-option")
	d.start("ipc-host", "--ipc=host")
	inDocker := d.containers()
	all, helpers = append(all, inDocker...), append(helpers, d.helpers(inDocker)...)

	c := startContainerd(newLab(t, name, "containerd", "ctr"))
	c.start("default", "nsi-no-option")
	c.start("default", "nsi-ipc-host", "--with-ns", "ipc:/proc/2/ns/ipc")
	inContainerd := c.containers()
	all, helpers = append(all, inContainerd...), append(helpers, c.helpers(inContainerd)...)

	pl := newLab(t, name, "podman", "conmon")
	pl.privateMounts(privateRun + legacyCgroups)
	p := startPodman(pl)
	p.start("no-option")
	p.start("pid-host", "--pid=host")
	p.start("no-cgroup", "--cgroups=disabled")
	inPodman, conmons := p.containers()
	all, helpers = append(all, inPodman...), append(helpers, conmons...)

	rl := newLab(t, name, "runc")
	b := newBundles(rl, "runc")
	b.start("no-ipc-namespace", "", namespaces{{Type: "pid"}})
	all = append(all, b.containers()...)

	x := &lxc{lab: newLab(t, name, "lxc-start", "lxc-stop", "lxc-info")}
	x.rootfs("rootfs")
	x.start("nsi-together", host, "nsi-together", "lxc.namespace.keep = user net ipc")
	all = append(all, x.made...)

	r, code := rl.scan()
	check(t, r, all, helpers)
	if code != 1 {
		t.Errorf("exit code %d with exposed containers, want 1", code)
	}
	refs := map[string]bool{}
	for i := range r.Containers {
		if refs[r.Containers[i].Ref] {
			t.Errorf("two containers are called %s", r.Containers[i].Ref)
		}
		refs[r.Containers[i].Ref] = true
	}
	if !slices.IsSortedFunc(r.Containers, compareRefs) {
		t.Error("the containers are not in the order of their refs")
	}
}
