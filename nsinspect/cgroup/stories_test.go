package cgroup

import (
	"fmt"
	"strings"
	"testing"
)

const (
	idA = "7da9a9d36b7eda4daa61dd4df0eab2b9487a0bfeff1df0f48d144671b3cfcdab"
	idB = "50b186909649420c55a16cd3ccdf3194851ebc5d0597316e484a26696dd3553f"
	uid = "8d7d5c6a-3f4e-4b1a-9c2d-1e2f3a4b5c6d"
	usc = "8d7d5c6a_3f4e_4b1a_9c2d_1e2f3a4b5c6d"
)

// say puts an identity in one line: what it is, then in what it is.
func say(id Identity) string {
	ref := func(r Ref) string {
		s := r.Runtime + ":" + r.ID
		if r.Pod != "" {
			s += "@" + r.Pod
		}
		return s
	}
	s := string(id.Role)
	if id.Ref != (Ref{}) {
		s += " " + ref(id.Ref)
	}
	for i := len(id.Outer) - 1; i >= 0; i-- {
		s += " in " + ref(id.Outer[i])
	}
	if id.Weak {
		s += " weak"
	}
	if id.Disagree {
		s += " disagree"
	}
	return s
}

// story is a cgroup file and what say makes of its identity.
type story struct {
	name  string
	paths []string // a v2 path if there is one, else the lines of a file
	want  string
}

func (s story) content() string {
	if len(s.paths) == 1 {
		return "0::" + s.paths[0] + "\n"
	}
	return strings.Join(s.paths, "\n") + "\n"
}

// TestMistakesOthersMade: each story is a bug that another tool had.
func TestMistakesOthersMade(t *testing.T) { tell(t, mistakes()) }

// TestCatalogue has what testdata/vectors/CATALOGUE.md tells and no vector shows.
func TestCatalogue(t *testing.T) { tell(t, catalogue()) }

func tell(t *testing.T, stories []story) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			id := Identify([]byte(s.content()))
			if got := say(id); got != s.want {
				t.Errorf("%s\n got %s\nwant %s", s.content(), got, s.want)
			}
			if err := check(s.content(), id); err != nil {
				t.Error(err)
			}
		})
	}
}

