package engines

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

// host is the place of what shares a namespace of the host.
const host = "host"

// truth is what an engine says of one container of its own.
type truth struct {
	story   string // how it was started, for messages
	runtime string
	id      string
	init    int // as the engine says; the host's number
	// ipc and pid are where the engine put it: host, or the id of the container
	// in whose namespace it is; its own id when that was made for it.
	ipc, pid string
	// members are processes that the engine counts as the container's. All of
	// them must be in the report, and when exact is set, no other.
	members []int
	exact   bool
	name    string // "" when it is not to be compared
	image   string // likewise
	pod     string // NAMESPACE/NAME, likewise
	podUID  string
	devShm  report.State
	outer   []string // refs
}

func (x truth) ref() string { return x.runtime + ":" + x.id }

// followChains settles where containers are that joined one which has itself
// joined another.
func followChains(all []truth) {
	for range all {
		for i := range all {
			for _, y := range all {
				if all[i].ipc == y.id {
					all[i].ipc = y.ipc
				}
				if all[i].pid == y.id {
					all[i].pid = y.pid
				}
			}
		}
	}
}

// check holds a report against the truth. helpers are processes of the engines
// that are no container's: daemons, shims, monitors.
func check(t *testing.T, r *report.Report, all []truth, helpers []int) {
	t.Helper()
	if len(all) == 0 {
		t.Fatal("the engine made no container: nothing would be compared")
	}
	if !r.Baseline.Trusted {
		t.Errorf("the baseline is not trusted: %+v", r.Baseline)
	}
	for _, c := range all {
		checkContainer(t, r, all, c)
	}
	checkInvented(t, r, all, helpers)
}

func checkContainer(t *testing.T, r *report.Report, all []truth, want truth) {
	t.Helper()
	got := find(r, want.runtime, want.id)
	if got == nil {
		t.Errorf("missed: %s (%s), init %d\n%s", want.ref(), want.story, want.init, describe(want.init))
		return
	}
	bad := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s (%s): %s", got.Ref, want.story, fmt.Sprintf(format, args...))
	}
	if got.Runtime != want.runtime || got.Ref != want.ref() {
		bad("want %s\n%s", want.ref(), describe(want.init))
	}
	if got.Init != want.init {
		bad("init is %d, the engine says %d\n%s", got.Init, want.init, describe(got.Init))
	}
	checkNamespace(bad, "ipc", got.IPC, want.ipc, want.id, want.init, sharers(all, want, func(x truth) string { return x.ipc }))
	checkNamespace(bad, "pid", got.PID, want.pid, want.id, want.init, sharers(all, want, func(x truth) string { return x.pid }))
	if exposed := want.ipc == host || want.pid == host; got.Exposed != exposed {
		bad("exposed is %v, want %v", got.Exposed, exposed)
	}
	for _, p := range want.members {
		if !slices.Contains(got.PIDs, p) {
			bad("its process %d is not in %v\n%s", p, got.PIDs, describe(p))
		}
	}
	if want.exact {
		for _, p := range got.PIDs {
			if !slices.Contains(want.members, p) {
				bad("%d is none of its processes %v\n%s", p, want.members, describe(p))
			}
		}
	}
	for _, x := range []struct{ what, got, want string }{
		{"name", got.Name, want.name}, {"image", got.Image, want.image}, {"pod", got.Pod.Namespace + "/" + got.Pod.Name, want.pod},
	} {
		if x.want != "" && x.got != x.want {
			bad("its %s is %q, the engine says %q", x.what, x.got, x.want)
		}
	}
	if want.podUID != "" && got.Pod.UID != want.podUID {
		bad("its pod is %q, the engine says %q", got.Pod.UID, want.podUID)
	}
	if want.devShm != "" && got.DevShm.State != want.devShm {
		bad("dev_shm is %s, want %s", got.DevShm.State, want.devShm)
	}
	if want.outer != nil && !slices.Equal(got.Outer, want.outer) {
		bad("outer is %v, want %v", got.Outer, want.outer)
	}
	for rule, at := range map[string]bool{
		"host-ipc": want.ipc == host, "host-pid": want.pid == host, "stray-ipc": false, "stray-pid": false,
	} {
		if n := findings(r, rule, got.Ref); at && n != 1 || !at && n != 0 {
			bad("%d findings %s", n, rule)
		}
	}
}

func checkNamespace(bad func(string, ...any), kind string, got report.Namespace, place, id string, init int, with []string) {
	want := report.StatePrivate
	switch {
	case place == host:
		want, with = report.StateHost, nil
	case len(with) > 0 || place != id:
		want = report.StateShared
	}
	if got.State != want {
		bad("%s is %s, the engine says %s (in %s)", kind, got.State, want, place)
	}
	if place != host && !slices.Equal(ids(got.With), with) {
		bad("%s is shared with %v, the engine says %v", kind, got.With, with)
	}
	if len(got.Strays) > 0 {
		bad("%s strays %v", kind, got.Strays)
	}
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/%s", init, kind), &st); err != nil {
		bad("its init is gone: %v", err)
	} else if got.Inode != st.Ino {
		bad("%s is in %d, the kernel says %d", kind, got.Inode, st.Ino)
	}
}

