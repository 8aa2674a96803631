package explain

import (
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// FuzzFind: whatever somebody asks for, what is found is there, and can be explained.
func FuzzFind(f *testing.F) {
	for _, what := range []string{"", "1", "100", "7", "docker:a", "a", "web", "prod/web-0", "ipc:[7]", "pid:[8]", "mnt:[9]", "sandbox:100", "ipc:[", "net:[1]", "4294967296"} {
		f.Add(what)
	}
	facts := &container.Facts{
		Processes: []container.Process{
			{Record: proc.Record{PID: 1, IPC: 1, PIDNS: 2, Mnt: 3, Cgroup: -1}},
			{Record: proc.Record{PID: 100, IPC: 7, PIDNS: 8, Mnt: 9, Cgroup: -1}},
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
