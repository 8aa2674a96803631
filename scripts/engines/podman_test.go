package engines

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// podman is podman on private roots, in a mount namespace of its own: what it
// keeps in /run and /dev/shm for all of a machine's podmans is private too.
type podman struct {
	client
	rootless bool
}

// privateRun is a script for privateMounts: podman's network namespaces and
// crun's records of podman's containers do not reach the machine's /run.
const privateRun = `mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
`

// startPodman prepares a podman; there is no daemon to start. as is how to run
// the client, after nsenter: nothing for root.
func startPodman(l *lab, as ...string) *podman {
	l.Helper()
	// Limits higher than the tests' own cannot be set without CAP_SYS_RESOURCE.
	config := l.write("containers.conf", `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
`)
	l.env = append(l.env, "CONTAINERS_CONF="+config)
	p := &podman{client: client{l, slices.Concat(as, []string{"podman"})}, rootless: len(as) > 0}
	if !p.rootless {
		p.command = append(p.command, "--root", l.path("root"), "--runroot", l.path("run"), "--tmpdir", l.path("tmp"))
	}
	if _, err := p.try("import", l.layerFile(), imageName); err != nil {
		l.Skipf("podman cannot run on this machine: %v", err)
	}
	l.Cleanup(p.removeAll)
	if out, err := p.try(slices.Concat([]string{"run", "--rm", "--net=none", imageName}, []string{"/bin/true"})...); err != nil {
		l.Skipf("podman cannot run a container on this machine: %v %s", err, out)
	}
	return p
}

// startInPod starts a container in a pod.
func (p *podman) startInPod(pod, name string, flags ...string) string {
	p.Helper()
	return p.must(slices.Concat([]string{"run", "-d", "--net=none", "--pod", pod, "--name", name}, flags, []string{imageName}, payload)...)
}

// createPod makes a pod whose containers share what is said.
func (p *podman) createPod(name, share string) {
	p.Helper()
	p.must("pod", "create", "--name", name, "--network", "none", "--share", share, "--infra-image", imageName, "--infra-command", strings.Join(payload, " "))
}

func (p *podman) removeAll() {
	p.try("pod", "rm", "-a", "-f", "-t", "0")
	p.try("rm", "-a", "-f", "-t", "0") // all but those that others depend on
	if _, err := p.try("rm", "-a", "-f", "-t", "0"); err != nil {
		p.Errorf("podman: removing the containers: %v", err)
	}
}

// containers asks the engine for the truth. Its inspect calls the IPC mode
// "shareable" also with --ipc=host (podman 4.3), so the truth is the OCI
// configuration that podman gave to the runtime.
func (p *podman) containers() (all []truth, conmons []int) {
	p.Helper()
	ids := strings.Fields(p.must("ps", "-q", "--no-trunc"))
	var inspected []struct {
		ID            string `json:"Id"`
		Name          string
		ImageName     string
		State         struct{ Pid, ConmonPid int }
		OCIConfigPath string
		Pod           string
	}
	if err := json.Unmarshal([]byte(p.must(append([]string{"inspect"}, ids...)...)), &inspected); err != nil {
		p.Fatal(err)
	}
	inits := map[int]string{}
	for _, c := range inspected {
		inits[c.State.Pid] = c.ID
	}
	for _, c := range inspected {
		data, err := os.ReadFile(c.OCIConfigPath)
		if err != nil {
			p.Fatal(err)
		}
		var config struct {
			Linux struct{ Namespaces namespaces }
		}
		if err := json.Unmarshal(data, &config); err != nil {
			p.Fatal(err)
		}
		ns := config.Linux.Namespaces
		all = append(all, truth{story: c.Name, name: c.Name, image: c.ImageName, runtime: "podman", id: c.ID, init: c.State.Pid,
			ipc: ns.place("ipc", c.ID, inits), pid: ns.place("pid", c.ID, inits), members: p.top(c.ID, c.State.Pid), exact: true})
		conmons = append(conmons, c.State.ConmonPid)
	}
	followChains(all)
	return all, conmons
}

