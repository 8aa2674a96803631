package engines

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// containerd is a containerd of our own.
type containerd struct {
	*lab
	daemon *daemon
	socket string
	made   [][2]string // namespace, id
}

// startContainerd starts containerd on a private socket, root and state. Its CRI
// plugin needs no network plugin, because all pods of these tests are in the
// host's network.
func startContainerd(l *lab) *containerd {
	l.Helper()
	socket := l.path("c.sock")
	config := l.write("containerd.toml", fmt.Sprintf(`version = 2
root = %q
state = %q
[grpc]
address = %q
[ttrpc]
address = %q
[plugins."io.containerd.internal.v1.opt"]
path = %q
[plugins."io.containerd.grpc.v1.cri"]
disable_apparmor = true
restrict_oom_score_adj = true
sandbox_image = %q
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = %q
conf_dir = %q
`, l.path("root"), l.path("state"), socket, socket+".ttrpc", l.path("opt"), imageName, l.path("cni/bin"), l.path("cni/conf")))
	c := &containerd{lab: l, socket: socket}
	c.daemon = l.background("containerd", "containerd", "--config", config)
	c.daemon.ready(l, func() error { _, err := c.try("version"); return err })
	l.Cleanup(c.removeAll)
	for _, namespace := range []string{"default", "nsi-team", "k8s.io"} {
		c.must("-n", namespace, "images", "import", l.archive(imageName))
	}
	return c
}

func (c *containerd) try(args ...string) (string, error) {
	return c.lab.try(append([]string{"ctr", "-a", c.socket}, args...)...)
}

func (c *containerd) must(args ...string) string {
	c.Helper()
	return c.lab.run(append([]string{"ctr", "-a", c.socket}, args...)...)
}

// start starts a container and returns its init.
func (c *containerd) start(namespace, id string, flags ...string) int {
	c.Helper()
	c.must(slices.Concat([]string{"-n", namespace, "run", "-d"}, flags, []string{imageName, id}, payload)...)
	c.made = append(c.made, [2]string{namespace, id})
	return c.init(namespace, id)
}

func (c *containerd) init(namespace, id string) int {
	c.Helper()
	for line := range strings.Lines(c.must("-n", namespace, "tasks", "ls")) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == id {
			pid, _ := strconv.Atoi(f[1])
			return pid
		}
	}
	c.Fatalf("ctr lists no task %s", id)
	return 0
}

func (c *containerd) removeAll() {
	for _, m := range c.made {
		c.try("-n", m[0], "tasks", "rm", "-f", m[1])
		if _, err := c.try("-n", m[0], "containers", "rm", m[1]); err != nil {
			c.Errorf("containerd: removing %v: %v", m, err)
		}
	}
}

// containers asks the engine for the truth.
func (c *containerd) containers() []truth {
	c.Helper()
	inits := map[int]string{}
	for _, m := range c.made {
		inits[c.init(m[0], m[1])] = m[1]
	}
	var all []truth
	for _, m := range c.made {
		var info struct {
			Spec struct {
				Linux struct{ Namespaces namespaces }
			}
		}
		c.decode(&info, "ctr", "-a", c.socket, "-n", m[0], "containers", "info", m[1])
		ns := info.Spec.Linux.Namespaces
		x := truth{story: "ctr " + m[1], runtime: "containerd", id: m[1], init: c.init(m[0], m[1]),
			ipc: ns.place("ipc", m[1], inits), pid: ns.place("pid", m[1], inits), exact: true}
		for line := range strings.Lines(c.must("-n", m[0], "tasks", "ps", m[1])) {
			if pid, err := strconv.Atoi(strings.Fields(line)[0]); err == nil {
				x.members = append(x.members, pid)
			}
		}
		all = append(all, x)
	}
	return all
}

func (c *containerd) helpers(all []truth) []int {
	h := append([]int{c.daemon.pid}, descendants(c.daemon.pid)...)
	for _, x := range all {
		h = append(h, parent(x.init))
	}
	return h
}

