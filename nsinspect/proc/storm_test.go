package proc_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// storm forks without pause until the process is killed, a few hundred children at a time. Each child
// lives a moment; every other one has an IPC and a PID namespace of its own, from birth on.
func storm() {
	pause := unix.Timespec{Nsec: 500_000}
	alive := 0
	for i := 0; ; i++ {
		flags := uintptr(unix.SIGCHLD)
		if i%2 == 0 {
			flags |= unix.CLONE_NEWIPC | unix.CLONE_NEWPID
		}
		if forkBriefly(flags, &pause) {
			alive++
		}
		for alive > 0 {
			options := unix.WNOHANG
			if alive > 200 {
				options = 0
			}
			pid, err := unix.Wait4(-1, nil, options, nil)
			if err != nil || pid == 0 {
				break
			}
			alive--
		}
	}
}

// scans is how often the storm is scanned: more with NSINSPECT_STORM_SCANS.
func scans(t *testing.T) int {
	n := 150
	if s := os.Getenv("NSINSPECT_STORM_SCANS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Numbers are given away many times during each scan. A record that mixes two processes would have the IPC namespace
// of the one and the PID namespace of the other.
func TestLiveForkStorm(t *testing.T) {
	if apart(t, unix.CLONE_NEWPID|unix.CLONE_NEWIPC) {
		return
	}
	fs := open(t, mountProc(t, ""))
	// Since Linux 6.14 each PID namespace has its own limit.
	if err := os.WriteFile(fs.Path()+"/sys/kernel/pid_max", []byte("400"), 0); err != nil {
		t.Logf("numbers come back slowly: %v", err)
	}
	private, _ := play(t, "sleep", &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWIPC | unix.CLONE_NEWPID})
	plain, _ := play(t, "sleep", nil)
	own := proc.Record{IPC: inode(t, fs.Path()+"/self/ns/ipc"), PIDNS: inode(t, fs.Path()+"/self/ns/pid")}
	for range 2 {
		play(t, "storm", nil)
	}
	scan(t, fs)
	before := descriptors(t)
	var records, vanished, zombies, recycled, visits int
	last := map[int]uint64{}
	n := 0
	for want := scans(t); n < want || recycled == 0 && n < 100*want; n++ {
		s := scan(t, fs)
		for _, e := range s.Errors {
			t.Errorf("gap: %v", e)
		}
		for _, r := range s.Records {
			records++
			if r.Zombie {
				zombies++
				continue
			}
			if (r.IPC == own.IPC) != (r.PIDNS == own.PIDNS) || r.IPC == 0 || r.PIDNS == 0 || r.Mnt == 0 {
				t.Errorf("a mixture: %+v, host %+v", r, own)
			}
			if old, ok := last[r.PID]; ok && old != r.IPC {
				recycled++
			}
			last[r.PID] = r.IPC
			if r.PID%8 == 0 {
				visits++
				d, err := fs.Visit(context.Background(), r.PID, proc.WantStatus|proc.WantCmdline|proc.WantRoot|proc.WantUserNS)
				switch {
				case err != nil && proc.KindOf(err) == proc.Gone:
				case err != nil || len(d.Errors) > 0:
					t.Errorf("visit: %v, %v", err, d)
				case d.Zombie:
				case (d.IPC == own.IPC) != (d.PIDNS == own.PIDNS) || (len(d.Status.NSpid) == 1) != (d.PIDNS == own.PIDNS):
					t.Errorf("a mixture: %+v, %+v", d, d.Status)
				}
			}
		}
		vanished += s.Vanished
		for pid, isPlain := range map[int]bool{plain.Process.Pid: true, private.Process.Pid: false} {
			if r, _, ok := find(s, pid); !ok || (r.IPC == own.IPC) != isPlain {
				t.Errorf("one that stays: %+v, %t", r, ok)
			}
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d scans: %d records, of them %d zombies, %d vanished, %d numbers seen again with another namespace, %d visits", n, records, zombies, vanished, recycled, visits)
	if recycled == 0 {
		t.Skip("the storm was too slow: no number was given again")
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// forkBriefly forks a child that sleeps and exits, and does nothing that needs the Go runtime.
//
//go:nosplit
//go:norace
func forkBriefly(flags uintptr, pause *unix.Timespec) bool {
	pid, errno := clone(flags)
	if pid == 0 && errno == 0 {
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(pause)), 0, 0)
		for {
			unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
		}
	}
	return errno == 0
}

//go:nosplit
//go:norace
func clone(flags uintptr) (pid uintptr, errno unix.Errno) {
	if runtime.GOARCH == "s390x" { // CONFIG_CLONE_BACKWARDS2: the stack comes first
		pid, _, errno = unix.RawSyscall6(unix.SYS_CLONE, 0, flags, 0, 0, 0, 0)
		return pid, errno
	}
	pid, _, errno = unix.RawSyscall6(unix.SYS_CLONE, flags, 0, 0, 0, 0, 0)
	return pid, errno
}
