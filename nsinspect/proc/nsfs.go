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
	real, err := Wait(ctx, p, func() ([]Descriptor, error) {
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
	kind, _, _ := bytes.Cut([]byte(d.Link), []byte(":"))
	want, ok := parseNamespace([]byte(d.Link), string(kind))
	inode, err := p.NamespaceInode(fd)
	return ok && err == nil && inode == want
}

// NamespaceInode returns the inode of a descriptor of the caller's if it is of a namespace, which it may be although it was opened
// with O_PATH; an inode on another file system than nsfs means nothing. A process that has ended cannot be asked.
//
// The file system of what is no namespace is not asked anything: fstat(2) and fstatfs(2) make a request to the process behind a FUSE
// mount and wait for the answer, uninterruptibly once it was read (fs/fuse/dev.c, request_wait_answer), so that not even the end of
// this process would end it. What the kernel knows by itself is enough (AT_STATX_DONT_SYNC, Linux 4.11): the device, which is that of the namespaces of the process.
func (p *Process) NamespaceInode(fd int) (uint64, error) {
	var own, st unix.Statx_t
	const known = unix.AT_STATX_DONT_SYNC | unix.AT_NO_AUTOMOUNT
	if err := unix.Statx(p.fd, "ns/user", known, unix.STATX_INO, &own); err != nil {
		return 0, p.fail("ns/user", err)
	}
	if err := unix.Statx(fd, "", known|unix.AT_EMPTY_PATH, unix.STATX_INO, &st); err != nil {
		return 0, err
	}
	if st.Dev_major != own.Dev_major || st.Dev_minor != own.Dev_minor {
		return 0, &flaw{kind: BadData, text: "not a namespace"}
	}
	return st.Ino, nil
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

// NamespaceMount is a place where a namespace is mounted.
type NamespaceMount struct {
	Link  string // "ipc:[4026532177]"
	Point string // as the process sees it
	// Aloof is the type of a file system on the way to the place which may ask a process, or another machine, for
	// answers, "" if there is none: going there by its path can block for ever. It is overlay only if there is no other one.
	Aloof string
}

// NamespaceMounts returns the mounts of namespaces (of type nsfs) that the process sees, in the kernel's order, and whether
// it sees the root of its mount namespace: a process in a chroot sees only what is mounted below that. Reading the list takes
// the lock of the mount namespaces, so the context is its deadline.
func (p *Process) NamespaceMounts(ctx context.Context) (mounts []NamespaceMount, root bool, err error) {
	text, err := p.ReadWithin(ctx, "mountinfo", mountinfoLimit)
	if err != nil {
		return nil, false, err
	}
	mounts, root, ok := parseNamespaceMounts(text)
	if !ok {
		err = p.fail("mountinfo", &flaw{kind: BadData, text: "not in the kernel's format"})
	}
	return mounts, root, err
}

// parseNamespaceMounts reads a mountinfo file. ok is false when something that matters here is not in the kernel's format; the rest is returned.
func parseNamespaceMounts(text []byte) (mounts []NamespaceMount, root, ok bool) {
	ok = true
	var found []Mount
	for line := range bytes.Lines(text) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		f := bytes.SplitN(line, []byte(" "), 6)
		if !bytes.Contains(line, []byte(" - nsfs ")) && !(len(f) == 6 && string(f[4]) == "/") {
			continue // there can be thousands of these
		}
		m, good := parseMount(line)
		ok = ok && good
		root = root || good && m.Point == "/"
		if good && m.Type == "nsfs" {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return nil, root, ok
	}
	// What each of them is mounted upon, up to the root.
	above := map[int]Mount{}
	for line := range bytes.Lines(text) {
		if m, good := parseMount(bytes.TrimSuffix(line, []byte("\n"))); good {
			above[m.ID] = m
		}
	}
	for _, m := range found {
		n := NamespaceMount{Link: m.Root, Point: m.Point}
		at, there := above[m.Parent]
		for range len(above) {
			if !there {
				break
			}
			if !slices.Contains(local(), at.Type) && (n.Aloof == "" || n.Aloof == "overlay") {
				n.Aloof = at.Type
			}
			if at.ID == at.Parent {
				break
			}
			at, there = above[at.Parent]
		}
		mounts = append(mounts, n)
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