func TestContainerd(t *testing.T) {
	l := newLab(t, "containerd", "containerd", "ctr")
	c := startContainerd(l)

	one := c.start("default", "no-option")
	c.start("default", "ipc-host", "--with-ns", "ipc:/proc/2/ns/ipc")
	c.start("default", "pid-host", "--with-ns", "pid:/proc/2/ns/pid")
	c.start("default", "ipc-joined", "--with-ns", fmt.Sprintf("ipc:/proc/%d/ns/ipc", one))
	c.start("default", "any-cgroup", "--cgroup", "/nsi-any/where")
	c.start("nsi-team", "in-another-namespace")
	c.start("nsi-team", strings.Repeat("ab", 32))
	c.must(append([]string{"-n", "default", "tasks", "exec", "-d", "--exec-id", "more", "no-option"}, payload...)...)

	all := c.containers()
	r, _ := l.scan()
	check(t, r, all, c.helpers(all))
}

// pod and container are what the program in ./cri reads.
type pod struct {
	Name         string         `json:"name"`
	UID          string         `json:"uid"`
	Namespace    string         `json:"namespace"`
	CgroupParent string         `json:"cgroup_parent"`
	HostIPC      bool           `json:"host_ipc"`
	Privileged   bool           `json:"privileged"`
	PID          string         `json:"pid"`
	Containers   []podContainer `json:"containers"`
}

type podContainer struct {
	Name   string   `json:"name"`
	Image  string   `json:"image"`
	Args   []string `json:"args"`
	Target string   `json:"target,omitempty"`

	Privileged bool `json:"privileged"`
}

// podTruth is what the program in ./cri prints.
type podTruth struct {
	ID        string `json:"id"`
	Sandbox   string `json:"sandbox"`
	Pod       string `json:"pod"`
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	PID       int    `json:"pid"`
	IPCOf     string `json:"ipc_of"`
	PIDOf     string `json:"pid_of"`
}

// cri builds the CRI client, a module of its own.
func (l *lab) cri() string {
	l.Helper()
	source, err := filepath.Abs("cri")
	if err != nil {
		l.Fatal(err)
	}
	bin := l.path("cri")
	if err := build(source, bin); err != nil {
		l.Skipf("the CRI client cannot be built: %v", err)
	}
	return bin
}

// Kubernetes pods, made over the CRI as a kubelet would with its cgroupfs driver.
func TestContainerdCRI(t *testing.T) {
	l := newLab(t, "containerd CRI", "containerd", "ctr")
	client := l.cri()
	c := startContainerd(l)
	address := "unix://" + c.socket

	with := func(names ...string) (list []podContainer) {
		for _, name := range names {
			name, target, _ := strings.Cut(name, "@")
			list = append(list, podContainer{Name: name, Image: imageName, Args: payload, Target: target})
		}
		return list
	}
	uid := func(n int) string { return fmt.Sprintf("0d9f3c1a-5a4b-4c6e-9f00-%012d", n) }
	pods := []pod{
		{Name: "plain", UID: uid(1), CgroupParent: "/kubepods/besteffort/pod" + uid(1), Containers: with("one", "two", "debug@one")},
		{Name: "host-ipc", UID: uid(2), CgroupParent: "/kubepods/burstable/pod" + uid(2), HostIPC: true, Containers: with("one")},
		{Name: "host-pid", UID: uid(3), CgroupParent: "/kubepods/pod" + uid(3), PID: "node", Containers: with("one")},
		{Name: "host-both", UID: uid(4), CgroupParent: "/kubepods/pod" + uid(4), HostIPC: true, PID: "node", Containers: with("one")},
		{Name: "shared-pid", UID: uid(5), CgroupParent: "/kubepods/besteffort/pod" + uid(5), PID: "pod", Containers: with("one", "two")},
		{Name: "static", UID: strings.Repeat("0f", 16), CgroupParent: "/kubepods/burstable/pod" + strings.Repeat("0f", 16), Containers: with("one")},
		{Name: "no-cgroup-parent", UID: uid(6), Containers: with("one")},
	}
	for i := range pods {
		pods[i].Namespace = "nsinspect"
	}
	l.Cleanup(func() {
		if _, err := l.try(client, "-address", address, "remove"); err != nil {
			l.Errorf("removing the pods: %v", err)
		}
	})
	if _, err := l.tryWith(strings.NewReader(string(l.json(pods))), client, "-address", address, "run"); err != nil {
		l.Skipf("no pod can be run here: %v", err)
	}
	var listed []podTruth
	l.decode(&listed, client, "-address", address, "list")
	if want := 7 + 10; len(listed) != want {
		t.Errorf("the engine lists %d sandboxes and containers, %d were made", len(listed), want)
	}
	var all []truth
	for _, p := range listed {
		x := truth{story: "pod " + p.Pod + " " + p.Name, runtime: "containerd", id: p.ID, init: p.PID, ipc: p.IPCOf, pid: p.PIDOf,
			name: p.Name, pod: p.Namespace + "/" + p.Pod, podUID: p.UID, members: []int{p.PID}, exact: true}
		if p.Name == "" {
			x.name = "POD"
		}
		all = append(all, x)
	}
	r, _ := l.scan()
	check(t, r, all, c.helpers(all))
}

