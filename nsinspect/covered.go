package nsinspect

import (
	"context"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// findCovers finds the processes that another one, or something else, answers for, because it is mounted over them. Nobody
// mounts anything there who does not want to hide something, so each is a gap that decides, and what is covered is not believed.
func (s *survey) findCovers() {
	s.covered = map[int][]string{}
	covers, err := s.fs.Covers()
	if err != nil {
		s.gaps = append(s.gaps, report.Gap{File: "self/mountinfo", Decides: true, Error: report.Text("whether something is mounted over a process: " + text(err))})
	}
	for _, c := range covers {
		s.covered[c.PID] = append(s.covered[c.PID], c.File)
		s.gaps = append(s.gaps, report.Gap{PID: c.PID, File: report.Text(c.File), Decides: true,
			Error: "something is mounted over it, which may be another process's: the process is hidden"})
	}
}

// look is a visit of which only that is taken which is not covered.
func (s *survey) look(ctx context.Context, pid int, want proc.Want) (*proc.Detail, error) {
	d, err := s.fs.Visit(ctx, pid, want)
	if err != nil || s.covered[pid] == nil {
		return d, err
	}
	index := d.Record.Cgroup
	d.Record = s.believed(d.Record)
	d.Record.Cgroup = index
	for _, file := range s.covered[pid] {
		switch file {
		case "":
			*d = proc.Detail{Record: proc.Record{PID: pid, Cgroup: -1}, Errors: d.Errors}
		case "cgroup":
			d.Cgroup = ""
		case "stat":
			d.KernelThread = false
		}
	}
	return d, nil
}

// believed is what of a record is not covered.
func (s *survey) believed(r proc.Record) proc.Record {
	for _, file := range s.covered[r.PID] {
		switch {
		case file == "":
			return proc.Record{PID: r.PID, Cgroup: -1}
		case file == "ns" || strings.HasPrefix(file, "ns/"):
			r.IPC, r.PIDNS, r.Mnt, r.Zombie = 0, 0, 0, false
		case file == "cgroup":
			r.Cgroup = -1
		}
	}
	return r
}
