package nsinspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

func explainIn(t *testing.T, dir, what string) (*report.Explanation, error) {
	t.Helper()
	return nsinspect.Explain(context.Background(), nsinspect.Source{Proc: dir, AnyTree: true}, nsinspect.Options{}, what)
}

// words is all that an explanation says, one sentence or piece of evidence a line.
func words(e *report.Explanation) string {
	lines := []string{e.Kind + " " + e.Subject + ": " + e.Summary}
	for _, topic := range e.Topics {
		lines = append(lines, topic.Title)
		for _, p := range topic.Points {
			lines = append(lines, p.Text)
			for _, ev := range p.Evidence {
				lines = append(lines, ev.What+" = "+ev.Value+" ("+ev.Expected+")")
			}
		}
	}
	return strings.Join(lines, "\n")
}

// TestExplain goes through what there is to explain: a tree, a word, and what
// must be among the sentences.
func TestExplain(t *testing.T) {
	for _, s := range []struct {
		story, tree, what string
		want              []string
	}{
		{"host IPC", "100 pid=8 mnt=9 cgroup=0::/docker/" + idA, idA[:5], []string{
			"container docker:" + idA + ": it shares the host's IPC namespace; it has its own PID namespace",
			"/proc/100/ns/ipc = ipc:[4026531839] (the baseline's)", "so HOST",
			"/proc/100/ns/pid = pid:[8] (the baseline's is pid:[4026531836])",
			"/proc/100/cgroup = 0::/docker/" + idA + " (names a container of docker)",
			"medium host-ipc: docker:aaaaaaaaaaaa shares", "why host-ipc matters", "to mend it", "CIS Docker 1.6.0 5.17",
		}},
		{"a process that could not be read", "100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/" + idA + "\n101 ppid=100 ipc=- pid=8 mnt=9 cgroup=0::/docker/" + idA, "docker:" + idA, []string{
			"its IPC namespace is unknown", "IPC namespace: unknown", "1 process of it could not be read, and may be anywhere: PID 101", "/proc/101/ns/ipc: not there",
		}},
		{"Kata", "100 comm=qemu fd=anon_inode:kvm-vm cgroup=0::/system.slice/kata_" + idA, "kata:aa", []string{"is in a virtual machine", "what the guest kernel of the virtual machine isolates",
			"/proc/100/fd = anon_inode:kvm-vm (is a virtual machine)", "by a descriptor that a process of it has"}},
		{"a container that nothing but its mounts tells of", "100 mnt=9 pid=8 root=image cgroup=0::/team/web\n-- 100/mountinfo --\n" + runcMounts, "100", []string{
			"a process of unknown:mnt-9, its init", "it is in the mount namespace of unknown:mnt-9, which is as an OCI runtime sets one up"}},
		{"how it was recognised", "100 mnt=9 pid=8 root=image cgroup=0::/team/web\n-- 100/mountinfo --\n" + runcMounts, "mnt-9", []string{
			"a container of an unknown runtime with the id mnt-9", "by what is mounted for its init", "/proc/100/mountinfo = /dev tmpfs / rw,size=65536k,mode=755"}},
		{"a container in its pod's own cgroup", "100 mnt=9 root=image cgroup=0::/kubepods/pod" + uid, "100", []string{"it is in the cgroup of a pod and has a root directory of its own"}},
		{"no virtual machine in a cgroup of that name", "100 comm=sh cgroup=0::/firecracker/web", "web", []string{"its IPC namespace is unknown", "no process of it has a virtual machine"}},
		{"two share one IPC namespace", "100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/" + idA + "\n101 ipc=7 pid=10 mnt=11 cgroup=0::/docker/" + idB, idB, []string{
			"shares its IPC namespace with 1 other container", "it shares it with docker:aaaaaaaaaaaa", "/proc/100/ns/ipc = ipc:[7] (the same)",
		}},
		{"one pod", "100 ipc=7 pid=8 mnt=9 cgroup=0::/kubepods/pod" + uid + "/" + idA + "\n101 ipc=7 pid=10 mnt=11 cgroup=0::/kubepods/pod" + uid + "/" + idB, idA, []string{
			"pod uid " + uid, "they are of one pod, where that is normal",
		}},
		{"nesting", "100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/" + idA + "\n101 ppid=100 ipc=7 pid=18 mnt=19 cgroup=0::/docker/" + idA + "/docker/" + idB, idB, []string{
			"the host made docker:aaaaaaaaaaaa, the anchor", "which is the container around it", "it shares the IPC namespace of docker:aaaaaaaaaaaa",
		}},
		{"what is inside", "100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/" + idA + "\n101 ppid=100 ipc=7 pid=18 mnt=19 cgroup=0::/docker/" + idA + "/docker/" + idB, idA, []string{
			"inside it, as it claims, is docker:bbbbbbbbbbbb",
		}},
		{"the host's /dev/shm", "100 ipc=7 pid=8 mnt=9 shm=host cgroup=0::/docker/" + idA, idA, []string{
			"/dev/shm: host", "/proc/100/mountinfo, /dev/shm = 0:20 (the host's is 0:20)", "host-dev-shm",
		}},
		{"exec'd later", "100 ppid=1 ipc=7 pid=8 mnt=9 start=5 cgroup=0::/docker/" + idA + "\n101 ppid=1 ipc=7 pid=8 mnt=9 start=50 cgroup=0::/docker/" + idA, idA, []string{
			"of the 2 processes of which that is true it started first",
		}},
		{"a name", dockerShim + dockerFiles, "web", []string{"name web", "image nginx:1", "config.v2.json = name web, image nginx:1", "it decides nothing", "PID 99 (containerd-shim) watches over it"}},
		{"a pod by its name", "99 comm=containerd-shim cmdline=\"/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id " + idA + " -address /x\" cwd=" + shimDir + "k8s.io/" + idA + "\n" +
			"100 ppid=99 ipc=7 pid=8 mnt=9 cgroup=0::/k8s.io/" + idA + "\n-- roots/host" + shimDir + "k8s.io/" + idA + "/config.json --\n{\"annotations\":{" + criAnnotations + "}}",
			"prod/web-0", []string{"pod prod/web-0", "container containerd:" + idA}},
		{"a stray", "100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/" + idA + "\n101 ppid=100 ipc=host pid=8 mnt=9 cgroup=0::/docker/" + idA, "101", []string{
			"process PID 101: a process of docker:aaaaaaaaaaaa in the host's IPC namespace, which the container's init is not in",
			"ipc: the host's, while its container's init is in ipc:[7]", "PID 100 (sleep), payload of docker:aaaaaaaaaaaa", "high stray-ipc",
		}},
		{"a payload that calls its cgroup a monitor's", "100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/" + idA + "\n101 ppid=100 ipc=host pid=8 mnt=9 cgroup=0::/docker/" + idA + "/lxc.monitor.x", "101", []string{
			"Its role: payload", "whoever owns that can call a cgroup anything, so that is not believed", "is called as the engine's helper for lxc:x, in docker:" + idA,
		}},
		{"a container without a cgroup", podmanNoCgroup, "100", []string{
			"its cgroup names no container, but it descends from the engine's process for podman:aaaaaaaaaaaa",
			"PID 99 (conmon), monitor of podman:aaaaaaaaaaaa", "by its command line of podman for " + idA,
		}},
		{"a zombie", "100 state=Z ipc=- mnt=- pid=8 cgroup=0::/docker/" + idA, "100", []string{"a zombie: it has no namespaces left", "ipc: none, it is a zombie"}},
		{"lines that disagree", "100 ipc=7 pid=8 mnt=9 cgroup=4:memory:/docker/" + idA + " cgroup=0::/docker/" + idB, "100", []string{
			"names the container docker:" + idA, "names the container docker:" + idB, "this line decided", "its lines name different containers",
		}},
		{"a sandbox", "100 comm=bwrap mnt=9 pid=8 root=box cgroup=0::/user.slice/user-0.slice/session-1.scope", "sandbox:100", []string{
			"a process of the sandbox of PID 100 (bwrap)", "they have a root directory of their own", "its root directory is its own", "info sandbox-host-ns",
		}},
		{"a container with a number for a name", "100 ipc=7 pid=8 mnt=9 cgroup=0::/lxc.payload.500", "500", []string{
			"process PID 500", "a container is called so, too: explain lxc:500",
		}},
		{"an inode of a container", "100 ipc=4026532700 pid=8 mnt=9 cgroup=0::/docker/" + idA, "4026532700", []string{
			"namespace ipc:[4026532700]: an IPC namespace: 1 process, 1 container", "so it is not the host's", "docker:aaaaaaaaaaaa with 1 of 1 process, its init is in it",
		}},
		{"the host's PID namespace", "100 ipc=7 mnt=9 cgroup=0::/docker/" + idA, "pid:[4026531836]", []string{
			"the host's PID namespace", "the number that the kernel gives its initial one", "PID 1 (systemd), the baseline, is in it", "host-pid",
		}},
	} {
		t.Run(s.story, func(t *testing.T) {
			e, err := explainIn(t, proctest.Build(t, base+s.tree), s.what)
			if err != nil {
				t.Fatal(err)
			}
			got := words(e)
			for _, w := range s.want {
				if !strings.Contains(got, w) {
					t.Errorf("%q is not said in\n%s", w, got)
				}
			}
			b, err := json.Marshal(e)
			bare := strings.NewReplacer(`"container":null`, "", `"process":null`, "", `"namespace":null`, "", `"waived":null`, "").Replace(string(b))
			if err != nil || strings.Contains(bare, ":null") {
				t.Errorf("a list is null: %v %s", err, b)
			}
		})
	}
}

