package nsinspect

import (
	"context"

	"github.com/nsinspect/nsinspect/nsinspect/explain"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// ErrNotFound is the error of [Explain] for a word that means nothing on the host; for one that means
// several containers it is [ErrAmbiguous].
var ErrNotFound = explain.ErrNotFound

// Explain scans a host and tells everything that is known of one container, process or
// namespace, and how it is known. what is a container's ref, id, name or the beginning of one, a
// PID, or a namespace such as ipc:[4026531839] or its inode alone.
func Explain(ctx context.Context, src Source, opt Options, what string) (*report.Explanation, error) {
	s, err := take(ctx, src, opt)
	if err != nil {
		return nil, err
	}
	defer s.close()
	for visits := explain.Wanted(&s.facts, what); len(visits) > 0; visits = explain.Wanted(&s.facts, what) {
		s.visit(ctx, visits)
		if err := s.settle(ctx); err != nil {
			return nil, err
		}
	}
	r := s.report(ctx)
	in := explain.Input{Facts: &s.facts, Judgement: s.judgement, Report: r}
	target, err := explain.Find(in, what)
	if err != nil {
		return nil, err
	}
	return explain.Explain(in, what, target), nil
}
