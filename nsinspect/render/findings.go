package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// shownEvidence and shownGaps are how many lines a table spends on what there
// can be thousands of; -v shows all.
const (
	shownEvidence = 3
	shownGaps     = 8
)

func (s Style) findings(w io.Writer, r *report.Report, v Verdict) {
	infos := 0
	for _, f := range r.Findings {
		if f.Severity == "info" && !s.Verbose {
			infos++
			continue
		}
		s.finding(w, r, f, v)
	}
	if infos > 0 && !s.Quiet {
		fmt.Fprintf(w, "%s of severity info not shown (-v shows all)\n", number(infos, "finding"))
	}
}

func (s Style) finding(w io.Writer, r *report.Report, f report.Finding, v Verdict) {
	controls := ""
	if short := v.Short(f.Controls); short != "" {
		controls = "  (" + short + ")"
	}
	waived := ""
	if f.Waived != nil {
		waived = "  waived: " + f.Waived.Reason
	}
	fmt.Fprintf(w, "%s  %s  %s  %s%s%s\n", s.severity(f.Severity), f.Rule,
		s.paint(subject(r, f.Subject), bold), f.Title, controls, waived)
	for i, e := range f.Evidence {
		if i == shownEvidence && !s.Verbose {
			fmt.Fprintf(w, "          and %d more (-v shows all)\n", len(f.Evidence)-i)
			break
		}
		fmt.Fprintf(w, "          evidence: %s\n", evidence(r, e))
	}
	if s.Verbose {
		for _, c := range f.Controls {
			fmt.Fprintf(w, "          control: %s\n", controlText(c))
		}
		if f.Remediation != "" {
			fmt.Fprintf(w, "          to mend it: %s\n", f.Remediation)
		}
	}
}

// severity is a severity in its colour, as wide as the widest.
func (s Style) severity(name string) string {
	return s.paint(fmt.Sprintf("%-8s", name), map[string]color{"critical": red, "high": red, "medium": yellow}[name])
}

// controlText is a control in one line.
func controlText(c report.Control) string {
	return strings.Join(slices.DeleteFunc([]string{c.Framework, c.Version, c.ID}, func(s string) bool { return s == "" }), " ")
}

// subject is a container's short ref and its name, or the subject as it is.
func subject(r *report.Report, ref string) string {
	for _, c := range r.Containers {
		if c.Ref == ref {
			if c.Name != "" && c.Name != c.ID {
				return ShortRef(ref) + " (" + c.Name + ")"
			}
			return ShortRef(ref)
		}
	}
	return ref
}

func evidence(r *report.Report, e report.Evidence) string {
	line := e.What + " = " + e.Value
	switch e.Value {
	case fmt.Sprintf("ipc:[%d]", r.Baseline.IPC), fmt.Sprintf("pid:[%d]", r.Baseline.PIDNS):
		return line + " = baseline"
	}
	return line + comparison(e)
}

// comparison is what a value is held against. In the report that is what was expected; beside the value it
// has to be said that it was not found.
func comparison(e report.Evidence) string {
	said := report.Text(e.Expected)
	switch {
	case said == "":
		return ""
	case said == "none":
		said = "there should be none"
	case strings.HasPrefix(said, "not "+report.Text(e.Value)):
		said = "it should not be" + strings.TrimPrefix(strings.TrimPrefix(said, "not "+report.Text(e.Value)), ",")
	}
	return "  (" + said + ")"
}

// Coverage writes what could not be read, and what that leaves open, for people.
func Coverage(w io.Writer, c report.Coverage, s Style, doubts []string) error {
	return s.folded(w, func(w io.Writer) { s.coverage(w, c, doubts) })
}

// coverage lists gaps, and also when quiet what leaves the answer open: silence would say that nothing does.
func (s Style) coverage(w io.Writer, c report.Coverage, doubts []string) {
	if !s.Quiet {
		s.gaps(w, c.Gaps)
	}
	s.doubts(w, doubts)
}

// gaps lists what could not be read.
func (s Style) gaps(w io.Writer, gaps []report.Gap) {
	lines := gapLines(gaps)
	for i, line := range lines {
		if i == shownGaps && !s.Verbose {
			fmt.Fprintf(w, "gap: and %d more (-v shows all)\n", len(lines)-i)
			break
		}
		fmt.Fprintf(w, "%s %s\n", s.paint("gap:", dim), line)
	}
}

// doubts lists what leaves the verdict open.
func (s Style) doubts(w io.Writer, doubts []string) {
	for i, d := range doubts {
		if i == shownGaps && !s.Verbose {
			fmt.Fprintf(w, "incomplete: and %d more (-v shows all)\n", len(doubts)-i)
			break
		}
		fmt.Fprintf(w, "%s %s\n", s.paint("incomplete:", yellow), d)
	}
}

// gapLines puts gaps into words: what is missing of one process in one line, and
// processes of which the same is missing together.
func gapLines(gaps []report.Gap) []string {
	type missing struct{ files, err string }
	var lines []string
	var order []missing
	pids := map[missing][]int{}
	for i := 0; i < len(gaps); {
		g := gaps[i]
		files := []string{g.File}
		for i++; i < len(gaps) && g.PID != 0 && gaps[i].PID == g.PID && gaps[i].Error == g.Error; i++ {
			files = append(files, gaps[i].File)
		}
		if g.PID == 0 {
			lines = append(lines, g.File+": "+g.Error)
			continue
		}
		slices.Sort(files)
		m := missing{strings.Join(files, ", "), g.Error}
		if pids[m] == nil {
			order = append(order, m)
		}
		pids[m] = append(pids[m], g.PID)
	}
	var ofProcesses []string
	for _, m := range order {
		who := fmt.Sprintf("PID %d", pids[m][0])
		if n := len(pids[m]); n > 1 {
			who = fmt.Sprintf("%s from PID %d on", number(n, "process"), pids[m][0])
		}
		what := strings.TrimPrefix(m.files+": "+m.err, ": ")
		ofProcesses = append(ofProcesses, who+": "+what)
	}
	return append(ofProcesses, lines...)
}
