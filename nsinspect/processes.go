package nsinspect

import (
	"context"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// processes lists every process with its place. The names cost a visit each,
// which a scan does not pay.
func (s *survey) processes(ctx context.Context) *report.Processes {
	var visits []container.Visit
	for i := range s.facts.Processes {
		if p := &s.facts.Processes[i]; p.Detail == nil && !p.Failed {
			visits = append(visits, container.Visit{PID: p.PID})
		}
	}
	s.progress("reading the names of the processes")
	s.visit(ctx, visits)
	s.judgement = container.Judge(&s.facts)

	out := &report.Processes{
		Schema: report.ProcessesSchema, Tool: tool(), Host: s.host(), Baseline: s.baseline(),
		Processes: make([]report.Process, 0, len(s.facts.Processes)),
	}
	for i := range s.facts.Processes {
		out.Processes = append(out.Processes, container.Row(&s.facts, s.judgement, &s.facts.Processes[i]))
	}
	out.Coverage = s.coverage()
	if out.Coverage.Gaps == nil {
		out.Coverage.Gaps = []report.Gap{}
	}
	return out
}
