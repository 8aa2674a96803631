package nsinspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

const (
	shimDir    = "/run/containerd/io.containerd.runtime.v2.task/"
	dockerShim = "99 comm=containerd-shim cmdline=\"/usr/bin/containerd-shim-runc-v2 -namespace moby -id " + idA + " -address /run/containerd/containerd.sock\" cwd=" + shimDir + "moby/" + idA + "\n" +
		"100 ppid=99 pid=8 mnt=9 root=image cgroup=0::/docker/" + idA + "\n"
	dockerBundle = "roots/host" + shimDir + "moby/" + idA + "/config.json"
	dockerConfig = "roots/host/var/lib/docker/containers/" + idA + "/config.v2.json"
	dockerFiles  = "-- " + dockerBundle + " --\n{\"root\":{\"path\":\"/var/lib/docker/overlay2/l/merged\"}}\n" +
		"-- " + dockerConfig + " --\n{\"ID\":\"" + idA + "\",\"Name\":\"/web\",\"Config\":{\"Image\":\"nginx:1\",\"Labels\":{\"com.docker.compose.project\":\"shop\",\"secret\":\"x\"}}}\n"
	userdata = "/var/lib/containers/storage/overlay-containers/" + idA + "/userdata"
	podman   = "99 comm=conmon cmdline=\"/usr/bin/conmon --api-version 1 -c " + idA + " -u " + idA + " -r /usr/bin/crun -b " + userdata + " -n web\"\n" +
		"100 ppid=99 ipc=7 pid=8 mnt=9 cgroup=0::/machine.slice/libpod-" + idA + ".scope\n"
	criAnnotations = `"io.kubernetes.cri.sandbox-id":"` + idC + `","io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"prod","io.kubernetes.cri.sandbox-uid":"` + uid + `"`
	crio           = "/run/containers/storage/overlay-containers/" + idA + "/userdata"
)