func mistakes() []story {
	return []story{
		{"conmon of podman taken for its container (tracee#5086)", []string{"/machine.slice/libpod-conmon-" + idA + ".scope"}, "monitor podman:" + idA},
		{"conmon of CRI-O taken for its container (spire#4088)", []string{"/system.slice/crio-conmon-" + idA + ".scope"}, "monitor cri-o:" + idA},
		{"conmon in the pod's cgroup taken for its container (crun#35)", []string{"/kubepods/pod" + uid + "/crio-conmon-" + idA}, "monitor cri-o:" + idA + "@" + uid},
		{"conmons of one parent", []string{"/libpod_parent/conmon"}, "monitor podman:"},
		{"conmon of a podman pod with cgroupfs", []string{"/libpod_parent/" + idB + "/conmon"}, "monitor podman:@" + idB},
		{"an unknown engine's conmon", []string{"/system.slice/acme-conmon-" + idA + ".scope"}, "monitor :" + idA},
		{"LXC's monitor taken for the container (needrestart#326)", []string{"/lxc.monitor.web"}, "monitor lxc:web"},
		{"nspawn's supervisor taken for the container", []string{"/machine.slice/systemd-nspawn@web.service/supervisor"}, "monitor nspawn:web"},
		{"containerd-shim is in its daemon's unit", []string{"/system.slice/containerd.service"}, "none"},
		{"Kata's VMM taken for the container (cadvisor#3511)", []string{"/kubepods/pod" + uid + "/kata_" + idA}, "vmm kata:" + idA + "@" + uid},
		{"Kata's shim", []string{"/kata_overhead/" + idA}, "monitor kata:" + idA},
		{"Kata's shim, runtime-rs", []string{"/kata-overhead.slice/runtime-rs-" + idA + ".scope"}, "monitor kata:" + idA},
		{"Kata's shim below the orchestrator's path", []string{"/kata_overhead/kubepods/pod" + uid + "/" + idA}, "monitor kata:" + idA + "@" + uid},
		{"anything of Kata's overhead", []string{"/kata-overhead.slice/virtiofsd.scope"}, "monitor kata:"},
		{"Kata's shim of a named sandbox", []string{"/kata_overhead/box"}, "monitor kata:box"},
		{"Kata's shim of a named sandbox, runtime-rs", []string{"/kata-overhead.slice/runtime-rs-box.scope"}, "monitor kata:box"},
		{"the overhead directory itself", []string{"/kata_overhead"}, "none"},

		{"docker's shm mount unit", []string{"/system.slice/var-lib-docker-containers-" + idA + "-shm.mount"}, "none"},
		{"docker's overlay mount unit", []string{"/system.slice/var-lib-docker-overlay2-" + idA + "-merged.mount"}, "none"},
		{"docker.socket", []string{"/system.slice/docker.socket"}, "none"},
		{"dev-hugepages.mount", []string{"/dev-hugepages.mount"}, "none"},
		{"init.scope", []string{"/init.scope"}, "none"},
		{"transient scope with 32 hex digits", []string{"/system.slice/run-ra2ddf9594bbf4a1986439b594f89eb0f.scope"}, "none"},
		{"podman's healthcheck timer", []string{"/system.slice/" + idA + "-7da9a9d36b7eda4d.service"}, "none"},
		{"a slice with an id", []string{"/deploy-" + idA + ".slice"}, "none"},
		{"CRI-O pulling an image", []string{"/system.slice/crio-pull-image-" + idA + ".scope"}, "none"},

		{"65 hex digits", []string{"/system.slice/docker-" + idA + "0.scope"}, "none"},
		{"64 characters, not all hex", []string{"/docker/" + idA[:63] + "g"}, "none"},
		{"upper case", []string{"/docker/" + strings.ToUpper(idA)}, "none"},
		{"hex before and after the unit's name", []string{"/system.slice/xdocker-" + idA + ".scopes"}, "none"},
		{"session scope of hex digits", []string{"/user.slice/user-0.slice/session-c2.scope"}, "none"},

		{"crun's container directory", []string{"/machine.slice/libpod-" + idA + ".scope/container"}, "payload podman:" + idA},
		{"podman --cgroups=split", []string{"/system.slice/web.service/libpod-payload-" + idA}, "payload podman:" + idA},
		{"podman with cgroupfs", []string{"/libpod_parent/libpod-" + idA}, "payload podman:" + idA},
		{"podman pod with cgroupfs", []string{"/libpod_parent/" + idB + "/libpod-" + idA}, "payload podman:" + idA + "@" + idB},
		{"podman pod with cgroupfs and a parent", []string{"/team/" + idB + "/libpod-" + idA}, "payload podman:" + idA + "@" + idB},
		{"podman pod of a user", []string{"/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_" + idB + ".slice/libpod-" + idA + ".scope"}, "payload podman:" + idA + "@" + idB},
		{"nerdctl", []string{"/system.slice/nerdctl-" + idA + ".scope"}, "payload containerd:" + idA},
		{"slice:cri-containerd:id", []string{"/system.slice/kubepods-pod" + usc + ".slice:cri-containerd:" + idA}, "payload containerd:" + idA + "@" + uid},
		{"Guaranteed pods have no QoS level", []string{"/kubepods/pod" + uid + "/" + idA}, "payload :" + idA + "@" + uid},
		{"ECS on Fargate", []string{"/ecs/03752a671e744971a862edcee6195646/03752a671e744971a862edcee6195646-401510372"}, "payload ecs:03752a671e744971a862edcee6195646-401510372"},
		{"ECS on EC2", []string{"/ecs/03752a671e744971a862edcee6195646/" + idA}, "payload docker:" + idA},
		{"ECS on EC2, with the cluster's name", []string{"/ecs/my-cluster/55091c13-b8cf-4801-b527-f4601742204d/" + idA}, "payload docker:" + idA},

		{"systemd in a container", []string{"/system.slice/docker-" + idA + ".scope/init.scope"}, "payload docker:" + idA},
		{"a service in a container", []string{"/docker/" + idA + "/system.slice/foo.service"}, "payload docker:" + idA},
		{"kind's kubelet", []string{"/docker/" + idA + "/kubelet.slice/kubelet.service"}, "payload docker:" + idA},
		{"kind's containerd", []string{"/docker/" + idA + "/system.slice/containerd.service"}, "payload docker:" + idA},
		{"a pod's cgroup in a kind node", []string{"/docker/" + idA + "/kubelet.slice/kubelet-kubepods-pod" + usc + ".slice"}, "payload docker:" + idA},
		{"a desktop in a container", []string{"/lxc.payload.dev/user.slice/app-flatpak-org.example.App-12.scope"}, "payload lxc:dev"},

		{"only cpu tells", []string{"3:rdma:/", "2:cpu,cpuacct:/docker/" + idA, "1:name=systemd:/", "0::/"}, "payload docker:" + idA},
		{"only name=systemd tells", []string{"2:cpu:/", "1:name=systemd:/docker/" + idA}, "payload docker:" + idA},
		{"name=systemd on a pure v2 host", []string{"1:name=systemd:/", "0::/docker/" + idA}, "payload docker:" + idA},
		{"the unified line is the shim's", []string{"2:cpu:/docker/" + idA, "0::/system.slice/containerd.service"}, "payload docker:" + idA},
		{"lines disagree about the container", []string{"2:cpu:/docker/" + idA, "0::/docker/" + idB}, "payload docker:" + idB + " disagree"},
		{"lines stop at different depths", []string{"2:cpu:/docker/" + idA, "0::/docker/" + idA + "/docker/" + idB}, "payload docker:" + idB + " in docker:" + idA},
		{"lines disagree about the outer container", []string{"2:cpu:/docker/" + idB, "0::/docker/" + idA + "/docker/" + idB}, "payload docker:" + idB + " in docker:" + idA + " disagree"},
		{"name=systemd names conmon (runc#4620)", []string{"2:cpu:/crio-" + idA, "1:name=systemd:/crio-conmon-" + idA + ".scope"}, "payload cri-o:" + idA},
		{"the cpuset line names a partition", []string{"3:cpuset:/nomad/share", "2:cpu:/docker/" + idA}, "payload docker:" + idA},

		{"a container that calls a cgroup of its own another container's", []string{"/docker/" + idA + "/docker-" + idB + ".scope"}, "payload docker:" + idB + " in docker:" + idA},
		{"a container that calls a cgroup of its own a monitor's", []string{"/docker/" + idA + "/libpod-conmon-" + idB + ".scope"}, "monitor podman:" + idB + " in docker:" + idA},
		{"a container that claims to be a VM monitor", []string{"/docker/" + idA + "/kata_" + idB}, "vmm kata:" + idB + " in docker:" + idA},
		{"a container that makes a directory of 64 hex digits", []string{"/docker/" + idA + "/" + idB}, "payload :" + idB + " in docker:" + idA + " weak"},

		{"a colon in the path", []string{"/foo:/init.scope"}, "none"},
		{"colons in a unit's name", []string{`/app.slice/app-dbus\x2d:1.2\x2dorg.example.slice/dbus-:1.2-org.example@0.service`}, "none"},
		{"two colons in a unit's name", []string{"/app.slice/dbus-:1.2-a:b@0.service"}, "none"},
		{"a deleted cgroup", []string{"/docker/" + idA + " (deleted)"}, "payload docker:" + idA},
		{"a deleted cgroup of a machine", []string{"/lxc.payload.my box (deleted)"}, "payload lxc:my box"},
		{"a deleted host cgroup", []string{"/pids/zz (deleted)"}, "none"},
		{"a sibling in a cgroup namespace", []string{"/../cri-containerd-" + idA + ".scope"}, "payload containerd:" + idA},
		{"another pod in a cgroup namespace", []string{"/../../pod" + uid + "/" + idA}, "payload :" + idA + "@" + uid},
		{"another pod of another QoS class", []string{"/../../../kubepods-besteffort.slice/kubepods-besteffort-pod" + usc + ".slice/crio-" + idA + ".scope"}, "payload cri-o:" + idA + "@" + uid},
		{"a sibling of which only the id is left", []string{"/../" + idA}, "payload :" + idA + " weak"},
		{"the reader's own root", []string{"/"}, "none"},
		{"the host's root from two levels down", []string{"/../.."}, "none"},

		{"underscores in the pod's slice", []string{"/kubepods.slice/kubepods-pod" + usc + ".slice/crio-" + idA + ".scope"}, "payload cri-o:" + idA + "@" + uid},
		{"a static pod", []string{"/kubepods/burstable/pod3f2b6a1c9d8e7f605142332415061728/" + idA}, "payload :" + idA + "@3f2b6a1c9d8e7f605142332415061728"},
		{"a pod and no container", []string{"/kubepods/burstable/pod" + uid}, "none :@" + uid},
		{"a pod and something in it", []string{"/kubepods/burstable/pod" + uid + "/helper"}, "none :@" + uid},
		{"not a pod", []string{"/kubepods/burstable/podcast-" + uid}, "none"},

		{"the parent's cgroup is no help", []string{"/system.slice/docker.service/helper"}, "none"},
	}
}

