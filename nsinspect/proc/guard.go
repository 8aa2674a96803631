package proc

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"
)

// Guard is what stands before a process besides its credentials.
type Guard struct {
	// Label is the text of attr/current without its line end, of whichever LSM
	// answers there (proc_pid_attr(5)); "" when none does. Hostile text.
	Label string
	// OwnerUID and OwnerGID own the files in /proc/PID: the effective ids of a
	// dumpable process, root of its memory's user namespace otherwise
	// (fs/proc/base.c, task_dump_owner).
	OwnerUID, OwnerGID uint32
}

// labelLimit is a page: what an LSM can put there (security_getprocattr).
const labelLimit = 4096

// guard reads the label and the owner in an open directory. A kernel without an LSM that has labels answers EINVAL, of every
// process (security/security.c, security_getprocattr), and is not asked again; or it has no such file.
func (fs *FS) guard(r *reader, dir int) (*Guard, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, "stat", &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	g := &Guard{OwnerUID: st.Uid, OwnerGID: st.Gid}
	if fs.noLabels.Load() {
		return g, nil
	}
	var label []byte
	var err error
	if fs.live {
		var n int
		n, err = r.file(dir, pathLabel, labelLimit)
		label = r.buf[:n]
	} else {
		label, err = readBelow(dir, "attr/current", labelLimit)
	}
	switch {
	case err == nil:
		g.Label = string(bytes.TrimRight(label, "\x00\n"))
	case KindOf(err) == Gone:
		return nil, err
	case fs.live && errors.Is(err, unix.EINVAL):
		fs.noLabels.Store(true)
	}
	return g, nil
}
