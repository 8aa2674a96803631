package nsinspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nsinspect/nsinspect/nsinspect/ipc"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// sharers are the processes of one container that are in the host's namespaces,
// by what the kernel judges them by.
type sharers struct {
	container *report.Container
	ipc, pid  []ipc.Cred
	euids     map[uint32]bool
	pids      map[int]bool
}

// reach judges what the exposed containers can get at, and enters it into the
// containers and the objects of the host's IPC namespace.
func (s *survey) reach(ctx context.Context, spaces []report.IPCNamespace) {
	exposed := s.exposed(ctx)
	if len(exposed) == 0 {
		return
	}
	s.progress("judging what the exposed containers can reach")
	for i := range spaces {
		if spaces[i].Host {
			owner, w := s.ownerOf(ctx, spaces[i].Inode), s.whose(ctx, &spaces[i])
			for _, e := range exposed {
				e.reachObjects(&spaces[i], owner, w)
			}
		}
	}
	s.reachProcesses(ctx, exposed)
}

// exposed reads the credentials of the processes that are in a namespace of the host's.
func (s *survey) exposed(ctx context.Context) []*sharers {
	f := &s.facts
	var all []*sharers
	of := map[int]*sharers{}
	var pids []int
	for i := range s.judgement.Containers {
		c := &s.judgement.Containers[i]
		if !c.Exposed {
			continue
		}
		e := &sharers{container: c, euids: map[uint32]bool{}, pids: map[int]bool{}}
		for _, pid := range c.PIDs {
			e.pids[pid], of[pid] = true, e
		}
		all = append(all, e)
		pids = append(pids, c.PIDs...)
	}
	processes := s.credentials(ctx, pids)
	users := s.userNamespaces(ctx, processes)
	for _, c := range processes {
		e, p, cred := of[c.PID], f.Find(c.PID), users.cred(c)
		if p == nil {
			continue
		}
		e.euids[cred.EUID] = true
		atIPC, atPID := f.AtHost(p)
		if atIPC {
			e.ipc = append(e.ipc, cred)
		}
		if atPID {
			e.pid = append(e.pid, cred)
		}
	}
	for _, e := range all {
		e.container.NotModelled = ipc.LimitsOf(slices.Concat(e.ipc, e.pid))
	}
	return all
}

