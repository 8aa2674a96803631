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
	b := s.facts.Baseline
	for i := range s.facts.Processes {
		p := &s.facts.Processes[i]
		member := s.judgement.Of(p.PID)
		row := report.Process{
			PID: p.PID, Container: member.Ref, Role: string(member.Role),
			IPC:   report.Place{Inode: p.IPC, Host: b.IsIPC(p.IPC)},
			PIDNS: report.Place{Inode: p.PIDNS, Host: b.IsPID(p.PIDNS)},
			Mnt:   report.Place{Inode: p.Mnt, Host: p.Mnt != 0 && p.Mnt == b.Mnt},
		}
		if d := p.Detail; d != nil {
			row.PPID, row.Comm = d.PPID, report.Text(d.Comm)
			if d.State != 0 {
				row.State = report.Text(string(rune(d.State)))
			}
		}
		out.Processes = append(out.Processes, row)
	}
	out.Coverage = s.coverage()
	if out.Coverage.Gaps == nil {
		out.Coverage.Gaps = []report.Gap{}
	}
	return out
}
