package ipc

import "slices"

// Steps is what a process does to its own credentials before it tries
// something: system calls that need nobody else's help. They are taken in the
// order of the fields.
//
// What a process could get from others is not among them: set-user-ID programs
// and programs with file capabilities that it may find, services that act on
// its behalf. See [Limits].
type Steps struct {
	// Exec: setresuid to uid 0 of its user namespace, where that is needed, and
	// execve of itself. The kernel gives uid 0 the bounding and the inheritable
	// set (handle_privileged_root() in security/commoncap.c), unless no_new_privs
	// is set. A later step that needs a capability or a saved id which this loses
	// is taken before it, with the uid left in the real uid.
	Exec bool
	// Raise: capset of every permitted capability as effective.
	Raise bool
	// DropGroups: setgroups to no groups.
	DropGroups bool
	// SetGID: setresgid to GID three times, which also sets the file system gid.
	SetGID bool
	GID    uint32 // a global gid
	// SetUID: prctl(PR_SET_KEEPCAPS), setresuid to UID three times, and capset of
	// what that took from the effective set.
	SetUID bool
	UID    uint32 // a global uid
}

// candidates calls visit with each state of credentials that c can bring itself
// to and that may matter, the least effort first, until visit returns false.
// Only uids and gids among those given are tried: a caller names the ones
// that the rule in question asks for, and those besides that mean "none of them".
//
// The rules are those of setresuid, setresgid and setgroups (kernel/sys.c,
// kernel/groups.c): a real, effective or saved id may become any of the three;
// with CAP_SETUID or CAP_SETGID in its own user namespace a process may take any id
// that the namespace has a number for, and only an id with a number can be named at
// all. Permitted capabilities are as good as effective ones, since capset raises
// them, and PR_SET_KEEPCAPS keeps them when the last uid 0 goes (cap_emulate_setxuid()
// in security/commoncap.c).
//
// Securebits are not shown in /proc; the default (none set) is assumed. Of a
// process that has locked SECBIT_NOROOT or SECBIT_KEEP_CAPS this claims too much.
//
// visit must not keep the Cred. The answer says whether the state can be
// reached for sure.
func (c *Cred) candidates(uids, gids []uint32, visit func(*Cred, Steps, answer) bool) {
	if !c.candidatesFrom(*c, Steps{}, yes, uids, gids, visit) {
		return
	}
	if root, sure := c.canExecAsRoot(); sure != no {
		after := *c
		after.UID, after.EUID, after.SUID, after.FSUID = root, root, root, root
		after.SGID, after.FSGID = after.EGID, after.EGID
		after.Prm = c.Bnd | c.Inh
		after.Eff = after.Prm
		c.candidatesFrom(after, Steps{Exec: true}, sure, uids, gids, visit)
	}
}

// canExecAsRoot returns uid 0 of the process's user namespace, and whether the
// process can run a program as it and gain capabilities that way.
func (c *Cred) canExecAsRoot() (uint32, answer) {
	if c.NoNewPrivs || (c.Bnd|c.Inh)&^c.Prm == 0 {
		return noID, no
	}
	if c.UIDMap == nil {
		if c.UserNS != nil && c.UserNS.Inode == initialUserNS {
			return 0, c.mayTakeUID(*c, 0)
		}
		// Any uid may be its namespace's uid 0, also the one it has.
		return c.EUID, unknown
	}
	root, ok := c.UIDMap.Outside(0)
	if !ok {
		return noID, no
	}
	return root, c.mayTakeUID(*c, root)
}

// mayTakeUID answers whether a process that started as c and is now in state
// from may become uid, or may have prepared for it: whatever it could take
// before an execve, it can leave in its real uid to switch back to.
func (c *Cred) mayTakeUID(from Cred, uid uint32) answer {
	if (c.Prm | from.Prm).Has(capSetuid) || uid == c.UID || uid == c.EUID || uid == c.SUID || uid == from.UID {
		return c.UIDMap.maps(uid)
	}
	return no
}

func (c *Cred) mayTakeGID(from Cred, gid uint32) answer {
	if (c.Prm | from.Prm).Has(capSetgid) || gid == c.GID || gid == c.EGID || gid == c.SGID {
		return c.GIDMap.maps(gid)
	}
	return no
}

