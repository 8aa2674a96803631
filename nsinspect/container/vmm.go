package container

import (
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// judgeMachines decides which containers run in a guest kernel. Nothing is private, host or shared for those, so
// that words are not enough: whoever may choose a parent for his container's cgroup can call it "firecracker". One of its
// processes must have a virtual machine. Where the words are all there is, what the namespaces say may be by design or
// may be an exposure, so that they are unknown. What is no machine even by its words loses the name of the runtime, too.
func (g *grouping) judgeMachines() {
	for _, c := range g.groups {
		if len(c.members) == 0 {
			continue
		}
		claimed := g.calledMachine(c)
		if c.vmm && !claimed {
			c.ref.Runtime = ""
		}
		i := slices.IndexFunc(c.members, func(p *Process) bool { return p.Detail != nil && p.Detail.Machine != "" })
		c.vmm, c.unproven = claimed && i >= 0, claimed && i < 0
		if c.vmm {
			c.evidence = append(c.evidence, report.Evidence{What: where(c.members[i], "fd"), Value: report.Text(c.members[i].Detail.Machine), Expected: "is a virtual machine"})
		}
	}
}

// calledMachine tells whether the container is a virtual machine by the words of those who may say so.
func (g *grouping) calledMachine(c *group) bool {
	init := g.init(c)
	if g.knownToRuntime(init) {
		return false // runc and crun start processes, no machines
	}
	if e := g.engineAbove(init); e != nil && e.engine.ID != "" {
		return e.engine.VM && e.isRoots() && g.of[e.PID] == nil
	}
	return c.vmm && !delegated(c.ref.Path)
}

// knownToRuntime tells whether the process is what the state file of an OCI runtime says.
func (g *grouping) knownToRuntime(p *Process) bool {
	return p.Detail != nil && slices.ContainsFunc(g.facts.States, func(s State) bool {
		return s.PID == p.PID && s.Start == p.Detail.StartTime
	})
}

// isRoots tells whether nobody but root has started the process: a program that
// is set-user-ID can be started under any name. It is false for one whose
// status was not read.
func (p *Process) isRoots() bool {
	return p.Detail != nil && p.Detail.Status != nil && p.Detail.Status.UID == 0 && p.Detail.Status.EUID == 0
}

// delegated tells whether a cgroup is in the part of the tree that systemd gives to a user.
func delegated(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(name string) bool {
		return strings.HasPrefix(name, "user@") && strings.HasSuffix(name, ".service")
	})
}
