package ipc

import (
	"fmt"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// ObjectKind is one of the kinds of object that an IPC namespace holds.
type ObjectKind uint8

// The kinds of object.
const (
	ShmObject ObjectKind = iota
	SemObject
	MsgObject
	MqueueObject
)

// String returns the word that reports use for the kind.
func (k ObjectKind) String() string {
	switch k {
	case ShmObject:
		return "shm"
	case SemObject:
		return "sem"
	case MsgObject:
		return "msg"
	case MqueueObject:
		return "mqueue"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Object is what the kernel looks at when it decides who may touch an object.
// Ids are global, as [Cred] has them. A POSIX queue has no creator: CUID and CGID
// are not looked at.
type Object struct {
	Kind     ObjectKind
	UID, GID uint32
	CUID     uint32
	CGID     uint32
	Mode     uint32 // only the bits of 0777 count
}

// ObjectOfShm returns what decides about a segment.
func ObjectOfShm(s report.Shm) Object {
	return Object{ShmObject, s.UID, s.GID, s.CUID, s.CGID, s.Mode & 0o777}
}

// ObjectOfSem returns what decides about a semaphore set.
func ObjectOfSem(s report.Sem) Object {
	return Object{SemObject, s.UID, s.GID, s.CUID, s.CGID, s.Mode & 0o777}
}

// ObjectOfMsg returns what decides about a message queue.
func ObjectOfMsg(m report.Msg) Object {
	return Object{MsgObject, m.UID, m.GID, m.CUID, m.CGID, m.Mode & 0o777}
}

// ObjectOfMqueue returns what decides about a POSIX message queue.
func ObjectOfMqueue(m report.Mqueue) Object {
	return Object{Kind: MqueueObject, UID: m.UID, GID: m.GID, Mode: m.Mode & 0o777}
}

// Namespace is what the kernel looks at of an IPC namespace.
type Namespace struct {
	Owner *UserNS // the user namespace that owns it: NS_GET_USERNS, ioctl_nsfs(2); nil when not known

	// MqueueRoot is the owner of the root directory of the namespace's mqueue
	// file system, who may remove every POSIX queue: 0 for the host's, else the file
	// system uid that the namespace's creator had. That need not be one of its own
	// user namespace: it is 0 where root made both with one clone. fstat(2) of the
	// mounted root tells.
	MqueueRoot      uint32
	MqueueRootKnown bool
}

// HostNamespace returns the IPC namespace that a host boots with.
func HostNamespace() Namespace {
	return Namespace{Owner: InitialUserNS(), MqueueRootKnown: true}
}

// State says whether something is within a process's reach.
type State uint8

// The states, from the least to the most.
const (
	// No: the kernel refuses it, and would after anything that the process can do
	// to its own credentials.
	No State = iota
	// Unknown: it depends on something that could not be read.
	Unknown
	// AfterSetuid: not with the credentials that it has, but with some that its own
	// system calls can give it; see [Steps].
	AfterSetuid
	// Now: with the credentials that it has.
	Now
)

// String returns the word that reports use for the state.
func (s State) String() string {
	switch s {
	case No:
		return "no"
	case AfterSetuid:
		return "after_setuid"
	case Now:
		return "now"
	}
	return "unknown"
}

// Via names the rule that lets a process through.
type Via string

// The rules.
const (
	ViaNone           Via = ""
	ViaOwner          Via = "owner" // owner or creator
	ViaGroup          Via = "group" // the owner's or the creator's
	ViaOther          Via = "other"
	ViaCapIPCOwner    Via = "cap_ipc_owner"
	ViaCapSysAdmin    Via = "cap_sys_admin"    // control
	ViaCapDACOverride Via = "cap_dac_override" // POSIX queues
	ViaCapDACRead     Via = "cap_dac_read_search"
	ViaCapFowner      Via = "cap_fowner" // control of POSIX queues
	ViaUID            Via = "uid"        // signals and ptrace: the ids are the target's
	ViaCapKill        Via = "cap_kill"
	ViaCapSysPtrace   Via = "cap_sys_ptrace"
)

// Grant is what was found out about one thing that a process might do.
type Grant struct {
	State State
	Via   Via   // for Now and AfterSetuid
	Steps Steps // for AfterSetuid: one way to get there
}

// Rights is what a process, or the processes of a container, can do to an object.
type Rights struct {
	// Read: shmat(SHM_RDONLY), semop that waits for zero, GETVAL, msgrcv, mq_receive.
	Read Grant
	// Write: shmat for reading and writing, semop that alters, SETVAL, msgsnd, mq_send.
	Write Grant
	// Control: IPC_SET and IPC_RMID, mq_unlink. Whoever controls a SysV object can give
	// himself its mode bits; Read and Write are of the object as it is.
	Control Grant
}

// Op is one thing to do to an object.
type op uint8

const (
	opRead op = iota
	opWrite
	opControl
)

// Reach judges what a process can do to an object of an IPC namespace that it
// is in, by the kernel's rules (ipc/util.c, ipc/mqueue.c) and nothing else: what
// seccomp or an LSM forbids on top is told by [Limits].
func Reach(c Cred, ns Namespace, o Object) Rights {
	var r Rights
	grants := [...]*Grant{opRead: &r.Read, opWrite: &r.Write, opControl: &r.Control}
	missing := 0
	for op, g := range grants {
		*g = now(c.allowed(ns, o, opOf(op)))
		if g.State != Now {
			missing++
		}
	}
	if missing == 0 {
		return r
	}
	asked := []uint32{o.UID}
	gids := []uint32{o.GID}
	if o.Kind == MqueueObject {
		if ns.MqueueRootKnown && ns.MqueueRoot != o.UID {
			asked = append(asked, ns.MqueueRoot)
		}
	} else {
		if o.CUID != o.UID {
			asked = append(asked, o.CUID)
		}
		if o.CGID != o.GID {
			gids = append(gids, o.CGID)
		}
	}
	c.candidates(c.uidsToTry([]*UserNS{ns.Owner}, asked...), c.gidsToTry(gids...), func(as *Cred, steps Steps, sure answer) bool {
		missing := 0
		for op, g := range grants {
			if g.State >= AfterSetuid {
				continue
			}
			ok, via := as.allowed(ns, o, opOf(op))
			g.later(both(ok, sure), via, steps)
			if g.State < AfterSetuid {
				missing++
			}
		}
		return missing > 0
	})
	return r
}

func opOf(i int) op { return op(i) }

func now(ok answer, via Via) Grant {
	switch ok {
	case yes:
		return Grant{State: Now, Via: via}
	case unknown:
		return Grant{State: Unknown}
	}
	return Grant{}
}

// later notes what was found for a state that the process can bring itself to.
func (g *Grant) later(ok answer, via Via, steps Steps) {
	switch {
	case ok == yes && g.State < AfterSetuid:
		*g = Grant{State: AfterSetuid, Via: via, Steps: steps}
	case ok == unknown && g.State < Unknown:
		*g = Grant{State: Unknown}
	}
}

// allowed is the kernel's decision for credentials as they are.
func (c *Cred) allowed(ns Namespace, o Object, op op) (answer, Via) {
	switch {
	case o.Kind == MqueueObject && op == opControl:
		return c.mayUnlink(ns, o)
	case o.Kind == MqueueObject:
		return c.inodePermission(o, op)
	case op == opControl:
		return c.ipcctl(ns, o)
	}
	return c.ipcperms(ns, o, op)
}

// Permission bits of one class.
const (
	bitRead  = 4
	bitWrite = 2
)

// ipcperms is ipcperms() in ipc/util.c. The effective uid against owner and
// creator picks the owner's bits, else a group against the creator's and the
// owner's picks the group's, else the others' count, also where another class would
// give more. Only if a bit is missing, CAP_IPC_OWNER over the user namespace
// that owns the IPC namespace is asked for.
//
// What is asked for: do_shmat() in ipc/shm.c wants S_IRUGO, and S_IWUGO besides
// for an attachment that is not SHM_RDONLY, so that write permission alone is worth
// nothing; semop (ipc/sem.c) S_IWUGO to alter and S_IRUGO to wait for zero; msgsnd
// S_IWUGO and msgrcv S_IRUGO (ipc/msg.c).
func (c *Cred) ipcperms(ns Namespace, o Object, op op) (answer, Via) {
	want := uint32(bitRead)
	if op == opWrite {
		want = bitWrite
		if o.Kind == ShmObject {
			want |= bitRead
		}
	}
	granted, via := o.Mode, ViaOther
	switch {
	case c.EUID == o.CUID || c.EUID == o.UID:
		granted, via = o.Mode>>6, ViaOwner
	case c.inGroup(o.CGID) || c.inGroup(o.GID):
		granted, via = o.Mode>>3, ViaGroup
	}
	if want&^granted == 0 {
		return yes, via
	}
	return c.capable(ns.Owner, capIPCOwner), ViaCapIPCOwner
}

// ipcctl is ipcctl_obtain_check() in ipc/util.c, which guards IPC_SET and
// IPC_RMID: the mode does not matter.
func (c *Cred) ipcctl(ns Namespace, o Object) (answer, Via) {
	if c.EUID == o.CUID || c.EUID == o.UID {
		return yes, ViaOwner
	}
	return c.capable(ns.Owner, capSysAdmin), ViaCapSysAdmin
}

// inodePermission is what mq_open asks of a queue that exists: prepare_open() in
// ipc/mqueue.c ends in generic_permission() in fs/namei.c, where the file system
// ids count and capabilities are those of the process's own user namespace.
func (c *Cred) inodePermission(o Object, op op) (answer, Via) {
	want := uint32(bitRead)
	if op == opWrite {
		want = bitWrite
	}
	granted, via := o.Mode, ViaOther
	switch {
	case c.FSUID == o.UID:
		granted, via = o.Mode>>6, ViaOwner
	case c.inGroup(o.GID):
		granted, via = o.Mode>>3, ViaGroup
	}
	if want&^granted == 0 {
		return yes, via
	}
	over, via := c.overInode(o.UID, o.GID, capDACOverride), ViaCapDACOverride
	if op == opRead && over != yes {
		if read := c.overInode(o.UID, o.GID, capDACReadSearch); read > over {
			return read, ViaCapDACRead
		}
	}
	return over, via
}

// mayUnlink is what mq_unlink asks: the directory is open to everybody and
// sticky (mqueue_fill_super() in ipc/mqueue.c), so __check_sticky() in fs/namei.c
// decides. An administrator who has mounted it may have changed that mode.
func (c *Cred) mayUnlink(ns Namespace, o Object) (answer, Via) {
	if c.FSUID == o.UID || ns.MqueueRootKnown && c.FSUID == ns.MqueueRoot {
		return yes, ViaOwner
	}
	over := c.overInode(o.UID, o.GID, capFowner)
	if !ns.MqueueRootKnown {
		over = max(over, unknown)
	}
	return over, ViaCapFowner
}
