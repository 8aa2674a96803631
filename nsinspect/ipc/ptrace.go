package ipc

// Dumpable tells whether a process lets others of its uid look into it:
// PR_SET_DUMPABLE, prctl(2). Changing its ids and executing a file that it may
// not read take it away.
type Dumpable uint8

// What may be known of it. There is no file in /proc that says it; see [DumpableFrom].
const (
	DumpableUnknown Dumpable = iota
	DumpableYes
	DumpableNo
)

// DumpableFrom tells from the owner of a file in /proc/PID whether a process is
// dumpable. The file must not be the directory itself, nor one with its mode
// 0555. task_dump_owner() in fs/proc/base.c gives such files to the effective uid and
// gid of a dumpable process, and to root of its memory's user namespace
// otherwise. Of a process whose effective ids are such a root's this tells nothing.
func DumpableFrom(ownerUID, ownerGID uint32, c Cred) Dumpable {
	if ownerUID != c.EUID || ownerGID != c.EGID {
		return DumpableNo
	}
	if !c.rootSomewhere() {
		return DumpableYes
	}
	return DumpableUnknown
}

// rootSomewhere reports whether the effective ids may be those of uid and gid 0
// of a user namespace that the process's memory may belong to: its own or one around
// it. What is between its own and the initial one has maps that were not read.
func (c *Cred) rootSomewhere() bool {
	if c.EUID == 0 && c.EGID == 0 || c.UserNS == nil {
		return true
	}
	if c.UserNS.Inode == initialUserNS {
		return false
	}
	if c.UserNS.Parent == nil || c.UserNS.Parent.Inode != initialUserNS || c.UIDMap == nil || c.GIDMap == nil {
		return true
	}
	// A namespace without a uid 0 has the global root stand in, for each of the two.
	uid, ok := c.UIDMap.Outside(0)
	if !ok {
		uid = 0
	}
	gid, ok := c.GIDMap.Outside(0)
	if !ok {
		gid = 0
	}
	return c.EUID == uid && c.EGID == gid
}

// Yama is the value of /proc/sys/kernel/yama/ptrace_scope
// (Documentation/admin-guide/LSM/Yama.rst).
type Yama uint8

// The scopes. Where the file does not exist, Yama is not in the kernel or not
// switched on, which is YamaClassic.
const (
	YamaUnknown    Yama = iota
	YamaClassic         // 0: nothing more is asked
	YamaRestricted      // 1: only descendants, and those who asked for it by PR_SET_PTRACER
	YamaAdmin           // 2: only with CAP_SYS_PTRACE
	YamaNoAttach        // 3: nobody
)

// ParseYama reads the bytes of /proc/sys/kernel/yama/ptrace_scope. Anything but
// the kernel's four numbers is YamaUnknown.
func ParseYama(b []byte) Yama {
	switch string(b) {
	case "0\n":
		return YamaClassic
	case "1\n":
		return YamaRestricted
	case "2\n":
		return YamaAdmin
	case "3\n":
		return YamaNoAttach
	}
	return YamaUnknown
}

// Ptrace judges whether a process can read and write the memory of a target that
// its PID namespace shows: PTRACE_MODE_ATTACH, by ptrace(2) and
// process_vm_readv(2), which compare its real ids, or by /proc/PID/mem, which
// compares its file system ids (ptrace(2), "Ptrace access mode checking"). The
// latter takes a mounted /proc that shows the target; one is assumed.
//
// That the target may be traced by somebody else already is left out. Under
// YamaRestricted a target that the ids would allow is Unknown: /proc does not show
// whether it has asked to be traced, or whether it descends from the process.
func Ptrace(c Cred, t Target, y Yama) Grant {
	g := now(c.mayTrace(&t, y))
	if g.State == Now || t.Kthread {
		return g
	}
	uids := c.uidsToTry([]*UserNS{t.Cred.UserNS, t.MMUserNS}, t.Cred.UID)
	gids := c.gidsToTry(t.Cred.GID)
	c.candidates(uids, gids, func(as *Cred, steps Steps, sure answer) bool {
		ok, via := as.mayTrace(&t, y)
		g.later(both(ok, sure), via, steps)
		return g.State < AfterSetuid
	})
	return g
}

