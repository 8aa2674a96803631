package nsinspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/internal/parallel"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// survey is everything that was read of one host.
type survey struct {
	fs        *proc.FS
	opt       Options
	types     []string             // of the namespaces to look for
	found     *namespace.Inventory // nil before it was taken
	started   time.Time
	cgroups   []string // the distinct contents, for the mode of the host
	facts     container.Facts
	judgement *container.Judgement
	lost      map[string]bool  // containers; see ended
	native    int              // a process that sees the host's files; 0 if none could be read
	covered   map[int][]string // files of processes that something is mounted over, by PID; see covered.go

	mu         sync.Mutex
	vanished   int
	unreadable map[int][]*proc.Error
	gaps       []report.Gap // that are about no process
}

// secondLook is the pause before a process that looks exposed and has just
// started is read again, and secondLooks is how often at most: together longer
// than a runtime takes to put its process into its namespaces.
const (
	secondLook  = 100 * time.Millisecond
	secondLooks = 50
)

// take reads a host: the hot pass, the cold pass, and again what was too young.
// types are the types of namespaces that will be asked for; ipc and pid when there are none.
func take(ctx context.Context, src Source, opt Options, types ...string) (_ *survey, err error) {
	s := &survey{opt: opt, types: types, started: time.Now(), unreadable: map[int][]*proc.Error{}}
	if s.fs, err = src.open(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.facts.Baseline, err = namespace.FindBaseline(ctx, s.fs, opt.Baseline); err != nil {
		return nil, err
	}
	if !s.fs.Procfs() {
		s.facts.Baseline.Note = strings.TrimPrefix(s.facts.Baseline.Note+"; "+s.fs.Path()+" is not a live procfs", "; ")
	}
	lost := map[string]int{} // by container
	for n := 1; ; n++ {
		if err := s.pass(ctx); err != nil {
			return nil, err
		}
		for ref := range s.evaded() {
			lost[ref]++
		}
		if settled(lost, n) {
			break
		}
	}
	s.gaps = append(s.gaps, evasions(lost)...)
	if !opt.Deep {
		if err := s.findMembersThreads(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// pass reads everything once: the hot pass, the cold pass, and again what was too young.
func (s *survey) pass(ctx context.Context) error {
	s.progress("reading the processes")
	last := s.fs.LastPID()
	snapshot, err := s.fs.Scan(ctx)
	if err != nil {
		return err
	}
	s.unreadable, s.gaps, s.found, s.lost = map[int][]*proc.Error{}, nil, nil, map[string]bool{}
	s.findCovers()
	s.accept(snapshot)
	s.chase(ctx, last)
	s.findHost(ctx)
	s.facts.States = s.states(ctx)
	if s.opt.Deep {
		if err := s.findThreads(ctx); err != nil {
			return err
		}
	}
	s.progress("reading the containers")
	if err := s.settle(ctx); err != nil {
		return err
	}
	for range secondLooks {
		again := s.judgement.Suspects(&s.facts)
		if len(again) == 0 {
			break
		}
		s.progress("looking again at processes that have just started")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(secondLook):
		}
		s.visit(ctx, again)
		if err := s.settle(ctx); err != nil {
			return err
		}
	}
	return s.confirm(ctx)
}

func (s *survey) close() { s.fs.Close() }

func (s *survey) progress(what string) {
	if s.opt.Progress != nil {
		s.opt.Progress(what)
	}
}

// accept takes over what the hot pass read.
func (s *survey) accept(snapshot *proc.Snapshot) {
	s.vanished = snapshot.Vanished
	s.cgroups = snapshot.Cgroups
	for _, e := range snapshot.Errors {
		s.unreadable[e.PID] = append(s.unreadable[e.PID], e)
	}
	s.facts.Processes = make([]container.Process, len(snapshot.Records))
	for i, r := range snapshot.Records {
		s.facts.Processes[i].Record = s.believed(r)
	}
	s.facts.Identities = make([]container.Identity, len(snapshot.Cgroups))
	for i, content := range snapshot.Cgroups {
		s.facts.Identities[i] = container.Identify(content)
		if err := s.checkCgroup(content); err != nil {
			for _, r := range snapshot.Records {
				if r.Cgroup == int32(i) {
					s.unreadable[r.PID] = append(s.unreadable[r.PID], badCgroup(r.PID, err))
				}
			}
		}
	}
}

// checkCgroup returns an error for the content of a cgroup file that is not the
// kernel's. Only where no hierarchy is mounted is the file empty, and then it is so for all
// processes (kernel/cgroup/cgroup.c, proc_cgroup_show); else something was put over it.
func (s *survey) checkCgroup(content string) error {
	if content == "" && slices.ContainsFunc(s.cgroups, func(c string) bool { return c != "" }) {
		return errors.New("empty, where those of other processes are not")
	}
	_, err := cgroup.Parse([]byte(content))
	return err
}

// badCgroup is the gap of a process whose cgroup file has lines that are not the kernel's.
func badCgroup(pid int, err error) *proc.Error {
	return &proc.Error{PID: pid, File: "cgroup", Kind: proc.BadData, Err: err}
}

// settle visits what the judgement asks for until it asks for nothing, and judges.
func (s *survey) settle(ctx context.Context) error {
	for {
		visits := s.facts.Wanted()
		if len(visits) == 0 {
			s.facts.Now = s.uptime()
			s.judgement = container.Judge(&s.facts)
			return nil
		}
		s.visit(ctx, visits)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// visit reads processes anew and replaces what was known of them. Those that
// have ended meanwhile are forgotten.
func (s *survey) visit(ctx context.Context, visits []container.Visit) {
	details := make([]*proc.Detail, len(visits))
	failures := make([]error, len(visits))
	parallel.Each(len(visits), func(i int) { details[i], failures[i] = s.look(ctx, visits[i].PID, visits[i].Want) })

	gone := map[int]bool{}
	for i, v := range visits {
		switch err := failures[i]; {
		case err == nil:
			s.unreadable[v.PID] = details[i].Errors
			if details[i].Zombie {
				s.ended(s.facts.Find(v.PID))
			}
			unread := slices.ContainsFunc(details[i].Errors, func(e *proc.Error) bool { return strings.HasSuffix(e.File, "cgroup") })
			if err := s.checkCgroup(details[i].Cgroup); err != nil && !unread {
				s.unreadable[v.PID] = append(s.unreadable[v.PID], badCgroup(v.PID, err))
			}
			s.facts.Apply(details[i], v.Want)
		case proc.KindOf(err) == proc.Gone:
			gone[v.PID] = true
			s.ended(s.facts.Find(v.PID))
			delete(s.unreadable, v.PID)
		default:
			var e *proc.Error
			if !errors.As(err, &e) {
				e = &proc.Error{PID: v.PID, Kind: proc.KindOf(err), Err: err}
			}
			s.unreadable[v.PID] = append(s.unreadable[v.PID], e)
			s.facts.GiveUp(v)
		}
	}
	s.vanished += len(gone)
	s.facts.Forget(gone)
}

// findHost reads what tells a process with a root or a /dev/shm of its own from
// the host's: from PID 1, or else from a process in the baseline's mount
// namespace. A kernel thread will not do: its root can be the initial RAM disk.
func (s *survey) findHost(ctx context.Context) {
	f := &s.facts
	f.Self = s.fs.Self()
	for _, pid := range s.natives() {
		d, err := s.fs.Visit(ctx, pid, proc.WantRoot|proc.WantMountInfo)
		if err != nil || s.covered[pid] != nil || d.KernelThread || d.Root == (proc.FileID{}) || d.MountInfo == nil {
			continue
		}
		f.HostRoot, f.HostShm = d.Root, container.DevShm(d.MountInfo)
		s.native = pid
		return
	}
	s.gaps = append(s.gaps, report.Gap{File: "root", Error: "no process shows the root directory and the mounts of the host: sandboxes that differ in their root alone are not found, nor whose /dev/shm is the host's"})
}

// natives returns processes that see the host's files, the best first.
func (s *survey) natives() []int {
	const enough = 32
	b := s.facts.Baseline
	pids := []int{1}
	if b.From == namespace.FromFlag {
		pids = nil
	}
	if b.PID > 2 {
		pids = append(pids, b.PID)
	}
	if p := s.facts.Find(s.facts.Self); p != nil && b.Mnt != 0 && p.Mnt == b.Mnt {
		pids = append(pids, p.PID)
	}
	for i := range s.facts.Processes {
		if p := &s.facts.Processes[i]; b.Mnt != 0 && p.Mnt == b.Mnt && p.PID > 2 && len(pids) < enough {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// coverage tells what was read and what was not.
func (s *survey) coverage() report.Coverage {
	c := report.Coverage{Processes: len(s.facts.Processes), Vanished: s.vanished}
	unreadable, general := s.missed()
	pids := make([]int, 0, len(unreadable))
	for pid, errs := range unreadable {
		if len(errs) > 0 {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range pids {
		c.Unreadable++
		for _, e := range unreadable[pid] {
			// A thread that could not be read may be in a namespace of the host's while its process is not.
			thread := strings.HasPrefix(e.File, "task") && s.judgement.Of(pid).Role == container.RolePayload
			c.Gaps = append(c.Gaps, report.Gap{PID: pid, File: e.File, Error: gapText(e), Decides: e.File == "cgroup" || e.File == "" || thread})
		}
	}
	c.Gaps = slices.Concat(c.Gaps, s.judgement.Gaps, general, s.gaps)
	c.Complete = len(c.Gaps) == 0
	return c
}

func gapText(e *proc.Error) string {
	text := e.Kind.String()
	if e.Kind == proc.Failed || e.Kind == proc.BadData {
		text = fmt.Sprintf("%s: %v", text, e.Err)
	}
	return report.Text(text)
}
