package cgroup

// A runtime is one row of the table: everything that is known about how one
// container runtime names cgroups. Adding a runtime is adding a row, and its
// vectors to testdata/vectors/cgroup.jsonl.
//
// The order of rows does not matter: of all forms that match a component the
// most specific one counts (see form.score).
type runtime struct {
	name    string
	unnamed bool // its cgroups do not tell the engine: Ref.Runtime is ""

	forms []form // what its containers, and their monitors, are called
	pods  []form // what its pods are called; the pod is not a container

	// podLabel is the key in Identity.Labels under which the pod goes when it
	// is not a pod of Kubernetes or podman.
	podLabel string
	// inner are the cgroups that the runtime itself makes directly below the
	// container's, in which the container's own root is.
	inner []string
	// monitors are directories in which there are monitors only.
	monitors []string

	source string
}

// A form is one name of a cgroup. A path component has this form if everything
// that is set here agrees with it.
type form struct {
	prefix string   // the component starts so
	suffix []string // and ends in one of these; nil is ""
	id     shape    // and what is between them is an id

	// oci: the component is SLICE:PREFIX:NAME with this PREFIX, "*" for any.
	// This is the cgroupsPath that the systemd driver takes apart
	// (opencontainers/runc docs/systemd.md); a runtime in cgroupfs mode makes a
	// directory of it as it is. slice is what SLICE must start with.
	oci, slice string

	dir   []string // the parent is one of these; a trailing * stands for any rest
	above string   // and that parent's parent is this one
	root  bool     // and the parent is the first component below the root of the file or of the container around
	in    string   // the parent is a pod of the row of this name
	child string   // the next component is this one, * as above; for a container it is part of its own cgroup

	role Role // "" is RolePayload; RoleNone is a name that looks like a container and is none
	weak bool
}

// scope is for a unit; both drivers of some runtimes write the same name, with
// and without .scope (cri-o#8748, cadvisor#3538).
var (
	scope      = []string{".scope"}
	scopeOrDir = []string{".scope", ""}
)