// ptraceIDs says whose ids a check compares.
type ptraceIDs uint8

const (
	realIDs ptraceIDs = iota // PTRACE_MODE_REALCREDS
	fsIDs                    // PTRACE_MODE_FSCREDS
)

func (c *Cred) mayTrace(t *Target, y Yama) (answer, Via) {
	ok, via := c.mayTraceBy(t, y, realIDs)
	if ok == yes {
		return ok, via
	}
	// The file is readable by its owner only, who is the target's effective uid:
	// whoever passes as somebody else has CAP_SYS_PTRACE, and was let through above.
	if c.FSUID == t.Cred.EUID {
		if mem, memVia := c.mayTraceBy(t, y, fsIDs); mem > ok {
			return mem, memVia
		}
	}
	return ok, via
}

// mayTraceBy is __ptrace_may_access() in kernel/ptrace.c for
// PTRACE_MODE_ATTACH, with cap_ptrace_access_check() in security/commoncap.c and
// yama_ptrace_access_check() in security/yama/yama_lsm.c; each has to agree:
//
//   - the caller's uid and gid are the target's three uids and three gids, or the
//     caller has CAP_SYS_PTRACE over the target's user namespace;
//   - the target is dumpable, or the caller has CAP_SYS_PTRACE over the user
//     namespace of the target's memory;
//   - both are in one user namespace and the caller's permitted capabilities (for
//     file system ids: the effective ones) include the target's permitted ones, or
//     the caller has CAP_SYS_PTRACE over the target's user namespace;
//   - Yama.
func (c *Cred) mayTraceBy(t *Target, y Yama, ids ptraceIDs) (answer, Via) {
	if t.Kthread {
		return no, ViaNone
	}
	uid, gid, caps := c.UID, c.GID, c.Prm
	if ids == fsIDs {
		uid, gid, caps = c.FSUID, c.FSGID, c.Eff
	}
	over := c.capable(t.Cred.UserNS, capSysPtrace)
	via := ViaUID

	//nolint:gocritic // badCond takes the chain of equalities for a mistake; it is the kernel's
	sameIDs := uid == t.Cred.UID && uid == t.Cred.EUID && uid == t.Cred.SUID &&
		gid == t.Cred.GID && gid == t.Cred.EGID && gid == t.Cred.SGID
	ok := yes
	if !sameIDs {
		ok, via = over, ViaCapSysPtrace
	}

	if t.Dumpable != DumpableYes {
		asRoot := c.overMemory(t)
		if t.Dumpable == DumpableUnknown {
			asRoot = max(asRoot, unknown)
		}
		if asRoot == yes && t.Dumpable == DumpableNo {
			via = ViaCapSysPtrace
		}
		ok = both(ok, asRoot)
	}

	subset := no
	if c.UserNS == nil || t.Cred.UserNS == nil {
		subset = unknown
	} else if c.UserNS.Inode == t.Cred.UserNS.Inode {
		subset = answered(t.Cred.Prm&^caps == 0)
	}
	if subset != yes {
		subset, via = max(subset, over), ViaCapSysPtrace
	}
	return both(both(ok, subset), y.allows(over)), via
}

// overMemory answers whether c has CAP_SYS_PTRACE over the user namespace of the
// target's memory. Where that is not known, it is the target's or one around it:
// a capability over the outermost is one over all of them.
func (c *Cred) overMemory(t *Target) answer {
	if t.MMUserNS != nil || t.Cred.UserNS == nil {
		return c.capable(t.MMUserNS, capSysPtrace)
	}
	top := t.Cred.UserNS.top()
	inner := c.capable(t.Cred.UserNS, capSysPtrace)
	outer := c.capable(top, capSysPtrace)
	if inner == no || inner == outer && top.Inode == initialUserNS {
		return inner
	}
	return unknown
}

// allows is Yama's part, given whether the caller has CAP_SYS_PTRACE over the
// target's user namespace.
func (y Yama) allows(over answer) answer {
	switch y {
	case YamaClassic:
		return yes
	case YamaRestricted:
		return max(over, unknown)
	case YamaAdmin:
		return over
	case YamaNoAttach:
		return no
	}
	return unknown
}
