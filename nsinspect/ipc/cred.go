package ipc

import (
	"encoding/binary"
	"slices"
)

// Cred is what the kernel judges a process by. Every uid and gid is a global
// one, that is, a number of the initial user namespace (a kuid):
// /proc/PID/status prints ids in the user namespace of whoever reads it, so
// the values are right when the reader is in the initial user namespace. A
// reader elsewhere gets a consistent picture in its own numbers, except that
// everything it has no number for is 65534.
//
// One process has one Cred here. The kernel keeps one for each thread; a
// program that gives its threads different ids is judged by the thread that
// was read.
type Cred struct {
	UID, EUID, SUID, FSUID uint32
	GID, EGID, SGID, FSGID uint32
	Groups                 []uint32 // supplementary groups

	Prm, Eff, Inh, Bnd, Amb Caps // CapPrm, CapEff, CapInh, CapBnd, CapAmb

	NoNewPrivs bool
	UserNS     *UserNS   // nil when not known
	UIDMap     IDMap     // of its user namespace; nil when not known
	GIDMap     IDMap     // of its user namespace; nil when not known
	Setgroups  Setgroups // of its user namespace

	Seccomp        int    // 0 off, 1 strict, 2 filter
	SeccompFilters int    // since Linux 5.9; 0 when not known
	Label          string // /proc/PID/attr/current without its line end; "" when no LSM gives one
}

// Caps is a set of capabilities, bit n for capability n, as in the Cap lines of
// /proc/PID/status.
type Caps uint64

// Capability numbers (include/uapi/linux/capability.h).
const (
	capDACOverride   = 1
	capDACReadSearch = 2
	capFowner        = 3
	capKill          = 5
	capSetgid        = 6
	capSetuid        = 7
	capIPCOwner      = 15
	capSysPtrace     = 19
	capSysAdmin      = 21
)

// Has reports whether capability number n is in the set.
func (c Caps) Has(n int) bool { return c>>n&1 == 1 }

// initialUserNS is the inode of the initial user namespace, a constant of the
// kernel (PROC_USER_INIT_INO, include/linux/proc_ns.h).
const initialUserNS = 0xEFFFFFFD

// maxUserNSDepth is more than the kernel allows (create_user_ns refuses below
// level 32) and stops a walk over a chain that bites its own tail.
const maxUserNSDepth = 40

// UserNS is a user namespace with the ones around it.
type UserNS struct {
	Inode  uint64
	Owner  uint32  // global uid of its creator: NS_GET_OWNER_UID, ioctl_nsfs(2)
	Parent *UserNS // nil for the initial one, or when it is not known

	OwnerUnknown bool // Owner could not be read
}

// InitialUserNS returns the user namespace that a host boots with. It owns the
// host's IPC namespace.
func InitialUserNS() *UserNS { return &UserNS{Inode: initialUserNS} }

// within reports whether n is one of the namespaces around inner, or inner itself.
func (n *UserNS) within(inner *UserNS) bool {
	for depth := 0; inner != nil && depth < maxUserNSDepth; depth++ {
		if inner.Inode == n.Inode {
			return true
		}
		inner = inner.Parent
	}
	return false
}

// top returns the outermost namespace of the chain.
func (n *UserNS) top() *UserNS {
	for depth := 0; n.Parent != nil && depth < maxUserNSDepth; depth++ {
		n = n.Parent
	}
	return n
}

// Setgroups tells whether setgroups(2) is allowed in a user namespace
// (/proc/PID/setgroups, user_namespaces(7)).
type Setgroups uint8

// The contents of /proc/PID/setgroups.
const (
	SetgroupsUnknown Setgroups = iota
	SetgroupsAllow
	SetgroupsDeny
)

// ParseSetgroups reads the bytes of /proc/PID/setgroups (Linux 3.19). Anything
// but the kernel's two words is SetgroupsUnknown.
func ParseSetgroups(b []byte) Setgroups {
	switch string(b) {
	case "allow\n":
		return SetgroupsAllow
	case "deny\n":
		return SetgroupsDeny
	}
	return SetgroupsUnknown
}