func catalogue() []story {
	var stories []story
	for _, c := range []struct{ path, want string }{
		{"/docker-ce/docker/" + idA, "payload docker:" + idA},
		{"/podruntime/docker/kubepods/pod" + uid + "/" + idA, "payload :" + idA + "@" + uid},
		{"/system.slice/system-docker.slice/docker-" + idA + ".scope", "payload docker:" + idA},
		{"/team/a/" + idA, "payload :" + idA + " weak"},
		{"/team/a/" + idA + "/docker/" + idB, "payload docker:" + idB + " in :" + idA},
		{"/batch.slice/job-" + idA + ".scope", "payload :" + idA + " weak"},
		{"/batch.slice/" + idA + ".scope", "payload :" + idA + " weak"},
		{"/batch.slice/-" + idA + ".scope", "payload :" + idA + " weak"},
		{"/batch.slice/" + idA + ".service", "none"},
		{"/moby/" + idA, "payload containerd:" + idA},
		{"/default/web.service", "none"},
		{"/somebody/mybox", "none"},
		{"/system.slice/default/mybox", "none"},
		{"/k8s.io/mybox/default/other", "payload containerd:other in containerd:mybox"},
		{"/k8s.io/mybox/x/default/other", "payload containerd:mybox"},
		{"/system.slice/acme.slice:acme:box7", "payload :box7"},
		{"/acme.slice:acme:box7.service", "none"},
		{"/a:b:c:d", "none"},
		{"/system.slice/-n.scope", "none"},
		{"/kubepods/pod" + uid + "/" + uid, "payload :" + uid + "@" + uid},
		{"/system.slice/crun-" + idA + ".scope/container", "payload crun:" + idA},
		{"/system.slice/crun-c3.scope/crun-exec", "payload crun:c3"},
		{"/system.slice/crio-" + idA + ".scope/container/exec", "payload cri-o:" + idA},
		{"/buildah-buildah927127244", "payload buildah:buildah-buildah927127244"},
		{"/user.slice/crun-buildah-buildah9.scope/container", "payload buildah:buildah-buildah9"},
		{"/corp/buildkit/24dp5sjv41qx2x7d0bxh4h289", "payload buildkit:24dp5sjv41qx2x7d0bxh4h289"},
		{"/corp/buildkit/24dp5sjv41qx2x7d0bxh4h28", "none"},
		{"/system.slice/runc-bpm-router.scope", "payload bpm:bpm-router"},
		{"/lxc/my box", "payload lxc:my box"},
		{"/lxc.payload.project_c1", "payload lxc:project_c1"},
		{"/lxc.pivot", "none"},
		{"/lxc/c1/lxc/c2", "payload lxc:c2 in lxc:c1"},
		{"/lxc/lxc/x", "payload lxc:lxc"},
		{"/user/1000.user/2.session/c1", "none"},
		{`/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator`, "none"},
		{`/machine.slice/machine-lxc\x2d4711\x2dmy\x2dbox.scope/libvirt`, "payload libvirt-lxc:my-box"},
		{`/machine.slice/machine-lxc\x2dbox.scope`, "payload libvirt-lxc:box"},
		{"/machine/lxc-4711-box.libvirt-lxc", "payload libvirt-lxc:box"},
		{"/libvirt/lxc/box", "payload libvirt-lxc:box"},
		{"/machine/qemu-1-vm.libvirt-qemu", "none"},
		{"/system.slice/foo.service/payload", "none"},
		{"/system.slice/foo.service/supervisor", "none"},
		{"/machine.slice/systemd-nspawn@m2.service", "none"},
		{"/garden/good/70eb4ce5-a065-4401-6990-88ed", "payload garden:70eb4ce5-a065-4401-6990-88ed"},
		{"/garden/bad/70eb4ce5-a065-4401-6990-88edaabbccdd", "payload garden:70eb4ce5-a065-4401-6990-88edaabbccdd"},
		{"/70eb4ce5-a065-4401-6990-88ed", "payload garden:70eb4ce5-a065-4401-6990-88ed weak"},
		{"/70eb4ce5-a065-4401-6990-88edaabbccdd", "none"},
		{"/nomad.slice/reserve.slice/1e68afd9-d401-2707-aacf-d69125cd8107.web.scope", "payload nomad:1e68afd9-d401-2707-aacf-d69125cd8107.web"},
		{"/nomad.slice/share.slice/docker-" + idA + ".scope", "payload docker:" + idA},
		{"/nomad/share", "none"},
		{"/firecracker-v1.7.0-x86_64/vm-1", "vmm firecracker:vm-1"},
		{"/apptainer/4711", "payload apptainer:4711"},
		{"/system.slice/singularity-oci-web.scope", "payload singularity:web"},
		{"/user.slice/singularity-4711.scope", "payload singularity:4711"},
		{"/system.slice/node1_slurmstepd.scope/job_1/step_0/user/task_0", "none"},
		{"/user.slice/app-flatpak-org.example.App-x.scope", "none"},
		{"/user.slice/snap.lxd.hook.configure-fa61f25b-92e1-4316-8acb-2b95af841855.scope", "app snap:lxd.hook.configure"},
		{"/user.slice/snap.firefox.firefox.fa61f25b-92e1-4316-8acb-2b95af841855.scope", "app snap:firefox.firefox"},
		{"/ecs/03752a671e744971a862edcee6195646", "none"},
		{"/system.slice/system.slice:docker:" + idA, "payload docker:" + idA},
		{"/crio.slice:crio:" + idA, "payload cri-o:" + idA},
		{"/machine.slice:libpod:" + idA, "payload podman:" + idA},
		{"/system.slice:runc:r5", "payload runc:r5"},
		{"/system.slice:crun:c3", "payload crun:c3"},
		{"/libpod_parent/" + idA, "none podman:@" + idA},
		{"/team/" + idB + "/conmon", "monitor podman:@" + idB},
		{"/system.slice/runc-buildah-buildah927127244.scope", "payload buildah:buildah-buildah927127244"},
		{"/machine/box.libvirt-lxc", "payload libvirt-lxc:box"},
		{"/garden/70eb4ce5-a065-4401-6990-88edaabbccdd", "payload garden:70eb4ce5-a065-4401-6990-88edaabbccdd"},
		{"/../03752a671e744971a862edcee6195646-123", "payload ecs:03752a671e744971a862edcee6195646-123 weak"},
		{"/ecstasks.slice/ecstasks-03752a671e744971a862edcee6195646.slice/" + idA, "payload docker:" + idA},
		{"/kata_kubepods-pod" + usc + ".slice:cri-containerd:" + idA, "vmm kata:" + idA + "@" + uid},
		{"/kata-overhead.slice:runtime-rs:" + idA, "monitor kata:" + idA},
		{"/singularity/4711", "payload singularity:4711"},
		{"//docker//" + idA + "/", "payload docker:" + idA},
	} {
		stories = append(stories, story{c.path, []string{c.path}, c.want})
	}
	return stories
}

