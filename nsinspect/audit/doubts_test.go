package audit_test

import (
	"slices"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// A doubt names what it is about, also where that is the whole of a process.
func TestDoubtsNameTheProcess(t *testing.T) {
	r := &report.Report{Baseline: report.Baseline{Trusted: true}, Coverage: report.Coverage{Gaps: []report.Gap{
		{PID: 7, Error: "hidden", Decides: true}, {PID: 8, File: "cgroup", Error: "bad data", Decides: true},
		{File: "processes of docker:a", Error: "gone", Decides: true}, {PID: 9, File: "root", Error: "not permitted"},
	}}}
	if got, want := audit.Doubts(r), []string{"process 7: hidden", "cgroup: bad data", "processes of docker:a: gone"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
