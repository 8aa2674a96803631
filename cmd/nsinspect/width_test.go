package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// wideHost has numbers that 32 bits do not hold. In their lower 32 bits the namespaces of the containers a and d are the
// host's, and those of b and c are each other's.
const wideHost = `
1 comm=systemd ipc=12884901895 pid=12884901896 mnt=12884901897
2 comm=kthreadd ppid=0 kthread=1 ipc=12884901895 pid=12884901896 mnt=12884901897
100 comm=a ipc=21474836487 pid=21474836488 mnt=21474836489 start=9007199254740993 cgroup=0::/docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
200 comm=b ipc=4294967301 pid=4294967302 mnt=4294967303 cgroup=0::/docker/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
300 comm=c ipc=8589934597 pid=8589934598 mnt=8589934599 cgroup=0::/docker/cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
400 comm=d ipc=12884901895 pid=7 mnt=8 cgroup=0::/docker/dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
-- 400/stat --
400 (d) S 1 400 400 0 -1 4194304 5000000000 0 0 0 5000000000 0 0 0 20 0 1 0 5000000000 18446744073709551615 0 18446744073709551615
-- sysvipc/shm --
       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
      4660          7   600            6442450944  4389  4390 5000000000 4294967294   999   999   999 4102444800 18446744073709551611 4294967297            6442450945           6442450946
-- sysvipc/sem --
       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime
         0          1   600         17   999   999   999   999 4102444800 4294967297
-- sysvipc/msg --
       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime
         0          2   600  6442450944 5000000000     0     0   999   999   999   999 4102444800 4294967297          5
`

// TestWideNumbers: inodes, times and sizes of more than 32 bits are the same numbers in the report of every architecture.
func TestWideNumbers(t *testing.T) {
	dir := proctest.Build(t, wideHost)
	out, stderr, _ := nsi(t, "scan", "--proc", dir, "-f", "json")
	var r report.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	if r.Baseline.IPC != 12884901895 || r.Baseline.PIDNS != 12884901896 {
		t.Errorf("baseline %+v", r.Baseline)
	}
	want := map[string]struct {
		ipc, pid report.Namespace
	}{
		"a": {report.Namespace{State: report.StatePrivate, Inode: 21474836487}, report.Namespace{State: report.StatePrivate, Inode: 21474836488}},
		"b": {report.Namespace{State: report.StatePrivate, Inode: 4294967301}, report.Namespace{State: report.StatePrivate, Inode: 4294967302}},
		"c": {report.Namespace{State: report.StatePrivate, Inode: 8589934597}, report.Namespace{State: report.StatePrivate, Inode: 8589934598}},
		"d": {report.Namespace{State: report.StateHost, Inode: 12884901895}, report.Namespace{State: report.StatePrivate, Inode: 7}},
	}
	if len(r.Containers) != len(want) {
		t.Fatalf("%d containers", len(r.Containers))
	}
	for _, c := range r.Containers {
		w := want[c.ID[:1]]
		if c.IPC.State != w.ipc.State || c.IPC.Inode != w.ipc.Inode || c.PID.State != w.pid.State || c.PID.Inode != w.pid.Inode {
			t.Errorf("%s: %+v, %+v", c.ID[:1], c.IPC, c.PID)
		}
	}
	for _, g := range r.Coverage.Gaps {
		if strings.HasSuffix(g.File, "stat") {
			t.Errorf("gap %+v", g)
		}
	}

	out, stderr, _ = nsi(t, "ipcs", "--proc", dir, "-f", "json")
	var list report.IPCS
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Namespaces) != 1 {
		t.Fatalf("%v: %s %s", err, stderr, out)
	}
	n := list.Namespaces[0]
	if n.Inode != 12884901895 || len(n.Shm) != 1 || len(n.Sem) != 1 || len(n.Msg) != 1 {
		t.Fatalf("%+v", n)
	}
	if s := n.Shm[0]; s.Size != 6442450944 || s.NAttch != 5000000000 || s.UID != 4294967294 || s.ATime != 4102444800 || s.DTime != -5 || s.CTime != 4294967297 || s.RSS != 6442450945 || s.Swap != 6442450946 {
		t.Errorf("%+v", s)
	}
	if s := n.Sem[0]; s.OTime != 4102444800 || s.CTime != 4294967297 {
		t.Errorf("%+v", s)
	}
	if m := n.Msg[0]; m.CBytes != 6442450944 || m.QNum != 5000000000 || m.STime != 4102444800 || m.RTime != 4294967297 || m.CTime != 5 {
		t.Errorf("%+v", m)
	}

	for _, tt := range []struct{ args, wants string }{
		{"ipcs -m", "6442450944"},
		{"explain ipc:[21474836487]", "21474836487"},
		{"explain 8589934599", "8589934599"},
		{"scan --baseline 21474836487,21474836488", "docker:aaaaaaaaaaaa"},
		{"ns", "21474836487"},
	} {
		out, stderr, code := nsi(t, append(strings.Fields(tt.args), "--proc", dir)...)
		if !strings.Contains(out, tt.wants) || code == 2 {
			t.Errorf("%s: no %s in\n%s%s", tt.args, tt.wants, out, stderr)
		}
	}
}
