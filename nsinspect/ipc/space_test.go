package ipc

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// space is an IPC namespace of a test's own, and a thread in it.
type space struct {
	inode uint64
	fd    int // of the namespace
	calls chan func()
}

// newSpace makes an IPC namespace. Nothing of it is left when the test ends:
// the kernel removes the objects with the namespace.
func newSpace(t testing.TB) *space {
	t.Helper()
	s := &space{calls: make(chan func())}
	ready := make(chan error)
	go offFirstThread(func() {
		ready <- func() (err error) {
			if err = unix.Unshare(unix.CLONE_NEWIPC); err != nil {
				return err
			}
			if s.fd, err = unix.Open("/proc/thread-self/ns/ipc", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				return err
			}
			var st unix.Stat_t
			err = unix.Fstat(s.fd, &st)
			s.inode = st.Ino
			return err
		}()
		for call := range s.calls {
			call()
		}
	})
	if err := <-ready; err != nil {
		close(s.calls)
		if errors.Is(err, unix.EPERM) {
			t.Skipf("cannot make an IPC namespace (needs root): %v", err)
		}
		t.Fatalf("unshare: %v", err)
	}
	t.Cleanup(func() { close(s.calls); unix.Close(s.fd) })
	return s
}

// offFirstThread calls f on a thread that ends with the goroutine.
func offFirstThread(f func()) {
	runtime.LockOSThread() // for ever
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	// The first thread would take the links of the whole process along, and
	// cannot end. While it is held here, another goroutine does not get it.
	done := make(chan struct{})
	go func() { defer close(done); offFirstThread(f) }()
	<-done
	runtime.UnlockOSThread()
}

// do runs f on the thread in the namespace.
func (s *space) do(t testing.TB, f func() error) {
	t.Helper()
	done := make(chan error)
	s.calls <- func() { done <- f() }
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// open returns a new descriptor of the namespace, as [List] wants it.
func (s *space) open() (int, error) {
	return unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
}

func procFile(name string, _ int) ([]byte, error) { return os.ReadFile(filepath.Join("/proc", name)) }