const podmanNoCgroup = "99 comm=conmon cmdline=\"/usr/bin/conmon --api-version 1 -c " + idA + " -u " + idA + " -r /usr/bin/crun -n web\" cgroup=0::/user.slice/user-0.slice/session-1.scope\n" +
	"100 ppid=99 pid=8 mnt=9 root=image cgroup=0::/user.slice/user-0.slice/session-1.scope"

// TestExplainWhat: a word that means nothing, or too much, is an error that says so.
func TestExplainWhat(t *testing.T) {
	dir := proctest.Build(t, base+"100 ipc=7 pid=8 mnt=9 cgroup=0::/docker/"+idA+"\n101 ipc=17 pid=18 mnt=19 cgroup=0::/docker/aaaa"+idB[4:])
	for what, want := range map[string]error{
		"aaaa": nsinspect.ErrAmbiguous, "docker:": nsinspect.ErrAmbiguous,
		"": nsinspect.ErrNotFound, "x": nsinspect.ErrNotFound, "999": nsinspect.ErrNotFound, "0": nsinspect.ErrNotFound, "-1": nsinspect.ErrNotFound,
		"ipc:[9]": nsinspect.ErrNotFound, "ipc:[]": nsinspect.ErrNotFound, "net:[4026531833]": nsinspect.ErrNotFound, "ipc:7": nsinspect.ErrNotFound,
		"sandbox:999": nsinspect.ErrNotFound, "99999999999999999999": nsinspect.ErrNotFound, "/": nsinspect.ErrNotFound, "\x1b[31m": nsinspect.ErrNotFound,
		"docker:" + idA: nil, "docker:aaaaaaaaaaaa": nil, "aaaaa": nil, "100": nil, "7": nil, "ipc:[7]": nil, "mnt:[9]": nil, "sandbox:1": nil,
	} {
		e, err := explainIn(t, dir, what)
		if !errors.Is(err, want) || (err == nil) != (want == nil) || (e == nil) != (err != nil) {
			t.Errorf("%q: %v, want %v", what, err, want)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%q: %q", what, err)
		}
	}
}
