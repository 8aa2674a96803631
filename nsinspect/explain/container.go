package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// container explains one container.
func (x *explainer) container(ref string) {
	c := x.find(ref)
	x.out.Kind, x.out.Subject, x.out.Container = report.KindContainer, ref, c
	for _, pid := range slices.Concat(c.PIDs, c.Monitors) {
		x.about[pid] = true
	}
	x.out.Summary = summary(c)
	x.identity(c)
	x.init(c)
	x.namespaceOf(c, "ipc", c.IPC)
	x.namespaceOf(c, "pid", c.PID)
	x.devShm(c)
	x.nesting(c)
	x.members(c)
	x.reach(c)
	x.limits(c)
	x.findings(func(f *report.Finding) bool {
		return f.Subject == ref || slices.ContainsFunc(f.Evidence, func(e report.Evidence) bool {
			return strings.HasPrefix(e.What, fmt.Sprintf("/proc/%d/", c.Init))
		})
	})
}

// summary is the verdict in one sentence.
func summary(c *report.Container) string {
	part := func(kind string, n report.Namespace) string {
		switch n.State {
		case report.StateHost:
			return "it shares the host's " + kind + " namespace"
		case report.StatePrivate:
			if len(n.HostStrays) > 0 {
				return fmt.Sprintf("it has its own %s namespace, and %s in the host's", kind, number(len(n.HostStrays), "process"))
			}
			if threads := len(n.HostThreads()); threads > 0 {
				return fmt.Sprintf("it has its own %s namespace, and %s in the host's", kind, number(threads, "thread"))
			}
			return "it has its own " + kind + " namespace"
		case report.StateShared:
			return fmt.Sprintf("it shares its %s namespace with %s", kind, number(len(n.With), "other container"))
		case report.StateVM:
			return "it is in a virtual machine, of whose monitor the " + kind + " namespace says nothing"
		}
		return "its " + kind + " namespace is unknown"
	}
	return part("IPC", c.IPC) + "; " + part("PID", c.PID)
}

func (x *explainer) identity(c *report.Container) {
	x.topic("What it is")
	runtime := c.Runtime
	if runtime == "unknown" {
		runtime = "an unknown runtime"
	}
	x.say("a container of %s with the id %s", runtime, c.ID)
	if c.Self {
		x.say("nsinspect itself runs in it")
	}
	for _, fact := range []struct{ what, value string }{
		{"name", c.Name}, {"image", c.Image}, {"pod", strings.Trim(c.Pod.Namespace+"/"+c.Pod.Name, "/")}, {"pod uid", c.Pod.UID}, {"cgroup", c.Cgroup},
	} {
		if fact.value != "" {
			x.say("%s %s", fact.what, fact.value)
		}
	}
	for _, key := range sortedKeys(c.Labels) {
		x.say("label %s = %s", key, c.Labels[key])
	}

	x.topic("How it was recognised")
	for _, e := range c.Evidence {
		switch {
		case strings.HasSuffix(e.What, "/cgroup"):
			x.prove([]report.Evidence{e}, "by the cgroup of a process in it")
		case strings.HasSuffix(e.What, "/mountinfo"):
			x.prove([]report.Evidence{e}, "by what is mounted for its init; no cgroup and no engine tells of it")
		case strings.HasSuffix(e.What, "/fd"):
			x.prove([]report.Evidence{e}, "it runs in a virtual machine, by a descriptor that a process of it has")
		case strings.HasSuffix(e.What, "/cmdline"):
			x.prove([]report.Evidence{e}, "by the engine's process above its init")
		default:
			x.prove([]report.Evidence{e}, "its names are the engine's own words")
		}
	}
	if p := x.Facts.Find(c.Init); p != nil {
		id := x.Facts.Identity(p)
		if id.Weak {
			x.say("the cgroup has only the shape of a container's; it is taken for one because something else of it is apart from the host")
		}
		if id.Disagree {
			x.say("the lines of the cgroup file name different containers; the one that says most was taken")
		}
	}
}

