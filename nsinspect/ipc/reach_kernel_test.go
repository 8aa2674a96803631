//go:build amd64 || arm64

package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ids that objects belong to and that children have, as global ones.
var (
	poolUIDs = []uint32{0, 1000, 1001, 100000, 100999}
	poolGIDs = []uint32{0, 1000, 1001, 100000, 100999}
)

func ids(m ...[3]int) []syscall.SysProcIDMap {
	var out []syscall.SysProcIDMap
	for _, e := range m {
		out = append(out, syscall.SysProcIDMap{ContainerID: e[0], HostID: e[1], Size: e[2]})
	}
	return out
}

func sameMaps(setgroups bool, owner int, m ...[3]int) childMaps {
	return childMaps{UID: ids(m...), GID: ids(m...), Setgroups: setgroups, Owner: owner}
}

// The user namespaces that children are put into.
var (
	remapped = sameMaps(true, 0, [3]int{0, 100000, 1000})
	// Numbers for the global root and for two users, under their own names.
	// Whoever owns it is not root.
	partial = sameMaps(true, 1000, [3]int{0, 0, 1}, [3]int{1000, 1000, 2})
	// What an unprivileged user gets without helpers: one id, and no setgroups.
	rootless = sameMaps(false, 1000, [3]int{0, 1000, 1})
	// setgroups is denied to somebody who is in a group.
	denied = func() childMaps {
		m := sameMaps(false, 0, [3]int{0, 0, 1}, [3]int{1000, 1000, 2})
		m.Groups = []int{1000}
		return m
	}()
	// uid 0 has no number in it.
	noRoot = func() childMaps {
		m := sameMaps(true, 0, [3]int{1000, 1000, 2}, [3]int{5, 0, 1})
		m.Start = 1000
		return m
	}()
	// In another one: its root, and another user of it.
	nested = sameMaps(true, 0, [3]int{0, 0, 1}, [3]int{1, 999, 1})
)

// asRoot skips a test that cannot have what it needs.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it makes users' processes and IPC namespaces")
	}
	if b, err := os.ReadFile("/proc/sys/user/max_user_namespaces"); err != nil || string(bytes.TrimSpace(b)) == "0" {
		t.Skipf("needs user namespaces: max_user_namespaces is %q (%v)", b, err)
	}
	m, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if own, err := ParseIDMap(m); err != nil || len(own) != 1 || own[0] != (IDExtent{0, 0, noID}) {
		t.Skip("needs the initial user namespace: other uids cannot be had here")
	}
}

