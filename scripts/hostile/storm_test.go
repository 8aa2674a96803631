package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

const (
	// stormRate is how many processes a second begin and end, if the machine can; the test tells how many they were.
	stormRate = 2000
	// stormPIDs is how many numbers they share, so that each comes back about every fifth of a second.
	stormPIDs = 400
	// stormScans is how many scans there are without scansVariable.
	stormScans    = 60
	scansVariable = "NSINSPECT_STORM_SCANS"
	scanners      = 4
)

// TestStorm scans a PID namespace in which processes come and go faster than they can be read, their numbers are given
// away again and again, and those that live change namespace, cgroup and name all the time.
//
// What must hold: a process of a container is in the container's IPC namespace before it is in its cgroup. So whoever
// is reported as a member with the host's namespace got it from another process.
func TestStorm(t *testing.T) {
	root(t)
	if runtime.GOARCH == "s390x" {
		t.Skip("clone(2) takes its arguments in another order")
	}
	scans := stormScans
	if v := os.Getenv(scansVariable); v != "" {
		var err error
		if scans, err = strconv.Atoi(v); err != nil {
			t.Fatalf("%s: %v", scansVariable, err)
		}
	}
	var ids []string
	args := []string{"storm"}
	for range 3 {
		id := newID()
		ids = append(ids, id)
		args = append(args, filepath.Join(cgroup(t, "docker/"+id), "cgroup.procs"))
	}
	args = append(args, filepath.Join(hierarchy(t), "cgroup.procs"))
	a := act(t, strings.Join(args, " "), &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS})
	var inodes [3]uint64
	var members [3]int
	var shifter, bystander int
	line, err := a.lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &inodes[0], &inodes[1], &inodes[2], &members[0], &members[1], &members[2], &shifter, &bystander); err != nil {
		t.Fatalf("%q: %v", line, err)
	}

	dir := fmt.Sprintf("/proc/%d/root/proc", a.Process.Pid)
	look := func() (*report.Report, error) {
		return nsinspect.Inspect(context.Background(), nsinspect.Source{Proc: dir}, nsinspect.Options{Baseline: "1", NoNames: true})
	}
	if _, err := look(); err != nil { // opens what stays open, such as the runtime's poller
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond) // until the members are old enough
	before, begin := descriptors(t), time.Now()
	born := forks(t, dir)
	var done, processes, vanished, most, unknown, shifted atomic.Int64
	var group sync.WaitGroup
	for range scanners {
		group.Go(func() {
			for !t.Failed() {
				n := done.Add(1)
				if n > int64(scans) {
					return
				}
				if n%1000 == 0 { // a long run shall not be silent
					fmt.Fprintf(os.Stderr, "%d scans in %.0f s\n", n, time.Since(begin).Seconds())
				}
				r, err := look()
				if err != nil {
					t.Errorf("a scan failed: %v", err)
					return
				}
				processes.Add(int64(r.Coverage.Processes))
				vanished.Add(int64(r.Coverage.Vanished))
				most.Store(max(most.Load(), int64(r.Coverage.Vanished)))
				for _, c := range r.Containers {
					at := slices.Index(ids, c.ID)
					if at < 0 {
						t.Errorf("a container that is not there: %+v", c)
						continue
					}
					if c.IPC.State == report.StateUnknown {
						unknown.Add(1)
						continue
					}
					if slices.Contains(c.IPC.Strays, shifter) {
						shifted.Add(1)
					}
					// It can have gone all the way round while one file was read, and then is in none of the containers
					// as it seems; but that must never be an alarm.
					strays := slices.DeleteFunc(slices.Clone(c.IPC.Strays), func(pid int) bool { return pid == shifter })
					strays = append(strays, c.IPC.HostStrays...)
					if c.Init != members[at] || c.IPC.State != report.StatePrivate || c.IPC.Inode != inodes[at] || len(strays) > 0 {
						t.Errorf("container %d, init %d, ipc:[%d]: %+v", at, members[at], inodes[at], c)
					}
					if slices.Contains(c.PIDs, 1) || slices.Contains(c.PIDs, bystander) || slices.Contains(c.Monitors, 1) {
						t.Errorf("a process of the host is a member: %+v", c)
					}
				}
				for at, id := range ids {
					if found(r, id) == nil {
						t.Errorf("container %d was not seen", at)
					}
				}
			}
		})
	}
	group.Wait()
	took := time.Since(begin)
	rate := float64(forks(t, dir)-born) / took.Seconds()
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	t.Logf("%d scans in %.0f s, %d processes read, %d ended meanwhile (at most %d in one scan), %d states unknown, %d times the one that goes from container to container was seen half in one and half in the next, never in one and in the host's namespace; %.0f forks a second on the machine, %d numbers",
		scans, took.Seconds(), processes.Load(), vanished.Load(), most.Load(), unknown.Load(), shifted.Load(), rate, stormPIDs)
}

// forks is how many processes the machine has begun.
func forks(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if count, ok := strings.CutPrefix(line, "processes "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(count))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no count of processes")
	return 0
}

