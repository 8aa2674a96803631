package ipc

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// postgres is a segment like PostgreSQL's.
var postgres = Object{Kind: ShmObject, UID: 999, GID: 999, CUID: 999, CGID: 999, Mode: 0o600}

func TestReach(t *testing.T) {
	host := HostNamespace()
	become := func(uid uint32) Steps { return Steps{SetUID: true, UID: uid} }
	type states struct {
		read, write, control State
		via                  Via // of writing, else of reading, else of controlling
	}
	for _, tt := range []struct {
		name  string
		c     Cred
		ns    Namespace
		o     Object
		want  states
		steps Steps // of the first that is after_setuid
	}{
		{"docker's default root becomes the owner", dockerRoot(), host, postgres,
			states{AfterSetuid, AfterSetuid, AfterSetuid, ViaOwner}, become(999)},
		{"a remapped root has no number for the owner", remap(dockerRoot(), 10, 100000, 65536), host, postgres,
			states{No, No, No, ViaNone}, Steps{}},
		{"a privileged container needs to become nobody", func() Cred { c := dockerRoot(); c.Prm, c.Eff = 1<<41-1, 1<<41-1; return c }(), host, postgres,
			states{Now, Now, Now, ViaCapIPCOwner}, Steps{}},
		{"a container with --user", func() Cred { c := hostUser(1000, 1000); c.Bnd = 0xa80425fb; return c }(), host, postgres,
			states{No, No, No, ViaNone}, Steps{}},
		{"the same uid in a container with --user", hostUser(999, 1000), host, postgres,
			states{Now, Now, Now, ViaOwner}, Steps{}},
		{"the owner's bits count although the others' are more", hostUser(999, 1000), host, Object{ShmObject, 999, 0, 999, 0, 0o066},
			states{No, No, Now, ViaOwner}, Steps{}},
		{"so becoming somebody else helps", func() Cred { c := hostUser(999, 1000); c.Prm, c.Eff = caps(capSetuid), caps(capSetuid); return c }(), host, Object{ShmObject, 999, 0, 999, 0, 0o066},
			states{AfterSetuid, AfterSetuid, Now, ViaOther}, become(0)},
		{"the creator is as good as the owner", hostUser(5, 5), host, Object{MsgObject, 999, 0, 5, 0, 0o600},
			states{Now, Now, Now, ViaOwner}, Steps{}},
		{"writing to a segment takes reading", hostUser(999, 1000), host, Object{ShmObject, 999, 0, 999, 0, 0o200},
			states{No, No, Now, ViaOwner}, Steps{}},
		{"writing to a queue does not", hostUser(999, 1000), host, Object{MsgObject, 999, 0, 999, 0, 0o200},
			states{No, Now, Now, ViaOwner}, Steps{}},
		{"a saved uid is a switch away without any capability", func() Cred { c := hostUser(1000, 1000); c.SUID = 999; return c }(), host, postgres,
			states{AfterSetuid, AfterSetuid, AfterSetuid, ViaOwner}, become(999)},
		{"setgroups takes a gid map", func() Cred {
			c := hostUser(1000, 1000)
			c.Prm, c.Eff, c.Groups, c.GIDMap = caps(capSetgid), caps(capSetgid), []uint32{27}, IDMap{}
			return c
		}(), host, Object{SemObject, 999, 27, 999, 27, 0o606},
			states{No, No, No, ViaNone}, Steps{}},
		{"and where there is one, the group is left", func() Cred {
			c := hostUser(1000, 1000)
			c.Prm, c.Eff, c.Groups = caps(capSetgid), caps(capSetgid), []uint32{27}
			return c
		}(), host, Object{SemObject, 999, 27, 999, 27, 0o606},
			states{AfterSetuid, AfterSetuid, No, ViaOther}, Steps{DropGroups: true}},
		{"permitted is as good as effective", func() Cred { c := hostUser(1000, 1000); c.Prm = caps(capIPCOwner); return c }(), host, postgres,
			states{AfterSetuid, AfterSetuid, No, ViaCapIPCOwner}, Steps{Raise: true}},
		{"root of the user namespace that owns the IPC namespace", remap(func() Cred { c := dockerRoot(); c.Prm, c.Eff = 1<<41-1, 1<<41-1; return c }(), 10, 100000, 65536),
			Namespace{Owner: &UserNS{Inode: 10, Parent: InitialUserNS()}}, postgres,
			states{Now, Now, Now, ViaCapIPCOwner}, Steps{}},
		{"where it is not known who owns the namespace, bits still count", hostUser(999, 0), Namespace{}, postgres,
			states{Now, Now, Now, ViaOwner}, Steps{}},
		{"and capabilities may", hostUser(1000, 0), Namespace{}, postgres,
			states{Unknown, Unknown, Unknown, ViaNone}, Steps{}},
		{"an unreadable id map", func() Cred { c := dockerRoot(); c.UIDMap, c.GIDMap = nil, nil; return c }(), host, postgres,
			states{Unknown, Unknown, Unknown, ViaNone}, Steps{}},
		{"a POSIX queue of the host, to its root", dockerRoot(), host, Object{Kind: MqueueObject, UID: 999, GID: 999, Mode: 0o600},
			states{Now, Now, Now, ViaCapDACOverride}, Steps{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Reach(tt.c, tt.ns, tt.o)
			a := r.Access("")
			if got := (states{r.Read.State, r.Write.State, r.Control.State, Via(a.Via)}); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			for _, g := range []Grant{r.Write, r.Read, r.Control} {
				if g.State == AfterSetuid {
					if g.Steps != tt.steps {
						t.Errorf("steps %+v, want %+v", g.Steps, tt.steps)
					}
					break
				}
			}
		})
	}
}

