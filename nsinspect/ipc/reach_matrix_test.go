//go:build amd64 || arm64

package ipc

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestReachAgainstKernel has children with all kinds of credentials, in several
// user namespaces, try to read, write and control objects of all kinds, owners
// and modes, in IPC namespaces of several owners, and compares every single outcome
// with the model: what they can do as they are, and whether they can do it after
// whatever they may do to themselves.
func TestReachAgainstKernel(t *testing.T) {
	asRoot(t)
	path := childBinary(t)
	var total count

	type resident struct {
		name string
		maps []childMaps
	}
	// Residents that are not started but there.
	const owner, around = "the owner", "the user namespace around the owner"
	for seed, scene := range []struct {
		name      string
		owner     []childMaps // of the IPC namespace; none: the initial user namespace
		residents []resident
	}{
		{
			name: "IPC namespace of the host",
			residents: []resident{
				{"host", nil},
				{"remapped", []childMaps{remapped}},
				{"partial", []childMaps{partial}},
				{"rootless", []childMaps{rootless}},
				{"setgroups denied", []childMaps{denied}},
				{"no uid 0", []childMaps{noRoot}},
				{"nested", []childMaps{remapped, nested}},
			},
		},
		{
			name:  "IPC namespace of a remapped container",
			owner: []childMaps{remapped},
			residents: []resident{
				{"host", nil},
				{owner, nil},
				{"sibling with the same map", []childMaps{remapped}},
				{"partial", []childMaps{partial}},
			},
		},
		{
			name:  "IPC namespace of a user without privileges",
			owner: []childMaps{rootless},
			residents: []resident{
				{"host", nil},
				{owner, nil},
				{"partial", []childMaps{partial}},
			},
		},
		{
			name:  "IPC namespace of a nested container",
			owner: []childMaps{remapped, nested},
			residents: []resident{
				{"host", nil},
				{owner, nil},
				{around, nil},
			},
		},
	} {
		t.Run(scene.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(4, uint64(seed)))
			th := newThread()
			t.Cleanup(th.stop)

			// The namespace is made, and the thread goes there.
			ns := HostNamespace()
			uids, gids := IDMap{{0, 0, noID}}, IDMap{{0, 0, noID}}
			var own *child
			if scene.owner == nil {
				if err := th.do(func() error { return unix.Unshare(unix.CLONE_NEWIPC) }); err != nil {
					t.Fatal(err)
				}
			} else {
				maps := slices.Clone(scene.owner)
				maps[len(maps)-1].NewIPC = true
				own = th.start(t, path, maps...)
				p := placeOf(t, own.pid)
				uids, gids = p.uids, p.gids
				ns = Namespace{Owner: p.userNS, MqueueRootKnown: true}
				join := childRequest{JoinIPC: own.pid}
				if err := th.do(join.begin); err != nil {
					t.Fatal(err)
				}
			}

			if err := th.do(func() (err error) {
				ns.MqueueRoot, err = mqueueRoot()
				return err
			}); err != nil {
				t.Fatal(err)
			}
			objects := objectSpecs(rng, 13, uids, gids)
			live := makeAll(t, th, objects, "live")
			for _, r := range scene.residents {
				t.Run(r.name, func(t *testing.T) {
					var c *child
					switch r.name {
					case owner:
						c = own
					case around:
						c = own.outer
						c.joinIPC = own.pid
						defer func() { c.joinIPC = 0 }()
					default:
						c = th.start(t, path, r.maps...)
					}
					m := matrix{p: placeOf(t, c.pid), c: c, th: th, ns: ns, objects: objects, live: live}
					for _, s := range m.p.stories(rng, 6) {
						m.story(t, &s)
					}
					t.Log(m.count)
					total.merge(m.count)
				})
			}
		})
	}
	t.Logf("altogether: %v", total)
	if total.combinations < 3000 && !t.Failed() {
		t.Errorf("only %d combinations", total.combinations)
	}
}

