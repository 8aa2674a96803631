package namespace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"golang.org/x/sys/unix"
)

// foreign makes an IPC namespace with one shared memory segment in it and
// returns a descriptor of it, its inode and the id of the segment. Nothing
// keeps the namespace but the descriptor.
func foreign(t *testing.T) (fd int, inode uint64, shmid int) {
	t.Helper()
	done := make(chan error, 1)
	onThread(func() (dirty bool) {
		done <- func() (err error) {
			if err = unix.Unshare(unix.CLONE_NEWIPC); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			// A few, so that the id of the last is not one that others have.
			for range 7 {
				if shmid, err = unix.SysvShmGet(unix.IPC_PRIVATE, 4096, 0o600); err != nil {
					return fmt.Errorf("shmget: %w", err)
				}
			}
			if fd, err = unix.Open("/proc/thread-self/ns/ipc", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
				return err
			}
			inode, err = nsfsInode(fd)
			return err
		}()
		return true
	})
	if err := <-done; err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Skipf("cannot make an IPC namespace (needs root): %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd, inode, shmid
}

func again(fd int) func() (int, error) {
	return func() (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }
}

func readShm() (string, error) {
	b, err := os.ReadFile("/proc/sysvipc/shm")
	return string(b), err
}

func hasSegment(table string, id int) bool {
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == fmt.Sprint(id) {
			return true
		}
	}
	return false
}

func TestEnterSeesTheObjectsOfAnotherNamespace(t *testing.T) {
	fs := openProc(t)
	fd, inode, shmid := foreign(t)
	inside, err := Enter(context.Background(), fs, again(fd), inode, readShm)
	if err != nil {
		t.Fatal(err)
	}
	if !hasSegment(inside, shmid) {
		t.Errorf("segment %d of ipc:[%d] is not in:\n%s", shmid, inode, inside)
	}
	outside, err := readShm()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(outside, "\n") == strings.Count(inside, "\n") && hasSegment(outside, shmid) {
		t.Errorf("without entering, the same is seen:\n%s", outside)
	}
}

func TestEnterLeavesNothingBehind(t *testing.T) {
	fs := openProc(t)
	fd, inode, _ := foreign(t)
	// The first time opens what the runtime and the poller keep.
	if _, err := Enter(context.Background(), fs, again(fd), inode, readShm); err != nil {
		t.Fatal(err)
	}
	before := entries(t, "/proc/self/fd")
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			tid, err := Enter(context.Background(), fs, again(fd), inode, func() (int, error) { return unix.Gettid(), nil })
			if err != nil {
				t.Error(err)
			}
			if tid == unix.Getpid() {
				t.Error("the process's first thread was taken into the namespace")
			}
		})
	}
	wg.Wait()
	if after := entries(t, "/proc/self/fd"); len(after) != len(before) {
		t.Errorf("descriptors before %v, after %v", before, after)
	}
	// Threads end after their goroutine has answered.
	for {
		var left []string
		for _, tid := range entries(t, "/proc/self/task") {
			if link, _ := os.Readlink("/proc/self/task/" + tid + "/ns/ipc"); link == fmt.Sprintf("ipc:[%d]", inode) {
				left = append(left, tid)
			}
		}
		if len(left) == 0 {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("threads %v are still in ipc:[%d]", left, inode)
		}
		time.Sleep(time.Millisecond)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestEnterWhereWeAreNeedsNoDescriptor(t *testing.T) {
	fs := openProc(t)
	inode, err := threadIPC()
	if err != nil {
		t.Skipf("no /proc/thread-self: %v", err)
	}
	never := func() (int, error) { return -1, errors.New("open was called") }
	got, err := Enter(context.Background(), fs, never, inode, threadIPC)
	if err != nil || got != inode {
		t.Errorf("got ipc:[%d], %v, want ipc:[%d]", got, err, inode)
	}
}

func TestEnterRefuses(t *testing.T) {
	fs := openProc(t)
	fd, inode, _ := foreign(t)
	open := func(path string) func() (int, error) {
		return func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) }
	}
	var uts unix.Stat_t
	if err := unix.Stat("/proc/self/ns/uts", &uts); err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var plain unix.Stat_t
	if err := unix.Stat(file, &plain); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		open func() (int, error)
		want uint64
		step string
		kind proc.Kind
	}{
		{"a process that has changed its namespace", again(fd), inode + 1, "check", proc.Failed},
		{"a file with the right inode that is no namespace", open(file), plain.Ino, "check", proc.Failed},
		{"a namespace of another type", open("/proc/self/ns/uts"), uts.Ino, "setns", proc.Failed},
		{"a process that has ended", func() (int, error) { return -1, unix.ESRCH }, inode, "open", proc.Gone},
		{"a process that we may not look at", func() (int, error) { return -1, unix.EACCES }, inode, "open", proc.Hidden},
		{"no capability", func() (int, error) {
			// The thread is dirty by then, and ends.
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			if err := unix.Capset(&head, &none[0]); err != nil {
				return -1, err
			}
			return again(fd)()
		}, inode, "setns", proc.Hidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Enter(context.Background(), fs, tt.open, tt.want, func() (int, error) {
				t.Error("the visit was made")
				return 0, nil
			})
			var e *EnterError
			if !errors.As(err, &e) || e.Step != tt.step || e.Kind != tt.kind || e.Inode != tt.want {
				t.Errorf("got %#v (%v), want step %q, kind %q", err, err, tt.step, tt.kind)
			}
		})
	}
}

