package ipc

import "testing"

func TestSignalAndPtrace(t *testing.T) {
	host := func(uid uint32) Target { return Target{Cred: hostUser(uid, uid), Dumpable: DumpableYes} }
	with := func(t Target, change func(*Target)) Target { change(&t); return t }
	full := func(c Cred) Cred { c.Prm, c.Eff, c.Bnd = 1<<41-1, 1<<41-1, 1<<41-1; return c }
	ptracer := func(c Cred) Cred { c.Prm, c.Eff = caps(capSysPtrace), caps(capSysPtrace); return c }
	for _, tt := range []struct {
		name         string
		c            Cred
		t            Target
		y            Yama
		signal, look State
	}{
		{"a container's user and the same uid of the host", hostUser(1000, 1000), host(1000), YamaClassic, Now, Now},
		{"Yama asks for a descendant or for its consent, which /proc does not show", hostUser(1000, 1000), host(1000), YamaRestricted, Now, Unknown},
		{"Yama asks for CAP_SYS_PTRACE", hostUser(1000, 1000), host(1000), YamaAdmin, Now, No},
		{"and that is enough for two of its scopes", ptracer(hostUser(1000, 1000)), host(5), YamaRestricted, No, Now},
		{"and that is enough for the other", ptracer(hostUser(1000, 1000)), host(5), YamaAdmin, No, Now},
		{"nothing is enough for the last", full(hostUser(0, 0)), host(5), YamaNoAttach, Now, No},
		{"a scope that could not be read", hostUser(1000, 1000), host(1000), YamaUnknown, Now, Unknown},
		{"and does not matter where the ids already say no", hostUser(1000, 1000), host(5), YamaUnknown, No, No},
		{"docker's root and a user of the host", dockerRoot(), host(1000), YamaClassic, Now, AfterSetuid},
		{"docker's root and root of the host, who has more capabilities", dockerRoot(), Target{Cred: full(hostUser(0, 0))}, YamaClassic, Now, No},
		{"not dumpable", hostUser(1000, 1000), with(host(1000), func(t *Target) { t.Dumpable = DumpableNo }), YamaClassic, Now, No},
		{"perhaps dumpable", hostUser(1000, 1000), with(host(1000), func(t *Target) { t.Dumpable = DumpableUnknown }), YamaClassic, Now, Unknown},
		{"CAP_SYS_PTRACE does not mind", ptracer(hostUser(1000, 1000)), with(host(1000), func(t *Target) { t.Dumpable = DumpableUnknown }), YamaClassic, Now, Now},
		{"a kernel thread", full(hostUser(0, 0)), Target{Cred: full(hostUser(0, 0)), Kthread: true}, YamaClassic, Now, No},
		{"a remapped container and the host", remap(full(hostUser(0, 0)), 10, 100000, 65536), host(1000), YamaClassic, No, No},
		{"the file system uid is enough for /proc/PID/mem", func() Cred { c := hostUser(1000, 1000); c.FSUID, c.FSGID = 5, 5; return c }(), host(5), YamaClassic, No, Now},
		{"another gid", hostUser(1000, 1000), Target{Cred: hostUser(1000, 27), Dumpable: DumpableYes}, YamaClassic, Now, No},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Signal(tt.c, tt.t); got.State != tt.signal {
				t.Errorf("signal: got %v via %q, want %v", got.State, got.Via, tt.signal)
			}
			if got := Ptrace(tt.c, tt.t, tt.y); got.State != tt.look {
				t.Errorf("ptrace: got %v via %q, want %v", got.State, got.Via, tt.look)
			}
		})
	}
}

