package nsinspect

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// A process that starts another one and ends, which does the same, and so on, is never there when it is looked for. Two
// things find it. What began during the hot pass is read at once, before it can end (chase). And who was seen in a
// container's cgroup and in a namespace of the host's, and has ended before it could be judged, is remembered
// (ended): when that happens in pass after pass over all processes, it is said (evasions).

// mostPasses is how often everything is read, at most, when processes of a container that are in a namespace of
// the host's end too soon to be judged, and enough is in how many of the passes that must have been so. A container that is
// being started has such processes once; one that has them all the time hides something.
const (
	mostPasses = 4
	enough     = 3
)

// settled tells whether no further pass is needed: each container in question has had such processes often
// enough, or no longer can.
func settled(lost map[string]int, passes int) bool {
	for _, n := range lost {
		if n < enough && n+mostPasses-passes >= enough {
			return false
		}
	}
	return true
}

const (
	// chaseRounds is how often the newest processes are asked for, as long as there are new ones: at the first round
	// only if one has begun during the hot pass, so that all this costs a quiet host two reads of a small file.
	chaseRounds = 16
	// chaseEach and chaseAll are how many are looked at, in one round and together: some milliseconds of a host
	// that starts processes without pause.
	chaseEach = 32
	chaseAll  = 256
	// chaseBack is how many numbers before the last one given away are looked at. Threads have numbers, too.
	chaseBack = 128

	cgroupLimit = 1 << 20
)

// chase reads the processes of containers that have begun since a PID was given away, the newest first and each as soon as
// it is listed. A last PID of 0 is for when it is not known: then those are read that have a higher number than all others.
func (s *survey) chase(ctx context.Context, last int) {
	known := last != 0
	if n := len(s.facts.Processes); !known && n > 0 {
		last = s.facts.Processes[n-1].PID
	}
	tried, before := map[int]bool{}, 0
	for range chaseRounds {
		now := s.fs.LastPID()
		if known && (now == last || now == 0) {
			return
		}
		from := max(last, now-chaseBack)
		if known && now < last { // the numbers have begun anew
			from = max(0, now-chaseBack)
		}
		pids, err := s.fs.Above(from)
		if err != nil {
			return // the hot pass has said so if /proc cannot be listed
		}
		pids = slices.DeleteFunc(pids, func(pid int) bool {
			return known && pid > now || tried[pid] || s.facts.Find(pid) != nil
		})
		if len(pids) == 0 && now == before {
			return
		}
		before = now
		slices.Reverse(pids)
		for _, pid := range pids[:min(len(pids), chaseEach)] {
			if len(tried) == chaseAll || ctx.Err() != nil {
				return
			}
			tried[pid] = true
			s.meet(ctx, pid)
		}
	}
}

// meet reads a process that the hot pass did not list, if it is a container's: its cgroup, which tells that, costs
// a tenth of a visit.
func (s *survey) meet(ctx context.Context, pid int) {
	p, err := s.fs.Process(pid)
	if err != nil {
		return
	}
	content, err := p.Read("cgroup", cgroupLimit)
	p.Close()
	if id := container.Identify(string(content)); err != nil || id.Role == cgroup.RoleNone && len(id.Outer) == 0 {
		return
	}
	if d, err := s.look(ctx, pid, proc.WantCmdline); err == nil {
		s.facts.Add(d, proc.WantCmdline)
		s.unreadable[pid] = d.Errors
	}
}

// ended notes a process that has ended before it was judged, if it was where none
// of its container's may be.
func (s *survey) ended(p *container.Process) {
	if p == nil || s.beingSetUp(p) {
		return
	}
	id := s.facts.Identity(p)
	if id.Role != cgroup.RolePayload && len(id.Outer) == 0 {
		return
	}
	if ipc, pid := s.facts.AtHost(p); ipc || pid {
		ref := id.Ref
		if len(id.Outer) > 0 {
			ref = id.Outer[0]
		}
		s.lost[cmp.Or(ref.Runtime, "unknown")+":"+ref.ID] = true
	}
}

// beingSetUp tells a runtime's init that was on its way into the container. Its name proves nothing, and one that never
// stays is always young; but the parent of a real one is the runtime until it has entered the namespaces, while who
// has outlived its parent is init's or a shim's.
func (s *survey) beingSetUp(p *container.Process) bool {
	if !s.facts.InSetup(p) {
		return false
	}
	return container.RunsContainers(s.comm(p.Detail.PPID))
}

// evaded returns the containers with such processes that are not exposed anyway.
func (s *survey) evaded() map[string]bool {
	for i := range s.judgement.Containers {
		if c := &s.judgement.Containers[i]; c.Exposed {
			maps.DeleteFunc(s.lost, func(ref string, _ bool) bool { return strings.HasSuffix(ref, ":"+c.ID) })
		}
	}
	return s.lost
}

// evasions are the gaps for the containers that had such processes all the time.
func evasions(lost map[string]int) []report.Gap {
	var gaps []report.Gap
	for _, ref := range slices.Sorted(maps.Keys(lost)) {
		if lost[ref] >= enough {
			gaps = append(gaps, report.Gap{File: report.Text("processes of " + ref), Decides: true,
				Error: "in a namespace of the host's, and ended whenever they were to be looked at again"})
		}
	}
	return gaps
}

// confirmations is how often a process is read again that is to be called a stray in a namespace of the host's.
const confirmations = 3

// confirm reads the strays in the host's namespaces again until each has been read twice in the same place. While a
// visit reads one file after the other, a process can have gone round through several containers and be back in the
// first one's cgroup; it does not do so twice in the same way.
func (s *survey) confirm(ctx context.Context) error {
	last := map[int]proc.Record{} // Cgroup is the number of the content, which is the same for the same content until it changes
	for range confirmations {
		var again []container.Visit
		for i := range s.judgement.Containers {
			c := &s.judgement.Containers[i]
			for _, pid := range slices.Concat(c.IPC.HostStrays, c.PID.HostStrays) {
				if p := s.facts.Find(pid); p != nil && last[pid] != p.Record {
					last[pid] = p.Record
					again = append(again, container.Visit{PID: pid, Want: p.Asked})
				}
			}
		}
		slices.SortFunc(again, func(a, b container.Visit) int { return a.PID - b.PID })
		if len(again) == 0 {
			return nil
		}
		s.visit(ctx, again)
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}
