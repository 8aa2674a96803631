package proc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Process is one process, or one thread of it, held by its open directory. It never
// speaks for another process, even when its number is given away.
//
// All errors of its methods are *Error.
type Process struct {
	PID int
	TID int // 0 unless it is a view of one thread

	fs   *FS
	fd   int
	refs atomic.Int32 // reads that were given up on still need the descriptor
}

// Process opens a process. A process that does not exist is Gone.
func (fs *FS) Process(pid int) (*Process, error) {
	fd, err := openat(false, fs.fd, strconv.Itoa(pid)+"\x00", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return nil, openError(pid, err)
	}
	p := &Process{PID: pid, fs: fs, fd: fd}
	p.refs.Store(1)
	if fs.live && unix.Faccessat(fd, "stat", unix.F_OK, 0) == unix.ENOENT {
		e := fs.unseen(pid, fd)
		p.Close()
		return nil, e
	}
	return p, nil
}

// unseen is the error for a process whose directory opens, and seems to have nothing in it: with hidepid=2 it
// never has for us; or else the process has ended just after the kernel had found it, and the next call says so.
func (fs *FS) unseen(pid, dir int) *Error {
	if err := unix.Faccessat(dir, "stat", unix.F_OK, 0); err == unix.ESRCH {
		return &Error{PID: pid, Kind: Gone, Err: err}
	}
	return &Error{PID: pid, Kind: Hidden, Err: unix.ENOENT}
}

// openError classifies a failure to open /proc/PID: there, unlike in an open
// directory, ENOENT means that there is no such process.
func openError(pid int, err error) *Error {
	e := newError(pid, "", notDirectory(err))
	if e.Kind == Absent {
		e.Kind = Gone
	}
	return e
}

// FD returns the descriptor of the process's directory, which stays the
// Process's own. It was opened with O_PATH.
func (p *Process) FD() int { return p.fd }

// Close releases the directory.
func (p *Process) Close() error {
	if p.refs.Add(-1) > 0 {
		return nil
	}
	return unix.Close(p.fd)
}

// file returns how a file of this view is called below /proc/PID.
func (p *Process) file(name string) string {
	if p.TID == 0 {
		return name
	}
	return fmt.Sprintf("task/%d/%s", p.TID, name)
}

// fail makes the *Error of a read. The kernel answers ENOENT, and not ESRCH, through a thread's directory when the thread is
// gone (proc_tid_base_inode_operations has no permission function), and also when a process ends during the call.
func (p *Process) fail(name string, err error) error {
	e := newError(p.PID, p.file(name), err)
	if e.Kind == Absent && p.Alive() != nil {
		e.Kind = Gone
	}
	return e
}

// Alive returns nil while the directory still stands for the process, which may be a zombie,
// and an *Error of kind Gone afterwards.
func (p *Process) Alive() error {
	if !p.fs.live {
		var st unix.Stat_t
		if err := unix.Fstat(p.fd, &st); err != nil {
			return newError(p.PID, p.file(""), err)
		}
		if st.Nlink == 0 {
			return &Error{PID: p.PID, File: p.file(""), Kind: Gone, Err: unix.ESRCH}
		}
		return nil
	}
	err := unix.Faccessat(p.fd, "stat", unix.F_OK, 0)
	if err == unix.ESRCH || err == unix.ENOENT {
		return &Error{PID: p.PID, File: p.file(""), Kind: Gone, Err: err}
	}
	return nil // EPERM (hidepid=1) is an answer too: proc_pid_permission looks for the process first
}

// Namespace returns the inode of the namespace behind the link ns/NAME, such as "ipc" or "pid_for_children".
func (p *Process) Namespace(name string) (uint64, error) {
	file := "ns/" + name
	kind := name
	switch name {
	case "pid_for_children":
		kind = "pid"
	case "time_for_children":
		kind = "time"
	}
	var buf [linkSize]byte
	ino, err := readNamespace(false, p.fd, file+"\x00", kind, buf[:])
	if err != nil {
		return 0, p.fail(file, err)
	}
	return ino, nil
}

// linkSize holds the longest namespace link, "time_for_children:[18446744073709551615]", and one more byte.
const linkSize = 64

// readNamespace reads and parses one namespace link.
func readNamespace(quick bool, dir int, path, kind string, buf []byte) (uint64, error) {
	n, err := readlinkat(quick, dir, path, buf)
	if err != nil {
		return 0, linkError(err)
	}
	ino, ok := parseNamespace(buf[:n], kind)
	if !ok {
		return 0, &flaw{kind: BadData, text: fmt.Sprintf("%q is not a namespace", buf[:n])}
	}
	return ino, nil
}