// TestNames: what the engines have written down comes to the report, each in its way.
func TestNames(t *testing.T) {
	for _, s := range []struct {
		story, tree string
		want        []string
	}{
		{"docker with compose", dockerShim + dockerFiles,
			[]string{"docker:aaaaaaaaaaaa name=web image=nginx:1 pod=/ labels=[com.docker.compose.project=shop] monitors=[99]"}},
		{"docker in another mount namespace", strings.Replace(dockerShim, "99 ", "99 mnt=77 root=rootless ", 1) + strings.ReplaceAll(dockerFiles, "roots/host", "roots/rootless"),
			[]string{"docker:aaaaaaaaaaaa name=web image=nginx:1 pod=/ labels=[com.docker.compose.project=shop] monitors=[99]"}},
		{"a pod of containerd's has one shim", `
99 comm=containerd-shim cmdline="/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id ` + idC + ` -address /run/containerd/containerd.sock" cwd=` + shimDir + `k8s.io/` + idC + `
100 ppid=99 ipc=7 pid=8 mnt=9 cgroup=0::/kubepods/pod` + uid + `/` + idA + `
101 ppid=99 ipc=7 pid=18 mnt=19 cgroup=0::/kubepods/pod` + uid + `/` + idC + `
-- roots/host` + shimDir + `k8s.io/` + idA + `/config.json --
{"annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"app","io.kubernetes.cri.image-name":"nginx:1",` + criAnnotations + `}}
-- roots/host` + shimDir + `k8s.io/` + idC + `/config.json --
{"annotations":{"io.kubernetes.cri.container-type":"sandbox",` + criAnnotations + `}}
`, []string{"containerd:aaaaaaaaaaaa name=app image=nginx:1 pod=prod/web-0 labels=[] monitors=[99]", "containerd:cccccccccccc name=POD image= pod=prod/web-0 labels=[] monitors=[99]"}},
		{"podman", podman + `
-- roots/host` + userdata + `/config.json --
{"annotations":{"io.container.manager":"libpod"},"root":{"path":"/var/lib/containers/storage/overlay/l/merged"}}
-- roots/host/var/lib/containers/storage/overlay-containers/containers.json --
[{"id":"` + idA + `","names":["web"],"metadata":"{\"image-name\":\"docker.io/library/nginx:1\",\"name\":\"web\"}"}]
`, []string{"podman:aaaaaaaaaaaa name=web image=docker.io/library/nginx:1 pod=/ labels=[] monitors=[99]"}},
		{"CRI-O", `
99 comm=conmon cmdline="/usr/bin/conmon -b ` + crio + ` -c ` + idA + ` --exit-dir /var/run/crio/exits -l /var/log/pods/x --log-level info -n k8s_app_web-0_prod_x_0 -P ` + crio + `/conmon-pidfile -p ` + crio + `/pidfile --persist-dir /var/lib/containers/storage/overlay-containers/` + idA + `/userdata -r /usr/bin/runc"
100 ppid=99 ipc=7 pid=8 mnt=9 cgroup=0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1c4e28ba_2fa1_41d2_883f_0016d3cca427.slice/crio-` + idA + `.scope
-- roots/host` + crio + `/config.json --
{"annotations":{"io.container.manager":"cri-o","io.kubernetes.cri-o.ContainerType":"container","io.kubernetes.container.name":"app","io.kubernetes.cri-o.ImageName":"quay.io/x:1","io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"prod"}}
`, []string{"cri-o:aaaaaaaaaaaa name=app image=quay.io/x:1 pod=prod/web-0 labels=[] monitors=[99]"}},
		{"LXC", "99 comm=lxc-start cmdline=\"[lxc monitor] /var/lib/lxc web\" cgroup=0::/lxc.monitor.web\n100 ppid=99 ipc=7 pid=8 mnt=9 cgroup=0::/lxc.payload.web",
			[]string{"lxc:web name=web image= pod=/ labels=[] monitors=[99]"}},
		{"a nested container's engine is inside the outer one, and its word a claim of that one", `
50 ipc=7 pid=8 mnt=9 root=outer cgroup=0::/docker/` + idB + `
99 ppid=50 comm=containerd-shim ipc=7 pid=8 mnt=9 root=outer cmdline="/usr/bin/containerd-shim-runc-v2 -namespace moby -id ` + idA + ` -address /run/x.sock" cwd=` + shimDir + `moby/` + idA + ` cgroup=0::/docker/` + idB + `
100 ppid=99 ipc=17 pid=18 mnt=19 cgroup=0::/docker/` + idB + `/docker/` + idA + "\n" + strings.ReplaceAll(dockerFiles, "roots/host", "roots/outer"),
			[]string{"docker:aaaaaaaaaaaa name=web image=nginx:1 pod=/ labels=[com.docker.compose.project=shop] monitors=[99] claim", "docker:bbbbbbbbbbbb name= image= pod=/ labels=[] monitors=[]"}},
	} {
		t.Run(s.story, func(t *testing.T) {
			dir := proctest.Build(t, base+s.tree)
			named := inspect(t, dir, nsinspect.Options{})
			var got []string
			for _, c := range named.Containers {
				var labels []string
				for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
					labels = append(labels, key+"="+c.Labels[key])
				}
				l := fmt.Sprintf("%.*s name=%s image=%s pod=%s/%s labels=%v monitors=%v", strings.Index(c.Ref, ":")+13, c.Ref, c.Name, c.Image, c.Pod.Namespace, c.Pod.Name, labels, c.Monitors)
				if slices.ContainsFunc(c.Evidence, func(e report.Evidence) bool { return strings.HasPrefix(e.Expected, "a claim from inside docker:"+idB) }) {
					l += " claim"
				}
				got = append(got, l)
			}
			if !slices.Equal(got, s.want) || len(named.Coverage.Gaps) > 0 {
				t.Errorf("got\n\t%s\nwant\n\t%s\ngaps %+v", strings.Join(got, "\n\t"), strings.Join(s.want, "\n\t"), named.Coverage.Gaps)
			}
			sameVerdict(t, named, inspect(t, dir, nsinspect.Options{NoNames: true}))
		})
	}
}

