package explain

import (
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// namespace explains one namespace.
func (x *explainer) namespace(kind string, inode uint64) {
	n := &report.NamespaceExplained{Type: kind, Inode: inode, Host: hostInode(x.Facts, kind, inode), PIDs: inside(x.Facts, kind, inode)}
	x.out.Kind, x.out.Subject, x.out.Namespace = report.KindNamespace, namespace.Link(kind, inode), n

	var own, monitors []int
	members := map[string][]int{}
	for _, pid := range n.PIDs {
		m := x.Judgement.Of(pid)
		switch {
		case m.Ref == "":
			own = append(own, pid)
		case m.Role == container.RoleMonitor || m.Role == container.RoleVMM:
			monitors = append(monitors, pid)
		default:
			members[m.Ref] = append(members[m.Ref], pid)
		}
	}
	for ref := range members {
		n.Containers = append(n.Containers, ref)
	}
	slices.Sort(n.Containers)
	for i := range x.Report.Sandboxes {
		s := &x.Report.Sandboxes[i]
		if slices.ContainsFunc(s.PIDs, func(pid int) bool { return slices.Contains(n.PIDs, pid) }) {
			n.Sandboxes = append(n.Sandboxes, s.Leader)
		}
	}

	what := "a " + strings.ToUpper(kind) + " namespace"
	if kind == "ipc" {
		what = "an IPC namespace"
	}
	if n.Host {
		what = "the host's " + strings.ToUpper(kind) + " namespace"
	}
	x.out.Summary = what + ": " + number(len(n.PIDs), "process") + ", " + number(len(n.Containers), "container")

	x.whose(n)
	x.topic("Who is in it")
	for _, ref := range n.Containers {
		x.containerIn(kind, ref, members[ref])
	}
	for _, leader := range n.Sandboxes {
		x.say("the sandbox of %s", x.who(leader))
	}
	if len(monitors) > 0 {
		x.say("%s of engines, by design: %s", number(len(monitors), "helper"), x.some(monitors))
	}
	if len(own) > 0 {
		x.say("%s of no container: %s", number(len(own), "process"), x.some(own))
	}
	threads := threadsInside(x.Facts, kind, inode)
	for i, t := range threads {
		if i == listed {
			x.say("and %d more threads", len(threads)-i)
			break
		}
		x.say("thread %d of %s, which is itself elsewhere", t.TID, x.who(t.PID))
	}
	if len(n.PIDs)+len(threads) == 0 {
		x.say("no process that could be read")
	}
	x.objects(n)
	link := namespace.Link(kind, inode)
	x.findings(func(f *report.Finding) bool {
		return slices.ContainsFunc(f.Evidence, func(e report.Evidence) bool { return e.Value == link })
	})
	for _, pid := range n.PIDs {
		x.about[pid] = true
	}
}

// whose says how it was told whether a namespace is the host's.
func (x *explainer) whose(n *report.NamespaceExplained) {
	b := x.Facts.Baseline
	x.topic("Whose it is")
	link := namespace.Link(n.Type, n.Inode)
	initial := n.Type == "ipc" && n.Inode == namespace.InitialIPC || n.Type == "pid" && n.Inode == namespace.InitialPID
	if initial {
		x.say("%s is the number that the kernel gives its initial one", link)
	}
	switch {
	case n.Inode == x.inode(n.Type) && b.PID != 0:
		x.say("%s, the baseline, is in it, so it is the host's", x.who(b.PID))
	case n.Inode == x.inode(n.Type):
		x.say("it is the baseline's, so it is the host's")
	case n.Host:
		x.say("the baseline is in %s, but the kernel's initial namespace is the host's in any case", x.host(n.Type))
	default:
		x.say("the baseline is in %s, so it is not the host's", x.host(n.Type))
	}
	if b.Note != "" {
		x.say("about the baseline: %s", report.Text(b.Note))
	}
}

// containerIn says which processes of a container are in the namespace.
func (x *explainer) containerIn(kind, ref string, pids []int) {
	c := x.find(ref)
	if c == nil {
		return
	}
	how := "its init is elsewhere"
	if slices.Contains(pids, c.Init) {
		how = "its init is in it"
	}
	x.say("%s with %d of %s, %s: %s", x.called(ref), len(pids), number(len(c.PIDs), "process"), how, x.some(pids))
}

// objects counts what is in an IPC namespace.
func (x *explainer) objects(n *report.NamespaceExplained) {
	if n.Type != "ipc" {
		return
	}
	for i := range x.Report.IPCNamespaces {
		s := &x.Report.IPCNamespaces[i]
		if s.Inode != n.Inode {
			continue
		}
		n.PinnedBy = s.PinnedBy
		x.topic("What is in it")
		if s.Error != "" {
			x.say("it could not be listed: %s", s.Error)
			return
		}
		x.say("%s, %s, %s and %s", number(len(s.Shm), "shared memory segment"), number(len(s.Sem), "semaphore set"), number(len(s.Msg), "message queue"), number(len(s.Mqueue), "POSIX message queue"))
		for _, pin := range s.PinnedBy {
			x.say("kept by %s", pin)
		}
		return
	}
}
