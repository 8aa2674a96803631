package container

import (
	"path"
	"strings"
)

// EngineProcess is what the command line of an engine's own process says. It
// is a claim: anybody can start a process under any name with any arguments. It
// becomes evidence when the process is an ancestor of what it speaks of.
type EngineProcess struct {
	// Runtime is who the container is of, in the words of package cgroup: docker
	// for a shim in containerd's namespace moby. "" if the arguments leave it open.
	Runtime string
	// ID is the container; "" for a daemon, which is above many. In containerd's
	// namespace k8s.io one shim serves a pod, and this is the pod's sandbox.
	ID string
	// Name is what users call it, where the arguments tell; "" if not.
	Name string
	// Bundle is the container's directory as in the arguments, perhaps relative
	// to the process's own; "" if they do not tell.
	Bundle string
	// Namespace is containerd's (moby, k8s.io, default); "" for other engines.
	Namespace string
	// VM: what runs below is a virtual machine monitor, the container is in its guest.
	VM bool
}

// Engine tells whether a process is one that container engines run for a
// container, or their daemon, and which container it is for. comm is
// /proc/PID/comm; exe is where /proc/PID/exe points, "" if it was not read;
// argv is /proc/PID/cmdline. All three must agree as far as they are there.
//
// The arguments are hostile: they are looked at once each, and an id is only
// taken if it can be the name of a file.
func Engine(comm, exe string, argv []string) (EngineProcess, bool) {
	if len(argv) == 0 {
		return EngineProcess{}, false
	}
	for i := range engines {
		row := &engines[i]
		if !row.is(comm, exe, argv[0]) {
			continue
		}
		e, ok := row.read(row.parse(argv))
		if !ok || !isFileName(e.ID) || !isText(e.Name) || !isText(e.Bundle) || !isText(e.Namespace) {
			return EngineProcess{}, false
		}
		return e, true
	}
	return EngineProcess{}, false
}

// SettingUp tells a process that is between an OCI runtime and the container: it
// may not have joined all namespaces yet, so what it shares with the host says
// nothing. runc calls itself so until it executes the container's program
// (runc libcontainer/nsenter/nsexec.c, init_linux.go); crun does not execute
// anything in between and still looks like its parent. A container's process can
// call itself so too, and stay; only a young one is to be believed.
func SettingUp(comm string, argv []string) bool {
	switch {
	case strings.HasPrefix(comm, "runc:["):
		return true
	case len(argv) >= 2 && argv[1] == "init":
		name := path.Base(argv[0])
		return name == "runc" || name == "exe" && path.Dir(argv[0]) == "/proc/self"
	case comm == "crun" || comm == "memfd:crun":
		e, ok := Engine("crun", "", argv)
		return ok && e.ID != ""
	}
	return false
}

// RunsContainers tells by its comm a low-level OCI runtime, or the part of one that sets a container up: the
// parent of an init that is not in all of its namespaces yet.
func RunsContainers(comm string) bool {
	switch comm {
	case "runc", "docker-runc", "buildkit-runc", "crun", "memfd:crun", "youki":
		return true
	}
	return strings.HasPrefix(comm, "runc:[")
}

// An engine is one row of the table: one program, and how its arguments name
// the container. Adding one is adding a row, with a real command line in the test.
type engine struct {
	programs []string // the last element of argv[0], one of these
	title    string   // or the process has put this at the beginning of its command line instead

	goFlags bool   // -name and --name are the same flag (Go's flag package); else getopt's -n and --name
	values  string // flags that take the next argument as their value, each with a space around
	ends    int    // flags end after this many other arguments; 0: never

	read   func(a arguments) (EngineProcess, bool)
	source string
}

