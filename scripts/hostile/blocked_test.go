package hostile

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// blockers is how many processes there are whose memory cannot be read.
const blockers = 4

// TestBlockedReads: processes of a container whose command lines do not answer, in a real /proc. The scan goes on,
// tells the gap, and what it says of the container and of others is right.
func TestBlockedReads(t *testing.T) {
	s := newScene(t)
	dir := t.TempDir()
	f := proctest.MountFUSE(t, dir)
	pids, some := map[int]string{}, 0
	for i := range blockers {
		page := fmt.Sprintf("page%d", i) // of its own: the second mmap of one waits for the first one's page
		f.Add(page, unix.S_IFREG|0o644, "")
		f.Change(page, func(n *proctest.FUSENode) { n.Size, n.Hang = 4096, true })
		// The parent of a container's process: its command line tells whether it is an engine's helper.
		id := newID()
		a := act(t, "lock-memory "+dir+"/"+page+" "+filepath.Join(cgroup(t, "docker/"+id), "cgroup.procs"), nil)
		s.truth[id] = struct{ ipc, pid report.State }{report.StatePrivate, report.StatePrivate}
		pids[a.Process.Pid] = id
		some = a.Process.Pid
	}
	t.Cleanup(f.Unmount) // first of all, or else they could not even be killed
	time.Sleep(1500 * time.Millisecond)

	fs, err := proc.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	p, err := fs.Process(some)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	short, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if _, err := p.ReadWithin(short, "cmdline", 1<<20); proc.KindOf(err) != proc.Blocked {
		t.Skipf("this kernel does not hold the lock: %v", err)
	}

	begin := time.Now()
	r, err := nsinspect.Inspect(context.Background(), nsinspect.Source{}, nsinspect.Options{Deep: true})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	for _, lie := range s.truth.lies(r) {
		t.Error(lie)
	}
	for id, want := range s.truth {
		if c := found(r, id); c == nil || c.IPC.State != want.ipc || c.PID.State != want.pid {
			t.Errorf("%s: %+v", id, c)
		}
	}
	blocked := 0
	for _, g := range r.Coverage.Gaps {
		if _, ours := pids[g.PID]; ours && g.Error == proc.Blocked.String() {
			blocked++
		}
	}
	t.Logf("%d blocked processes: %.1f s, %d reads that were given up on", blockers, took.Seconds(), blocked)
	if blocked < blockers {
		t.Error("not every process that gives no answer is told of")
	}

	list, err := nsinspect.Processes(context.Background(), nsinspect.Source{}, nsinspect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]report.Process{}
	for _, p := range list.Processes {
		seen[p.PID] = p
	}
	for pid := range pids {
		if _, ok := seen[pid]; !ok {
			t.Errorf("process %d is not listed", pid)
		}
	}
}

// lockMemory is the part that starts a process of a container and then leaves the process's memory lock taken for as long as the file, of a FUSE with direct
// I/O, is not answered for: a page fault waits for the page, and a second mmap waits, with the
// lock held for writing, until it can drop the page (fs/fuse/file.c, fuse_file_mmap).
func lockMemory(path, procs string) error {
	if err := contain(procs, "sleep"); err != nil {
		return err
	}
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	page, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	if null, err := unix.Open("/dev/null", unix.O_WRONLY, 0); err == nil {
		unix.Dup3(null, 2, 0) // in the end it crashes: the page is not there any more
	}
	go func() { fmt.Println(page[0]) }()
	time.Sleep(200 * time.Millisecond)
	fmt.Println("ready")
	_, err = unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
	return err
}
