package proc

import (
	"errors"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The paths of the hot pass, ready for the kernel.
const (
	pathIPC    = "ns/ipc\x00"
	pathPID    = "ns/pid\x00"
	pathMnt    = "ns/mnt\x00"
	pathCgroup = "cgroup\x00"
	pathStat   = "stat\x00"
	pathTask   = "task\x00"

	// And of Credentials.
	pathStatus = "status\x00"
	pathUser   = "ns/user\x00"
	pathLabel  = "attr/current\x00"
)

// cgroupLimit is far above what the kernel's own limits on depth and names in
// use allow for: a path has at most PATH_MAX bytes, and there is a line a hierarchy.
const cgroupLimit = 1 << 20

// reader reads processes one after the other into the same buffers.
type reader struct {
	live   bool
	link   [linkSize]byte
	path   [32]byte
	buf    []byte // grows; only its first cgroup bytes are the last process's
	cgroup int
	errs   []*Error
}

func newReader(live bool) *reader {
	return &reader{live: live, buf: make([]byte, 8192)}
}

// reader returns a reader with buffers that were used before, if there is one; they are
// most of what a visit would allocate.
func (fs *FS) reader() *reader {
	if r, ok := fs.readers.Get().(*reader); ok {
		return r
	}
	return newReader(fs.live)
}

// release gives a reader back. What it has read is no longer its caller's.
func (fs *FS) release(r *reader) {
	r.errs = nil
	fs.readers.Put(r)
}

// name makes a path of a number. It is good until the next call.
func (r *reader) name(prefix string, number int) string {
	b := append(r.path[:0], prefix...)
	b = append(strconv.AppendInt(b, int64(number), 10), 0)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

func (r *reader) fail(pid int, file string, err error) {
	r.errs = append(r.errs, newError(pid, file, err))
}

// process reads one process through its open directory. It reports false when the process has
// ended; then nothing is recorded. The text of the cgroup file is in r.buf[:r.cgroup], if rec.Cgroup is not negative.
func (r *reader) process(dir, pid int) (rec Record, ok bool) {
	rec = Record{PID: pid, Cgroup: -1}
	mark := len(r.errs)
	lost, ok := r.task(dir, "", &rec)
	if ok && lost {
		ok = r.leaderless(dir, mark, &rec)
		// What still is not there may be so because it has ended now.
		if ok && len(r.errs) > mark && r.live && unix.Faccessat(dir, "stat", unix.F_OK, 0) == unix.ESRCH {
			ok = false
		}
	}
	if !ok {
		r.errs = r.errs[:mark]
	}
	return rec, ok
}

// task reads a process or a thread (prefix "task/TID/"). ok: it has not ended. lost: something was not there,
// which may be because the task is dead or dying, or has ended just after the kernel had found it (ESRCH comes from
// proc_pid_permission, ENOENT from proc_pident_lookup right behind it).
//
// The cgroup comes first. A task that exits loses its namespaces before it is moved to the root of the cgroups of version 1
// (kernel/exit.c, do_exit), so when the last link answers, all was read of a task that was alive.
func (r *reader) task(dir int, prefix string, rec *Record) (lost, ok bool) {
	ok = r.readCgroup(dir, prefix, rec)
	lost = rec.Cgroup < 0
	ok = ok &&
		r.namespace(dir, prefix, pathPID, "pid", rec.PID, &rec.PIDNS, &lost) &&
		r.namespace(dir, prefix, pathMnt, "mnt", rec.PID, &rec.Mnt, &lost) &&
		r.namespace(dir, prefix, pathIPC, "ipc", rec.PID, &rec.IPC, &lost)
	return lost, ok
}

// namespace reads one link, and reports false when the process has ended.
func (r *reader) namespace(dir int, prefix, path, kind string, pid int, ino *uint64, lost *bool) bool {
	var err error
	if *ino, err = readNamespace(r.live, dir, path, kind, r.link[:]); err == nil {
		return true
	}
	*lost = *lost || errors.Is(err, unix.ENOENT)
	return r.tolerate(pid, prefix, path[:len(path)-1], err)
}

// tolerate records an error and reports true, unless it says that the process has ended.
func (r *reader) tolerate(pid int, prefix, file string, err error) bool {
	if errors.Is(err, unix.ESRCH) {
		return false
	}
	r.fail(pid, prefix+file, err)
	return true
}

func (r *reader) readCgroup(dir int, prefix string, rec *Record) bool {
	var err error
	if r.cgroup, err = r.file(dir, pathCgroup, cgroupLimit); err != nil {
		rec.Cgroup = -1
		return r.tolerate(rec.PID, prefix, "cgroup", err)
	}
	rec.Cgroup = 0
	return true
}

// file reads a small file into r.buf.
func (r *reader) file(dir int, path string, limit int) (n int, err error) {
	var fd int
	if r.live {
		fd, err = openat(true, dir, path, unix.O_RDONLY)
	} else {
		fd, err = openRegular(dir, path[:len(path)-1])
	}
	if err != nil {
		return 0, err
	}
	r.buf, n, err = readAll(fd, r.buf, limit, r.live)
	closeFD(r.live, fd)
	return n, err
}

// maxLookThreads is how often the threads of a dead leader are listed anew,
// because those that were listed had gone when they were read.
const maxLookThreads = 8

// leaderless reads a process that has lost its namespaces. Usually it is a zombie. But a leader that has called
// pthread_exit looks the same while its other threads go on in their namespaces; then the first thread that answers speaks for the process.
// What was read of it before, with errors from mark on, stands only if it is alive.
func (r *reader) leaderless(dir, mark int, rec *Record) bool {
	dead, err := r.dead(dir)
	if errors.Is(err, unix.ESRCH) {
		return false
	}
	if !dead { // a kernel without such namespaces, or a tree with a hole in it
		return rec.Cgroup < 0 || r.readCgroup(dir, "", rec)
	}
	*rec = Record{PID: rec.PID, Cgroup: -1}
	for range maxLookThreads {
		r.errs = r.errs[:mark]
		found, moving, alive := r.threads(dir, rec)
		if !alive {
			return false
		}
		if found {
			return true
		}
		if moving {
			continue
		}
		if len(r.errs) == mark {
			rec.Zombie = true
		}
		break
	}
	if !rec.Zombie && len(r.errs) == mark {
		r.fail(rec.PID, "task", errThreads)
	}
	// What is left of the leader.
	var lost bool
	errs := len(r.errs)
	if !r.namespace(dir, "", pathPID, "pid", rec.PID, &rec.PIDNS, &lost) {
		return false
	}
	if lost {
		r.errs = r.errs[:errs]
	}
	return r.readCgroup(dir, "", rec)
}

// dead tells whether a task is dead or dying. Where its stat file cannot be read it is not known to be.
func (r *reader) dead(dir int) (bool, error) {
	n, err := r.file(dir, pathStat, statLimit)
	if err != nil {
		return false, err
	}
	dead, _ := parseLiveness(r.buf[:n])
	return dead, nil
}

// threads looks for a thread that has namespaces, and reads it. found: rec is filled in. moving: a thread was listed
// that is no longer there, so that there may be others that were not listed. alive: the process is still there.
func (r *reader) threads(dir int, rec *Record) (found, moving, alive bool) {
	tids, err := listPIDs(dir, pathTask, nil, make([]byte, 4096))
	switch {
	case errors.Is(err, unix.ESRCH):
		return false, false, false
	case errors.Is(err, unix.ENOENT) && !r.live:
		return false, false, true // a tree that has no threads in it
	case err != nil:
		r.fail(rec.PID, "task", err)
		return false, false, true
	}
	slices.Sort(tids)
	for _, tid := range tids {
		if int(tid) == rec.PID {
			continue
		}
		prefix := "task/" + strconv.Itoa(int(tid)) + "/"
		fd, err := openThread(dir, int(tid), r.live)
		if err != nil {
			if errors.Is(err, unix.ESRCH) {
				return false, false, false
			}
			if errors.Is(err, unix.ENOENT) {
				moving = true
				continue
			}
			r.fail(rec.PID, prefix, err)
			continue
		}
		got, gone := r.thread(fd, prefix, rec)
		closeFD(r.live, fd)
		if got {
			rec.TID = int(tid)
			return true, false, true
		}
		moving = moving || gone
	}
	return false, moving, true
}

// thread reads one thread. got: it has namespaces. gone: it is no longer there. A directory whose thread is
// gone says ENOENT, and not ESRCH (proc_tid_base_inode_operations has no permission function).
func (r *reader) thread(dir int, prefix string, rec *Record) (got, gone bool) {
	mark := len(r.errs)
	lost, ok := r.task(dir, prefix, rec)
	if ok && !lost {
		return true, false
	}
	dead, gone := false, !ok
	if ok {
		var err error
		dead, err = r.dead(dir)
		gone = err != nil
	}
	if !dead && !gone && rec.IPC != 0 { // alive, with a hole in it
		if rec.Cgroup < 0 || r.readCgroup(dir, prefix, rec) {
			return true, false
		}
		gone = true
	}
	if dead || gone {
		r.errs = r.errs[:mark]
	}
	*rec = Record{PID: rec.PID, Cgroup: -1}
	return false, gone
}
