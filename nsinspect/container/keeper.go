package container

import (
	"cmp"
	"slices"
)

// Keeper is the process that an engine runs for one container, or for the pod
// that the container is in: a containerd-shim, a conmon.
type Keeper struct {
	Ref    string // of the container
	ID     string // of the container, as its cgroup has it
	Init   int    // of the container
	PID    int
	Engine EngineProcess // what its command line says

	// Inside is the container that the keeper is a process of, "" if it is the
	// host's: what such a keeper tells of a nested container is a claim of that container.
	Inside string
}

// keeper finds the engine's process above the init of a container: one that names
// the container, or the shim of a pod, which is the parent of all its containers' inits.
// A process of the container itself is not believed to be one.
func (g *grouping) keeper(c *group, init *Process) *Process {
	p := g.engineAbove(init)
	switch {
	case p == nil || g.of[p.PID] == c:
		return nil
	case p.engine.ID == c.ref.ID:
		return p
	case p.engine.Namespace != "" && init.Detail.PPID == p.PID:
		return p
	}
	return nil
}

// keepers notes the keeper of every container, and shows it as the container's monitor.
func (j *Judgement) keepers(g *grouping, refs map[*group]string) {
	b := g.facts.Baseline
	for i, c := range g.groups {
		out := &j.Containers[i]
		init := g.init(c)
		p := g.keeper(c, init)
		if p == nil {
			continue
		}
		k := Keeper{Ref: out.Ref, ID: c.ref.ID, Init: init.PID, PID: p.PID, Engine: *p.engine}
		if around := g.of[p.PID]; around != nil {
			k.Inside = refs[around]
		} else if m := j.members[p.PID]; b.IsIPC(p.IPC) && b.IsPID(p.PIDNS) && (m.Role == RoleNone || p.engine.ID == c.ref.ID) {
			// A pod's shim has the role for the container that it is named after.
			j.members[p.PID] = Member{out.Ref, RoleMonitor}
		}
		j.Keepers = append(j.Keepers, k)
		if !slices.Contains(out.Monitors, p.PID) {
			out.Monitors = append(out.Monitors, p.PID)
			slices.Sort(out.Monitors)
		}
	}
	slices.SortFunc(j.Keepers, func(a, b Keeper) int { return cmp.Compare(a.Ref, b.Ref) })
}