// mayDropGroups is may_setgroups() in kernel/groups.c.
func (c *Cred) mayDropGroups(from Cred) answer {
	if !(c.Prm | from.Prm).Has(capSetgid) {
		return no
	}
	allowed := unknown
	switch c.Setgroups {
	case SetgroupsAllow:
		allowed = yes
	case SetgroupsDeny:
		allowed = no
	}
	if c.GIDMap != nil && len(c.GIDMap) == 0 {
		allowed = no
	}
	return allowed
}

func (c *Cred) candidatesFrom(from Cred, steps Steps, sure answer, uids, gids []uint32, visit func(*Cred, Steps, answer) bool) bool {
	steps.Raise = from.Eff != from.Prm
	from.Eff = from.Prm

	dropping := no
	if slices.ContainsFunc(from.Groups, func(g uint32) bool { return slices.Contains(gids, g) }) {
		dropping = c.mayDropGroups(from)
	}
	var uidAnswers [16]answer
	mayUID := uidAnswers[:0]
	for _, uid := range uids {
		mayUID = append(mayUID, c.mayTakeUID(from, uid))
	}

	state := from
	try := func(s Steps, a answer) bool {
		// -1 stands for the id that the state has anyway.
		for i := -1; i < len(uids); i++ {
			state.UID, state.EUID, state.SUID, state.FSUID = from.UID, from.EUID, from.SUID, from.FSUID
			s.SetUID, s.UID = false, 0
			ok := a
			if i >= 0 {
				if ok = both(a, mayUID[i]); ok == no {
					continue
				}
				u := uids[i]
				state.UID, state.EUID, state.SUID, state.FSUID = u, u, u, u
				s.SetUID, s.UID = true, u
			}
			if !visit(&state, s, ok) {
				return false
			}
		}
		return true
	}
	for drop := range 2 {
		s, a := steps, sure
		if drop == 1 {
			if a = both(a, dropping); a == no {
				break
			}
			s.DropGroups = true
			state.Groups = nil
		}
		state.GID, state.EGID, state.SGID, state.FSGID = from.GID, from.EGID, from.SGID, from.FSGID
		if !try(s, a) {
			return false
		}
		for _, gid := range gids {
			ok := both(a, c.mayTakeGID(from, gid))
			if ok == no {
				continue
			}
			state.GID, state.EGID, state.SGID, state.FSGID = gid, gid, gid, gid
			s.SetGID, s.GID = true, gid
			if !try(s, ok) {
				return false
			}
		}
	}
	return true
}

// uidsToTry returns the uids that a rule asks for, what c can switch to
// freely, the owners of user namespaces whose parent c is in (owning one gives
// capabilities over it), and one uid that is none of those asked for.
func (c *Cred) uidsToTry(over []*UserNS, asked ...uint32) []uint32 {
	out := slices.Clip(slices.Clone(asked))
	add := func(uid uint32) {
		if !slices.Contains(out, uid) {
			out = append(out, uid)
		}
	}
	add(c.UID)
	add(c.EUID)
	add(c.SUID)
	for _, ns := range over {
		if c.UserNS == nil {
			break
		}
		for depth := 0; ns != nil && ns.Parent != nil && depth < maxUserNSDepth; depth++ {
			if ns.Parent.Inode == c.UserNS.Inode && !ns.OwnerUnknown {
				add(ns.Owner)
			}
			ns = ns.Parent
		}
	}
	if uid, ok := c.UIDMap.other(out...); ok != no {
		add(uid)
	}
	return out
}

func (c *Cred) gidsToTry(asked ...uint32) []uint32 {
	out := slices.Clip(slices.Clone(asked))
	add := func(gid uint32) {
		if !slices.Contains(out, gid) {
			out = append(out, gid)
		}
	}
	add(c.GID)
	add(c.EGID)
	add(c.SGID)
	// To leave an asked gid, any other will do, also one that is a supplementary
	// group.
	if gid, ok := c.GIDMap.other(out...); ok != no {
		add(gid)
	}
	return out
}
