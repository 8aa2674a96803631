package proctest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := Build(t, `
# a comment
1
77 comm="a\nb" cgroup=0::/x cgroup=1:cpu:/y ipc=5 net=-
77/78 ipc=6
-- 77/maps --
first
-- uptime --
1.0 2.0
`)
	for name, want := range map[string]string{
		"77/cgroup": "0::/x\n1:cpu:/y\n", "77/task/78/cgroup": "0::/x\n1:cpu:/y\n", "77/maps": "first\n", "uptime": "1.0 2.0\n", "77/comm": "a\nb\n",
		"sysvipc/sem": semHeader,
	} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v, want %q", name, b, err, want)
		}
	}
	for name, want := range map[string]string{
		"1/ns/ipc": "ipc:[4026531839]", "77/ns/ipc": "ipc:[5]", "77/task/77/ns/ipc": "ipc:[5]", "77/task/78/ns/ipc": "ipc:[6]",
		"77/root": "../roots/host", "77/task/77/root": "../../../roots/host",
	} {
		if target, err := os.Readlink(filepath.Join(dir, name)); err != nil || target != want {
			t.Errorf("%s: %q, %v, want %q", name, target, err, want)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "77/ns/net")); err == nil {
		t.Error("a link that was not wanted is there")
	}
	status, err := os.ReadFile(filepath.Join(dir, "77/status"))
	if err != nil || !strings.HasPrefix(string(status), "Name:\ta\\nb\nUmask:") {
		t.Errorf("%v, %q", err, status)
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, text := range []string{"x", "1 ipc", "1 colour=red", "-1", "1/2", "1 comm=\"open", "1\n1/x ipc=2", "99999999999"} {
		if err := Write(t.TempDir(), text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
