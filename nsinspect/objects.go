package nsinspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/internal/parallel"
	"github.com/nsinspect/nsinspect/nsinspect/ipc"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// visitDeadline bounds the visit of one IPC namespace.
const visitDeadline = 5 * time.Second

// ipcNamespaces lists every IPC namespace that was found, the host's first and
// then by inode, with the objects of the host's and of those that containers are in;
// a deep scan lists the objects of all. Each is entered once.
func (s *survey) ipcNamespaces(ctx context.Context) []report.IPCNamespace {
	b := s.facts.Baseline
	found := []namespace.Found{{ID: namespace.ID{Type: "ipc", Inode: b.IPC}}}
	inv, err := s.inventory(ctx)
	if err != nil {
		s.gaps = append(s.gaps, report.Gap{File: "namespaces", Error: report.Text(err.Error())})
	} else {
		for _, f := range inv.Found {
			switch {
			case f.Type != "ipc":
			case f.Inode == b.IPC:
				found[0] = f
			default:
				found = append(found, f)
			}
		}
	}
	spaces := make([]report.IPCNamespace, len(found))
	var visits []int
	for i := range found {
		f := &found[i]
		spaces[i] = report.IPCNamespace{Inode: f.Inode, Host: b.IsIPC(f.Inode), Containers: s.containersIn(f),
			Processes: len(f.Processes), PinnedBy: s.pins(f)}
		// The files of a tree that is no procfs are of one namespace, and it does not say of which.
		if i == 0 || s.fs.Procfs() && (s.opt.Deep || spaces[i].Host || len(spaces[i].Containers) > 0) {
			visits = append(visits, i)
		}
	}
	s.progress("listing the objects of the IPC namespaces")
	results := make([]ipc.Objects, len(visits))
	errs := make([]error, len(visits))
	parallel.Each(len(visits), func(v int) { results[v], errs[v] = s.objects(ctx, &found[visits[v]]) })
	gone := make([]bool, len(spaces))
	for v, i := range visits {
		n := &spaces[i]
		o := results[v]
		n.Listed = true
		n.Shm, n.Sem, n.Msg, n.Mqueue = o.Shm, o.Sem, o.Msg, o.Mqueue
		if err := errs[v]; err != nil {
			if gone[i] = i > 0 && ended(err); gone[i] {
				continue // and nobody has to be told
			}
			var enter *namespace.EnterError
			n.Listed = !errors.As(err, &enter)
			n.Error = report.Text(err.Error())
			s.gaps = append(s.gaps, report.Gap{File: "sysvipc of " + found[i].String(), Error: n.Error})
		}
	}
	out := spaces[:0]
	for i := range spaces {
		if !gone[i] {
			out = append(out, spaces[i])
		}
	}
	slices.SortFunc(out[1:], func(a, b report.IPCNamespace) int { return cmp.Compare(a.Inode, b.Inode) })
	return out
}

// objects reads what is in one IPC namespace. In a tree that is not a procfs
// the files are the tree's, whatever namespace they were copied in.
func (s *survey) objects(ctx context.Context, f *namespace.Found) (ipc.Objects, error) {
	if !s.fs.Procfs() {
		return ipc.ReadSysV(s.fs.File)
	}
	ctx, cancel := context.WithTimeout(ctx, visitDeadline)
	defer cancel()
	objects, err := ipc.List(ctx, s.fs, f.Opener(s.fs), f.Inode)
	var enter *namespace.EnterError
	if errors.As(err, &enter) {
		return ipc.Objects{}, fmt.Errorf("it could not be entered: %w", err)
	}
	return objects, err
}

// inhabitants returns some processes that are in an IPC namespace; a few are
// enough, as any of them may have ended.
func (s *survey) inhabitants(inode uint64) []int {
	const enough = 8
	var pids []int
	for i := range s.facts.Processes {
		if p := &s.facts.Processes[i]; p.IPC == inode && p.TID == 0 {
			if pids = append(pids, p.PID); len(pids) == enough {
				break
			}
		}
	}
	return pids
}
