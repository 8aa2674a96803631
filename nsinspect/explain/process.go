package explain

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// process explains one process.
func (x *explainer) process(pid int) {
	p := x.Facts.Find(pid)
	m := x.Judgement.Of(pid)
	x.out.Kind, x.out.Subject = report.KindProcess, fmt.Sprintf("PID %d", pid)
	x.out.Container = x.find(m.Ref)
	x.about[pid] = true
	row := container.Row(x.Facts, x.Judgement, p)
	x.out.Process = &row
	box := x.sandboxOf(pid)
	x.out.Summary = x.place(p, m, box)

	x.what(p)
	x.role(p, m, box)
	x.cgroup(p)
	x.namespaces(p)
	x.ancestors(p)
	x.findings(func(f *report.Finding) bool {
		about := f.Subject == m.Ref && m.Ref != "" && m.Role != container.RoleMonitor || box != nil && f.Subject == audit.SandboxRef(*box)
		return about || slices.ContainsFunc(f.Evidence, func(e report.Evidence) bool {
			return strings.HasPrefix(e.What, fmt.Sprintf("/proc/%d/", pid))
		})
	})
}

// sandboxOf returns the sandbox that a process is in, nil if it is in none.
func (x *explainer) sandboxOf(pid int) *report.Sandbox {
	for i := range x.Report.Sandboxes {
		if s := &x.Report.Sandboxes[i]; slices.Contains(s.PIDs, pid) {
			return s
		}
	}
	return nil
}

// place says in one sentence where a process belongs.
func (x *explainer) place(p *container.Process, m container.Member, box *report.Sandbox) string {
	c := x.find(m.Ref)
	switch {
	case c != nil && m.Role == container.RoleMonitor:
		return "the engine's helper for " + x.called(m.Ref) + ", in the host's namespaces by design"
	case c != nil && m.Role == container.RoleVMM:
		return "the monitor of the virtual machine that " + x.called(m.Ref) + " runs in"
	case c != nil:
		init := ""
		if c.Init == p.PID {
			init = ", its init"
		}
		var where []string
		if slices.Contains(c.IPC.HostStrays, p.PID) {
			where = append(where, "IPC")
		}
		if slices.Contains(c.PID.HostStrays, p.PID) {
			where = append(where, "PID")
		}
		if len(where) > 0 {
			return "a process of " + x.called(m.Ref) + " in the host's " + strings.Join(where, " and ") + " namespace, which the container's init is not in"
		}
		return "a process of " + x.called(m.Ref) + init + "; the container: " + summary(c)
	case box != nil:
		return fmt.Sprintf("a process of the sandbox of %s, in no container", x.who(box.Leader))
	case p.Zombie:
		return "a zombie: it has no namespaces left"
	case p.Detail != nil && p.Detail.KernelThread:
		return "a kernel thread"
	}
	return "a process of the host"
}

func (x *explainer) what(p *container.Process) {
	x.topic("What it is")
	for i := range x.Report.Containers {
		if c := &x.Report.Containers[i]; c.ID == x.out.Asked || c.Name == x.out.Asked {
			x.say("a container is called so, too: explain %s tells of that", x.called(c.Ref))
		}
	}
	d := p.Detail
	if d == nil {
		x.say("nothing of it but its namespaces could be read")
		return
	}
	x.say("%s in the state %s, started %s after the host", report.Text(d.Comm), orUnknown(x.out.Process.State), since(d.StartTime))
	switch {
	case d.KernelThread:
		x.say("a kernel thread: the kernel marks it so, and nothing can do that for itself (PF_KTHREAD)")
	case len(d.Cmdline) > 0:
		x.prove(x.cmdline(p.PID), "its command line")
	}
	if p.TID != 0 {
		x.say("its main thread has ended; thread %d speaks for it", p.TID)
	}
}

// since puts clock ticks, which are hundredths of a second (USER_HZ), into words.
func since(ticks uint64) string {
	const most = math.MaxInt64 / uint64(10*time.Millisecond)
	return (time.Duration(min(ticks, most)) * 10 * time.Millisecond).String()
}

