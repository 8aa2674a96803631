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

// ReadDevShm lists the /dev/shm of a process. It opens no file in there, follows no link, and goes into no other file system
// that is mounted below.
//
// No file system is asked that may never answer ([proc.Process.Local]). The context bounds it all the same: when it ends first, the reading is abandoned,
// and the kind of the error is [proc.Blocked]. What could be listed is returned beside an error.
func ReadDevShm(ctx context.Context, process *proc.Process) (DevShm, error) {
	if err := ctx.Err(); err != nil {
		return DevShm{}, &proc.Error{PID: process.PID, File: "root/dev/shm", Kind: proc.Blocked, Err: err}
	}
	type listing struct {
		shm DevShm
		err error
	}
	l, err := proc.Wait(ctx, process, func() (l listing, _ error) {
		l.shm, l.err = readDevShm(process)
		return l, nil
	})
	if err != nil {
		return DevShm{}, &proc.Error{PID: process.PID, File: "root/dev/shm", Kind: proc.KindOf(err), Err: err}
	}
	if l.err != nil {
		return l.shm, fmt.Errorf("root/dev/shm: %w", l.err)
	}
	return l.shm, nil
}

func readDevShm(process *proc.Process) (DevShm, error) {
	// The one link that is followed: the kernel's own, to the process's root. From there one component at a time and no link: no
	// need for openat2 (Linux 5.6), and nothing to lead out of the root.
	top, name := process.FD(), "root"
	flags := unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	for _, next := range []string{"dev", "shm", ""} {
		fd, err := unix.Openat(top, name, flags, 0)
		if err != nil {
			return DevShm{}, err
		}
		defer unix.Close(fd)
		if err := process.Local(fd); err != nil {
			return DevShm{}, fmt.Errorf("%s: %w", name, err)
		}
		top, name = fd, next
		flags |= unix.O_NOFOLLOW
	}
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