// mqueueRoot returns who owns the root directory of the POSIX queues of the
// calling thread's IPC namespace.
func mqueueRoot() (uint32, error) {
	fs, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return 0, fmt.Errorf("fsconfig: %w", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("fsmount: %w", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	return st.Uid, nil
}

// objectSpecs returns objects of all kinds whose owners, creators, groups and
// modes are drawn from small pools. A POSIX queue is a file, and can only
// belong to who has a number in the user namespace of its file system.
func objectSpecs(rng *rand.Rand, perKind int, uids, gids IDMap) []Object {
	numbered := func(m IDMap, pool []uint32) []uint32 {
		return slices.DeleteFunc(slices.Clone(pool), func(id uint32) bool { return m.maps(id) != yes })
	}
	modes := []uint32{0o600, 0o000, 0o400, 0o200, 0o060, 0o006, 0o066, 0o640, 0o604, 0o606, 0o660, 0o666, 0o064, 0o046, 0o040, 0o004, 0o020, 0o002, 0o644, 0o622}
	pick := func(from []uint32) uint32 { return from[rng.IntN(len(from))] }
	var out []Object
	for kind := ShmObject; kind <= MqueueObject; kind++ {
		for range perKind {
			o := Object{Kind: kind, UID: pick(poolUIDs), GID: pick(poolGIDs), CUID: pick(poolUIDs), CGID: pick(poolGIDs), Mode: pick(modes)}
			if rng.IntN(3) == 0 {
				o.CUID, o.CGID = o.UID, o.GID
			}
			if kind == MqueueObject {
				o.UID, o.GID, o.CUID, o.CGID = pick(numbered(uids, poolUIDs)), pick(numbered(gids, poolGIDs)), 0, 0
			}
			out = append(out, o)
		}
	}
	return out
}

// made is an object that exists.
type made struct {
	Object
	id   int
	name string
}

// makeAll makes the objects in the IPC namespace of the thread.
func makeAll(t *testing.T, th *thread, objects []Object, prefix string) []made {
	t.Helper()
	var out []made
	err := th.do(func() error {
		for i, o := range objects {
			m, err := makeObject(o, prefix+strconv.Itoa(i))
			if err != nil {
				return fmt.Errorf("%v: %w", o, err)
			}
			out = append(out, m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// makeObject makes an object as its creator, and then gives it to its owner.
func makeObject(o Object, name string) (made, error) {
	m := made{Object: o, name: name}
	uid, gid := o.CUID, o.CGID
	if o.Kind == MqueueObject {
		uid, gid = o.UID, o.GID
	}
	if errno := call(unix.SYS_SETRESGID, keep, int(gid), keep); errno != 0 {
		return m, errno
	}
	err := as(int(uid), func() error {
		var id uintptr
		var errno unix.Errno
		flags := uintptr(unix.IPC_CREAT | o.Mode)
		switch o.Kind {
		case ShmObject:
			id, _, errno = unix.RawSyscall(unix.SYS_SHMGET, unix.IPC_PRIVATE, 1, flags)
		case SemObject:
			id, _, errno = unix.RawSyscall(unix.SYS_SEMGET, unix.IPC_PRIVATE, 1, flags)
		case MsgObject:
			id, _, errno = unix.RawSyscall(unix.SYS_MSGGET, unix.IPC_PRIVATE, flags, 0)
		case MqueueObject:
			attr := [8]int{1: 1, 2: 1} // mq_maxmsg, mq_msgsize
			c := append([]byte(name), 0)
			var fd uintptr
			fd, _, errno = unix.RawSyscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(&c[0])), unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, uintptr(o.Mode), uintptr(unsafe.Pointer(&attr)), 0, 0)
			if errno == 0 {
				// The umask has taken bits away.
				defer unix.Close(int(fd))
				return unix.Fchmod(int(fd), o.Mode)
			}
		}
		m.id = int(id)
		if errno != 0 {
			return errno
		}
		return nil
	})
	if errno := call(unix.SYS_SETRESGID, keep, 0, keep); errno != 0 {
		return m, errno
	}
	if err != nil || o.Kind == MqueueObject {
		return m, err
	}
	ds := ipcDS{qbytes: 16384}
	ds.perm.Uid, ds.perm.Gid, ds.perm.Mode = o.UID, o.GID, o.Mode
	if errno := ctl(o.Kind, m.id, unix.IPC_SET, &ds); errno != 0 {
		return m, fmt.Errorf("IPC_SET: %w", errno)
	}
	return m, nil
}

// remove takes an object away, if it is there still.
func (m *made) remove() {
	if m.Kind == MqueueObject {
		name := append([]byte(m.name), 0)
		unix.RawSyscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(&name[0])), 0, 0)
		return
	}
	ctl(m.Kind, m.id, unix.IPC_RMID, &ipcDS{})
}

// matrix is one child in one IPC namespace.
type matrix struct {
	p       place
	c       *child
	th      *thread
	ns      Namespace
	objects []Object
	live    []made
	count   count
	wrong   disagreements
}

// attempt gives an object in the numbers of the child.
func (m *matrix) attempt(o *made) attempt {
	a := attempt{Kind: o.Kind, ID: o.id, Name: o.name, UID: -1, GID: -1, Mode: o.Mode}
	if in, ok := m.p.uids.Inside(o.UID); ok {
		a.UID = int(in)
	}
	if in, ok := m.p.gids.Inside(o.GID); ok {
		a.GID = int(in)
	}
	return a
}

// story compares the model and the kernel for one set of credentials.
func (m *matrix) story(t *testing.T, s *story) {
	t.Helper()
	cred := m.p.cred(t, &s.childCred)
	rights := make([]Rights, len(m.live))
	var steps []Steps
	var req childRequest
	for i := range m.live {
		rights[i] = Reach(cred, m.ns, m.live[i].Object)
		for _, st := range stepsOf(rights[i].Read, rights[i].Write, rights[i].Control) {
			if !slices.Contains(steps, st) {
				steps = append(steps, st)
			}
		}
		a := m.attempt(&m.live[i])
		// mq_unlink cannot be tried without doing it: here only where the model
		// says that it will not be allowed, else below, on queues made for it.
		a.Skip[opControl] = a.Kind == MqueueObject && rights[i].Control.State != No
		req.Objects = append(req.Objects, a)
	}
	got := m.p.askAll(t, m.c, s, steps, req)
	m.count.attempts += got.moves * len(m.live) * 3
	if got.now == nil {
		t.Fatalf("%s: the child has not tried anything", s.name)
	}
	for i, o := range m.live {
		for n, g := range [...]Grant{opRead: rights[i].Read, opWrite: rights[i].Write, opControl: rights[i].Control} {
			op := op(n)
			if req.Objects[i].Skip[op] {
				continue
			}
			m.count.add(g.State)
			bit := byte(1) << op
			is, can := got.now[i]&bit != 0, got.ever[i]&bit != 0
			if is != (g.State == Now) {
				m.wrong.add(t, "%s, %s of %v: model says %v via %s, kernel now says %v\n\t%+v", s.name, opName(op), o.Object, g.State, g.Via, is, s.childCred)
			}
			if can != (g.State >= AfterSetuid) {
				m.wrong.add(t, "%s, %s of %v: model says %v via %s, kernel after every move says %v\n\t%+v", s.name, opName(op), o.Object, g.State, g.Via, can, s.childCred)
			}
			if g.State == AfterSetuid {
				by, ok := got.by[g.Steps]
				if why := got.refuse[g.Steps]; why != "" || !ok || by[i]&bit == 0 {
					m.wrong.add(t, "%s, %s of %v: the model's steps %+v do not lead there %s\n\t%+v", s.name, opName(op), o.Object, g.Steps, why, s.childCred)
				}
			}
		}
	}
	m.removals(t, s, rights, steps)
	m.lessKnown(t, s, cred, rights)
}

// lessKnown judges once more with less knowledge: the answer may become
// Unknown, or AfterSetuid where it takes that to be sure, but not less and not more.
func (m *matrix) lessKnown(t *testing.T, s *story, cred Cred, rights []Rights) {
	t.Helper()
	for _, less := range []struct {
		what   string
		change func(*Cred, *Namespace)
	}{
		{"the owner of the IPC namespace", func(_ *Cred, ns *Namespace) { ns.Owner = nil }},
		{"what is around the owner", func(_ *Cred, ns *Namespace) { ns.Owner = &UserNS{Inode: ns.Owner.Inode, Owner: ns.Owner.Owner} }},
		{"who owns the owner", func(_ *Cred, ns *Namespace) {
			owner := *ns.Owner
			owner.Owner, owner.OwnerUnknown = 12345, true
			ns.Owner = &owner
		}},
		{"the root of the queues", func(_ *Cred, ns *Namespace) { ns.MqueueRootKnown = false }},
		{"the user namespace", func(c *Cred, _ *Namespace) { c.UserNS = nil }},
		{"the id maps", func(c *Cred, _ *Namespace) { c.UIDMap, c.GIDMap = nil, nil }},
		{"setgroups", func(c *Cred, _ *Namespace) { c.Setgroups = SetgroupsUnknown }},
	} {
		c, ns := cred, m.ns
		less.change(&c, &ns)
		for i, o := range m.live {
			got := Reach(c, ns, o.Object)
			for n, pair := range [...][2]State{
				opRead:    {got.Read.State, rights[i].Read.State},
				opWrite:   {got.Write.State, rights[i].Write.State},
				opControl: {got.Control.State, rights[i].Control.State},
			} {
				if !weaker(pair[0], pair[1]) {
					m.wrong.add(t, "%s: %s of %v is %v, but %v without knowing %s\n\t%+v", s.name, opName(op(n)), o.Object, pair[1], pair[0], less.what, s.childCred)
				}
			}
		}
	}
}

// removals has the child really remove objects that are made for it, and take
// others over: one of each kind and owner as it is, and those for which the model
// names steps, after these.
func (m *matrix) removals(t *testing.T, s *story, rights []Rights, steps []Steps) {
	t.Helper()
	one := func(named string, mv move, exec, prepare, take bool, want func(Grant) bool, tried func(Grant) bool) {
		var index []int
		var objects []Object
		for i := range m.objects {
			if tried(rights[i].Control) && !(take && m.objects[i].Kind == MqueueObject) {
				index = append(index, i)
				objects = append(objects, m.objects[i])
			}
		}
		if len(objects) == 0 {
			return
		}
		throwaway := makeAll(t, m.th, objects, "throwaway")
		req := childRequest{Base: &s.childCred, Moves: []move{mv}, Exec: exec, Prepare: prepare}
		for i := range throwaway {
			a := m.attempt(&throwaway[i])
			a.Remove, a.Take, a.Skip = !take, take, [3]bool{opRead: true, opWrite: true}
			req.Objects = append(req.Objects, a)
		}
		reply, err := m.c.ask(req)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		m.count.attempts += len(throwaway)
		got := reply.Moves[0]
		for i := range throwaway {
			g := rights[index[i]].Control
			if throwaway[i].Kind == MqueueObject {
				m.count.add(g.State)
			}
			is := got.Refused == "" && got.Bits[i]&(1<<opControl) != 0 && got.Bits[i] != badOutcome
			if is != want(g) {
				m.wrong.add(t, "%s%s, removal (taking over: %v) of %v: model says %v, kernel says %v %s\n\t%+v", s.name, named, take, throwaway[i].Object, g.State, is, got.Refused, s.childCred)
			}
		}
		if err := m.th.do(func() error {
			for i := range throwaway {
				throwaway[i].remove()
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	round := func(named string, mv move, exec, prepare bool, want func(Grant) bool, tried func(Grant) bool) {
		one(named, mv, exec, prepare, false, want, tried)
		one(named, mv, exec, prepare, true, want, tried)
	}
	round("", newMove(), false, false, func(g Grant) bool { return g.State == Now }, func(Grant) bool { return true })
	for _, st := range steps {
		round(fmt.Sprintf(" after %+v", st), m.p.move(t, st), st.Exec, st.Exec && s.losesByExec(),
			func(Grant) bool { return true },
			func(g Grant) bool { return g.State == AfterSetuid && g.Steps == st })
	}
}

func opName(o op) string { return [...]string{"read", "write", "control"}[o] }