// sharers are the ids of the other containers at the same place, in order.
func sharers(all []truth, of truth, place func(truth) string) []string {
	var found []string
	for _, x := range all {
		if place(x) == place(of) && x.id != of.id {
			found = append(found, x.id)
		}
	}
	slices.Sort(found)
	return found
}

// ids are the ids in refs, in order.
func ids(refs []string) []string {
	var found []string
	for _, ref := range refs {
		_, id, _ := strings.Cut(ref, ":")
		found = append(found, id)
	}
	slices.Sort(found)
	return found
}

// checkInvented fails for a container in the report that nobody made. Containers
// whose processes are not ours are somebody else's on this machine.
func checkInvented(t *testing.T, r *report.Report, all []truth, helpers []int) {
	t.Helper()
	ours := map[int]bool{os.Getpid(): true, os.Getppid(): true}
	for _, p := range descendants(os.Getppid()) { // the janitor is our parent, and everything ours is below it
		ours[p] = true
	}
	for i := range r.Containers {
		c := &r.Containers[i]
		known := slices.ContainsFunc(all, func(x truth) bool { return x.id == c.ID })
		for _, p := range c.PIDs {
			if slices.Contains(helpers, p) {
				t.Errorf("%s: the engine's process %d counts as its\n%s", c.Ref, p, describe(p))
			}
		}
		if !known && slices.ContainsFunc(c.PIDs, func(p int) bool { return ours[p] }) {
			t.Errorf("invented: %s, cgroup %s\n%s", c.Ref, c.Cgroup, describe(c.PIDs[0]))
		}
	}
	for i, f := range r.Findings {
		if slices.ContainsFunc(r.Findings[:i], func(g report.Finding) bool { return g.Rule == f.Rule && g.Subject == f.Subject }) {
			t.Errorf("finding %s twice for %s", f.Rule, f.Subject)
		}
	}
}

// others tells whether somebody else's containers run on this machine too, so
// that the exit code says nothing of ours alone.
func others(r *report.Report, all []truth) bool {
	return slices.ContainsFunc(r.Containers, func(c report.Container) bool {
		return !slices.ContainsFunc(all, func(x truth) bool { return x.runtime == c.Runtime && x.id == c.ID })
	})
}

// find returns the container with an id, the one of the wanted runtime first.
func find(r *report.Report, runtime, id string) *report.Container {
	var other *report.Container
	for i := range r.Containers {
		c := &r.Containers[i]
		if c.ID == id && c.Runtime == runtime {
			return c
		}
		if c.ID == id {
			other = c
		}
	}
	return other
}

func findings(r *report.Report, rule, subject string) int {
	n := 0
	for _, f := range r.Findings {
		if f.Rule == rule && f.Subject == subject {
			n++
		}
	}
	return n
}

// describe says what a process is, for the message of a failed test.
func describe(pid int) string {
	dir := fmt.Sprintf("/proc/%d/", pid)
	cmdline, _ := os.ReadFile(dir + "cmdline")
	cgroup, _ := os.ReadFile(dir + "cgroup")
	ipc, _ := os.Readlink(dir + "ns/ipc")
	pidns, _ := os.Readlink(dir + "ns/pid")
	// Most lines of cgroup v1 say the same.
	var paths []string
	controllers := map[string]string{}
	for line := range strings.Lines(string(cgroup)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 {
			if controllers[f[2]] == "" {
				paths = append(paths, f[2])
			}
			controllers[f[2]] += f[0] + ":" + f[1] + " "
		}
	}
	text := fmt.Sprintf("\t%d %s parent %d %s %s", pid, bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}), parent(pid), ipc, pidns)
	for _, path := range paths {
		text += fmt.Sprintf("\n\t%s(%s)", path, strings.TrimSpace(controllers[path]))
	}
	return text
}

// parent returns a process's parent, 0 when it has ended.
func parent(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	ppid, _ := strconv.Atoi(fields[1])
	return ppid
}

// namespaces is the part of an OCI configuration that decides the truth.
type namespaces []struct {
	Type string `json:"type"`
	Path string `json:"path,omitempty"` // crun takes an empty one for a path
}

// place returns where an OCI configuration puts a container for one namespace
// type: host when it does not list the type (runtime-spec, config-linux.md,
// Namespaces), own when a new one is made, and else the id of whoever has the
// process that the path goes through. A path of a namespace of the host is host.
func (ns namespaces) place(kind, own string, inits map[int]string) string {
	for _, n := range ns {
		if n.Type != kind {
			continue
		}
		if n.Path == "" {
			return own
		}
		var st, hosts unix.Stat_t
		link := "ns/" + kind
		if unix.Stat(n.Path, &st) == nil && unix.Stat(filepath.Join("/proc/2", link), &hosts) == nil && st.Ino == hosts.Ino {
			return host
		}
		pid, _ := strconv.Atoi(strings.Split(strings.TrimPrefix(n.Path, "/proc/"), "/")[0])
		if id, ok := inits[pid]; ok {
			return id
		}
		return n.Path
	}
	return host
}
