package ipc

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Space is one IPC namespace whose segments are to be matched with the
// processes that have them attached.
type Space struct {
	Inode uint64
	Shm   []report.Shm // Attached is filled in
}

// Mapper is one process and the segments that it has mapped.
type Mapper struct {
	PID         int
	Container   string // ref; "" for a process of the host
	IPC         uint64 // inode of the namespace it is in now
	Attachments []Attachment
}

// Unmatched is a segment whose attachments are not all accounted for.
type Unmatched struct {
	Inode  uint64 // of the IPC namespace
	ID     int64
	NAttch uint64 // what the kernel counts
	Found  uint64 // what the processes' mappings add up to
}

// String tells it in words.
func (u Unmatched) String() string {
	if u.Found > u.NAttch {
		return fmt.Sprintf("shm %d: the kernel counts %d attachments and processes have %d mappings; some are of a segment in another namespace, or are newer than the count",
			u.ID, u.NAttch, u.Found)
	}
	return fmt.Sprintf("shm %d: the kernel counts %d attachments and %d were found; the others are of processes that could not be read, that have ended meanwhile, or that came from this namespace with the segment",
		u.ID, u.NAttch, u.Found)
}

// ReadAttachments reads which segments a process has mapped. Reading maps takes
// the process's memory lock, so that it can block: the context bounds it.
func ReadAttachments(ctx context.Context, p *proc.Process, devices []Device) ([]Attachment, error) {
	b, err := p.ReadWithin(ctx, "maps", maxMaps)
	if err != nil {
		return nil, err
	}
	return ParseMaps(b, devices)
}

// Attach fills in who is attached to the segments of the given namespaces, and
// tells which attachments remain unclear.
//
// A mapping names a shmid, not the namespace that the id is of, and ids repeat
// between namespaces. A process takes its mappings along when it changes its
// namespace. So a mapping is of the process's own namespace if there is a segment
// with that id and key; one that has no such segment at home was brought along,
// and is matched with the only listed segment of that id and key that lacks
// attachments, if the kernel's count then comes out exactly. The count is older than the
// mappings, so that a difference is a reason to say so and not to accuse anybody.
//
// The spaces must have been listed without an error: a segment that is missing
// at home would be looked for elsewhere. Processes in other namespaces are
// ignored, since a segment of their own cannot be told from one they brought along.
func Attach(spaces []Space, mappers []Mapper) []Unmatched {
	at := make(map[segmentID]*segment)
	home := make(map[uint64]bool, len(spaces))
	for _, space := range spaces {
		home[space.Inode] = true
		for i := range space.Shm {
			s := &space.Shm[i]
			s.Attached = nil
			at[segmentID{space.Inode, s.ID}] = &segment{shm: s}
		}
	}
	type traveller struct {
		mapper *Mapper
		a      Attachment
	}
	var travellers []traveller
	for i := range mappers {
		m := &mappers[i]
		if !home[m.IPC] {
			continue
		}
		for _, a := range m.Attachments {
			if s := at[segmentID{m.IPC, a.ID}]; s != nil && s.is(a) {
				s.attach(m, a)
			} else {
				travellers = append(travellers, traveller{m, a})
			}
		}
	}
	abroad := make(map[*segment][]traveller)
	for _, t := range travellers {
		var from []*segment
		for _, space := range spaces {
			if s := at[segmentID{space.Inode, t.a.ID}]; s != nil && s.is(t.a) && s.found < s.shm.NAttch {
				from = append(from, s)
			}
		}
		if len(from) == 1 {
			abroad[from[0]] = append(abroad[from[0]], t)
		}
	}
	for s, travellers := range abroad {
		sum := s.found
		for _, t := range travellers {
			sum += t.a.Maps
		}
		if sum != s.shm.NAttch {
			continue
		}
		for _, t := range travellers {
			s.attach(t.mapper, t.a)
		}
	}

	var unclear []Unmatched
	for _, space := range spaces {
		for i := range space.Shm {
			s := at[segmentID{space.Inode, space.Shm[i].ID}]
			slices.SortFunc(s.shm.Attached, func(a, b report.Attached) int { return cmp.Compare(a.PID, b.PID) })
			if s.found != s.shm.NAttch {
				unclear = append(unclear, Unmatched{space.Inode, s.shm.ID, s.shm.NAttch, s.found})
			}
		}
	}
	return unclear
}

type segmentID struct {
	inode uint64
	id    int64
}

type segment struct {
	shm   *report.Shm
	found uint64 // mappings
}

// is tells whether a mapping can be one of the segment: a segment that was
// removed has lost its key, while the file's name still has it (ipc/shm.c, do_shm_rmid).
func (s *segment) is(a Attachment) bool {
	const dest = 0o1000
	return s.shm.Key == a.Key || s.shm.Mode&dest != 0 && s.shm.Key == 0
}

func (s *segment) attach(m *Mapper, a Attachment) {
	s.found += a.Maps
	s.shm.Attached = append(s.shm.Attached, report.Attached{PID: m.PID, Container: m.Container})
}