// slot is a container of the storm, or the host: descriptors of its IPC namespace and of its cgroup.procs.
type slot struct {
	ipc, cgroup int
	home        bool // the host
}

// child is what a process of the storm does: enter a slot, unless that is nil, take names, and end.
type child struct {
	enter   *slot
	unshare bool
	names   [2][16]byte
	life    unix.Timespec
	forever bool
	shift   []slot // for ever from one to the next
	back    slot   // between them
}

var zero = [1]byte{'0'}

// fork starts a process that is a copy of this one, with this thread in it alone: as in the
// standard library between fork and exec, it must do nothing but system calls.
//
//go:norace
//go:nosplit
func fork(c *child) (int, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return int(pid), errno
	}
	if c.unshare {
		unix.RawSyscall(unix.SYS_UNSHARE, unix.CLONE_NEWIPC, 0, 0)
	}
	if c.enter != nil {
		join(c.enter)
	}
	for c.shift != nil {
		for i := range c.shift {
			join(&c.back)
			join(&c.shift[i])
			unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&c.names[i%2])), 0)
			unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&c.life)), 0, 0)
		}
	}
	for i := range c.names {
		unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&c.names[i])), 0)
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&c.life)), 0, 0)
	}
	for c.forever {
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&c.life)), 0, 0)
	}
	unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	return 0, 0
}

// join enters the IPC namespace first, so that nobody is in the cgroup without it. To come back
// the order is the other one.
//
//go:norace
//go:nosplit
func join(s *slot) {
	if s.home {
		unix.RawSyscall(unix.SYS_WRITE, uintptr(s.cgroup), uintptr(unsafe.Pointer(&zero)), 1)
		unix.RawSyscall(unix.SYS_SETNS, uintptr(s.ipc), unix.CLONE_NEWIPC, 0)
		return
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETNS, uintptr(s.ipc), unix.CLONE_NEWIPC, 0); errno != 0 {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 1, 0, 0)
	}
	unix.RawSyscall(unix.SYS_WRITE, uintptr(s.cgroup), uintptr(unsafe.Pointer(&zero)), 1)
}

// storm is the part that is PID 1 of its namespace, and makes the processes. The arguments are
// the cgroup.procs of the containers and, last, of the host.
func storm(files []string) error {
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	last, err := unix.Open("/proc/sys/kernel/ns_last_pid", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("ns_last_pid: %w", err)
	}
	host, err := unix.Open("/proc/thread-self/ns/ipc", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var slots []slot
	var told []any
	for i, file := range files {
		procs, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if i == len(files)-1 {
			slots = append(slots, slot{host, procs, true})
			break
		}
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		own, err := unix.Open("/proc/thread-self/ns/ipc", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Fstat(own, &st); err != nil {
			return err
		}
		told = append(told, st.Ino)
		slots = append(slots, slot{own, procs, false})
	}
	if err := unix.Setns(host, unix.CLONE_NEWIPC); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	back, slots := slots[len(slots)-1], slots[:len(slots)-1]
	permanent := []*child{}
	for i := range slots {
		permanent = append(permanent, &child{enter: &slots[i], forever: true, life: unix.NsecToTimespec(1e9)})
	}
	permanent = append(permanent, &child{shift: slots, back: back, life: unix.NsecToTimespec(2e6)}, &child{forever: true, life: unix.NsecToTimespec(1e9)})
	for i, c := range permanent {
		copy(c.names[0][:], fmt.Sprintf("forever%d", i))
		copy(c.names[1][:], ") Z 1 (\n\x1b[2J")
		pid, errno := fork(c)
		if errno != 0 {
			return fmt.Errorf("fork: %w", errno)
		}
		told = append(told, pid)
	}
	fmt.Println("ready")
	fmt.Println(told...)

	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0) // and all others with PID 1
	}()

	var children [64]child
	names := []string{"a) R 1 (", "\x1b]0;x\a", "conmon", "runc:[2:INIT]", "\xff\xfe", "containerd-shim"}
	for i := range children {
		c := &children[i]
		if i%2 == 0 {
			c.enter = &slots[i/2%len(slots)]
		}
		c.unshare = i%2 == 1 && i%7 == 0
		copy(c.names[0][:], names[i%len(names)])
		copy(c.names[1][:], names[(i+3)%len(names)])
		c.life = unix.NsecToTimespec(int64(i%8) * 4_000_000)
	}
	next := time.Now()
	for i := 0; ; i++ {
		pid, errno := fork(&children[i%len(children)])
		if errno != 0 && errno != unix.EAGAIN {
			return fmt.Errorf("fork: %w", errno)
		}
		if pid > 300+stormPIDs { // RESERVED_PIDS are not given away again by the kernel itself
			if _, err := unix.Write(last, []byte("300")); err != nil {
				return fmt.Errorf("ns_last_pid: %w", err)
			}
		}
		for {
			if n, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); n <= 0 && !errors.Is(err, unix.EINTR) {
				break
			}
		}
		next = next.Add(time.Second / (stormRate * 5 / 4))
		time.Sleep(time.Until(next))
	}
}
