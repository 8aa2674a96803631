package ipc

import "github.com/nsinspect/nsinspect/nsinspect/report"

// Reacher judges many objects of one IPC namespace for the processes of one
// container: the best that one of them can do. Credentials and objects that are
// alike are judged once.
type Reacher struct {
	ns    Namespace
	creds []Cred
	seen  map[Object]Rights
}

// NewReacher returns a Reacher for processes that are in the namespace. It is
// not safe for concurrent use.
func NewReacher(ns Namespace, members []Cred) *Reacher {
	return &Reacher{ns: ns, creds: Distinct(members), seen: map[Object]Rights{}}
}

// Reach returns, for each of reading, writing and controlling, the best that one
// of the members can do.
func (r *Reacher) Reach(o Object) Rights {
	if known, ok := r.seen[o]; ok {
		return known
	}
	var best Rights
	for i := range r.creds {
		one := Reach(r.creds[i], r.ns, o)
		best.Read.improve(one.Read)
		best.Write.improve(one.Write)
		best.Control.improve(one.Control)
	}
	r.seen[o] = best
	return best
}

// improve replaces g when another process can do more.
func (g *Grant) improve(other Grant) {
	if other.State > g.State {
		*g = other
	}
}

// Best returns the state of the most that can be done.
func (r Rights) Best() State { return max(r.Read.State, r.Write.State, r.Control.State) }

// WriteInTheEnd returns the state of writing to a SysV object when IPC_SET counts
// too: whoever controls an object can give himself its permission bits first, so
// that a mode which forbids its owner to write stops nobody.
func (r Rights) WriteInTheEnd() State { return max(r.Write.State, r.Control.State) }

// Access returns the rights in the words of a report. Via is that of the most
// that can be done: writing, else reading, else controlling.
func (r Rights) Access(container string) report.Access {
	a := report.Access{
		Container: container,
		Read:      r.Read.State.String(),
		Write:     r.Write.State.String(),
		Control:   r.Control.State.String(),
	}
	for _, g := range []Grant{r.Write, r.Read, r.Control} {
		if g.State >= AfterSetuid {
			a.Via = string(g.Via)
			break
		}
	}
	return a
}