// runtimes is the table.
//
// "observed" is: seen on Debian 12 hosts with pure v2, legacy v1 and hybrid
// cgroups, with docker 20.10, containerd 1.6, runc 1.1, crun 1.8, podman 4.3,
// buildah 1.28, conmon 2.1, LXC 5.0, systemd 252, libvirt 9.0, CRI-O 1.30.
var runtimes = []runtime{{
	name: "docker",
	forms: []form{
		{prefix: "docker-", suffix: scopeOrDir, id: hex64},
		// actions_job is the --cgroup-parent of GitHub's runners (docker-gen#315).
		{dir: []string{"docker", "actions_job"}, id: hex64},
		{oci: "docker", id: hex64},
		{in: "ecs", id: hex64},
	},
	source: "moby daemon/oci_linux.go withCgroups; amazon-ecs-agent agent/api/task/task_linux.go; observed",
}, {
	name: "containerd",
	forms: []form{
		{prefix: "cri-containerd-", suffix: scopeOrDir, id: hex64},
		{prefix: "nerdctl-", suffix: scopeOrDir, id: hex64},
		{oci: "cri-containerd", id: entry},
		{oci: "nerdctl", id: entry},
		// The default path is /NAMESPACE/ID and both may be anything; only the
		// namespaces that containerd's own clients use are believed.
		{dir: []string{"default", "k8s.io", "moby", "plugins.moby", "buildkit"}, root: true, id: entry},
	},
	source: "containerd internal/cri/server getCgroupsPath, oci/spec.go WithDefaultSpec; nerdctl pkg/cmd/container/run_cgroup_linux.go; observed",
}, {
	name: "cri-o",
	forms: []form{
		{prefix: "crio-", suffix: scopeOrDir, id: hex64},
		{oci: "crio", id: entry},
		{prefix: "crio-conmon-", suffix: scopeOrDir, id: hex64, role: RoleMonitor},
		{prefix: "crio-pull-image-", suffix: scope, id: hex64, role: RoleNone}, // separate_pull_cgroup
	},
	source: "cri-o internal/config/cgmgr; crun#35; observed",
}, {
	name: "podman",
	forms: []form{
		{prefix: "libpod-", suffix: scopeOrDir, id: hex64},
		{prefix: "libpod-payload-", suffix: scopeOrDir, id: hex64},
		{oci: "libpod", id: entry},
		{prefix: "libpod-conmon-", suffix: scopeOrDir, id: hex64, role: RoleMonitor},
		// The cgroupfs manager keeps all conmons of one parent together.
		{dir: []string{"libpod_parent"}, prefix: "conmon", id: nothing, role: RoleMonitor},
		{in: "podman", prefix: "conmon", id: nothing, role: RoleMonitor},
	},
	pods: []form{
		{suffix: []string{".slice"}, id: podmanPod},
		{dir: []string{"libpod_parent"}, id: hex64},
		{id: hex64, child: "libpod-*"}, // --cgroup-parent with cgroupfs
		{id: hex64, child: "conmon"},
	},
	source: "podman libpod/oci_conmon_linux.go, libpod/runtime_pod_linux.go, libpod/container_internal_linux.go; observed",
}, {
	name: "buildah",
	forms: []form{
		{prefix: "crun-", suffix: scope, id: buildahID},
		{prefix: "runc-", suffix: scope, id: buildahID},
		{id: buildahID},
	},
	source: "buildah run_linux.go; observed",
}, {
	name: "buildkit",
	forms: []form{
		{dir: []string{"buildkit"}, id: base36},
		// The systemd driver of a dockerd with BuildKit inside, whose executor runs runc in cgroupfs mode.
		{oci: "docker", id: base36},
	},
	source: "buildkit executor/oci/spec.go; observed",
}, {
	name: "runc",
	forms: []form{
		{prefix: "runc-", suffix: scope, id: unitName},
		{oci: "runc", id: entry},
	},
	source: "runc libcontainer/cgroups/systemd/common.go; observed",
}, {
	name:   "bpm",
	forms:  []form{{prefix: "runc-", suffix: scope, id: bpmID}},
	source: "cloudfoundry/bpm-release runc/lifecycle; monit access rules of its releases name system.slice/runc-bpm-JOB.scope",
}, {
	name: "crun",
	forms: []form{
		{prefix: "crun-", suffix: scope, id: unitName},
		{oci: "crun", id: entry},
	},
	source: "crun src/libcrun/cgroup-systemd.c; observed",
}, {
	name: "youki",
	forms: []form{
		{prefix: "youki-", suffix: scope, id: unitName},
		{oci: "youki", id: entry},
	},
	source: "youki crates/libcontainer/src/utils.rs get_cgroup_path",
}, {
	name: "lxc",
	forms: []form{
		{prefix: "lxc.payload.", id: anyName},     // since 4.0
		{dir: []string{"lxc.payload"}, id: entry}, // 3.2 to 4.0 beta
		{dir: []string{"lxc"}, id: entry},         // before, and Proxmox VE
		{prefix: "lxc.monitor.", id: anyName, role: RoleMonitor},
		{dir: []string{"lxc.monitor"}, id: entry, role: RoleMonitor},
	},
	inner:  []string{"ns"}, // lxc.cgroup.dir.container.inner, as Proxmox VE sets it
	source: "lxc src/lxc/cgroups/cgfsng.c; Proxmox pve-container src/PVE/LXC.pm; observed",
}, {
	name: "nspawn",
	forms: []form{
		{prefix: "machine-", suffix: scope, id: unitName},
		{suffix: scope, id: unitName, child: "payload"}, // --register=no
		{prefix: "systemd-nspawn@", suffix: []string{".service"}, id: unitName, child: "payload"},
		{prefix: "systemd-nspawn@", suffix: []string{".service"}, id: unitName, child: "supervisor", role: RoleMonitor},
	},
	inner:  []string{"payload"},
	source: "systemd src/machine/machine-dbus.c, src/nspawn/nspawn-cgroup.c, units/systemd-nspawn@.service.in; observed",
}, {
	name:   "rkt",
	forms:  []form{{prefix: `machine-rkt\x2d`, suffix: scope, id: unitName}},
	source: "rkt Documentation/devel/inspect-containers.md",
}, {
	// Its controller process, libvirt_lxc, is in the same cgroup.
	name: "libvirt-lxc",
	forms: []form{
		{prefix: `machine-lxc\x2d`, suffix: scope, id: libvirtName},
		{prefix: "lxc-", suffix: []string{".libvirt-lxc"}, id: libvirtName},
		{suffix: []string{".libvirt-lxc"}, id: anyName},
		{above: "libvirt", dir: []string{"lxc"}, id: entry},
	},
	inner:  []string{"libvirt"},
	source: "libvirt src/util/virsystemd.c virSystemdMakeScopeName, src/util/vircgroup.c virCgroupNewDomainPartition; observed",
}, {
	name:   "libvirt-qemu",
	forms:  []form{{prefix: `machine-qemu\x2d`, suffix: scope, id: unitName, role: RoleNone}}, // a virtual machine
	source: "libvirt src/util/virsystemd.c; observed",
}, {
	name: "garden",
	forms: []form{
		{dir: []string{"garden"}, id: guid},
		{above: "garden", dir: []string{"good", "bad"}, id: guid},
		{id: shortGUID, weak: true}, // some controllers have no parent
	},
	source: "cloudfoundry/guardian gardener, rundmc/cgroups; concourse#3613",
}, {
	name:   "mesos",
	forms:  []form{{dir: []string{"mesos"}, id: uuid}},
	inner:  []string{"leaf"},
	source: "mesos src/slave/containerizer/mesos/paths.cpp (mesos/agent is the agent itself)",
}, {
	name:   "nomad",
	forms:  []form{{dir: []string{"nomad", "nomad.slice", "share", "share.slice", "reserve", "reserve.slice"}, suffix: scopeOrDir, id: nomadTask}},
	source: "nomad client/lib/cgroupslib/editor.go; nomad-driver-containerd#133",
}, {
	// On EC2 the containers are docker's.
	name: "ecs",
	forms: []form{
		{in: "ecs", id: ecsPart},
		{id: ecsPart, weak: true}, // a sibling seen from a cgroup namespace
	},
	pods: []form{
		{dir: []string{"ecs"}, id: ecsTask},
		{above: "ecs", id: ecsTask}, // ecs/CLUSTER/TASK
		{prefix: "ecstasks-", suffix: []string{".slice"}, id: ecsTask},
	},
	podLabel: "ecs.task",
	source:   "amazon-ecs-agent agent/config/config_unix.go DefaultTaskCgroupV1Prefix, DefaultTaskCgroupV2Prefix; datadog-agent#24186 (Fargate); cadvisor#3923",
}, {
	name: "kata",
	forms: []form{
		{prefix: "kata_", suffix: scopeOrDir, id: hex64, role: RoleVMM},
		{oci: "*", slice: "kata_", id: entry, role: RoleVMM},
		{oci: "runtime-rs", id: entry, role: RoleMonitor},
		{dir: []string{"kata_overhead"}, id: entry, role: RoleMonitor},
		{dir: []string{"kata-overhead.slice"}, prefix: "runtime-rs-", suffix: scope, id: unitName, role: RoleMonitor},
	},
	monitors: []string{"kata_overhead", "kata-overhead.slice"},
	source:   "kata-containers docs/design/host-cgroups.md, src/runtime/pkg/resourcecontrol RenameCgroupPath, src/runtime-rs/crates/resource/src/cgroups; kata#4886, kata#11598",
}, {
	name:   "firecracker",
	forms:  []form{{dir: []string{"firecracker", "firecracker-v*"}, id: entry, role: RoleVMM}},
	source: "firecracker docs/jailer.md: PARENT_CGROUP/ID, the parent is the name of the executable by default",
}, {
	name: "apptainer",
	forms: []form{
		{prefix: "apptainer-", suffix: scope, id: number},
		{dir: []string{"apptainer"}, id: number},
	},
	source: "apptainer internal/pkg/cgroups/manager_linux.go: the id is a pid",
}, {
	name: "singularity",
	forms: []form{
		{prefix: "singularity-", suffix: scope, id: number},
		{prefix: "singularity-oci-", suffix: scope, id: unitName},
		{dir: []string{"singularity"}, id: number},
	},
	source: "sylabs/singularity internal/pkg/cgroups/util.go DefaultPathForPid, internal/pkg/runtime/launcher/oci",
}, {
	name: "flatpak",
	forms: []form{
		{prefix: "app-flatpak-", suffix: scope, id: flatpak, role: RoleApp},
	},
	source: "flatpak common/flatpak-run-cgroup.c flatpak_run_in_transient_unit",
}, {
	name:   "snap",
	forms:  []form{{prefix: "snap.", suffix: scope, id: snapApp, role: RoleApp}},
	source: "snapd sandbox/cgroup/scanning.go; a snap's services are plain units",
}, {
	// cgroupfs: containerd, dockershim, cri-dockerd and early CRI-O all write the bare id.
	name: "kubernetes", unnamed: true,
	forms: []form{
		{in: "kubernetes", id: hex64},
		{in: "kubernetes", id: uuid},
	},
	pods: []form{
		{prefix: "pod", id: podUID},
		{suffix: []string{".slice"}, id: podSlice},
	},
	source: "kubernetes pkg/kubelet/cm/pod_container_manager_linux.go, pkg/kubelet/config/common.go (static pods); observed with containerd and CRI-O",
}, {
	// What is left of the OCI conventions when nobody we know wrote the name.
	name: "any OCI runtime", unnamed: true,
	forms: []form{
		{id: hex64, weak: true}, // --cgroup-parent with cgroupfs
		{suffix: scope, id: tailHex64, weak: true},
		{suffix: scopeOrDir, id: conmonOf, role: RoleMonitor},
		{oci: "*", id: entry},
	},
	source: "runc docs/systemd.md; moby daemon/oci_linux.go; observed",
}}
