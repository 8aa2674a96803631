package container

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Role is what a process is to its container.
type Role string

// The roles of a process. The first four are also told by a cgroup path alone.
const (
	RoleNone    Role = ""        // a process of the host
	RolePayload Role = "payload" // a process of the container
	RoleMonitor Role = "monitor" // the engine's helper for one container, in host namespaces by design
	RoleVMM     Role = "vmm"     // of Kata or Firecracker: the container runs in a guest kernel
	RoleSetup   Role = "setup"   // runc's or crun's init before it has joined its namespaces
	RoleSandbox Role = "sandbox" // in no container, and yet apart from the host
)

// group is a container in the making.
type group struct {
	ref      cgroup.Ref
	outer    []cgroup.Ref
	weak     bool // only the shape of a cgroup speaks for it
	claimed  bool // only a process that is not root's speaks for it
	vmm      bool // it runs in a guest kernel; before judgeMachines: its cgroup says so
	unproven bool // it is called a virtual machine, and no process of it has one
	// anonymous: nothing tells its id; it is called by its first process.
	anonymous bool
	members   []*Process
	monitors  []*Process
	evidence  []report.Evidence
}

// grouping is the membership of every process.
type grouping struct {
	facts    *Facts
	groups   []*group
	byKey    map[string]*group
	byEngine map[engineKey]*group // that have no cgroup
	of       map[int]*group       // by PID, members only

	monitors []*Process // that a cgroup path tells
	doubtful []*Process // those of them that do not look like one
}

// groupUp puts the processes into containers: by cgroup, then by the engine
// process that is the parent of what has no cgroup of its own.
func groupUp(f *Facts) *grouping {
	g := &grouping{facts: f, byKey: map[string]*group{}, byEngine: map[engineKey]*group{}, of: map[int]*group{}}
	for i := range f.Processes {
		p := &f.Processes[i]
		if !p.Zombie && !p.isKernel() {
			g.place(p, &f.identity(p).Identity)
		}
	}
	g.dissolveWeak()
	g.attachMonitors()
	g.moveMonitors()
	for i := range f.Processes {
		p := &f.Processes[i]
		if !p.Zombie && p.Detail != nil && !p.isKernel() && g.of[p.PID] == nil && f.apart(p) {
			g.placeByEngine(p)
		}
	}
	g.placeDoubtful()
	g.judgeMachines()
	for _, s := range f.States {
		g.placeByState(s)
	}
	g.placeInPods()
	g.placeByMounts()
	g.groups = slices.DeleteFunc(g.groups, func(c *group) bool { return len(c.members) == 0 })
	return g
}

// isKernel tells a kernel thread. One that serves a process, as vhost's did before
// Linux 6.4, is in the cgroup of that process (drivers/vhost/vhost.c,
// vhost_attach_cgroups), and in the host's namespaces; no process can look like one.
func (p *Process) isKernel() bool { return p.Detail != nil && p.Detail.KernelThread }

// place puts a process where its cgroup says it belongs.
func (g *grouping) place(p *Process, id *cgroup.Identity) {
	ref, outer, role := id.Ref, id.Outer, id.Role
	if role != cgroup.RolePayload && len(outer) > 0 {
		// A helper's cgroup below a container's is a claim of whoever owns that
		// container, and would hide a process from the verdict if it were believed.
		ref, outer, role = outer[len(outer)-1], outer[:len(outer)-1], cgroup.RolePayload
	}
	switch role {
	case cgroup.RolePayload, cgroup.RoleVMM:
		c := g.group(ref, outer)
		if len(c.evidence) == 0 {
			c.evidence = append(c.evidence, report.Evidence{What: where(p, "cgroup"), Value: report.Text(id.Line), Expected: "names " + kindOf(ref)})
			c.weak = id.Weak
		}
		c.vmm = c.vmm || role == cgroup.RoleVMM
		g.join(c, p)
	case cgroup.RoleMonitor:
		g.monitors = append(g.monitors, p)
	}
}

// attachMonitors gives the monitors to the containers that they name. One that
// has left the host's namespaces or root directory may be a payload under a
// monitor's name, unless it is the parent of one: the LXD of a snap is so.
func (g *grouping) attachMonitors() {
	for _, p := range g.monitors {
		ref := g.facts.identity(p).Ref
		b := &g.facts.Baseline
		if (p.IPC != 0 && !b.IsIPC(p.IPC) || p.PIDNS != 0 && !b.IsPID(p.PIDNS) || g.facts.OwnRoot(p)) &&
			!slices.ContainsFunc(g.groups, func(c *group) bool {
				return c.ref.ID == ref.ID && slices.ContainsFunc(c.members, func(m *Process) bool { return g.engineAbove(m) == p })
			}) {
			g.doubtful = append(g.doubtful, p)
			continue
		}
		if c := g.named(ref.ID); c != nil && ref.Runtime == c.ref.Runtime {
			c.monitors = append(c.monitors, p)
		}
	}
}

