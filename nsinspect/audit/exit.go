package audit

import (
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// The exit codes of a scan.
const (
	ExitClean      = 0 // everything was read, and no finding is at or above the floor
	ExitFindings   = 1 // at least one finding at or above the floor that is not waived
	ExitUsage      = 2 // wrong usage, or nothing useful could be read
	ExitIncomplete = 3 // no such finding, but not everything that decides could be read
)

// ExitCode tells how a scan ends. floor is the severity of --fail-on.
func ExitCode(r *report.Report, floor string) int {
	for _, f := range r.Findings {
		if f.Waived == nil && AtLeast(f.Severity, floor) {
			return ExitFindings
		}
	}
	if len(Doubts(r)) > 0 {
		return ExitIncomplete
	}
	return ExitClean
}
