//go:build amd64 || arm64

package ipc

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// settledVictim is one thread that waits to be signalled and looked into.
type settledVictim struct {
	victim
	target Target
	owner  [2]uint32 // of its files in /proc
	where  string
}

// TestSignalAndPtraceAgainstKernel has children with all kinds of credentials,
// in several user namespaces, try to signal threads with all kinds of credentials, and
// to look into their memory in each of the three ways, and compares every single
// outcome with the model.
func TestSignalAndPtraceAgainstKernel(t *testing.T) {
	asRoot(t)
	path := childBinary(t)
	yama := YamaClassic
	if b, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil {
		if yama = ParseYama(b); yama != YamaClassic {
			t.Skipf("needs /proc/sys/kernel/yama/ptrace_scope to be 0, not %q", b)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	th := newThread()
	t.Cleanup(th.stop)
	rng := rand.New(rand.NewPCG(4, 6))

	residents := []struct {
		name string
		maps []childMaps
	}{
		{"host", nil},
		{"remapped", []childMaps{remapped}},
		{"partial", []childMaps{partial}},
		{"rootless", []childMaps{rootless}},
		{"no uid 0", []childMaps{noRoot}},
		{"nested", []childMaps{remapped, nested}},
	}
	var victims []settledVictim
	for _, r := range residents {
		for _, dumpable := range []int{0, 1} {
			c := th.start(t, path, r.maps...)
			p := placeOf(t, c.pid)
			victims = append(victims, p.settle(t, c, rng, r.name, dumpable)...)
		}
	}

	var signals, ptraces count
	ask := func(t *testing.T, c *child, victims []settledVictim) {
		m := ptraceMatrix{p: placeOf(t, c.pid), c: c, victims: victims, yama: yama}
		for _, s := range m.p.stories(rng, 6) {
			m.story(t, &s)
		}
		t.Logf("signals: %v", m.signals)
		t.Logf("memory: %v", m.ptraces)
		signals.merge(m.signals)
		ptraces.merge(m.ptraces)
	}
	for _, r := range residents {
		t.Run(r.name+" to all", func(t *testing.T) { ask(t, th.start(t, path, r.maps...), victims) })
	}
	// The victims above are in user namespaces of their own, but for the host's.
	// These are where the caller is, in another process, or in a namespace below.
	for _, near := range []struct {
		name   string
		caller childMaps
		victim childMaps
	}{
		{"remapped to its neighbours", remapped, childMaps{Same: true}},
		{"partial to its neighbours", partial, childMaps{Same: true}},
		{"rootless to its neighbours", rootless, childMaps{Same: true}},
		{"no uid 0 to its neighbours", noRoot, childMaps{Same: true}},
		{"remapped to a container within", remapped, nested},
	} {
		t.Run(near.name, func(t *testing.T) {
			c := th.start(t, path, near.caller)
			var victims []settledVictim
			for _, dumpable := range []int{0, 1} {
				v, err := c.nest(&near.victim)
				if err != nil {
					t.Fatal(err)
				}
				p := placeOf(t, v.pid)
				victims = append(victims, p.settle(t, v, rng, near.name, dumpable)...)
			}
			ask(t, c, victims)
		})
	}
	t.Logf("altogether, signals: %v", signals)
	t.Logf("altogether, memory: %v", ptraces)
	if !t.Failed() && signals.combinations+ptraces.combinations < 3000 {
		t.Errorf("only %d combinations", signals.combinations+ptraces.combinations)
	}
}

// settle has a child put threads up, and reads of /proc what the model is given.
func (p *place) settle(t *testing.T, c *child, rng *rand.Rand, where string, dumpable int) []settledVictim {
	t.Helper()
	var creds []childCred
	for _, s := range p.stories(rng, 0) {
		switch s.name {
		case "root with everything", "docker's root", "docker with --user", "saved uid of another user",
			"real uid of another user", "saved gid of another group", "CAP_SETUID alone":
			creds = append(creds, s.childCred)
		}
	}
	reply, err := c.ask(childRequest{Settle: creds, Dumpable: dumpable})
	if err != nil {
		t.Fatal(err)
	}
	var out []settledVictim
	for i, tid := range reply.TIDs {
		cred := p.cred(t, &creds[i])
		v := settledVictim{
			victim: victim{TID: tid, Address: reply.Address},
			target: Target{Cred: cred, Dumpable: DumpableNo, MMUserNS: p.userNS},
			where:  where,
		}
		if dumpable == 1 {
			v.target.Dumpable = DumpableYes
		}
		var st unix.Stat_t
		if err := unix.Stat("/proc/"+strconv.Itoa(tid)+"/mem", &st); err != nil {
			t.Fatal(err)
		}
		v.owner = [2]uint32{st.Uid, st.Gid}
		if seen := DumpableFrom(st.Uid, st.Gid, cred); seen != DumpableUnknown && seen != v.target.Dumpable {
			t.Errorf("%s: files of %d:%d say that %+v is dumpable: %v, but it is: %v", where, st.Uid, st.Gid, cred, seen, v.target.Dumpable)
		}
		out = append(out, v)
	}
	return out
}

type ptraceMatrix struct {
	p       place
	c       *child
	victims []settledVictim
	yama    Yama
	signals count
	ptraces count
	wrong   disagreements
}

func (m *ptraceMatrix) story(t *testing.T, s *story) {
	t.Helper()
	cred := m.p.cred(t, &s.childCred)
	signals := make([]Grant, len(m.victims))
	ptraces := make([]Grant, len(m.victims))
	var steps []Steps
	var req childRequest
	for i := range m.victims {
		v := &m.victims[i]
		signals[i] = Signal(cred, v.target)
		ptraces[i] = Ptrace(cred, v.target, m.yama)
		for _, st := range stepsOf(signals[i], ptraces[i]) {
			if !slices.Contains(steps, st) {
				steps = append(steps, st)
			}
		}
		req.Victims = append(req.Victims, v.victim)
	}
	got := m.p.askAll(t, m.c, s, steps, req)
	m.signals.attempts += got.moves * len(m.victims)
	m.ptraces.attempts += 2 * got.moves * len(m.victims)

	// Attaching takes longer, and changes the victim for a moment.
	seize := childRequest{Base: &s.childCred, Moves: []move{newMove()}, Victims: slices.Clone(req.Victims)}
	for i := range seize.Victims {
		seize.Victims[i].Seize = true
	}
	reply, err := m.c.ask(seize)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	m.ptraces.attempts += len(m.victims)

	for i := range m.victims {
		v := &m.victims[i]
		for _, what := range []struct {
			name string
			g    Grant
			bits byte
			n    *count
		}{
			{"signal", signals[i], bitKill, &m.signals},
			{"memory", ptraces[i], bitReadv | bitMem, &m.ptraces},
		} {
			what.n.add(what.g.State)
			is, can := got.now[i]&what.bits != 0, got.ever[i]&what.bits != 0
			if is != (what.g.State == Now) || can != (what.g.State >= AfterSetuid) {
				m.wrong.add(t, "%s, %s of %s: model says %v via %s, kernel says now %v, after every move %v\n\tcaller %+v\n\ttarget %+v",
					s.name, what.name, v.where, what.g.State, what.g.Via, is, can, cred, v.target)
			}
			if what.g.State == AfterSetuid {
				by, ok := got.by[what.g.Steps]
				if why := got.refuse[what.g.Steps]; why != "" || !ok || by[i]&what.bits == 0 {
					m.wrong.add(t, "%s, %s of %s: the model's steps %+v do not lead there %s\n\tcaller %+v\n\ttarget %+v",
						s.name, what.name, v.where, what.g.Steps, why, cred, v.target)
				}
			}
		}
		m.ways(t, s, &cred, v, got.now[i], reply.Moves[0].Bits[i])
		m.lessKnown(t, s, cred, v, signals[i], ptraces[i])
	}
}

// ways holds each way to the memory against the check that it ends in.
func (m *ptraceMatrix) ways(t *testing.T, s *story, cred *Cred, v *settledVictim, now, attached byte) {
	t.Helper()
	byReal, _ := cred.mayTraceBy(&v.target, m.yama, realIDs)
	byFS, _ := cred.mayTraceBy(&v.target, m.yama, fsIDs)
	// The file has the mode 0600.
	file := answered(cred.FSUID == v.owner[0])
	file = max(file, cred.overInode(v.owner[0], v.owner[1], capDACOverride), cred.overInode(v.owner[0], v.owner[1], capDACReadSearch))
	for _, way := range []struct {
		name   string
		model  answer
		kernel bool
	}{
		{"process_vm_readv", byReal, now&bitReadv != 0},
		{"PTRACE_SEIZE", byReal, attached != badOutcome && attached&bitSeize != 0},
		{"/proc/PID/mem", both(byFS, file), now&bitMem != 0},
	} {
		if way.model == unknown || way.kernel != (way.model == yes) {
			m.wrong.add(t, "%s, %s of %s: model says %v, kernel says %v\n\tcaller %+v\n\ttarget %+v", s.name, way.name, v.where, way.model == yes, way.kernel, *cred, v.target)
		}
	}
	if attached == badOutcome {
		m.wrong.add(t, "%s: attaching to %s went wrong", s.name, v.where)
	}
}

// lessKnown judges once more with less knowledge: the answer may become
// Unknown, or AfterSetuid where it takes that to be sure, but not less and not more.
func (m *ptraceMatrix) lessKnown(t *testing.T, s *story, cred Cred, v *settledVictim, signal, ptrace Grant) {
	t.Helper()
	for _, less := range []struct {
		what   string
		change func(*Cred, *Target)
	}{
		{"dumpable", func(_ *Cred, t *Target) { t.Dumpable = DumpableUnknown }},
		{"user namespace of its memory", func(_ *Cred, t *Target) { t.MMUserNS = nil }},
		{"user namespace", func(c *Cred, _ *Target) { c.UserNS = nil }},
		{"id maps", func(c *Cred, _ *Target) { c.UIDMap, c.GIDMap = nil, nil }},
		{"the target's user namespace", func(_ *Cred, t *Target) { t.Cred.UserNS = nil }},
	} {
		c, target := cred, v.target
		less.change(&c, &target)
		if g := Signal(c, target); !weaker(g.State, signal.State) {
			m.wrong.add(t, "%s: signal to %s is %v, but %v without knowing the %s\n\tcaller %+v\n\ttarget %+v", s.name, v.where, signal.State, g.State, less.what, cred, v.target)
		}
		if g := Ptrace(c, target, m.yama); !weaker(g.State, ptrace.State) {
			m.wrong.add(t, "%s: memory of %s is %v, but %v without knowing the %s\n\tcaller %+v\n\ttarget %+v", s.name, v.where, ptrace.State, g.State, less.what, cred, v.target)
		}
	}
}

// weaker reports whether a state is what less knowledge may make of the true one.
func weaker(s, truth State) bool {
	return s == truth || s == Unknown || s == AfterSetuid && truth == Now
}