// placeDoubtful makes containers of what only has a monitor's cgroup.
func (g *grouping) placeDoubtful() {
	for _, p := range g.doubtful {
		id := &g.facts.identity(p).Identity
		if g.of[p.PID] != nil || id.Ref.ID == "" || p.engine != nil && p.engine.ID == id.Ref.ID {
			continue
		}
		c := g.group(id.Ref, nil)
		if len(c.evidence) == 0 {
			c.evidence = append(c.evidence, report.Evidence{What: where(p, "cgroup"), Value: report.Text(id.Line),
				Expected: "names a monitor of " + id.Runtime + ", which is in the host's namespaces and sees the host's root directory"})
		}
		g.join(c, p)
	}
}

// named returns the outermost container with an id, nil if there is none.
func (g *grouping) named(id string) *group {
	i := slices.IndexFunc(g.groups, func(c *group) bool { return id != "" && c.ref.ID == id && len(c.outer) == 0 })
	if i < 0 {
		return nil
	}
	return g.groups[i]
}

func kindOf(ref cgroup.Ref) string {
	if ref.Runtime == "" {
		return "a container"
	}
	return "a container of " + ref.Runtime
}

func (g *grouping) join(c *group, p *Process) {
	c.members = append(c.members, p)
	g.of[p.PID] = c
}

// group returns the container of a name in a place, and makes it when it is new.
// The place is part of it: whoever may write cgroups somewhere can give one the
// name of somebody else's container.
func (g *grouping) group(ref cgroup.Ref, outer []cgroup.Ref) *group {
	key := keyOf(ref, outer)
	if c := g.byKey[key]; c != nil {
		return c
	}
	c := &group{ref: ref, outer: outer}
	g.byKey[key] = c
	g.groups = append(g.groups, c)
	return c
}

func keyOf(ref cgroup.Ref, outer []cgroup.Ref) string {
	key := strings.Join([]string{ref.Runtime, ref.ID, ref.Path}, "\x00")
	for _, o := range outer {
		key += "\x00" + o.Runtime + "\x00" + o.ID
	}
	return key
}

// moveMonitors takes the engines' helpers out of the containers they watch over:
// conmon in a pod's cgroup, libvirt_lxc in its container's. A process is believed
// to be one only if it came first, nothing of it is apart from the host, its
// command line is an engine's, and it is the parent of a member that is apart. A
// payload that has broken out can make itself look so, but for coming first; and
// if it is the first of its container, the engine's own process is above it.
func (g *grouping) moveMonitors() {
	for _, c := range g.groups {
		if len(c.members) < 2 {
			continue
		}
		first := g.init(c)
		if above := g.engineAbove(first); above != nil && above.engine.ID != "" {
			continue
		}
		if first.engine == nil || g.facts.apart(first) || !slices.ContainsFunc(c.members, func(p *Process) bool {
			return p.Detail != nil && p.Detail.PPID == first.PID && g.facts.apart(p)
		}) {
			continue
		}
		c.monitors = append(c.monitors, first)
		c.members = slices.DeleteFunc(c.members, func(p *Process) bool { return p == first })
		delete(g.of, first.PID)
	}
}

// dissolveWeak gives up the containers for which only the shape of a cgroup
// speaks, unless one of their processes supports it. What is left of their
// identity places the processes.
func (g *grouping) dissolveWeak() {
	for _, c := range slices.Clone(g.groups) {
		if !c.weak || slices.ContainsFunc(c.members, func(p *Process) bool { return g.supports(p, c) }) {
			continue
		}
		members := c.members
		c.members = nil
		for _, p := range members {
			delete(g.of, p.PID)
			g.place(p, &g.facts.identity(p).Certain)
		}
	}
}

// supports tells that a process is more than a name in a cgroup: it is apart
// from the host or, below another container, from that one; it, or the host, cannot be read,
// so that it may be; or an engine that runs this container is above it.
func (g *grouping) supports(p *Process, c *group) bool {
	if p.IPC == 0 || p.PIDNS == 0 || p.Mnt == 0 || g.facts.Baseline.Mnt == 0 {
		return true
	}
	if g.knownToRuntime(p) {
		return true
	}
	if e := g.engineAbove(p); e != nil && (e.engine.ID == c.ref.ID || len(c.outer) == 0) {
		return true
	}
	if len(c.outer) == 0 {
		return g.facts.apart(p)
	}
	last := len(c.outer) - 1
	around := g.byKey[keyOf(c.outer[last], c.outer[:last])]
	if around == nil || len(around.members) == 0 {
		return g.facts.apart(p)
	}
	o := g.init(around)
	return p.Mnt != o.Mnt || p.PIDNS != o.PIDNS || p.IPC != o.IPC
}