func TestReacher(t *testing.T) {
	user := hostUser(1000, 1000)
	r := NewReacher(HostNamespace(), []Cred{user, dockerRoot(), user})
	mine := Object{Kind: ShmObject, UID: 1000, CUID: 1000, Mode: 0o600}
	for range 2 {
		if got := r.Reach(postgres).Access("docker:x"); got != (report.Access{Container: "docker:x", Read: "after_setuid", Write: "after_setuid", Control: "after_setuid", Via: "owner"}) {
			t.Errorf("somebody else's: %+v", got)
		}
		if got := r.Reach(mine).Access("docker:x"); got != (report.Access{Container: "docker:x", Read: "now", Write: "now", Control: "now", Via: "owner"}) {
			t.Errorf("one member's: %+v", got)
		}
	}
	if none := NewReacher(HostNamespace(), nil).Reach(mine); none.Best() != No {
		t.Errorf("of no members: %+v", none)
	}
	if got := (Rights{Control: Grant{State: Now}}).WriteInTheEnd(); got != Now {
		t.Errorf("control is not enough to write: %v", got)
	}
}

func TestObjectsOfReports(t *testing.T) {
	for _, tt := range []struct {
		got, want Object
	}{
		// The bits above 0777 are SHM_DEST and SHM_LOCKED.
		{ObjectOfShm(report.Shm{UID: 1, GID: 2, CUID: 3, CGID: 4, Mode: 0o3640}), Object{ShmObject, 1, 2, 3, 4, 0o640}},
		{ObjectOfSem(report.Sem{UID: 1, GID: 2, CUID: 3, CGID: 4, Mode: 0o640}), Object{SemObject, 1, 2, 3, 4, 0o640}},
		{ObjectOfMsg(report.Msg{UID: 1, GID: 2, CUID: 3, CGID: 4, Mode: 0o640}), Object{MsgObject, 1, 2, 3, 4, 0o640}},
		{ObjectOfMqueue(report.Mqueue{UID: 1, GID: 2, Mode: 0o100640}), Object{Kind: MqueueObject, UID: 1, GID: 2, Mode: 0o640}},
	} {
		if tt.got != tt.want {
			t.Errorf("got %+v, want %+v", tt.got, tt.want)
		}
	}
}

