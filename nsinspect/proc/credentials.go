package proc

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Credentials is what the kernel judges a process by, and nothing else of it.
type Credentials struct {
	PID          int
	KernelThread bool
	Status       *Status
	UserNS       uint64 // inode of ns/user
	Guard        *Guard
}

// Credentials reads what a process is judged by at a fifth of the cost of a
// visit: for those who ask it of every process of a host. Nothing
// that it reads takes a lock of the target. Of a process whose leader has exited
// the credentials are the leader's last.
func (fs *FS) Credentials(pid int) (*Credentials, error) {
	r := fs.reader()
	defer fs.release(r)
	dir, err := openat(fs.live, fs.fd, r.name("", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return nil, openError(pid, err)
	}
	defer closeFD(fs.live, dir)
	c := &Credentials{PID: pid}
	n, err := r.file(dir, pathStat, statLimit)
	switch {
	case fs.live && errors.Is(err, unix.ENOENT):
		return nil, fs.unseen(pid, dir)
	case err != nil:
		return nil, newError(pid, "stat", err)
	}
	_, flags, ok := parseFlags(r.buf[:n])
	if !ok {
		return nil, newError(pid, "stat", errFormat)
	}
	c.KernelThread = flags&flagKernelThread != 0
	if n, err = r.file(dir, pathStatus, statusLimit); err != nil {
		return nil, newError(pid, "status", err)
	}
	if c.Status, ok = parseStatus(r.buf[:n]); !ok {
		return nil, newError(pid, "status", errFormat)
	}
	if c.Guard, err = fs.guard(r, dir); err != nil {
		return nil, newError(pid, "stat", err)
	}
	if c.UserNS, err = readNamespace(fs.live, dir, pathUser, "user", r.link[:]); err != nil {
		return nil, newError(pid, "ns/user", err)
	}
	return c, nil
}
