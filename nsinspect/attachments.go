package nsinspect

import (
	"context"
	"slices"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/internal/parallel"
	"github.com/nsinspect/nsinspect/nsinspect/ipc"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// mapsDeadline bounds the reading of one process's maps, which waits for the
// lock of its memory.
const mapsDeadline = time.Second

// mapsBatch is how many processes are read before it is asked whether all
// attachments are accounted for: mostly the first few have them.
const mapsBatch = 64

// attachments finds out who has the segments of the listed namespaces mapped.
// Reading maps is the dearest thing that a scan does, so it stops when the
// mappings that were found are as many as the kernel counts.
func (s *survey) attachments(ctx context.Context, listed []report.IPCNamespace) {
	var spaces []ipc.Space
	attached := false
	for i := range listed {
		n := &listed[i]
		if n.Listed && n.Error == "" {
			// One without attachments too: somebody who lives there may have
			// brought a segment along from elsewhere.
			spaces = append(spaces, ipc.Space{Inode: n.Inode, Shm: n.Shm})
			attached = attached || slices.ContainsFunc(n.Shm, isAttached)
		}
	}
	if !attached || !s.fs.Procfs() {
		return
	}
	devices, err := ipc.SegmentDevices(s.fs.File)
	if err != nil {
		s.gaps = append(s.gaps, report.Gap{File: "maps", Error: report.Text("who is attached to segments: " + err.Error())})
		return
	}
	s.progress("looking for the processes that are attached to segments")
	var mappers []ipc.Mapper
	var unmatched []ipc.Unmatched
	candidates := s.mappers(spaces)
	for start := 0; start < len(candidates); start += mapsBatch {
		batch := candidates[start:min(start+mapsBatch, len(candidates))]
		mappers = append(mappers, s.readMaps(ctx, batch, devices)...)
		if unmatched = ipc.Attach(spaces, mappers); len(unmatched) == 0 || ctx.Err() != nil {
			break
		}
	}
	for _, u := range unmatched {
		s.gaps = append(s.gaps, report.Gap{File: "maps", Error: u.String()})
	}
}

func isAttached(m report.Shm) bool { return m.NAttch > 0 }

// mappers lists the processes that may have segments of the namespaces mapped,
// those first that the segments themselves name, and last those in whose
// namespace nothing is attached.
func (s *survey) mappers(spaces []ipc.Space) []*container.Process {
	in, named, away := map[uint64]bool{}, map[int]bool{}, map[uint64]bool{}
	for _, space := range spaces {
		in[space.Inode] = true
		away[space.Inode] = !slices.ContainsFunc(space.Shm, isAttached)
		for i := range space.Shm {
			named[space.Shm[i].CPID], named[space.Shm[i].LPID] = true, true
		}
	}
	var first, rest, last []*container.Process
	for i := range s.facts.Processes {
		p := &s.facts.Processes[i]
		switch {
		case !in[p.IPC] || p.Detail != nil && p.Detail.KernelThread:
		case away[p.IPC]:
			last = append(last, p)
		case named[p.PID] || s.judgement.Of(p.PID).Ref != "":
			first = append(first, p)
		default:
			rest = append(rest, p)
		}
	}
	return slices.Concat(first, rest, last)
}

// readMaps reads which segments some processes have mapped. A process that has
// ended is attached to nothing.
func (s *survey) readMaps(ctx context.Context, processes []*container.Process, devices []ipc.Device) []ipc.Mapper {
	mappers := make([]ipc.Mapper, len(processes))
	failures := make([]error, len(processes))
	parallel.Each(len(processes), func(i int) {
		p := processes[i]
		mappers[i] = ipc.Mapper{PID: p.PID, Container: s.judgement.Of(p.PID).Ref, IPC: p.IPC}
		mappers[i].Attachments, failures[i] = s.mapsOf(ctx, p.PID, p.IPC, devices)
	})
	for i, err := range failures {
		if k := proc.KindOf(err); err != nil && k != proc.Gone && k != proc.Absent { // one that is ending has no memory left
			pid := processes[i].PID
			s.unreadable[pid] = append(s.unreadable[pid], &proc.Error{PID: pid, File: "maps", Kind: k, Err: err})
		}
	}
	return slices.DeleteFunc(mappers, func(m ipc.Mapper) bool { return len(m.Attachments) == 0 })
}

// mapsOf reads the maps of one process, if it is still in the namespace that it
// was seen in: its number may be another process's by now.
func (s *survey) mapsOf(ctx context.Context, pid int, inode uint64, devices []ipc.Device) ([]ipc.Attachment, error) {
	p, err := s.fs.Process(pid)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if now, err := p.Namespace("ipc"); err != nil || now != inode {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, mapsDeadline)
	defer cancel()
	return ipc.ReadAttachments(ctx, p, devices)
}
