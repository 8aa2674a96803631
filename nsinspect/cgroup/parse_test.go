package cgroup

import (
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/cgroups/v3"
)

func TestParse(t *testing.T) {
	long := "/" + strings.Repeat("x", 200_000)
	for _, c := range []struct {
		name, content string
		want          []Line
		err           string // part of it
	}{
		{"nothing", "", nil, ""},
		{"v2", "0::/init.scope\n", []Line{{0, "", "/init.scope", "0::/init.scope"}}, ""},
		{"v1 and named", "12:cpu,cpuacct:/a\n1:name=systemd:/b\n",
			[]Line{{12, "cpu,cpuacct", "/a", "12:cpu,cpuacct:/a"}, {1, "name=systemd", "/b", "1:name=systemd:/b"}}, ""},
		{"colons in the path (libs#63)", "0::/a.slice:cri-containerd:b\n",
			[]Line{{0, "", "/a.slice:cri-containerd:b", "0::/a.slice:cri-containerd:b"}}, ""},
		{"no newline at the end", "0::/a", []Line{{0, "", "/a", "0::/a"}}, ""},
		{"two unified lines stay two", "0::/a\n0::/b\n", []Line{{0, "", "/a", "0::/a"}, {0, "", "/b", "0::/b"}}, ""},
		{"longer than 64 KiB", "0::" + long + "\n", []Line{{0, "", long, "0::" + long}}, ""},
		{"spaces and carriage returns belong to the name", "0::/a b\r\n", []Line{{0, "", "/a b\r", "0::/a b\r"}}, ""},
		{"bad line between good ones", "3:cpu:/a\nrubbish\n0::/b\n",
			[]Line{{3, "cpu", "/a", "3:cpu:/a"}, {0, "", "/b", "0::/b"}}, "line 2 "},
		{"two bad lines", "x\ny\n", nil, "(and 1 more such lines)"},
		{"empty line", "0::/\n\n", []Line{{0, "", "/", "0::/"}}, "line 2 "},
		{"two fields", "0:/a\n", nil, "line 1 "},
		{"relative path", "0::a\n", nil, "line 1 "},
		{"negative hierarchy", "-1::/\n", nil, "line 1 "},
		{"hierarchy that overflows", "99999999999999999999::/\n", nil, "line 1 "},
		{"no hierarchy", "::/\n", nil, "line 1 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse([]byte(c.content))
			if len(got) != len(c.want) || len(got) > 0 && !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			switch {
			case c.err == "" && err != nil:
				t.Errorf("unexpected error: %v", err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error %v, want one with %q", err, c.err)
			}
		})
	}
}

// The library's parser is a second opinion where it can have one: on every
// vector, each controller's last path is the same.
func TestParseAgreesWithContainerd(t *testing.T) {
	for _, v := range readVectors(t) {
		controllers, unified, err := cgroups.ParseCgroupFromReaderUnified(strings.NewReader(v.Cgroup))
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		lines, err := Parse([]byte(v.Cgroup))
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
		got, gotUnified := map[string]string{}, ""
		for _, l := range lines {
			if l.Controllers == "" {
				gotUnified = l.Path
				continue
			}
			for c := range strings.SplitSeq(l.Controllers, ",") {
				got[c] = l.Path
			}
		}
		if gotUnified != unified || !reflect.DeepEqual(got, controllers) {
			t.Errorf("%s: got %v and %q, containerd says %v and %q", v.Name, got, gotUnified, controllers, unified)
		}
	}
}

func TestHostMode(t *testing.T) {
	mode := HostMode()
	if got := map[cgroups.CGMode]string{cgroups.Unified: "unified", cgroups.Hybrid: "hybrid", cgroups.Legacy: "legacy",
		cgroups.Unavailable: "unavailable"}[cgroups.Mode()]; mode != got {
		t.Errorf("HostMode() = %q, the library says %q", mode, got)
	}
}
