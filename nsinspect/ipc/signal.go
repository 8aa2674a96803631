package ipc

// Target is a process that another one may want to signal or to look into.
type Target struct {
	Cred Cred

	// Kthread: a kernel thread (the Kthread line of /proc/PID/status, Linux 6.8, or
	// the flag PF_KTHREAD in stat). It has no memory to look into and
	// takes no notice of signals.
	Kthread  bool
	Dumpable Dumpable

	// MMUserNS is the user namespace that its memory belongs to: the one in which it
	// last called execve, or one around that. It is the process's own unless that has
	// changed since. nil when not known, as nothing shows it.
	MMUserNS *UserNS
}

// Signal judges whether a process can send a signal to a target that its PID
// namespace shows: kill_ok_by_cred() in kernel/signal.c. The effective or real
// uid against the target's saved or real uid, else CAP_KILL over the target's
// user namespace. That SIGCONT is allowed within a session is left out, and so
// is what the target does with the signal: PID 1 and kernel threads ignore what
// they do not handle.
func Signal(c Cred, t Target) Grant {
	g := now(c.maySignal(&t))
	if g.State == Now {
		return g
	}
	uids := c.uidsToTry([]*UserNS{t.Cred.UserNS}, t.Cred.UID, t.Cred.SUID)
	c.candidates(uids, nil, func(as *Cred, steps Steps, sure answer) bool {
		ok, via := as.maySignal(&t)
		g.later(both(ok, sure), via, steps)
		return g.State < AfterSetuid
	})
	return g
}

func (c *Cred) maySignal(t *Target) (answer, Via) {
	if c.EUID == t.Cred.SUID || c.EUID == t.Cred.UID || c.UID == t.Cred.SUID || c.UID == t.Cred.UID {
		return yes, ViaUID
	}
	return c.capable(t.Cred.UserNS, capKill), ViaCapKill
}

func (t *Target) appendKey(b []byte) []byte {
	b = t.Cred.appendKey(b)
	b = append(b, 0, byte(t.Dumpable))
	if t.MMUserNS != nil {
		for i := range 8 {
			b = append(b, byte(t.MMUserNS.Inode>>(8*i)))
		}
	}
	return b
}
