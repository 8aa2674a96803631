package container

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// What an OCI runtime mounts for a container whose configuration nobody has changed much is like nothing else does:
// a /dev of 64 MiB, and files and directories of /proc and /sys covered by /dev/null and by empty read-only file
// systems (opencontainers/runc libcontainer/specconv/example.go, containerd oci/mounts.go, moby daemon/pkg/oci/defaults.go,
// containers/common pkg/subscriptions and runtime-tools generate). What comes near it does not do it so:
//
//   - systemd gives a service with PrivateDevices= a /dev of 4 MiB, binds nodes of /run/systemd/inaccessible over what is
//     inaccessible, and makes the rest read-only (src/core/namespace.c, src/shared/mount-util.h);
//     systemd-nspawn the same
//   - bwrap, and with it flatpak, gives /dev no size and covers nothing
//   - snap and apptainer show the host's /proc and /dev, firejail covers with files of its own, LXC gives 500 KiB
//   - a chroot, or a browser's sandbox, has no mounts of its own

// coveredPaths are those that OCI runtimes cover by default, the older and the newer ones.
var coveredPaths = []string{
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
	"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
}

// mostStacked is how many mounts on one place are kept from each end: the runtime's is the lowest, and what is seen the highest.
const mostStacked = 16

// telling returns the mounts that something is told from. Anybody who may make a user namespace can have a mount namespace of
// 100 000 mounts (fs.mount-max) on paths of 4 KiB, and many of them, which would all be kept until the end.
func telling(mounts []proc.Mount) []proc.Mount {
	if mounts == nil {
		return nil
	}
	tells := func(m proc.Mount) bool {
		switch m.Point {
		case "/", "/dev", "/dev/shm", "/proc":
			return true
		}
		return slices.Contains(coveredPaths, m.Point)
	}
	stacked := map[string]int{}
	for _, m := range mounts {
		if tells(m) {
			stacked[m.Point]++
		}
	}
	kept, met := make([]proc.Mount, 0, len(stacked)), map[string]int{}
	for _, m := range mounts {
		if !tells(m) {
			continue
		}
		if n := met[m.Point]; n < mostStacked || n >= stacked[m.Point]-mostStacked {
			kept = append(kept, m)
		}
		met[m.Point]++
	}
	return kept
}

// ContainerMounts returns those of the mounts of a process that say that an OCI runtime has set it up, none if they
// do not say enough. It says no for a container whose configuration has neither the usual /dev nor anything
// that is covered.
func ContainerMounts(mounts []proc.Mount) []proc.Mount {
	var marks []proc.Mount
	weight, ownProc := 0, false
	seen := map[string]bool{}
	for _, m := range slices.Backward(mounts) {
		// What is under another one counts too: a user mounts the host's /dev over the runtime's, and the container what it likes.
		switch {
		case m.Point == "/proc":
			ownProc = ownProc || m.Type == "proc" && m.Root == "/"
		case seen[m.Point]:
		case m.Point == "/dev" && m.Type == "tmpfs" && m.Root == "/" && hasOption(m.Super, "size=65536k"):
			seen[m.Point] = true
			marks, weight = append(marks, m), weight+2
		case slices.Contains(coveredPaths, m.Point) && covers(m):
			seen[m.Point] = true
			marks, weight = append(marks, m), weight+1
		}
	}
	if !ownProc || weight < 2 {
		return nil
	}
	slices.Reverse(marks)
	return marks
}

// covers tells whether a mount is what an OCI runtime hides a file or a directory with.
func covers(m proc.Mount) bool {
	switch m.Type {
	case "tmpfs":
		return m.Root == "/null" || m.Root == "/" && hasOption(m.Options, "ro")
	case "devtmpfs":
		return m.Root == "/null"
	}
	return false
}

func hasOption(options, want string) bool {
	return slices.Contains(strings.Split(options, ","), want)
}

// stranger is a mount namespace which is not a known container's, whose processes have a root
// directory of their own, and of which some are in a namespace of the host's.
type stranger struct {
	mnt       uint64
	init      *Process
	processes []*Process
	service   bool // who was in it first has the host's root directory
}

// strangers returns them by their first process. Whose a mount namespace is tells the process that was in it first: others can have
// entered it from outside, out of a known container too, and from the host into a known container. Where that one has the host's root
// directory, it is a service, the others of which have changed theirs, unless their mounts say otherwise: a container that was given the
// host's files can have changed to those.
func (g *grouping) strangers() []stranger {
	f := g.facts
	if f.HostRoot == (proc.FileID{}) && f.Baseline.Mnt == 0 {
		return nil
	}
	in := map[uint64][]*Process{}
	for i := range f.Processes {
		p := &f.Processes[i]
		if !p.Zombie && p.Detail != nil && !p.isKernel() && p.Mnt != 0 && p.Mnt != f.Baseline.Mnt {
			in[p.Mnt] = append(in[p.Mnt], p)
		}
	}
	var all []stranger
	for mnt, everybody := range in {
		s := stranger{mnt: mnt, init: leaderOf(everybody)}
		if g.placed(s.init) {
			continue
		}
		atHost := false
		for _, p := range everybody {
			if g.isStrange(p) {
				s.processes = append(s.processes, p)
				ipc, pid := f.AtHost(p)
				atHost = atHost || ipc || pid
			}
		}
		if !atHost {
			continue
		}
		if s.service = !g.isStrange(s.init); s.service {
			s.init = leaderOf(s.processes)
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b stranger) int { return a.init.PID - b.init.PID })
	return all
}