// engines is the table. The command lines were seen with docker 20.10,
// containerd 1.6, podman 4.3, conmon 2.1, LXC 5.0 and systemd 252, unless the
// source says otherwise.
var engines = []engine{{
	programs: []string{"containerd-shim-runc-v2", "containerd-shim-runc-v1", "containerd-shim-runsc-v1",
		"containerd-shim-kata-v2", "containerd-shim-crun-v2", "containerd-shim-aws-firecracker", "containerd-shim"},
	goFlags: true,
	values:  " namespace id address bundle socket publish-binary workdir containerd-binary runtime-root criu ",
	read:    readShim,
	source:  "containerd runtime/v2/shim/shim.go; version 1: cmd/containerd-shim/main_unix.go, whose -workdir ends in NAMESPACE/ID (moby#40145)",
}, {
	programs: []string{"docker-containerd-shim"},
	goFlags:  true,
	values:   " namespace workdir address containerd-binary runtime-root criu ",
	ends:     1,
	read:     readDockerShim,
	source:   "docker 1.11 to 18.06: docker-containerd-shim ID BUNDLE RUNTIME (moby#26041), then the flags of containerd-shim (moby#40145)",
}, {
	programs: []string{"conmon"},
	values: " api-version b bundle c cid P conmon-pidfile p container-pidfile u cuuid exec-process-spec exit-command exit-command-arg" +
		" exit-delay exit-dir log-level l log-path log-size-max log-global-size-max log-tag log-label n name 0 persist-dir restore r runtime" +
		" runtime-arg runtime-opt sdnotify-socket socket-dir-path T timeout seccomp-notify-socket seccomp-notify-plugins ",
	read:   readConmon,
	source: "conmon src/cli.c; podman libpod/oci_conmon_common.go; cri-o internal/oci/runtime_oci.go",
}, {
	programs: []string{"runc", "docker-runc", "buildkit-runc", "crun", "youki", "runsc"},
	values: " log log-format root criu rootless cgroup-manager b bundle console-socket pid-file preserve-fds f config" +
		" cwd e env u user p process process-label apparmor c cap g additional-gids cgroup image-path work-path ",
	ends:   2, // of exec COMMAND ID ARGUMENTS the last are the container's
	read:   readOCIRuntime,
	source: "runc main.go, create.go, run.go, exec.go; crun src/crun.c, src/create.c",
}, {
	title:  "[lxc monitor] ",
	read:   readLXCMonitor,
	source: "lxc src/lxc/lxccontainer.c do_lxcapi_start; LXD and Incus use the same library (lxd#5034)",
}, {
	programs: []string{"lxc-start", "lxc-execute", "lxc-attach"},
	values: " n name P lxcpath f rcfile o logfile l logpriority p pidfile c console L console-log s define e u uid g gid" +
		" a arch namespaces R remount-sys-proc v set-var keep-var share-net share-ipc share-uts share-pid ",
	ends:   1,
	read:   readLXC,
	source: "lxc src/lxc/tools",
}, {
	programs: []string{"lxd", "incusd"},
	ends:     1,
	read:     readLXD,
	source:   "lxd main_forkstart.go, main_forkexec.go: forkstart NAME CONTAINERS CONFIG; incus the same",
}, {
	programs: []string{"systemd-nspawn"},
	values: " D directory template u user M machine S slice E setenv Z selinux-context L selinux-apifs-context i image p port uuid" +
		" hostname property root-hash root-hash-sig verity-data pivot-root chdir capability drop-capability ambient-capability" +
		" no-new-privileges system-call-filter rlimit oom-score-adjust cpu-affinity personality resolv-conf timezone link-journal" +
		" bind bind-ro bind-user inaccessible tmpfs overlay overlay-ro network-interface network-macvlan network-ipvlan" +
		" network-veth-extra network-bridge network-zone network-namespace-path kill-signal notify-ready settings console" +
		" oci-bundle load-credential set-credential private-users-ownership ",
	ends:   1,
	read:   readNspawn,
	source: "systemd src/nspawn/nspawn.c parse_argv",
}, {
	programs: []string{"libvirt_lxc"},
	values:   " n name v veth c console p passnet s share-net S security h handshake shm T timeout ",
	read:     readLibvirtLXC,
	source:   "libvirt src/lxc/lxc_controller.c main",
},
	daemon("docker", "dockerd"),
	daemon("containerd", "containerd", "docker-containerd"),
	daemon("cri-o", "crio"),
	daemon("buildkit", "buildkitd"),
}