// role says what the process is to its container, and why.
func (x *explainer) role(p *container.Process, m container.Member, box *report.Sandbox) {
	x.topic("Its role: " + orHost(string(m.Role)))
	id := x.Facts.Identity(p)
	switch m.Role {
	case container.RolePayload, container.RoleVMM:
		if id.Role != cgroup.RoleNone || len(id.Outer) > 0 {
			x.say("its cgroup is one of %s", x.called(m.Ref))
		} else {
			x.unnamed(m.Ref)
		}
		if m.Role == container.RoleVMM {
			x.say("a process in the cgroup has a virtual machine: the container is in a guest kernel, and nothing of it is seen here")
		}
		if len(id.Outer) > 0 && id.Role == cgroup.RoleMonitor {
			x.say("the cgroup is called a monitor's, inside of a container: whoever owns that can call a cgroup anything, so that is not believed")
		}
	case container.RoleMonitor:
		if id.Role == cgroup.RoleMonitor {
			x.say("its cgroup is the one that the engine puts its helper in")
		}
		for _, k := range x.Judgement.Keepers {
			if k.PID == p.PID {
				x.say("it is an ancestor of the init of %s, %s, and its command line is that of %s's process for one container", x.called(k.Ref), x.who(k.Init), orUnknown(k.Engine.Runtime))
			}
		}
	case container.RoleSetup:
		x.say("it is in the cgroup of %s and the runtime's own program, which is yet to join the container's namespaces", x.called(m.Ref))
	case container.RoleSandbox:
		x.sandbox(box)
	default:
		switch {
		case p.Zombie:
			x.say("a zombie is in no namespace and belongs to nobody")
		case id.Role != cgroup.RoleNone && p.Detail != nil:
			x.say("the cgroup has the shape of a container's, but nothing of the process is apart from the host")
		default:
			x.say("its cgroup names no container, and its IPC and PID namespaces and root directory are the host's, as far as they were read")
		}
		if id.Unit != "" {
			x.say("it is part of the unit %s", report.Text(id.Unit))
		}
	}
}

func orHost(role string) string {
	if role == "" {
		return "a process of the host"
	}
	return role
}

func (x *explainer) sandbox(box *report.Sandbox) {
	if box == nil {
		return
	}
	x.say("no container's, and yet apart from the host, with %s: %s", number(len(box.PIDs), "process"), x.some(box.PIDs))
	if box.Name != "" {
		x.say("it is %s", box.Name)
	}
	if box.OwnRoot {
		x.say("they have a root directory of their own")
	}
	x.say("IPC namespace: %s; PID namespace: %s", box.IPC.State, box.PID.State)
}

// cgroup says what each line of the cgroup file says.
func (x *explainer) cgroup(p *container.Process) {
	x.topic("Its cgroup file")
	d := p.Detail
	if d == nil || d.Cgroup == "" {
		x.say("it could not be read")
		return
	}
	decided := x.Facts.Identity(p).Line
	lines, err := cgroup.Parse([]byte(d.Cgroup))
	var order []string
	said := map[string][]report.Evidence{}
	for _, l := range lines {
		says := claim(cgroup.FromLines([]cgroup.Line{l}))
		if l.Text == decided {
			says += "; this line decided"
		}
		if said[says] == nil {
			order = append(order, says)
		}
		said[says] = append(said[says], report.Evidence{What: fmt.Sprintf("/proc/%d/cgroup", p.PID), Value: report.Text(l.Text)})
	}
	for _, says := range order {
		x.prove(said[says], "%s", says)
	}
	if err != nil {
		x.say("%s", report.Text(err.Error()))
	}
}

// claim is what a cgroup path says, in words.
func claim(id cgroup.Identity) string {
	called := func(r cgroup.Ref) string {
		name := report.Text(r.ID)
		if r.Runtime != "" {
			name = report.Text(r.Runtime) + ":" + name
		}
		return name
	}
	says := "names no container"
	switch id.Role {
	case cgroup.RolePayload:
		says = "names the container " + called(id.Ref)
	case cgroup.RoleMonitor:
		says = "is called as the engine's helper for " + called(id.Ref)
	case cgroup.RoleVMM:
		says = "is called as the monitor of a virtual machine for " + called(id.Ref)
	case cgroup.RoleApp:
		says = "names the sandboxed program " + called(id.Ref)
	}
	if id.Weak {
		says += ", by its shape only"
	}
	for i := len(id.Outer) - 1; i >= 0; i-- {
		says += ", in " + called(id.Outer[i])
	}
	if id.Unit != "" {
		says += ", but the unit " + report.Text(id.Unit)
	}
	return says
}

