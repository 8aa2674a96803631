package proc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
)

const (
	hostIPC = 4026531839
	hostPID = 4026531836
	hostMnt = 4026531832
)

func open(t testing.TB, dir string) *proc.FS {
	t.Helper()
	fs, err := proc.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

func scan(t testing.TB, fs *proc.FS) *proc.Snapshot {
	t.Helper()
	s, err := fs.Scan(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// find returns the record of a process and what went wrong with it.
func find(s *proc.Snapshot, pid int) (r proc.Record, errs []*proc.Error, ok bool) {
	for _, e := range s.Errors {
		if e.PID == pid {
			errs = append(errs, e)
		}
	}
	for _, r := range s.Records {
		if r.PID == pid {
			return r, errs, true
		}
	}
	return r, errs, false
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "no"): "mount a procfs",
		file:                     "name the directory",
	} {
		if _, err := proc.Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that says %q", path, err, want)
		}
	}
	if fs := open(t, dir); fs.Procfs() || fs.Path() != dir {
		t.Errorf("an empty directory: Procfs %t, Path %q", fs.Procfs(), fs.Path())
	}
	if fs := open(t, "/proc"); !fs.Procfs() || fs.Self() != os.Getpid() {
		t.Errorf("/proc: Procfs %t, Self %d", fs.Procfs(), fs.Self())
	}
	if _, err := open(t, dir).Scan(context.Background()); err == nil {
		t.Error("an empty directory was scanned without complaint")
	}
}

