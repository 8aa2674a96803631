package proc_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
)

const everyWant = proc.WantStatus | proc.WantCmdline | proc.WantRoot | proc.WantUserNS | proc.WantCwd | proc.WantMountInfo

func TestVisit(t *testing.T) {
	dir := proctest.Build(t, `
1 comm=systemd
2 comm=kthreadd kthread=1
50 comm="a) R 9 (b" ppid=7 start=12345 ipc=5 user=6 uid=1000,1001,1002,1003 gid=8 groups=4,5 caps=401 nspid=50,3 nnp=1 seccomp=2 root=box cwd=/srv cmdline="x --flag y" cgroup=0::/box
51 root=box
52 state=Z ipc=- mnt=-
53 state=Z ipc=- mnt=- uid=0
53/54 state=S ipc=9 mnt=9 uid=77 root=box comm=thread
-- 50/mountinfo --
25 24 0:23 / /dev/shm rw - tmpfs shm rw
`)
	fs := open(t, dir)
	visit := func(pid int) *proc.Detail {
		t.Helper()
		d, err := fs.Visit(context.Background(), pid, everyWant)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Errors) > 0 {
			t.Errorf("PID %d: %v", pid, d.Errors)
		}
		return d
	}
	d := visit(50)
	root := d.Root
	if root.Ino == 0 || root == visit(1).Root || root != visit(51).Root {
		t.Errorf("roots: %v, %v, %v", root, visit(1).Root, visit(51).Root)
	}
	d.Root = proc.FileID{}
	want := &proc.Detail{
		Record: proc.Record{PID: 50, IPC: 5, PIDNS: hostPID, Mnt: hostMnt, Cgroup: -1},
		Cgroup: "0::/box\n",
		Comm:   "a) R 9 (b", State: 'S', PPID: 7, StartTime: 12345, Threads: 1,
		Status: &proc.Status{
			UID: 1000, EUID: 1001, SUID: 1002, FSUID: 1003, GID: 8, EGID: 8, SGID: 8, FSGID: 8, Groups: []uint32{4, 5},
			CapPrm: 0x401, CapEff: 0x401, CapBnd: 0x1ffffffffff, NSpid: []int{50, 3}, Threads: 1, NoNewPrivs: true, Seccomp: 2,
		},
		Cmdline: []string{"x", "--flag", "y"}, Cwd: "/srv", UserNS: 6,
		MountInfo: []proc.Mount{{ID: 25, Parent: 24, Minor: 23, Root: "/", Point: "/dev/shm", Options: "rw", Type: "tmpfs", Source: "shm", Super: "rw"}},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got  %+v\nwant %+v", d, want)
	}
	if d := visit(2); !d.KernelThread || visit(1).KernelThread || len(d.Cmdline) > 0 {
		t.Errorf("kthreadd: %+v", d)
	}
	if d := visit(52); !d.Zombie || d.State != 'Z' {
		t.Errorf("a zombie: %+v", d)
	}
	d = visit(53)
	if d.TID != 54 || d.State != 'Z' || d.IPC != 9 || d.Status.UID != 77 || d.Root != root || !slices.Equal(d.Cmdline, []string{"thread"}) {
		t.Errorf("a thread that speaks for its process: %+v", d)
	}
	if d, err := fs.Visit(context.Background(), 50, 0); err != nil || d.Status != nil || d.Cmdline != nil || d.MountInfo != nil || d.UserNS != 0 || d.Cwd != "" {
		t.Errorf("what was not asked for was read: %+v, %v", d, err)
	}
	for _, pid := range []int{49, 0, -1, math.MaxInt32} {
		if d, err := fs.Visit(context.Background(), pid, 0); proc.KindOf(err) != proc.Gone {
			t.Errorf("PID %d: %v, %v", pid, d, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := fs.Visit(ctx, 50, 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestVisitHostileTree(t *testing.T) {
	write := func(name, content string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600) }
	}
	fifo := func(name string) func(string) error {
		return func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, name)), unix.Mkfifo(filepath.Join(dir, name), 0o600))
		}
	}
	link := func(name, target string) func(string) error {
		return func(dir string) error { return relink(filepath.Join(dir, name), target) }
	}
	tests := []struct {
		story  string
		change func(dir string) error
		file   string
		kind   proc.Kind
	}{
		{"stat ends after the name, where the library panics", write("stat", "77 (x)"), "stat", proc.BadData},
		{"stat with the parentheses the wrong way round", write("stat", "77 )x( S 1"), "stat", proc.BadData},
		{"stat is empty", write("stat", ""), "stat", proc.BadData},
		{"stat stops in the middle", write("stat", "77 (x) S 1 7 7 0 -1 0 1"), "stat", proc.BadData},
		{"stat with a state of two letters", write("stat", "77 (x) SS 1 1 1 0 -1 0"+strings.Repeat(" 0", 45)), "stat", proc.BadData},
		{"stat with a negative parent", write("stat", "77 (x) S -1 1 1 0 -1 0"+strings.Repeat(" 0", 45)), "stat", proc.BadData},
		{"stat is a FIFO", fifo("stat"), "stat", proc.BadData},
		{"stat leads out of the tree", link("stat", "/proc/self/stat"), "stat", proc.BadData},
		{"stat is huge", write("stat", "77 (x"+strings.Repeat(")", 1<<20)), "stat", proc.TooBig},
		{"no stat", func(dir string) error { return os.Remove(dir + "/stat") }, "stat", proc.Absent},
		{"status that would make the library count processors for ever", write("status", "Cpus_allowed_list:\t0-18446744073709551615\n"), "status", proc.BadData},
		{"status with five user ids, where the library panics", write("status", "Uid:\t1\t2\t3\t4\t5\n"), "status", proc.BadData},
		{"status is a FIFO", fifo("status"), "status", proc.BadData},
		{"status leads out of the tree", link("status", "/proc/self/status"), "status", proc.BadData},
		{"status is a terabyte", func(dir string) error { return os.Truncate(dir+"/status", 1<<40) }, "status", proc.TooBig},
		{"cmdline is a FIFO", fifo("cmdline"), "cmdline", proc.BadData},
		{"cmdline leads to an endless device", link("cmdline", "/dev/zero"), "cmdline", proc.BadData},
		{"cmdline is a terabyte", func(dir string) error { return os.Truncate(dir+"/cmdline", 1<<40) }, "cmdline", proc.TooBig},
		{"mountinfo is not one", write("mountinfo", "hello\n"), "mountinfo", proc.BadData},
		{"mountinfo is a directory", func(dir string) error {
			return errors.Join(os.Remove(dir+"/mountinfo"), os.Mkdir(dir+"/mountinfo", 0o700))
		}, "mountinfo", proc.BadData},
		{"cwd is a file", func(dir string) error { return replace(dir+"/cwd", "/") }, "cwd", proc.BadData},
		{"root leads out of the tree", link("root", "/"), "root", proc.BadData},
		{"root leads out of the tree by its parents", link("root", "../../../../../../../../../.."), "root", proc.BadData},
		{"root leads nowhere", link("root", "nowhere"), "root", proc.Absent},
		{"root leads to itself", link("root", "root"), "root", proc.BadData},
		{"root is a file", func(dir string) error { return replace(dir+"/root", "/") }, "root", proc.BadData},
		{"ns/user is another kind", link("ns/user", "ipc:[1]"), "ns/user", proc.BadData},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			dir := proctest.Build(t, "77 ipc=5 mnt=9 cgroup=0::/x\n")
			if err := tt.change(filepath.Join(dir, "77")); err != nil {
				t.Fatal(err)
			}
			d, err := open(t, dir).Visit(context.Background(), 77, everyWant)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Errors) != 1 || d.Errors[0].File != tt.file || d.Errors[0].Kind != tt.kind {
				t.Errorf("gaps %v, want %s: %s", d.Errors, tt.file, tt.kind)
			}
			if d.IPC != 5 || d.Cgroup != "0::/x\n" {
				t.Errorf("the rest of it: %+v", d)
			}
			for file, empty := range map[string]bool{
				"stat": d.State == 0, "status": d.Status == nil, "cmdline": d.Cmdline == nil, "mountinfo": d.MountInfo == nil,
				"cwd": d.Cwd == "", "root": d.Root == proc.FileID{}, "ns/user": d.UserNS == 0,
			} {
				if empty != (file == tt.file) {
					t.Errorf("%s empty: %t", file, empty)
				}
			}
		})
	}
}

func TestFileHostileTree(t *testing.T) {
	dir := proctest.Build(t, "1\n")
	fs := open(t, dir)
	if b, err := fs.File("sys/kernel/hostname", 100); err != nil || string(b) != "testhost\n" {
		t.Errorf("%q, %v", b, err)
	}
	if err := errors.Join(relink(dir+"/sys/kernel/hostname", "/etc/hostname"), os.Rename(dir+"/sysvipc", dir+"/moved"), relink(dir+"/sysvipc", "moved"),
		unix.Mkfifo(dir+"/uptime", 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]proc.Kind{
		"sys/kernel/hostname": proc.BadData, "sysvipc/shm": proc.BadData, "uptime": proc.BadData, "sys/kernel": proc.BadData, "none": proc.Absent,
		"sys/none/x": proc.Absent, "1/stat/x": proc.BadData,
	} {
		var e *proc.Error
		if b, err := fs.File(name, 100); !errors.As(err, &e) || e.Kind != kind || e.PID != 0 || e.File != name {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	p, err := fs.Process(1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Alive(); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(dir + "/1"); err != nil {
		t.Fatal(err)
	}
	if err := p.Alive(); proc.KindOf(err) != proc.Gone {
		t.Errorf("a process that was removed: %v", err)
	}
}