// reachObjects judges every object of the host's IPC namespace for one container.
func (e *sharers) reachObjects(n *report.IPCNamespace, owner ipc.Namespace, w *whose) {
	if len(e.ipc) == 0 {
		return
	}
	reacher := ipc.NewReacher(owner, e.ipc)
	c := e.container
	var said []ability
	for _, o := range e.objects(n, w) {
		rights := reacher.Reach(o.Object)
		*o.access = append(*o.access, rights.Access(c.Ref))
		if rights.Best() >= ipc.AfterSetuid && o.count != nil {
			*o.count++
		}
		if o.others && rights.WriteInTheEnd() >= ipc.AfterSetuid {
			c.Reach.Others++
		}
		if sentence := ipc.Sentence(rights, o.subject, w.user); sentence != "" {
			said = append(said, ability{sentence, o.others, o.subject.Size})
		}
	}
	// What matters most comes first: others' objects, and the large ones.
	slices.SortStableFunc(said, func(a, b ability) int {
		if a.others != b.others {
			if a.others {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.size, a.size)
	})
	for i, a := range said {
		if i == mostAbilities {
			c.Can = append(c.Can, fmt.Sprintf("and so on, for %d more", len(said)-i))
			break
		}
		c.Can = append(c.Can, a.sentence)
	}
}

// mostAbilities is how many sentences a report has for one container: the
// objects themselves have the rest.
const mostAbilities = 100

type ability struct {
	sentence string
	others   bool
	size     uint64
}

// object is one object, how it is called, and where what is found out of it goes.
type object struct {
	ipc.Object
	subject ipc.Subject
	access  *[]report.Access
	count   *int // nil for kinds that are not counted
	others  bool // it is not the container's own
}

// objects lists what is in a namespace, for one container.
func (e *sharers) objects(n *report.IPCNamespace, w *whose) []object {
	r := &e.container.Reach
	var all []object
	for i := range n.Shm {
		m := &n.Shm[i]
		// A segment of the same uid that somebody else made is another's, too:
		// root in a container is not root's database.
		all = append(all, object{ipc.ObjectOfShm(*m), ipc.Subject{Kind: ipc.ShmObject, Key: m.Key, ID: m.ID, Who: w.maker(m.CPID, m.UID), Size: m.Size},
			&m.Reach, &r.Shm, !e.euids[m.UID] || m.CPID != 0 && !e.pids[m.CPID]})
	}
	for i := range n.Sem {
		m := &n.Sem[i]
		all = append(all, object{ipc.ObjectOfSem(*m), ipc.Subject{Kind: ipc.SemObject, Key: m.Key, ID: m.ID, Who: w.user(m.UID)}, &m.Reach, &r.Sem, !e.euids[m.UID]})
	}
	for i := range n.Msg {
		m := &n.Msg[i]
		all = append(all, object{ipc.ObjectOfMsg(*m), ipc.Subject{Kind: ipc.MsgObject, Key: m.Key, ID: m.ID, Who: w.user(m.UID), Size: m.CBytes}, &m.Reach, &r.Msg, !e.euids[m.UID]})
	}
	for i := range n.Mqueue {
		m := &n.Mqueue[i]
		all = append(all, object{ipc.ObjectOfMqueue(*m), ipc.Subject{Kind: ipc.MqueueObject, Name: m.Name, Who: w.user(m.UID), Size: m.QSize}, &m.Reach, nil, !e.euids[m.UID]})
	}
	return all
}

// reachProcesses counts the processes of the host that those in its PID
// namespace could signal, and whose memory they could read. It takes the
// credentials of every process, and is done only where somebody is in there.
func (s *survey) reachProcesses(ctx context.Context, exposed []*sharers) {
	exposed = slices.DeleteFunc(exposed, func(e *sharers) bool { return len(e.pid) == 0 })
	if len(exposed) == 0 {
		return
	}
	pids := make([]int, 0, len(s.facts.Processes))
	for i := range s.facts.Processes {
		if p := &s.facts.Processes[i]; !p.Zombie {
			pids = append(pids, p.PID)
		}
	}
	processes := s.credentials(ctx, pids)
	users := s.userNamespaces(ctx, processes)
	targets := make([]ipc.Target, len(processes))
	for i, c := range processes {
		cred := users.cred(c)
		targets[i] = ipc.Target{Cred: cred, Kthread: c.KernelThread,
			Dumpable: ipc.DumpableFrom(c.Guard.OwnerUID, c.Guard.OwnerGID, cred)}
	}
	index := make(map[int]int, len(processes))
	for i, c := range processes {
		index[c.PID] = i
	}
	all := ipc.NewTargets(targets, s.yama())
	for _, e := range exposed {
		var own []int
		for pid := range e.pids {
			if i, ok := index[pid]; ok {
				own = append(own, i)
			}
		}
		signal, ptrace := all.Tally(e.pid, own)
		r := &e.container.Reach
		r.Signal, r.Ptrace, r.PtraceUnknown = signal.Now+signal.AfterSetuid, ptrace.Now+ptrace.AfterSetuid, ptrace.Unknown
	}
}

// yama returns the scope of ptrace on this host.
func (s *survey) yama() ipc.Yama {
	b, err := s.fs.File("sys/kernel/yama/ptrace_scope", 16)
	switch {
	case err == nil:
		return ipc.ParseYama(b)
	case proc.KindOf(err) == proc.Absent && s.fs.Procfs():
		return ipc.YamaClassic // not in this kernel, or not switched on
	}
	s.gaps = append(s.gaps, report.Gap{File: "sys/kernel/yama/ptrace_scope", Error: report.Text(text(err))})
	return ipc.YamaUnknown
}

// ownerOf tells which user namespace owns an IPC namespace.
func (s *survey) ownerOf(ctx context.Context, inode uint64) ipc.Namespace {
	if inode == namespace.InitialIPC {
		return ipc.HostNamespace()
	}
	var records []proc.Record
	for _, pid := range s.inhabitants(inode) {
		records = append(records, s.facts.Find(pid).Record)
	}
	inv, err := namespace.TakeInventory(ctx, s.fs, records, namespace.Search{Types: []string{"ipc", "user"}, Owners: true})
	if err != nil {
		return ipc.Namespace{}
	}
	found := inv.Find(namespace.ID{Type: "ipc", Inode: inode})
	if found == nil || found.Owner == 0 {
		return ipc.Namespace{}
	}
	return ipc.Namespace{Owner: tree(inv)[found.Owner]}
}
