package render

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// crowd is a report with something of everything that a table shows.
func crowd() *report.Report {
	id := strings.Repeat("c40f606c1a26f26a", 4)
	own, host := report.Namespace{State: report.StatePrivate, Inode: 4026532182}, report.Namespace{State: report.StateHost, Inode: 4026531839}
	unknown := report.Namespace{State: report.StateUnknown}
	strays := report.Namespace{State: report.StatePrivate, Inode: 4026532183, Strays: []int{7}, HostStrays: []int{7}, StrayThreads: []report.Thread{{PID: 8, TID: 9, Host: true}}}
	return &report.Report{
		Host: report.Host{Hostname: "web-7", Kernel: "6.1.0"},
		Baseline: report.Baseline{From: "kthreadd", PID: 2, Comm: "kthreadd", IPC: 4026531839, PIDNS: 4026531836, Initial: true, Trusted: true,
			Note: "the namespace links of PID 1: not permitted; kthreadd is always in the initial namespaces"},
		Coverage: report.Coverage{Processes: 1284, Gaps: []report.Gap{{PID: 1, File: "ns/ipc", Error: "not permitted"}, {File: "sysvipc of ipc:[4026531839]", Error: "no answer in time"}}},
		Containers: []report.Container{
			{Ref: "docker:" + id, Runtime: "docker", ID: id, Name: "shop-db", Init: 4389, PIDs: []int{4389}, IPC: host, PID: own, Exposed: true, Reach: report.Reach{Shm: 3, Sem: 1200, Ptrace: 4}},
			{Ref: "containerd:b", Runtime: "containerd", ID: "b", Pod: report.Pod{Namespace: "default", Name: "a-pod-with-a-long-name"}, Init: 5, PIDs: []int{5}, IPC: strays, PID: unknown, Exposed: true},
			{Ref: "containerd:c", Runtime: "containerd", ID: "c", Pod: report.Pod{UID: id}, Outer: []string{"docker:" + id}, Self: true, Init: 6, PIDs: []int{6}, IPC: own, PID: own},
		},
		Sandboxes:     []report.Sandbox{{Leader: 77, Comm: "bwrap", OwnRoot: true, PIDs: []int{77}, IPC: own, PID: host}},
		IPCNamespaces: []report.IPCNamespace{{Inode: 4026531839, Host: true, Error: "no answer in time"}},
		Findings: []report.Finding{{Rule: "host-ipc", Severity: "high", Subject: "docker:" + id, Title: "shares the host's IPC namespace", Waived: &report.Waiver{Reason: "it is a database"},
			Evidence: []report.Evidence{{What: "objects of others that it can write, now or after setuid", Value: "2", Expected: "none"}}}},
	}
}

// What is written for a terminal is as wide as that, but for words that are wider, and has all that is
// written for none, but for the columns that it says are left out.
func TestAsWideAsTheTerminal(t *testing.T) {
	verdict := Verdict{Doubts: []string{"containerd:b: not all of its namespaces could be read"}, Short: func([]report.Control) string { return "CIS Docker 1.6.0 5.17" }}
	ref := crowd().Containers[0].Ref
	listed := &report.Namespaces{Deep: true, Coverage: crowd().Coverage, Namespaces: []report.FoundNamespace{
		{Type: "ipc", Inode: 4026531839, Host: true, Processes: 3, Threads: 1, Leader: 1, Comm: "systemd", Containers: []string{ref, "lxc:a", "lxc:b"}, PinnedBy: []string{"/run/ipcns/3e4e", "/proc/7/fd/9"}}}}
	told := &report.Explanation{Subject: ref, Summary: "it shares the host's IPC namespace; it has its own PID namespace", Topics: []report.Topic{{Title: "Why",
		Points: []report.Point{{Text: strings.Repeat("many words ", 20), Evidence: []report.Evidence{{What: "a", Value: "1"}, {What: "b", Value: "2"}, {What: "c", Value: "3"}, {What: "d", Value: "4"}}}}}}}
	for _, c := range []struct {
		story string
		write func(b *strings.Builder, s Style) error
	}{
		{"scan", func(b *strings.Builder, s Style) error { return Scan(b, crowd(), s, verdict) }},
		{"ns", func(b *strings.Builder, s Style) error { return Namespaces(b, listed, s, verdict.Doubts) }},
		{"explain", func(b *strings.Builder, s Style) error { return Explanation(b, told, s) }},
	} {
		for _, s := range []Style{{}, {Color: true}, {Verbose: true, Sandboxes: true}} {
			var whole strings.Builder
			if err := c.write(&whole, s); err != nil {
				t.Fatal(err)
			}
			for _, s.Width = range []int{40, 80, 132} {
				var b strings.Builder
				if err := c.write(&b, s); err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(b.String()) {
					if line = strings.TrimSuffix(line, "\n"); columnsOf(line) > s.Width && len(strings.Fields(line)) > 1 {
						t.Errorf("%s in %d columns: %d in %q", c.story, s.Width, columnsOf(line), line)
					}
				}
				said := strings.ToLower(b.String())
				for word := range strings.FieldsSeq(strings.ToLower(whole.String())) {
					if s.Color || strings.Contains(said, word) || strings.Contains(said, "(too narrow for ") {
						continue
					}
					t.Errorf("%s in %d columns does not say %q:\n%s", c.story, s.Width, word, b.String())
				}
			}
		}
	}
}

func TestIPCSNDJSON(t *testing.T) {
	list := &report.IPCS{Coverage: report.Coverage{Gaps: []report.Gap{{File: "maps", Error: "not permitted"}}}, PageSize: 4096, Namespaces: []report.ListedIPC{
		{IPCNamespace: report.IPCNamespace{Inode: 7, Listed: true, Shm: []report.Shm{{ID: 1}}, Sem: []report.Sem{{ID: 2}}, Msg: []report.Msg{{ID: 3}}, Mqueue: []report.Mqueue{{Name: "q"}}}},
		{IPCNamespace: report.IPCNamespace{Inode: 8, Error: "not permitted"}},
	}}
	list.Normalize()
	var b strings.Builder
	if err := IPCSNDJSON(&b, list); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for line := range strings.Lines(b.String()) {
		var object struct {
			Kind, Schema, Error string
			IPC                 uint64
			Coverage            *report.Coverage
			Shm                 []any
		}
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, fmt.Sprint(object.Kind, " ", object.IPC))
		if (object.Kind == "scan") != (object.Schema == report.IPCSSchema && object.Coverage != nil && len(object.Coverage.Gaps) == 1) {
			t.Errorf("the scan: %s", line)
		}
		if (object.Error != "") != (object.IPC == 8) || object.Shm != nil {
			t.Errorf("a namespace: %s", line)
		}
	}
	if want := []string{"scan 0", "namespace 7", "shm 7", "sem 7", "msg 7", "mqueue 7", "namespace 8"}; !slices.Equal(kinds, want) {
		t.Errorf("got %q, want %q", kinds, want)
	}
}