// init says how the init was chosen.
func (x *explainer) init(c *report.Container) {
	x.topic("Its init")
	in := map[int]bool{}
	for _, pid := range c.PIDs {
		in[pid] = true
	}
	var firsts []int
	for _, pid := range c.PIDs {
		if p := x.Facts.Find(pid); p != nil && p.Detail != nil && !in[p.Detail.PPID] {
			firsts = append(firsts, pid)
		}
	}
	p := x.Facts.Find(c.Init)
	if p == nil || p.Detail == nil {
		x.say("%s; it could not be read what its parent is", x.who(c.Init))
		return
	}
	parent := fmt.Sprintf("its parent, %s, is not in the container", x.who(p.Detail.PPID))
	if p.Detail.PPID == 0 {
		parent = "its parent is outside of what this /proc shows"
	}
	if len(firsts) > 1 {
		x.say("%s: %s, and of the %d processes of which that is true it started first; the others were put in later (exec)", x.who(c.Init), parent, len(firsts))
		return
	}
	x.say("%s: %s", x.who(c.Init), parent)
}

// namespaceOf says how the state of one namespace was told.
func (x *explainer) namespaceOf(c *report.Container, kind string, n report.Namespace) {
	x.topic(strings.ToUpper(kind) + " namespace: " + string(n.State))
	host := x.host(kind)
	link := report.Evidence{What: fmt.Sprintf("/proc/%d/ns/%s", c.Init, kind), Value: namespace.Link(kind, n.Inode), Expected: "the baseline's is " + host}
	switch n.State {
	case report.StateHost:
		link.Expected = "the baseline's"
		if n.Inode != x.inode(kind) {
			link.Expected = "the kernel's initial one, and so the host's, too"
		}
		x.prove([]report.Evidence{link}, "its init is in the host's, so HOST")
	case report.StateVM:
		x.prove([]report.Evidence{link}, "what is seen here is the monitor of a virtual machine, in the host's namespaces by design; the container is in a guest kernel")
	case report.StateUnknown:
		switch {
		case n.Inode == 0:
		case hostInode(x.Facts, kind, n.Inode):
			link.Expected = "the host's"
			x.prove([]report.Evidence{link}, "its init is in the host's; it is called the monitor of a virtual machine, for which that would be by design, but no process of it has a virtual machine")
		default:
			x.prove([]report.Evidence{link}, "its init is not in the host's")
		}
	case report.StatePrivate, report.StateShared:
		x.prove([]report.Evidence{link}, "its init is not in the host's")
	}
	if n.State != report.StateVM {
		x.others(c, kind, n.Inode)
	}
	for _, ref := range n.With {
		o := x.find(ref)
		if o == nil {
			continue
		}
		other := o.IPC
		if kind == "pid" {
			other = o.PID
		}
		around := ""
		if slices.Contains(c.Outer, ref) {
			around = ", which is the container around it"
		}
		same := ""
		if c.Pod.UID != "" && c.Pod.UID == o.Pod.UID {
			same = "; they are of one pod, where that is normal"
		}
		x.prove([]report.Evidence{{What: fmt.Sprintf("/proc/%d/ns/%s", o.Init, kind), Value: namespace.Link(kind, other.Inode), Expected: "the same"}},
			"it shares it with %s%s%s", x.called(ref), around, same)
	}
	if n.State == report.StatePrivate {
		x.say("no other container's init is in it, so private")
	}
	x.strays(kind, n)
	x.strayThreads(kind, n)
}

// others says of the members but the init, each of which was read by itself,
// how many are where the init is, and which could not be read.
func (x *explainer) others(c *report.Container, kind string, inode uint64) {
	same := 0
	var unread []int
	for _, pid := range c.PIDs {
		switch p := x.Facts.Find(pid); {
		case p == nil || inodeOf(p, kind) == 0:
			unread = append(unread, pid)
		case pid != c.Init && inodeOf(p, kind) == inode:
			same++
		}
	}
	if same > 0 {
		x.say("%s of it, each read by itself, in the same one", number(same, "other process"))
	}
	if len(unread) > 0 {
		x.say("%s of it could not be read, and may be anywhere: %s", number(len(unread), "process"), x.some(unread))
	}
}

