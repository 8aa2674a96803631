package nsinspect

import (
	"context"
	"errors"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

const (
	statesDeadline = 5 * time.Second
	mostStates     = 10_000
	stateLimit     = 4 << 20 // a state.json holds the whole configuration
)

// ociStates are the directories where OCI runtimes keep the states of the
// containers of root, unless told otherwise: one directory a container.
var ociStates = []struct {
	dir, file string
	parse     func(content []byte, id string) (container.State, error)
}{
	{"run/runc", "state.json", func(b []byte, _ string) (container.State, error) { return container.ParseRuncState(b) }},
	{"run/crun", "status", container.ParseCrunStatus},
}

// states reads which containers the OCI runtimes know of. It looks at the disk as
// the host sees it, and only at what belongs to root.
func (s *survey) states(ctx context.Context) []container.State {
	if s.opt.NoNames || s.native == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, statesDeadline)
	defer cancel()
	p, err := s.fs.Process(s.native)
	if err != nil {
		return nil
	}
	defer p.Close()
	var states []container.State
	missed := func(file string, err error) {
		if k := proc.KindOf(err); k != proc.Absent && k != proc.Gone {
			s.gaps = append(s.gaps, report.Gap{File: report.Text(file), Error: report.Text("the state of an OCI runtime: " + text(err))})
		}
	}
	for _, o := range ociStates {
		ids, err := p.ListBelow(ctx, proc.FromRoot, o.dir, mostStates)
		if err != nil {
			missed("/"+o.dir, err)
		}
		for _, id := range ids {
			path := o.dir + "/" + id + "/" + o.file
			content, _, err := p.ReadBelow(ctx, proc.FromRoot, path, stateLimit)
			if err != nil {
				missed("/"+path, err)
				continue
			}
			state, err := o.parse(content, id)
			if err != nil {
				missed("/"+path, err)
				continue
			}
			state.File = "/" + path
			states = append(states, state)
		}
	}
	return states
}

// text is an error without the place that the reader is told of anyway.
func text(err error) string {
	var e *proc.Error
	if errors.As(err, &e) {
		return gapText(e)
	}
	return err.Error()
}
