package namespace

import (
	"context"
	"errors"
	"fmt"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"golang.org/x/sys/unix"
)

// errMoved is why a process is not asked for the mounts of a namespace that it has left.
var errMoved = errors.New("it is in another namespace by now")

// enterMounts reads the mounts of a mount namespace that no process is in, on
// a thread that goes there and ends with the visit. It takes CAP_SYS_ADMIN and CAP_SYS_CHROOT.
func (inv *inventory) enterMounts(ctx context.Context, mnt uint64) (out seen) {
	ctx, cancel := context.WithTimeout(ctx, mountDeadline)
	defer cancel()
	id := ID{"mnt", mnt}
	fail := func(step string, err error) *proc.Error {
		return &proc.Error{File: "mounts of " + id.String(), Kind: proc.KindOf(err), Err: fmt.Errorf("%s: %w", step, err)}
	}
	open := inv.found[id].Opener(inv.fs)
	done := make(chan seen, 1)
	onThread(func() (dirty bool) {
		var s seen
		mounts, step, err := mountsIn(inv.fs, open, id)
		if err != nil {
			s.errors = append(s.errors, fail(step, err))
		}
		for _, m := range mounts {
			if id, ok := ParseLink(m.Root); ok {
				s.mounts = append(s.mounts, seenMount{id, m.Point, seer{}})
			}
		}
		done <- s
		return true
	})
	select {
	case out = <-done:
	case <-ctx.Done():
		out.errors = append(out.errors, fail("visit", ctx.Err()))
	}
	return out
}

// mountsIn takes the calling thread into a mount namespace and reads its mounts there.
func mountsIn(fs *proc.FS, open func() (int, error), id ID) (mounts []proc.Mount, step string, err error) {
	fd, err := open()
	if err != nil {
		return nil, "open", err
	}
	defer unix.Close(fd)
	// A thread that shares its root directory with others may not change its mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return nil, "unshare", err
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNS); err != nil {
		return nil, "setns", err
	}
	// From here on no path means what it did; the open procfs still does.
	var link [64]byte
	n, err := unix.Readlinkat(fs.FD(), "thread-self/ns/mnt", link[:])
	if err != nil {
		return nil, "check after setns", err
	}
	if string(link[:n]) != id.String() {
		return nil, "check after setns", fmt.Errorf("still in %s", link[:n])
	}
	text, err := fs.File("thread-self/mountinfo", mountinfoLimit)
	if err != nil {
		return nil, "read", err
	}
	mounts, _, ok := proc.ParseNamespaceMounts(text)
	if !ok {
		return mounts, "read", errors.New("not in the kernel's format")
	}
	return mounts, "", nil
}

// mountinfoLimit is enough for fs.mount-max (100 000) mounts.
const mountinfoLimit = 32 << 20
