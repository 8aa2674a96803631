package proc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
)

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Ino
}

func ownRecord(t *testing.T) proc.Record {
	return proc.Record{
		PID: os.Getpid(), IPC: inode(t, "/proc/self/ns/ipc"), PIDNS: inode(t, "/proc/self/ns/pid"), Mnt: inode(t, "/proc/self/ns/mnt"),
	}
}

func TestLiveSelf(t *testing.T) {
	fs := open(t, "/proc")
	s := scan(t, fs)
	got, errs, ok := find(s, os.Getpid())
	if !ok || len(errs) > 0 {
		t.Fatalf("own process: %t, %v", ok, errs)
	}
	cgroup, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	if s.Cgroups[got.Cgroup] != string(cgroup) {
		t.Errorf("cgroup %q, want %q", s.Cgroups[got.Cgroup], cgroup)
	}
	got.Cgroup = 0
	if want := ownRecord(t); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}

	d, err := fs.Visit(context.Background(), os.Getpid(), proc.WantStatus|proc.WantCmdline|proc.WantRoot|proc.WantUserNS|proc.WantCwd|proc.WantMountInfo)
	if err != nil || len(d.Errors) > 0 {
		t.Fatal(err, d.Errors)
	}
	var rootDir unix.Stat_t
	if err := unix.Stat("/", &rootDir); err != nil {
		t.Fatal(err)
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if d.Cgroup != string(cgroup) || d.Record.Cgroup != -1 || d.PPID != os.Getppid() || d.State == 0 || d.StartTime == 0 || d.KernelThread || d.Threads < 2 ||
		!slices.Equal(d.Cmdline, os.Args) || d.Root != (proc.FileID{Dev: uint64(rootDir.Dev), Ino: rootDir.Ino}) || d.Cwd != cwd ||
		d.UserNS != inode(t, "/proc/self/ns/user") || len(d.MountInfo) == 0 {
		t.Errorf("%+v", d)
	}
	if st := d.Status; int(st.EUID) != os.Geteuid() || int(st.GID) != os.Getgid() || st.NSpid[0] != os.Getpid() {
		t.Errorf("%+v", st)
	}
}

func TestLiveKernelThread(t *testing.T) {
	fs := open(t, "/proc")
	d, err := fs.Visit(context.Background(), 2, proc.WantCmdline)
	if err != nil || d.Comm != "kthreadd" {
		t.Skipf("PID 2 is not kthreadd here: %v", err)
	}
	if !d.KernelThread || d.PPID != 0 || len(d.Cmdline) > 0 {
		t.Errorf("%+v", d)
	}
}

func TestLiveOwnNamespaces(t *testing.T) {
	root(t)
	cmd, _ := play(t, "sleep", &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWIPC | unix.CLONE_NEWPID | unix.CLONE_NEWNS})
	pid := cmd.Process.Pid
	r, errs, ok := find(scan(t, open(t, "/proc")), pid)
	own := ownRecord(t)
	dir := fmt.Sprintf("/proc/%d/ns/", pid)
	if !ok || len(errs) > 0 || r.IPC != inode(t, dir+"ipc") || r.PIDNS != inode(t, dir+"pid") || r.Mnt != inode(t, dir+"mnt") ||
		r.IPC == own.IPC || r.PIDNS == own.PIDNS || r.Mnt == own.Mnt {
		t.Errorf("%+v, %v", r, errs)
	}
	d, err := open(t, "/proc").Visit(context.Background(), pid, proc.WantStatus)
	if err != nil || !slices.Equal(d.Status.NSpid, []int{pid, 1}) {
		t.Errorf("%v, %+v", err, d)
	}
}

func TestLiveCredentials(t *testing.T) {
	root(t)
	cmd := exec.Command("sleep", "60") // others may not execute the test binary
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 2345, Groups: []uint32{7, 8}}}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	d, err := open(t, "/proc").Visit(context.Background(), cmd.Process.Pid, proc.WantStatus)
	if err != nil {
		t.Fatal(err)
	}
	s := d.Status
	if s.UID != 1234 || s.FSUID != 1234 || s.SGID != 2345 || s.FSGID != 2345 || !slices.Equal(s.Groups, []uint32{7, 8}) || s.CapEff != 0 || s.CapPrm != 0 {
		t.Errorf("%+v", s)
	}
}