func TestEnterGivesUpOnAVisitThatDoesNotReturn(t *testing.T) {
	fs := openProc(t)
	fd, inode, _ := foreign(t)
	for _, where := range []string{"visit", "open"} {
		t.Run(where, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			release := make(chan struct{})
			defer close(release)
			block := func() { cancel(); <-release }
			_, err := Enter(ctx, fs, func() (int, error) {
				if where == "open" {
					block()
				}
				return again(fd)()
			}, inode, func() (int, error) {
				block()
				return 1, nil
			})
			var e *EnterError
			if !errors.As(err, &e) || e.Kind != proc.Blocked || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want an error of the kind %q", err, proc.Blocked)
			}
		})
	}
}

func TestEnterDoesNotBeginAfterTheDeadline(t *testing.T) {
	fs := openProc(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Enter(ctx, fs, func() (int, error) { return -1, errors.New("opened") }, 1, func() (int, error) { return 1, nil })
	var e *EnterError
	if !errors.As(err, &e) || e.Kind != proc.Blocked {
		t.Errorf("got %v, want an error of the kind %q", err, proc.Blocked)
	}
}

func TestEnterSurvivesAPanic(t *testing.T) {
	fs := openProc(t)
	inode, err := threadIPC()
	if err != nil {
		t.Skipf("no /proc/thread-self: %v", err)
	}
	_, err = Enter(context.Background(), fs, nil, inode, func() (int, error) { panic("a parser") })
	if err == nil || !strings.Contains(err.Error(), "a parser") {
		t.Errorf("got %v, want the panic", err)
	}
}

func TestEnterSurvivesAVisitThatEndsItsGoroutine(t *testing.T) {
	fs := openProc(t)
	fd, inode, _ := foreign(t)
	_, err := Enter(context.Background(), fs, again(fd), inode, func() (int, error) { runtime.Goexit(); return 1, nil })
	if err == nil || !strings.Contains(err.Error(), "did not return") {
		t.Errorf("got %v", err)
	}
}

func TestEnterPassesOnTheErrorOfTheVisit(t *testing.T) {
	fs := openProc(t)
	fd, inode, _ := foreign(t)
	want := errors.New("half of it")
	got, err := Enter(context.Background(), fs, again(fd), inode, func() (int, error) { return 7, want })
	if got != 7 || !errors.Is(err, want) {
		t.Errorf("got %d, %v, want 7, %v", got, err, want)
	}
}

// Visits that never end are bounded together with whatever else waits on behalf of the same /proc.
func TestEnterBeginsNoMoreWhenTooManyWait(t *testing.T) {
	fs := openProc(t)
	inode, err := threadIPC()
	if err != nil {
		t.Skipf("no /proc/thread-self: %v", err)
	}
	release := make(chan struct{})
	var begun, ended atomic.Int32
	enter := func() error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, err := Enter(ctx, fs, nil, inode, func() (int, error) {
			begun.Add(1)
			cancel()
			<-release
			ended.Add(1)
			return 0, nil
		})
		return err
	}
	var refused error
	for range 1000 {
		before := begun.Load()
		if refused = enter(); begun.Load() == before {
			break
		}
	}
	var e *EnterError
	if !errors.As(refused, &e) || e.Kind != proc.Blocked || !strings.Contains(refused.Error(), "too many") {
		t.Errorf("after %d visits: %v", begun.Load(), refused)
	}
	p, err := fs.Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.ReadWithin(context.Background(), "maps", 1<<20); proc.KindOf(err) != proc.Blocked {
		t.Errorf("a read of the same /proc: %v", err)
	}
	close(release)
	for ended.Load() < begun.Load() {
		time.Sleep(time.Millisecond)
	}
	for range 1000 { // they have ended, and are yet to be counted so
		if _, err = p.ReadWithin(context.Background(), "maps", 64<<20); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		t.Errorf("when all have answered: %v", err)
	}
}
