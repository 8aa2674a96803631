package container

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// Keeper is the process that an engine runs for one container, or for the pod
// that the container is in: a containerd-shim, a conmon.
type Keeper struct {
	Ref    string // of the container
	ID     string // of the container, as its cgroup has it
	Init   int    // of the container
	PID    int
	Engine EngineProcess // what its command line says

	// From and Config are where the configuration of the container's OCI bundle
	// is; From is "" when the engine has none.
	From   proc.Origin
	Config string

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
	case p.servesPod() && init.Detail.PPID == p.PID:
		return p
	}
	return nil
}

// podsNamespace is containerd's namespace for the containers of pods, where one
// shim runs all of a pod's.
const podsNamespace = "k8s.io"

// isShim tells a containerd-shim from the other processes that containerd's
// namespaces are named to.
func (p *Process) isShim() bool {
	return p.engine != nil && p.engine.Namespace != "" && strings.HasPrefix(p.Detail.Comm, "containerd-shim")
}

// servesPod tells a shim that runs all containers of a pod as its children, and is named after the sandbox.
func (p *Process) servesPod() bool { return p.isShim() && p.engine.Namespace == podsNamespace }

// configOf tells where the configuration of a container's bundle is.
func (p *Process) configOf(id string) (proc.Origin, string) {
	const config = "config.json"
	e := p.engine
	switch {
	case p.isShim() && e.ID == id:
		return proc.FromCwd, config
	case p.isShim():
		// A pod has one shim, whose working directory is the sandbox's bundle; the others are beside it.
		if isComponent(id) {
			return proc.FromCwd, "../" + id + "/" + config
		}
	case e.Runtime == "lxc" || e.Runtime == "libvirt-lxc" || e.Runtime == "nspawn":
	case path.IsAbs(e.Bundle):
		return proc.FromRoot, path.Join(e.Bundle, config)
	case e.Bundle != "":
		return proc.FromCwd, path.Join(e.Bundle, config)
	case e.Runtime == "runc" || e.Runtime == "crun" || e.Runtime == "youki" || e.Runtime == "runsc":
		return proc.FromCwd, config // where they look themselves
	}
	return "", ""
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
		if !c.anonymous {
			k.From, k.Config = p.configOf(c.ref.ID)
		}
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
