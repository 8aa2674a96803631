package container

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Judgement is who is who on a host.
type Judgement struct {
	Containers []report.Container // by Ref
	Sandboxes  []report.Sandbox   // by Leader
	Keepers    []Keeper           // by Ref; of the containers for which there is one
	Gaps       []report.Gap       // what the judgement itself could not tell
	members    map[int]Member
	suspects   []*Process
}

// Member is the place of one process.
type Member struct {
	Ref  string // of its container, "" if it is in none
	Role Role
}

// Of returns the place of a process.
func (j *Judgement) Of(pid int) Member { return j.members[pid] }

// Judge tells who is who. It does not change the facts.
func Judge(f *Facts) *Judgement {
	g := groupUp(f)
	j := &Judgement{members: map[int]Member{}}
	refs := g.names()
	for _, c := range g.groups {
		j.Containers = append(j.Containers, j.container(g, c, refs[c]))
	}
	j.keepers(g, refs)
	j.sandboxes(g)
	j.share()
	slices.SortFunc(j.Containers, func(a, b report.Container) int { return cmp.Compare(a.Ref, b.Ref) })
	j.Gaps = append(j.Gaps, g.unreadMounts()...)
	j.disagreements(g, refs)
	return j
}

// names gives every container its ref, unique in the report: runtime:id, and
// for the second of one name also where it is.
func (g *grouping) names() map[*group]string {
	for _, c := range g.groups {
		if c.ref.Runtime == "" {
			c.nameRuntime(g)
		}
	}
	ordered := slices.Clone(g.groups)
	slices.SortFunc(ordered, func(a, b *group) int {
		return cmp.Or(cmp.Compare(len(a.outer), len(b.outer)), compareBool(a.claimed, b.claimed), cmp.Compare(a.ref.Path, b.ref.Path), cmp.Compare(a.ref.ID, b.ref.ID))
	})
	refs, taken := map[*group]string{}, map[string]bool{}
	for _, c := range ordered {
		ref := refOf(c.ref)
		if taken[ref] && c.ref.Path != "" {
			ref += "@" + report.Text(c.ref.Path)
		}
		for n := 2; taken[ref]; n++ {
			ref = fmt.Sprintf("%s#%d", refOf(c.ref), n)
		}
		taken[ref], refs[c] = true, ref
	}
	return refs
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// nameRuntime decides the runtime of a container whose cgroup does not name it
// from the engine process above its init.
func (c *group) nameRuntime(g *grouping) {
	if p := g.engineAbove(g.init(c)); p != nil && p.engine.Runtime != "" {
		c.ref.Runtime = p.engine.Runtime
		c.evidence = append(c.evidence, engineEvidence(p))
		return
	}
	c.ref.Runtime = "unknown"
}

func refOf(r cgroup.Ref) string {
	return report.Text(cmp.Or(r.Runtime, "unknown") + ":" + r.ID)
}

// container judges one container.
func (j *Judgement) container(g *grouping, c *group, ref string) report.Container {
	f := g.facts
	init := g.init(c)
	out := report.Container{
		Ref: ref, Runtime: report.Text(c.ref.Runtime), ID: report.Text(c.ref.ID), Cgroup: report.Text(c.ref.Path),
		Pod: report.Pod{UID: report.Text(c.ref.Pod)}, Init: init.PID, Evidence: c.evidence,
	}
	if init.Detail != nil {
		out.InitComm = report.Text(init.Detail.Comm)
		out.DevShm.State = f.devShm(init)
	}
	for _, o := range c.outer {
		out.Outer = append(out.Outer, refOf(o))
	}
	role := RolePayload
	if c.vmm {
		role = RoleVMM
	}
	for _, p := range c.members {
		out.PIDs = append(out.PIDs, p.PID)
		out.Self = out.Self || p.PID == f.Self
		j.members[p.PID] = Member{ref, role}
		if f.InSetup(p) {
			j.members[p.PID] = Member{ref, RoleSetup}
		}
	}
	for _, p := range c.monitors {
		out.Monitors = append(out.Monitors, p.PID)
		j.members[p.PID] = Member{ref, RoleMonitor}
	}
	slices.Sort(out.Monitors)

	if out.DevShm.State == report.StateHost && f.HostShm != "" || f.InSetup(init) {
		j.suspects = append(j.suspects, init) // a runtime that has not changed its mounts yet
	}
	ipc, pid := kindIPC(f.Baseline), kindPID(f.Baseline)
	out.IPC, out.PID = ipc.of(c, init), pid.of(c, init)
	if c.vmm {
		return out
	}
	if c.unproven {
		j.Gaps = append(j.Gaps, report.Gap{PID: init.PID, File: "fd", Decides: true,
			Error: "called the monitor of a virtual machine (" + ref + "), and no process in its cgroup was seen to have one: what is shared with the host may be an exposure"})
		return out
	}
	for _, p := range c.members {
		atIPC, atPID := f.AtHost(p)
		out.Exposed = out.Exposed || atIPC || atPID
		if atIPC || atPID {
			j.suspects = append(j.suspects, p)
		}
	}
	return out
}

// AtHost tells whether a process, or a single thread of it, is in the host's
// IPC and in the host's PID namespace.
func (f *Facts) AtHost(p *Process) (ipc, pid bool) {
	ipc, pid = f.Baseline.IsIPC(p.IPC), f.Baseline.IsPID(p.PIDNS)
	for _, t := range p.Threads {
		ipc, pid = ipc || f.Baseline.IsIPC(t.IPC), pid || f.Baseline.IsPID(t.PIDNS)
	}
	return ipc, pid
}

// kind is one namespace type, as far as the judgement differs between them.
type kind struct {
	inode  func(*Process) uint64
	thread func(Thread) uint64
	atHost func(uint64) bool
}

func kindIPC(b namespace.Baseline) kind {
	return kind{func(p *Process) uint64 { return p.IPC }, func(t Thread) uint64 { return t.IPC }, b.IsIPC}
}

func kindPID(b namespace.Baseline) kind {
	return kind{func(p *Process) uint64 { return p.PIDNS }, func(t Thread) uint64 { return t.PIDNS }, b.IsPID}
}

// of judges one namespace type of one container. Private is only said when every
// process of it was read: one that was not may be anywhere.
func (k kind) of(c *group, init *Process) report.Namespace {
	ns := report.Namespace{Inode: k.inode(init)}
	unread := ns.Inode == 0
	for _, p := range c.members {
		switch inode := k.inode(p); {
		case inode == 0:
			unread = true
		case ns.Inode != 0 && inode != ns.Inode:
			ns.Strays = append(ns.Strays, p.PID)
			if k.atHost(inode) {
				ns.HostStrays = append(ns.HostStrays, p.PID)
			}
		}
		for _, t := range p.Threads {
			if inode := k.thread(t); inode != 0 && inode != ns.Inode {
				ns.StrayThreads = append(ns.StrayThreads, report.Thread{PID: p.PID, TID: t.TID, Inode: inode, Host: k.atHost(inode)})
			}
		}
	}
	switch {
	case c.vmm:
		ns.State, ns.Strays, ns.HostStrays, ns.StrayThreads = report.StateVM, nil, nil, nil
	case c.unproven:
		ns.State, ns.Strays, ns.HostStrays, ns.StrayThreads = report.StateUnknown, nil, nil, nil
	case k.atHost(ns.Inode):
		ns.State = report.StateHost
	case unread:
		ns.State = report.StateUnknown
	default:
		ns.State = report.StatePrivate
	}
	return ns
}

// share fills in which containers are in one namespace with each other: it turns
// private into shared.
func (j *Judgement) share() {
	with := map[string][]string{}
	each := func(do func(key, ref string, ns *report.Namespace)) {
		for i := range j.Containers {
			c := &j.Containers[i]
			do(namespace.Link("ipc", c.IPC.Inode), c.Ref, &c.IPC)
			do(namespace.Link("pid", c.PID.Inode), c.Ref, &c.PID)
		}
	}
	each(func(key, ref string, ns *report.Namespace) {
		if ns.Inode != 0 && ns.State != report.StateVM {
			with[key] = append(with[key], ref)
		}
	})
	fill := func(key, ref string, ns *report.Namespace) {
		if ns.State == report.StateVM || ns.State == report.StateHost {
			return
		}
		for _, other := range with[key] {
			if other != ref {
				ns.With = append(ns.With, other)
			}
		}
		slices.Sort(ns.With)
		if len(ns.With) > 0 && ns.State == report.StatePrivate {
			ns.State = report.StateShared
		}
	}
	each(fill)
	for i := range j.Sandboxes {
		s := &j.Sandboxes[i]
		fill(namespace.Link("ipc", s.IPC.Inode), "", &s.IPC)
		fill(namespace.Link("pid", s.PID.Inode), "", &s.PID)
	}
}

// disagreements tells of cgroup files whose lines name different containers: the
// best was taken, and the reader should know that there was a choice.
func (j *Judgement) disagreements(g *grouping, refs map[*group]string) {
	for _, c := range g.groups {
		p := g.init(c)
		if g.facts.identity(p).Disagree {
			j.Gaps = append(j.Gaps, report.Gap{PID: p.PID, File: "cgroup",
				Error: "its lines name different containers; taken for " + refs[c]})
		}
	}
	slices.SortStableFunc(j.Gaps, func(a, b report.Gap) int { return a.PID - b.PID })
}

// InSetup tells a low-level runtime's init that has not finished: it has the
// runtime's name, is young, and what it shares with the host says nothing yet.
// A payload can take that name, but not stay young.
func (f *Facts) InSetup(p *Process) bool {
	return p.Detail != nil && SettingUp(p.Detail.Comm, p.Detail.Cmdline) && f.younger(p, setupPatience)
}

// younger tells that a process has started less than some ticks ago.
func (f *Facts) younger(p *Process, ticks uint64) bool {
	return p.Detail != nil && p.Detail.StartTime+ticks > f.Now
}

// Suspects returns the processes that make a container look exposed and are so
// young that they may still be on their way into it, or out of existence: read
// them again before saying so.
func (j *Judgement) Suspects(f *Facts) []Visit {
	var again []Visit
	for _, p := range j.suspects {
		if f.younger(p, patience) || f.InSetup(p) {
			again = append(again, Visit{p.PID, p.Asked})
		}
	}
	return again
}

// How long a process is young, in clock ticks: any, and a runtime's init.
const (
	patience      = ticksPerSecond
	setupPatience = 10 * ticksPerSecond
)

// ticksPerSecond is USER_HZ: a constant of the kernel's interface on every
// architecture that Go runs on (include/asm-generic/param.h).
const ticksPerSecond = 100
