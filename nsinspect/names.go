package nsinspect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/internal/parallel"
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
	parallel.Each(len(keepers), func(i int) { found[i] = s.namesOf(ctx, keepers[i], storages) })
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
	if k.From != "" {
		r.bundle(storages)
	}
	return r.out
}

// bundle reads the configuration of the container's bundle, and for the engines that
// write no names there, their own files.
func (r *reading) bundle(storages *storages) {
	k := r.keeper
	content, owner, err := r.read(k.From, k.Config, container.BundleLimit)
	if err != nil {
		// What something inside a container of a pod has made is a child of the pod's shim too, and has no bundle there.
		if k.Engine.ID == k.ID || proc.KindOf(err) != proc.Absent {
			r.gap("", err)
		}
		return
	}
	bundle, err := container.ParseBundle(content)
	if err != nil {
		r.gap(place(k.From, k.Config), err)
		return
	}
	if bundle.Name != "" {
		r.out.names.Name = "" // the argument of CRI-O's conmon is all of the pod's names put together
	}
	r.take(place(k.From, k.Config), bundle.Names, owner)
	switch k.Engine.Runtime {
	case "docker":
		r.docker(bundle.Root)
	case "podman":
		r.storage(storages)
	}
}

// place names a file as evidence does, below /proc/PID.
func place(from proc.Origin, file string) string {
	return string(from) + "/" + strings.TrimPrefix(file, "/")
}

// docker reads docker's own file on the container.
func (r *reading) docker(root string) {
	var last error
	for _, file := range container.DockerConfigs(root, r.keeper.ID) {
		content, owner, err := r.read(proc.FromRoot, file, container.DockerConfigLimit)
		if err != nil {
			if last = err; proc.KindOf(err) == proc.Absent {
				continue
			}
			break
		}
		names, err := container.ParseDockerConfig(content, r.keeper.ID)
		if err != nil {
			r.gap(place(proc.FromRoot, file), err)
			return
		}
		r.take(place(proc.FromRoot, file), names, owner)
		return
	}
	if last != nil {
		r.gap("", last)
	}
}

// storage reads the index of podman's storage, which the bundle is in. (Its labels are
// only in its database.)
func (r *reading) storage(storages *storages) {
	index, ok := container.StorageOf(r.keeper.Engine.Bundle, r.keeper.ID)
	if !ok {
		return
	}
	s, err := storages.of(r.mounts()+index, func() (storage, error) {
		content, owner, err := r.read(proc.FromRoot, index, container.StorageLimit)
		if err != nil {
			return storage{}, err
		}
		names, err := container.ParseStorage(content)
		return storage{names, owner}, err
	})
	if err != nil {
		r.gap(place(proc.FromRoot, index), err)
	} else if n, ok := s.names[r.keeper.ID]; ok {
		r.take(place(proc.FromRoot, index), n, s.owner)
	}
}

// mounts names the mount namespace that the keeper's paths are in.
func (r *reading) mounts() string {
	if p := r.facts.Find(r.keeper.PID); p != nil {
		return fmt.Sprintf("mnt:[%d]", p.Mnt)
	}
	return ""
}

func (r *reading) read(from proc.Origin, file string, limit int) (content []byte, owner uint32, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.fs.Deadline)
	defer cancel()
	return r.process.ReadBelow(ctx, from, file, limit)
}

// take accepts what a file says, and notes where it was said and by whom.
func (r *reading) take(file string, n container.Names, owner uint32) {
	said := describe(n)
	r.out.names = r.out.names.Or(n)
	if said == "" {
		return
	}
	why := "written down by the engine"
	switch {
	case r.keeper.Inside != "":
		why = "a claim from inside " + r.keeper.Inside
	case owner != 0 && r.fs.Procfs():
		why = fmt.Sprintf("written down by uid %d, who runs the engine", owner)
	}
	why += "; it decides nothing"
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
	for _, key := range slices.Sorted(maps.Keys(n.Labels)) {
		add(key, n.Labels[key])
	}
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

// storage is the index of one storage of podman's.
type storage struct {
	names map[string]container.Names
	owner uint32
}

// storages reads the index of each storage once.
type storages struct {
	mu   sync.Mutex
	read map[string]func() (storage, error)
}

func (s *storages) of(key string, read func() (storage, error)) (storage, error) {
	s.mu.Lock()
	if s.read == nil {
		s.read = map[string]func() (storage, error){}
	}
	once := s.read[key]
	if once == nil {
		once = sync.OnceValues(read)
		s.read[key] = once
	}
	s.mu.Unlock()
	return once()
}
