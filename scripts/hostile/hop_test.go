package hostile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/audit"
)

// TestHop has a process in a container's cgroup and in the host's namespaces, which starts a copy of itself and ends, all
// the time: whoever looks twice at one process finds that it has gone. The report must not say that there is nothing.
func TestHop(t *testing.T) {
	root(t)
	const scans = 10
	for _, h := range []struct {
		life time.Duration
		comm string
		seen int // of the scans; on a busy machine one that is there for some ms may not be met in one of three passes
	}{
		{20 * time.Millisecond, "hop", scans * 7 / 10},
		{2 * time.Millisecond, "hop", scans / 2},
		{20 * time.Millisecond, "runc:[2:INIT]", scans * 7 / 10},
	} {
		t.Run(fmt.Sprintf("%s %v", h.comm, h.life), func(t *testing.T) {
			id := newID()
			procs := filepath.Join(cgroup(t, "docker/"+id), "cgroup.procs")
			stop := filepath.Join(t.TempDir(), "stop")
			act(t, strings.Join([]string{"hop", procs, stop, fmt.Sprint(int64(h.life)), h.comm}, " "), nil)
			t.Cleanup(func() {
				os.WriteFile(stop, nil, 0o600)
				for range 300 {
					if b, err := os.ReadFile(procs); err != nil || len(b) == 0 {
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
			for range 100 { // until the first one is there
				if b, err := os.ReadFile(procs); err == nil && len(b) > 0 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			seen, begin := 0, time.Now()
			for range scans {
				r, err := nsinspect.Inspect(context.Background(), nsinspect.Source{}, nsinspect.Options{NoNames: true})
				if err != nil {
					t.Fatal(err)
				}
				if c := found(r, id); c != nil && c.Exposed {
					seen++
					continue
				}
				for _, g := range r.Coverage.Gaps {
					// The exit code is 3 for such a gap unless some other container of this host, which other tests make, is a finding.
					if strings.Contains(g.File, id) && g.Decides && audit.ExitCode(r, audit.High) != audit.ExitClean {
						seen++
						break
					}
				}
			}
			t.Logf("%d scans in %.1f s, %d of them told of it", scans, time.Since(begin).Seconds(), seen)
			if b, err := os.ReadFile(procs); err != nil || len(b) == 0 {
				t.Skipf("it is not there any more, nothing was proven: %v", err)
			}
			if seen < h.seen {
				t.Errorf("%d of %d scans told of it, want %d", seen, scans, h.seen)
			}
		})
	}
}

// hop is the process that never stays, and who takes its dead away.
func hop(procs, stop, life, comm string) error {
	var ns int64
	if _, err := fmt.Sscan(life, &ns); err != nil {
		return err
	}
	fd, err := unix.Open(procs, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	path, err := unix.BytePtrFromString(stop)
	if err != nil {
		return err
	}
	h := hopper{cgroup: fd, stop: path, life: unix.NsecToTimespec(ns), left: 60e9 / ns}
	copy(h.comm[:15], comm)
	if errno := h.start(); errno != 0 {
		return errno
	}
	go func() {
		for {
			if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
				return
			}
		}
	}()
	ready()
	return nil
}

type hopper struct {
	cgroup int
	stop   *byte // a file that ends it
	life   unix.Timespec
	left   int64 // hops, should nobody end it
	comm   [16]byte
}

// start forks the first one. As in fork, nothing but system calls may be made on the other side.
//
//go:norace
//go:nosplit
func (h *hopper) start() unix.Errno {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return errno
	}
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&h.comm)), 0)
	if _, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(h.cgroup), uintptr(unsafe.Pointer(&zero)), 1); errno == 0 {
		for ; h.left > 0; h.left-- {
			unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&h.life)), 0, 0)
			if _, _, errno := unix.RawSyscall6(unix.SYS_FACCESSAT, uintptr(0), uintptr(unsafe.Pointer(h.stop)), unix.F_OK, 0, 0, 0); errno == 0 {
				break
			}
			if pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0); errno != 0 || pid != 0 {
				break
			}
		}
	}
	unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	return 0
}
