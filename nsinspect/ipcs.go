package nsinspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/explain"
	"github.com/nsinspect/nsinspect/nsinspect/ipc"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// IPCSelection is whose objects are to be listed: the host's if it names nothing.
type IPCSelection struct {
	Inode     uint64 // of an IPC namespace
	Container string // a ref, the beginning of an id, or a name
	PID       int
	All       bool // every IPC namespace of the host

	// Posix lists POSIX message queues too, which takes CAP_SYS_ADMIN also in the
	// caller's own namespace.
	Posix bool

	// One asks for one object: shm, sem or msg. Only in one namespace.
	One string
	ID  int64
}

// Errors of a selection that nothing answers to.
var (
	ErrNoContainer = errors.New("no such container")
	ErrAmbiguous   = explain.ErrAmbiguous
	ErrNoNamespace = errors.New("no such IPC namespace was found")
	ErrNoObject    = errors.New("not found")
)

// IPCObjects lists the objects of IPC namespaces. Asked for one namespace, it
// returns an error when that could not be listed; asked for all, a gap says so.
func IPCObjects(ctx context.Context, src Source, opt Options, sel IPCSelection) (*report.IPCS, error) {
	if sel.Inode == 0 && sel.Container == "" && sel.PID == 0 && !sel.All {
		return hostObjects(ctx, src, opt, sel)
	}
	s, err := take(ctx, src, opt)
	if err != nil {
		return nil, err
	}
	defer s.close()
	out := &report.IPCS{Tool: tool(), Host: s.host(), Baseline: s.baseline(), PageSize: uint64(os.Getpagesize())}
	inode, err := s.selected(sel)
	if err != nil {
		return nil, err
	}
	if !s.fs.Procfs() {
		return nil, fmt.Errorf("%s holds the objects of one IPC namespace only: %w", s.fs.Path(), ErrNotProcfs)
	}
	// A namespace that no process is in is found only by looking everywhere.
	s.opt.Deep = true
	inv, err := s.inventory(ctx)
	if err != nil {
		return nil, err
	}
	for i := range inv.Found {
		f := &inv.Found[i]
		if f.Type != "ipc" || inode != 0 && f.Inode != inode {
			continue
		}
		n := report.IPCNamespace{Inode: f.Inode, Host: f.Inode == s.facts.Baseline.IPC, Processes: len(f.Processes),
			Containers: s.containersIn(f), PinnedBy: s.pins(f)}
		listed, err := listIPC(ctx, s.fs, n, f.Opener(s.fs), sel)
		if sel.All && ended(err) {
			s.vanished += len(f.Processes)
			continue
		}
		if err != nil && inode != 0 && (sel.One != "" || empty(listed)) {
			return nil, err
		}
		s.note(listed.Inode, err)
		out.Namespaces = append(out.Namespaces, listed)
	}
	if inode != 0 && len(out.Namespaces) == 0 {
		return nil, fmt.Errorf("%s: %w", namespace.Link("ipc", inode), ErrNoNamespace)
	}
	slices.SortStableFunc(out.Namespaces, func(a, b report.ListedIPC) int {
		if a.Host != b.Host {
			if a.Host {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Inode, b.Inode)
	})
	out.Coverage = s.coverageOf([]string{"ipc"})
	out.Normalize()
	return out, nil
}

// hostObjects lists the host's IPC namespace without a scan, as long as some
// way into it is known without one.
func hostObjects(ctx context.Context, src Source, opt Options, sel IPCSelection) (*report.IPCS, error) {
	fs, err := src.open()
	if err != nil {
		return nil, err
	}
	s := &survey{fs: fs, opt: opt, started: time.Now(), judgement: &container.Judgement{}}
	defer s.close()
	if s.facts.Baseline, err = namespace.FindBaseline(ctx, fs, opt.Baseline); err != nil {
		return nil, err
	}
	b := s.facts.Baseline
	open := func() (int, error) {
		fd, why := openIPC(fs, b.IPC, b.PID, 2)
		if why == nil {
			return fd, nil
		}
		snapshot, err := fs.Scan(ctx)
		if err != nil {
			return -1, err
		}
		var pids []int
		for _, r := range snapshot.Records {
			if r.IPC == b.IPC && r.TID == 0 {
				pids = append(pids, r.PID)
			}
		}
		if len(pids) == 0 {
			return -1, why
		}
		return openIPC(fs, b.IPC, pids...)
	}
	listed, err := listIPC(ctx, fs, report.IPCNamespace{Inode: b.IPC, Host: true}, open, sel)
	if err != nil && (sel.One != "" || empty(listed)) {
		return nil, err
	}
	s.note(listed.Inode, err)
	out := &report.IPCS{Tool: tool(), Host: s.host(), Baseline: s.baseline(), PageSize: uint64(os.Getpagesize()), Namespaces: []report.ListedIPC{listed}}
	out.Coverage = report.Coverage{Gaps: s.gaps, Complete: len(s.gaps) == 0}
	out.Normalize()
	return out, nil
}

// ended tells whether a namespace could not be entered because those who were in it have gone.
func ended(err error) bool {
	var enter *namespace.EnterError
	return errors.As(err, &enter) && enter.Step == "open" && (enter.Kind == proc.Gone || enter.Kind == proc.Absent)
}

// empty tells whether nothing at all was read.
func empty(l report.ListedIPC) bool {
	return l.Limits == nil && len(l.Shm)+len(l.Sem)+len(l.Msg)+len(l.Mqueue) == 0
}

// note makes a gap of what a namespace did not tell.
func (s *survey) note(inode uint64, err error) {
	if err != nil {
		s.gaps = append(s.gaps, report.Gap{File: "sysvipc of " + namespace.Link("ipc", inode), Error: report.Text(err.Error())})
	}
}

// openIPC opens the IPC namespace with an inode through the first process that is in it.
func openIPC(fs *proc.FS, inode uint64, pids ...int) (int, error) {
	why := errors.New("none was found")
	for _, pid := range pids {
		if pid == 0 {
			continue
		}
		p, err := fs.Process(pid)
		if err != nil {
			why = err
			continue
		}
		is, err := p.Namespace("ipc")
		p.Close()
		if err != nil {
			why = err
		}
		if is != inode {
			continue
		}
		fd, err := namespace.OpenOf(fs, pid, "ipc")
		if err == nil {
			return fd, nil
		}
		why = err
	}
	return -1, fmt.Errorf("no process in %s could be opened: %w", namespace.Link("ipc", inode), why)
}

// listIPC visits one namespace. What could be read is returned beside an
// error, which is also in the namespace's own.
func listIPC(ctx context.Context, fs *proc.FS, n report.IPCNamespace, open func() (int, error), sel IPCSelection) (report.ListedIPC, error) {
	ctx, cancel := context.WithTimeout(ctx, visitDeadline)
	defer cancel()
	visit := func() (report.ListedIPC, error) { return readIPC(fs, n, sel) }
	var listed report.ListedIPC
	var err error
	if fs.Procfs() {
		listed, err = namespace.Enter(ctx, fs, open, n.Inode, visit)
	} else {
		listed, err = visit() // the tree's files, whatever namespace they were copied in
	}
	if listed.Inode == 0 { // there was no visit
		listed.IPCNamespace = n
	}
	if err != nil {
		listed.Error = report.Text(err.Error())
	}
	return listed, err
}

// readIPC reads the IPC namespace of the calling thread.
func readIPC(fs *proc.FS, n report.IPCNamespace, sel IPCSelection) (report.ListedIPC, error) {
	listed := report.ListedIPC{IPCNamespace: n}
	listed.Listed = true
	objects, err := ipc.ReadSysV(fs.File)
	listed.Shm, listed.Sem, listed.Msg = objects.Shm, objects.Sem, objects.Msg
	errs := []error{err}
	limits, err := ipc.ReadLimits(fs.File)
	if err == nil {
		listed.Limits = &limits
	}
	errs = append(errs, err)
	if sel.One != "" {
		errs = append(errs, one(&listed, sel, fs.Procfs()))
	} else if fs.Procfs() && sel.Posix {
		listed.Mqueue, err = ipc.ReadMqueue()
		errs = append(errs, err)
	}
	return listed, ipc.Join(errs...)
}

// one leaves only the object that was asked for, and asks the kernel for what
// its line does not tell.
func one(listed *report.ListedIPC, sel IPCSelection, live bool) error {
	shm := func(s report.Shm) bool { return sel.One != "shm" || s.ID != sel.ID }
	sem := func(s report.Sem) bool { return sel.One != "sem" || s.ID != sel.ID }
	msg := func(m report.Msg) bool { return sel.One != "msg" || m.ID != sel.ID }
	listed.Shm = slices.DeleteFunc(listed.Shm, shm)
	listed.Sem = slices.DeleteFunc(listed.Sem, sem)
	listed.Msg = slices.DeleteFunc(listed.Msg, msg)
	switch {
	case len(listed.Shm)+len(listed.Sem)+len(listed.Msg) == 0:
		return fmt.Errorf("%s %d: %w", sel.One, sel.ID, ErrNoObject)
	case len(listed.Sem) > 0 && live:
		values, err := ipc.Semaphores(listed.Sem[0])
		listed.Semaphores = values
		return err
	case len(listed.Msg) > 0 && live:
		bytes, err := ipc.QueueBytes(sel.ID)
		if err == nil {
			listed.QBytes = &bytes
		}
		return err
	}
	return nil
}

// selected returns the inode of the one namespace that is asked for, 0 for all.
func (s *survey) selected(sel IPCSelection) (uint64, error) {
	switch {
	case sel.Inode != 0:
		return sel.Inode, nil
	case sel.PID != 0:
		p, err := s.fs.Process(sel.PID)
		if err != nil {
			return 0, err
		}
		defer p.Close()
		return p.Namespace("ipc")
	case sel.Container != "":
		c, err := s.containerCalled(sel.Container)
		if err != nil {
			return 0, err
		}
		if c.IPC.Inode == 0 {
			return 0, fmt.Errorf("container %s: its IPC namespace could not be read", c.Ref)
		}
		return c.IPC.Inode, nil
	}
	return 0, nil
}

// containerCalled finds a container by its ref or its name, or else by the
// beginning of its id, with or without the runtime.
func (s *survey) containerCalled(what string) (*report.Container, error) {
	all := s.judgement.Containers
	var found []*report.Container
	for _, match := range []func(c *report.Container) bool{
		func(c *report.Container) bool { return c.Ref == what || c.ID == what },
		func(c *report.Container) bool { return c.Name == what },
		func(c *report.Container) bool { return strings.HasPrefix(c.ID, what) || strings.HasPrefix(c.Ref, what) },
	} {
		for i := range all {
			if match(&all[i]) {
				found = append(found, &all[i])
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		return nil, fmt.Errorf("container %q: %w: %s, %s", what, ErrAmbiguous, found[0].Ref, found[1].Ref)
	}
	return nil, fmt.Errorf("container %q: %w", what, ErrNoContainer)
}
