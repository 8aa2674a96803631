package container

import (
	"slices"
	"strings"
)

// judgeMachines decides which containers run in a guest kernel. Nothing is
// private, host or shared for those, so that the word of a cgroup's name is not
// enough: whoever may choose a parent for his container's cgroup can call it
// "firecracker". What is no machine loses the name of the runtime, too.
func (g *grouping) judgeMachines() {
	for _, c := range g.groups {
		if len(c.members) == 0 {
			continue
		}
		machine := g.isMachine(c)
		if c.vmm && !machine {
			c.ref.Runtime = ""
		}
		c.vmm = machine
	}
}

func (g *grouping) isMachine(c *group) bool {
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
