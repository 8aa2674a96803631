package ipc

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// hostUser returns an unprivileged user of the host.
func hostUser(uid, gid uint32) Cred {
	return Cred{
		UID: uid, EUID: uid, SUID: uid, FSUID: uid, GID: gid, EGID: gid, SGID: gid, FSGID: gid,
		UserNS: InitialUserNS(), UIDMap: IDMap{{0, 0, noID}}, GIDMap: IDMap{{0, 0, noID}}, Setgroups: SetgroupsAllow,
	}
}

// dockerRoot returns root of a container with docker's default capabilities.
func dockerRoot() Cred {
	c := hostUser(0, 0)
	c.Prm, c.Eff, c.Bnd = 0xa80425fb, 0xa80425fb, 0xa80425fb
	return c
}

// remap puts credentials into a user namespace that root has made.
func remap(c Cred, inode uint64, first, count uint32) Cred {
	c.UserNS = &UserNS{Inode: inode, Owner: 0, Parent: InitialUserNS()}
	c.UIDMap = IDMap{{0, first, count}}
	c.GIDMap = IDMap{{0, first, count}}
	for _, id := range []*uint32{&c.UID, &c.EUID, &c.SUID, &c.FSUID, &c.GID, &c.EGID, &c.SGID, &c.FSGID} {
		*id += first
	}
	return c
}

func TestParseIDMap(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		want IDMap
		err  string
	}{
		{"the initial user namespace", "         0          0 4294967295\n", IDMap{{0, 0, noID}}, ""},
		{"a namespace that nobody has given ids", "", IDMap{}, ""},
		{"docker with userns-remap", "         0     100000      65536\n", IDMap{{0, 100000, 65536}}, ""},
		{"rootless podman", "         0       1000          1\n         1     100000      65536\n", IDMap{{0, 1000, 1}, {1, 100000, 65536}}, ""},
		{"an extent that the reader has no numbers for", "0 4294967295 1\n1 100000 10\n", IDMap{{1, 100000, 10}}, ""},
		{"the last line torn off", "0 0 1\n5", nil, "line 2: 1 fields"},
		{"an empty line", "0 0 1\n\n1 1 1\n", nil, "line 2: 0 fields"},
		{"an empty extent", "0 0 0\n", nil, "line 1: empty extent"},
		{"a negative number", "0 -1 1\n", nil, "line 1: field 2"},
		{"past the last id", "1 0 4294967295\n", nil, "past the last id"},
		{"the same id inside twice", "0 0 10\n9 100 10\n", nil, "line 2: overlaps"},
		{"the same id outside twice", "0 100 10\n20 109 1\n", nil, "line 2: overlaps"},
		{"more lines than the kernel allows", func() string {
			var b strings.Builder
			for i := range 341 {
				fmt.Fprintf(&b, "%d %d 1\n", i, i)
			}
			return b.String()
		}(), nil, "more than 340 lines"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseIDMap([]byte(tt.in))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, %v, want an error with %q", got, err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestIDMap(t *testing.T) {
	m := IDMap{{0, 1000, 1}, {1, 100000, 65536}}
	for _, tt := range []struct {
		inside, outside uint32
	}{{0, 1000}, {1, 100000}, {999, 100998}, {65536, 165535}} {
		if got, ok := m.Outside(tt.inside); !ok || got != tt.outside {
			t.Errorf("inside %d: got %d, %v, want %d outside", tt.inside, got, ok, tt.outside)
		}
		if got, ok := m.Inside(tt.outside); !ok || got != tt.inside {
			t.Errorf("outside %d: got %d, %v, want %d inside", tt.outside, got, ok, tt.inside)
		}
	}
	for _, outside := range []uint32{0, 999, 1001, 99999, 165536, math.MaxUint32} {
		if got, ok := m.Inside(outside); ok {
			t.Errorf("outside %d: got %d, want none", outside, got)
		}
	}
	if got := m.FromWithin(); !reflect.DeepEqual(got, IDMap{{0, 0, 1}, {1, 1, 65536}}) {
		t.Errorf("from within: %v", got)
	}
	if got, ok := m.other(1000, 100000); ok != yes || got != 100001 {
		t.Errorf("other: got %d, %v", got, ok)
	}
	if got, ok := (IDMap{{0, 5, 1}}).other(5); ok != no {
		t.Errorf("other than the only one: got %d, %v", got, ok)
	}
	if _, ok := (IDMap)(nil).other(0); ok != unknown {
		t.Errorf("other of a map that is not known: %v", ok)
	}
}

func FuzzParseIDMap(f *testing.F) {
	for _, s := range []string{"         0          0 4294967295\n", "0 1000 1\n1 100000 65536\n", "", "0 4294967295 1\n", "0 0 0\n", "1 2 3 4\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseIDMap(b)
		if err != nil {
			if m != nil {
				t.Fatal("a map and an error")
			}
			return
		}
		var text strings.Builder
		for _, e := range m {
			fmt.Fprintf(&text, "%10d %10d %10d\n", e.Inside, e.Outside, e.Count)
			for _, inside := range []uint32{e.Inside, e.Inside + e.Count - 1} {
				outside, ok := m.Outside(inside)
				if !ok || outside == noID {
					t.Fatalf("%v: %d has no number outside", m, inside)
				}
				if back, ok := m.Inside(outside); !ok || back != inside {
					t.Fatalf("%v: %d is %d outside, which is %d inside", m, inside, outside, back)
				}
			}
		}
		if again, err := ParseIDMap([]byte(text.String())); err != nil || !slices.Equal(again, m) {
			t.Fatalf("printed and read again: %v, %v, not %v", again, err, m)
		}
	})
}

