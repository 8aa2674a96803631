package proc

import (
	"bytes"
	"context"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Descriptor is an open descriptor that holds a namespace.
type Descriptor struct {
	FD   int
	Link string // "ipc:[4026532177]"
}

// NamespaceDescriptors returns the open descriptors of the process, or of the one thread, that are of a
// namespace, in order. A process that has ended, or has closed all it had, holds none.
//
// The text of a link is the first sieve. It cannot be chosen by the owner of a file, because that of a file is a path and
// starts with a slash (fs/d_path.c), but a name is no proof: on a procfs every descriptor that is returned was found
// to be of nsfs and to have the inode. That can block on a file of another file system, so the context is its deadline.
func (p *Process) NamespaceDescriptors(ctx context.Context) ([]Descriptor, error) {
	fds, err := listPIDs(p.fd, "fd\x00", []int32{0}, make([]byte, 16<<10)) // 0 is no PID, and not listed
	if err != nil {
		return nil, p.fail("fd", err)
	}
	slices.Sort(fds)
	var found []Descriptor
	var buf [linkSize]byte
	for i, fd := range fds {
		if i%1024 == 0 && ctx.Err() != nil {
			return found, p.fail("fd", ctx.Err())
		}
		n, err := readlinkat(false, p.fd, "fd/"+strconv.Itoa(int(fd))+"\x00", buf[:])
		if err != nil || !namespaceLink(buf[:n]) {
			continue // closed by now; what is not a link is only in a tree that is no procfs
		}
		found = append(found, Descriptor{int(fd), string(buf[:n])})
	}
	if !p.fs.live || len(found) == 0 {
		return found, nil
	}
	real, err := wait(ctx, p, func() ([]Descriptor, error) {
		return slices.DeleteFunc(slices.Clone(found), func(d Descriptor) bool { return !p.holds(d) }), nil
	})
	if err != nil {
		return nil, p.fail("fd", err)
	}
	return real, nil
}

// namespaceLink tells whether a text has the shape of the link of a namespace.
func namespaceLink(text []byte) bool {
	kind, _, ok := bytes.Cut(text, []byte(":["))
	if !ok || len(kind) == 0 {
		return false
	}
	for _, c := range kind {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	switch string(kind) {
	case "pipe", "socket": // the most of them, and never a namespace
		return false
	}
	_, ok = parseNamespace(text, string(kind))
	return ok
}

// holds tells whether a descriptor is of nsfs and has the inode that its link says.
func (p *Process) holds(d Descriptor) bool {
	fd, err := openat(false, p.fd, "fd/"+strconv.Itoa(d.FD)+"\x00", unix.O_PATH)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil || fs.Type != unix.NSFS_MAGIC {
		return false
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return false
	}
	kind, _, _ := bytes.Cut([]byte(d.Link), []byte(":"))
	inode, ok := parseNamespace([]byte(d.Link), string(kind))
	return ok && inode == st.Ino
}

// SharesDescriptors tells whether a thread has the descriptor table of its process, which clone(2) gives it and
// unshare(2) takes away. It asks kcmp(2), Linux 3.5 with CONFIG_KCMP; when that gives no answer, it says false: look for yourself.
func (p *Process) SharesDescriptors(tid int) bool {
	if p.fs.Self() == 0 {
		return false // its numbers are not those that the kernel would understand
	}
	const files = 2 // KCMP_FILES, include/uapi/linux/kcmp.h
	order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(p.PID), uintptr(tid), files, 0, 0, 0)
	return errno == 0 && order == 0
}

// NamespaceMounts returns the mounts of namespaces (of type nsfs) that the process sees, in the kernel's order, and whether
// it sees the root of its mount namespace: a process in a chroot sees only what is mounted below that. Reading the list takes
// the lock of the mount namespaces, so the context is its deadline.
func (p *Process) NamespaceMounts(ctx context.Context) (mounts []Mount, root bool, err error) {
	text, err := p.ReadWithin(ctx, "mountinfo", mountinfoLimit)
	if err != nil {
		return nil, false, err
	}
	mounts, root, ok := ParseNamespaceMounts(text)
	if !ok {
		err = p.fail("mountinfo", &flaw{kind: BadData, text: "not in the kernel's format"})
	}
	return mounts, root, err
}

// ParseNamespaceMounts reads a mountinfo file as [Process.NamespaceMounts] does: only the lines that matter, as there can be
// thousands of others. ok is false when one of them is not in the kernel's format; the rest is returned.
func ParseNamespaceMounts(text []byte) (mounts []Mount, root, ok bool) {
	ok = true
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		f := bytes.SplitN(line, []byte(" "), 6)
		if !bytes.Contains(line, []byte(" - nsfs ")) && !(len(f) == 6 && string(f[4]) == "/") {
			continue
		}
		m, good := parseMount(line)
		ok = ok && good
		root = root || good && m.Point == "/"
		if good && m.Type == "nsfs" {
			mounts = append(mounts, m)
		}
	}
	return mounts, root, ok
}

// SingleThreaded tells whether the process has no thread but its leader, without listing them: the kernel counts them in the
// links of the directory (fs/proc/base.c, proc_task_getattr). In a tree that is no procfs it is always false: list them.
func (p *Process) SingleThreaded() bool {
	if !p.fs.live {
		return false
	}
	var st unix.Stat_t
	const links = 2 + 1 // ".", ".." and the leader
	return unix.Fstatat(p.fd, "task", &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Nlink == links
}