// big builds a large tree in memory, if it may: an ext4 without a journal takes milliseconds for each new file
// while many others are being deleted.
func big(t testing.TB, text string) string {
	dir := t.TempDir()
	if err := unix.Mount("proctest", dir, "tmpfs", 0, ""); err == nil {
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	}
	if err := proctest.Write(dir, text); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestScanOrder(t *testing.T) {
	var text strings.Builder
	for i := 1; i <= 400; i++ {
		fmt.Fprintf(&text, "%d ipc=%d cgroup=0::/c%d\n", i*37%401+1, 100+i, i%5)
	}
	fs := open(t, big(t, text.String()))
	first := scan(t, fs)
	if len(first.Records) != 400 || len(first.Cgroups) != 5 || len(first.Errors) != 0 || first.Vanished != 0 {
		t.Fatalf("%d records, %d cgroups, errors %v", len(first.Records), len(first.Cgroups), first.Errors)
	}
	if !slices.IsSortedFunc(first.Records, func(a, b proc.Record) int { return a.PID - b.PID }) {
		t.Error("the records are not by PID")
	}
	for range 5 {
		if again := scan(t, fs); !reflect.DeepEqual(first, again) {
			t.Fatal("two scans of the same tree differ")
		}
	}
	for _, r := range first.Records {
		if want := fmt.Sprintf("0::/c%d\n", (r.IPC-100)%5); first.Cgroups[r.Cgroup] != want {
			t.Fatalf("%+v: cgroup %q, want %q", r, first.Cgroups[r.Cgroup], want)
		}
	}
}

// Each story changes one file of one process of a tree that is no procfs.
func TestScanHostileTree(t *testing.T) {
	const pid = 77
	type gap struct {
		file string
		kind proc.Kind
	}
	whole := proc.Record{PID: pid, IPC: 5, PIDNS: hostPID, Mnt: 9}
	tests := []struct {
		story  string
		change func(dir string) error
		want   proc.Record // Cgroup is only compared as read or not
		gaps   []gap
		lost   bool // the process has no record, and is in Vanished
	}{
		{story: "nothing is wrong", change: func(string) error { return nil }, want: whole},
		{
			story:  "no ns/ipc",
			change: func(dir string) error { return os.Remove(dir + "/ns/ipc") },
			want:   proc.Record{PID: pid, PIDNS: hostPID, Mnt: 9}, gaps: []gap{{"ns/ipc", proc.Absent}},
		},
		{
			story: "no ns/ipc, and a stat that cannot say whether it is a zombie",
			change: func(dir string) error {
				return errors.Join(os.Remove(dir+"/ns/ipc"), os.WriteFile(dir+"/stat", []byte("77 (x"), 0o600))
			},
			want: proc.Record{PID: pid, PIDNS: hostPID, Mnt: 9}, gaps: []gap{{"ns/ipc", proc.Absent}},
		},
		{
			story:  "no ns at all",
			change: func(dir string) error { return os.RemoveAll(dir + "/ns") },
			want:   proc.Record{PID: pid}, gaps: []gap{{"ns/ipc", proc.Absent}, {"ns/mnt", proc.Absent}, {"ns/pid", proc.Absent}},
		},
		{
			story:  "ns is a file",
			change: func(dir string) error { return replace(dir+"/ns", "x") },
			want:   proc.Record{PID: pid}, gaps: []gap{{"ns/ipc", proc.BadData}, {"ns/mnt", proc.BadData}, {"ns/pid", proc.BadData}},
		},
		{
			story:  "ns/ipc is a file",
			change: func(dir string) error { return replace(dir+"/ns/ipc", "ipc:[5]") },
			want:   proc.Record{PID: pid, PIDNS: hostPID, Mnt: 9}, gaps: []gap{{"ns/ipc", proc.BadData}},
		},
		{
			story:  "ns/ipc is a directory",
			change: func(dir string) error { return errors.Join(os.Remove(dir+"/ns/ipc"), os.Mkdir(dir+"/ns/ipc", 0o700)) },
			want:   proc.Record{PID: pid, PIDNS: hostPID, Mnt: 9}, gaps: []gap{{"ns/ipc", proc.BadData}},
		},
		{
			story:  "ns/ipc leads to another kind",
			change: func(dir string) error { return relink(dir+"/ns/ipc", "pid:[4026531836]") },
			want:   proc.Record{PID: pid, PIDNS: hostPID, Mnt: 9}, gaps: []gap{{"ns/ipc", proc.BadData}},
		},
		{
			story:  "ns/pid leads to a file that says what it should",
			change: func(dir string) error { return relink(dir+"/ns/pid", "../../1/ns/pid") },
			want:   proc.Record{PID: pid, IPC: 5, Mnt: 9}, gaps: []gap{{"ns/pid", proc.BadData}},
		},
		{
			story: "ns/mnt is longer than any namespace",
			change: func(dir string) error {
				return relink(dir+"/ns/mnt", "mnt:[4026531832]"+strings.Repeat(" ", 200))
			},
			want: proc.Record{PID: pid, IPC: 5, PIDNS: hostPID}, gaps: []gap{{"ns/mnt", proc.BadData}},
		},
		{
			story: "cgroup is a FIFO",
			change: func(dir string) error {
				return errors.Join(os.Remove(dir+"/cgroup"), unix.Mkfifo(dir+"/cgroup", 0o600))
			},
			want: proc.Record{PID: pid, IPC: 5, PIDNS: hostPID, Mnt: 9, Cgroup: -1}, gaps: []gap{{"cgroup", proc.BadData}},
		},
		{
			story:  "cgroup is a directory",
			change: func(dir string) error { return errors.Join(os.Remove(dir+"/cgroup"), os.Mkdir(dir+"/cgroup", 0o700)) },
			want:   proc.Record{PID: pid, IPC: 5, PIDNS: hostPID, Mnt: 9, Cgroup: -1}, gaps: []gap{{"cgroup", proc.BadData}},
		},
		{
			story:  "cgroup leads to an endless device",
			change: func(dir string) error { return relink(dir+"/cgroup", "/dev/zero") },
			want:   proc.Record{PID: pid, IPC: 5, PIDNS: hostPID, Mnt: 9, Cgroup: -1}, gaps: []gap{{"cgroup", proc.BadData}},
		},
		{
			story:  "cgroup leads to another process's",
			change: func(dir string) error { return relink(dir+"/cgroup", "../1/cgroup") },
			want:   proc.Record{PID: pid, IPC: 5, PIDNS: hostPID, Mnt: 9, Cgroup: -1}, gaps: []gap{{"cgroup", proc.BadData}},
		},
		{
			story:  "cgroup is a terabyte",
			change: func(dir string) error { return os.Truncate(dir+"/cgroup", 1<<40) },
			want:   proc.Record{PID: pid, IPC: 5, PIDNS: hostPID, Mnt: 9, Cgroup: -1}, gaps: []gap{{"cgroup", proc.TooBig}},
		},
		{
			story:  "cgroup is exactly as long as is taken",
			change: func(dir string) error { return os.WriteFile(dir+"/cgroup", make([]byte, 1<<20), 0o600) },
			want:   whole,
		},
		{
			story:  "cgroup is one byte longer",
			change: func(dir string) error { return os.WriteFile(dir+"/cgroup", make([]byte, 1<<20+1), 0o600) },
			want:   proc.Record{PID: pid, IPC: 5, PIDNS: hostPID, Mnt: 9, Cgroup: -1}, gaps: []gap{{"cgroup", proc.TooBig}},
		},
		{
			story:  "cgroup is empty, as without any hierarchy",
			change: func(dir string) error { return os.Truncate(dir+"/cgroup", 0) },
			want:   whole,
		},
		{
			story:  "no cgroup",
			change: func(dir string) error { return os.Remove(dir + "/cgroup") },
			want:   proc.Record{PID: pid, IPC: 5, PIDNS: hostPID, Mnt: 9, Cgroup: -1}, gaps: []gap{{"cgroup", proc.Absent}},
		},
		{
			story:  "the process is a file",
			change: func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) },
			want:   proc.Record{PID: pid, Cgroup: -1}, gaps: []gap{{"", proc.BadData}},
		},
		{
			story:  "the process leads to another one",
			change: func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Symlink("1", dir)) },
			want:   proc.Record{PID: pid, Cgroup: -1}, gaps: []gap{{"", proc.BadData}},
		},
		{
			story:  "a zombie",
			change: func(dir string) error { return zombie(dir) },
			want:   proc.Record{PID: pid, PIDNS: hostPID, Zombie: true},
		},
		{
			story: "a zombie whose threads were not copied",
			change: func(dir string) error {
				return errors.Join(zombie(dir), os.RemoveAll(dir+"/task"))
			},
			want: proc.Record{PID: pid, PIDNS: hostPID, Zombie: true},
		},
		{
			story: "a zombie whose threads are a link to another one's",
			change: func(dir string) error {
				return errors.Join(zombie(dir), os.RemoveAll(dir+"/task"), os.Symlink("../1/task", dir+"/task"))
			},
			want: proc.Record{PID: pid, PIDNS: hostPID}, gaps: []gap{{"task", proc.BadData}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			dir := proctest.Build(t, "1\n77 ipc=5 mnt=9 cgroup=0::/x\n")
			if err := tt.change(filepath.Join(dir, "77")); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s := scan(t, open(t, dir))
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
				t.Errorf("%d bytes of memory", used)
			}
			got, errs, ok := find(s, pid)
			if !ok {
				t.Fatalf("no record of it; %+v", s)
			}
			if (got.Cgroup < 0) != (tt.want.Cgroup < 0) {
				t.Errorf("cgroup %d, want %d", got.Cgroup, tt.want.Cgroup)
			}
			got.Cgroup = tt.want.Cgroup
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			var gaps []gap
			for _, e := range errs {
				gaps = append(gaps, gap{e.File, e.Kind})
			}
			if !slices.Equal(gaps, tt.gaps) {
				t.Errorf("gaps %v, want %v", errs, tt.gaps)
			}
			if other, errs, ok := find(s, 1); !ok || len(errs) > 0 || other.IPC != hostIPC {
				t.Errorf("the other process: %+v, %v", other, errs)
			}
		})
	}
}