// strays names the members that are elsewhere than their init.
func (x *explainer) strays(kind string, n report.Namespace) {
	for i, pid := range n.Strays {
		if i == listed {
			x.say("and %d more", len(n.Strays)-i)
			break
		}
		p := x.Facts.Find(pid)
		if p == nil {
			continue
		}
		where := "another one, which is not the host's: a sandbox inside the container, no alarm"
		expected := "not the baseline's, " + x.host(kind)
		if slices.Contains(n.HostStrays, pid) {
			where = "the host's: somebody entered, or something broke out"
			expected = "the baseline's"
		}
		x.prove([]report.Evidence{{What: fmt.Sprintf("/proc/%d/ns/%s", pid, kind), Value: namespace.Link(kind, inodeOf(p, kind)), Expected: expected}},
			"%s of it is in %s", x.who(pid), where)
	}
}

// strayThreads names the threads that are elsewhere than the init, while their process is not.
func (x *explainer) strayThreads(kind string, n report.Namespace) {
	for i, t := range n.StrayThreads {
		if i == listed {
			x.say("and %d more threads", len(n.StrayThreads)-i)
			break
		}
		where, expected := "another one, which is not the host's", "not the baseline's, "+x.host(kind)
		if t.Host {
			where, expected = "the host's", "the baseline's"
		}
		x.prove([]report.Evidence{{What: fmt.Sprintf("/proc/%d/task/%d/ns/%s", t.PID, t.TID, kind), Value: namespace.Link(kind, t.Inode), Expected: expected}},
			"thread %d of %s is in %s", t.TID, x.who(t.PID), where)
	}
}

// inode returns the baseline's namespace of a type.
func (x *explainer) inode(kind string) uint64 {
	switch kind {
	case "ipc":
		return x.Facts.Baseline.IPC
	case "pid":
		return x.Facts.Baseline.PIDNS
	}
	return x.Facts.Baseline.Mnt
}

// host names the baseline's namespace of a type.
func (x *explainer) host(kind string) string {
	if inode := x.inode(kind); inode != 0 {
		return namespace.Link(kind, inode)
	}
	return "not known"
}

