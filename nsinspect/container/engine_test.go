package container

import (
	"strings"
	"testing"
)

const (
	engineID  = "703b98cbdac1d9c3c904f2222fab541ff71259b51cf15731e3ade069d9713157"
	engineID2 = "3e4e744c92671853054b519cb44208e35bf536484b243a2d573cd803838888a3"
)

// The command lines are real ones; the ids are put in for readability.
func TestEngine(t *testing.T) {
	storage := "/var/lib/containers/storage/overlay-containers/" + engineID2 + "/userdata"
	for _, c := range []struct {
		name, comm, exe, cmdline string
		want                     EngineProcess
	}{
		{"docker's shim", "containerd-shim", "/usr/bin/containerd-shim-runc-v2",
			"/usr/bin/containerd-shim-runc-v2 -namespace moby -id " + engineID + " -address /run/containerd/containerd.sock",
			EngineProcess{Runtime: "docker", ID: engineID, Namespace: "moby"}},
		{"ctr's shim", "containerd-shim", "", "/usr/bin/containerd-shim-runc-v2 -namespace default -id c1 -address /tmp/c.sock",
			EngineProcess{Runtime: "containerd", ID: "c1", Namespace: "default"}},
		{"a pod's shim", "containerd-shim", "", "/usr/local/bin/containerd-shim-runc-v2 -namespace k8s.io -id " + engineID + " -address /run/containerd/containerd.sock",
			EngineProcess{Runtime: "containerd", ID: engineID, Namespace: "k8s.io"}},
		{"a shim with a bundle and a socket (containerd 2)", "containerd-shim", "",
			"/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id " + engineID + " -address /run/containerd/containerd.sock -debug -bundle /run/b --socket=unix:///run/x",
			EngineProcess{Runtime: "containerd", ID: engineID, Namespace: "k8s.io", Bundle: "/run/b"}},
		{"Kata's shim", "containerd-shim", "/opt/kata/bin/containerd-shim-kata-v2",
			"/opt/kata/bin/containerd-shim-kata-v2 -namespace k8s.io -address /run/containerd/containerd.sock -publish-binary /usr/bin/containerd -id " + engineID,
			EngineProcess{Runtime: "containerd", ID: engineID, Namespace: "k8s.io", VM: true}},
		{"gVisor's shim", "containerd-shim", "", "/usr/bin/containerd-shim-runsc-v1 -namespace k8s.io -address /run/containerd/containerd.sock -id " + engineID,
			EngineProcess{Runtime: "containerd", ID: engineID, Namespace: "k8s.io"}},
		{"a shim of version 1", "containerd-shim", "",
			"containerd-shim -namespace moby -workdir /var/lib/containerd/io.containerd.runtime.v1.linux/moby/" + engineID + " -address /run/containerd/containerd.sock -containerd-binary /usr/bin/containerd -runtime-root /var/run/docker/runtime-runc",
			EngineProcess{Runtime: "docker", ID: engineID, Namespace: "moby", Bundle: "/var/lib/containerd/io.containerd.runtime.v1.linux/moby/" + engineID}},
		{"docker 17.12 (moby#40145)", "docker-containe", "",
			"docker-containerd-shim -namespace moby -workdir /var/lib/docker/containerd/daemon/io.containerd.runtime.v1.linux/moby/" + engineID + " -address /run/x",
			EngineProcess{Runtime: "docker", ID: engineID, Namespace: "moby", Bundle: "/var/lib/docker/containerd/daemon/io.containerd.runtime.v1.linux/moby/" + engineID}},
		{"docker 1.12 (moby#26041)", "docker-containe", "",
			"docker-containerd-shim " + engineID + " /var/run/docker/libcontainerd/" + engineID + " docker-runc",
			EngineProcess{Runtime: "docker", ID: engineID, Bundle: "/var/run/docker/libcontainerd/" + engineID}},

		{"podman's conmon", "conmon", "/usr/bin/conmon",
			"/usr/bin/conmon --api-version 1 -c " + engineID2 + " -u " + engineID2 + " -r /usr/bin/crun -b " + storage +
				" -p /run/pidfile -n plain --exit-dir /run/libpod/exits --full-attach -l k8s-file:/x/ctr.log --log-level warning --runtime-arg --log-format=json" +
				" --runtime-arg --log --runtime-arg=/x/oci-log --conmon-pidfile /x/conmon.pid --exit-command /usr/bin/podman --exit-command-arg --root --exit-command-arg /x",
			EngineProcess{Runtime: "podman", ID: engineID2, Name: "plain", Bundle: storage}},
		{"podman's conmon of an exec session", "conmon", "",
			"/usr/bin/conmon --api-version 1 -c " + engineID2 + " -u " + engineID + " -r /usr/bin/crun -b /x/exec -n plain --full-attach -e --exec-attach --exec-process-spec /x/spec",
			EngineProcess{Runtime: "podman", ID: engineID2, Name: "plain", Bundle: "/x/exec"}},
		{"CRI-O's conmon", "conmon", "",
			"/usr/libexec/crio/conmon -b /run/containers/storage/overlay-containers/" + engineID2 + "/userdata -c " + engineID2 +
				" --exit-dir /var/run/crio/exits -l /var/log/pods/x/0.log --log-level info -n k8s_etcd_etcd-node1_kube-system_3f2b_0 -P /run/conmon-pidfile -p /run/pidfile" +
				" --persist-dir /var/lib/containers/storage/overlay-containers/" + engineID2 + "/userdata -r /usr/bin/crun --runtime-arg --root=/run/crun --socket-dir-path /var/run/crio --syslog -u " + engineID2 + " -s",
			EngineProcess{Runtime: "cri-o", ID: engineID2, Name: "k8s_etcd_etcd-node1_kube-system_3f2b_0", Bundle: "/run/containers/storage/overlay-containers/" + engineID2 + "/userdata"}},
		{"the conmon of an early podman", "conmon", "", "/usr/libexec/podman/conmon -c " + engineID2 + " -u " + engineID2 + " -n web -b /b -p /x --exit-command /usr/bin/podman",
			EngineProcess{Runtime: "podman", ID: engineID2, Name: "web", Bundle: "/b"}},
		{"podman 6 hands over a persist-dir as well", "conmon", "", "/usr/bin/conmon --api-version 1 -c " + engineID2 + " -b /b -n web --persist-dir /x --full-attach",
			EngineProcess{Runtime: "podman", ID: engineID2, Name: "web", Bundle: "/b"}},
		{"a conmon that nobody signs", "conmon", "", "conmon --cid=box --cuuid=box -b bundle -r /usr/bin/runc",
			EngineProcess{ID: "box", Bundle: "bundle"}},

		{"runc by docker", "runc", "/usr/sbin/runc",
			"runc --root /var/run/docker/runtime-runc/moby --log /run/log.json --log-format json create --bundle /run/b --pid-file /run/init.pid " + engineID,
			EngineProcess{Runtime: "docker", ID: engineID, Bundle: "/run/b", Namespace: "moby"}},
		{"runc exec by docker", "runc", "",
			"runc --root /var/run/docker/runtime-runc/moby --log /x --log-format json exec --process /tmp/p --detach --pid-file /x.pid " + engineID,
			EngineProcess{Runtime: "docker", ID: engineID, Namespace: "moby"}},
		{"runc by hand", "runc", "", "runc run -b /srv/bundle box", EngineProcess{Runtime: "runc", ID: "box", Bundle: "/srv/bundle"}},
		{"what runs in the container is not runc's flag", "runc", "", "runc exec box sh --root /x/moby -b /y", EngineProcess{Runtime: "runc", ID: "box"}},
		{"crun by podman", "crun", "",
			"/usr/bin/crun --log-format=json --log /x/oci-log create --bundle " + storage + " --pid-file /x/pidfile " + engineID2,
			EngineProcess{Runtime: "crun", ID: engineID2, Bundle: storage}},
		{"crun with a manager", "crun", "", "crun --cgroup-manager disabled run --config=c.json box", EngineProcess{Runtime: "crun", ID: "box"}},
		{"youki", "youki", "", "youki --root /run/youki run -b /srv/bundle box", EngineProcess{Runtime: "youki", ID: "box", Bundle: "/srv/bundle"}},
		{"BuildKit's runc", "buildkit-runc", "", "buildkit-runc --log /x --log-format json run --bundle /y --keep 24dp5sjv41qx2x7d0bxh4h289",
			EngineProcess{Runtime: "buildkit", ID: "24dp5sjv41qx2x7d0bxh4h289", Bundle: "/y"}},

		{"LXC's monitor", "lxc-start", "/usr/bin/lxc-start", "[lxc monitor]_/var/lib/lxc_plain",
			EngineProcess{Runtime: "lxc", ID: "plain", Name: "plain", Bundle: "/var/lib/lxc/plain"}},
		{"LXC's monitor under LXD", "lxd", "", "[lxc monitor]_/var/snap/lxd/common/lxd/containers_my_box",
			EngineProcess{Runtime: "lxc", ID: "my box", Name: "my box", Bundle: "/var/snap/lxd/common/lxd/containers/my box"}},
		{"lxc-start in the foreground", "lxc-start", "", "lxc-start -F -n c1 -P /srv/lxc -- /sbin/init -n other",
			EngineProcess{Runtime: "lxc", ID: "c1", Name: "c1", Bundle: "/srv/lxc/c1"}},
		{"lxc-start with the name alone", "lxc-start", "", "lxc-start -d c1", EngineProcess{Runtime: "lxc", ID: "c1", Name: "c1"}},
		{"lxc-attach, which has copied itself", "memfd:lxc-attac", "/memfd:lxc-attach (deleted)", "lxc-attach -P /tmp/path -n plain -- /bin/sleep 444",
			EngineProcess{Runtime: "lxc", ID: "plain", Name: "plain", Bundle: "/tmp/path/plain"}},
		{"LXD starting a container", "lxd", "", "/snap/lxd/current/bin/lxd forkstart c1 /var/snap/lxd/common/lxd/containers /var/snap/lxd/common/lxd/logs/c1/lxc.conf",
			EngineProcess{Runtime: "lxc", ID: "c1", Name: "c1", Bundle: "/var/snap/lxd/common/lxd/containers/c1"}},

		{"nspawn by hand", "systemd-nspawn", "/usr/bin/systemd-nspawn", "systemd-nspawn --quiet -D n/root --register=no --keep-unit --machine=mach1 --private-network /bin/sleep 1000",
			EngineProcess{Runtime: "nspawn", ID: "mach1", Name: "mach1", Bundle: "n/root"}},
		{"nspawn by machinectl", "systemd-nspawn", "", "systemd-nspawn --quiet --keep-unit --boot --link-journal=try-guest --network-veth -U --settings=override --machine=m2",
			EngineProcess{Runtime: "nspawn", ID: "m2", Name: "m2"}},
		{"nspawn named after its directory", "systemd-nspawn", "", "systemd-nspawn -bD /var/lib/machines/deb", EngineProcess{Runtime: "nspawn", ID: "deb", Name: "deb", Bundle: "/var/lib/machines/deb"}},
		{"nspawn named after its image", "systemd-nspawn", "", "systemd-nspawn -b --image=/srv/deb.raw", EngineProcess{Runtime: "nspawn", ID: "deb", Name: "deb", Bundle: "/srv/deb.raw"}},
		{"nspawn of a copy has a name of its own making", "systemd-nspawn", "", "systemd-nspawn -xD /srv/deb", EngineProcess{Runtime: "nspawn", Bundle: "/srv/deb"}},
		{"nspawn of the root directory", "systemd-nspawn", "", "systemd-nspawn -D / --volatile=yes", EngineProcess{Runtime: "nspawn", Bundle: "/"}},
		{"the container's command is not nspawn's flag", "systemd-nspawn", "", "systemd-nspawn -D /srv/a sh --machine=b", EngineProcess{Runtime: "nspawn", ID: "a", Name: "a", Bundle: "/srv/a"}},

		{"libvirt_lxc", "libvirt_lxc", "", "/usr/lib/libvirt/libvirt_lxc --name box --console 20 --security=none --handshake 23",
			EngineProcess{Runtime: "libvirt-lxc", ID: "box", Name: "box"}},

		{"dockerd", "dockerd", "/usr/sbin/dockerd", "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock", EngineProcess{Runtime: "docker"}},
		{"containerd", "containerd", "", "containerd --config /x/containerd.toml --log-level info", EngineProcess{Runtime: "containerd"}},
		{"crio", "crio", "", "/usr/bin/crio", EngineProcess{Runtime: "cri-o"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			argv := strings.Split(c.cmdline, " ")
			if strings.HasPrefix(c.cmdline, "[lxc") {
				argv = []string{strings.ReplaceAll(c.cmdline, "_", " ")} // the kernel shows a title as one argument
			}
			got, ok := Engine(c.comm, c.exe, argv)
			if !ok || got != c.want {
				t.Errorf("got %+v, %v\nwant %+v", got, ok, c.want)
			}
		})
	}
}

