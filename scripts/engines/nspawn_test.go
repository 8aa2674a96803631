package engines

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// hostPIDNamespace is the inode of the kernel's initial PID namespace
// (PROC_PID_INIT_INO, include/uapi/linux/nsfs.h).
const hostPIDNamespace = 0xEFFFFFFC

func pidNamespace(pid int) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(fmt.Sprintf("/proc/%d/ns/pid", pid), &st)
	return st.Ino, err
}

// inCgroup runs a command in new cgroups of the given path, as a service manager
// would, in the hierarchies that systemd keeps.
func (l *lab) inCgroup(path string, args ...string) []string {
	l.Helper()
	script := ""
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"} {
		if _, err := os.Stat(filepath.Join(hierarchy, "cgroup.procs")); err == nil {
			dir := filepath.Join(hierarchy, path)
			script += fmt.Sprintf("mkdir -p %s && echo $$ > %s/cgroup.procs\n", dir, dir)
		}
	}
	return append([]string{"sh", "-ec", script + `exec "$@"`, "sh"}, args...)
}

func TestNspawn(t *testing.T) {
	l := newLab(t, "systemd-nspawn", "systemd-nspawn")
	var all []truth
	var helpers []int
	start := func(machine string, flags ...string) {
		root := l.rootfs("root-" + machine)
		// Without a service manager to make its scope we make it, with the name
		// that systemd-nspawn would ask for.
		args := slices.Concat([]string{"systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network",
			"--machine=" + machine, "--directory=" + root}, flags, payload)
		d := l.background(machine, l.inCgroup("machine.slice/machine-"+machine+".scope", args...)...)
		var init int
		d.ready(l, func() error {
			for _, p := range descendants(d.pid) {
				exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", p))
				if ns, err := pidNamespace(p); err == nil && ns != hostPIDNamespace && filepath.Base(exe) == "busybox" {
					init = p
					return nil
				}
			}
			return fmt.Errorf("no %s yet", payload[0])
		})
		all = append(all, truth{story: machine, name: machine, runtime: "nspawn", id: machine, init: init, ipc: machine, pid: machine,
			members: []int{init}})
		helpers = append(helpers, d.pid)
	}
	start("nsione")
	start("nsitwo", "--as-pid2")

	// systemd-nspawn always makes both namespaces; only by an environment variable can it be told not to.
	l.env = append(l.env, "SYSTEMD_NSPAWN_SHARE_NS_IPC=1")
	start("nsiipc")
	all[len(all)-1].ipc = host
	for i := range all {
		if all[i].story == "nsitwo" { // the init is nspawn's own stub
			all[i].init = parent(all[i].init)
		}
	}
	r, _ := l.scan()
	check(t, r, all, helpers)
}
