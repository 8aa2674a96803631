package proc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
)

// files of a file system that fails in the middle of an answer.
func TestFailuresMidway(t *testing.T) {
	if apart(t, 0) {
		return
	}
	dir := t.TempDir()
	f := proctest.MountFUSE(t, dir)
	type story struct {
		errno  unix.Errno
		always bool
		kind   proc.Kind
		gone   bool
	}
	stories := map[int]story{
		101: {errno: unix.EIO, kind: proc.Failed},
		102: {errno: unix.EIO, always: true, kind: proc.Failed},
		103: {errno: unix.ESRCH, gone: true},
		104: {errno: unix.EACCES, kind: proc.Hidden},
		105: {errno: unix.EPERM, always: true, kind: proc.Hidden},
		106: {errno: unix.EINTR, kind: proc.Failed}, // for ever
		107: {errno: unix.ENOENT, kind: proc.Absent},
		108: {errno: unix.ENOMEM, kind: proc.Failed},
	}
	f.Process(1)
	for pid, s := range stories {
		f.Process(pid)
		f.Change(fmt.Sprintf("%d/cgroup", pid), func(n *proctest.FUSENode) { n.Errno, n.Always = s.errno, s.always })
		f.Process(pid + 100)
		f.Change(fmt.Sprintf("%d/ns/mnt", pid+100), func(n *proctest.FUSENode) { n.Errno = s.errno })
	}
	f.Process(300)
	f.Change("300/cgroup", func(n *proctest.FUSENode) { n.Flood = true })

	snap := scan(t, open(t, dir))
	if r, errs, ok := find(snap, 1); !ok || len(errs) > 0 || snap.Cgroups[r.Cgroup] != "0::/box\n" {
		t.Errorf("the healthy process: %+v, %v", r, errs)
	}
	for pid, s := range stories {
		for file, pid := range map[string]int{"cgroup": pid, "ns/mnt": pid + 100} {
			r, errs, ok := find(snap, pid)
			if ok == s.gone {
				t.Errorf("%v in %s: record: %t", s.errno, file, ok)
			}
			if s.gone {
				if len(errs) > 0 {
					t.Errorf("gaps of a process that has ended: %v", errs)
				}
				continue
			}
			if len(errs) != 1 || errs[0].File != file || errs[0].Kind != s.kind || !errors.Is(errs[0], s.errno) {
				t.Errorf("%v in %s: %v", s.errno, file, errs)
			}
			if file == "cgroup" && (r.Cgroup != -1 || r.Mnt == 0) || file == "ns/mnt" && (r.Cgroup == -1 || r.Mnt != 0) {
				t.Errorf("%v in %s: %+v", s.errno, file, r)
			}
		}
	}
	if r, errs, _ := find(snap, 300); r.Cgroup != -1 || len(errs) != 1 || errs[0].Kind != proc.TooBig {
		t.Errorf("an endless file: %+v, %v", r, errs)
	}
	if snap.Vanished != 2 {
		t.Errorf("%d vanished, want 2", snap.Vanished)
	}
}

// The threads of a dead leader may follow each other so fast that those that were listed are always gone. That
// must never look like a zombie or like a process that has ended.
func TestThreadsComeAndGo(t *testing.T) {
	if apart(t, 0) {
		return
	}
	dir := t.TempDir()
	f := proctest.MountFUSE(t, dir)
	f.Process(1)
	f.Process(7)
	f.Add("7/task/8/stat", unix.S_IFREG|0o644, "8 (x) S 0 1 1 0 -1 4194304")
	for _, link := range []string{"7/ns/ipc", "7/ns/mnt", "7/task/8"} {
		f.Change(link, func(n *proctest.FUSENode) { n.Ghost = true })
	}
	f.Add("7/stat", unix.S_IFREG|0o644, "7 (x) Z 0 1 1 0 -1 4194304"+strings.Repeat(" 0", 43)+"\n")
	fs := open(t, dir)
	r, errs, ok := find(scan(t, fs), 7)
	if !ok || r.Zombie || r.IPC != 0 || len(errs) != 1 || errs[0].File != "task" || errs[0].Kind != proc.Absent {
		t.Errorf("%t, %+v, %v", ok, r, errs)
	}
	d, err := fs.Visit(context.Background(), 7, 0)
	if err != nil || d.Zombie || len(d.Errors) != 1 || d.Errors[0].File != "task" {
		t.Errorf("%v, %+v", err, d)
	}
	f.Change("7/task/8", func(n *proctest.FUSENode) { n.Ghost = false })
	r, errs, ok = find(scan(t, fs), 7)
	if !ok || r.Zombie || r.TID != 0 || len(errs) == 0 {
		t.Errorf("a thread without anything in it: %t, %+v, %v", ok, r, errs)
	}
}