// isStrange tells a process that is in no container yet, no monitor of one, and not known to have the host's root directory:
// one that could not be read, on a file system in a user namespace for example, says nothing. A cgroup named as flatpak,
// snap or a monitor name theirs does not make it theirs.
func (g *grouping) isStrange(p *Process) bool {
	f := g.facts
	return !g.placed(p) && (f.HostRoot == (proc.FileID{}) || p.Detail.Root != f.HostRoot)
}

// placed tells a process of which it is known whose it is.
func (g *grouping) placed(p *Process) bool {
	return g.of[p.PID] != nil || slices.Contains(g.monitors, p) && !slices.Contains(g.doubtful, p)
}

// placeByMounts finds the containers that neither a cgroup, nor an engine, nor the state file of a runtime tells of:
// their runtime was given a state directory of its own and any cgroup, and has gone. One that shares nothing with the
// host stays a sandbox.
func (g *grouping) placeByMounts() {
	for _, s := range g.strangers() {
		marks := ContainerMounts(s.init.Detail.MountInfo)
		if marks == nil {
			continue
		}
		c := &group{evidence: mountEvidence(s.init, marks)}
		c.ref.ID = fmt.Sprintf("mnt-%d", s.mnt)
		g.groups = append(g.groups, c)
		for _, p := range s.processes {
			// Others may have entered its mount namespace from outside.
			if p == s.init || p.Cgroup == s.init.Cgroup || g.descends(p, s.init) {
				g.join(c, p)
			}
		}
	}
}

// shownMarks is how many mounts are given as evidence.
const shownMarks = 3

func mountEvidence(p *Process, marks []proc.Mount) []report.Evidence {
	var all []report.Evidence
	for _, m := range marks[:min(len(marks), shownMarks)] {
		all = append(all, report.Evidence{What: where(p, "mountinfo"), Value: report.Text(strings.TrimSpace(m.Point + " " + m.Type + " " + m.Root + " " + m.Super)),
			Expected: "is as OCI runtimes mount it for a container"})
	}
	return all
}

// rootOnly tells that mounts are not those of a mount namespace. A process that has changed its root directory sees only
// what is mounted below that (proc_pid_mountinfo(5)): nothing at all, or what was mounted in the middle of a tree.
func rootOnly(mounts []proc.Mount) bool {
	var root proc.Mount
	ownProc := false
	for _, m := range mounts {
		switch m.Point {
		case "/":
			root = m
		case "/proc":
			ownProc = true
		}
	}
	switch root.Type {
	case "", "proc", "sysfs", "devtmpfs", "devpts", "mqueue", "cgroup", "cgroup2":
		return true
	case "tmpfs":
		return root.Root == "/" && !ownProc
	}
	return false
}

// unreadMounts are the gaps for what may be such a container, and cannot be told.
func (g *grouping) unreadMounts() []report.Gap {
	var gaps []report.Gap
	for _, s := range g.strangers() {
		if !s.service && rootOnly(s.init.Detail.MountInfo) {
			gaps = append(gaps, report.Gap{PID: s.init.PID, File: "mountinfo", Decides: true,
				Error: "its root directory is its own, a namespace is the host's, and without the mounts of its mount namespace it cannot be told from a container"})
		}
	}
	return gaps
}

// placeInPods finds the containers that are in their pod's own cgroup instead of one below it. The engines' helpers
// and virtual machine monitors can be in there, too: they see the host's root directory, or an engine's process
// for a container is above them.
func (g *grouping) placeInPods() {
	for i := range g.facts.Processes {
		p := &g.facts.Processes[i]
		id := g.facts.identity(p)
		if id.Role != cgroup.RoleNone || id.Pod == "" || len(id.Outer) > 0 || p.Zombie || p.Detail == nil || p.isKernel() || g.of[p.PID] != nil ||
			!g.facts.OwnRoot(p) || g.engineFor(p) != nil {
			continue
		}
		ref := id.Ref
		ref.ID = "pod" + ref.Pod
		c := g.group(ref, nil)
		if len(c.evidence) == 0 {
			c.evidence = append(c.evidence, report.Evidence{What: where(p, "cgroup"), Value: report.Text(id.Line),
				Expected: "names a pod; its root directory is not the host's, and no engine's process is above it"})
		}
		g.join(c, p)
	}
}
