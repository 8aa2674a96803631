package engines

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docker is a dockerd of our own, with its own containerd.
type docker struct {
	client
	daemon *daemon
}

// startDocker starts dockerd on a private socket, data root and exec root, with
// no bridge and no packet filter rules. Containers take --net=none.
func startDocker(l *lab, flags ...string) *docker {
	l.Helper()
	l.bounded("runc")
	config := l.write("docker.json", string(l.json(map[string]any{
		"runtimes": map[string]any{boundedRuntime: map[string]any{"path": l.path(boundedRuntime + "-runc")}},
	})))
	socket := "unix://" + l.path("docker.sock")
	d := &docker{client: client{l, []string{"/usr/bin/docker", "-H", socket}}}
	d.daemon = l.background("dockerd", append(dockerd(l.dir, "--config-file", config), flags...)...)
	d.daemon.ready(l, func() error { _, err := d.try("version"); return err })
	l.Cleanup(d.removeAll)
	d.must("import", l.layerFile(), imageName)
	return d
}

// dockerd is the command line of a daemon that keeps everything below dir.
func dockerd(dir string, flags ...string) []string {
	return append([]string{"/usr/sbin/dockerd", "-H", "unix://" + dir + "/docker.sock",
		"--data-root", dir + "/data", "--exec-root", dir + "/exec", "--pidfile", dir + "/docker.pid",
		"--exec-opt", "native.cgroupdriver=cgroupfs", // also where systemd runs: these daemons are not its units
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--userland-proxy=false"}, flags...)
}

// startPrivileged is start with --privileged. Docker gives a privileged
// container every capability there is, which fails where the tests themselves
// lack one; there the runtime leaves out what cannot be given.
func (d *docker) startPrivileged(name string) string {
	d.Helper()
	id, err := d.tryPrivileged(name, nil, imageName, payload)
	if err != nil {
		d.Fatal(err)
	}
	return id
}

func (d *docker) tryPrivileged(name string, flags []string, image string, command []string) (string, error) {
	run := func(more ...string) (string, error) {
		return d.try(slices.Concat([]string{"run", "-d", "--net=none", "--name", name, "--privileged"}, more, flags, []string{image}, command)...)
	}
	id, err := run()
	if err == nil || !strings.Contains(err.Error(), "caps") {
		return id, err
	}
	if _, err := d.try("rm", "-f", name); err != nil {
		return "", err
	}
	return run("--runtime", boundedRuntime)
}

func (d *docker) removeAll() {
	ids, err := d.try("ps", "-aq", "--no-trunc")
	if err == nil && ids != "" {
		_, err = d.try(append([]string{"rm", "-f", "-v"}, strings.Fields(ids)...)...)
	}
	if err != nil {
		d.Errorf("docker: removing the containers: %v", err)
	}
}

// containers asks the engine for the truth.
func (d *docker) containers() []truth {
	d.Helper()
	ids := strings.Fields(d.must("ps", "-q", "--no-trunc"))
	var inspected []struct {
		ID    string `json:"Id"`
		Name  string
		State struct{ Pid int }

		Config     struct{ Image string }
		HostConfig struct{ IpcMode, PidMode string }
	}
	if err := json.Unmarshal([]byte(d.must(append([]string{"inspect"}, ids...)...)), &inspected); err != nil {
		d.Fatal(err)
	}
	byName := map[string]string{}
	for _, c := range inspected {
		byName[strings.TrimPrefix(c.Name, "/")], byName[c.ID] = c.ID, c.ID
	}
	// place reads docker's modes: host, container:NAME, and everything else (""
	// private, shareable, none) makes a namespace.
	place := func(mode, own string) string {
		if mode == host {
			return host
		}
		if name, ok := strings.CutPrefix(mode, "container:"); ok {
			return byName[name]
		}
		return own
	}
	var all []truth
	for _, c := range inspected {
		x := truth{
			story: strings.TrimPrefix(c.Name, "/"), name: strings.TrimPrefix(c.Name, "/"), runtime: "docker", id: c.ID, init: c.State.Pid, image: c.Config.Image,
			ipc: place(c.HostConfig.IpcMode, c.ID), pid: place(c.HostConfig.PidMode, c.ID),
		}
		x.members, x.exact = d.top(c.ID), true
		all = append(all, x)
	}
	followChains(all)
	return all
}

// top lists the container's processes as the engine knows them.
func (d *docker) top(id string) []int {
	d.Helper()
	var pids []int
	for _, f := range strings.Fields(d.must("top", id, "-eo", "pid")) {
		if pid, err := strconv.Atoi(f); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// helpers are the daemon and everything below it or beside it that is no
// container's: containerd, shims.
func (d *docker) helpers(all []truth) []int {
	h := append([]int{d.daemon.pid}, descendants(d.daemon.pid)...)
	for _, c := range all {
		h = append(h, parent(c.init))
	}
	return h
}

func TestDocker(t *testing.T) {
	l := newLab(t, "docker", "/usr/sbin/dockerd", "/usr/bin/docker")
	d := startDocker(l)

	d.start("no-option")
	d.start("ipc-host", "--ipc=host")
	d.start("pid-host", "--pid=host")
	d.start("both-host", "--ipc=host", "--pid=host")
	d.start("ipc-shareable", "--ipc=shareable")
	d.start("ipc-joined", "--ipc=container:ipc-shareable")
	d.start("pid-joined", "--pid=container:no-option")
	d.start("both-joined", "--ipc=container:ipc-shareable", "--pid=container:ipc-shareable")
	d.start("ipc-of-host-joined", "--ipc=container:ipc-host")
	d.start("ipc-none", "--ipc=none")
	d.start("ipc-private", "--ipc=private")
	d.start("cgroup-parent-absolute", "--cgroup-parent=/nsi-team/a")
	d.start("cgroup-parent-relative", "--cgroup-parent=nsi-x.slice")
	d.start("with-init", "--init")
	d.start("not-root", "--user=1000:1000", "--ipc=host")
	d.start("shm-of-host", "-v", "/dev/shm:/dev/shm")
	d.startPrivileged("privileged")
	for _, name := range []string{"no-option", "ipc-host", "pid-joined"} {
		d.must(append([]string{"exec", "-d", name}, payload...)...)
	}
	objects := l.makeObjects()

	all := d.containers()
	for i := range all {
		switch all[i].story {
		case "ipc-host", "both-host", "shm-of-host":
			all[i].devShm = "host"
		case "ipc-none":
			all[i].devShm = "none"
		case "no-option", "privileged":
			all[i].devShm = "private"
		}
	}
	r, code := l.scan()
	check(t, r, all, d.helpers(all))
	checkObjects(t, r, objects, all)
	if code != 1 {
		t.Errorf("exit code %d with exposed containers, want 1", code)
	}

	t.Run("nothing exposed", func(t *testing.T) {
		for _, c := range all {
			if c.ipc == host || c.pid == host || c.devShm == host {
				d.must("rm", "-f", c.id)
			}
		}
		all := d.containers()
		r, code := l.scan()
		check(t, r, all, d.helpers(all))
		if code != 0 && !others(r, all) {
			t.Errorf("exit code %d with nothing exposed, want 0; findings %+v", code, r.Findings)
		}
	})
}

// The same with user namespaces: container root is an unprivileged user of the host.
func TestDockerUserNamespaces(t *testing.T) {
	l := newLab(t, "docker --userns-remap", "/usr/sbin/dockerd", "/usr/bin/docker")
	u := l.user()
	l.privateMounts(u.script)
	d := startDocker(l, "--userns-remap="+u.name)

	d.start("no-option")
	d.start("ipc-shareable", "--ipc=shareable")
	d.start("ipc-joined", "--ipc=container:ipc-shareable")
	// Docker refuses --pid=host and --ipc=host together with user namespaces.
	d.start("userns-host", "--userns=host", "--ipc=host", "--pid=host")
	d.must(append([]string{"exec", "-d", "no-option"}, payload...)...)

	all := d.containers()
	r, _ := l.scan()
	check(t, r, all, d.helpers(all))
	users := map[string]string{}
	for _, c := range all {
		users[c.story], _ = os.Readlink("/proc/" + strconv.Itoa(c.init) + "/ns/user")
	}
	if users["no-option"] == users["userns-host"] {
		t.Errorf("the remapped container is in the host's user namespace: this is not the case that was to be tested")
	}
}

// On a host with nothing but cgroup v2, as docker sees it here.
func TestDockerUnified(t *testing.T) {
	l := newLab(t, "docker on cgroup v2", "/usr/sbin/dockerd", "/usr/bin/docker")
	l.privateMounts(unifiedCgroups)
	d := startDocker(l)
	if out, err := d.try(slices.Concat([]string{"run", "--rm", "--net=none", imageName}, []string{"/bin/true"})...); err != nil {
		l.Skipf("docker cannot run on cgroup v2 here: %v %s", err, out)
	}
	d.start("no-option")
	d.start("ipc-host", "--ipc=host")
	d.start("pid-host", "--pid=host")
	d.start("private-cgroupns", "--cgroupns=private")
	d.start("host-cgroupns", "--cgroupns=host")
	all := d.containers()
	for _, c := range all {
		cgroup, err := os.ReadFile("/proc/" + strconv.Itoa(c.init) + "/cgroup")
		if err != nil || !strings.Contains(string(cgroup), "0::/docker/"+c.id) || strings.Count(string(cgroup), c.id) != 1 {
			t.Errorf("%s: not the case that was to be tested: %v\n%s", c.story, err, cgroup)
		}
	}
	r, _ := l.scan()
	check(t, r, all, d.helpers(all))
}
