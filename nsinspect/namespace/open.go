package namespace

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"golang.org/x/sys/unix"
)

// maxTries is how many of each kind of place are tried to open a namespace: any
// process may have ended, any descriptor may have been closed.
const maxTries = 8

// way is one way to open a namespace.
type way struct {
	pid   int
	file  string // below /proc/PID
	point string // or where it is mounted, as the process sees it
}

// Opener returns a function that opens the namespace in one of the places where it
// was found, for reading. The caller closes the descriptor, which is of nsfs and has the inode, both checked. The
// function can block on a mount of somebody who does not answer; [Enter] calls it so that this does not matter.
func (f *Found) Opener(fs *proc.FS) func() (fd int, err error) {
	none := errors.New("it was found in no place where it could be opened")
	if len(f.Mounts) > 0 {
		none = errors.New("it is only mounted where no process is")
	}
	var ways []way
	for _, pid := range f.Processes[:min(len(f.Processes), maxTries)] {
		ways = append(ways, way{pid: pid, file: "ns/" + f.Type})
	}
	for _, h := range f.Threads[:min(len(f.Threads), maxTries)] {
		ways = append(ways, way{pid: h.PID, file: h.File})
	}
	for _, h := range f.Holders[:min(len(f.Holders), maxTries)] {
		ways = append(ways, way{pid: h.PID, file: h.File})
	}
	for _, m := range f.Mounts[:min(len(f.Mounts), maxTries)] {
		for _, s := range m.In[:min(len(m.In), maxTries)] {
			switch {
			case s.Aloof != "":
				none = fmt.Errorf("it is only mounted below a file system of type %s, which may never answer", s.Aloof)
			case s.PID != 0:
				ways = append(ways, way{s.PID, threadFile(s.TID, "root"), m.Point})
			}
		}
	}
	id := f.ID
	return func() (int, error) {
		err := none
		for _, w := range ways {
			var fd int
			if fd, err = w.open(fs, id); err == nil {
				return fd, nil
			}
		}
		return -1, err
	}
}

func (w way) open(fs *proc.FS, id ID) (int, error) {
	p, err := fs.Process(w.pid)
	if err != nil {
		return -1, err
	}
	defer p.Close()
	if w.point != "" {
		return openMounted(p, w, id)
	}
	fd, err := openChecked(p, w.file, id)
	if errors.Is(err, unix.ENOENT) && strings.HasPrefix(w.file, "ns/") {
		// A leader that has exited has no namespaces; its threads do.
		tids, _ := p.Threads()
		for _, tid := range tids[:min(len(tids), maxTries)] {
			if fd, err := openChecked(p, threadFile(tid, w.file), id); err == nil {
				return fd, nil
			}
		}
	}
	if err != nil {
		return -1, fmt.Errorf("/proc/%d/%s: %w", w.pid, w.file, err)
	}
	return fd, nil
}

// openMounted opens a mounted namespace through the root directory of a process
// that sees it. No link on the way is followed: whoever may write there could lead it anywhere.
func openMounted(p *proc.Process, w way, id ID) (int, error) {
	where := fmt.Sprintf("/proc/%d/%s%s", w.pid, w.file, w.point)
	root, err := unix.Openat(p.FD(), w.file, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("/proc/%d/%s: %w", w.pid, w.file, err)
	}
	defer unix.Close(root)
	path, err := walk(root, w.point)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", where, err)
	}
	defer unix.Close(path)
	fd, err := reopen(p, path, id)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", where, err)
	}
	return fd, nil
}

// walk opens a path below a directory with O_PATH, a component at a time: no link
// is followed. openat2(2) would do it in one call, and cannot be allowed by a system call filter.
func walk(dir int, path string) (int, error) {
	at := dir
	components := strings.Split(strings.Trim(path, "/"), "/")
	for i, c := range components {
		flags := unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC
		if i < len(components)-1 {
			flags |= unix.O_DIRECTORY
		}
		if c == "" || c == "." || c == ".." {
			c, flags = "", flags|unix.O_DIRECTORY // no mountinfo has it; ENOENT
		}
		fd, err := unix.Openat(at, c, flags, 0)
		if at != dir {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		at = fd
	}
	return at, nil
}

// openChecked opens what a link of a process leads to if it is the namespace. What the
// link leads to may have changed since it was read, and opening a device or a FIFO can do things, so it is
// looked at through a descriptor that does not open it (O_PATH).
func openChecked(p *proc.Process, file string, id ID) (int, error) {
	path, err := unix.Openat(p.FD(), file, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(path)
	return reopen(p, path, id)
}

// reopen opens for reading what a descriptor of O_PATH stands for, if that is the namespace.
func reopen(p *proc.Process, path int, id ID) (int, error) {
	inode, err := p.NamespaceInode(path)
	if err != nil {
		return -1, err
	}
	if inode != id.Inode {
		return -1, fmt.Errorf("it is namespace %d by now, not %s", inode, id)
	}
	return unix.Open("/proc/self/fd/"+strconv.Itoa(path), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}