func TestNoEngine(t *testing.T) {
	for _, c := range []struct {
		name, comm, exe string
		argv            []string
	}{
		{"nothing", "", "", nil},
		{"a kernel thread", "kthreadd", "", []string{""}},
		{"a shell that speaks of conmon", "sh", "", []string{"sh", "-c", "conmon -c " + engineID}},
		{"argv says conmon, comm does not", "evil", "", []string{"conmon", "-c", engineID}},
		{"comm says conmon, argv does not", "conmon", "", []string{"evil", "-c", engineID}},
		{"the executable is another", "conmon", "/home/me/evil", []string{"conmon", "-c", engineID}},
		{"conmon without a container", "conmon", "", []string{"conmon", "--version"}},
		{"conmon whose last flag has no value", "conmon", "", []string{"conmon", "-c"}},
		{"a shim without a namespace", "containerd-shim", "", []string{"containerd-shim-runc-v2", "-id", engineID}},
		{"a shim asked for its version", "containerd-shim", "", []string{"containerd-shim-runc-v2", "-v"}},
		{"runc list", "runc", "", []string{"runc", "list"}},
		{"runc without an id", "runc", "", []string{"runc", "run"}},
		{"runc init", "runc:[2:INIT]", "", []string{"runc", "init"}},
		{"docker's client", "docker", "", []string{"docker", "run", "busybox"}},
		{"lxc-ls", "lxc-ls", "", []string{"lxc-ls"}},
		{"lxd itself", "lxd", "", []string{"lxd", "--logfile", "/x"}},
		{"a title without a name", "lxc-start", "", []string{"[lxc monitor] /var/lib/lxc"}},
		{"an id that climbs", "conmon", "", []string{"conmon", "-c", "../../etc"}},
		{"an id that is a directory", "conmon", "", []string{"conmon", "-c", ".."}},
		{"an id with an escape sequence", "conmon", "", []string{"conmon", "-c", "a\x1b[2J"}},
		{"an id with a newline", "runc", "", []string{"runc", "run", "a\nb"}},
		{"an id too long for a file name", "runc", "", []string{"runc", "run", strings.Repeat("a", 256)}},
		{"a name with an escape sequence", "conmon", "", []string{"conmon", "-c", "a", "-n", "\x1b[2J"}},
	} {
		if got, ok := Engine(c.comm, c.exe, c.argv); ok || got != (EngineProcess{}) {
			t.Errorf("%s: %+v, %v", c.name, got, ok)
		}
	}
}

