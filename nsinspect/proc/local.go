package proc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// local are the types of file systems on which a path is looked up, and a file is read, without asking a process or another
// machine. overlay is not among them, as it asks those that it is made of, which any user can choose in a user namespace (Linux 5.11).
func local() []string {
	return []string{"bcachefs", "btrfs", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "proc", "ramfs", "rootfs",
		"squashfs", "sysfs", "tmpfs", "vfat", "xfs", "zfs"}
}

// Local returns an error unless an open file, or one that was opened with O_PATH, is on a file system that answers by itself.
// Whoever waits for a file system in user space cannot even be killed, once the question was read there (fs/fuse/dev.c,
// request_wait_answer), and a process with such a thread does not end: a deadline is no help against that. So the file
// system is not asked anything, also not by this: the descriptor tells its mount, and the process's mountinfo the type of that.
//
// An overlay is taken for one that answers if it is among the mounts of the reader or of PID 1, who have chosen what it is made of.
//
// In a tree that is no procfs everything is taken: it is on the user's own file system. What is not protected: a file system of a
// device that gives no answer; and a mount that has taken the number of another one since the list of its mount namespace was read.
func (p *Process) Local(fd int) error {
	if !p.fs.live {
		return nil
	}
	st, err := known(fd)
	if err != nil {
		if errors.Is(err, unix.ENOSYS) { // before Linux 4.11 nothing can be told without asking
			return nil
		}
		return err
	}
	return p.onLocal(fd, &st)
}

// known is what the kernel knows of an open file by itself; on a local file system that is all there is to know.
func known(fd int) (st unix.Statx_t, err error) {
	err = unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st)
	return st, err
}

func (p *Process) onLocal(fd int, st *unix.Statx_t) error {
	id := int(st.Mnt_id)
	if st.Mask&unix.STATX_MNT_ID == 0 { // Linux 5.8
		var err error
		if id, err = mountOf(fd); err != nil {
			return err
		}
	}
	m, ok, err := p.fs.mounts.of(p, id)
	switch {
	case err != nil:
		return fmt.Errorf("on an unknown file system: %w", err)
	case !ok:
		return &flaw{kind: Failed, text: "on a file system that is not among the mounts of the process, and may never answer: it is not asked"}
	case slices.Contains(local(), m.kind), m.kind == "overlay" && p.fs.mounts.ours(p.fs, m):
		return nil
	}
	return &flaw{kind: Failed, text: fmt.Sprintf("on a file system of type %s, which may never answer: it is not asked", m.kind)}
}

// mountOf returns the number of the mount that an open file is on (proc_pid_fdinfo(5), Linux 3.15).
func mountOf(fd int) (int, error) {
	info, err := unix.Open("/proc/self/fdinfo/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("fdinfo: %w", err)
	}
	defer unix.Close(info)
	buf, n, err := readAll(info, make([]byte, 512), statLimit, false)
	if err != nil {
		return 0, fmt.Errorf("fdinfo: %w", err)
	}
	return parseMountOf(buf[:n])
}

// parseMountOf reads the line mnt_id of a file below /proc/PID/fdinfo.
func parseMountOf(text []byte) (int, error) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte("mnt_id:")); ok {
			if id, ok := parseInt(bytes.TrimSpace(value)); ok {
				return id, nil
			}
		}
	}
	return 0, errFormat
}

// mountKind is the file system of a mount.
type mountKind struct {
	kind         string
	major, minor uint32
}

// mountKinds are the file systems of the mounts of mount namespaces. Lists of mounts are long where there are many containers,
// so each is read once, and again when a mount is not in it.
type mountKinds struct {
	mu       sync.Mutex
	in       map[uint64]map[int]mountKind // by mount namespace and number
	overlays map[mountKind]bool           // of the reader and of PID 1; nil before they were read
}

// of returns what is mounted under a number where a process is.
func (k *mountKinds) of(p *Process, id int) (m mountKind, ok bool, err error) {
	namespace, err := p.Namespace("mnt")
	if err != nil {
		return m, false, err
	}
	k.mu.Lock()
	m, ok = k.in[namespace][id]
	k.mu.Unlock()
	if ok {
		return m, true, nil
	}
	list, err := p.mountinfo()
	if err != nil {
		return m, false, err
	}
	kinds := make(map[int]mountKind, len(list))
	for _, m := range list {
		kinds[m.ID] = mountKind{m.Type, m.Major, m.Minor}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.in == nil {
		k.in = map[uint64]map[int]mountKind{}
	}
	k.in[namespace] = kinds
	m, ok = kinds[id]
	return m, ok, nil
}

// ours tells whether an overlay is one of the reader's or of PID 1's.
func (k *mountKinds) ours(fs *FS, m mountKind) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.overlays == nil {
		k.overlays = map[mountKind]bool{}
		for _, who := range []string{"self", "1"} {
			text, err := fs.File(who+"/mountinfo", mountinfoLimit)
			if err != nil {
				continue // then fewer are trusted
			}
			list, _ := parseMountInfo(text)
			for _, o := range list {
				if o.Type == m.kind {
					k.overlays[mountKind{o.Type, o.Major, o.Minor}] = true
				}
			}
		}
	}
	return k.overlays[m]
}