// linkError says what EINVAL and ENOTDIR mean where a link was expected.
func linkError(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTDIR) {
		return &flaw{kind: BadData, text: "not a link", cause: err}
	}
	return err
}

// Link returns the target of a symbolic link of at most 4096 bytes, such as "cwd".
func (p *Process) Link(name string) (string, error) {
	buf := make([]byte, unix.PathMax+1)
	n, err := readlinkat(false, p.fd, name+"\x00", buf)
	if err != nil {
		return "", p.fail(name, linkError(err))
	}
	if n == len(buf) {
		return "", p.fail(name, &flaw{kind: TooBig, text: "longer than a path may be"})
	}
	return string(buf[:n]), nil
}

// Read reads a file of at most limit bytes. It does not block on a FIFO or
// device, nor follow a link, in a tree that is not a procfs.
func (p *Process) Read(name string, limit int) ([]byte, error) {
	b, err := p.read(name, limit)
	if err != nil {
		return nil, p.fail(name, err)
	}
	return b, nil
}

func (p *Process) read(name string, limit int) ([]byte, error) {
	if !p.fs.live {
		return readBelow(p.fd, name, limit)
	}
	fd, err := openat(false, p.fd, name+"\x00", unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf, n, err := readAll(fd, make([]byte, 2048), limit, false)
	return buf[:n:n], err
}

// ReadWithin is Read for files whose reading can block, because it takes the
// target's memory lock: cmdline, environ, maps, smaps. When the context ends
// first, the kind of the error is Blocked and the read is left to itself.
func (p *Process) ReadWithin(ctx context.Context, name string, limit int) ([]byte, error) {
	b, err := Wait(ctx, p, func() ([]byte, error) { return p.read(name, limit) })
	if err != nil {
		return nil, p.fail(name, err)
	}
	return b, nil
}

// Wait is [Within] for what uses the process's descriptor, which stays open until f returns.
func Wait[T any](ctx context.Context, p *Process, f func() (T, error)) (T, error) {
	if err := p.fs.crowded(); err != nil {
		var none T
		return none, err
	}
	p.refs.Add(1)
	return within(ctx, p.fs, func() (T, error) {
		defer p.Close()
		return f()
	}, nil)
}

// Threads returns the numbers of the threads, in order.
func (p *Process) Threads() ([]int, error) {
	tids, err := listPIDs(p.fd, "task\x00", nil, make([]byte, 4096))
	if err != nil {
		return nil, p.fail("task", err)
	}
	slices.Sort(tids)
	list := make([]int, len(tids))
	for i, t := range tids {
		list[i] = int(t)
	}
	return list, nil
}

// Thread opens one thread. The result stays usable when p is closed.
func (p *Process) Thread(tid int) (*Process, error) {
	name := "task/" + strconv.Itoa(tid)
	fd, err := openThread(p.fd, tid, p.fs.live)
	if err != nil {
		e := newError(p.PID, name, err)
		if e.Kind == Absent {
			e.Kind = Gone
		}
		return nil, e
	}
	t := &Process{PID: p.PID, TID: tid, fs: p.fs, fd: fd}
	t.refs.Store(1)
	return t, nil
}

// openThread opens the directory of a thread.
func openThread(dir, tid int, live bool) (int, error) {
	if !live {
		task, err := openat(false, dir, "task\x00", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if err != nil {
			return -1, notDirectory(err)
		}
		defer unix.Close(task)
		fd, err := openat(false, task, strconv.Itoa(tid)+"\x00", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if err != nil {
			return -1, notDirectory(err)
		}
		return fd, nil
	}
	return openat(false, dir, "task/"+strconv.Itoa(tid)+"\x00", unix.O_PATH|unix.O_DIRECTORY)
}

// listPIDs appends the numbers that name entries of a directory.
func listPIDs(dir int, path string, pids []int32, buf []byte) ([]int32, error) {
	fd, err := openat(false, dir, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return pids, notDirectory(err)
	}
	defer unix.Close(fd)
	for {
		n, err := getdents(false, fd, buf)
		if err != nil || n == 0 {
			return pids, err
		}
		var ok bool
		if pids, ok = appendPIDs(pids, buf[:n]); !ok {
			return pids, &flaw{kind: BadData, text: "malformed directory"}
		}
	}
}