// TestDamagedNames: whatever is wrong with the engines' files, the verdict is the
// one without them, and a gap says what was wrong.
func TestDamagedNames(t *testing.T) {
	for _, s := range []struct {
		story, tree string
		damage      func(dir string) error
		gap         string
	}{
		{"no bundle", dockerShim, nil, "not there"},
		{"a broken bundle", dockerShim + "-- " + dockerBundle + " --\n{\"root\":", nil, "not the configuration"},
		{"no file of docker's", dockerShim + "-- " + dockerBundle + " --\n{\"root\":{\"path\":\"/var/lib/docker/overlay2/l/merged\"}}", nil, "not there"},
		{"another container's file", dockerShim + strings.Replace(dockerFiles, `"ID":"`+idA, `"ID":"`+idB, 1), nil, "it is about the container"},
		{"a link to another container's file", dockerShim + dockerFiles, func(dir string) error {
			f := filepath.Join(dir, dockerConfig)
			return errors.Join(os.Rename(f, f+".real"), os.Symlink(f+".real", f))
		}, "not a regular file"},
		{"a link in the way", dockerShim + dockerFiles, func(dir string) error {
			d := filepath.Join(dir, "roots/host/var/lib/docker")
			return errors.Join(os.Rename(d, d+".real"), os.Symlink(d+".real", d))
		}, "not a directory"},
		{"a file that everybody may write to", dockerShim + dockerFiles, func(dir string) error { return os.Chmod(filepath.Join(dir, dockerConfig), 0o666) }, "everybody"},
		{"a directory that everybody may write to", dockerShim + dockerFiles, func(dir string) error { return os.Chmod(filepath.Join(dir, "roots/host/var/lib"), 0o777) }, "everybody"},
		{"a file without an end", dockerShim + dockerFiles, func(dir string) error { return os.Truncate(filepath.Join(dir, dockerConfig), 1<<40) }, "too big"},
		{"somebody else's file", dockerShim + dockerFiles, func(dir string) error {
			if os.Getuid() != 0 {
				return errors.ErrUnsupported
			}
			return os.Chown(filepath.Join(dir, dockerConfig), 12345, 12345)
		}, "belongs to uid 12345"},
		{"podman's index is broken", podman + "-- roots/host" + userdata + "/config.json --\n{}\n-- roots/host/var/lib/containers/storage/overlay-containers/containers.json --\n{", nil, "not the index"},
	} {
		t.Run(s.story, func(t *testing.T) {
			dir := proctest.Build(t, base+s.tree)
			if s.damage != nil {
				if err := s.damage(dir); errors.Is(err, errors.ErrUnsupported) {
					t.Skip("giving a file away takes root")
				} else if err != nil {
					t.Fatal(err)
				}
			}
			r := inspect(t, dir, nsinspect.Options{})
			if len(r.Coverage.Gaps) != 1 || !strings.Contains(r.Coverage.Gaps[0].Error, s.gap) || r.Coverage.Gaps[0].Decides || r.Coverage.Gaps[0].PID != 99 {
				t.Errorf("gaps %+v, want one with %q", r.Coverage.Gaps, s.gap)
			}
			none := inspect(t, dir, nsinspect.Options{NoNames: true})
			if len(none.Coverage.Gaps) != 0 {
				t.Errorf("without names: gaps %+v", none.Coverage.Gaps)
			}
			sameVerdict(t, r, none)
		})
	}
}

// TestNamesDoNotDecide: an engine's file that puts two containers into one pod
// does not make their sharing a namespace normal.
func TestNamesDoNotDecide(t *testing.T) {
	tree := base
	for i, id := range []string{idA, idB} {
		tree += fmt.Sprintf("%d comm=containerd-shim cmdline=\"/usr/bin/containerd-shim-runc-v2 -namespace moby -id %s -address /run/x.sock\" cwd=%smoby/%s\n", 90+i, id, shimDir, id)
		tree += fmt.Sprintf("%d ppid=%d ipc=7 pid=%d mnt=%d cgroup=0::/docker/%s\n", 100+i, 90+i, 8+i, 18+i, id)
	}
	for _, id := range []string{idA, idB} {
		tree += "-- roots/host" + shimDir + "moby/" + id + "/config.json --\n" + `{"annotations":{"io.kubernetes.pod.uid":"` + uid + `","io.kubernetes.pod.name":"evil"}}` + "\n"
	}
	r := inspect(t, proctest.Build(t, tree), nsinspect.Options{})
	if len(r.Containers) != 2 || r.Containers[0].Pod.UID != uid || len(r.Findings) != 1 || r.Findings[0].Rule != "shared-ipc" {
		t.Errorf("%+v\n%+v", r.Containers, r.Findings)
	}
}

func inspect(t *testing.T, dir string, opt nsinspect.Options) *report.Report {
	t.Helper()
	r, err := nsinspect.Inspect(context.Background(), nsinspect.Source{Proc: dir, AnyTree: true}, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sameVerdict fails unless two reports differ in nothing but the names and what is known of them.
func sameVerdict(t *testing.T, a, b *report.Report) {
	t.Helper()
	bare := func(r *report.Report) (containers []report.Container, rest []byte) {
		for _, c := range r.Containers {
			c.Name, c.Image, c.Labels, c.Evidence, c.Pod.Name, c.Pod.Namespace = "", "", nil, nil, "", ""
			containers = append(containers, c)
		}
		rest, err := json.Marshal([]any{r.Findings, r.Sandboxes, r.IPCNamespaces, r.Baseline})
		if err != nil {
			t.Fatal(err)
		}
		return containers, rest
	}
	ca, ra := bare(a)
	cb, rb := bare(b)
	if !reflect.DeepEqual(ca, cb) || string(ra) != string(rb) {
		t.Errorf("the names changed the verdict:\n%+v\n%+v\n%s\n%s", ca, cb, ra, rb)
	}
}
