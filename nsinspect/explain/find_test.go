package explain

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// FuzzFind: whatever somebody asks for, what is found is there, and can be explained.
func FuzzFind(f *testing.F) {
	for _, what := range []string{"", "1", "100", "7", "docker:a", "a", "web", "prod/web-0", "ipc:[7]", "pid:[8]", "mnt:[9]", "sandbox:100", "ipc:[", "net:[1]", "4294967296", "4294967396", "mnt:[8589934599]", "8589934599", "sandbox:4294967396", "18446744073709551616", "ipc:[+7]", "a:b", "\x1b[2J"} {
		f.Add(what)
	}
	facts := &container.Facts{
		Processes: []container.Process{
			{Record: proc.Record{PID: 1, IPC: 1, PIDNS: 2, Mnt: 3, Cgroup: -1}},
			{Record: proc.Record{PID: 100, IPC: 7, PIDNS: 8, Mnt: 9, Cgroup: -1}},
			{Record: proc.Record{PID: 200, IPC: 7, PIDNS: 8, Mnt: 1<<33 + 7, Cgroup: -1}},
		},
		Baseline: namespace.Baseline{From: namespace.FromPID1, PID: 1, IPC: 1, PIDNS: 2, Mnt: 3},
	}
	in := Input{Facts: facts, Judgement: container.Judge(facts), Report: &report.Report{Containers: []report.Container{
		{Ref: "docker:aa", ID: "aa", Name: "web", Init: 100, PIDs: []int{100, 101}, Monitors: []int{1, 5}, Outer: []string{"docker:gone"}, Pod: report.Pod{Namespace: "prod", Name: "web-0"},
			IPC: report.Namespace{State: report.StateUnknown, With: []string{"docker:gone"}, Strays: []int{101}}, Exposed: true},
		{Ref: "docker:ab", ID: "ab", Init: 101},
	}}}
	f.Fuzz(func(t *testing.T, what string) {
		Wanted(facts, what)
		target, err := Find(in, what)
		if (err == nil) == (target == Target{}) {
			t.Fatalf("%+v, %v", target, err)
		}
		if err != nil {
			return
		}
		if p := facts.Find(target.PID); target.PID != 0 && (p == nil || !strings.HasSuffix(what, strconv.Itoa(target.PID))) {
			t.Fatalf("%q: process %d", what, target.PID)
		}
		if digits := strings.Trim(strings.TrimPrefix(what, target.Type+":"), "[]"); target.Type != "" && strings.TrimLeft(digits, "0") != strconv.FormatUint(target.Inode, 10) {
			t.Fatalf("%q: %s of %d", what, target.Type, target.Inode)
		}
		e := Explain(in, what, target)
		if e.Kind == "" || e.Subject == "" || e.Summary == "" || len(e.Topics) == 0 || report.Text(e.Asked) != e.Asked {
			t.Errorf("%+v", e)
		}
		for _, topic := range e.Topics {
			if topic.Title == "" || topic.Points == nil {
				t.Errorf("%+v", topic)
			}
		}
	})
}

// TestWideInodes: a namespace is found by an inode that 32 bits do not hold, and no process is by a number that wraps to its own.
func TestWideInodes(t *testing.T) {
	const wide = 1<<33 + 7
	facts := &container.Facts{
		Processes: []container.Process{{Record: proc.Record{PID: 7, IPC: wide, PIDNS: wide + 1, Mnt: wide + 2, Cgroup: -1}}},
		Baseline:  namespace.Baseline{From: namespace.FromPID1, PID: 1, IPC: 1, PIDNS: 2, Mnt: 3},
	}
	in := Input{Facts: facts, Judgement: container.Judge(facts), Report: &report.Report{}}
	for what, want := range map[string]Target{
		"ipc:[8589934599]": {Type: "ipc", Inode: wide}, "pid:[8589934600]": {Type: "pid", Inode: wide + 1}, "8589934601": {Type: "mnt", Inode: wide + 2},
		"7": {PID: 7}, "sandbox:7": {PID: 7}, "4294967303": {}, "sandbox:4294967303": {}, "sandbox:8589934599": {},
	} {
		got, err := Find(in, what)
		if got != want || (err != nil) != (want == Target{}) {
			t.Errorf("%s: got %+v, %v, want %+v", what, got, err, want)
		}
		if visits := Wanted(facts, what); (want == Target{}) && len(visits) > 0 {
			t.Errorf("%s: wants %v", what, visits)
		}
	}
}

// FuzzCommandLine: the beginning of a command line is one printable line, and the whole where it is short.
func FuzzCommandLine(f *testing.F) {
	f.Add("nginx: worker process\x00")
	f.Add(strings.Repeat("ä", 300))
	f.Add("sh\x00-c\x00\x1b]0;x\x07\n\u202e\xff")
	f.Fuzz(func(t *testing.T, cmdline string) {
		argv := strings.Split(cmdline, "\x00")
		got := commandLine(argv)
		if report.Text(got) != got || utf8.RuneCountInString(got) > 201 {
			t.Fatalf("%q", got)
		}
		if whole := report.Text(strings.Join(argv, " ")); got != whole && (!strings.HasSuffix(got, "…") || !strings.HasPrefix(whole, strings.TrimSuffix(got, "…"))) {
			t.Fatalf("%q is not the beginning of %q", got, whole)
		}
	})
}