// answer is a yes or no that may depend on something that was not read.
type answer uint8

const (
	no answer = iota
	unknown
	yes
)

// both returns the weaker of two answers that are needed together.
func both(a, b answer) answer { return min(a, b) }

func answered(ok bool) answer {
	if ok {
		return yes
	}
	return no
}

// capable answers whether c has the capability over a user namespace:
// cap_capable() in security/commoncap.c, which ns_capable() ends in. The
// namespace and the ones around it are looked at from the inside out. In the
// process's own, the effective set decides. A process in the parent whose
// effective uid owns the namespace has every capability over it. Outside its own
// namespace and what is below it, a process has none.
func (c *Cred) capable(over *UserNS, n int) answer {
	if c.UserNS == nil || over == nil {
		return unknown
	}
	if over.Inode != c.UserNS.Inode && over.within(c.UserNS) {
		return no
	}
	ns := over
	for depth := 0; ns != nil && depth < maxUserNSDepth; depth++ {
		if ns.Inode == c.UserNS.Inode {
			return answered(c.Eff.Has(n))
		}
		if ns.Parent != nil && ns.Parent.Inode == c.UserNS.Inode {
			switch {
			case ns.OwnerUnknown && !c.Eff.Has(n):
				return unknown
			case !ns.OwnerUnknown && ns.Owner == c.EUID:
				return yes
			}
		}
		if ns.Inode == initialUserNS {
			return no
		}
		ns = ns.Parent
	}
	return unknown
}

// inGroup is in_group_p() in kernel/groups.c: the file system gid or a
// supplementary group, not the effective gid.
func (c *Cred) inGroup(gid uint32) bool {
	return c.FSGID == gid || slices.Contains(c.Groups, gid)
}

// overInode is capable_wrt_inode_uidgid() in kernel/capability.c: a capability
// in the process's own user namespace counts for a file only when that
// namespace has numbers for the file's owner and group.
func (c *Cred) overInode(uid, gid uint32, n int) answer {
	if !c.Eff.Has(n) {
		return no
	}
	return both(c.UIDMap.maps(uid), c.GIDMap.maps(gid))
}

// Distinct returns the credentials without repetitions, in the order in which
// they come first. A container of a thousand workers has a handful.
func Distinct(creds []Cred) []Cred {
	seen := make(map[string]bool, len(creds))
	var out []Cred
	var key []byte
	for i := range creds {
		key = creds[i].appendKey(key[:0])
		if !seen[string(key)] {
			seen[string(key)] = true
			out = append(out, creds[i])
		}
	}
	return out
}

// appendKey appends bytes that are equal for credentials that are equal. A user
// namespace stands for its id maps too: they are written once.
func (c *Cred) appendKey(b []byte) []byte {
	for _, v := range []uint32{c.UID, c.EUID, c.SUID, c.FSUID, c.GID, c.EGID, c.SGID, c.FSGID} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, v := range []Caps{c.Prm, c.Eff, c.Inh, c.Bnd, c.Amb} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	var inode uint64
	if c.UserNS != nil {
		inode = c.UserNS.Inode
	}
	b = binary.LittleEndian.AppendUint64(b, inode)
	b = c.UIDMap.appendKey(b)
	b = c.GIDMap.appendKey(b)
	flags := byte(0)
	if c.NoNewPrivs {
		flags = 1
	}
	b = append(b, flags, byte(c.Setgroups))
	b = binary.LittleEndian.AppendUint32(b, uint32(c.Seccomp))
	b = binary.LittleEndian.AppendUint32(b, uint32(c.SeccompFilters))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(c.Groups)))
	for _, g := range c.Groups {
		b = binary.LittleEndian.AppendUint32(b, g)
	}
	return append(b, c.Label...)
}