func TestPath(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"/system.slice/docker-" + idA + ".scope/init.scope", "/system.slice/docker-" + idA + ".scope"},
		{"/../docker/" + idA + "/docker/" + idB + "/x", "/../docker/" + idA + "/docker/" + idB},
		{"/docker/" + idA + " (deleted)", "/docker/" + idA},
		{"/lxc/101/ns/init.scope", "/lxc/101"},
		{"/machine.slice/systemd-nspawn@m2.service/payload/init.scope", "/machine.slice/systemd-nspawn@m2.service/payload"},
		{"/machine.slice/systemd-nspawn@m2.service/supervisor", "/machine.slice/systemd-nspawn@m2.service/supervisor"},
		{`/machine.slice/machine-my\x2dbox.scope/payload`, `/machine.slice/machine-my\x2dbox.scope`},
		{"/kata-overhead.slice/virtiofsd.scope/x", "/kata-overhead.slice/virtiofsd.scope"},
		{"/system.slice/cron.service", ""},
	} {
		if got := Identify([]byte("0::" + c.path)).Path; got != c.want {
			t.Errorf("%s: Path %q, want %q", c.path, got, c.want)
		}
	}
}

func TestUnit(t *testing.T) {
	for _, c := range []struct{ content, want string }{
		{"0::/system.slice/systemd-udevd.service/udev", "systemd-udevd.service"},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-a.scope", "app-a.scope"},
		{`0::/app.slice/app-dead\x2d1@autostart.service`, `app-dead\x2d1@autostart.service`},
		{"0::/system.slice/_cpu.service", "cpu.service"},
		{"0::/system.slice/cron.service (deleted)", "cron.service"},
		{"0::/system.slice/dbus.socket", ""},
		{"0::/.service", ""},
		{"0::/", ""},
		{"3:memory:/init.scope\n1:name=systemd:/system.slice/app.service\n", "app.service"},
		{"1:name=systemd:/\n0::/system.slice/app.service\n", "app.service"},
		{"3:memory:/system.slice/app.service\n", "app.service"},
		{"0::/docker/" + idA + "/system.slice/inner.service", ""},
	} {
		if got := Identify([]byte(c.content)).Unit; got != c.want {
			t.Errorf("%s: Unit %q, want %q", c.content, got, c.want)
		}
	}
}

