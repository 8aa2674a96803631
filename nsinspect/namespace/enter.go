package namespace

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/nsinspect/nsinspect/nsinspect/confine"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"golang.org/x/sys/unix"
)

// EnterError tells at which step entering an IPC namespace failed.
type EnterError struct {
	Inode uint64 // of the namespace that was to be entered
	Step  string // what was being done
	Kind  proc.Kind
	Err   error
}

// Error implements error.
func (e *EnterError) Error() string {
	return fmt.Sprintf("ipc:[%d]: %s: %v", e.Inode, e.Step, e.Err)
}

// Unwrap returns the cause; an errno when the kernel gave one.
func (e *EnterError) Unwrap() error { return e.Err }

// Enter calls visit on a thread that is in the IPC namespace with the inode
// want, and returns what visit returns.
//
// A thread that already is there is used as it is; that is read from the
// kernel, not assumed. Otherwise open is called on the thread for a descriptor of
// the namespace, best opened through a process's directory descriptor
// (/proc/PID/ns/ipc is a link that only the kernel can follow). The descriptor
// must be of nsfs and have the inode want, both checked before it is entered; Enter
// closes it. The thread ends with the visit, so that nothing else ever runs in
// the foreign namespace, and it is never the process's first thread, whose
// namespaces are what /proc/PID/ns shows of the process.
//
// Entering takes CAP_SYS_ADMIN, which is put in effect for this thread and this
// time only where it is within reach, in the reader's user namespace and in the one that owns
// the IPC namespace (ipc/namespace.c, ipcns_install), and Linux 3.17 for
// /proc/thread-self.
//
// When ctx ends first, the visit is abandoned: Enter returns an error of the
// kind [proc.Blocked] at once, and the thread ends if the visit ever does. What the
// visit shares with its caller must therefore be in its results. fs bounds how many can
// wait so ([proc.Within]). Errors of
// visit itself come back as they are; everything else is an [*EnterError].
//
// Not protected: between the moment want was read and the moment open is
// called, a namespace may have died and a new one may have been given its inode. A caller
// that holds the process's directory open narrows that to a process which
// changed its own namespace in between.
func Enter[T any](ctx context.Context, fs *proc.FS, open func() (fd int, err error), want uint64, visit func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	if err := ctx.Err(); err != nil {
		var none T
		return none, &EnterError{want, "not begun", proc.Blocked, err}
	}
	r, err := proc.Within(ctx, fs, func() (result, error) {
		done := make(chan result)
		onThread(func() (dirty bool) {
			// For a visit that ends its goroutine instead of returning.
			r := result{err: &EnterError{want, "visit", proc.Failed, errors.New("did not return")}}
			defer func() {
				if p := recover(); p != nil {
					r.err = &EnterError{want, "visit", proc.Failed, fmt.Errorf("panic: %v", p)}
				}
				done <- r
			}()
			err := confine.WithSysAdmin(func() error {
				var err error
				if dirty, err = enterThread(open, want); err == nil {
					r.value, err = visit()
				}
				return err
			})
			r.err = err
			return dirty
		})
		return <-done, nil
	})
	if err != nil {
		return r.value, &EnterError{want, "visit", proc.KindOf(err), err}
	}
	return r.value, r.err
}

// onThread runs f in a goroutine with a thread of its own, which ends with it
// when f says that it is dirty (or panics).
func onThread(f func() (dirty bool)) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			if !f() {
				runtime.UnlockOSThread()
			}
			return
		}
		// The first thread cannot end before the process does; Go would park it
		// for ever in the foreign namespace. While this goroutine holds it, another
		// one cannot get it.
		released := make(chan struct{})
		go func() {
			defer close(released)
			runtime.LockOSThread()
			if !f() {
				runtime.UnlockOSThread()
			}
		}()
		<-released
		runtime.UnlockOSThread()
	}()
}

// enterThread moves the calling thread into the namespace unless it is there;
// dirty tells that the thread must not be used for anything else.
func enterThread(open func() (int, error), want uint64) (dirty bool, err error) {
	step := func(step string, err error) error {
		return &EnterError{want, step, proc.KindOf(err), err}
	}
	if inode, err := threadIPC(); err == nil && inode == want {
		return false, nil
	}
	fd, err := open()
	if err != nil {
		return true, step("open", err) // open ran foreign code on this thread
	}
	defer unix.Close(fd)
	inode, err := nsfsInode(fd)
	if err != nil {
		return true, step("check", err)
	}
	if inode != want {
		return true, step("check", fmt.Errorf("it is ipc:[%d] by now", inode))
	}
	if err := unix.Setns(fd, unix.CLONE_NEWIPC); err != nil {
		return true, step("setns", err)
	}
	// A system call filter or an emulated kernel may answer 0 and do nothing;
	// the host's objects would then be reported as the container's.
	inode, err = threadIPC()
	if err != nil {
		return true, step("check after setns", err)
	}
	if inode != want {
		return true, step("check after setns", fmt.Errorf("still in ipc:[%d]", inode))
	}
	return true, nil
}

// threadIPC returns the inode of the calling thread's IPC namespace.
func threadIPC() (uint64, error) {
	fd, err := unix.Open("/proc/thread-self/ns/ipc", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open /proc/thread-self/ns/ipc: %w", err)
	}
	defer unix.Close(fd)
	return nsfsInode(fd)
}

// nsfsInode returns the inode of an open namespace. Inodes of namespaces mean
// nothing on another file system than nsfs.
func nsfsInode(fd int) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return 0, fmt.Errorf("fstatfs: %w", err)
	}
	if fs.Type != unix.NSFS_MAGIC {
		return 0, fmt.Errorf("not a namespace: file system type %#x", fs.Type)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, fmt.Errorf("fstat: %w", err)
	}
	return st.Ino, nil
}

// OpenOf opens a namespace of a process through the process's directory. The
// caller checks that it is the one it means, as the process may have ended and
// its number may be somebody else's.
func OpenOf(fs *proc.FS, pid int, kind string) (fd int, err error) {
	p, err := fs.Process(pid)
	if err != nil {
		return -1, err
	}
	defer p.Close()
	return unix.Openat(p.FD(), "ns/"+kind, unix.O_RDONLY|unix.O_CLOEXEC, 0)
}
