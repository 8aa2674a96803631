package nsinspect_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Ids of containers.
const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	idC = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
	uid = "1c4e28ba-2fa1-41d2-883f-0016d3cca427"
)

// base is a host without containers.
const base = `
1 comm=systemd cgroup=0::/init.scope
2 comm=kthreadd ppid=0 kthread=1
40 comm=kdevtmpfs ppid=2 kthread=1 mnt=4026531862 root=devtmpfs
500 comm=systemd-udevd mnt=4026532001 cgroup=0::/system.slice/systemd-udevd.service/udev
`

// What is mounted for a process, in short: seen with runc 1.1 (a container by its runc spec), by what docker's --privileged makes of
// that, with bwrap 0.8, and, as its source has it, with systemd 252.
const (
	runcMounts = `89 67 254:0 /b/rootfs / ro,relatime - ext4 /dev/vda rw
90 89 0:40 / /proc rw,relatime - proc proc rw
91 89 0:41 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
92 91 0:42 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620,ptmxmode=666
93 91 0:43 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k
95 89 0:44 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
71 90 0:40 /sys /proc/sys ro,relatime - proc proc rw
72 90 0:46 / /proc/acpi ro,relatime - tmpfs tmpfs ro
73 90 0:41 /null /proc/keys rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
74 90 0:41 /null /proc/timer_list rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
75 95 0:47 / /sys/firmware ro,relatime - tmpfs tmpfs ro
`
	privilegedMounts = `89 67 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c
90 89 0:40 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
91 89 0:41 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755,inode64
95 89 0:44 / /sys rw,nosuid,nodev,noexec,relatime - sysfs sysfs rw
`
	systemdMounts = `89 67 254:0 /srv/root / rw,relatime - ext4 /dev/vda rw
90 89 0:40 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
91 89 0:41 / /dev ro,nosuid,noexec - tmpfs tmpfs rw,size=4096k,nr_inodes=65536,mode=755
92 91 0:24 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620,ptmxmode=000
93 91 0:20 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw
95 89 0:22 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs rw
71 90 0:40 /sys /proc/sys ro,relatime - proc proc rw
72 90 0:40 /acpi /proc/acpi ro,relatime - proc proc rw
73 90 0:25 /systemd/inaccessible/reg /proc/kcore ro,nosuid,nodev - tmpfs tmpfs rw,size=10%,mode=755
74 90 0:25 /systemd/inaccessible/reg /proc/kallsyms ro,nosuid,nodev - tmpfs tmpfs rw,size=10%,mode=755
`
	bwrapMounts = `89 66 0:40 /newroot / rw,nosuid,nodev,relatime - tmpfs tmpfs rw
90 89 0:41 / /dev rw,nosuid,nodev,relatime - tmpfs tmpfs rw,mode=755
91 90 0:6 /null /dev/null rw,nosuid,relatime - devtmpfs devtmpfs rw,size=12334492k,nr_inodes=3083623,mode=755
92 90 0:42 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw,mode=620,ptmxmode=666
95 89 0:21 / /proc rw,nosuid,nodev,relatime - proc proc rw
96 95 0:21 /irq /proc/irq ro,nosuid,nodev,relatime - proc proc rw
98 89 254:0 /usr /usr ro,nosuid,nodev,relatime - ext4 /dev/vda rw
`
)

