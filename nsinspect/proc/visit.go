package proc

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Want says what a visit reads beyond the Record, the cgroup and the stat file.
type Want uint

// What a visit can read.
const (
	WantStatus    Want = 1 << iota // Detail.Status
	WantCmdline                    // Detail.Cmdline; can block
	WantRoot                       // Detail.Root; can block
	WantUserNS                     // Detail.UserNS
	WantCwd                        // Detail.Cwd
	WantMountInfo                  // Detail.MountInfo; can block
	WantMachine                    // Detail.Machine; a call a descriptor
)

// FileID names a file or directory of the running system: the device of its
// file system and the inode.
type FileID struct{ Dev, Ino uint64 }

// Detail is what a visit reads of one process: all of it through one descriptor, or
// while that descriptor vouched for the process.
type Detail struct {
	Record        // read anew; Record.Cgroup is -1
	Cgroup string // the text of the cgroup file; "" also when it could not be read, see Errors

	// From /proc/PID/stat. It is the leader's also when Record.TID speaks for the process; State is Z then.
	Comm      string // hostile text
	State     byte   // R, S, D, Z, ...; 0 if unknown
	PPID      int
	StartTime uint64 // clock ticks after boot
	Threads   int
	// KernelThread: PF_KTHREAD is set, which no process can do for itself.
	KernelThread bool

	Status    *Status  // nil unless wanted and read
	Cmdline   []string // hostile text; empty for kernel threads and zombies
	Root      FileID   // zero unless wanted and read
	Cwd       string   // as the process sees it, hostile text
	UserNS    uint64   // inode of ns/user; 0 unless wanted and read
	MountInfo []Mount
	Machine   string // the link of a descriptor of a virtual machine, such as "anon_inode:kvm-vm"; "" if it has none

	// Errors is what of it could not be read, in the order of their files. That a
	// zombie, or a process that is dying, has no root, mounts and memory left is none.
	Errors []*Error
}

// Limits of files, in bytes.
const (
	statLimit      = 64 << 10
	statusLimit    = 1 << 20  // 65536 groups (NGROUPS_MAX) of up to 11 characters fit
	cmdlineLimit   = 1 << 20  // where the library stops reading
	mountinfoLimit = 32 << 20 // fs.mount-max is 100 000
)

// Visit reads one process: the cold pass. The error is for a process of which nothing can be said, an *Error
// of kind Gone, Hidden or Blocked mostly, or for a context that ended.
//
// It is read in a goroutine of its own until FS.Deadline has passed. What has not been answered by then is an error of kind
// Blocked in Detail.Errors, and the rest is returned: what is likeliest to block is asked for last.
func (fs *FS) Visit(ctx context.Context, pid int, want Want) (*Detail, error) {
	deadline, cancel := context.WithTimeout(ctx, fs.Deadline)
	defer cancel()
	d, err := fs.visit(deadline, pid, want)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return d, err
}

func (fs *FS) visit(ctx context.Context, pid int, want Want) (*Detail, error) {
	for range maxDying {
		if d, again, err := fs.visitOnce(ctx, pid, want); !again {
			return d, err
		}
	}
	// It is dying, and takes its time; or the threads of a dead leader follow each other so fast that none can be read,
	// which must not look as if the process had gone.
	d, again, err := fs.visitOnce(ctx, pid, want)
	if again && d == nil {
		return nil, &Error{PID: pid, File: "task", Kind: Absent, Err: errThreads}
	}
	if again {
		d.Errors = slices.DeleteFunc(d.Errors, lostInDeath)
	}
	return d, err
}

// lostInDeath tells whether an error is that a dying task has no root, no working directory and no mounts (EINVAL:
// fs/proc_namespace.c, mounts_open_common) any more. That its namespaces could not be read is never explained so.
func lostInDeath(e *Error) bool {
	switch path.Base(e.File) {
	case "root", "cwd", "mountinfo":
		return e.Kind == Absent || errors.Is(e, unix.EINVAL)
	}
	return false
}