func TestSettingUp(t *testing.T) {
	for _, c := range []struct {
		comm string
		argv []string
		want bool
	}{
		{"runc:[2:INIT]", []string{"runc", "init"}, true},
		{"runc:[1:CHILD]", []string{"runc", "init"}, true},
		{"exe", []string{"/proc/self/exe", "init"}, true},
		{"runc", []string{"/usr/bin/runc", "init"}, true},
		{"crun", []string{"crun", "create", "--bundle", "/b", "box"}, true},
		{"init", []string{"/sbin/init"}, false},
		{"sh", []string{"/bin/sh", "init"}, false},
		{"runc", []string{"runc", "run", "box"}, false},
		{"crun", []string{"crun", "list"}, false},
		{"sleep", nil, false},
	} {
		if got := SettingUp(c.comm, c.argv); got != c.want {
			t.Errorf("SettingUp(%q, %q) = %v", c.comm, c.argv, got)
		}
	}
}

func TestEngineTable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range engines {
		if r.source == "" || r.read == nil || (r.title == "") == (len(r.programs) == 0) {
			t.Errorf("row %v is incomplete", r.programs)
		}
		for _, p := range r.programs {
			if seen[p] {
				t.Errorf("%s is in two rows", p)
			}
			seen[p] = true
		}
	}
}

