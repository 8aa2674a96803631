package nsinspect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Namespaces scans a host and lists its namespaces of some types, all when
// types is empty, with who is in each and what keeps it.
func Namespaces(ctx context.Context, src Source, opt Options, types ...string) (*report.Namespaces, error) {
	if len(types) == 0 {
		types = namespace.Types()
	}
	s, err := take(ctx, src, opt, types...)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.namespaces(ctx, types)
}

// inventory returns the namespaces of the host, which are looked for once.
func (s *survey) inventory(ctx context.Context) (*namespace.Inventory, error) {
	if s.found != nil {
		return s.found, nil
	}
	s.progress("looking for namespaces")
	search := namespace.Search{Types: s.types, Deep: s.opt.Deep, MountsIn: namespace.Everywhere, Owners: len(s.types) > 0}
	if len(s.types) == 0 {
		search.Types = []string{"ipc", "pid"}
		// Engines mount theirs in the host's. A list of mounts for each container would
		// cost a scan as much as the container itself, for what decides no verdict.
		if b := s.facts.Baseline; b.Mnt != 0 && !s.opt.Deep {
			search.MountsIn = func(mnt uint64) bool { return mnt == b.Mnt }
		}
	}
	inv, err := namespace.TakeInventory(ctx, s.fs, s.records(), search)
	if err != nil {
		return nil, err
	}
	s.found = inv
	return inv, nil
}

// findThreads enters the threads that are not where their process is into the
// facts. A visit, which comes later, reads a process anew and leaves its threads as they are.
func (s *survey) findThreads(ctx context.Context) error {
	inv, err := s.inventory(ctx)
	if err != nil {
		return err
	}
	s.enterThreads(inv.Tasks)
	return nil
}

// findMembersThreads does the same for the processes of containers that have several
// threads, so that private is said of every one of them, and for the sandboxes that may be containers.
func (s *survey) findMembersThreads(ctx context.Context) error {
	var records []proc.Record
	for i := range s.facts.Processes {
		p := &s.facts.Processes[i]
		// A container's process can call itself what a runtime's is called, for as long as it is young.
		if m := s.judgement.Of(p.PID); (m.Role == container.RolePayload || m.Role == container.RoleSetup || m.Role == container.RoleSandbox && s.facts.Strange(p)) && p.Detail != nil && !p.Zombie && (p.Detail.Threads > 1 || p.TID != 0 || !s.fs.Procfs()) {
			records = append(records, p.Record)
		}
	}
	if len(records) == 0 {
		return nil
	}
	s.progress("reading the threads of the containers")
	inv, err := namespace.TakeInventory(ctx, s.fs, records, namespace.Search{Types: []string{"ipc", "pid"}, Threads: true})
	if err != nil {
		return err
	}
	for _, e := range inv.Errors {
		if e.Kind != proc.Gone {
			s.unreadable[e.PID] = append(s.unreadable[e.PID], e)
		}
	}
	if len(inv.Tasks) == 0 {
		return nil
	}
	// They were in the container when their threads were read only if they still are.
	var again []container.Visit
	for _, task := range inv.Tasks {
		if p := s.facts.Find(task.PID); p != nil && (len(again) == 0 || again[len(again)-1].PID != task.PID) {
			again = append(again, container.Visit{PID: task.PID, Want: p.Asked})
		}
	}
	s.visit(ctx, again)
	s.enterThreads(inv.Tasks)
	return s.settle(ctx)
}

func (s *survey) enterThreads(tasks []namespace.Task) {
	for _, task := range tasks {
		p := s.facts.Find(task.PID)
		if p == nil {
			continue
		}
		t := container.Thread{TID: task.TID}
		for _, id := range task.In {
			switch id.Type {
			case "ipc":
				t.IPC = id.Inode
			case "pid":
				t.PIDNS = id.Inode
			}
		}
		if t.IPC != 0 || t.PIDNS != 0 {
			p.Threads = append(p.Threads, t)
		}
	}
}

func (s *survey) namespaces(ctx context.Context, types []string) (*report.Namespaces, error) {
	inv, err := s.inventory(ctx)
	if err != nil {
		return nil, err
	}
	out := &report.Namespaces{Tool: tool(), Host: s.host(), Baseline: s.baseline(), Deep: s.opt.Deep}
	host := s.hostNamespaces()
	boxes := s.boxes()
	for i := range inv.Found {
		f := &inv.Found[i]
		if !slices.Contains(s.types, f.Type) {
			continue // found on the way, and only partly
		}
		n := report.FoundNamespace{
			Type: f.Type, Inode: f.Inode, Initial: f.Initial(), Host: host[f.Type] == f.Inode,
			Owner: f.Owner, OwnerUID: f.OwnerUID, Parent: f.Parent, Processes: len(f.Processes), Threads: len(f.Threads),
			Containers: s.containersIn(f), PinnedBy: s.pins(f),
		}
		if len(f.Processes) > 0 {
			n.Leader = f.Processes[0]
			n.Comm = s.comm(n.Leader)
		}
		for _, pid := range f.Processes {
			if leader, ok := boxes[pid]; ok {
				n.Sandboxes = append(n.Sandboxes, leader)
			}
		}
		slices.Sort(n.Sandboxes)
		n.Sandboxes = slices.Compact(n.Sandboxes)
		out.Namespaces = append(out.Namespaces, n)
	}
	out.Coverage = s.coverageOf(types)
	out.Normalize()
	return out, nil
}

