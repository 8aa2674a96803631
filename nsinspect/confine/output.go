package confine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Output is a file that appears under its name whole or not at all, and that can be finished by a process which may
// open nothing any more: it is opened beforehand, and the filter of Apply lets through this one rename.
//
// Filters compare numbers and cannot follow a pointer. Both names are therefore kept in a page of memory that is
// read-only, and the filter compares the addresses. On Linux 6.10 and newer, on 64 bits, the page is also sealed
// (mseal(2)); before, whoever already runs code here could put other names there.
type Output struct {
	file  *os.File
	dir   int    // descriptor of the directory; -1 where path is written directly
	page  []byte // both names, each ended by NUL; never unmapped
	final int    // where in page the final name begins
	extra capSet // capabilities that the rename needs
	path  string
}

// ErrSymlink is returned for an output that is a symbolic link.
var ErrSymlink = errors.New("it is a symbolic link")

// CreateOutput opens a temporary file beside path, which Commit renames to path and Discard removes. A path that
// exists and is not a regular file (a terminal, a pipe, /dev/null) is opened as it is, since replacing it is not what
// anybody wants. A symbolic link is refused with [ErrSymlink]: root, whose output this mostly is, may have been given
// one by somebody else, and to replace it (/dev/stdout is one) is no better than to follow it.
//
// An existing file gives its permission bits; a new one gets what the umask leaves of 0666.
func CreateOutput(path string) (*Output, error) {
	mode := fs.FileMode(0o666)
	old, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case old.Mode()&fs.ModeSymlink != 0:
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrSymlink}
	case old.IsDir():
		return nil, &fs.PathError{Op: "open", Path: path, Err: unix.EISDIR}
	case !old.Mode().IsRegular():
		// A named pipe that nobody reads is an error (ENXIO) and not a wait without end.
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		if err := unix.SetNonblock(fd, false); err != nil {
			unix.Close(fd)
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return &Output{file: os.NewFile(uintptr(fd), path), dir: -1, path: path}, nil
	default:
		mode = old.Mode().Perm()
	}

	dirname, base := filepath.Split(path)
	if dirname == "" {
		dirname = "."
	}
	dir, err := unix.Open(dirname, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dirname, Err: err}
	}
	o := &Output{dir: dir, path: path}
	temporary := fmt.Sprintf(".%.200s.%s.tmp", base, strconv.FormatUint(rand.Uint64(), 36))
	if err := o.pin(temporary, base); err != nil {
		unix.Close(dir)
		return nil, err
	}
	fd, err := unix.Openat(dir, temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, uint32(mode))
	if err != nil {
		unix.Close(dir)
		return nil, &fs.PathError{Op: "create", Path: filepath.Join(dirname, temporary), Err: err}
	}
	o.file = os.NewFile(uintptr(fd), path)
	if old != nil {
		// The umask has been at it.
		err = o.file.Chmod(mode)
	}
	if err == nil {
		o.extra, err = renameNeeds(dir, old)
	}
	if err != nil {
		return nil, errors.Join(err, o.Discard())
	}
	return o, nil
}

// renameNeeds returns the capabilities without which this process may not rename within the directory: it belongs to
// somebody else, as when root writes a report into a user's home; or it has the sticky bit, and the file that is to be
// replaced belongs to a third (inode_permission() and may_delete() in fs/namei.c).
func renameNeeds(dir int, old fs.FileInfo) (capSet, error) {
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	mine := int(st.Uid) == unix.Geteuid()
	var s capSet
	if !mine || st.Mode&0o300 != 0o300 {
		s |= CapDACOverride.bit()
	}
	if !mine && st.Mode&unix.S_ISVTX != 0 && old != nil {
		s |= CapFowner.bit()
	}
	return s, nil
}

// pin puts the names where only a new mapping could change them.
func (o *Output) pin(temporary, final string) error {
	names := append([]byte(temporary), 0)
	o.final = len(names)
	names = append(append(names, final...), 0)
	size := os.Getpagesize()
	if len(names) > size || bytes.Count(names, []byte{0}) != 2 {
		return &fs.PathError{Op: "create", Path: final, Err: unix.ENAMETOOLONG}
	}
	page, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	copy(page, names)
	if err := unix.Mprotect(page, unix.PROT_READ); err != nil {
		return os.NewSyscallError("mprotect", err)
	}
	// ENOSYS before Linux 6.10, EPERM on 32 bits: then the page is as good as it was.
	_, _, _ = unix.Syscall(unix.SYS_MSEAL, uintptr(unsafe.Pointer(&page[0])), uintptr(size), 0)
	o.page = page
	return nil
}

// names returns the addresses of the temporary and the final name.
func (o *Output) names() (temporary, final uintptr) {
	return uintptr(unsafe.Pointer(&o.page[0])), uintptr(unsafe.Pointer(&o.page[o.final]))
}

// rules returns the two changes of a name that remain possible; none where there is no output.
func (o *Output) rules() []rule {
	if o == nil || o.dir < 0 {
		return nil
	}
	temporary, final := o.names()
	dir, from, to := uint64(o.dir), uint64(temporary), uint64(final)
	return []rule{
		only(unix.SYS_RENAMEAT2, is(0, dir), is(1, from),
			is(2, dir), is(3, to), is(4, 0)),
		only(unix.SYS_UNLINKAT, is(0, dir), is(1, from), is(2, 0)),
	}
}

// needs returns the capabilities that naming the output takes.
func (o *Output) needs() capSet {
	if o == nil {
		return 0
	}
	return o.extra
}

// Write writes to the temporary file.
func (o *Output) Write(p []byte) (int, error) { return o.file.Write(p) }

// Commit gives the file its name, replacing what had it. When it fails, the temporary file is gone and what was there
// before is untouched.
func (o *Output) Commit() error {
	if o.dir < 0 {
		return o.file.Close()
	}
	// Some filesystems tell that they are full only now.
	err := o.file.Close()
	if err == nil {
		temporary, final := o.names()
		d := uintptr(o.dir)
		err = withCaps(o.extra, func() error {
			_, _, errno := unix.Syscall6(unix.SYS_RENAMEAT2, d, temporary, d, final, 0, 0)
			return asError("rename", errno)
		})
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: o.path, Err: errors.Join(err, o.remove())}
	}
	return unix.Close(o.dir)
}

// Discard removes the temporary file.
func (o *Output) Discard() error {
	err := o.file.Close()
	if o.dir < 0 {
		return err
	}
	return errors.Join(err, o.remove())
}

func (o *Output) remove() error {
	temporary, _ := o.names()
	d := uintptr(o.dir)
	err := withCaps(o.extra, func() error {
		_, _, errno := unix.Syscall(unix.SYS_UNLINKAT, d, temporary, 0)
		return asError("unlink", errno)
	})
	return errors.Join(err, unix.Close(o.dir))
}