func TestTally(t *testing.T) {
	members := []Cred{hostUser(1000, 1000), dockerRoot()}
	targets := []Target{
		{Cred: hostUser(1000, 1000), Dumpable: DumpableYes},
		{Cred: hostUser(1000, 1000), Dumpable: DumpableYes},
		{Cred: hostUser(5, 5), Dumpable: DumpableYes},
		{Cred: hostUser(6, 6)},
		{Cred: remap(dockerRoot(), 10, 100000, 10), Dumpable: DumpableYes},
		{Cred: hostUser(0, 0), Kthread: true},
	}
	all := NewTargets(targets, YamaClassic)
	signal, ptrace := all.Tally(members, nil)
	if signal != (Tally{Now: 5}) {
		t.Errorf("signals: %+v", signal)
	}
	// Of the fourth it is not known whether it is dumpable. The fifth is in a user
	// namespace that belongs to uid 0, who has every capability over it.
	if ptrace != (Tally{Now: 3, AfterSetuid: 1, Unknown: 1}) {
		t.Errorf("ptrace: %+v", ptrace)
	}
	// Members do not count, and who asks the second time gets the same.
	if signal, ptrace := all.Tally(members, []int{0, 3, 5}); signal != (Tally{Now: 3}) || ptrace != (Tally{Now: 2, AfterSetuid: 1}) {
		t.Errorf("without members: signals: %+v, ptrace: %+v", signal, ptrace)
	}
}

func TestParseYama(t *testing.T) {
	for in, want := range map[string]Yama{"0\n": YamaClassic, "1\n": YamaRestricted, "2\n": YamaAdmin, "3\n": YamaNoAttach, "": YamaUnknown, "4\n": YamaUnknown, "1": YamaUnknown} {
		if got := ParseYama([]byte(in)); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

func TestParseSetgroups(t *testing.T) {
	for in, want := range map[string]Setgroups{"allow\n": SetgroupsAllow, "deny\n": SetgroupsDeny, "": SetgroupsUnknown, "maybe\n": SetgroupsUnknown} {
		if got := ParseSetgroups([]byte(in)); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

func TestDumpableFrom(t *testing.T) {
	nested := remap(dockerRoot(), 10, 100000, 65536)
	nested.UserNS = &UserNS{Inode: 11, Parent: &UserNS{Inode: 10, Parent: InitialUserNS()}}
	for _, tt := range []struct {
		name     string
		uid, gid uint32
		c        Cred
		want     Dumpable
	}{
		{"a user's files are his own", 1000, 1000, hostUser(1000, 1000), DumpableYes},
		{"a user's files are root's", 0, 0, hostUser(1000, 1000), DumpableNo},
		{"root's files are root's either way", 0, 0, hostUser(0, 0), DumpableUnknown},
		{"root with another group", 0, 5, hostUser(0, 5), DumpableYes},
		{"root with another group, and his files are not", 0, 0, hostUser(0, 5), DumpableNo},
		{"a container's root's files are its root's either way", 100000, 100000, remap(dockerRoot(), 10, 100000, 65536), DumpableUnknown},
		{"a container's user", 100999, 100999, remap(hostUser(999, 999), 10, 100000, 65536), DumpableYes},
		{"a nested one, where a root between is not known", 100000, 100000, nested, DumpableUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := DumpableFrom(tt.uid, tt.gid, tt.c); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// Targets that a tracer could tell apart must not be judged as one.
func TestTargetKey(t *testing.T) {
	ns, other := &UserNS{Inode: 1}, &UserNS{Inode: 2}
	base := Target{Cred: hostUser(1000, 1000), Dumpable: DumpableYes, MMUserNS: ns}
	key := func(change func(*Target)) string {
		v := base
		change(&v)
		return string(v.appendKey(nil))
	}
	same := key(func(*Target) {})
	if key(func(v *Target) { v.MMUserNS = &UserNS{Inode: 1} }) != same {
		t.Error("the same namespace, found twice, gives two keys")
	}
	for story, change := range map[string]func(*Target){
		"another user":                        func(v *Target) { v.Cred = hostUser(1001, 1000) },
		"not dumpable":                        func(v *Target) { v.Dumpable = DumpableYes + 1 },
		"memory of another user namespace":    func(v *Target) { v.MMUserNS = other },
		"memory of an unknown user namespace": func(v *Target) { v.MMUserNS = nil },
	} {
		if key(change) == same {
			t.Errorf("%s: the key is the same", story)
		}
	}
}
