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
	// chaseEach and chaseAll are how many are read, in one round and together: some milliseconds of a host that
	// starts processes without pause.
	chaseEach = 4
	chaseAll  = 48
	// chaseBack is how many numbers before the last one given away are looked at. Threads have numbers, too.
	chaseBack = 64
)

// chase reads the processes that have begun since a PID was given away, the newest first and each as soon as it
// is listed. A last PID of 0 is for when it is not known: then those are read that have a higher number than all others.
func (s *survey) chase(ctx context.Context, last int) {
	known := last != 0
	if n := len(s.facts.Processes); !known && n > 0 {
		last = s.facts.Processes[n-1].PID
	}
	tried := map[int]bool{}
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
		if !known && len(pids) == 0 {
			return
		}
		slices.Reverse(pids)
		for _, pid := range pids[:min(len(pids), chaseEach)] {
			if len(tried) == chaseAll || ctx.Err() != nil {
				return
			}
			tried[pid] = true
			s.meet(ctx, pid)
		}
		if known {
			last = now
		}
	}
}

// meet reads a process that the hot pass did not list.
func (s *survey) meet(ctx context.Context, pid int) {
	d, err := s.look(ctx, pid, proc.WantCmdline)
	switch {
	case err == nil:
		s.facts.Add(d, proc.WantCmdline)
		s.unreadable[pid] = d.Errors
	case proc.KindOf(err) == proc.Gone:
		s.vanished++
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
	comm := s.comm(p.Detail.PPID)
	return comm == "" || container.RunsContainers(comm)
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