func (x *explainer) devShm(c *report.Container) {
	x.topic("/dev/shm: " + string(c.DevShm.State))
	p := x.Facts.Find(c.Init)
	var evidence []report.Evidence
	if p != nil && p.Detail != nil && len(p.Detail.MountInfo) > 0 {
		device := container.DevShm(p.Detail.MountInfo)
		if device == "" {
			device = "nothing"
		}
		evidence = []report.Evidence{{What: fmt.Sprintf("/proc/%d/mountinfo, /dev/shm", c.Init), Value: device, Expected: "the host's is " + orUnknown(x.Facts.HostShm)}}
	}
	switch c.DevShm.State {
	case report.StateHost:
		if p != nil && p.Mnt != 0 && p.Mnt == x.Facts.Baseline.Mnt {
			evidence = []report.Evidence{{What: fmt.Sprintf("/proc/%d/ns/mnt", c.Init), Value: namespace.Link("mnt", p.Mnt), Expected: "the baseline's"}}
		}
		x.prove(evidence, "its init sees the host's: POSIX shared memory is a file system, and no part of the IPC namespace")
	case report.StatePrivate:
		x.prove(evidence, "its init sees another file system there than the host does")
	case report.StateNone:
		x.prove(evidence, "nothing is mounted there")
	default:
		x.say("the mounts of its init, or the host's, were not read")
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}

func (x *explainer) nesting(c *report.Container) {
	var within []string
	for i := range x.Report.Containers {
		if o := &x.Report.Containers[i]; slices.Contains(o.Outer, c.Ref) {
			within = append(within, x.called(o.Ref))
		}
	}
	if len(c.Outer) == 0 && len(within) == 0 {
		return
	}
	x.topic("Nesting")
	if len(c.Outer) > 0 {
		x.say("the host made %s, the anchor; what is inside it is a claim of what runs there, its id %s included", x.called(c.Outer[0]), c.ID)
		for _, ref := range c.Outer[1:] {
			x.say("in it %s", x.called(ref))
		}
		x.shared(c, c.Outer[len(c.Outer)-1])
	}
	for _, ref := range within {
		x.say("inside it, as it claims, is %s", ref)
	}
}

// shared says which namespaces a container has in common with the one around it.
func (x *explainer) shared(c *report.Container, around string) {
	o := x.find(around)
	if o == nil {
		x.say("the container around it, %s, has no process of its own", around)
		return
	}
	for _, k := range []struct {
		kind       string
		own, outer uint64
	}{{"ipc", c.IPC.Inode, o.IPC.Inode}, {"pid", c.PID.Inode, o.PID.Inode}} {
		switch {
		case k.own == 0 || k.outer == 0:
			x.say("whether it shares the %s namespace of %s is not known", strings.ToUpper(k.kind), x.called(around))
		case k.own == k.outer:
			x.prove([]report.Evidence{{What: fmt.Sprintf("/proc/%d/ns/%s", o.Init, k.kind), Value: namespace.Link(k.kind, k.outer), Expected: "the same"}},
				"it shares the %s namespace of %s", strings.ToUpper(k.kind), x.called(around))
		}
	}
}

func (x *explainer) members(c *report.Container) {
	x.topic("Its processes")
	x.say("%s: %s", number(len(c.PIDs), "process"), x.some(c.PIDs))
	for _, pid := range c.PIDs {
		if x.Judgement.Of(pid).Role == container.RoleSetup {
			x.say("%s is still being put into its namespaces by the runtime", x.who(pid))
		}
	}
	for _, pid := range c.Monitors {
		x.prove(x.cmdline(pid), "%s watches over it for the engine, in the host's namespaces by design", x.who(pid))
	}
	for _, k := range x.Judgement.Keepers {
		if k.Ref == c.Ref && k.Inside != "" {
			x.say("PID %d is a process of %s, so the engine of this container is inside that one", k.PID, x.called(k.Inside))
		}
	}
}

// cmdline is the evidence of what a process was started as.
func (x *explainer) cmdline(pid int) []report.Evidence {
	p := x.Facts.Find(pid)
	if p == nil || p.Detail == nil || len(p.Detail.Cmdline) == 0 {
		return nil
	}
	return []report.Evidence{{What: fmt.Sprintf("/proc/%d/cmdline", pid), Value: commandLine(p.Detail.Cmdline)}}
}

// commandLine is the beginning of a command line.
func commandLine(argv []string) string {
	const most = 200
	line := []rune(report.Text(strings.Join(argv, " ")))
	if len(line) > most {
		return string(line[:most]) + "…"
	}
	return string(line)
}

// reach says what an exposed container can do.
func (x *explainer) reach(c *report.Container) {
	if !c.Exposed {
		return
	}
	x.topic("What it can reach")
	r := c.Reach
	if x.exposedBy(c.IPC) {
		x.say("through the host's IPC namespace %s, %s and %s; %d of others that it can write", number(r.Shm, "shared memory segment"), number(r.Sem, "semaphore set"), number(r.Msg, "message queue"), r.Others)
	}
	for _, sentence := range c.Can {
		x.say("%s", sentence)
	}
	if x.exposedBy(c.PID) {
		unknown := ""
		if r.PtraceUnknown > 0 {
			unknown = fmt.Sprintf(", perhaps %d more", r.PtraceUnknown)
		}
		x.say("through the host's PID namespace %d processes to signal, and the memory of %d%s", r.Signal, r.Ptrace, unknown)
	}
}

func (x *explainer) exposedBy(n report.Namespace) bool {
	return n.State == report.StateHost || len(n.HostStrays) > 0 || len(n.HostThreads()) > 0
}

// limits says what the verdict does not take into account.
func (x *explainer) limits(c *report.Container) {
	x.topic("What is not modelled")
	for _, l := range c.NotModelled {
		x.say("%s", l)
	}
	if c.IPC.State == report.StateVM {
		x.say("what the guest kernel of the virtual machine isolates")
	}
	x.say("the verdict is about now: what the container could join later, and containers that are stopped, are not in /proc")
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