// waitFor waits until a process is in a state.
func waitFor(t *testing.T, pid int, state string) {
	t.Helper()
	for range 1000 {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(b), ") "+state+" ") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("PID %d does not get into state %s", pid, state)
}

func TestLiveZombie(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Wait()
	pid := cmd.Process.Pid
	waitFor(t, pid, "Z")
	fs := open(t, "/proc")
	r, errs, ok := find(scan(t, fs), pid)
	if !ok || len(errs) > 0 || !r.Zombie || r.IPC != 0 || r.Mnt != 0 || r.TID != 0 || r.PIDNS != ownRecord(t).PIDNS || r.Cgroup < 0 {
		t.Errorf("%+v, %v", r, errs)
	}
	d, err := fs.Visit(context.Background(), pid, proc.WantCmdline|proc.WantRoot|proc.WantMountInfo|proc.WantCwd)
	if err != nil || !d.Zombie || d.State != 'Z' || d.PPID != os.Getpid() || len(d.Errors) > 0 {
		t.Errorf("%v, %+v", err, d)
	}
}

// A process can make itself look like a zombie and go on working.
func TestLiveLeaderGoneThreadsLeft(t *testing.T) {
	root(t)
	own := ownRecord(t)
	fs := open(t, "/proc")
	for _, part := range []string{"leave", "leave-and-unshare"} {
		cmd, _ := play(t, part, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS})
		pid := cmd.Process.Pid
		waitFor(t, pid, "Z")
		r, errs, ok := find(scan(t, fs), pid)
		if !ok || len(errs) > 0 || r.Zombie || r.TID == 0 || r.TID == pid || r.IPC == 0 || r.PIDNS != own.PIDNS || r.Mnt == own.Mnt || r.Mnt == 0 || r.Cgroup < 0 {
			t.Errorf("%s: %+v, %v", part, r, errs)
		}
		if part == "leave" && r.IPC != own.IPC {
			t.Errorf("%s: ipc %d, want %d", part, r.IPC, own.IPC)
		}
		d, err := fs.Visit(context.Background(), pid, proc.WantStatus|proc.WantCmdline|proc.WantRoot|proc.WantUserNS|proc.WantMountInfo)
		if err != nil || len(d.Errors) > 0 {
			t.Fatal(err, d)
		}
		if d.TID == 0 || d.State != 'Z' || len(d.Cmdline) == 0 || d.Root.Ino == 0 || d.Status == nil || len(d.MountInfo) == 0 {
			t.Errorf("%s: %+v", part, d)
		}

		p, err := fs.Process(pid)
		if err != nil {
			t.Fatal(err)
		}
		tids, err := p.Threads()
		if err != nil || len(tids) < 2 || !slices.Contains(tids, pid) { // numbers begin anew some day
			t.Errorf("threads %v, %v", tids, err)
		}
		inodes := map[uint64]bool{}
		for _, tid := range tids {
			th, err := p.Thread(tid)
			if err != nil {
				t.Fatal(err)
			}
			ino, err := th.Namespace("ipc")
			if (proc.KindOf(err) == proc.Absent && err != nil) != (tid == pid) {
				t.Errorf("thread %d: %v", tid, err)
			}
			if ino != 0 {
				inodes[ino] = true
			}
			th.Close()
		}
		if want := map[string]int{"leave": 1, "leave-and-unshare": 2}[part]; len(inodes) != want {
			t.Errorf("%s: IPC namespaces %v, want %d", part, inodes, want)
		}
		p.Close()
	}
}

// everything calls every method that asks the kernel about a process.
func everything(p *proc.Process) map[string]error {
	answers := map[string]error{"Alive": p.Alive()}
	_, answers["Namespace"] = p.Namespace("ipc")
	_, answers["Read"] = p.Read("cgroup", 1<<20)
	_, answers["ReadWithin"] = p.ReadWithin(context.Background(), "maps", 1<<20)
	_, answers["Link"] = p.Link("cwd")
	if p.TID == 0 {
		_, answers["Threads"] = p.Threads()
	}
	return answers
}