func replace(path, content string) error {
	return errors.Join(os.RemoveAll(path), os.WriteFile(path, []byte(content), 0o600))
}

func relink(path, target string) error {
	return errors.Join(os.RemoveAll(path), os.Symlink(target, path))
}

// zombie makes a process look as the kernel shows one.
func zombie(dir string) error {
	stat, err := os.ReadFile(dir + "/stat")
	return errors.Join(err, os.Remove(dir+"/ns/ipc"), os.Remove(dir+"/ns/mnt"), os.RemoveAll(dir+"/task"), os.Mkdir(dir+"/task", 0o700),
		os.WriteFile(dir+"/stat", []byte(strings.Replace(string(stat), ") S ", ") Z ", 1)), 0o600))
}

func TestScanLeaderGoneThreadsLeft(t *testing.T) {
	dir := proctest.Build(t, `
10 state=Z ipc=- mnt=- cgroup=0::/
10/11 state=Z
10/12 state=S ipc=55 mnt=56 cgroup=0::/box
10/13 state=S ipc=66 mnt=66
20 state=Z ipc=- mnt=- cgroup=0::/
20/21 state=S ipc=7 mnt=8
30 state=Z ipc=- mnt=-
30/31 state=S mnt=9
`)
	for _, damage := range []func() error{
		func() error { return os.Remove(dir + "/20/task/21/cgroup") },
		func() error { return os.Remove(dir + "/20/task/21/ns/pid") },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
	}
	s := scan(t, open(t, dir))
	r, errs, _ := find(s, 10)
	if r.TID != 12 || r.IPC != 55 || r.Mnt != 56 || r.PIDNS != hostPID || r.Zombie || len(errs) > 0 || s.Cgroups[r.Cgroup] != "0::/box\n" {
		t.Errorf("the first thread that answers: %+v, %v", r, errs)
	}
	r, errs, _ = find(s, 20)
	if r.TID != 21 || r.IPC != 7 || r.PIDNS != 0 || r.Cgroup != -1 || r.Zombie || len(errs) != 2 ||
		errs[0].File != "task/21/cgroup" || errs[1].File != "task/21/ns/pid" {
		t.Errorf("a thread with gaps: %+v, %v", r, errs)
	}
	r, errs, _ = find(s, 30)
	if r.Zombie || r.IPC != 0 || len(errs) != 1 || errs[0].File != "task/31/ns/ipc" || errs[0].Kind != proc.Absent {
		t.Errorf("a living thread with a hole in it: %+v, %v", r, errs)
	}
}

