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
	var err error
	rec.IPC, err = readNamespace(r.live, dir, pathIPC, "ipc", r.link[:])
	switch {
	case err == nil:
		ok = r.rest(dir, "", &rec)
	case errors.Is(err, unix.ESRCH):
	case errors.Is(err, unix.ENOENT):
		ok = r.leaderless(dir, err, &rec)
	default:
		r.fail(pid, "ns/ipc", err)
		ok = r.rest(dir, "", &rec)
	}
	if !ok {
		r.errs = r.errs[:mark]
	}
	return rec, ok
}

// rest reads what comes after ns/ipc, of a process or a thread (prefix "task/TID/"), and reports
// false when it has ended.
func (r *reader) rest(dir int, prefix string, rec *Record) bool {
	var err error
	if rec.PIDNS, err = readNamespace(r.live, dir, pathPID, "pid", r.link[:]); err != nil && !r.tolerate(rec.PID, prefix, "ns/pid", err) {
		return false
	}
	if rec.Mnt, err = readNamespace(r.live, dir, pathMnt, "mnt", r.link[:]); err != nil && !r.tolerate(rec.PID, prefix, "ns/mnt", err) {
		return false
	}
	return r.readCgroup(dir, prefix, rec)
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

// leaderless reads a process that has no ns/ipc. Usually it is a zombie. But a leader that has called pthread_exit
// looks the same while its other threads go on in their namespaces; then the first thread that answers speaks for the process.
func (r *reader) leaderless(dir int, missing error, rec *Record) bool {
	n, err := r.file(dir, pathStat, cgroupLimit)
	if errors.Is(err, unix.ESRCH) {
		return false
	}
	dead := false
	if err == nil {
		dead, _ = parseLiveness(r.buf[:n])
	}
	if !dead {
		// A kernel without IPC namespaces, or a tree with a hole in it.
		r.fail(rec.PID, "ns/ipc", missing)
		return r.rest(dir, "", rec)
	}

	mark := len(r.errs)
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
		r.fail(rec.PID, "task", &flaw{kind: Absent, text: "its threads came and went", cause: missing})
	}
	// What is left of the leader.
	if rec.PIDNS, err = readNamespace(r.live, dir, pathPID, "pid", r.link[:]); err != nil {
		rec.PIDNS = 0
		if !errors.Is(err, unix.ENOENT) && !r.tolerate(rec.PID, "", "ns/pid", err) {
			return false
		}
	}
	return r.readCgroup(dir, "", rec)
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

// thread reads one thread. got: it has namespaces. gone: it is no longer there.
func (r *reader) thread(dir int, prefix string, rec *Record) (got, gone bool) {
	ipc, err := readNamespace(r.live, dir, pathIPC, "ipc", r.link[:])
	if err == nil {
		rec.IPC = ipc
		mark := len(r.errs)
		if r.rest(dir, prefix, rec) && r.threadLives(dir) {
			return true, false
		}
		// It ended in the middle: nothing of it counts.
		r.errs = r.errs[:mark]
		rec.IPC, rec.PIDNS, rec.Mnt, rec.Cgroup = 0, 0, 0, -1
		return false, true
	}
	if errors.Is(err, unix.ESRCH) {
		return false, true
	}
	if !errors.Is(err, unix.ENOENT) {
		r.fail(rec.PID, prefix+"ns/ipc", err)
		return false, false
	}
	n, err := r.file(dir, pathStat, cgroupLimit)
	if err != nil {
		return false, true
	}
	if dead, ok := parseLiveness(r.buf[:n]); !ok || !dead {
		r.fail(rec.PID, prefix+"ns/ipc", unix.ENOENT)
	}
	return false, false
}

// threadLives tells whether a thread's directory still answers. The kernel says ENOENT, not ESRCH,
// in the directory of a thread that is gone.
func (r *reader) threadLives(dir int) bool {
	return !r.live || unix.Faccessat(dir, "stat", unix.F_OK, 0) == nil
}
