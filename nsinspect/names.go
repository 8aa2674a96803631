package nsinspect

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// namesDeadline bounds the reading of all names together: they are a decoration.
const namesDeadline = 10 * time.Second

// declared is what the files of the engines say of one container, and which files that were.
type declared struct {
	names    container.Names
	evidence []report.Evidence
}

// names reads what the engines have written down of the containers: this is the
// only part of a scan that reads a disk. What cannot be read is a gap that decides nothing.
func (s *survey) names(ctx context.Context) map[string]declared {
	out := map[string]declared{}
	if s.opt.NoNames {
		return out
	}
	s.progress("reading the names of the containers")
	ctx, cancel := context.WithTimeout(ctx, namesDeadline)
	defer cancel()
	keepers := s.judgement.Keepers
	found, storages := make([]declared, len(keepers)), &storages{}
	next, group := make(chan int), sync.WaitGroup{}
	for range min(runtime.GOMAXPROCS(0), len(keepers)) {
		group.Go(func() {
			for i := range next {
				found[i] = s.namesOf(ctx, keepers[i], storages)
			}
		})
	}
	for i := range keepers {
		next <- i
	}
	close(next)
	group.Wait()
	for i, k := range keepers {
		out[k.Ref] = found[i]
	}
	return out
}

// decorate puts the names on the containers of a report. It comes after the
// audit, so that nothing an engine or a user has written down decides a finding.
func decorate(r *Report, names map[string]declared) {
	for i := range r.Containers {
		c := &r.Containers[i]
		d := names[c.Ref]
		d.names.Decorate(c)
		c.Evidence = append(c.Evidence, d.evidence...)
		if c.Name == "" && namedByID[c.Runtime] {
			c.Name = c.ID
		}
	}
}

// namedByID are the runtimes whose ids are the names that users give.
var namedByID = map[string]bool{"lxc": true, "nspawn": true}

// reading is the reading of one container's names.
type reading struct {
	*survey
	ctx     context.Context
	keeper  container.Keeper
	process *proc.Process
	out     declared
}

// namesOf reads the names of one container from the files of its keeper.
func (s *survey) namesOf(ctx context.Context, k container.Keeper, storages *storages) declared {
	r := &reading{survey: s, ctx: ctx, keeper: k}
	r.out.names.Name = k.Engine.Name
	if k.Engine.ID != k.ID {
		r.out.names.Name = "" // it is the pod's
	}
	var err error
	if r.process, err = s.fs.Process(k.PID); err != nil {
		r.gap("", err)
		return r.out
	}
	defer r.process.Close()
	switch {
	case k.Engine.Namespace != "":
		r.shim()
	case k.Engine.Bundle != "":
		r.conmon(storages)
	}
	return r.out
}

// shim reads the bundle of a container that a containerd-shim runs: the shim's
// working directory, or the one beside it when the shim is that of a pod. For docker, which
// writes no names there, it goes on to docker's own file.
func (r *reading) shim() {
	file, own := "config.json", r.keeper.Engine.ID == r.keeper.ID
	if !own {
		var ok bool
		if file, ok = container.SiblingBundle(r.keeper.ID); !ok {
			return
		}
	}
	content, err := r.read(proc.FromCwd, file, container.BundleLimit)
	if err != nil {
		// A container that something inside another one has made is a child of that one's shim too, and has no bundle there.
		if own || proc.KindOf(err) != proc.Absent {
			r.gap("", err)
		}
		return
	}
	bundle, err := container.ParseBundle(content)
	if err != nil {
		r.gap("cwd/"+file, err)
		return
	}
	r.take("cwd/"+file, bundle.Names)
	if r.keeper.Engine.Namespace != dockerNamespace {
		return
	}
	var last error
	for _, file := range container.DockerConfigs(bundle.Root, r.keeper.ID) {
		if content, last = r.read(proc.FromRoot, file, container.DockerConfigLimit); last != nil {
			if proc.KindOf(last) == proc.Absent {
				continue
			}
			break
		}
		names, err := container.ParseDockerConfig(content, r.keeper.ID)
		if err != nil {
			r.gap("root"+file, err)
			return
		}
		r.take("root"+file, names)
		return
	}
	if last != nil {
		r.gap("", last)
	}
}

// dockerNamespace is containerd's namespace for the containers of docker (moby, daemon/config).
const dockerNamespace = "moby"