func TestCapable(t *testing.T) {
	initial := InitialUserNS()
	a := &UserNS{Inode: 10, Owner: 1000, Parent: initial}
	b := &UserNS{Inode: 11, Owner: 100000, Parent: a}
	sibling := &UserNS{Inode: 12, Owner: 0, Parent: initial}
	truncated := &UserNS{Inode: 13, Owner: 7}
	somebodys := &UserNS{Inode: 16, OwnerUnknown: true, Parent: initial}
	loop := &UserNS{Inode: 14}
	loop.Parent = loop

	with := func(ns *UserNS, euid uint32, eff Caps) Cred { return Cred{UserNS: ns, EUID: euid, Eff: eff} }
	all := Caps(1<<41 - 1)
	for _, tt := range []struct {
		name string
		c    Cred
		over *UserNS
		want answer
	}{
		{"effective in the same", with(initial, 0, all), initial, yes},
		{"not effective in the same", with(initial, 0, all&^caps(capSysAdmin)), initial, no},
		{"of a parent over a grandchild", with(initial, 0, all), b, yes},
		{"the owner without capabilities", with(initial, 1000, 0), a, yes},
		{"the owner of the parent, over a grandchild", with(initial, 1000, 0), b, yes},
		{"an owner who is not in the parent", with(initial, 100000, 0), b, no},
		{"owning one's own namespace gives nothing", with(a, 1000, 0), a, no},
		{"a child over its parent", with(a, 0, all), initial, no},
		{"over a sibling", with(a, 1000, all), sibling, no},
		{"own namespace not known", with(nil, 0, all), initial, unknown},
		{"the other not known", with(initial, 0, all), nil, unknown},
		{"what is around the other not known", with(a, 0, all), truncated, unknown},
		{"over what is around, where that is known", with(&UserNS{Inode: 15, Parent: truncated}, 0, all), truncated, no},
		{"perhaps the owner", with(initial, 0, 0), somebodys, unknown},
		{"perhaps the owner, which does not matter", with(initial, 0, all), somebodys, yes},
		{"a chain that bites its own tail", with(a, 0, all), loop, unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.c.capable(tt.over, capSysAdmin); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDistinct(t *testing.T) {
	a := hostUser(1000, 1000)
	b := a
	b.Groups = []uint32{27}
	again := a
	again.UserNS = InitialUserNS() // another value for the same namespace
	other := a
	other.UIDMap = nil
	if got := Distinct([]Cred{a, b, again, b, other}); !reflect.DeepEqual(got, []Cred{a, b, other}) {
		t.Errorf("got %+v", got)
	}
}

func TestLimits(t *testing.T) {
	plain := dockerRoot()
	for _, tt := range []struct {
		name   string
		change func(*Cred)
		want   []string // what each sentence contains
	}{
		{"a process that nothing restricts", func(*Cred) {}, nil},
		{"docker's seccomp profile", func(c *Cred) { c.Seccomp, c.SeccompFilters = 2, 1 }, []string{"seccomp is in force (1 filters)"}},
		{"a filter on an old kernel", func(c *Cred) { c.Seccomp = 2 }, []string{"seccomp is in force and"}},
		{"strict mode", func(c *Cred) { c.Seccomp = 1 }, []string{"strict mode"}},
		{"docker's AppArmor profile", func(c *Cred) { c.Label = "docker-default (enforce)" }, []string{"AppArmor is in force (docker-default (enforce))"}},
		{"a profile that only complains", func(c *Cred) { c.Label = "docker-default (complain)" }, nil},
		{"unconfined", func(c *Cred) { c.Label = "unconfined" }, nil},
		{"SELinux", func(c *Cred) { c.Label = "system_u:system_r:container_t:s0:c1,c2" }, []string{"SELinux is in force (system_u:system_r:container_t:s0:c1,c2)"}},
		{"a label that wants to be a terminal command", func(c *Cred) { c.Label = "\x1b[2J" }, []string{`(\x1b[2J)`}},
		{"a user who may find sudo", func(c *Cred) { *c = hostUser(1000, 1000); c.Bnd = plain.Bnd }, []string{"no_new_privs is not set"}},
		{"a user who has given that up", func(c *Cred) { *c = hostUser(1000, 1000); c.Bnd = plain.Bnd; c.NoNewPrivs = true }, nil},
		{"root whom execve gives it all back, as the model knows", func(c *Cred) { c.Prm, c.Eff = 0, 0 }, nil},
		{"namespaces that could not be read", func(c *Cred) { c.UserNS, c.UIDMap = nil, nil }, []string{"user namespace could not be read", "id maps"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := plain
			tt.change(&c)
			got := Limits(c)
			if len(got) != len(tt.want) {
				t.Fatalf("got %q", got)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got %q, want %q in it", got[i], want)
				}
			}
		})
	}
	one := plain
	one.Seccomp, one.SeccompFilters = 2, 1
	if got := LimitsOf([]Cred{one, plain, one}); len(got) != 1 {
		t.Errorf("of three members: %q", got)
	}
}

// caps makes a set of capability numbers.
func caps(numbers ...int) Caps {
	var c Caps
	for _, n := range numbers {
		c |= 1 << n
	}
	return c
}