// FuzzEngine: whatever the arguments, no panic, no id that could not be a file's name.
func FuzzEngine(f *testing.F) {
	f.Add("conmon", "", "conmon\x00-c\x00a\x00-n\x00b\x00--runtime-arg\x00--x")
	f.Add("containerd-shim", "/usr/bin/containerd-shim-runc-v2", "containerd-shim-runc-v2\x00-namespace=moby\x00--id\x00a\x00-")
	f.Add("lxc-start", "", "[lxc monitor] /a b c")
	f.Add("runc", "", "runc\x00--root\x00/x/moby\x00exec\x00a\x00--\x00-b")
	f.Add("systemd-nspawn", "/memfd:x", "systemd-nspawn\x00-bxD/\x00--\x00")
	f.Add("lxd", "", "lxd\x00forkstart\x00a\x00b")
	f.Add("docker-containe", "", "docker-containerd-shim\x00a\x00b")
	f.Add("libvirt_lxc", "", "libvirt_lxc\x00-na")
	f.Fuzz(func(t *testing.T, comm, exe, cmdline string) {
		argv := strings.Split(cmdline, "\x00")
		e, ok := Engine(comm, exe, argv)
		if !ok && e != (EngineProcess{}) {
			t.Fatalf("no engine, and yet %+v", e)
		}
		if ok && (e.ID == ".." || strings.ContainsAny(e.ID+e.Name, "\x00\n\x1b") || strings.Contains(e.ID, "/")) {
			t.Fatalf("%+v", e)
		}
		if again, _ := Engine(comm, exe, argv); again != e {
			t.Fatalf("%+v, then %+v", e, again)
		}
		SettingUp(comm, argv)
	})
}
