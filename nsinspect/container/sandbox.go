package container

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// box is what the processes of one sandbox have in common.
type box struct {
	ipc, pid uint64
	root     proc.FileID // zero when it is the host's
	app      string      // the flatpak or snap, "" for others
}

// sandboxes collects the processes outside containers that have an IPC or PID
// namespace or a root directory of their own, by what they share.
func (j *Judgement) sandboxes(g *grouping) {
	f := g.facts
	boxes := map[box][]*Process{}
	for i := range f.Processes {
		p := &f.Processes[i]
		if p.Zombie || p.Detail == nil || p.isKernel() || g.of[p.PID] != nil || j.members[p.PID].Role == RoleMonitor {
			continue
		}
		b := box{ipc: p.IPC, pid: p.PIDNS, root: f.ownRoot(p)}
		if id := f.identity(p); id.Role == cgroup.RoleApp {
			b.app = id.Runtime + ":" + id.ID
		}
		if p.IPC != 0 && !f.Baseline.IsIPC(p.IPC) || p.PIDNS != 0 && !f.Baseline.IsPID(p.PIDNS) || b.root != (proc.FileID{}) || b.app != "" {
			boxes[b] = append(boxes[b], p)
		}
	}
	for b, members := range boxes {
		leader := leaderOf(members)
		s := report.Sandbox{
			Leader: leader.PID, Comm: report.Text(leader.Detail.Comm), OwnRoot: b.root != (proc.FileID{}),
			Name: report.Text(cmp.Or(b.app, f.identity(leader).Unit)),
			IPC:  report.Namespace{State: stateOf(kindIPC(f.Baseline), b.ipc), Inode: b.ipc},
			PID:  report.Namespace{State: stateOf(kindPID(f.Baseline), b.pid), Inode: b.pid},
		}
		for _, p := range members {
			s.PIDs = append(s.PIDs, p.PID)
			j.members[p.PID] = Member{Role: RoleSandbox}
			if s.OwnRoot && (s.IPC.State == report.StateHost || s.PID.State == report.StateHost) {
				j.suspects = append(j.suspects, p)
			}
		}
		j.Sandboxes = append(j.Sandboxes, s)
	}
	slices.SortFunc(j.Sandboxes, func(a, b report.Sandbox) int { return a.Leader - b.Leader })
}

func stateOf(k kind, inode uint64) report.State {
	switch {
	case inode == 0:
		return report.StateUnknown
	case k.atHost(inode):
		return report.StateHost
	}
	return report.StatePrivate
}

// leaderOf returns the process that the others of a sandbox come from: the one
// that started first of those whose parent is not in it.
func leaderOf(members []*Process) *Process {
	in := map[int]bool{}
	for _, p := range members {
		in[p.PID] = true
	}
	leader := members[0]
	for _, p := range members {
		if in[leader.Detail.PPID] && !in[p.Detail.PPID] ||
			in[leader.Detail.PPID] == in[p.Detail.PPID] && p.Detail.StartTime < leader.Detail.StartTime {
			leader = p
		}
	}
	return leader
}

// ownRoot returns the root directory of a process if it is known not to be the
// host's, zero otherwise.
func (f *Facts) ownRoot(p *Process) proc.FileID {
	if p.Detail == nil || f.HostRoot == (proc.FileID{}) || p.Detail.Root == f.HostRoot {
		return proc.FileID{}
	}
	return p.Detail.Root
}

// devShm tells whose file system a container has at /dev/shm.
func (f *Facts) devShm(p *Process) report.State {
	switch {
	case f.InSetup(p):
		return report.StateUnknown // it has not changed its mounts yet, perhaps
	case p.Mnt != 0 && p.Mnt == f.Baseline.Mnt:
		return report.StateHost
	case p.Detail == nil || p.Detail.MountInfo == nil || f.HostShm == "":
		return report.StateUnknown
	}
	switch DevShm(p.Detail.MountInfo) {
	case "":
		return report.StateNone
	case f.HostShm:
		return report.StateHost
	}
	return report.StatePrivate
}

// DevShm returns the device, "major:minor", of the file system that a process
// sees at /dev/shm; "" when nothing is mounted there. The last of several mounts
// on one place is the one that is seen.
func DevShm(mounts []proc.Mount) string {
	for _, m := range slices.Backward(mounts) {
		if m.Point == "/dev/shm" {
			return fmt.Sprintf("%d:%d", m.Major, m.Minor)
		}
	}
	return ""
}

// DevShmTrap says why the /dev/shm of a process is not to be looked at, "" if there
// is no reason: what is on the way is answered for by a process, perhaps the
// container's own, which can let root wait for ever.
func DevShmTrap(mounts []proc.Mount) string {
	seen := map[string]bool{}
	for _, m := range slices.Backward(mounts) {
		if seen[m.Point] {
			continue
		}
		seen[m.Point] = true
		switch m.Point {
		case "/", "/dev":
			if strings.HasPrefix(m.Type, "fuse") {
				return m.Point + " is a file system in user space (" + m.Type + "), which may never answer"
			}
		case "/dev/shm":
			if m.Type != "tmpfs" {
				return "it is no tmpfs, but " + m.Type
			}
		}
	}
	return ""
}
