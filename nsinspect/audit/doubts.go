package audit

import (
	"fmt"
	"slices"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Doubts lists why a report without findings does not say that there is nothing
// to find. A gap that touches no container and no baseline is none.
func Doubts(r *report.Report) []string {
	doubts := ofBaseline(r.Baseline)
	for _, c := range r.Containers {
		doubts = append(doubts, ofContainer(&c)...)
	}
	return append(doubts, ofGaps(r.Coverage.Gaps)...)
}

// DoubtsOfProcesses lists why a list of processes may have put one where it does not belong.
func DoubtsOfProcesses(l *report.Processes) []string {
	doubts := ofBaseline(l.Baseline)
	told := map[string]bool{}
	for _, p := range l.Processes {
		if p.Role == "payload" && p.State != "Z" && (p.IPC.Inode == 0 || p.PIDNS.Inode == 0) && !told[p.Container] {
			told[p.Container] = true
			doubts = append(doubts, p.Container+": not all of its namespaces could be read")
		}
	}
	return append(doubts, ofGaps(l.Coverage.Gaps)...)
}

// DoubtsOfNamespaces lists why a list of namespaces may name the wrong one the host's, or miss a container in one.
func DoubtsOfNamespaces(l *report.Namespaces) []string {
	return append(ofBaseline(l.Baseline), ofGaps(l.Coverage.Gaps)...)
}

// DoubtsOfIPCS lists which namespaces of a list of IPC objects could not be read, and why it may be about other ones
// than it says.
func DoubtsOfIPCS(l *report.IPCS) []string {
	doubts := ofBaseline(l.Baseline)
	for _, n := range l.Namespaces {
		if n.Error != "" {
			doubts = append(doubts, fmt.Sprintf("ipc:[%d]: %s", n.Inode, n.Error))
		}
	}
	return append(doubts, ofGaps(l.Coverage.Gaps)...)
}

// DoubtsOfExplanation lists why an explanation may be wrong.
func DoubtsOfExplanation(e *report.Explanation) []string {
	doubts := ofBaseline(e.Baseline)
	if e.Container != nil {
		doubts = append(doubts, ofContainer(e.Container)...)
	}
	return append(doubts, ofGaps(e.Gaps)...)
}

// CodeOf is the exit code of a command that finds nothing by itself.
func CodeOf(doubts []string) int {
	if len(doubts) > 0 {
		return ExitIncomplete
	}
	return ExitClean
}

func ofBaseline(b report.Baseline) []string {
	if b.Trusted {
		return nil
	}
	return []string{"the baseline does not stand for the host: " + b.Note}
}

func ofContainer(c *report.Container) []string {
	if slices.Contains([]report.State{c.IPC.State, c.PID.State}, report.StateUnknown) {
		return []string{c.Ref + ": what it shares with the host is unknown"}
	}
	return nil
}

func ofGaps(gaps []report.Gap) []string {
	var doubts []string
	for _, g := range gaps {
		if g.Decides {
			name := g.File
			if name == "" && g.PID != 0 {
				name = fmt.Sprintf("process %d", g.PID) // its whole directory
			}
			doubts = append(doubts, name+": "+g.Error)
		}
	}
	return doubts
}
