package explain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// TestGaps: an explanation has the gaps that are about its subject, or may be, and no others.
func TestGaps(t *testing.T) {
	const ref, other = "docker:aaaa", "docker:bbbb"
	all := []report.Gap{
		{PID: 1, File: "ns/ipc", Error: "not permitted"},
		{PID: 7, File: "cgroup", Error: "not permitted", Decides: true},
		{PID: 9, File: "maps", Error: "no answer in time"},
		{File: "sysvipc of ipc:[77]", Error: "no answer in time"},
		{File: "processes of " + ref, Error: "ended", Decides: true},
		{File: "processes of " + other, Error: "ended", Decides: true},
		{File: "sys/kernel/yama/ptrace_scope", Error: "not there"},
	}
	container := &report.Container{Ref: ref, IPC: report.Namespace{Inode: 77}}
	for _, c := range []struct {
		story string
		out   report.Explanation
		about int
		want  []int // of all
		says  []string
		code  int
	}{
		{"a container", report.Explanation{Kind: report.KindContainer, Subject: ref, Container: container}, 9, []int{1, 2, 3, 4, 6},
			[]string{"/proc/7/cgroup: not permitted; so it is not known where this process belongs", "processes of docker:aaaa: ended; the verdict may be another one"}, 3},
		{"a process of it", report.Explanation{Kind: report.KindProcess, Subject: "PID 9", Container: container}, 9, []int{2, 4}, []string{"/proc/9/maps"}, 3},
		{"a process of the host", report.Explanation{Kind: report.KindProcess, Subject: "PID 11"}, 11, nil, []string{"nothing; all that was looked for could be"}, 0},
		{"the process of a gap", report.Explanation{Kind: report.KindProcess, Subject: "PID 7"}, 7, []int{1}, []string{"/proc/7/cgroup: not permitted; the verdict may be another one"}, 3},
		{"a namespace", report.Explanation{Kind: report.KindNamespace, Subject: "ipc:[77]", Namespace: &report.NamespaceExplained{Type: "ipc", Inode: 77}}, 9, []int{0, 1, 2, 3, 6},
			[]string{"/proc/1/ns/ipc: not permitted; so it is not known whether this process is in it"}, 3},
		{"of another type", report.Explanation{Kind: report.KindNamespace, Subject: "pid:[78]", Namespace: &report.NamespaceExplained{Type: "pid", Inode: 78}}, 9, []int{1, 2, 6}, nil, 3},
	} {
		t.Run(c.story, func(t *testing.T) {
			r := &report.Report{Baseline: report.Baseline{Trusted: true}, Coverage: report.Coverage{Gaps: all}, Containers: []report.Container{{Ref: ref}, {Ref: other}}}
			x := &explainer{Input: Input{Report: r}, out: &c.out, about: map[int]bool{c.about: true}}
			x.gaps()
			var want []report.Gap
			for _, i := range c.want {
				want = append(want, all[i])
			}
			if fmt.Sprint(c.out.Gaps) != fmt.Sprint(want) {
				t.Errorf("got  %v\nwant %v", c.out.Gaps, want)
			}
			text := said(c.out)
			for _, s := range c.says {
				if !strings.Contains(text, s) {
					t.Errorf("%q is not said in\n%s", s, text)
				}
			}
			c.out.Baseline = r.Baseline
			if code := audit.CodeOf(audit.DoubtsOfExplanation(&c.out)); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
		})
	}
}

// Thousands of gaps are not read by anybody.
func TestGapsAreNotListedForEver(t *testing.T) {
	r := &report.Report{Baseline: report.Baseline{Note: "PID 1 is not in the kernel's initial namespaces"}}
	for pid := range 1000 {
		r.Coverage.Gaps = append(r.Coverage.Gaps, report.Gap{PID: pid + 1, File: "cgroup", Error: "not permitted", Decides: true})
	}
	x := &explainer{Input: Input{Report: r}, out: &report.Explanation{Kind: report.KindContainer}, about: map[int]bool{}}
	x.gaps()
	points := x.out.Topics[0].Points
	if len(x.out.Gaps) != 1000 || len(points) != 1+listed+1 || !strings.Contains(points[0].Text, "initial namespaces") || !strings.Contains(points[listed+1].Text, "and more") {
		t.Errorf("%d gaps in %d sentences, from %q to %q", len(x.out.Gaps), len(points), points[0].Text, points[len(points)-1].Text)
	}
}

func said(e report.Explanation) string {
	var b strings.Builder
	for _, t := range e.Topics {
		for _, p := range t.Points {
			b.WriteString(p.Text + "\n")
		}
	}
	return b.String()
}