func TestSentence(t *testing.T) {
	shm := Subject{Kind: ShmObject, Key: 0x52e, ID: 3, Who: "postgres", Size: 56 << 20}
	names := func(uid uint32) string { return map[uint32]string{999: "postgres"}[uid] }
	root := dockerRoot()
	for _, tt := range []struct {
		name  string
		r     Rights
		s     Subject
		names func(uint32) string
		want  string
	}{
		{"docker's root and PostgreSQL", Reach(root, HostNamespace(), postgres), shm, nil, "can become uid 999 and write shm 0x52e (postgres, 56 MiB)"},
		{"with the uid's name", Reach(root, HostNamespace(), postgres), shm, names, "can become uid 999 (postgres) and write shm 0x52e (postgres, 56 MiB)"},
		{"now", Reach(hostUser(999, 999), HostNamespace(), postgres), shm, nil, "can write shm 0x52e (postgres, 56 MiB)"},
		{"only reading", Rights{Read: Grant{State: Now}}, Subject{Kind: SemObject, ID: 7}, nil, "can read sem id 7"},
		{"all but writing", Rights{Read: Grant{State: Now}, Control: Grant{State: Now}}, Subject{Kind: SemObject, ID: 7}, nil, "can read and remove sem id 7"},
		{"only removing", Rights{Control: Grant{State: Now}}, Subject{Kind: MqueueObject, Name: "/q"}, nil, "can remove mqueue /q"},
		{"nothing", Rights{}, shm, nil, ""},
		{"not known", Rights{Write: Grant{State: Unknown}, Read: Grant{State: Unknown}}, shm, nil, "may be able to write shm 0x52e (postgres, 56 MiB)"},
		{"by a group", Rights{Read: Grant{State: AfterSetuid, Steps: Steps{SetGID: true, GID: 27, DropGroups: true}}}, Subject{Kind: MsgObject, Key: 1, Size: 1536}, nil,
			"can become gid 27 and leave its groups and read msg 0x1 (1.5 KiB)"},
		{"by raising", Rights{Write: Grant{State: AfterSetuid, Steps: Steps{Raise: true}}}, Subject{Kind: MsgObject, Key: 1}, nil, "can raise its capabilities and write msg 0x1"},
		{"by execve", Rights{Write: Grant{State: AfterSetuid, Steps: Steps{Exec: true}}}, Subject{Kind: MsgObject, Key: 1}, nil, "can execute itself as root and write msg 0x1"},
		{"a name that wants to be a terminal command", Rights{Write: Grant{State: Now}}, Subject{Kind: MqueueObject, Name: "/\x1b[2J", Who: "a\nb"}, nil, `can write mqueue /\x1b[2J (a\nb)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Sentence(tt.r, tt.s, tt.names); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestSizeText(t *testing.T) {
	for bytes, want := range map[uint64]string{
		1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 10<<20 + 1<<19: "10 MiB", 56 << 20: "56 MiB", 1 << 40: "1 TiB", 1<<64 - 1: "15 EiB",
	} {
		if got := sizeText(bytes); got != want {
			t.Errorf("%d: got %q, want %q", bytes, got, want)
		}
	}
}

// TestReachSaysTheSameTwice guards against an answer that depends on anything
// but the values.
func TestReachSaysTheSameTwice(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func() uint32 { return []uint32{0, 1000, 100000, 100999}[rng.IntN(4)] }
	for range 2000 {
		c := hostUser(pick(), pick())
		if rng.IntN(2) == 0 {
			c = remap(c, 10, 100000, 1000)
		}
		c.Groups = []uint32{pick(), pick()}
		c.Prm, c.Bnd, c.SUID = Caps(rng.Uint64()), Caps(rng.Uint64()), pick()
		c.Eff = c.Prm & Caps(rng.Uint64())
		before := c
		before.Groups = append([]uint32(nil), c.Groups...)
		o := Object{ObjectKind(rng.IntN(4)), pick(), pick(), pick(), pick(), uint32(rng.IntN(0o1000))}
		first := Reach(c, HostNamespace(), o)
		if !reflect.DeepEqual(c, before) {
			t.Fatalf("the credentials were changed: %+v, before %+v", c, before)
		}
		if second := Reach(c, HostNamespace(), o); first != second {
			t.Fatalf("%+v and then %+v", first, second)
		}
	}
}

// BenchmarkReacher judges 32 000 objects with as many owners, the most that are
// not alike, for a container with three kinds of credentials.
func BenchmarkReacher(b *testing.B) {
	members := []Cred{remap(dockerRoot(), 10, 100000, 65536), hostUser(1000, 1000), dockerRoot()}
	for b.Loop() {
		r := NewReacher(HostNamespace(), members)
		for i := range uint32(32000) {
			r.Reach(Object{MsgObject, i, i, i, i, 0o600})
		}
	}
}

// BenchmarkReach judges one object with the most work: nothing helps.
func BenchmarkReach(b *testing.B) {
	c := remap(dockerRoot(), 10, 100000, 65536)
	for b.Loop() {
		Reach(c, HostNamespace(), postgres)
	}
}
