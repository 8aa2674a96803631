package explain

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// ErrNotFound is wrapped by the errors of [Find] for what is not there.
var ErrNotFound = errors.New("no such container, process or namespace")

// ErrAmbiguous is wrapped by the errors of [Find] for what several containers are called.
var ErrAmbiguous = errors.New("more than one container is called so")

// Find tells what somebody means by a word:
//
//   - ipc:[N], pid:[N] or mnt:[N], a namespace; sandbox:N, the process N
//   - a number: the process, if there is one, otherwise the namespace with that inode
//   - a container's ref, id, name or pod (NAMESPACE/NAME), or the beginning of its ref or id
//
// A word that means a whole container wins over one that is the beginning of another's.
func Find(in Input, what string) (Target, error) {
	n := parse(what)
	switch {
	case n.kind == "":
	case n.kind == "sandbox":
		if in.Facts.Find(n.pid()) != nil {
			return Target{PID: n.pid()}, nil
		}
		return Target{}, fmt.Errorf("sandbox:%d: %w", n.number, ErrNotFound)
	default:
		if in.inhabited(n.kind, n.number) {
			return Target{Type: n.kind, Inode: n.number}, nil
		}
		return Target{}, fmt.Errorf("%s: %w; no process that could be read is in it", namespace.Link(n.kind, n.number), ErrNotFound)
	}
	if n.bare {
		if in.Facts.Find(n.pid()) != nil {
			return Target{PID: n.pid()}, nil
		}
		for _, kind := range kinds {
			if in.inhabited(kind, n.number) {
				return Target{Type: kind, Inode: n.number}, nil
			}
		}
	}
	return in.findContainer(what)
}

// findContainer looks for a container.
func (in *Input) findContainer(what string) (Target, error) {
	var whole, beginning []string
	for i := range in.Report.Containers {
		c := &in.Report.Containers[i]
		switch {
		case what == "":
		case what == c.Ref, what == c.ID, what == c.Name, c.Pod.Name != "" && what == c.Pod.Namespace+"/"+c.Pod.Name:
			whole = append(whole, c.Ref)
		case strings.HasPrefix(c.Ref, what) && strings.Contains(what, ":"), strings.HasPrefix(c.ID, what):
			beginning = append(beginning, c.Ref)
		}
	}
	// One container's id is the beginning of another ref ("docker:aa", "docker:aa@/x"): the exact one is meant.
	if i := slices.Index(whole, what); i >= 0 {
		return Target{Ref: what}, nil
	}
	found := whole
	if len(found) == 0 {
		found = beginning
	}
	switch {
	case len(found) == 1:
		return Target{Ref: found[0]}, nil
	case len(found) > 1:
		const most = 5
		more := ""
		if len(found) > most {
			more = fmt.Sprintf(" and %d more", len(found)-most)
			found = found[:most]
		}
		return Target{}, fmt.Errorf("%q: %w: %s%s; name one of them", report.Text(what), ErrAmbiguous, strings.Join(found, ", "), more)
	}
	return Target{}, fmt.Errorf("%q: %w; give a container (ref, id, name), a PID or an inode as nsinspect and nsinspect ps list them", report.Text(what), ErrNotFound)
}

// kinds are the types of namespace that a scan reads of every process.
var kinds = []string{"ipc", "pid", "mnt"}

// name is a word taken apart.
type name struct {
	kind   string // ipc, pid, mnt or sandbox; "" for others
	number uint64
	bare   bool // it is nothing but a number
}

// pid is the number as that of a process, 0 for one that no process has.
func (n name) pid() int {
	if n.number > math.MaxInt32 {
		return 0
	}
	return int(n.number)
}

func parse(what string) name {
	if number, err := strconv.ParseUint(what, 10, 64); err == nil && number > 0 {
		return name{number: number, bare: true}
	}
	kind, digits, ok := strings.Cut(what, ":")
	if !ok {
		return name{}
	}
	if kind != "sandbox" {
		if !slices.Contains(kinds, kind) || !strings.HasPrefix(digits, "[") || !strings.HasSuffix(digits, "]") {
			return name{}
		}
		digits = digits[1 : len(digits)-1]
	}
	number, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || number == 0 {
		return name{}
	}
	return name{kind: kind, number: number}
}

// inhabited tells whether there is a process in a namespace, or it is the host's.
func (in *Input) inhabited(kind string, inode uint64) bool {
	return hostInode(in.Facts, kind, inode) || len(inside(in.Facts, kind, inode)) > 0 || len(threadsInside(in.Facts, kind, inode)) > 0
}

// hostInode tells whether a namespace is the host's.
func hostInode(f *container.Facts, kind string, inode uint64) bool {
	switch kind {
	case "ipc":
		return f.Baseline.IsIPC(inode)
	case "pid":
		return f.Baseline.IsPID(inode)
	}
	return inode != 0 && inode == f.Baseline.Mnt
}

// inodeOf returns the namespace of one type that a process is in, 0 if unknown.
func inodeOf(p *container.Process, kind string) uint64 {
	switch kind {
	case "ipc":
		return p.IPC
	case "pid":
		return p.PIDNS
	}
	return p.Mnt
}

// inside lists the processes in a namespace.
func inside(f *container.Facts, kind string, inode uint64) []int {
	var pids []int
	for i := range f.Processes {
		if p := &f.Processes[i]; inode != 0 && inodeOf(p, kind) == inode {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// threadsInside lists the threads that are in a namespace while their process is
// not, as far as they were looked for.
func threadsInside(f *container.Facts, kind string, inode uint64) []report.Thread {
	var threads []report.Thread
	for i := range f.Processes {
		p := &f.Processes[i]
		for _, t := range p.Threads {
			if inode != 0 && (kind == "ipc" && t.IPC == inode || kind == "pid" && t.PIDNS == inode) {
				threads = append(threads, report.Thread{PID: p.PID, TID: t.TID, Inode: inode, Host: hostInode(f, kind, inode)})
			}
		}
	}
	return threads
}

// Wanted returns the visits that explaining something still takes beyond those
// of a scan; it is asked until it returns nothing. A word that may mean a container takes none.
func Wanted(f *container.Facts, what string) []container.Visit {
	var visits []container.Visit
	want := func(pid int, w proc.Want) *container.Process {
		p := f.Find(pid)
		if p != nil && !p.Failed && (p.Detail == nil || w&^p.Asked != 0) {
			visits = append(visits, container.Visit{PID: pid, Want: w | p.Asked})
		}
		return p
	}
	n := parse(what)
	if n.bare || n.kind == "sandbox" {
		p := want(n.pid(), proc.WantCmdline|proc.WantRoot)
		for depth := 0; depth < maxAncestors && p != nil && p.Detail != nil && len(visits) == 0; depth++ {
			p = want(p.Detail.PPID, proc.WantCmdline)
		}
		if f.Find(n.pid()) != nil {
			return visits
		}
	}
	for _, kind := range kinds {
		if n.bare || n.kind == kind {
			for i, pid := range inside(f, kind, n.number) {
				if i == listed {
					break
				}
				want(pid, 0)
			}
		}
	}
	return visits
}

// maxAncestors bounds the walk to the ancestors: a forged tree can hold a loop.
const maxAncestors = 64