// maxDying is how often a visit begins anew because what it was reading of has died: the process or, if its
// leader had exited before, the thread that spoke for it.
const maxDying = 8

// visitOnce reads one process. again: it has died meanwhile, which explains what could not be read.
func (fs *FS) visitOnce(ctx context.Context, pid int, want Want) (_ *Detail, again bool, _ error) {
	if err := fs.crowded(); err != nil {
		return nil, false, newError(pid, "", err)
	}
	r := &reading{}
	_, err := within(ctx, fs, func() (struct{}, error) { return struct{}{}, r.run(fs, pid, want) }, nil)
	view, d, unanswered := r.end()
	if view == nil {
		var e *Error
		if !errors.As(err, &e) {
			e = newError(pid, "", err)
		}
		return nil, false, e
	}
	defer view.Close()
	for _, q := range unanswered {
		d.Errors = append(d.Errors, newError(pid, view.file(q.file), err))
	}

	// The end of the bracket: the descriptor still answers, so the number was the process's own throughout.
	if err := view.Alive(); err != nil {
		return nil, d.TID != 0, err
	}
	for _, e := range d.Errors {
		if e.Kind == Gone {
			return nil, d.TID != 0, e
		}
	}
	slices.SortStableFunc(d.Errors, func(a, b *Error) int { return strings.Compare(a.File, b.File) })
	// A task that dies has no root, no mounts and an empty command line. That is not to be taken for an answer.
	suspect := len(d.Errors) > 0 || want&WantCmdline != 0 && len(d.Cmdline) == 0 && !d.KernelThread
	return d, suspect && !d.Zombie && view.dead(), nil
}

// detail reads the record, the cgroup's text and the stat file.
func (p *Process) detail() (*Detail, error) {
	r := p.fs.reader()
	defer p.fs.release(r)
	rec, text, ok := r.still(p.fd, p.PID)
	if !ok {
		return nil, &Error{PID: p.PID, Kind: Gone, Err: unix.ESRCH}
	}
	d := &Detail{Record: rec, Cgroup: text}
	d.Record.Cgroup = -1
	d.Errors = r.errs
	n, err := r.file(p.fd, pathStat, statLimit)
	if err != nil {
		d.Errors = append(d.Errors, newError(p.PID, "stat", err))
		return d, nil
	}
	st, ok := parseStat(r.buf[:n])
	if !ok {
		d.Errors = append(d.Errors, newError(p.PID, "stat", errFormat))
		return d, nil
	}
	d.Comm, d.PPID, d.StartTime, d.Threads, d.State = st.comm, st.ppid, st.start, st.threads, st.state
	d.KernelThread = st.flags&flagKernelThread != 0
	return d, nil
}

// dead tells whether the process or thread is dead or dying.
func (p *Process) dead() bool {
	r := p.fs.reader()
	defer p.fs.release(r)
	dead, err := r.dead(p.fd)
	return dead || err != nil && p.Alive() != nil
}

// cmdline calls the library, which opens the file by its path: only inside the bracket of a visit.
func (p *Process) cmdline() ([]string, error) {
	if err := p.harmless("cmdline", cmdlineLimit-1); err != nil {
		return nil, err
	}
	proc, err := p.fs.byPath.Proc(p.PID)
	if err == nil && p.TID != 0 {
		proc, err = proc.Thread(p.TID)
	}
	if err != nil {
		return nil, err
	}
	words, err := proc.CmdLine()
	if err != nil {
		return nil, parseError(err)
	}
	size := 0
	for _, w := range words {
		size += len(w) + 1
	}
	if size >= cmdlineLimit {
		return nil, &flaw{kind: TooBig, text: "longer than the limit"}
	}
	return words, nil
}

// harmless makes sure that the library, which opens by path and follows links, will find a small regular
// file, which answers. On a procfs the kernel sees to that.
//
// The runtime asks a file that the library opens whether it can be polled, in a call that the scheduler does not know
// of: a file system in user space that gives no answer to that would stop a processor, and with it the deadline. So it is asked
// before, in a call which only costs its own goroutine.
func (p *Process) harmless(name string, limit int) error {
	if p.fs.live {
		return nil
	}
	fd, err := openBelow(p.fd, name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &unix.Timespec{}, nil); err != nil {
		return err
	}
	_, _, err = readAll(fd, make([]byte, 512), limit, false)
	return err
}

