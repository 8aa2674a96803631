// Package container tells who is who: it groups the processes of a host into
// containers and sandboxes and judges in which namespaces each of them is.
// Everything in it is a function of values; the facts are collected elsewhere.
package container

import (
	"slices"
	"sort"

	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// Process is one process with what the hot pass and, once it was visited, the
// cold pass read of it.
type Process struct {
	proc.Record
	Threads []Thread       // that are in another ipc or pid namespace than the process; only looked for when somebody asks for it
	Detail  *proc.Detail   // nil before the visit
	Asked   proc.Want      // what the visit asked for
	Failed  bool           // the visit failed, and will again
	engine  *EngineProcess // what its command line says, once visited; nil if it is no engine's process
}

// Thread is a thread that is not in the namespaces of its process.
type Thread struct {
	TID        int
	IPC, PIDNS uint64 // 0 for the one that is the process's
}

// Facts is everything that the judgement is a function of.
type Facts struct {
	Processes  []Process  // by PID
	Identities []Identity // what Process.Cgroup is an index into
	Baseline   namespace.Baseline
	States     []State     // what OCI runtimes have written down, in their order
	HostRoot   proc.FileID // the root directory of the baseline's process; zero if unknown
	HostShm    string      // the device of the file system at the host's /dev/shm, "major:minor"; "" if unknown
	Now        uint64      // the host's uptime in clock ticks, as [proc.Detail.StartTime] is
	Self       int         // nsinspect's own PID as this /proc numbers it; 0 if it is not in it
}

// Identity is what a cgroup file says, and what of it does not need the support
// of other evidence.
type Identity struct {
	cgroup.Identity
	Certain cgroup.Identity
	Content string
}

// Identify reads the content of a cgroup file.
func Identify(content string) Identity {
	id := Identity{Identity: cgroup.Identify([]byte(content)), Content: content}
	id.Certain = id.Identity
	if id.Weak {
		id.Certain = cgroup.Certain([]byte(content))
	}
	return id
}

// Visit is one request to the cold pass.
type Visit struct {
	PID  int
	Want proc.Want
}

// Find returns the process with a PID, nil if there is none.
func (f *Facts) Find(pid int) *Process {
	// Not slices.BinarySearchFunc, which would copy every process that it looks at.
	i := sort.Search(len(f.Processes), func(i int) bool { return f.Processes[i].PID >= pid })
	if i == len(f.Processes) || f.Processes[i].PID != pid {
		return nil
	}
	return &f.Processes[i]
}

// Apply replaces what is known of one process by what a visit read.
func (f *Facts) Apply(d *proc.Detail, asked proc.Want) {
	p := f.Find(d.PID)
	if p == nil {
		return
	}
	index := p.Record.Cgroup
	d.MountInfo = telling(d.MountInfo)
	p.Record, p.Detail, p.Asked = d.Record, d, asked
	p.engine = engineOf(d)
	if d.Cgroup == "" {
		p.Record.Cgroup = -1
		return
	}
	// The process may have moved since the hot pass.
	if id := Identify(d.Cgroup); index < 0 || f.Identities[index].Content != d.Cgroup {
		index = int32(len(f.Identities))
		f.Identities = append(f.Identities, id)
	}
	p.Record.Cgroup = index
}

// Add enters a process that the hot pass did not list.
func (f *Facts) Add(d *proc.Detail, asked proc.Want) {
	i, known := slices.BinarySearchFunc(f.Processes, d.PID, func(p Process, pid int) int { return p.PID - pid })
	if !known {
		f.Processes = slices.Insert(f.Processes, i, Process{Record: proc.Record{PID: d.PID, Cgroup: -1}})
	}
	f.Apply(d, asked)
}

// GiveUp notes that a visit failed for good, so that it is not asked for again.
func (f *Facts) GiveUp(v Visit) {
	if p := f.Find(v.PID); p != nil {
		p.Asked = v.Want
		p.Failed = true
	}
}

// Forget removes processes that have ended.
func (f *Facts) Forget(pids map[int]bool) {
	if len(pids) == 0 {
		return
	}
	f.Processes = slices.DeleteFunc(f.Processes, func(p Process) bool { return pids[p.PID] })
}

// identity returns what the process's cgroup says; role none if it is unknown.
func (f *Facts) identity(p *Process) *Identity {
	if p.Cgroup < 0 || int(p.Cgroup) >= len(f.Identities) {
		return &noIdentity
	}
	return &f.Identities[p.Cgroup]
}

var noIdentity = Identify("")

// apart tells that a process has a namespace of its own, of the kinds that tell
// a container from a process that only has a cgroup.
func (f *Facts) apart(p *Process) bool {
	b := &f.Baseline
	return p.IPC != 0 && !b.IsIPC(p.IPC) ||
		p.PIDNS != 0 && !b.IsPID(p.PIDNS) ||
		p.Mnt != 0 && b.Mnt != 0 && p.Mnt != b.Mnt
}

// Wanted returns the visits that the judgement still needs; none when the facts
// are complete. Each answer may lead to another question (a parent is read to
// learn its parent), so it is asked until it returns nothing.
func (f *Facts) Wanted() []Visit {
	ask := map[int]proc.Want{}
	want := func(p *Process, w proc.Want) {
		if !p.Failed && (p.Detail == nil || w&^p.Asked != 0) {
			ask[p.PID] |= w | p.Asked
		}
	}
	for i := range f.Processes {
		p := &f.Processes[i]
		id := f.identity(p)
		switch {
		case p.Zombie:
		case id.Role == cgroup.RoleApp:
			want(p, proc.WantRoot)
		case id.Role != cgroup.RoleNone || len(id.Outer) > 0:
			want(p, 0)
			switch {
			case !f.apart(p):
				want(p, proc.WantCmdline) // an engine's helper, or a runtime that has not joined
			case id.Role == cgroup.RoleMonitor:
				want(p, proc.WantCmdline|proc.WantRoot) // a helper is not apart, but for a rootless engine's
			}
		case f.apart(p), id.Pod != "":
			want(p, proc.WantRoot)
		default:
			continue
		}
		if p.Detail == nil {
			continue
		}
		// The ancestors tell the engine, also of a container that has no cgroup.
		for depth := 0; depth < maxDepth; depth++ {
			p = f.Find(p.Detail.PPID)
			if p == nil {
				break
			}
			want(p, proc.WantCmdline|proc.WantStatus)
			if p.Detail == nil || p.Asked&proc.WantCmdline == 0 {
				break
			}
		}
	}
	for _, s := range f.States {
		if p := f.Find(s.PID); p != nil && !p.Zombie {
			want(p, 0)
		}
	}
	if len(ask) == 0 {
		// Only now it is known who is whose init.
		g := groupUp(f)
		for _, s := range g.strangers() {
			want(s.init, proc.WantMountInfo)
		}
		for _, c := range g.groups {
			want(g.init(c), proc.WantMountInfo)
			for _, p := range c.members {
				if c.unproven {
					want(p, proc.WantMachine)
				}
				if !f.apart(p) {
					want(p, proc.WantCmdline) // a runtime that has not joined, perhaps
				}
			}
		}
	}
	visits := make([]Visit, 0, len(ask))
	for pid, w := range ask {
		visits = append(visits, Visit{pid, w})
	}
	slices.SortFunc(visits, func(a, b Visit) int { return a.PID - b.PID })
	return visits
}

// maxDepth bounds the walk to the ancestors: a forged tree can hold a loop.
const maxDepth = 64

// engineOf tells what the command line of a process says, when it is an engine's.
func engineOf(d *proc.Detail) *EngineProcess {
	if e, ok := Engine(d.Comm, "", d.Cmdline); ok {
		return &e
	}
	return nil
}