// namespaces compares the process with the baseline and with its container's init.
func (x *explainer) namespaces(p *container.Process) {
	x.topic("Its namespaces")
	for _, kind := range kinds {
		inode := inodeOf(p, kind)
		e := report.Evidence{What: fmt.Sprintf("/proc/%d/ns/%s", p.PID, kind), Value: namespace.Link(kind, inode), Expected: "the baseline's is " + x.host(kind)}
		switch {
		case inode == 0 && p.Zombie:
			x.say("%s: none, it is a zombie", kind)
		case inode == 0:
			x.say("%s: could not be read", kind)
		case hostInode(x.Facts, kind, inode):
			e.Expected = "the baseline's"
			x.prove([]report.Evidence{e}, "%s: the host's%s", kind, x.asInit(p, kind))
		case x.inode(kind) == 0:
			x.prove([]report.Evidence{e}, "%s: the host's is not known%s", kind, x.asInit(p, kind))
		default:
			x.prove([]report.Evidence{e}, "%s: not the host's%s", kind, x.asInit(p, kind))
		}
	}
	for _, t := range p.Threads {
		for _, k := range []struct {
			kind  string
			inode uint64
		}{{"ipc", t.IPC}, {"pid", t.PIDNS}} {
			if k.inode != 0 {
				x.prove([]report.Evidence{{What: fmt.Sprintf("/proc/%d/task/%d/ns/%s", p.PID, t.TID, k.kind), Value: namespace.Link(k.kind, k.inode), Expected: "the process's is " + namespace.Link(k.kind, inodeOf(p, k.kind))}},
					"%s: its thread %d is in another one", k.kind, t.TID)
			}
		}
	}
	switch d := p.Detail; {
	case d == nil || d.Root == (proc.FileID{}) || x.Facts.HostRoot == (proc.FileID{}):
	case x.Facts.OwnRoot(p):
		x.say("its root directory is its own")
	default:
		x.say("its root directory is the host's")
	}
}

// asInit says whether a member is where its container's init is.
func (x *explainer) asInit(p *container.Process, kind string) string {
	c := x.out.Container
	if c == nil || c.Init == p.PID || x.Judgement.Of(p.PID).Role != container.RolePayload {
		return ""
	}
	init := x.Facts.Find(c.Init)
	if init == nil || inodeOf(init, kind) == 0 {
		return ""
	}
	if inodeOf(init, kind) == inodeOf(p, kind) {
		return ", as its container's init's"
	}
	return fmt.Sprintf(", while its container's init is in %s", namespace.Link(kind, inodeOf(init, kind)))
}

// ancestors names the parents up to the first process.
func (x *explainer) ancestors(p *container.Process) {
	x.topic("Where it comes from")
	for range maxAncestors {
		if p.Detail == nil || p.Detail.PPID == 0 {
			break
		}
		pid := p.Detail.PPID
		if p = x.Facts.Find(pid); p == nil {
			x.say("PID %d, which was not there any more", pid)
			break
		}
		says := x.who(pid)
		switch m := x.Judgement.Of(pid); {
		case m.Ref != "":
			says += ", " + string(m.Role) + " of " + x.called(m.Ref)
		case m.Role != container.RoleNone:
			says += ", " + string(m.Role)
		}
		if e := p.Engine(); e != nil {
			says += ", by its command line of " + orUnknown(e.Runtime)
			if e.ID != "" {
				says += " for " + report.Text(e.ID)
			}
		}
		x.say("%s", says)
	}
	if t := &x.out.Topics[len(x.out.Topics)-1]; len(t.Points) == 0 {
		x.say("from nobody that this /proc shows")
	}
}

// unnamed says why a process is in a container that its cgroup does not name.
func (x *explainer) unnamed(ref string) {
	why := "it descends from the engine's process for %s and is apart from it"
	if c := x.find(ref); c != nil && len(c.Evidence) > 0 {
		switch what := c.Evidence[0].What; {
		case strings.HasSuffix(what, "/mountinfo"):
			why = "it is in the mount namespace of %s, which is as an OCI runtime sets one up"
		case strings.HasSuffix(what, "/cgroup"):
			why = "it is in the cgroup of a pod and has a root directory of its own: %s"
		case !strings.HasSuffix(what, "/cmdline"):
			why = "what an OCI runtime has written down of %s tells of it"
		}
	}
	x.say("its cgroup names no container, but "+why, x.called(ref))
}