// coverageOf is the coverage of a list of namespaces of some types: a container is missing from it, where a link of one of its processes
// could not be read.
func (s *survey) coverageOf(types []string) report.Coverage {
	c := s.coverage()
	for i := range c.Gaps {
		g := &c.Gaps[i]
		if m := s.judgement.Of(g.PID); g.PID != 0 && m.Role == container.RolePayload && slices.Contains(types, strings.TrimPrefix(g.File, "ns/")) {
			g.Decides = true
		}
	}
	return c
}

// records returns what the passes so far know of each process.
func (s *survey) records() []proc.Record {
	records := make([]proc.Record, len(s.facts.Processes))
	for i := range s.facts.Processes {
		records[i] = s.facts.Processes[i].Record
	}
	return records
}

// missed returns what the inventory could not read, beside what is known to be
// unreadable anyway, and without processes that have ended meanwhile.
func (s *survey) missed() (of map[int][]*proc.Error, general []report.Gap) {
	of = map[int][]*proc.Error{}
	for pid, errs := range s.unreadable {
		of[pid] = slices.Clone(errs)
	}
	if s.found == nil {
		return of, nil
	}
	for _, e := range s.found.Errors {
		switch {
		case e.PID == 0:
			general = append(general, report.Gap{File: e.File, Error: gapText(e)})
		case s.facts.Find(e.PID) != nil && !slices.ContainsFunc(of[e.PID], func(k *proc.Error) bool { return k.File == e.File }):
			of[e.PID] = append(of[e.PID], e)
		}
	}
	return of, general
}

// hostNamespaces returns the inode of each of the host's namespaces: the
// baseline's, and for the types that it does not have, those of the process that it came from.
func (s *survey) hostNamespaces() map[string]uint64 {
	b := s.facts.Baseline
	host := map[string]uint64{}
	if p, err := s.fs.Process(b.PID); b.PID != 0 && err == nil {
		defer p.Close()
		for _, kind := range namespace.Types() {
			if inode, err := p.Namespace(kind); err == nil {
				host[kind] = inode
			}
		}
	}
	host["ipc"], host["pid"] = b.IPC, b.PIDNS
	if b.Mnt != 0 {
		host["mnt"] = b.Mnt
	}
	return host
}

// containersIn returns the refs of the containers with a payload in a namespace. A
// monitor and a VMM are in the host's by design, and say nothing about it.
func (s *survey) containersIn(f *namespace.Found) []string {
	var refs []string
	add := func(pid int) {
		if m := s.judgement.Of(pid); m.Ref != "" && m.Role != container.RoleMonitor && m.Role != container.RoleVMM {
			refs = append(refs, m.Ref)
		}
	}
	for _, pid := range f.Processes {
		add(pid)
	}
	for _, t := range f.Threads {
		add(t.PID)
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

// boxes returns the leader of the sandbox that a process is in.
func (s *survey) boxes() map[int]int {
	leader := map[int]int{}
	for _, b := range s.judgement.Sandboxes {
		for _, pid := range b.PIDs {
			leader[pid] = b.Leader
		}
	}
	return leader
}

// comm returns the name of a process, "" if it has ended.
func (s *survey) comm(pid int) string {
	if p := s.facts.Find(pid); p != nil && p.Detail != nil && p.Detail.Comm != "" {
		return report.Text(p.Detail.Comm)
	}
	p, err := s.fs.Process(pid)
	if err != nil {
		return ""
	}
	defer p.Close()
	const limit = 64 // TASK_COMM_LEN is 16; kernel threads have longer ones
	b, err := p.Read("comm", limit)
	if err != nil {
		return ""
	}
	return report.Text(strings.TrimSuffix(string(b), "\n"))
}

// shownMounts and shownChildren bound the pins of one kind: a network namespace
// of a container engine is seen in the mount namespace of every service of the host.
const (
	shownMounts   = 64
	shownChildren = 8
)

// pins tells what keeps a namespace beside the processes in it.
func (s *survey) pins(f *namespace.Found) []string {
	var pins []string
	more := func(n int, what string) {
		if n > 0 {
			pins = append(pins, fmt.Sprintf("%d more %s", n, what))
		}
	}
	for _, t := range f.Threads[:min(len(f.Threads), shownMounts)] {
		pins = append(pins, fmt.Sprintf("/proc/%d/%s", t.PID, t.File))
	}
	more(len(f.Threads)-shownMounts, "threads")
	for _, h := range f.Holders {
		pins = append(pins, fmt.Sprintf("/proc/%d/%s", h.PID, h.File))
	}
	more(f.Unlisted, "descriptors")
	for _, m := range f.Mounts[:min(len(f.Mounts), shownMounts)] {
		pin := m.Point
		// The host's goes without saying.
		if !slices.ContainsFunc(m.In, func(in namespace.Seen) bool { return in.Mnt == s.facts.Baseline.Mnt }) {
			pin += fmt.Sprintf(" (mount namespace %d)", m.In[0].Mnt)
		}
		switch others := len(m.In) - 1; {
		case others == 1:
			pin += " (and in another mount namespace)"
		case others > 1:
			pin += fmt.Sprintf(" (and in %d other mount namespaces)", others)
		}
		pins = append(pins, report.Text(pin))
	}
	more(len(f.Mounts)-shownMounts, "mounts")
	if len(f.Processes) > 0 {
		return pins // what is below it does not matter
	}
	for _, c := range f.Children[:min(len(f.Children), shownChildren)] {
		relation := "owner"
		if c.Type == f.Type {
			relation = "parent"
		}
		pins = append(pins, relation+" of "+c.String())
	}
	more(len(f.Children)-shownChildren, "namespaces below it")
	return pins
}
