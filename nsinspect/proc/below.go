package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Origin is where the path of [Process.ReadBelow] begins.
type Origin string

// The directories of a process that a path can begin at.
const (
	FromRoot Origin = "root" // its root directory, in its mount namespace
	FromCwd  Origin = "cwd"  // its working directory, whatever that is called and wherever it was moved
)

// ReadBelow reads a file of at most limit bytes that is not the kernel's but lies
// on a disk, at a path below a directory of the process. It is for what an engine
// has written down, when the process is the engine's:
//
//   - Nothing is opened by its full path: the first directory is the one that the kernel keeps for the
//     process, and every component is opened relative to the one before it, so that the mount namespace, the container
//     or the renamed directory that the process lives in make no difference.
//   - No component may be a link, and the file must be regular. A component ".." is the parent directory.
//   - The file must belong to the user that the process runs as, and every directory to that user or to
//     root; neither may be writable by everybody, except for directories with the sticky bit.
//   - No file system is asked that may never answer: see [Process.Local]. The context bounds the time all the same.
//
// The owner of the file is returned. All errors are *Error. In a tree that is not a procfs the links root and cwd
// lead to places of the tree, ".." does not lead out of the root directory, and the owner of the tree stands for everybody.
//
// What is not protected: group-writable directories are taken, and whoever is root
// in the process's user namespace, or is the process's user, can write what he likes.
func (p *Process) ReadBelow(ctx context.Context, from Origin, path string, limit int) (content []byte, owner uint32, err error) {
	type file struct {
		content []byte
		owner   uint32
	}
	f, err := Wait(ctx, p, func() (f file, err error) {
		f.content, f.owner, err = p.descend(from, path, limit)
		return f, err
	})
	if err != nil {
		return nil, 0, p.fail(string(from)+"/"+strings.TrimPrefix(path, "/"), err)
	}
	return f.content, f.owner, nil
}

func (p *Process) descend(from Origin, path string, limit int) ([]byte, uint32, error) {
	var content []byte
	owner, err := p.below(from, path, func(dir int, name string, owner uint32) (err error) {
		content, err = p.readOwned(dir, name, owner, limit)
		return err
	})
	return content, owner, err
}

