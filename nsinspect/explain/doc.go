// Package explain puts into words what is known of one container, process or
// namespace, and how it is known: every sentence with what was read and what it
// was held against. It looks at nothing but the facts, the judgement and the
// report, and decides nothing.
package explain

import (
	"fmt"
	"path"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Input is what is known of a host.
type Input struct {
	Facts     *container.Facts
	Judgement *container.Judgement
	Report    *report.Report
}

// Target is what is to be explained: one of a container, a process and a namespace.
type Target struct {
	Ref   string // of a container
	PID   int    // of a process
	Type  string // of a namespace: ipc, pid or mnt
	Inode uint64
}

// listed is how many of what there can be thousands of are named one by one.
const listed = 20

// Explain explains a target that [Find] has found.
func Explain(in Input, asked string, t Target) *report.Explanation {
	r := in.Report
	e := &report.Explanation{Tool: r.Tool, Host: r.Host, Baseline: r.Baseline, Asked: report.Text(asked)}
	x := &explainer{Input: in, out: e, about: map[int]bool{}}
	switch {
	case t.Ref != "":
		x.container(t.Ref)
	case t.PID != 0:
		x.process(t.PID)
	default:
		x.namespace(t.Type, t.Inode)
	}
	x.gaps()
	e.Normalize()
	return e
}

// explainer is one explanation in the making.
type explainer struct {
	Input
	out   *report.Explanation
	about map[int]bool // the processes whose gaps belong to it
}

// topic begins the next question.
func (x *explainer) topic(title string) {
	x.out.Topics = append(x.out.Topics, report.Topic{Title: title})
}

// say answers the question at hand with a sentence.
func (x *explainer) say(format string, args ...any) { x.prove(nil, format, args...) }

// prove is say with what was read.
func (x *explainer) prove(evidence []report.Evidence, format string, args ...any) {
	t := &x.out.Topics[len(x.out.Topics)-1]
	t.Points = append(t.Points, report.Point{Text: fmt.Sprintf(format, args...), Evidence: evidence})
}

// find returns a container of the report by its ref, nil if there is none.
func (x *explainer) find(ref string) *report.Container {
	for i := range x.Report.Containers {
		if c := &x.Report.Containers[i]; c.Ref == ref {
			return c
		}
	}
	return nil
}

// who names a process: "PID 4389 (postgres)".
func (x *explainer) who(pid int) string {
	if p := x.Facts.Find(pid); p != nil && p.Detail != nil && p.Detail.Comm != "" {
		return fmt.Sprintf("PID %d (%s)", pid, report.Text(p.Detail.Comm))
	}
	return fmt.Sprintf("PID %d", pid)
}

// some names the first of many processes.
func (x *explainer) some(pids []int) string {
	var names []string
	for i, pid := range pids {
		if i == listed {
			names = append(names, fmt.Sprintf("and %d more", len(pids)-i))
			break
		}
		names = append(names, x.who(pid))
	}
	return strings.Join(names, ", ")
}

// called is a container's ref, with the id as short as engines print it, and its
// name. [Find] takes it.
func (x *explainer) called(ref string) string {
	short := ref
	if engine, id, ok := strings.Cut(ref, ":"); ok && len(id) == 64 && strings.Trim(id, "0123456789abcdef") == "" {
		short = engine + ":" + id[:12]
	}
	if c := x.find(ref); c != nil && c.Name != "" && c.Name != c.ID {
		return short + " (" + c.Name + ")"
	}
	return short
}

// number is a number with its noun.
func number(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// findings takes over the findings on a subject, and says of each why it matters
// and what to do.
func (x *explainer) findings(about func(f *report.Finding) bool) {
	x.topic("Findings")
	told := map[string]bool{}
	for i := range x.Report.Findings {
		f := &x.Report.Findings[i]
		if !about(f) {
			continue
		}
		x.out.Findings = append(x.out.Findings, *f)
		waived := ""
		if f.Waived != nil {
			waived = "; waived: " + f.Waived.Reason
		}
		x.prove(f.Evidence, "%s %s: %s %s%s", f.Severity, f.Rule, x.called(f.Subject), f.Title, waived)
		if told[f.Rule] {
			continue
		}
		told[f.Rule] = true
		if reason := why(f.Rule); reason != "" {
			x.say("why %s matters: %s", f.Rule, reason)
		}
		if f.Remediation != "" {
			x.say("to mend it: %s", f.Remediation)
		}
		if len(f.Controls) > 0 {
			x.say("%s", controls(f.Controls))
		}
	}
	if len(x.out.Findings) == 0 {
		x.say("none")
	}
}

// gaps takes over the gaps that are about the subject, or may be.
func (x *explainer) gaps() {
	x.topic("What could not be read")
	t := &x.out.Topics[len(x.out.Topics)-1]
	if b := x.Report.Baseline; !b.Trusted {
		x.say("whether the baseline stands for the host: %s; what is said of the host may be of something else", b.Note)
	}
	for _, g := range x.Report.Coverage.Gaps {
		if !x.concerns(g) {
			continue
		}
		x.out.Gaps = append(x.out.Gaps, g)
		switch n := len(x.out.Gaps) - listed; {
		case n == 1:
			x.say("and more, all of which the JSON has")
			continue
		case n > 1:
			continue
		}
		file, decides := g.File, ""
		if g.PID != 0 {
			file = strings.TrimSuffix(fmt.Sprintf("/proc/%d/%s", g.PID, g.File), "/")
		}
		switch {
		case g.Decides && (g.PID == 0 || x.about[g.PID]):
			decides = "; the verdict may be another one because of it"
		case x.out.Namespace != nil && path.Base(g.File) == x.out.Namespace.Type:
			decides = "; so it is not known whether this process is in it"
		case g.Decides:
			decides = "; so it is not known where this process belongs"
		}
		x.say("%s: %s%s", file, g.Error, decides)
	}
	if len(t.Points) == 0 {
		x.say("nothing; all that was looked for could be")
	}
}

// concerns tells whether a gap may be about the subject.
func (x *explainer) concerns(g report.Gap) bool {
	if g.PID != 0 {
		// A process of which it is not known where it belongs may belong here.
		if n := x.out.Namespace; n != nil && path.Base(g.File) == n.Type {
			return true
		}
		return x.about[g.PID] || g.Decides && x.out.Kind != report.KindProcess
	}
	// What is about no process is about the host, or names what it is about.
	if x.out.Kind == report.KindProcess {
		return x.out.Container != nil && strings.Contains(g.File, x.out.Container.Ref)
	}
	if space, ok := strings.CutPrefix(g.File, "sysvipc of "); ok {
		return space == x.out.Subject || x.out.Container != nil && space == namespace.Link("ipc", x.out.Container.IPC.Inode)
	}
	for i := range x.Report.Containers {
		if ref := x.Report.Containers[i].Ref; strings.Contains(g.File, ref) && (x.out.Container == nil || x.out.Container.Ref != ref) {
			return false
		}
	}
	return true
}

// why returns why a rule matters.
func why(rule string) string {
	for _, r := range audit.Rules() {
		if r.ID == rule {
			return r.Why
		}
	}
	return ""
}

// controls names those that a line has room for; the finding itself has all.
func controls(list []report.Control) string {
	short := audit.Short(list)
	if short == "" {
		return fmt.Sprintf("it stands in for %s, which nsinspect rules lists", number(len(list), "control"))
	}
	return fmt.Sprintf("it stands in for %s and others, which nsinspect rules lists", short)
}