// nsinspect reads a host from a container of a pod of that host, in a cgroup namespace of that container, which is what a
// container has where there is cgroup v2 only. Its own container's cgroup is "/" from there, so that its id is
// not to be seen; all others are as ever.
func TestReaderInPod(t *testing.T) {
	l := newLab(t, "reader in a pod", "containerd", "ctr")
	client := l.cri()
	bin, err := nsinspect()
	if err != nil {
		t.Fatal(err)
	}
	source, err := filepath.Abs("cgroupns")
	if err == nil {
		err = build(source, l.path("cgroupns"))
	}
	if err != nil {
		t.Fatal(err)
	}
	c := startContainerd(l)
	address := "unix://" + c.socket
	one := func(name string) podContainer { return podContainer{Name: name, Image: imageName, Args: payload} }
	uid := func(n int) string { return fmt.Sprintf("1e9f3c1a-5a4b-4c6e-9f00-%012d", n) }
	reader := one("reader")
	reader.Privileged = true
	pods := []pod{
		{Name: "own", UID: uid(1), CgroupParent: "/kubepods/burstable/pod" + uid(1), PID: "node", Privileged: true, Containers: []podContainer{reader, one("beside")}},
		{Name: "private", UID: uid(2), CgroupParent: "/kubepods/burstable/pod" + uid(2), Containers: []podContainer{one("one")}},
		{Name: "host-ipc", UID: uid(3), CgroupParent: "/kubepods/besteffort/pod" + uid(3), HostIPC: true, Containers: []podContainer{one("one")}},
	}
	for i := range pods {
		pods[i].Namespace = "nsinspect"
	}
	l.Cleanup(func() {
		if _, err := l.try(client, "-address", address, "remove"); err != nil {
			l.Errorf("removing the pods: %v", err)
		}
	})
	if _, err := l.tryWith(strings.NewReader(string(l.json(pods))), client, "-address", address, "run"); err != nil {
		l.Skipf("no pod can be run here: %v", err)
	}
	var listed []podTruth
	l.decode(&listed, client, "-address", address, "list")
	var all []truth
	var self podTruth
	for _, p := range listed {
		if p.Name == "reader" {
			self, p.ID = p, fmt.Sprintf("pid-%d", p.PID) // what it can be called from inside
		}
		all = append(all, truth{story: "pod " + p.Pod + " " + p.Name, runtime: "containerd", id: p.ID, init: p.PID, ipc: p.IPCOf, pid: p.PIDOf, members: []int{p.PID}, exact: p.Name != "reader"})
	}
	for name, file := range map[string]string{"nsinspect": bin, "cgroupns": l.path("cgroupns")} {
		b, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(fmt.Sprintf("/proc/%d/root/%s", self.PID, name), b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	out, err := c.try("-n", "k8s.io", "tasks", "exec", "--exec-id", "reader", self.ID, "/cgroupns", "/nsinspect", "-f", "json")
	r := new(report.Report)
	if e := json.Unmarshal([]byte(out), r); e != nil {
		t.Fatalf("no report: %v, %v", e, err)
	}
	for _, x := range all {
		checkContainer(t, r, all, x)
	}
	for _, c := range r.Containers {
		if slices.Contains(c.PIDs, self.PID) != c.Self {
			t.Errorf("self %t: %+v", c.Self, c)
		}
	}
	if c := find(r, "containerd", fmt.Sprintf("pid-%d", self.PID)); c != nil && len(c.PIDs) != 2 {
		t.Errorf("its own container has the processes %v, there are its init and nsinspect", c.PIDs)
	}
}