// childBinary returns a copy of the test binary that every user may execute.
func childBinary(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nsinspect-reach")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "child")
	if underRace {
		// The detector's runtime does not answer any more in a child whose threads change their credentials, each for itself.
		build := exec.Command("go", "test", "-c", "-o", path, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("the children, without the race detector: %v\n%s", err, out)
		}
		return path
	}
	src, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(dst.Chmod(0o755), dst.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// as calls f with another effective uid, and all capabilities.
func as(euid int, f func() error) error {
	if errno := call(unix.SYS_SETRESUID, keep, euid, keep); errno != 0 {
		return errno
	}
	err := raise()
	if err == nil {
		err = f()
	}
	if errno := call(unix.SYS_SETRESUID, keep, 0, keep); errno != 0 {
		return errno
	}
	return err
}

// start starts a child from the thread, in the user namespaces, each within the
// one before. It returns the innermost.
func (th *thread) start(t *testing.T, path string, maps ...childMaps) *child {
	t.Helper()
	var c *child
	var m *childMaps
	owner, groups := 0, []int(nil)
	if len(maps) > 0 {
		m, owner, groups = &maps[0], maps[0].Owner, maps[0].Groups
	}
	err := th.do(func() error {
		if errno := setgroups(groups); errno != 0 {
			return errno
		}
		defer setgroups(nil)
		return as(owner, func() (err error) {
			c, err = startChild(path, m)
			return err
		})
	})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
		t.Skipf("needs user namespaces: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	for i := 1; i < len(maps); i++ {
		if c, err = c.nest(&maps[i]); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// chain reads a user namespace and the ones around it from the kernel.
func chain(t *testing.T, fd int) *UserNS {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	n := &UserNS{Inode: st.Ino}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.NS_GET_OWNER_UID, uintptr(unsafe.Pointer(&n.Owner))); errno != 0 {
		t.Fatal("NS_GET_OWNER_UID:", errno)
	}
	up, err := unix.IoctlRetInt(fd, unix.NS_GET_PARENT)
	if err == unix.EPERM {
		return n // nothing is around the initial one
	}
	if err != nil {
		t.Fatal("NS_GET_PARENT:", err)
	}
	defer unix.Close(up)
	n.Parent = chain(t, up)
	return n
}

// place is where a child lives, read from the kernel.
type place struct {
	userNS    *UserNS
	uids      IDMap
	gids      IDMap
	setgroups Setgroups
	bounding  Caps
	groups    []int // that a child has to begin with, in its own numbers
}

func placeOf(t *testing.T, pid int) place {
	t.Helper()
	dir := "/proc/" + strconv.Itoa(pid)
	var p place
	fd, err := unix.Open(dir+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(dir, err)
	}
	defer unix.Close(fd)
	p.userNS = chain(t, fd)
	for file, to := range map[string]*IDMap{"/uid_map": &p.uids, "/gid_map": &p.gids} {
		b, err := os.ReadFile(dir + file)
		if err != nil {
			t.Fatal(err)
		}
		if *to, err = ParseIDMap(b); err != nil {
			t.Fatal(dir, err)
		}
	}
	b, err := os.ReadFile(dir + "/setgroups")
	if err != nil {
		t.Fatal(err)
	}
	if p.setgroups = ParseSetgroups(b); p.setgroups == SetgroupsUnknown {
		t.Fatalf("setgroups: %q", b)
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := bytes.Cut(status, []byte("CapBnd:\t"))
	bnd, err := strconv.ParseUint(string(after[:16]), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	p.bounding = Caps(bnd)
	_, after, _ = bytes.Cut(status, []byte("Groups:"))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	for _, f := range bytes.Fields(line) {
		g, err := strconv.ParseUint(string(f), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		in, ok := p.gids.Inside(uint32(g))
		if !ok {
			t.Fatalf("group %d has no number inside", g)
		}
		p.groups = append(p.groups, int(in))
	}
	return p
}

// cred is a child's credentials as the reader of /proc would have them.
func (p *place) cred(t *testing.T, c *childCred) Cred {
	t.Helper()
	uid := func(inside int) uint32 {
		id, ok := p.uids.Outside(uint32(inside))
		if !ok {
			t.Fatalf("uid %d has no number outside", inside)
		}
		return id
	}
	gid := func(inside int) uint32 {
		id, ok := p.gids.Outside(uint32(inside))
		if !ok {
			t.Fatalf("gid %d has no number outside", inside)
		}
		return id
	}
	out := Cred{
		UID: uid(c.UID), EUID: uid(c.EUID), SUID: uid(c.SUID), FSUID: uid(c.FSUID),
		GID: gid(c.GID), EGID: gid(c.EGID), SGID: gid(c.SGID), FSGID: gid(c.FSGID),
		Prm: c.Prm, Eff: c.Eff, Inh: c.Inh, Bnd: c.Bnd,
		NoNewPrivs: c.NoNewPrivs,
		UserNS:     p.userNS, UIDMap: p.uids, GIDMap: p.gids, Setgroups: p.setgroups,
	}
	for _, g := range c.Groups {
		out.Groups = append(out.Groups, gid(g))
	}
	return out
}

// insides returns the ids of a pool in the place's own numbers, and one more id
// that nothing belongs to, where there is one.
func insides(m IDMap, pool []uint32) []int {
	var out []int
	for _, id := range pool {
		if in, ok := m.Inside(id); ok {
			out = append(out, int(in))
		}
	}
	if id, ok := m.other(pool...); ok == yes {
		in, _ := m.Inside(id)
		out = append(out, int(in))
	}
	return out
}

// dockerCaps is what docker 20.10 leaves to a container.
const dockerCaps Caps = 0xa80425fb

// story is a set of credentials with a name.
type story struct {
	name string
	childCred
}

// stories returns credentials that are worth a name, and random ones.
func (p *place) stories(rng *rand.Rand, random int) []story {
	uids, gids := insides(p.uids, poolUIDs), insides(p.gids, poolGIDs)
	// The first two users and groups of the place, which may be the same.
	a, b := uids[0], uids[min(1, len(uids)-1)]
	ga, gb := gids[0], gids[min(1, len(gids)-1)]
	mayGroups := p.setgroups == SetgroupsAllow
	groups := func(g ...int) []int { return g }
	all := p.bounding
	docker := dockerCaps & all
	like := func(uid, gid int, prm, bnd Caps) childCred {
		return childCred{UID: uid, EUID: uid, SUID: uid, FSUID: uid, GID: gid, EGID: gid, SGID: gid, FSGID: gid, Prm: prm, Eff: prm, Bnd: bnd}
	}
	with := func(c childCred, change func(*childCred)) childCred {
		change(&c)
		return c
	}
	out := []story{
		{"root with everything", like(a, ga, all, all)},
		{"docker's root", like(a, ga, docker, docker)},
		{"docker with --user", like(b, gb, 0, docker)},
		{"docker with --user and no_new_privs", with(like(b, gb, 0, docker), func(c *childCred) { c.NoNewPrivs = true })},
		{"root without any capability", like(a, ga, 0, 0)},
		{"root that execve gives its capabilities back", like(a, ga, 0, docker)},
		{"root that no_new_privs denies them", with(like(a, ga, 0, docker), func(c *childCred) { c.NoNewPrivs = true })},
		{"execve gives inheritable capabilities back", with(like(a, ga, caps(capSetuid), 0), func(c *childCred) {
			c.Inh = caps(capIPCOwner, capSetuid, capFowner) & all
			c.Prm |= c.Inh & caps(capSetuid)
		})},
		{"saved uid of another user", with(like(b, gb, 0, 0), func(c *childCred) { c.SUID = a })},
		{"real uid of another user", with(like(b, gb, 0, 0), func(c *childCred) { c.UID = a })},
		{"saved uid 0 and a bounding set", with(like(b, gb, 0, docker), func(c *childCred) { c.SUID = a })},
		{"file system uid of another user", with(like(b, gb, 0, 0), func(c *childCred) { c.FSUID = a })},
		{"saved gid of another group", with(like(b, gb, 0, 0), func(c *childCred) { c.SGID = ga })},
		{"effective gid that is not the file system gid", with(like(b, gb, 0, 0), func(c *childCred) { c.EGID = ga; c.FSGID = gb })},
		{"file system gid alone in the group", with(like(b, gb, 0, 0), func(c *childCred) { c.FSGID = ga })},
		{"supplementary group", with(like(b, gb, 0, 0), func(c *childCred) { c.Groups = groups(ga) })},
		{"supplementary groups that it may leave", with(like(b, gb, caps(capSetgid), all), func(c *childCred) { c.Groups = groups(gids...) })},
		{"CAP_SETUID alone", like(b, gb, caps(capSetuid), all)},
		{"CAP_SETUID permitted, not effective", with(like(b, gb, caps(capSetuid), all), func(c *childCred) { c.Eff = 0; c.NoNewPrivs = true })},
		{"CAP_SETGID alone", like(b, gb, caps(capSetgid), caps(capSetgid))},
		{"CAP_IPC_OWNER permitted, not effective", with(like(b, gb, caps(capIPCOwner), 0), func(c *childCred) { c.Eff = 0 })},
		{"CAP_IPC_OWNER", like(b, gb, caps(capIPCOwner), 0)},
		{"CAP_SYS_ADMIN", like(b, gb, caps(capSysAdmin), 0)},
		{"CAP_DAC_READ_SEARCH", like(b, gb, caps(capDACReadSearch), 0)},
		{"CAP_DAC_OVERRIDE and CAP_FOWNER", like(b, gb, caps(capDACOverride, capFowner), 0)},
		{"CAP_SYS_PTRACE and CAP_KILL", like(b, gb, caps(capSysPtrace, capKill), 0)},
		{"CAP_SYS_PTRACE permitted, not effective", with(like(b, gb, caps(capSysPtrace, capKill), 0), func(c *childCred) { c.Eff = 0 })},
		{"CAP_SETUID that execve as root takes away", with(like(a, ga, caps(capSetuid, capSetgid), caps(capIPCOwner, capSysAdmin, capDACOverride, capFowner, capSysPtrace)), func(c *childCred) { c.Groups = groups(gb) })},
	}
	interesting := []int{capDACOverride, capDACReadSearch, capFowner, capKill, capSetgid, capSetuid, capIPCOwner, capSysPtrace, capSysAdmin}
	pick := func(from []int) int { return from[rng.IntN(len(from))] }
	for i := range random {
		c := childCred{
			UID: pick(uids), EUID: pick(uids), SUID: pick(uids), FSUID: pick(uids),
			GID: pick(gids), EGID: pick(gids), SGID: pick(gids), FSGID: pick(gids),
			NoNewPrivs: rng.IntN(3) == 0,
		}
		for _, n := range interesting {
			if rng.IntN(4) == 0 {
				c.Prm |= caps(n)
			}
			if rng.IntN(3) == 0 {
				c.Bnd |= caps(n)
			}
			if rng.IntN(8) == 0 {
				c.Inh |= caps(n)
			}
		}
		c.Prm, c.Bnd, c.Inh = c.Prm&all, c.Bnd&all, c.Inh&all
		c.Eff = c.Prm
		if rng.IntN(2) == 0 {
			c.Eff &= Caps(rng.Uint64())
		}
		for _, g := range gids {
			if mayGroups && rng.IntN(3) == 0 {
				c.Groups = append(c.Groups, g)
			}
		}
		out = append(out, story{fmt.Sprintf("random %d", i), c})
	}
	if !mayGroups {
		for i := range out {
			out[i].Groups = p.groups
		}
	}
	return out
}

// newMove is a move that keeps what it is not told to change.
func newMove() move { return move{GID: keep, UID: keep} }

// everyMove returns all the ways in which a child may try to change itself: any
// uid and any gid that may matter, or none, with and without leaving its groups
// if it is in any. None of the rules is asked: the kernel refuses what it refuses.
func (p *place) everyMove(groups bool) []move {
	drops := []bool{false}
	if groups {
		drops = []bool{false, true}
	}
	var out []move
	for _, uid := range append([]int{keep}, insides(p.uids, poolUIDs)...) {
		for _, gid := range append([]int{keep}, insides(p.gids, poolGIDs)...) {
			for _, drop := range drops {
				out = append(out, move{Raise: true, Drop: drop, GID: gid, UID: uid})
			}
		}
	}
	return out
}

// move gives the model's steps in the place's own numbers.
func (p *place) move(t *testing.T, s Steps) move {
	t.Helper()
	m := newMove()
	m.Raise, m.Drop = s.Raise, s.DropGroups
	if s.SetUID {
		in, ok := p.uids.Inside(s.UID)
		if !ok {
			t.Fatalf("the model takes uid %d, which has no number", s.UID)
		}
		m.UID = int(in)
	}
	if s.SetGID {
		in, ok := p.gids.Inside(s.GID)
		if !ok {
			t.Fatalf("the model takes gid %d, which has no number", s.GID)
		}
		m.GID = int(in)
	}
	return m
}

// outcomes is what the kernel said of one set of credentials.
type outcomes struct {
	now    []byte           // as the credentials are
	ever   []byte           // after any move that was not refused
	by     map[Steps][]byte // after the model's own steps; nil when one was refused
	refuse map[Steps]string // why it was
	moves  int              // tried
}

// askAll has a child try everything: as it is, after every move, and after the
// steps that the model has named.
func (p *place) askAll(t *testing.T, c *child, s *story, named []Steps, req childRequest) outcomes {
	t.Helper()
	out := outcomes{by: map[Steps][]byte{}, refuse: map[Steps]string{}}
	ask := func(exec, prepare bool, base *childCred, moves []move) []moved {
		r := req
		r.Base, r.Exec, r.Prepare, r.Moves = base, exec, prepare, moves
		reply, err := c.ask(r)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if len(reply.Moves) != len(moves) {
			t.Fatalf("%s: %d answers to %d moves", s.name, len(reply.Moves), len(moves))
		}
		out.moves += len(moves)
		return reply.Moves
	}
	base := &s.childCred

	moves := append([]move{newMove()}, p.everyMove(len(base.Groups) > 0)...)
	first := len(moves)
	var direct, execs []Steps
	for _, st := range named {
		if st.Exec {
			execs = append(execs, st)
			continue
		}
		direct = append(direct, st)
		moves = append(moves, p.move(t, st))
	}
	var all []moved
	all = append(all, ask(false, false, base, moves)...)
	for i, st := range direct {
		out.by[st], out.refuse[st] = all[first+i].Bits, all[first+i].Refused
	}
	out.now = all[0].Bits

	// The kernel's word on execve as uid 0, too: also where the model says that
	// it gives nothing.
	if (base.Bnd|base.Inh)&^base.Prm != 0 {
		loses := base.losesByExec()
		after := p.everyMove(len(base.Groups) > 0)
		if loses {
			// Each of these is a process of its own.
			after = after[:min(len(after), 12)]
		}
		first := len(after)
		for _, st := range execs {
			after = append(after, p.move(t, st))
		}
		got := ask(true, loses, base, after)
		for i, st := range execs {
			out.by[st], out.refuse[st] = got[first+i].Bits, got[first+i].Refused
		}
		all = append(all, got...)
	} else if len(execs) > 0 {
		t.Errorf("%s: the model gains by execve what is there already", s.name)
	}

	for _, m := range all {
		if m.Refused != "" {
			continue
		}
		if out.ever == nil {
			out.ever = make([]byte, len(m.Bits))
		}
		for i, b := range m.Bits {
			if b == badOutcome {
				t.Fatalf("%s: attempt %d failed in a way that is neither yes nor no; if it is a POSIX queue, then it was removed where the model says no", s.name, i)
			}
			out.ever[i] |= b
		}
	}
	return out
}

// disagreements fails a test once for each, but not for thousands.
type disagreements struct{ n int }

func (d *disagreements) add(t *testing.T, format string, args ...any) {
	t.Helper()
	if d.n++; d.n <= 25 {
		t.Errorf("model and kernel disagree: "+format, args...)
	}
}

// count says how much was tried.
type count struct{ combinations, attempts, now, after, no int }

func (n *count) add(s State) {
	n.combinations++
	switch s {
	case Now:
		n.now++
	case AfterSetuid:
		n.after++
	case No:
		n.no++
	}
}

func (n count) String() string {
	return fmt.Sprintf("%d combinations (%d now, %d after_setuid, %d no), %d attempts by children", n.combinations, n.now, n.after, n.no, n.attempts)
}

func (n *count) merge(m count) {
	n.combinations += m.combinations
	n.attempts += m.attempts
	n.now += m.now
	n.after += m.after
	n.no += m.no
}

// stepsOf collects the steps that grants take.
func stepsOf(grants ...Grant) []Steps {
	var out []Steps
	for _, g := range grants {
		if g.State == AfterSetuid && !slices.Contains(out, g.Steps) {
			out = append(out, g.Steps)
		}
	}
	return out
}