// conmon reads the bundle of a container of podman's or CRI-O's, and the index
// of podman's storage, which the bundle is in.
func (r *reading) conmon(storages *storages) {
	file := path.Join(r.keeper.Engine.Bundle, "config.json")
	content, err := r.read(proc.FromRoot, file, container.BundleLimit)
	if err != nil {
		r.gap("", err)
		return
	}
	bundle, err := container.ParseBundle(content)
	if err != nil {
		r.gap("root"+file, err)
		return
	}
	if bundle.Name != "" {
		r.out.names.Name = "" // of CRI-O's containers: all of the pod's put together
	}
	r.take("root"+file, bundle.Names)
	index, ok := container.StorageOf(r.keeper.Engine.Bundle, r.keeper.ID)
	if !ok || bundle.Image != "" {
		return
	}
	names, err := storages.of(r.place()+index, func() (map[string]container.Names, error) {
		content, err := r.read(proc.FromRoot, index, container.StorageLimit)
		if err != nil {
			return nil, err
		}
		return container.ParseStorage(content)
	})
	switch n, ok := names[r.keeper.ID]; {
	case ok:
		r.take("root"+index, n)
	case err != nil && proc.KindOf(err) != proc.Absent: // CRI-O's is elsewhere
		r.gap("root"+index, err)
	}
}

// place names the mount namespace that the keeper's paths are in.
func (r *reading) place() string {
	if p := r.facts.Find(r.keeper.PID); p != nil {
		return fmt.Sprintf("mnt:[%d]", p.Mnt)
	}
	return ""
}

func (r *reading) read(from proc.Origin, file string, limit int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.fs.Deadline)
	defer cancel()
	content, _, err := r.process.ReadBelow(ctx, from, file, limit)
	return content, err
}

// take accepts what a file says, and notes where it was said.
func (r *reading) take(file string, n container.Names) {
	said := describe(n)
	r.out.names = r.out.names.Or(n)
	if said == "" {
		return
	}
	why := "written down by the engine; it decides nothing"
	if r.keeper.Inside != "" {
		why = "a claim from inside " + r.keeper.Inside + "; it decides nothing"
	}
	r.out.evidence = append(r.out.evidence, report.Evidence{
		What: report.Text(fmt.Sprintf("/proc/%d/%s", r.keeper.PID, file)), Value: report.Text(said), Expected: why,
	})
}

// describe says in one line what a file tells of a container.
func describe(n container.Names) string {
	var parts []string
	add := func(what, text string) {
		if text != "" {
			parts = append(parts, what+" "+text)
		}
	}
	add("name", n.Name)
	add("image", n.Image)
	pod := n.Pod.Name
	if n.Pod.Namespace != "" {
		pod = n.Pod.Namespace + "/" + pod
	}
	add("pod", pod)
	add("pod uid", n.Pod.UID)
	return strings.Join(parts, ", ")
}

// gap notes what could not be read of a container that is still there.
func (r *reading) gap(file string, err error) {
	g := report.Gap{PID: r.keeper.PID, File: file, Error: "the names of " + r.keeper.Ref + ": " + err.Error()}
	var e *proc.Error
	if errors.As(err, &e) {
		g.File, g.Error = e.File, "the names of "+r.keeper.Ref+": "+gapText(e)
	}
	g.File, g.Error = report.Text(g.File), report.Text(g.Error)
	if r.ended() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaps = append(r.gaps, g)
}

// ended tells that the container, or its keeper, is no more: an engine removes the
// files before a scan has read them.
func (r *reading) ended() bool {
	for _, pid := range []int{r.keeper.Init, r.keeper.PID} {
		p, err := r.fs.Process(pid)
		if proc.KindOf(err) == proc.Gone {
			return true
		}
		if err == nil {
			p.Close()
		}
	}
	return false
}

// storages reads the index of each storage once.
type storages struct {
	mu   sync.Mutex
	read map[string]func() (map[string]container.Names, error)
}

func (s *storages) of(key string, read func() (map[string]container.Names, error)) (map[string]container.Names, error) {
	s.mu.Lock()
	if s.read == nil {
		s.read = map[string]func() (map[string]container.Names, error){}
	}
	once := s.read[key]
	if once == nil {
		once = sync.OnceValues(read)
		s.read[key] = once
	}
	s.mu.Unlock()
	return once()
}