// ListBelow lists the names of the directories in a directory, as [Process.ReadBelow]
// reads a file: what that wants of the file it wants of the directory. At most
// limit names are returned; more are an error of kind TooBig beside them.
func (p *Process) ListBelow(ctx context.Context, from Origin, path string, limit int) ([]string, error) {
	names, err := Wait(ctx, p, func() (names []string, err error) {
		_, err = p.below(from, path, func(dir int, name string, owner uint32) error {
			at, err := openat(false, dir, name+"\x00", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
			if err != nil {
				return notDirectory(err)
			}
			defer unix.Close(at)
			if err := p.trustDirectory(at, owner); err != nil {
				return err
			}
			fd, err := openat(false, at, ".\x00", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
			if err != nil {
				return err
			}
			list := os.NewFile(uintptr(fd), name)
			defer list.Close()
			entries, err := list.ReadDir(limit + 1)
			for _, e := range entries {
				if e.IsDir() {
					names = append(names, e.Name())
				}
			}
			slices.Sort(names)
			if len(entries) > limit {
				return &flaw{kind: TooBig, text: fmt.Sprintf("more than %d names", limit)}
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		})
		return names, err
	})
	if err != nil {
		return names, p.fail(string(from)+"/"+strings.TrimPrefix(path, "/"), err)
	}
	return names, nil
}

// below goes down a path to its last component, which open opens.
func (p *Process) below(from Origin, path string, open func(dir int, name string, owner uint32) error) (owner uint32, err error) {
	if owner, err = p.owner(); err != nil {
		return 0, err
	}
	dir, path, err := p.begin(from, strings.TrimPrefix(path, "/"))
	if err != nil {
		return 0, err
	}
	defer func() { unix.Close(dir) }()
	if err := p.trustDirectory(dir, owner); err != nil {
		return 0, err
	}
	for depth := 0; ; {
		component, rest, more := strings.Cut(path, "/")
		// The kernel keeps the root of a live process. In a tree there is nothing but this that knows where it is.
		switch {
		case p.fs.live:
		case component != "..":
			depth++
		case depth == 0:
			return 0, &flaw{kind: BadData, text: "it leads out of the root directory", cause: unix.EXDEV}
		default:
			depth--
		}
		if component == "" || component == "." || strings.IndexByte(component, 0) >= 0 {
			return 0, &flaw{kind: BadData, text: fmt.Sprintf("%q is not a component of a path", component)}
		}
		if !more {
			return owner, open(dir, component, owner)
		}
		next, err := openat(false, dir, component+"\x00", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if err != nil {
			return 0, notDirectory(err)
		}
		unix.Close(dir)
		dir, path = next, rest
		if err := p.trustDirectory(dir, owner); err != nil {
			return 0, err
		}
	}
}

// begin opens the directory that a path begins at.
func (p *Process) begin(from Origin, path string) (dir int, rest string, err error) {
	if p.fs.live {
		// The only links that are followed: they are the kernel's, and lead to a directory, not to a name.
		dir, err = openat(false, p.fd, string(from)+"\x00", unix.O_PATH|unix.O_DIRECTORY)
		return dir, path, notDirectory(err)
	}
	if from == FromCwd {
		cwd, err := p.Link(string(FromCwd))
		if err != nil {
			return -1, "", err
		}
		if cwd = strings.Trim(cwd, "/"); cwd != "" {
			path = cwd + "/" + path
		}
	}
	dir, err = p.openRoot()
	return dir, path, err
}

// owner returns the user that the process runs as: the owner of its directory
// (fs/proc/base.c, task_dump_owner), who is root when it may not be dumped.
func (p *Process) owner() (uint32, error) {
	var st unix.Stat_t
	fd := p.fd
	if !p.fs.live {
		fd = p.fs.fd
	}
	err := unix.Fstat(fd, &st)
	return st.Uid, err
}

// trustDirectory returns an error unless a directory can only be written by root, by
// the owner, and by groups that they chose; or by all, who may not touch each other's files in it.
func (p *Process) trustDirectory(fd int, owner uint32) error {
	uid, mode, err := p.attributes(fd)
	switch {
	case err != nil:
		return err
	case uid != 0 && uid != owner:
		return &flaw{kind: BadData, text: fmt.Sprintf("a directory of its path belongs to uid %d, not to root or uid %d", uid, owner)}
	case mode&unix.S_IWOTH != 0 && mode&unix.S_ISVTX == 0:
		return &flaw{kind: BadData, text: "everybody may write to a directory of its path"}
	}
	return nil
}

// attributes returns the owner and the mode of what a descriptor of O_PATH stands for, if it is on a file system that may be asked.
func (p *Process) attributes(fd int) (uid, mode uint32, err error) {
	if p.fs.live {
		st, err := known(fd)
		if err == nil {
			err = p.onLocal(fd, &st)
		}
		if !errors.Is(err, unix.ENOSYS) {
			return st.Uid, uint32(st.Mode), err
		}
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return st.Uid, st.Mode, err
}

// readOwned reads a regular file that belongs to the owner.
func (p *Process) readOwned(dir int, name string, owner uint32, limit int) ([]byte, error) {
	// It is looked at before it is opened, which can block, and what was looked at is what is opened.
	path, err := openat(false, dir, name+"\x00", unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	defer unix.Close(path)
	uid, mode, err := p.attributes(path)
	switch {
	case err != nil:
		return nil, err
	case mode&unix.S_IFMT != unix.S_IFREG:
		return nil, &flaw{kind: BadData, text: "not a regular file"}
	case uid != owner:
		return nil, &flaw{kind: BadData, text: fmt.Sprintf("it belongs to uid %d, not to uid %d", uid, owner)}
	case mode&unix.S_IWOTH != 0:
		return nil, &flaw{kind: BadData, text: "everybody may write to it"}
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(path), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf, n, err := readAll(fd, make([]byte, 4096), limit, false)
	return buf[:n:n], err
}