func daemon(runtime string, programs ...string) engine {
	return engine{
		programs: programs,
		read:     func(arguments) (EngineProcess, bool) { return EngineProcess{Runtime: runtime}, true },
		source:   "the daemon's own name",
	}
}

// is tells whether the process is one of the row's. The name comes from argv,
// since comm has room for 15 bytes and is "memfd:..." for a program that has
// copied itself (runc, lxc-attach: CVE-2019-5736), and so is exe then.
func (r *engine) is(comm, exe, arg0 string) bool {
	if r.title != "" {
		return strings.HasPrefix(arg0, r.title)
	}
	program := path.Base(arg0)
	for _, p := range r.programs {
		if p == program {
			return (comm == "" || agrees(comm, p)) &&
				(exe == "" || agrees(path.Base(strings.TrimSuffix(exe, " (deleted)")), p) || strings.HasPrefix(exe, "/memfd:"))
		}
	}
	return false
}

// agrees tells whether a comm (or a file's name) can be a program's.
func agrees(comm, program string) bool {
	const room = 15 // TASK_COMM_LEN without the NUL
	for _, full := range [...]string{program, "memfd:" + program} {
		if comm == full || len(full) > room && comm == full[:room] {
			return true
		}
	}
	return false
}

// arguments is a command line taken apart. A flag that is there twice has its
// last value, as with every parser in question.
type arguments struct {
	program string
	flags   map[string]string
	rest    []string
}

