package container

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	uid = "1c4e28ba-2fa1-41d2-883f-0016d3cca427"
)

func TestParseBundle(t *testing.T) {
	for _, c := range []struct {
		story, json string
		want        Bundle
	}{
		{"docker writes no annotations", `{"ociVersion":"1.0.2","root":{"path":"/var/lib/docker/overlay2/abc/merged"},"hostname":"d44a9b5f0e80"}`,
			Bundle{Root: "/var/lib/docker/overlay2/abc/merged"}},
		{"containerd's CRI plugin: a container", `{"annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"app","io.kubernetes.cri.image-name":"docker.io/library/nginx:1.27",
			"io.kubernetes.cri.sandbox-id":"s","io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"prod","io.kubernetes.cri.sandbox-uid":"` + uid + `"},"root":{"path":"rootfs"}}`,
			Bundle{Names: Names{Name: "app", Image: "docker.io/library/nginx:1.27", Pod: report.Pod{UID: uid, Namespace: "prod", Name: "web-0"}}}},
		{"containerd's CRI plugin: a sandbox", `{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.sandbox-namespace":"prod","io.kubernetes.cri.podsandbox.image-name":"registry.k8s.io/pause:3.10"}}`,
			Bundle{Names: Names{Name: PauseName, Image: "registry.k8s.io/pause:3.10", Pod: report.Pod{Namespace: "prod", Name: "web-0"}}}},
		{"CRI-O", `{"annotations":{"io.container.manager":"cri-o","io.kubernetes.cri-o.ContainerType":"container","io.kubernetes.container.name":"app","io.kubernetes.cri-o.ImageName":"quay.io/x/y:1","io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"prod","io.kubernetes.pod.uid":"` + uid + `"}}`,
			Bundle{Names: Names{Name: "app", Image: "quay.io/x/y:1", Pod: report.Pod{UID: uid, Namespace: "prod", Name: "web-0"}}}},
		{"podman writes nothing of interest", `{"annotations":{"io.container.manager":"libpod","io.kubernetes.cri-o.TTY":"false","org.opencontainers.image.stopSignal":"15"},"root":{"path":"/s/overlay/l/merged"}}`,
			Bundle{Root: "/s/overlay/l/merged"}},
		{"nerdctl compose", `{"annotations":{"nerdctl/name":"shop-web-1","nerdctl/namespace":"default","com.docker.compose.project":"shop","com.docker.compose.service":"web","secret":"x"}}`,
			Bundle{Names: Names{Name: "shop-web-1", Labels: map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}}}},
		{"a root that climbs", `{"root":{"path":"/var/lib/../../etc/x/y/z"}}`, Bundle{}},
		{"nothing", `{}`, Bundle{}},
	} {
		t.Run(c.story, func(t *testing.T) {
			if got, err := ParseBundle([]byte(c.json)); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
	for _, bad := range []string{"", "null x", "[]", `{"annotations":[]}`, `{"annotations":{"a":1}}`, `{"root":{"path":"/x"}`, strings.Repeat("[", 1<<20)} {
		if got, err := ParseBundle([]byte(bad)); err == nil {
			t.Errorf("%.40q: %+v", bad, got)
		}
	}
}

func TestParseDockerConfig(t *testing.T) {
	for _, c := range []struct {
		story, json string
		want        Names
	}{
		{"compose", `{"ID":"` + idA + `","Name":"/shop-web-1","Image":"sha256:5c","Config":{"Image":"nginx:1.27","Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web","com.docker.compose.oneoff":"False","maintainer":"x"}}}`,
			Names{Name: "shop-web-1", Image: "nginx:1.27", Labels: map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}}},
		{"cri-dockerd", `{"ID":"` + idA + `","Name":"/k8s_app_web-0_prod_x_0","Config":{"Image":"sha256:77","Labels":{"io.kubernetes.container.name":"app","io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"prod","io.kubernetes.pod.uid":"` + uid + `"}}}`,
			Names{Name: "app", Image: "sha256:77", Pod: report.Pod{UID: uid, Namespace: "prod", Name: "web-0"}}},
		{"an image that calls itself something else", `{"ID":"` + idA + `","Name":"/a","Config":{"Image":"evil","Labels":{"org.opencontainers.image.ref.name":"debian"}}}`,
			Names{Name: "a", Image: "evil"}},
		{"no labels", `{"ID":"` + idA + `","Name":"/a","Config":{"Labels":null}}`, Names{Name: "a"}},
	} {
		t.Run(c.story, func(t *testing.T) {
			if got, err := ParseDockerConfig([]byte(c.json), idA); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
	for _, bad := range []string{"", "{}", `{"ID":"bbbb","Name":"/x"}`, `{"ID":1}`, `{"ID":"` + idA} {
		if got, err := ParseDockerConfig([]byte(bad), idA); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestParseStorage(t *testing.T) {
	got, err := ParseStorage([]byte(`[{"id":"a","names":["web"],"image":"5e84","metadata":"{\"image-name\":\"localhost/x:latest\",\"name\":\"web\"}","created":"2026-11-21T23:27:09Z"},
		{"id":"b","names":["other","alias"],"metadata":"not JSON"},{"id":"c"},{"names":["nobody"]}]`))
	want := map[string]Names{"a": {Name: "web", Image: "localhost/x:latest"}, "b": {Name: "other"}, "c": {}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{"", "{}", `[{"id":1}]`, `[{"id":"a"}`} {
		if got, err := ParseStorage([]byte(bad)); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestPlacesOfFiles(t *testing.T) {
	for root, want := range map[string][]string{
		"/var/lib/docker/overlay2/l/merged":         {"/var/lib/docker/containers/" + idA + "/config.v2.json", "/var/lib/containers/" + idA + "/config.v2.json"},
		"/var/lib/docker/devicemapper/mnt/l/rootfs": {"/var/lib/docker/devicemapper/containers/" + idA + "/config.v2.json", "/var/lib/docker/containers/" + idA + "/config.v2.json"},
		"/var/lib/docker/rootfs/overlayfs/" + idA:   {"/var/lib/docker/containers/" + idA + "/config.v2.json", "/var/lib/containers/" + idA + "/config.v2.json"},
		"/d/1.1/vfs/dir/l":                          {"/d/1.1/containers/" + idA + "/config.v2.json", "/d/containers/" + idA + "/config.v2.json"},
		"/x/y":                                      nil,
		"rootfs":                                    nil,
		"":                                          nil,
	} {
		if got := DockerConfigs(root, idA); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", root, got, want)
		}
	}
	for _, id := range []string{"", ".", "..", "a/b", "a\x00b", strings.Repeat("a", 256)} {
		shim := &Process{Detail: &proc.Detail{Comm: "containerd-shim"}, engine: &EngineProcess{ID: "pod", Namespace: "k8s.io"}}
		if from, p := shim.configOf(id); from != "" {
			t.Errorf("%q is no name of a directory, and gave %q", id, p)
		}
		if p := DockerConfigs("/var/lib/docker/overlay2/l/merged", id); p != nil {
			t.Errorf("%q is no name of a directory, and gave %q", id, p)
		}
	}
	for _, c := range []struct {
		bundle, id, want string
	}{
		{"/s/overlay-containers/" + idA + "/userdata", idA, "/s/overlay-containers/containers.json"},
		{"/s/overlay-containers/" + idA + "/userdata", "b", ""},
		{"/s/overlay-containers/" + idA, idA, ""},
		{"/s/x/" + idA + "/userdata", idA, ""},
		{"/s/../overlay-containers/a/userdata", "a", ""},
		{"overlay-containers/a/userdata", "a", ""},
		{"", "", ""},
	} {
		if got, ok := StorageOf(c.bundle, c.id); got != c.want || ok != (c.want != "") {
			t.Errorf("%q: %q", c.bundle, got)
		}
	}
}

func TestDecorate(t *testing.T) {
	c := report.Container{Name: "kept", Pod: report.Pod{UID: "from the cgroup"}}
	Names{Name: "x", Image: "evil\x1b[31m\u202e", Pod: report.Pod{UID: "declared", Name: strings.Repeat("n", 10_000)}, Labels: map[string]string{"com.docker.compose.project": "\xff"}}.Decorate(&c)
	if c.Name != "kept" || c.Pod.UID != "from the cgroup" || strings.ContainsAny(c.Image, "\x1b\u202e") || len(c.Pod.Name) > 600 || c.Labels["com.docker.compose.project"] != `\xff` {
		t.Errorf("%+v", c)
	}
}

// safe fails unless all that a parser found comes to a report without a control byte.
func safe(t *testing.T, n Names) {
	t.Helper()
	var c report.Container
	n.Decorate(&c)
	texts := []string{c.Name, c.Image, c.Pod.Name, c.Pod.Namespace, c.Pod.UID}
	for key, value := range c.Labels {
		if !slices.Contains(labels, key) {
			t.Errorf("label %q", key)
		}
		texts = append(texts, value)
	}
	for _, s := range texts {
		if report.Text(s) != s || len(s) > 8*longestName {
			t.Errorf("%q", s)
		}
	}
}

func FuzzParseBundle(f *testing.F) {
	f.Add([]byte(`{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.pod.name":"\u202e"},"root":{"path":"/var/lib/docker/overlay2/l/merged"}}`), idA)
	f.Add([]byte(`{"annotations":{"com.docker.compose.project":"\u0000"},"root":{"path":"//"}}`), "../x")
	f.Fuzz(func(t *testing.T, b []byte, id string) {
		bundle, err := ParseBundle(b)
		if err != nil && !reflect.DeepEqual(bundle, Bundle{}) {
			t.Errorf("an error and %+v", bundle)
		}
		safe(t, bundle.Names)
		for _, p := range DockerConfigs(bundle.Root, id) {
			if !strings.HasPrefix(p, "/") || !strings.HasSuffix(p, "/containers/"+id+"/config.v2.json") || strings.Contains(p, "/../") || strings.Contains(p, "//") {
				t.Errorf("%q", p)
			}
		}
	})
}

func FuzzParseDockerConfig(f *testing.F) {
	f.Add([]byte(`{"ID":"a","Name":"/n","Config":{"Image":"i","Labels":{"com.docker.compose.project":"p","io.kubernetes.pod.name":"n"}}}`), "a")
	f.Fuzz(func(t *testing.T, b []byte, id string) {
		n, err := ParseDockerConfig(b, id)
		if err != nil && !reflect.DeepEqual(n, Names{}) {
			t.Errorf("an error and %+v", n)
		}
		safe(t, n)
	})
}

func FuzzParseStorage(f *testing.F) {
	f.Add([]byte(`[{"id":"a","names":["web"],"metadata":"{\"image-name\":\"x\",\"name\":\"web\"}"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := ParseStorage(b)
		if err != nil && all != nil {
			t.Errorf("an error and %+v", all)
		}
		for id, n := range all {
			if id == "" {
				t.Error("a container without an id")
			}
			safe(t, n)
		}
	})
}