// top lists the container's processes as the engine knows them, by its cgroup.
// Without a cgroup podman 4.3 looks through all of the machine's processes, which
// can take as long as any of them likes; there the PID namespace is asked, and
// where that is the host's, the tree below the init.
func (p *podman) top(id string, init int) []int {
	p.Helper()
	ns, err := pidNamespace(init)
	if err != nil {
		p.Fatal(err)
	}
	if ns == hostPIDNamespace {
		return append([]int{init}, descendants(init)...)
	}
	var pids []int
	if !p.rootless {
		out, _ := p.try("top", id, "hpid")
		for _, f := range strings.Fields(out) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	if len(pids) > 0 {
		return pids
	}
	for _, pid := range descendants(os.Getppid()) {
		if other, err := pidNamespace(pid); err == nil && other == ns {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestPodman(t *testing.T) {
	l := newLab(t, "podman", "podman", "conmon")
	l.privateMounts(privateRun + legacyCgroups)
	p := startPodman(l)

	p.start("no-option")
	p.start("ipc-host", "--ipc=host")
	p.start("pid-host", "--pid=host")
	p.start("both-host", "--ipc=host", "--pid=host")
	p.start("privileged", "--privileged")
	p.start("ipc-shareable", "--ipc=shareable")
	p.start("both-joined", "--ipc=container:ipc-shareable", "--pid=container:ipc-shareable")
	p.start("cgroup-parent", "--cgroup-parent=/nsi-team/b")
	p.start("no-cgroup", "--cgroups=disabled")
	p.start("no-cgroup-ipc-host", "--cgroups=disabled", "--ipc=host")
	p.createPod("pod-sharing-ipc", "ipc")
	p.startInPod("pod-sharing-ipc", "in-pod")
	p.createPod("pod-sharing-pid", "ipc,pid")
	p.startInPod("pod-sharing-pid", "in-pod-with-pid")
	for _, name := range []string{"no-option", "ipc-host"} {
		p.must(append([]string{"exec", "-d", name}, payload...)...)
	}

	all, conmons := p.containers()
	r, _ := l.scan()
	check(t, r, all, conmons)
}

// Podman of a user without rights: no cgroup of its own on cgroup v1, user
// namespaces, and a process that only keeps those alive.
func TestPodmanRootless(t *testing.T) {
	l := newLab(t, "podman rootless", "podman", "conmon", "newuidmap", "setpriv")
	u := l.user()
	// Podman binds /dev/mqueue into a container with --ipc=host. It is left in
	// place: removing a directory takes away what others have mounted on it.
	if err := os.MkdirAll("/dev/mqueue", 0o755); err != nil {
		t.Fatal(err)
	}
	l.privateMounts(u.script + "mountpoint -q /dev/mqueue || mount -t mqueue mqueue /dev/mqueue\n" + legacyCgroups)
	l.env = append(l.env, "HOME="+l.path("home"), "XDG_RUNTIME_DIR="+l.path("xdg"), "USER="+u.name)
	// Rootless podman leaves a process behind that keeps its user namespace.
	t.Cleanup(func() {
		data, err := os.ReadFile(l.path("xdg/libpod/tmp/pause.pid"))
		if pid, _ := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && slices.Contains(descendants(os.Getppid()), pid) {
			unix.Kill(pid, unix.SIGKILL)
		}
	})
	id := strconv.Itoa(u.id)
	p := startPodman(l, "setpriv", "--reuid", id, "--regid", id, "--clear-groups")

	p.start("no-option")
	p.start("ipc-shareable", "--ipc=shareable")
	p.start("ipc-joined", "--ipc=container:ipc-shareable")
	p.start("pid-host", "--pid=host")
	p.start("ipc-host", "--ipc=host")
	p.createPod("pod", "ipc")
	p.startInPod("pod", "in-pod")
	p.must(append([]string{"exec", "-d", "no-option"}, payload...)...)

	all, conmons := p.containers()
	r, _ := l.scan()
	check(t, r, all, conmons)
}