func (r *engine) parse(argv []string) arguments {
	a := arguments{program: path.Base(argv[0]), flags: map[string]string{}}
	if r.title != "" {
		a.program, a.rest = argv[0], argv[1:]
		return a
	}
	for i := 1; i < len(argv); i++ {
		arg := argv[i]
		if arg == "--" {
			a.rest = append(a.rest, argv[i+1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			a.rest = append(a.rest, arg)
			if len(a.rest) == r.ends {
				a.rest = append(a.rest, argv[i+1:]...)
				break
			}
			continue
		}
		name, value, has := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		if arg[1] != '-' && !r.goFlags {
			// One letter each, the last of which may have the rest as its value.
			for name, value = arg[1:2], arg[2:]; value != "" && !r.takesValue(name); name, value = value[:1], value[1:] {
				a.flags[name] = ""
			}
			has = value != ""
		}
		if !has && r.takesValue(name) && i+1 < len(argv) {
			i++
			value = argv[i]
		}
		a.flags[name] = value
	}
	return a
}

func (r *engine) takesValue(flag string) bool {
	return !strings.ContainsRune(flag, ' ') && strings.Contains(r.values, " "+flag+" ")
}

// first returns the first of some flags that is there and not empty.
func (a arguments) first(flags ...string) string {
	for _, f := range flags {
		if v := a.flags[f]; v != "" {
			return v
		}
	}
	return ""
}

func (a arguments) at(i int) string {
	if i < len(a.rest) {
		return a.rest[i]
	}
	return ""
}

// ofNamespace is the engine that uses a namespace of containerd.
func ofNamespace(namespace string) string {
	switch namespace {
	case "moby":
		return "docker"
	case "buildkit":
		return "buildkit"
	}
	return "containerd"
}

func readShim(a arguments) (EngineProcess, bool) {
	e := EngineProcess{
		ID:        a.flags["id"],
		Namespace: a.flags["namespace"],
		Bundle:    a.first("bundle", "workdir"),
		VM:        a.program == "containerd-shim-kata-v2" || a.program == "containerd-shim-aws-firecracker",
	}
	if dir := a.flags["workdir"]; e.ID == "" && dir != "" {
		e.ID = path.Base(dir)
	}
	e.Runtime = ofNamespace(e.Namespace)
	return e, e.ID != "" && e.Namespace != ""
}

func readDockerShim(a arguments) (EngineProcess, bool) {
	if len(a.rest) >= 2 {
		return EngineProcess{Runtime: "docker", ID: a.rest[0], Bundle: a.rest[1]}, a.rest[0] != ""
	}
	return readShim(a)
}

// readConmon tells its two users apart by what each has always handed over and
// the other has not: podman an --api-version, and before that itself as the exit
// command; CRI-O a --persist-dir, which podman 6 has beside its --api-version.
func readConmon(a arguments) (EngineProcess, bool) {
	e := EngineProcess{ID: a.first("c", "cid"), Name: a.first("n", "name"), Bundle: a.first("b", "bundle")}
	switch {
	case has(a.flags, "api-version") || path.Base(a.flags["exit-command"]) == "podman":
		e.Runtime = "podman"
	case has(a.flags, "persist-dir"):
		e.Runtime = "cri-o"
	}
	return e, e.ID != ""
}

func has(flags map[string]string, name string) bool {
	_, ok := flags[name]
	return ok
}

// readOCIRuntime reads runc's and its likes' COMMAND ID. Called by containerd,
// the state directory is ROOT/NAMESPACE: /run/containerd/runc/k8s.io,
// /var/run/docker/runtime-runc/moby.
func readOCIRuntime(a arguments) (EngineProcess, bool) {
	e := EngineProcess{Runtime: a.program, ID: a.at(1), Bundle: a.first("b", "bundle")}
	switch a.at(0) {
	case "create", "run", "exec", "restore":
	default:
		return EngineProcess{}, false
	}
	switch a.program {
	case "docker-runc":
		e.Runtime = "docker"
	case "buildkit-runc":
		e.Runtime = "buildkit"
	}
	switch ns := path.Base(a.flags["root"]); ns {
	case "moby", "k8s.io", "plugins.moby", "default", "buildkit":
		e.Namespace, e.Runtime = ns, ofNamespace(ns)
	}
	return e, e.ID != ""
}

// readLXCMonitor reads the title PATH NAME. The path comes from the
// configuration and has no spaces; the name may have some.
func readLXCMonitor(a arguments) (EngineProcess, bool) {
	dir, name, ok := strings.Cut(strings.TrimPrefix(a.program, "[lxc monitor] "), " ")
	return EngineProcess{Runtime: "lxc", ID: name, Name: name, Bundle: join(dir, name)}, ok && name != ""
}

func readLXC(a arguments) (EngineProcess, bool) {
	name := a.first("n", "name")
	if name == "" && a.program == "lxc-start" {
		name = a.at(0) // since 2.1
	}
	return EngineProcess{Runtime: "lxc", ID: name, Name: name, Bundle: join(a.first("P", "lxcpath"), name)}, name != ""
}

func readLXD(a arguments) (EngineProcess, bool) {
	switch a.at(0) {
	case "forkstart", "forkexec", "forkconsole":
	default:
		return EngineProcess{}, false
	}
	name := a.at(1)
	return EngineProcess{Runtime: "lxc", ID: name, Name: name, Bundle: join(a.at(2), name)}, name != ""
}

// readNspawn takes the machine's name from where systemd-nspawn does: the
// option, else the directory's or the image's. Without any it is the directory
// that it was started in, which is not known here.
func readNspawn(a arguments) (EngineProcess, bool) {
	e := EngineProcess{Runtime: "nspawn", Bundle: a.first("D", "directory", "i", "image", "oci-bundle", "template"), ID: a.first("M", "machine")}
	if e.ID == "" && e.Bundle != "" && !has(a.flags, "x") && !has(a.flags, "ephemeral") {
		e.ID = strings.TrimSuffix(path.Base(e.Bundle), ".raw")
		if e.ID == "." || e.ID == "/" || e.ID == ".." {
			e.ID = ""
		}
	}
	e.Name = e.ID
	return e, true
}

func readLibvirtLXC(a arguments) (EngineProcess, bool) {
	name := a.first("n", "name")
	return EngineProcess{Runtime: "libvirt-lxc", ID: name, Name: name}, name != ""
}

// join is the directory of a container; "" if either part is not known.
func join(dir, name string) string {
	if dir == "" || name == "" {
		return ""
	}
	return dir + "/" + name
}

// isFileName tells whether an id may be looked up in a directory; "" is no id and may not come to that.
func isFileName(s string) bool {
	return len(s) <= 255 && !strings.Contains(s, "/") && s != "." && s != ".." && isText(s)
}

func isText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
