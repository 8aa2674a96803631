package engines

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Containers come and go while nsinspect scans without pause: each scan must
// have the long-lived exposed ones right, and say nothing wrong of the others in
// whatever half-made state it meets them.
func TestChurn(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	l := newLab(t, "churn", "/usr/sbin/dockerd", "/usr/bin/docker", "runc")
	d := startDocker(l)
	b := newBundles(l, "runc")

	d.start("long-lived-ipc-host", "--ipc=host")
	d.start("long-lived-pid-host", "--pid=host")
	d.start("long-lived-private")
	b.start("long-lived", "", nil)
	lasting := append(d.containers(), b.containers()...)
	for i := range lasting {
		lasting[i].exact = false // they are exec'ed into
	}
	p := passing{lasting: lasting, said: map[string]map[string]int{}}

	const viaDocker, viaRunc = 50, 150
	var wg sync.WaitGroup
	var stop atomic.Bool
	churn := func(n int, one func(i int) error) {
		wg.Go(func() {
			for i := range n {
				if stop.Load() {
					return
				}
				if err := one(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	churn(viaDocker, func(i int) error {
		name := fmt.Sprintf("short-lived-%d", i)
		id, err := d.try(slices.Concat([]string{"run", "-d", "--net=none", "--name", name, imageName}, payload)...)
		if err != nil {
			return err
		}
		p.add(id)
		steps := [][]string{
			{"exec", name, "/bin/true"},
			{"exec", "long-lived-ipc-host", "/bin/true"},
			{"exec", "long-lived-private", "/bin/true"},
			{"rm", "-f", name},
		}
		for _, s := range steps {
			if _, err := d.try(s...); err != nil {
				return err
			}
		}
		return nil
	})
	b.writeBundle("short-lived", "", namespaces{{Type: "ipc"}, {Type: "pid"}})
	for worker := range 2 {
		churn(viaRunc/2, func(i int) error {
			id := b.id(fmt.Sprintf("short-lived-%d-%d", worker, i))
			p.add(id)
			for _, s := range [][]string{
				{"runc", "run", "-d", "-b", b.path("bundle-short-lived"), id},
				{"runc", "exec", id, "/bin/true"},
				{"runc", "exec", b.id("long-lived"), "/bin/true"},
				{"runc", "delete", "-f", id},
			} {
				if _, err := l.try(s...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()

	scans := 0
	started := time.Now()
	for churning := true; churning; scans++ {
		select {
		case <-done:
			churning = false
		default:
		}
		r, code := l.scan()
		if code != 1 {
			t.Errorf("scan %d: exit code %d", scans, code)
		}
		for _, c := range lasting {
			checkContainer(t, r, lasting, c)
		}
		p.see(r)
		if t.Failed() {
			stop.Store(true)
			break
		}
	}
	<-done
	met := p.judge(t)
	t.Logf("%d scans in %s met %d of %d short-lived containers", scans, time.Since(started).Round(time.Second), met, viaDocker+viaRunc)
	if !t.Failed() && (met < (viaDocker+viaRunc)/10 || scans < 20) {
		t.Errorf("%d scans met %d short-lived containers: too few to have tested anything", scans, met)
	}
}

// passing is what comes and goes, and what was said of it. A scan may meet a
// container before its engine has told us its id, so it is judged at the end.
type passing struct {
	lasting []truth
	mu      sync.Mutex
	ids     []string
	said    map[string]map[string]int // by a container's id: what is wrong, how often; "" for nothing wrong
}

func (p *passing) add(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids = append(p.ids, id)
}

// see notes everything that is wrong in a report, of ours or not.
func (p *passing) see(r *report.Report) {
	say := func(id, format string, args ...any) {
		if p.said[id] == nil {
			p.said[id] = map[string]int{}
		}
		p.said[id][fmt.Sprintf(format, args...)]++
	}
	mine := descendants(os.Getppid())
	for i := range r.Containers {
		c := &r.Containers[i]
		if slices.ContainsFunc(p.lasting, func(x truth) bool { return x.id == c.ID }) {
			continue
		}
		say(c.ID, "")
		if slices.ContainsFunc(c.PIDs, func(pid int) bool { return slices.Contains(mine, pid) }) {
			say(c.ID, "invented: %s, cgroup %s", c.Ref, c.Cgroup)
		}
		for kind, ns := range map[string]report.Namespace{"ipc": c.IPC, "pid": c.PID} {
			if ns.State != report.StatePrivate || len(ns.Strays) > 0 || len(ns.With) > 0 {
				say(c.ID, "%s is %s, strays %v, with %v", kind, ns.State, ns.Strays, ns.With)
			}
		}
		if c.Exposed {
			say(c.ID, "exposed")
		}
	}
	for _, f := range r.Findings {
		_, id, _ := strings.Cut(f.Subject, ":")
		say(id, "false finding: %s %+v", f.Rule, f.Evidence)
	}
}

// judge reports what was said of ours, and returns how many of ours were seen.
func (p *passing) judge(t *testing.T) (met int) {
	t.Helper()
	for id, said := range p.said {
		ours := slices.Contains(p.ids, id)
		if ours {
			met++
		}
		for what, times := range said {
			// An id that nobody has told us, of processes that are ours, was made up.
			if invented := strings.HasPrefix(what, "invented"); what != "" && invented != ours {
				t.Errorf("%s: %s (%d times)", id, what, times)
			}
		}
	}
	return met
}