func TestScanContext(t *testing.T) {
	fs := open(t, proctest.Build(t, "1\n2\n"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if s, err := fs.Scan(ctx); !errors.Is(err, context.Canceled) || s != nil {
		t.Errorf("got %v, %v", s, err)
	}
}

// The hot loop allocates records, a chunk at a time, and nothing else: with 900
// processes more there are no more than a few allocations more.
func TestScanAllocations(t *testing.T) {
	tree := func(n int) *proc.FS {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, "%d cgroup=0::/c%d\n", i+1, i%4)
		}
		return open(t, big(t, text.String()))
	}
	measure := func(fs *proc.FS) float64 {
		return testing.AllocsPerRun(5, func() { scan(t, fs) })
	}
	few, many := measure(tree(100)), measure(tree(1000))
	t.Logf("%.0f allocations for 100 processes, %.0f for 1000", few, many)
	// openRegular, which only a tree that is no procfs needs, has one a process: a path.
	if per := (many - few) / 900; per > 1.1 {
		t.Errorf("%.2f allocations a process", per)
	}
}

func BenchmarkScan(b *testing.B) {
	fs := open(b, "/proc")
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n = len(scan(b, fs).Records)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/process")
}

func BenchmarkVisit(b *testing.B) {
	fs := open(b, "/proc")
	for name, want := range map[string]proc.Want{"bare": 0, "status": proc.WantStatus, "cmdline": proc.WantCmdline} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := fs.Visit(context.Background(), os.Getpid(), want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCredentials(b *testing.B) {
	fs := open(b, "/proc")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fs.Credentials(os.Getpid()); err != nil {
			b.Fatal(err)
		}
	}
}
