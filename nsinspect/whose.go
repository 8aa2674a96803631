package nsinspect

import (
	"context"
	"os"

	"github.com/nsinspect/nsinspect/nsinspect/locale"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// whose puts names to what objects carry: the host's users, and the programs that
// made segments and are still there. It decorates sentences and decides nothing.
type whose struct {
	users    map[uint32]string
	programs map[int]string
}

const (
	passwdLimit = 16 << 20
	mostMakers  = 256
)

// whose reads the names for one namespace's objects.
func (s *survey) whose(ctx context.Context, n *report.IPCNamespace) *whose {
	w := &whose{programs: map[int]string{}}
	// The kernel gives cpid in the numbers of the reader, which may not be this procfs's.
	if s.fs.Self() == os.Getpid() {
		for i := range n.Shm {
			pid := n.Shm[i].CPID
			if _, known := w.programs[pid]; known || pid == 0 || len(w.programs) == mostMakers {
				continue
			}
			w.programs[pid] = ""
			if d, err := s.fs.Visit(ctx, pid, 0); err == nil {
				w.programs[pid] = d.Comm
			}
		}
	}
	if s.opt.NoNames || s.native == 0 {
		return w
	}
	p, err := s.fs.Process(s.native)
	if err != nil {
		return w
	}
	defer p.Close()
	if b, _, err := p.ReadBelow(ctx, proc.FromRoot, "etc/passwd", passwdLimit); err == nil {
		w.users = locale.ParseNames(b)
	}
	return w
}

// user returns the name of a user, "" if it is not known.
func (w *whose) user(uid uint32) string { return w.users[uid] }

// maker returns the program that made a segment, or else its owner's name.
func (w *whose) maker(pid int, uid uint32) string {
	if program := w.programs[pid]; program != "" {
		return program
	}
	return w.user(uid)
}
