package container

import (
	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// Identity returns what the process's cgroup says; its role is none when that is not known.
func (f *Facts) Identity(p *Process) cgroup.Identity { return f.identity(p).Identity }

// Engine returns what the command line of the process says, nil if it is not an
// engine's or was not read.
func (p *Process) Engine() *EngineProcess { return p.engine }

// OwnRoot tells whether the process has a root directory that is known not to be the host's.
func (f *Facts) OwnRoot(p *Process) bool { return f.ownRoot(p) != (proc.FileID{}) }

// Strange tells whether a process of no known container may be of one that only its mounts tell of: it has a root directory and a mount
// namespace of its own.
func (f *Facts) Strange(p *Process) bool {
	return f.OwnRoot(p) && p.Mnt != 0 && p.Mnt != f.Baseline.Mnt
}
