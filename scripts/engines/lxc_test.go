package engines

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// lxc is LXC with a private directory of containers.
type lxc struct {
	*lab
	made []truth
}

// start writes a configuration and starts a container of it. ipc and pid are the
// truth that the configuration amounts to (lxc.container.conf(5), lxc.namespace).
func (x *lxc) start(name, ipc, pid string, config ...string) int {
	x.Helper()
	init, err := x.tryStart(name, ipc, pid, config...)
	if err != nil {
		x.Fatal(err)
	}
	return init
}

func (x *lxc) tryStart(name, ipc, pid string, config ...string) (int, error) {
	x.Helper()
	lines := append([]string{
		"lxc.uts.name = " + name,
		"lxc.rootfs.path = dir:" + x.path("rootfs"),
		"lxc.net.0.type = none",
		"lxc.init.cmd = " + strings.Join(payload, " "),
		"lxc.apparmor.profile = unconfined",
		"lxc.mount.auto = proc:rw",
	}, config...)
	x.write(filepath.Join("containers", name, "config"), strings.Join(lines, "\n")+"\n")
	log := x.path(name + ".log")
	if _, err := x.try("timeout", "-k", "5", "30", "lxc-start", "-P", x.path("containers"), "-n", name, "-d", "-l", "INFO", "-o", log); err != nil {
		return 0, fmt.Errorf("%w: %s", err, tail(log))
	}
	x.Cleanup(func() {
		if _, err := x.try("lxc-stop", "-k", "-P", x.path("containers"), "-n", name); err != nil {
			x.Errorf("stopping %s: %v", name, err)
		}
	})
	init, err := strconv.Atoi(x.run("lxc-info", "-P", x.path("containers"), "-n", name, "-pH"))
	if err != nil {
		return 0, err
	}
	x.made = append(x.made, truth{story: strings.Join(config, ", "), name: name, runtime: "lxc", id: name, init: init, ipc: ipc, pid: pid,
		members: append([]int{init}, descendants(init)...)})
	return init, nil
}

func TestLXC(t *testing.T) {
	l := newLab(t, "lxc", "lxc-start", "lxc-stop", "lxc-info")
	l.rootfs("rootfs")
	x := &lxc{lab: l}
	name := func(s string) string { return "nsi-" + s }

	plain := name("plain")
	init, err := x.tryStart(plain, plain, plain)
	if err != nil {
		l.Skipf("LXC cannot run a container on this machine: %v", err)
	}
	// A list of namespaces to keep must name user, or LXC makes a user namespace
	// that maps nobody.
	x.start(name("keep-ipc"), host, name("keep-ipc"), "lxc.namespace.keep = user net ipc")
	x.start(name("keep-both"), host, host, "lxc.namespace.keep = user net ipc pid")
	x.start(name("clone-not-ipc"), host, name("clone-not-ipc"), "lxc.namespace.clone = mnt pid uts")
	x.start(name("share-name"), plain, name("share-name"), "lxc.namespace.share.ipc = "+plain)
	x.start(name("share-pid-number"), name("share-pid-number"), plain, fmt.Sprintf("lxc.namespace.share.pid = %d", init))
	x.start(name("share-host-path"), host, name("share-host-path"), "lxc.namespace.share.ipc = /proc/2/ns/ipc")

	attach := l.sleeper("attach", slices.Concat([]string{"lxc-attach", "-P", l.path("containers"), "-n", plain, "--"}, payload)...)
	l.eventually("lxc-attach to run its command", func() bool {
		for _, p := range descendants(attach.pid) {
			if ns, err := pidNamespace(p); err == nil && ns != hostPIDNamespace {
				return true
			}
		}
		return false
	})
	var attached []int
	for _, p := range descendants(attach.pid) {
		if ns, err := pidNamespace(p); err == nil && ns != hostPIDNamespace {
			attached = append(attached, p)
		}
	}

	all := slices.Clone(x.made)
	helpers := []int{attach.pid}
	for i := range all {
		if all[i].id == plain {
			all[i].members, all[i].exact = append(all[i].members, attached...), true
		}
		helpers = append(helpers, parent(all[i].init)) // [lxc monitor]
	}
	r, _ := l.scan()
	check(t, r, all, helpers)
}