func TestLiveGone(t *testing.T) {
	cmd, stop := play(t, "sleep", nil)
	p, err := open(t, "/proc").Process(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	th, err := p.Thread(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer th.Close()
	for _, view := range []*proc.Process{p, th} {
		for call, err := range everything(view) {
			if err != nil {
				t.Errorf("alive: %s: %v", call, err)
			}
		}
	}
	stop()
	for _, view := range []*proc.Process{p, th} {
		for call, err := range everything(view) {
			if err == nil || proc.KindOf(err) != proc.Gone {
				t.Errorf("gone: %s of thread %d: %v", call, view.TID, err)
			}
		}
	}
	if _, err := p.Thread(cmd.Process.Pid); proc.KindOf(err) != proc.Gone {
		t.Error(err)
	}
	fs := open(t, "/proc")
	if _, err := fs.Process(cmd.Process.Pid); proc.KindOf(err) != proc.Gone {
		t.Error(err)
	}
	if _, err := fs.Visit(context.Background(), cmd.Process.Pid, 0); proc.KindOf(err) != proc.Gone {
		t.Error(err)
	}
}

// The descriptor of a process never speaks for the one that got its number.
func TestLiveRecycledPID(t *testing.T) {
	if apart(t, unix.CLONE_NEWPID) {
		return
	}
	fs := open(t, mountProc(t, ""))
	for range 50 {
		first, stop := play(t, "sleep", nil)
		pid := first.Process.Pid
		p, err := fs.Process(pid)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		stop()
		if err := os.WriteFile(filepath.Join(fs.Path(), "sys/kernel/ns_last_pid"), []byte(strconv.Itoa(pid-1)), 0); err != nil {
			t.Skip(err)
		}
		second, stop := play(t, "sleep", nil)
		if second.Process.Pid != pid {
			stop() // a thread of this process got the number
			continue
		}
		for call, err := range everything(p) {
			if err == nil || proc.KindOf(err) != proc.Gone {
				t.Errorf("%s answers for the newcomer: %v", call, err)
			}
		}
		if _, err := os.ReadFile(fmt.Sprintf("%s/%d/cgroup", fs.Path(), pid)); err != nil {
			t.Errorf("the path should answer for the newcomer, or nothing was proven: %v", err)
		}
		return
	}
	t.Skip("the number was never given again")
}

// TestLiveHidden scans as a user who may look at nothing but itself.
func TestLiveHidden(t *testing.T) {
	if apart(t, unix.CLONE_NEWPID) {
		return
	}
	dir := mountProc(t, "")
	for _, options := range []string{"hidepid=0", "hidepid=1", "hidepid=2"} {
		if err := unix.Mount("proc", dir, "proc", unix.MS_REMOUNT, options); err != nil {
			t.Skip(err)
		}
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		// The binary of the test may lie where nobody else can reach it.
		binary, err := os.ReadFile(exe)
		if err != nil {
			t.Fatal(err)
		}
		copied := "/mnt/test"
		if err := os.WriteFile(copied, binary, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(copied)
		cmd.Env = []string{partVariable + "=scan " + dir}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(options, err)
		}
		var s seen
		if err := json.Unmarshal(out, &s); err != nil || s.Err != "" {
			t.Fatalf("%s: %v, %s", options, err, out)
		}
		gaps := map[string]proc.Kind{}
		incomplete := false
		for _, g := range s.Gaps {
			if g.PID == 0 {
				incomplete = g.Kind == proc.Hidden
			}
			if g.PID == 1 {
				gaps[g.File] = g.Kind
			}
		}
		ns := map[string]proc.Kind{"ns/ipc": proc.Hidden, "ns/pid": proc.Hidden, "ns/mnt": proc.Hidden}
		visit := "gap: not permitted"
		switch options {
		case "hidepid=1":
			ns["cgroup"] = proc.Hidden
		case "hidepid=2":
			clear(ns)
			visit = "error: not permitted"
		}
		if !reflect.DeepEqual(gaps, ns) {
			t.Errorf("%s: gaps of PID 1: %v, want %v", options, gaps, ns)
		}
		if incomplete != (options == "hidepid=2") {
			t.Errorf("%s: said to be incomplete: %t", options, incomplete)
		}
		for _, r := range s.Records {
			if r.PID == 1 && (r.IPC != 0 || r.Zombie || options == "hidepid=2") {
				t.Errorf("%s: %+v", options, r)
			}
		}
		for pid, what := range s.Visits {
			want := "read"
			if pid == 1 {
				want = visit
			}
			if what != want {
				t.Errorf("%s: visit of PID %d: %s, want %s", options, pid, what, want)
			}
		}
		if len(s.Visits) != 2 {
			t.Errorf("%s: %v", options, s.Visits)
		}
	}
}

// descriptors counts the open descriptors of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestLiveDescriptorsAreClosed(t *testing.T) {
	if apart(t, unix.CLONE_NEWPID) {
		return
	}
	zombie := exec.Command("true")
	if err := zombie.Start(); err != nil {
		t.Skip(err)
	}
	defer zombie.Wait()
	fs := open(t, mountProc(t, ""))
	round := func() {
		s := scan(t, fs)
		for _, r := range s.Records[:min(len(s.Records), 50)] {
			fs.Visit(context.Background(), r.PID, proc.WantStatus|proc.WantCmdline|proc.WantRoot|proc.WantUserNS|proc.WantCwd|proc.WantMountInfo)
		}
		fs.Visit(context.Background(), zombie.Process.Pid, proc.WantCmdline)
		fs.File("sys/kernel/osrelease", 1<<10)
		fs.File("sys/kernel/nothing", 1<<10)
	}
	round() // the runtime opens some of its own
	before := descriptors(t)
	for range 5 {
		round()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// On a procfs the hot loop allocates nothing for a process but its record.
func TestLiveAllocations(t *testing.T) {
	if apart(t, unix.CLONE_NEWPID) { // where nobody else comes and goes
		return
	}
	fs := open(t, mountProc(t, ""))
	measure := func() float64 { return testing.AllocsPerRun(5, func() { scan(t, fs) }) }
	before := measure()
	const n = 200
	for range n {
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Skip(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
	}
	after := measure()
	t.Logf("%.0f allocations, with %d processes more %.0f", before, n, after)
	if per := (after - before) / n; per > 0.1 {
		t.Errorf("%.2f allocations a process", per)
	}
}

func TestFile(t *testing.T) {
	fs := open(t, "/proc")
	for _, name := range []string{"sys/kernel/osrelease", "sys/kernel/random/boot_id", "mounts", "self/mountinfo", "sysvipc/shm"} {
		if b, err := fs.File(name, 1<<20); err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	for name, kind := range map[string]proc.Kind{"sys/kernel/none": proc.Absent, "mounts/x": proc.Failed} {
		if _, err := fs.File(name, 1<<20); err == nil || proc.KindOf(err) != kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := fs.File("mounts", 8); proc.KindOf(err) != proc.TooBig {
		t.Errorf("more than the limit: %v", err)
	}
}

// The root directory of a process can be of a file system in user space, that never
// answers: it is identified without a question.
func TestRootAsksNobody(t *testing.T) {
	if apart(t, 0) {
		return
	}
	dir := t.TempDir()
	f := proctest.MountFUSE(t, dir)
	fs := open(t, "/proc")
	before, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := unix.Chroot(dir); err != nil {
		t.Fatal(err)
	}
	d, err := fs.Visit(context.Background(), os.Getpid(), proc.WantRoot)
	asked := f.Count("attributes of ")
	if err := errors.Join(before.Chdir(), unix.Chroot(".")); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if d.Root.Ino == 0 || asked != 0 {
		t.Errorf("root %+v, asked %d times", d.Root, asked)
	}
}

// A process that has made a virtual machine has a descriptor of it, and one that has only opened /dev/kvm has not.
func TestVisitMachine(t *testing.T) {
	kvm, err := unix.Open("/dev/kvm", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no KVM here: %v", err)
	}
	defer unix.Close(kvm)
	fs := open(t, "/proc")
	machine := func() string {
		t.Helper()
		d, err := fs.Visit(context.Background(), os.Getpid(), proc.WantMachine)
		if err != nil || len(d.Errors) > 0 {
			t.Fatalf("%v, %v", err, d)
		}
		return d.Machine
	}
	if got := machine(); got != "" {
		t.Errorf("%q before there is any", got)
	}
	const createVM = 0xae01 // KVM_CREATE_VM, _IO(KVMIO, 0x01) of include/uapi/linux/kvm.h
	vm, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(kvm), createVM, 0)
	if errno != 0 {
		t.Skipf("no virtual machine can be made here: %v", errno)
	}
	defer unix.Close(int(vm))
	if got, want := machine(), "anon_inode:kvm-vm"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