// engineAbove returns the nearest ancestor that an engine runs for one
// container, nil if there is none.
func (g *grouping) engineAbove(p *Process) *Process {
	for range maxDepth {
		if p.Detail == nil {
			return nil
		}
		p = g.facts.Find(p.Detail.PPID)
		if p == nil {
			return nil
		}
		if p.engine != nil {
			return p
		}
	}
	return nil
}

// placeByEngine finds the container of a process whose cgroup tells nothing: it
// descends from a process that an engine runs for one container, and is not in
// that process's mount namespace (the helpers of a rootless engine are).
func (g *grouping) placeByEngine(p *Process) {
	monitor := g.engineFor(p)
	if monitor == nil || monitor.Mnt == p.Mnt {
		return
	}
	e := monitor.engine
	var c *group
	ref := cgroup.Ref{Runtime: e.Runtime, ID: e.ID}
	if monitor.isRoots() {
		c = g.named(e.ID)
		if c != nil && monitor.servesPod() && !e.VM {
			first := g.firstBelow(monitor, p)
			if in := g.of[first.PID]; in != nil {
				c = in
			} else {
				// Another container of the pod: its shim is named after the sandbox. This is how nsinspect sees
				// the one that it runs in itself, from a cgroup namespace in which that one's cgroup is "/".
				ref.ID, ref.Pod, c = fmt.Sprintf("pid-%d", first.PID), c.ref.Pod, nil
			}
		}
	}
	if c == nil {
		if c = g.byEngine[engineKey{ref, monitor.isRoots()}]; c == nil {
			c = &group{ref: ref, anonymous: ref.ID != e.ID, claimed: !monitor.isRoots(), evidence: []report.Evidence{engineEvidence(monitor)}}
			g.byEngine[engineKey{ref, monitor.isRoots()}] = c
			g.groups = append(g.groups, c)
		}
	}
	if !slices.Contains(c.monitors, monitor) {
		c.monitors = append(c.monitors, monitor)
	}
	g.join(c, p)
}

// firstBelow returns which of the processes below another one and in the mount namespace of a third is in a container
// that is known, or else started first: a container's are all in its mount namespace.
func (g *grouping) firstBelow(above, like *Process) *Process {
	first := like
	for i := range g.facts.Processes {
		p := &g.facts.Processes[i]
		if p.Zombie || p.Mnt != like.Mnt || p.Detail == nil || p.isKernel() || !g.descends(p, above) {
			continue
		}
		if g.of[first.PID] == nil && (g.of[p.PID] != nil || p.Detail.StartTime < first.Detail.StartTime) {
			first = p
		}
	}
	return first
}

// engineKey is how the containers that only an engine's process tells of are told apart.
type engineKey struct {
	ref  cgroup.Ref
	root bool
}

// engineFor returns the process that an engine runs for the container of a
// process without a cgroup, nil if there is none: the outermost of root's above it, or
// else the outermost. Whatever is below that can be the container's own, under an engine's name.
func (g *grouping) engineFor(p *Process) *Process {
	var found *Process
	for range maxDepth {
		if p = g.engineAbove(p); p == nil {
			break
		}
		if p.engine.ID != "" && (found == nil || p.isRoots() || !found.isRoots()) {
			found = p
		}
	}
	return found
}

func engineEvidence(p *Process) report.Evidence {
	return report.Evidence{
		What:     where(p, "cmdline"),
		Value:    report.Text(strings.Join(p.Detail.Cmdline, " ")),
		Expected: "is " + p.engine.Runtime + "'s process for one container",
	}
}

// init returns the container's first payload process: of those whose parent is
// not a member, the one that started first.
func (g *grouping) init(c *group) *Process {
	var first *Process
	for _, p := range c.members {
		if p.Detail == nil || g.of[p.Detail.PPID] == c {
			continue
		}
		if first == nil || p.Detail.StartTime < first.Detail.StartTime {
			first = p // members are in the order of their PIDs, so the lower PID wins a tie
		}
	}
	if first == nil {
		return c.members[0]
	}
	return first
}

// where names a file of a process, as evidence does.
func where(p *Process, file string) string {
	if p.TID != 0 && file != "cmdline" {
		return fmt.Sprintf("/proc/%d/task/%d/%s", p.PID, p.TID, file)
	}
	return fmt.Sprintf("/proc/%d/%s", p.PID, file)
}