func TestLabels(t *testing.T) {
	const task = "03752a671e744971a862edcee6195646"
	for _, path := range []string{
		"/ecs/" + task + "/" + idA,
		"/ecs/cluster/" + task + "/" + idA,
		"/ecs/" + task + "/" + task + "-123",
		"/ecs/" + task,
		"/ecstasks.slice/ecstasks-" + task + ".slice/docker-" + idA + ".scope",
		"/docker/" + idB + "/ecs/" + task + "/" + idA,
	} {
		if got := fmt.Sprint(Identify([]byte("0::" + path)).Labels); got != "map[ecs.task:"+task+"]" {
			t.Errorf("%s: labels %s", path, got)
		}
	}
	if got := Identify([]byte("0::/ecs/" + task + "/" + idA + "/docker/" + idB)).Labels; got != nil {
		t.Errorf("the task is the outer container's, and yet the inner has %v", got)
	}
}

func TestCertain(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"/team/a/" + idA, "none"},
		{"/docker/" + idA + "/" + idB, "payload docker:" + idA},
		{"/docker/" + idA, "payload docker:" + idA},
		{"/batch.slice/job-" + idA + ".scope/docker/" + idB, "payload docker:" + idB},
		{"/kubepods/pod" + uid + "/" + idA, "payload :" + idA + "@" + uid},
	} {
		content := []byte("0::" + c.path)
		id := Certain(content)
		if got := say(id); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.path, got, c.want)
		}
		if err := check(string(content), id); err != nil {
			t.Error(err)
		}
	}
}

// Nothing says what escapes may hide in a name; what is no escape stays.
func TestUnescape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`plain`, `plain`},
		{`my\x2dbox`, `my-box`},
		{`\x2d`, `-`},
		{`a\x2`, `a\x2`},
		{`a\xzz`, `a\xzz`},
		{`a\x00b`, `a\x00b`},
		{`\\x2d`, `\-`},
		{`\x5cx2d`, `\x2d`},
		{`\xC3\xa9`, "é"},
	} {
		if got := unescape(c.in); got != c.want {
			t.Errorf("unescape(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
