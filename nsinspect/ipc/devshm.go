package ipc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

// DevShm is the /dev/shm that a process sees, with everything in it. It is a
// tmpfs of the mount namespace and has nothing to do with the IPC namespace;
// processes that see the same device share it.
type DevShm struct {
	Device Device
	Files  []report.ShmFile // by name
}

// Bounds of one /dev/shm, whose owner may fill it at will.
const (
	maxShmFiles = 1 << 16
	maxShmDepth = 16
)

// ReadDevShm lists the /dev/shm of a process, given an open descriptor of its /proc/PID, which
// is not used after the return. It opens no file in there, follows no link, and
// goes into no other file system that is mounted below.
//
// The context bounds it: a name may lead to a file system that never answers.
// When it ends first, the reading is abandoned with its thread, and the kind of
// the error is [proc.Blocked]. A thread that waits for a file system in user space cannot even
// be killed, and keeps this process from ending: call it only where mountinfo has a tmpfs on
// /dev/shm, and none of those on the way there. What could be listed is returned beside an error.
func ReadDevShm(ctx context.Context, process int) (DevShm, error) {
	if err := ctx.Err(); err != nil {
		return DevShm{}, &proc.Error{File: "root/dev/shm", Kind: proc.Blocked, Err: err}
	}
	own, err := unix.FcntlInt(uintptr(process), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return DevShm{}, fmt.Errorf("root/dev/shm: %w", err)
	}
	type result struct {
		shm DevShm
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer unix.Close(own)
		shm, err := readDevShm(own)
		if err != nil {
			err = fmt.Errorf("root/dev/shm: %w", err)
		}
		done <- result{shm, err}
	}()
	select {
	case r := <-done:
		return r.shm, r.err
	case <-ctx.Done():
		return DevShm{}, &proc.Error{File: "root/dev/shm", Kind: proc.Blocked, Err: ctx.Err()}
	}
}

func readDevShm(process int) (DevShm, error) {
	// The one link that is followed: the kernel's own, to the process's root.
	root, err := unix.Openat(process, "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return DevShm{}, err
	}
	defer unix.Close(root)
	// One component at a time and no link: no need for openat2 (Linux 5.6), and
	// nothing to lead out of the root.
	const step = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	dev, err := unix.Openat(root, "dev", step, 0)
	if err != nil {
		return DevShm{}, err
	}
	defer unix.Close(dev)
	top, err := unix.Openat(dev, "shm", step, 0)
	if err != nil {
		return DevShm{}, err
	}
	defer unix.Close(top)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(top, &fs); err != nil {
		return DevShm{}, err
	}
	if int64(fs.Type) != unix.TMPFS_MAGIC {
		// Anything else may be answered for by a process of the container.
		return DevShm{}, fmt.Errorf("not a tmpfs: file system type %#x", int64(fs.Type))
	}
	var st unix.Stat_t
	if err := unix.Fstat(top, &st); err != nil {
		return DevShm{}, err
	}
	shm := DevShm{Device: Device{unix.Major(st.Dev), unix.Minor(st.Dev)}}
	dir, err := unix.Openat(top, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return shm, err
	}
	w := shmWalk{device: uint64(st.Dev)}
	w.list(dir, "", 0)
	slices.SortFunc(w.files, func(a, b report.ShmFile) int { return cmp.Compare(a.Name, b.Name) })
	shm.Files = w.files
	return shm, Join(w.err)
}

// shmWalk gathers what is on one device.
type shmWalk struct {
	device uint64
	files  []report.ShmFile
	err    error // the first one
}

func (w *shmWalk) fail(name string, err error) {
	if w.err == nil && !errors.Is(err, unix.ENOENT) { // what has just been removed is no error
		w.err = fmt.Errorf("%s: %w", excerpt([]byte(name)), err)
	}
}

// list takes over dir.
func (w *shmWalk) list(dir int, below string, depth int) {
	defer unix.Close(dir)
	names, err := readNames(dir, maxShmFiles)
	if err != nil {
		w.fail(below, err)
	}
	for _, name := range names {
		if len(w.files) == maxShmFiles {
			w.fail(below, fmt.Errorf("more than %d files", maxShmFiles))
			return
		}
		// What is mounted there may belong to somebody who never answers; it is not asked.
		var st unix.Statx_t
		if err := unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS, &st); err != nil {
			w.fail(below+name, err)
			continue
		}
		f := report.ShmFile{Name: report.Text(below + name), Perms: perms(uint32(st.Mode & 0o7777)), UID: st.Uid, GID: st.Gid,
			Size: st.Size, Used: st.Blocks * 512, MTime: st.Mtime.Sec}
		directory := st.Mode&unix.S_IFMT == unix.S_IFDIR
		if directory {
			f.Name += "/"
		}
		w.files = append(w.files, f)
		switch {
		case !directory:
		case unix.Mkdev(st.Dev_major, st.Dev_minor) != w.device:
			w.fail(below+name, errors.New("another file system is mounted there"))
		case depth == maxShmDepth:
			w.fail(below+name, fmt.Errorf("deeper than %d directories", maxShmDepth))
		default:
			w.enter(dir, name, below, depth)
		}
	}
}

// enter lists a directory that was on the device a moment ago.
func (w *shmWalk) enter(dir int, name, below string, depth int) {
	at, err := unix.Openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		w.fail(below+name, err)
		return
	}
	defer unix.Close(at)
	var st unix.Statx_t
	if err := unix.Statx(at, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &st); err != nil || unix.Mkdev(st.Dev_major, st.Dev_minor) != w.device {
		w.fail(below+name, errors.New("another file system was mounted there meanwhile"))
		return
	}
	fd, err := unix.Openat(at, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		w.fail(below+name, err)
		return
	}
	w.list(fd, below+name+"/", depth+1)
}