// TestStories goes through what has gone wrong elsewhere, and what somebody who
// works against the reader would try: a tree, and what the report must say of
// it, one line a container, sandbox and finding.
func TestStories(t *testing.T) {
	for _, s := range []struct {
		story, tree string
		want        []string
	}{
		{"a host without containers", "", nil},

		// Whom others took for a container.
		{"conmon has the container's id in its cgroup (tracee#5086, spire#4088)", `
100 comm=conmon cgroup=0::/machine.slice/libpod-conmon-` + idA + `.scope
101 ppid=100 ipc=7 pid=8 mnt=9 cgroup=0::/machine.slice/libpod-` + idA + `.scope/container`,
			[]string{"podman:aaaaaaaaaaaa init=101 pids=[101] monitors=[100] ipc=private pid=private"}},
		{"conmon of a container that has ended", "100 comm=conmon cgroup=0::/machine.slice/libpod-conmon-" + idA + ".scope", nil},
		{"conmon sits in the pod's slice", `
100 comm=conmon cgroup=0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1c4e28ba_2fa1_41d2_883f_0016d3cca427.slice/crio-conmon-` + idA + `.scope
101 ppid=100 ipc=7 pid=8 mnt=9 cgroup=0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1c4e28ba_2fa1_41d2_883f_0016d3cca427.slice/crio-` + idA + `.scope`,
			[]string{"cri-o:aaaaaaaaaaaa pod=" + uid + " init=101 pids=[101] monitors=[100] ipc=private pid=private"}},
		{"lxc.monitor is of the host", `
100 comm=lxc-start cgroup=0::/lxc.monitor.web
101 ppid=100 ipc=7 pid=8 mnt=9 cgroup=0::/lxc.payload.web`,
			[]string{"lxc:web init=101 pids=[101] monitors=[100] ipc=private pid=private"}},
		{"nspawn's supervisor is of the host", `
100 comm=systemd-nspawn cgroup=0::/machine.slice/systemd-nspawn@m2.service/supervisor
101 ppid=100 ipc=7 pid=8 mnt=9 cgroup=0::/machine.slice/systemd-nspawn@m2.service/payload`,
			[]string{"nspawn:m2 init=101 pids=[101] monitors=[100] ipc=private pid=private"}},
		{"Kata's virtual machine is in the host's namespaces by design", `
100 comm=qemu fd=/dev/kvm fd=anon_inode:kvm-vm cgroup=0::/system.slice/kata_` + idA,
			[]string{"kata:aaaaaaaaaaaa init=100 pids=[100] ipc=vm pid=vm"}},

		// What others took for one.
		{"mount units, sockets and scopes with hex in their names", `
100 cgroup=0::/system.slice/var-lib-docker-containers-` + idA + `-shm.mount
101 cgroup=0::/system.slice/docker.socket
102 cgroup=0::/system.slice/run-r94482958114949c08d7b389b3d59967b.scope
103 cgroup=0::/init.scope
104 cgroup=0::/system.slice/docker-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.scope
105 cgroup=0::/system.slice/docker-` + idA + `0.scope`, nil},
		{"a daemon's own cgroup with 64 hex digits, and nothing apart from the host", "100 cgroup=0::/team/a/" + idA, nil},
		{"the same with a mount namespace of its own", "100 mnt=9 cgroup=0::/team/a/" + idA,
			[]string{"unknown:aaaaaaaaaaaa init=100 pids=[100] ipc=host pid=host exposed", "medium host-ipc unknown:aaaaaaaaaaaa", "medium host-pid unknown:aaaaaaaaaaaa"}},

		// What belongs to a container.
		{"below the container's own cgroup", `
100 ipc=7 pid=8 mnt=9 cgroup=0::/system.slice/docker-` + idA + `.scope/init.scope
101 ppid=100 ipc=7 pid=8 mnt=9 cgroup=0::/system.slice/docker-` + idA + `.scope/system.slice/foo.service`,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101] ipc=private pid=private"}},
		{"Guaranteed pods have no QoS level", "100 ipc=7 pid=8 mnt=9 cgroup=0::/kubepods/pod" + uid + "/" + idA,
			[]string{"unknown:aaaaaaaaaaaa pod=" + uid + " init=100 pids=[100] ipc=private pid=private"}},
		{"only one controller names the container", "100 mnt=9 ipc=7 pid=8 cgroup=4:memory:/ cgroup=3:pids:/docker/" + idA + " cgroup=1:name=systemd:/ cgroup=0::/system.slice/containerd.service",
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=private pid=private"}},

		// The verdict.
		{"host IPC", "100 pid=8 mnt=9 cgroup=0::/docker/" + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=host pid=private exposed", "medium host-ipc docker:aaaaaaaaaaaa"}},
		{"host PID", "100 ipc=8 mnt=9 cgroup=0::/docker/" + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=private pid=host exposed", "medium host-pid docker:aaaaaaaaaaaa"}},
		{"two share one IPC namespace", `
100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA + `
101 ipc=7 pid=10 mnt=11 cgroup=0::/docker/` + idB,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=shared+docker:bbbbbbbbbbbb pid=private",
				"docker:bbbbbbbbbbbb init=101 pids=[101] ipc=shared+docker:aaaaaaaaaaaa pid=private", "info shared-ipc docker:aaaaaaaaaaaa"}},
		{"inside one pod that is normal", `
100 ipc=7 pid=8 mnt=9 cgroup=0::/kubepods/pod` + uid + `/` + idA + `
101 ipc=7 pid=10 mnt=11 cgroup=0::/kubepods/pod` + uid + `/` + idB,
			[]string{"unknown:aaaaaaaaaaaa pod=" + uid + " init=100 pids=[100] ipc=shared+unknown:bbbbbbbbbbbb pid=private",
				"unknown:bbbbbbbbbbbb pod=" + uid + " init=101 pids=[101] ipc=shared+unknown:aaaaaaaaaaaa pid=private"}},
		{"the host's /dev/shm in a private IPC namespace", "100 ipc=7 pid=8 mnt=9 shm=host cgroup=0::/docker/" + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=private pid=private", "medium host-dev-shm docker:aaaaaaaaaaaa"}},

		// Strays, hiding places and forgeries.
		{"a process of the container went to the host's IPC namespace", `
100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA + `
101 ppid=100 ipc=host pid=8 mnt=9 cgroup=0::/docker/` + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101] ipc=private!101 pid=private exposed", "high stray-ipc docker:aaaaaaaaaaaa"}},
		{"a sandbox inside the container is no alarm", `
100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA + `
101 ppid=100 ipc=17 pid=18 mnt=19 cgroup=0::/docker/` + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101] ipc=private pid=private"}},
		{"its main thread has ended, and another one is in the host's IPC namespace", `
100 state=Z ipc=- mnt=- pid=8 cgroup=0::/ ppid=1
100/101 state=S ipc=host mnt=9 pid=8 cgroup=0::/docker/` + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=host pid=private exposed", "medium host-ipc docker:aaaaaaaaaaaa"}},
		{"its main thread has ended, one thread is where it belongs and one in the host's IPC namespace", `
100 state=Z ipc=- mnt=- pid=8 cgroup=0::/ ppid=1
100/101 state=S ipc=7 mnt=9 pid=8 cgroup=0::/docker/` + idA + `
100/102 state=S ipc=host mnt=9 pid=8 cgroup=0::/docker/` + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=private pid=private exposed", "high stray-ipc docker:aaaaaaaaaaaa"}},
		{"one thread is in the host's IPC namespace", `
100 ipc=7 mnt=9 pid=8 cgroup=0::/docker/` + idA + `
100/102 ipc=host`,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=private pid=private exposed", "high stray-ipc docker:aaaaaaaaaaaa"}},
		{"a zombie is nobody's", "100 state=Z ipc=- mnt=- pid=8 cgroup=0::/docker/" + idA, nil},
		{"a payload calls its cgroup a monitor's", `
100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA + `
101 ppid=100 ipc=host pid=8 mnt=9 cgroup=0::/docker/` + idA + `/lxc.monitor.x`,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101] ipc=private!101 pid=private exposed", "high stray-ipc docker:aaaaaaaaaaaa"}},
		{"a payload calls its cgroup a virtual machine's", "100 ipc=host pid=8 mnt=9 cgroup=0::/docker/" + idA + "/kata_" + idB,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=host pid=private exposed", "medium host-ipc docker:aaaaaaaaaaaa"}},
		{"a payload calls itself conmon", `
100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA + `
101 ppid=100 comm=conmon cmdline="/usr/bin/conmon -c ` + idA + `" cgroup=0::/docker/` + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101] ipc=private!101 pid=private!101 exposed", "high stray-ipc docker:aaaaaaaaaaaa", "high stray-pid docker:aaaaaaaaaaaa"}},
		{"a payload has broken out, calls itself conmon, and has a child in a box", `
100 ipc=7 pid=8 mnt=9 start=10 cgroup=0::/docker/` + idA + `
101 ppid=1 start=20 comm=conmon cmdline="/usr/bin/conmon -c ` + idA + ` -b /x" cgroup=0::/docker/` + idA + `
102 ppid=101 start=30 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101 102] ipc=private!101 pid=private!101 exposed", "high stray-ipc docker:aaaaaaaaaaaa", "high stray-pid docker:aaaaaaaaaaaa"}},
		{"libvirt_lxc shares the cgroup of its container", `
100 start=10 comm=libvirt_lxc cmdline="/usr/libexec/libvirt_lxc --name box --console 22" cgroup="0::/machine.slice/machine-lxc\\x2d1234\\x2dbox.scope/libvirt"
101 ppid=100 start=20 ipc=7 pid=8 mnt=9 cgroup="0::/machine.slice/machine-lxc\\x2d1234\\x2dbox.scope/libvirt"`,
			[]string{"libvirt-lxc:box init=101 pids=[101] monitors=[100] ipc=private pid=private"}},
		{"a weak name below a container is the container's", `
100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA + `
101 ppid=100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA + `/team/` + idB,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101] ipc=private pid=private"}},
		{"a container makes a cgroup with the id of another one", `
100 ipc=7 pid=8 mnt=9 start=10 cgroup=0::/docker/` + idA + `
101 ppid=100 ipc=7 pid=8 mnt=9 start=5 cgroup=0::/docker/` + idA + `/docker/` + idB + `
102 ipc=host pid=10 mnt=11 start=20 cgroup=0::/docker/` + idB,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=shared+docker:bbbbbbbbbbbb@/docker/" + idA + "/docker/" + idB + " pid=shared+docker:bbbbbbbbbbbb@/docker/" + idA + "/docker/" + idB,
				"docker:bbbbbbbbbbbb init=102 pids=[102] ipc=host pid=private exposed",
				"docker:bbbbbbbbbbbb@/docker/" + idA + "/docker/" + idB + " outer=[docker:" + idA + "] init=101 pids=[101] ipc=shared+docker:aaaaaaaaaaaa pid=shared+docker:aaaaaaaaaaaa",
				"medium host-ipc docker:bbbbbbbbbbbb", "info shared-ipc docker:aaaaaaaaaaaa", "info shared-pid docker:aaaaaaaaaaaa"}},
		{"a user makes a cgroup with the id of somebody's container", `
100 ipc=host pid=8 mnt=9 start=50 cgroup=0::/system.slice/docker-` + idA + `.scope
101 ipc=17 pid=18 mnt=19 start=5 cgroup=0::/user.slice/user-1000.slice/user@1000.service/docker-` + idA + `.scope`,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=host pid=private exposed",
				"docker:aaaaaaaaaaaa@/user.slice/user-1000.slice/user@1000.service/docker-" + idA + ".scope init=101 pids=[101] ipc=private pid=private",
				"medium host-ipc docker:aaaaaaaaaaaa"}},

		{"the parent of a container's cgroup has the name of a virtual machine monitor (docker run --cgroup-parent=firecracker)", `
99 comm=containerd-shim cmdline="/usr/bin/containerd-shim-runc-v2 -namespace moby -id ` + idA + ` -address /x"
100 ppid=99 pid=8 mnt=9 root=image cgroup=0::/firecracker/` + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] monitors=[99] ipc=host pid=private exposed", "medium host-ipc docker:aaaaaaaaaaaa"}},
		{"Firecracker's jailer gives the monitor a root directory of its own", "100 comm=firecracker mnt=9 root=jail fd=anon_inode:kvm-vcpu:0 cgroup=0::/firecracker/foo",
			[]string{"firecracker:foo init=100 pids=[100] ipc=vm pid=vm"}},
		{"an ordinary process in a cgroup with the name of a virtual machine monitor's", "100 comm=sh fd=/dev/kvm fd=anon_inode:[eventpoll] cgroup=0::/firecracker/foo",
			[]string{"firecracker:foo init=100 pids=[100] ipc=unknown pid=unknown", "gap 100 fd"}},
		{"the same below a parent with the name of Kata's", "100 mnt=9 pid=8 root=image cgroup=0::/system.slice/kata_" + idA,
			[]string{"kata:aaaaaaaaaaaa init=100 pids=[100] ipc=unknown pid=unknown", "gap 100 fd"}},
		{"Kata's shim, and a virtual machine that is none of KVM's nor Hyper-V's", `
99 comm=containerd-shim cmdline="/usr/bin/containerd-shim-kata-v2 -namespace k8s.io -id ` + idA + ` -address /x"
100 ppid=99 comm=qemu cgroup=0::/kubepods/burstable/kata_` + idA,
			[]string{"kata:aaaaaaaaaaaa init=100 pids=[100] monitors=[99] ipc=unknown pid=unknown", "gap 100 fd"}},
		{"libvirt's virtual machine is no container, whatever it has", "100 comm=qemu mnt=9 fd=anon_inode:kvm-vm cgroup=\"0::/machine.slice/machine-qemu\\\\x2d1\\\\x2dweb.scope\"", nil},
		{"a user names a cgroup of his own firecracker", "100 pid=8 mnt=9 root=image uid=1000 cgroup=0::/user.slice/user-1000.slice/user@1000.service/firecracker/foo",
			[]string{"unknown:foo init=100 pids=[100] ipc=host pid=private exposed", "medium host-ipc unknown:foo"}},
		{"a user starts his container below something called Kata's shim", `
99 comm=containerd-shim cmdline="containerd-shim-kata-v2 -namespace k8s.io -id ` + idB + ` -address /x" uid=1000
100 ppid=99 pid=8 mnt=9 root=image uid=1000 cgroup=0::/user.slice/user-1000.slice/user@1000.service/user.slice/crun-web.scope`,
			[]string{"crun:web init=100 pids=[100] monitors=[99] ipc=host pid=private exposed", "medium host-ipc crun:web"}},
		{"Kata's shim and file server are in its overhead, the latter in a box", `
99 comm=containerd-shim cmdline="/usr/bin/containerd-shim-kata-v2 -namespace k8s.io -id ` + idA + ` -address /x" cgroup=0::/kata_overhead/` + idA + `
100 ppid=99 comm=qemu fd=anon_inode:kvm-vm cgroup=0::/kubepods/burstable/kata_` + idA + `
101 ppid=99 comm=virtiofsd mnt=9 pid=8 root=empty cgroup=0::/kata_overhead/` + idA,
			[]string{"kata:aaaaaaaaaaaa init=100 pids=[100 101] monitors=[99] ipc=vm pid=vm"}},
		{"a payload in a monitor's cgroup", `
90 comm=conmon mnt=55 cgroup=0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-` + idA + `.scope
91 ppid=90 ipc=7 pid=8 mnt=9 root=image cgroup=0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-` + idA + `.scope
100 pid=18 mnt=19 root=other cgroup=0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-` + idA + `.scope`,
			[]string{"podman:aaaaaaaaaaaa init=91 pids=[91] monitors=[90] ipc=private pid=private",
				"podman:aaaaaaaaaaaa@/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-" + idA + ".scope init=100 pids=[100] ipc=host pid=private exposed",
				"medium host-ipc podman:aaaaaaaaaaaa@/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-" + idA + ".scope"}},
		{"the monitor of LXD, which is a snap, has the snap's root directory", `
98 comm=lxd mnt=50 root=snap cgroup=0::/system.slice/snap.lxd.daemon.service
99 ppid=98 mnt=50 root=snap comm=lxd cgroup=0::/lxc.monitor.web
100 ppid=99 ipc=7 pid=8 mnt=9 root=image cgroup=0::/lxc.payload.web
-- 99/cmdline --
[lxc monitor] /var/snap/lxd/common/lxd/containers web`,
			[]string{"lxc:web init=100 pids=[100] monitors=[99] ipc=private pid=private",
				"sandbox 98 snap.lxd.daemon.service root=own ipc=host pid=host", "info sandbox-host-ns sandbox:98"}},
		{"a user calls himself the monitor of somebody's container", `
90 comm=conmon cmdline="conmon --api-version 1 -c ` + idA + ` -b /x" uid=1000 cgroup=0::/user.slice/user-1000.slice/session-1.scope
91 ppid=90 mnt=19 uid=1000 start=5 cgroup=0::/user.slice/user-1000.slice/session-1.scope
100 ipc=7 pid=8 mnt=9 cgroup=0::/machine.slice/libpod-` + idA + `.scope`,
			[]string{"podman:aaaaaaaaaaaa init=100 pids=[100] ipc=private pid=private",
				"podman:aaaaaaaaaaaa#2 init=91 pids=[91] monitors=[90] ipc=host pid=host exposed",
				"medium host-ipc podman:aaaaaaaaaaaa#2", "medium host-pid podman:aaaaaaaaaaaa#2"}},
		{"a payload that no cgroup tells of calls itself an engine's", `
98 comm=conmon cmdline="conmon --api-version 1 -c ` + idA + ` -b /x"
100 ppid=98 ipc=7 pid=8 mnt=9 root=image comm=conmon cmdline="conmon --api-version 1 -c ` + idB + ` -b /y"
101 ppid=100 pid=8 mnt=19 root=image`,
			[]string{"podman:aaaaaaaaaaaa init=100 pids=[100 101] monitors=[98] ipc=private!101 pid=private exposed", "high stray-ipc podman:aaaaaaaaaaaa"}},
		{"engines that are each other's parents", `
98 ppid=99 comm=conmon cmdline="conmon --api-version 1 -c ` + idA + ` -b /x"
99 ppid=98 comm=conmon cmdline="conmon --api-version 1 -c ` + idB + ` -b /x"
100 ppid=99 pid=8 mnt=9`,
			[]string{"podman:aaaaaaaaaaaa init=100 pids=[100] monitors=[98] ipc=host pid=private exposed", "medium host-ipc podman:aaaaaaaaaaaa"}},
		{"the init of a container has left for the host's mounts, calls itself conmon, and has a child in a box", `
90 comm=containerd-shim cmdline="/usr/bin/containerd-shim-runc-v2 -namespace moby -id ` + idA + ` -address /x"
100 ppid=90 start=10 comm=conmon cmdline="conmon -c ` + idA + ` -b /x" cgroup=0::/docker/` + idA + `
101 ppid=100 start=20 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101] monitors=[90] ipc=host pid=host exposed", "medium host-ipc docker:aaaaaaaaaaaa", "medium host-pid docker:aaaaaaaaaaaa"}},

		// Nesting.
		{"docker in docker", `
100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA + `
101 ppid=100 ipc=7 pid=18 mnt=19 cgroup=0::/docker/` + idA + `/docker/` + idB,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=shared+docker:bbbbbbbbbbbb pid=private",
				"docker:bbbbbbbbbbbb outer=[docker:" + idA + "] init=101 pids=[101] ipc=shared+docker:aaaaaaaaaaaa pid=private", "info shared-ipc docker:aaaaaaaaaaaa"}},

		{"a kernel thread that serves a virtual machine is in its container's cgroup (before Linux 6.4)", `
100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/` + idA + `
101 ppid=2 comm=vhost-100 kthread=1 cgroup=0::/docker/` + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=private pid=private"}},

		// The runtime from more than the path.
		{"the shim tells that a pod is containerd's", `
99 comm=containerd-shim cmdline="/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id ` + idC + ` -address /run/containerd/containerd.sock"
100 ppid=99 ipc=7 pid=8 mnt=9 cgroup=0::/kubepods/burstable/pod` + uid + `/` + idA,
			[]string{"containerd:aaaaaaaaaaaa pod=" + uid + " init=100 pids=[100] monitors=[99] ipc=private pid=private"}},
		{"nsinspect is in a container of a pod, in a cgroup namespace of that container", `
99 comm=containerd-shim cmdline="/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id ` + idC + ` -address /run/containerd/containerd.sock" cgroup=0::/../../../../system.slice/containerd.service
100 ppid=99 start=10 comm=pause ipc=7 mnt=9 cgroup=0::/../` + idC + `
101 ppid=99 start=20 ipc=7 mnt=19 cgroup=0::/
102 ppid=99 start=30 ipc=7 mnt=19 cgroup=0::/
103 ppid=102 start=40 ipc=7 mnt=19 cgroup=0::/
104 ppid=99 start=20 ipc=7 mnt=29 cgroup=0::/../` + idB,
			[]string{"containerd:bbbbbbbbbbbb init=104 pids=[104] monitors=[99] ipc=shared+containerd:cccccccccccc+containerd:pid-101 pid=host exposed",
				"containerd:cccccccccccc init=100 pids=[100] monitors=[99] ipc=shared+containerd:bbbbbbbbbbbb+containerd:pid-101 pid=host exposed",
				"containerd:pid-101 init=101 pids=[101 102 103] monitors=[99] ipc=shared+containerd:bbbbbbbbbbbb+containerd:cccccccccccc pid=host exposed",
				"medium host-pid containerd:bbbbbbbbbbbb", "medium host-pid containerd:cccccccccccc", "medium host-pid containerd:pid-101", "info shared-ipc containerd:bbbbbbbbbbbb"}},
		{"podman --cgroups=disabled", `
99 comm=conmon cmdline="/usr/bin/conmon --api-version 1 -c ` + idA + ` -u ` + idA + ` -r /usr/bin/crun -b /var/lib/containers/storage/overlay-containers/` + idA + `/userdata -n web" cgroup=0::/user.slice/user-0.slice/session-1.scope
100 ppid=99 pid=8 mnt=9 root=image cgroup=0::/user.slice/user-0.slice/session-1.scope
101 ppid=100 pid=8 mnt=9 root=image cgroup=0::/user.slice/user-0.slice/session-1.scope`,
			[]string{"podman:aaaaaaaaaaaa init=100 pids=[100 101] monitors=[99] ipc=host pid=private exposed", "medium host-ipc podman:aaaaaaaaaaaa"}},

		// Sandboxes.
		{"a service with PrivateIPC=", "100 comm=svc ipc=7 mnt=9 cgroup=0::/system.slice/private.service",
			[]string{"sandbox 100 private.service root=host ipc=private pid=host"}},
		{"a service with PrivateTmp= is no sandbox", "100 comm=svc mnt=9 cgroup=0::/system.slice/tmp.service", nil},
		{"a box with a hole in it", "100 comm=bwrap mnt=9 pid=8 root=box cgroup=0::/user.slice/user-0.slice/session-1.scope",
			[]string{"sandbox 100 session-1.scope root=own ipc=host pid=private", "info sandbox-host-ns sandbox:100"}},

		// Containers that nothing but their mounts tells of.
		{"runc run -d with a state directory and a cgroup of its own", `
100 mnt=9 pid=8 root=image cgroup=0::/team/web
101 ppid=100 mnt=9 pid=8 root=image cgroup=0::/team/web
200 comm=nsenter mnt=9 root=image cgroup=0::/user.slice/user-0.slice/session-1.scope
-- 100/mountinfo --
` + runcMounts, []string{"unknown:mnt-9 init=100 pids=[100 101] ipc=host pid=private exposed",
			"sandbox 200 session-1.scope root=own ipc=host pid=host", "medium host-ipc unknown:mnt-9", "info sandbox-host-ns sandbox:200"}},
		{"the same with nothing of the host's is a sandbox", "100 mnt=9 ipc=7 pid=8 root=image cgroup=0::/team/web\n-- 100/mountinfo --\n" + runcMounts,
			[]string{"sandbox 100  root=own ipc=private pid=private"}},
		{"a process of it in the host's IPC namespace", `
100 mnt=9 ipc=7 pid=8 root=image cgroup=0::/team/web
101 ppid=100 mnt=9 pid=8 root=image cgroup=0::/team/web
-- 100/mountinfo --
` + runcMounts, []string{"unknown:mnt-9 init=100 pids=[100 101] ipc=private!101 pid=private exposed", "high stray-ipc unknown:mnt-9"}},
		{"a privileged one, for which nothing is covered", "100 mnt=9 root=image cgroup=0::/system.slice/x.service\n-- 100/mountinfo --\n" + privilegedMounts,
			[]string{"unknown:mnt-9 init=100 pids=[100] ipc=host pid=host exposed", "medium host-ipc unknown:mnt-9", "medium host-pid unknown:mnt-9"}},
		{"a visitor of a container's mounts", `
100 ipc=7 pid=8 mnt=9 root=image cgroup=0::/docker/` + idA + `
200 comm=nsenter mnt=9 root=image cgroup=0::/user.slice/user-0.slice/session-1.scope
-- 200/mountinfo --
` + runcMounts, []string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=private pid=private",
			"sandbox 200 session-1.scope root=own ipc=host pid=host", "info sandbox-host-ns sandbox:200"}},
		{"a service with RootDirectory=, MountAPIVFS=, PrivateDevices=, ProtectKernelTunables= and InaccessiblePaths=", "100 comm=svc mnt=9 root=dir cgroup=0::/system.slice/svc.service\n-- 100/mountinfo --\n" + systemdMounts,
			[]string{"sandbox 100 svc.service root=own ipc=host pid=host", "info sandbox-host-ns sandbox:100"}},
		{"bwrap with a /proc and a /dev", "100 comm=bwrap mnt=9 root=box cgroup=0::/user.slice/user-0.slice/session-1.scope\n-- 100/mountinfo --\n" + bwrapMounts,
			[]string{"sandbox 100 session-1.scope root=own ipc=host pid=host", "info sandbox-host-ns sandbox:100"}},
		{"the mounts of something that may be a container cannot be read", "100 mnt=9 root=image cgroup=0::/team/web\n-- 100/mountinfo --\nnonsense\n",
			[]string{"sandbox 100  root=own ipc=host pid=host", "gap 100 mountinfo", "info sandbox-host-ns sandbox:100"}},
		{"CRI-O unpacks an image", "100 comm=crio mnt=9 root=layer cgroup=0::/system.slice/crio-pull-image-" + idA + ".scope\n-- 100/mountinfo --\n1 0 8:1 /layer / rw - ext4 /dev/sda1 rw\n",
			[]string{"sandbox 100 crio-pull-image-" + idA + ".scope root=own ipc=host pid=host", "info sandbox-host-ns sandbox:100"}},
		{"a container hides in the scope in which CRI-O unpacks images", "100 mnt=9 root=image cgroup=0::/system.slice/crio-pull-image-" + idA + ".scope\n-- 100/mountinfo --\n" + runcMounts,
			[]string{"unknown:mnt-9 init=100 pids=[100] ipc=host pid=host exposed", "medium host-ipc unknown:mnt-9", "medium host-pid unknown:mnt-9"}},
		{"a container hides in the cgroup of conmons", "100 mnt=9 pid=8 root=image cgroup=0::/team/libpod_parent/conmon\n-- 100/mountinfo --\n" + runcMounts,
			[]string{"unknown:mnt-9 init=100 pids=[100] ipc=host pid=private exposed", "medium host-ipc unknown:mnt-9"}},
		{"a container hides in a scope that flatpak could have made", "100 mnt=9 pid=8 root=image cgroup=0::/user.slice/app-flatpak-org.x-123.scope\n-- 100/mountinfo --\n" + runcMounts,
			[]string{"unknown:mnt-9 init=100 pids=[100] ipc=host pid=private exposed", "medium host-ipc unknown:mnt-9"}},
		{"a process of another container visits its mounts", `
100 ipc=7 pid=8 mnt=19 root=image cgroup=0::/docker/` + idA + `
200 mnt=9 pid=28 root=image2 cgroup=0::/team/web
300 ppid=100 ipc=7 pid=8 mnt=9 root=image2 cgroup=0::/docker/` + idA + `
-- 200/mountinfo --
` + runcMounts, []string{"docker:aaaaaaaaaaaa init=100 pids=[100 300] ipc=private pid=private",
			"unknown:mnt-9 init=200 pids=[200] ipc=host pid=private exposed", "medium host-ipc unknown:mnt-9"}},
		{"its root directory is on a file system that only its own users may look at", "100 mnt=9 pid=8 root=- cgroup=0::/team/web\n-- 100/mountinfo --\n" + runcMounts,
			[]string{"unknown:mnt-9 init=100 pids=[100] ipc=host pid=private exposed", "medium host-ipc unknown:mnt-9"}},
		{"it has changed its root directory to its /dev", "100 mnt=9 pid=8 root=dev cgroup=0::/team/web\n-- 100/mountinfo --\n91 89 0:41 / / rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755\n92 91 0:42 / /pts rw - devpts devpts rw\n",
			[]string{"sandbox 100  root=own ipc=host pid=private", "gap 100 mountinfo", "info sandbox-host-ns sandbox:100"}},
		{"a service with mounts of its own, one process of which has changed its root directory", `
100 comm=dovecot mnt=9 cgroup=0::/system.slice/dovecot.service
101 ppid=100 comm=imap-login mnt=9 root=empty cgroup=0::/system.slice/dovecot.service
-- 101/mountinfo --
`, []string{"sandbox 101 dovecot.service root=own ipc=host pid=host", "info sandbox-host-ns sandbox:101"}},
		{"its first process has changed to the host's files, which were mounted for it", `
100 mnt=9 pid=8 cgroup=0::/team/web
101 ppid=100 mnt=9 pid=8 root=image cgroup=0::/team/web
-- 101/mountinfo --
` + runcMounts, []string{"unknown:mnt-9 init=101 pids=[101] ipc=host pid=private exposed", "sandbox 100  root=host ipc=host pid=shared", "medium host-ipc unknown:mnt-9"}},
		{"a single thread of one that otherwise shares nothing", `
100 mnt=9 ipc=7 pid=8 root=image cgroup=0::/team/web
100/105 ipc=host
-- 100/mountinfo --
` + runcMounts, []string{"unknown:mnt-9 init=100 pids=[100] ipc=private pid=private exposed", "high stray-ipc unknown:mnt-9"}},
		{"a container in its pod's own cgroup", `
99 comm=conmon cmdline="/usr/bin/conmon -c ` + idB + ` --persist-dir /x -b /y" cgroup=0::/kubepods/burstable/pod` + uid + `
98 comm=kubelet cgroup=0::/kubepods/burstable/pod` + uid + `
100 mnt=9 pid=8 root=image cgroup=0::/kubepods/burstable/pod` + uid + `
101 ppid=100 mnt=9 pid=8 root=image cgroup=0::/kubepods/burstable/pod` + uid,
			[]string{"unknown:pod" + uid + " pod=" + uid + " init=100 pids=[100 101] ipc=host pid=private exposed", "medium host-ipc unknown:pod" + uid}},
		{"Kata's file server, changed to a root directory in the pod's own cgroup", `
99 comm=containerd-shim cmdline="/usr/bin/containerd-shim-kata-v2 -namespace k8s.io -id ` + idA + ` -address /x" cgroup=0::/kubepods/burstable/pod` + uid + `
101 ppid=99 comm=virtiofsd root=empty cgroup=0::/kubepods/burstable/pod` + uid, []string{"sandbox 101  root=own ipc=host pid=host", "info sandbox-host-ns sandbox:101"}},
	} {
		t.Run(s.story, func(t *testing.T) {
			r, err := nsinspect.Inspect(context.Background(), nsinspect.Source{Proc: proctest.Build(t, base+s.tree), AnyTree: true}, nsinspect.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(r); !slices.Equal(got, s.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(s.want, "\n\t"))
			}
		})
	}
}

// TestBaselineOfInodes compares with two numbers, which do not say whose mounts are
// the host's: a container must not be lost for that, nor a daemon taken for one.
func TestBaselineOfInodes(t *testing.T) {
	tree := proctest.Build(t, base+`
100 mnt=9 cgroup=0::/team/a/`+idA+`
101 cgroup=0::/team/a/`+idB)
	for baseline, want := range map[string][]string{
		"4026531839,4026531836": {"unknown:aaaaaaaaaaaa init=100 pids=[100] ipc=host pid=host exposed", "medium host-ipc unknown:aaaaaaaaaaaa", "medium host-pid unknown:aaaaaaaaaaaa"},
		"7,8": {"unknown:aaaaaaaaaaaa init=100 pids=[100] ipc=shared+unknown:bbbbbbbbbbbb pid=shared+unknown:bbbbbbbbbbbb",
			"unknown:bbbbbbbbbbbb init=101 pids=[101] ipc=shared+unknown:aaaaaaaaaaaa pid=shared+unknown:aaaaaaaaaaaa"},
	} {
		r, err := nsinspect.Inspect(context.Background(), nsinspect.Source{Proc: tree, AnyTree: true}, nsinspect.Options{Baseline: baseline})
		if err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(lines(r), func(l string) bool { return strings.HasPrefix(l, "sandbox") || strings.HasPrefix(l, "info") })
		if !slices.Equal(got, want) {
			t.Errorf("--baseline %s\ngot\n\t%s\nwant\n\t%s", baseline, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
	}
}

// lines is a report in short.
func lines(r *report.Report) []string {
	short := strings.NewReplacer(":"+idA, ":"+idA[:12], ":"+idB, ":"+idB[:12], ":"+idC, ":"+idC[:12])
	var out []string
	for _, c := range r.Containers {
		l := short.Replace(c.Ref)
		if c.Pod.UID != "" {
			l += " pod=" + c.Pod.UID
		}
		if len(c.Outer) > 0 {
			l += fmt.Sprintf(" outer=%v", c.Outer)
		}
		l += fmt.Sprintf(" init=%d pids=%v", c.Init, c.PIDs)
		if len(c.Monitors) > 0 {
			l += fmt.Sprintf(" monitors=%v", c.Monitors)
		}
		for _, n := range []struct {
			kind string
			ns   report.Namespace
		}{{"ipc", c.IPC}, {"pid", c.PID}} {
			l += " " + n.kind + "=" + string(n.ns.State)
			for _, ref := range n.ns.With {
				l += "+" + short.Replace(ref)
			}
			for _, pid := range n.ns.HostStrays {
				l += fmt.Sprintf("!%d", pid)
			}
		}
		if c.Exposed {
			l += " exposed"
		}
		out = append(out, l)
	}
	for _, s := range r.Sandboxes {
		root := "host"
		if s.OwnRoot {
			root = "own"
		}
		out = append(out, fmt.Sprintf("sandbox %d %s root=%s ipc=%s pid=%s", s.Leader, s.Name, root, s.IPC.State, s.PID.State))
	}
	for _, g := range r.Coverage.Gaps {
		if g.Decides {
			out = append(out, fmt.Sprintf("gap %d %s", g.PID, g.File))
		}
	}
	for _, f := range r.Findings {
		out = append(out, f.Severity+" "+f.Rule+" "+short.Replace(f.Subject))
	}
	return out
}
