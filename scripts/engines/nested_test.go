package engines

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Docker in docker: what the inner engine calls the host is a container.
func TestDockerInDocker(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	l := newLab(t, "docker in docker", "/usr/sbin/dockerd", "/usr/bin/docker")
	if link, err := os.Readlink("/lib64"); err != nil || link != "usr/lib64" {
		l.Skip("the machine's programs cannot be lent to a container: /lib64 is not in /usr")
	}
	outer := startDocker(l)
	outer.must("import", l.write("shell.tar", string(l.shell())), "localhost/shell:latest")

	// start starts a container with a dockerd in it, and returns its id and a
	// client for the dockerd. The inner engine's files are on the machine's disk,
	// because overlayfs does not stack.
	start := func(name string, flags ...string) (string, *docker) {
		t.Helper()
		inner := l.path(name)
		if err := os.MkdirAll(inner, 0o755); err != nil {
			t.Fatal(err)
		}
		l.write(name+"/docker.json", "{}")
		id, err := outer.tryPrivileged(name, append(flags, "-v", "/usr:/usr:ro", "-v", inner+":"+inner), "localhost/shell:latest",
			dockerd(inner, "--config-file", inner+"/docker.json"))
		if err != nil {
			t.Fatal(err)
		}
		d := &docker{client: client{l, []string{"/usr/bin/docker", "-H", "unix://" + inner + "/docker.sock"}}}
		// The daemon is a container's process; only its log tells why it does not come up.
		var last error
		l.eventuallyOr("the inner dockerd", func() bool { _, last = d.try("version"); return last == nil }, func() {
			out, _ := outer.try("logs", "--tail", "5", name)
			l.Skipf("docker cannot run in docker on this machine: %v %s", last, out)
		})
		l.Cleanup(d.removeAll)
		d.must("import", l.layerFile(), imageName)
		return id, d
	}
	apart, inApart := start("apart")
	exposed, inExposed := start("exposed", "--ipc=host", "--pid=host")

	if _, err := inApart.try(slices.Concat([]string{"run", "--rm", "--net=none", imageName}, []string{"/bin/true"})...); err != nil {
		l.Skipf("docker in docker cannot run a container on this machine: %v", err)
	}
	inApart.start("apart-no-option")
	inApart.start("apart-ipc-host", "--ipc=host")
	inApart.start("apart-pid-host", "--pid=host")
	inExposed.start("exposed-no-option")
	inExposed.start("exposed-both-host", "--ipc=host", "--pid=host")

	all := outer.containers()
	for i := range all {
		all[i].exact = false // the inner containers' processes are in docker top, too
		all[i].members = []int{all[i].init}
	}
	add := func(engine *docker, around string, isHost bool) {
		var init int
		for _, c := range all {
			if c.id == around {
				init = c.init
			}
		}
		for _, c := range engine.containers() {
			c.outer = []string{"docker:" + around}
			c.init = outside(t, init, c.init)
			c.members, c.exact = []int{c.init}, true
			if c.ipc == host && !isHost {
				c.ipc = around
			}
			if c.pid == host && !isHost {
				c.pid = around
			}
			all = append(all, c)
		}
	}
	add(inApart, apart, false)
	add(inExposed, exposed, true)

	r, _ := l.scan()
	check(t, r, all, []int{outer.daemon.pid})
	for _, c := range all {
		cgroup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.init))
		if c.outer != nil && !strings.Contains(string(cgroup), strings.TrimPrefix(c.outer[0], "docker:")+"/docker/"+c.id) {
			t.Errorf("%s is not below its outer container's cgroup: not the case that was to be tested\n%s", c.story, cgroup)
		}
	}
}

// outside returns the host's number of a process that is number inside in the
// PID namespace of a container's init (NSpid in status, Linux 4.1).
func outside(t *testing.T, init, inside int) int {
	t.Helper()
	if ns, err := pidNamespace(init); err == nil && ns == hostPIDNamespace {
		return inside
	}
	for _, p := range append(descendants(init), init) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if f := strings.Fields(line); len(f) > 2 && f[0] == "NSpid:" && f[2] == strconv.Itoa(inside) {
				return p
			}
		}
	}
	t.Errorf("no process below %d is number %d in its PID namespace", init, inside)
	return 0
}
