package engines

import (
	"fmt"
	"slices"
	"strings"
	"sync"
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
	before, _ := l.scan()

	const viaDocker, viaRunc = 50, 150
	var wg sync.WaitGroup
	churn := func(n int, one func(i int) error) {
		wg.Go(func() {
			for i := range n {
				if err := one(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	churn(viaDocker, func(i int) error {
		name := fmt.Sprintf("short-lived-%d", i)
		steps := [][]string{
			slices.Concat([]string{"run", "-d", "--net=none", "--name", name, imageName}, payload),
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

	scans, met := 0, map[string]bool{}
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
		checkPassing(t, before, r, lasting, met)
		if t.Failed() {
			break
		}
	}
	<-done
	t.Logf("%d scans in %s met %d of %d short-lived containers", scans, time.Since(started).Round(time.Second), len(met), viaDocker+viaRunc)
	if len(met) < (viaDocker+viaRunc)/10 || scans < 20 {
		t.Errorf("%d scans met %d short-lived containers: too few to have tested anything", scans, len(met))
	}
}

// checkPassing looks for anything wrong that is said of what comes and goes.
func checkPassing(t *testing.T, before, r *report.Report, lasting []truth, met map[string]bool) {
	t.Helper()
	for i := range r.Containers {
		c := &r.Containers[i]
		if slices.ContainsFunc(lasting, func(x truth) bool { return x.id == c.ID }) || find(before, c.Runtime, c.ID) != nil {
			continue
		}
		if c.Runtime != "docker" && !strings.Contains(c.ID, "short-lived") {
			t.Errorf("invented: %s, cgroup %s", c.Ref, c.Cgroup)
		}
		met[c.ID] = true
		for kind, ns := range map[string]report.Namespace{"ipc": c.IPC, "pid": c.PID} {
			if ns.State != report.StatePrivate || len(ns.Strays) > 0 || len(ns.With) > 0 {
				t.Errorf("%s: %s is %s, strays %v, with %v", c.Ref, kind, ns.State, ns.Strays, ns.With)
			}
		}
		if c.Exposed {
			t.Errorf("%s: exposed", c.Ref)
		}
	}
	for _, f := range r.Findings {
		known := func(g report.Finding) bool { return g.Rule == f.Rule && g.Subject == f.Subject }
		if !slices.ContainsFunc(before.Findings, known) {
			t.Errorf("false finding: %s %s %+v", f.Rule, f.Subject, f.Evidence)
		}
	}
	for _, g := range r.Coverage.Gaps {
		if g.Decides {
			t.Errorf("gap: %+v", g)
		}
	}
}