// A file that gives no answer costs its deadline, in a tree that is no procfs too.
func TestVisitBlocked(t *testing.T) {
	if apart(t, 0) {
		return
	}
	dir := t.TempDir()
	f := proctest.MountFUSE(t, dir)
	f.Process(1)
	f.Process(2)
	f.Change("2/cmdline", func(n *proctest.FUSENode) { n.Hang = true })
	f.Process(3)
	f.Change("3/stat", func(n *proctest.FUSENode) { n.Hang = true })
	fs := open(t, dir)
	fs.Deadline = 200 * time.Millisecond

	d, err := fs.Visit(context.Background(), 2, proc.WantCmdline)
	if err != nil || len(d.Errors) != 1 || d.Errors[0].Kind != proc.Blocked || d.Errors[0].File != "cmdline" || d.Comm != "x" || d.Cgroup == "" {
		t.Errorf("cmdline that hangs: %v, %+v", err, d)
	}
	if d, err = fs.Visit(context.Background(), 3, 0); proc.KindOf(err) != proc.Blocked || d != nil {
		t.Errorf("stat that hangs: %v, %+v", err, d)
	}
	d, err = fs.Visit(context.Background(), 1, proc.WantCmdline)
	if err != nil || len(d.Errors) > 0 || len(d.Cmdline) != 2 {
		t.Errorf("the healthy process: %v, %+v", err, d)
	}
	// What is given up on is bounded, and after that nothing is even tried.
	for range 100 {
		fs.Visit(expired(t), 2, proc.WantCmdline)
	}
	start := f.Count("2/cmdline")
	if start > 70 {
		t.Errorf("%d reads are under way", start)
	}
	d, err = fs.Visit(context.Background(), 2, proc.WantCmdline)
	if err == nil && (len(d.Errors) != 1 || d.Errors[0].Kind != proc.Blocked) || err != nil && proc.KindOf(err) != proc.Blocked {
		t.Errorf("%v, %+v", err, d)
	}
}

// A process can see to it that whoever wants its memory lock waits, as cmdline does, and maps on older kernels; ps has hung for that.
func TestLiveBlocked(t *testing.T) {
	if apart(t, 0) {
		return
	}
	dir := t.TempDir()
	f := proctest.MountFUSE(t, dir)
	f.Add("page", unix.S_IFREG|0o644, "")
	f.Change("page", func(n *proctest.FUSENode) { n.Size, n.Hang = 4096, true })
	cmd, _ := play(t, "lock-memory "+dir+"/page", nil)
	t.Cleanup(f.Unmount) // or else it could not even be killed
	pid := cmd.Process.Pid
	fs := open(t, "/proc")
	fs.Deadline = time.Second

	p, err := fs.Process(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 50 { // it takes the lock right after it has said that it is ready
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_, err = p.ReadWithin(ctx, "cmdline", 1<<20)
		cancel()
		if err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if proc.KindOf(err) != proc.Blocked {
		t.Skipf("this kernel does not hold the lock: %v", err)
	}

	if r, errs, ok := find(scan(t, fs), pid); !ok || len(errs) > 0 || r.IPC == 0 {
		t.Errorf("the hot pass: %+v, %v", r, errs)
	}
	d, err := fs.Visit(context.Background(), pid, proc.WantCmdline|proc.WantStatus|proc.WantRoot|proc.WantCwd|proc.WantMountInfo)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Errors) != 1 || d.Errors[0].File != "cmdline" || d.Errors[0].Kind != proc.Blocked {
		t.Errorf("gaps %v", d.Errors)
	}
	if d.Comm == "" || d.Root.Ino == 0 || d.Cwd == "" || len(d.MountInfo) == 0 {
		t.Errorf("the rest of it: %+v", d)
	}
}

// expired is a context that leaves a visit time to begin and no more.
func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// A hot pass over a tree that hangs ends with its context, and its workers close what they opened when they are let go.
func TestScanBlocked(t *testing.T) {
	if apart(t, 0) {
		return
	}
	if r, w, err := os.Pipe(); err == nil { // the runtime opens its poller for the first one, and keeps it
		r.Close()
		w.Close()
	}
	for _, file := range []string{"7/cgroup", "7/ns/ipc"} {
		before := descriptors(t)
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			f := proctest.MountFUSE(t, dir)
			for pid := 1; pid < 20; pid++ {
				f.Process(pid)
			}
			f.Change(file, func(n *proctest.FUSENode) { n.Hang = true })
			fs := open(t, dir)
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			if s, err := fs.Scan(ctx); !errors.Is(err, context.DeadlineExceeded) || s != nil {
				t.Errorf("got %v, %v", s, err)
			}
			if f.Count(file) == 0 {
				t.Error("the file was not read, nothing was proven")
			}
		})
		after := descriptors(t)
		for range 200 { // the workers were let go when the file system was unmounted
			if after = descriptors(t); after <= before {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	}
}
