package ipc

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

// maxMqueues bounds the queues of one namespace. Its owner may set
// fs.mqueue.queues_max as high as it likes (ipc/mq_sysctl.c).
const maxMqueues = 1 << 17

// ParseMqueue makes a queue of its file: name (carried as [report.Text]), st_mode, owner and the text
// that it reads as (ipc/mqueue.c, mqueue_read_file). On an error only QSize is
// missing.
func ParseMqueue(name string, mode, uid, gid uint32, text []byte) (report.Mqueue, error) {
	q := report.Mqueue{Name: report.Text(name), Mode: mode & 0o7777, Perms: perms(mode & 0o7777), UID: uid, GID: gid}
	value, found := bytes.CutPrefix(text, []byte("QSIZE:"))
	// The last number of a text without an end may have lost digits.
	if !found || !bytes.HasSuffix(text, []byte{'\n'}) {
		return q, fmt.Errorf("mqueue %s: %s is not a queue's text", excerpt([]byte(name)), excerpt(text))
	}
	value, _, _ = bytes.Cut(bytes.TrimRight(value, "\n"), []byte{' '})
	n, err := number(value, math.MaxUint64)
	if err != nil {
		return q, fmt.Errorf("mqueue %s: QSIZE: %w", excerpt([]byte(name)), err)
	}
	q.QSize = n
	return q, nil
}

// ReadMqueue lists the POSIX message queues of the calling thread's IPC
// namespace by their names. It makes a mount of the mqueue file system that is
// attached nowhere, read-only, and gone with its descriptor. Reading a queue's
// text sets its access time and takes no message.
//
// It needs Linux 5.2 (fsopen), and CAP_SYS_ADMIN in the user namespaces that
// own the reader's mount namespace and the IPC namespace. A kernel built
// without POSIX message queues has none: no error. The queues that could be
// read are returned beside an error.
func ReadMqueue() ([]report.Mqueue, error) {
	mount, err := mountMqueue()
	if errors.Is(err, unix.ENODEV) {
		return nil, nil // not known to the kernel; it cannot come as a module
	}
	if err != nil {
		return nil, fmt.Errorf("mqueue: %w", err)
	}
	defer unix.Close(mount)
	// What fsmount returns is good for paths only.
	dir, err := unix.Openat(mount, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("mqueue: open: %w", err)
	}
	defer unix.Close(dir)
	names, err := readNames(dir, maxMqueues)
	queues := make([]report.Mqueue, 0, len(names))
	if err != nil {
		err = fmt.Errorf("mqueue: %w", err)
	}
	text := make([]byte, 256)
	for _, name := range names {
		q, ok, qErr := readMqueue(dir, name, text)
		if ok {
			queues = append(queues, q)
		}
		if qErr != nil && err == nil {
			err = qErr
		}
	}
	slices.SortFunc(queues, func(a, b report.Mqueue) int { return cmp.Compare(a.Name, b.Name) })
	return queues, err
}

// readMqueue reads one queue; ok is false for one that has just been removed.
func readMqueue(dir int, name string, buf []byte) (q report.Mqueue, ok bool, err error) {
	var st unix.Stat_t
	err = unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return q, false, nil
	}
	if err != nil {
		return q, false, fmt.Errorf("mqueue %s: stat: %w", excerpt([]byte(name)), err)
	}
	q, _ = ParseMqueue(name, st.Mode, st.Uid, st.Gid, nil)
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return q, false, nil
	}
	if err != nil {
		return q, true, fmt.Errorf("mqueue %s: open: %w", excerpt([]byte(name)), err)
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return q, true, fmt.Errorf("mqueue %s: read: %w", excerpt([]byte(name)), err)
	}
	q, err = ParseMqueue(name, st.Mode, st.Uid, st.Gid, buf[:n])
	return q, true, err
}

// mountMqueue returns the root of a new mount of the calling thread's mqueue file system.
func mountMqueue() (int, error) {
	fs, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) {
		return -1, fmt.Errorf("fsopen: %w (Linux 5.2 is needed to see them without mounting)", err)
	}
	if err != nil {
		return -1, fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("fsconfig: %w", err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC,
		unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsmount: %w", err)
	}
	return mount, nil
}

// readNames lists an open directory, at most limit names of it beside an error.
func readNames(dir, limit int) ([]string, error) {
	var names []string
	buf := make([]byte, 4<<10) // most directories are small, and a larger one would have to be cleared first
	for {
		n, err := unix.ReadDirent(dir, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return names, fmt.Errorf("list: %w", err)
		}
		if n == 0 {
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
		if len(names) > limit {
			return names[:limit], fmt.Errorf("list: more than %d entries", limit)
		}
	}
}