// contain turns a panic of the library, which does not check everything that a
// file of a tree that is no procfs can hold, into an error.
func contain(err *error) {
	if r := recover(); r != nil {
		*err = &flaw{kind: BadData, text: fmt.Sprintf("not in the kernel's format: %v", r)}
	}
}

// parseError gives an error of the library that has no errno in it the kind BadData.
func parseError(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return err
	}
	return &flaw{kind: BadData, text: err.Error(), cause: err}
}

// status does not call the byPath: its ProcStatus lacks the groups and the seccomp mode, two readings
// could be from before and after a setuid, and its NewStatus takes all memory on a forged list of CPUs.
func (p *Process) status() (*Status, error) {
	b, err := p.read("status", statusLimit)
	if err != nil {
		return nil, err
	}
	s, ok := parseStatus(b)
	if !ok {
		return nil, errFormat
	}
	return s, nil
}

func (p *Process) cwd() (string, error) { return p.Link("cwd") }

func (p *Process) mountinfo() ([]Mount, error) {
	b, err := p.read("mountinfo", mountinfoLimit)
	if err != nil {
		return nil, err
	}
	m, ok := parseMountInfo(b)
	if !ok {
		return nil, errFormat
	}
	return m, nil
}

// root identifies the root directory. In a tree that is no procfs the link may lead to
// another place of the tree, and nowhere else.
func (p *Process) root() (FileID, error) {
	var st unix.Stat_t
	if p.fs.live {
		// What the kernel knows already is enough, and is told without asking: a file system in user space may
		// never answer, and whoever waits for it cannot be killed. Linux 4.11; before, and under a filter, there is stat.
		var stx unix.Statx_t
		switch err := unix.Statx(p.fd, "root", unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &stx); err {
		case nil:
			return FileID{Dev: unix.Mkdev(stx.Dev_major, stx.Dev_minor), Ino: stx.Ino}, nil
		case unix.ENOSYS, unix.EPERM:
		default:
			return FileID{}, err
		}
		if err := unix.Fstatat(p.fd, "root", &st, unix.AT_NO_AUTOMOUNT); err != nil {
			return FileID{}, err
		}
	} else {
		fd, err := p.openRoot()
		if err != nil {
			return FileID{}, err
		}
		defer unix.Close(fd)
		if err := unix.Fstat(fd, &st); err != nil {
			return FileID{}, err
		}
	}
	return FileID{Dev: uint64(st.Dev), Ino: st.Ino}, nil
}

// openRoot opens the root directory in a tree that is no procfs: the link must be relative, lead to a place of
// the tree, and no component of that may be a link again. openat2(2) would do most of this in one call, and
// cannot be allowed by a system call filter.
func (p *Process) openRoot() (int, error) {
	target, err := p.Link("root")
	if err != nil {
		return -1, err
	}
	outside := &flaw{kind: BadData, text: "it leads out of the tree", cause: unix.EXDEV}
	if strings.HasPrefix(target, "/") {
		return -1, outside
	}
	// Where nothing is a link, ".." is the component before it.
	at := strings.Split(strconv.Itoa(p.PID)+"/"+p.file("root"), "/")
	at = at[:len(at)-1]
	for component := range strings.SplitSeq(target, "/") {
		switch component {
		case "", ".":
		case "..":
			if len(at) == 0 {
				return -1, outside
			}
			at = at[:len(at)-1]
		default:
			at = append(at, component)
		}
	}
	dir, err := openat(false, p.fs.fd, ".\x00", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	for _, component := range at {
		next, err := openat(false, dir, component+"\x00", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		unix.Close(dir)
		if err != nil {
			return -1, notDirectory(err)
		}
		dir = next
	}
	return dir, nil
}
