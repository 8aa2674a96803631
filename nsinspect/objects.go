package nsinspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/ipc"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// visitDeadline bounds the visit of one IPC namespace.
const visitDeadline = 5 * time.Second

// ipcNamespaces lists the host's IPC namespace with all objects in it.
func (s *survey) ipcNamespaces(ctx context.Context) []report.IPCNamespace {
	b := s.facts.Baseline
	n := report.IPCNamespace{Inode: b.IPC, Host: true}
	for _, c := range s.judgement.Containers {
		if c.IPC.State != report.StateVM && (b.IsIPC(c.IPC.Inode) || len(c.IPC.HostStrays) > 0) {
			n.Containers = append(n.Containers, c.Ref)
		}
	}
	for i := range s.facts.Processes {
		if s.facts.Processes[i].IPC == b.IPC {
			n.Processes++
		}
	}
	objects, err := s.objects(ctx, b.IPC)
	if err != nil {
		n.Error = report.Text(err.Error())
		s.gaps = append(s.gaps, report.Gap{File: "sysvipc of " + namespace.Link("ipc", b.IPC), Error: n.Error})
	}
	n.Shm, n.Sem, n.Msg, n.Mqueue = objects.Shm, objects.Sem, objects.Msg, objects.Mqueue
	return []report.IPCNamespace{n}
}

// objects reads what is in one IPC namespace. In a tree that is not a procfs
// the files are the tree's, whatever namespace they were copied in.
func (s *survey) objects(ctx context.Context, inode uint64) (ipc.Objects, error) {
	if !s.fs.Procfs() {
		return ipc.ReadSysV(s.fs.File)
	}
	ctx, cancel := context.WithTimeout(ctx, visitDeadline)
	defer cancel()
	open := func() (int, error) {
		err := fmt.Errorf("no process in %s could be opened", namespace.Link("ipc", inode))
		for _, pid := range s.inhabitants(inode) {
			var fd int
			if fd, err = namespace.OpenOf(s.fs, pid, "ipc"); err == nil {
				return fd, nil
			}
		}
		return -1, err
	}
	objects, err := ipc.List(ctx, open, inode, s.fs.File)
	var enter *namespace.EnterError
	if errors.As(err, &enter) {
		return ipc.Objects{}, fmt.Errorf("it could not be entered: %w", err)
	}
	return objects, err
}

// inhabitants returns some processes that are in an IPC namespace; a few are
// tried, as any of them may have ended.
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
