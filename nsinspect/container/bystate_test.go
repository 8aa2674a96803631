package container

import (
	"slices"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// TestContainersByState: a container whose cgroup and engine tell nothing is found by what its runtime has written down, with those who come
// from its init or are in a cgroup that the runtime made for it; and only if the init is the process that was written down.
func TestContainersByState(t *testing.T) {
	const host, own = 10, 20
	process := func(pid, ppid int, inode uint64, cgroup string, start uint64) Process {
		return Process{Record: proc.Record{PID: pid, IPC: host, PIDNS: inode, Mnt: inode}, Asked: ^proc.Want(0),
			Detail: &proc.Detail{Record: proc.Record{PID: pid}, Cgroup: cgroup, PPID: ppid, StartTime: start, State: 'S', Comm: "sleep", Cmdline: []string{"sleep"}}}
	}
	all := []Process{
		process(1, 0, host, "0::/init.scope\n", 1),
		process(100, 1, own, "1:pids:/batch/box\n0::/user\n", 345), // the init
		process(101, 100, own, "1:pids:/\n0::/user\n", 346),        // its child
		process(102, 1, own, "1:pids:/batch/box/deeper\n0::/\n", 347),
		process(103, 1, host, "1:pids:/batch/boxes\n0::/user\n", 348), // a neighbour, and in the init's cgroup that the runtime did not make
		process(104, 101, host, "0::/elsewhere\n", 349),               // its child's child, in the host's namespaces
	}
	web := State{Runtime: "crun", ID: "web", PID: 100, Start: 345, Cgroups: []string{"/sys/fs/cgroup/pids/batch/box"}, File: "/run/crun/web/status"}
	change := func(s State, do func(*State)) State { do(&s); return s }
	for _, tt := range []struct {
		story  string
		states []State
		want   map[string][]int // by ref
	}{
		{"nobody has written anything down", nil, map[string][]int{}},
		{"crun has", []State{web}, map[string][]int{"crun:web": {100, 101, 102, 104}}},
		{"it made no cgroup", []State{change(web, func(s *State) { s.Cgroups = nil })}, map[string][]int{"crun:web": {100, 101, 104}}},
		{"the number is another process's by now", []State{change(web, func(s *State) { s.Start = 344 })}, map[string][]int{}},
		{"the start differs above the 32nd bit only", []State{change(web, func(s *State) { s.Start = 1<<32 + 345 })}, map[string][]int{}},
		{"there is no such process", []State{change(web, func(s *State) { s.PID = 999 })}, map[string][]int{}},
		{"two states of one container", []State{web, web}, map[string][]int{"crun:web": {100, 101, 102, 104}}},
		{"one container within another", []State{web, {Runtime: "runc", ID: "inner", PID: 104, Start: 349}}, map[string][]int{"crun:web": {100, 101, 102, 104}}},
		{"the inner one was written down first", []State{{Runtime: "runc", ID: "inner", PID: 104, Start: 349}, web}, map[string][]int{"runc:inner": {104}, "crun:web": {100, 101, 102}}},
		{"one name of two runtimes", []State{web, {Runtime: "runc", ID: "web", PID: 103, Start: 348}}, map[string][]int{"crun:web": {100, 101, 102, 104}, "runc:web": {103}}},
	} {
		t.Run(tt.story, func(t *testing.T) {
			f := &Facts{Baseline: namespace.Baseline{From: namespace.FromPID1, PID: 1, IPC: host, PIDNS: host, Mnt: host}, Now: 1 << 40, States: tt.states}
			f.Processes = slices.Clone(all)
			for i := range f.Processes {
				f.Identities = append(f.Identities, Identify(f.Processes[i].Detail.Cgroup))
				f.Processes[i].Cgroup = int32(i)
			}
			got := map[string][]int{}
			for _, c := range Judge(f).Containers {
				got[c.Ref] = c.PIDs
				if c.IPC.State != report.StateHost || !c.Exposed {
					t.Errorf("%s: %+v", c.Ref, c.IPC)
				}
				if len(c.Evidence) == 0 {
					t.Errorf("%s: no evidence", c.Ref)
				}
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			for ref, pids := range tt.want {
				if !slices.Equal(got[ref], pids) {
					t.Errorf("%s: got %v, want %v", ref, got[ref], pids)
				}
			}
		})
	}
}
