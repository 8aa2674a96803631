package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// pinned is a host with namespaces in all the places that a tree can show.
const pinned = host + `
-- 1/mountinfo --
1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw
2 1 0:20 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw
3 1 0:4 ipc:[4026532777] /run/ipcns/3e4e rw shared:2 - nsfs nsfs rw
4 1 0:4 net:[4026532778] /run/netns/a\033[31mred rw shared:2 - nsfs nsfs rw
5 1 0:4 ipc:[4026532501] /run/ipcns/c1 rw shared:2 - nsfs nsfs rw
-- 4700/mountinfo --
1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw
3 1 0:4 ipc:[4026532777] /run/ipcns/3e4e rw master:2 - nsfs nsfs rw
6 1 0:4 uts:[4026532779] /srv/private/uts rw - nsfs nsfs rw
`

func TestGoldenNamespaces(t *testing.T) {
	lines := strings.SplitN(pinned, "-- sysvipc/shm --", 2)
	dir := proctest.Build(t, lines[0]+"4601/4603 ipc=host\n4601/4604 ipc=4026532780\n-- sysvipc/shm --"+lines[1])
	for _, c := range []struct {
		name string
		args []string
	}{
		{"ns.txt", []string{"ns"}},
		{"ns-ipc-deep.txt", []string{"ns", "--type", "ipc,uts", "--deep"}},
		{"ns.json", []string{"ns", "--type", "ipc", "-f", "json"}},
		{"ns.ndjson", []string{"ns", "-t", "ipc", "--deep", "-f", "ndjson"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, stderr, code := nsi(t, append(c.args, "--proc", dir)...)
			if code != 0 || stderr != "" {
				t.Errorf("exit code %d; stderr %q", code, stderr)
			}
			if strings.Contains(out, "\x1b") {
				t.Errorf("an escape sequence in %q", out)
			}
			golden(t, c.name, steady(out, dir))
		})
	}
}

func TestNamespacesNDJSON(t *testing.T) {
	out, _, _ := nsi(t, "ns", "-f", "ndjson", "--proc", proctest.Build(t, pinned))
	seen := map[string]int{}
	for line := range bytes.Lines([]byte(out)) {
		var head struct {
			Record, Schema string
			Inode          uint64
			Namespaces     []any
		}
		if err := json.Unmarshal(line, &head); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		seen[head.Record]++
		if (head.Record == "scan") != (head.Schema == report.NamespacesSchema) || (head.Record == "namespace") != (head.Inode != 0) || head.Namespaces != nil {
			t.Errorf("unexpected line %s", line)
		}
	}
	if seen["scan"] != 1 || seen["namespace"] < 10 || len(seen) != 2 {
		t.Errorf("got %v", seen)
	}
}

func TestNamespaceTypesAreChecked(t *testing.T) {
	out, stderr, code := nsi(t, "ns", "--type", "ipc,pids", "--proc", proctest.Build(t, pinned))
	if code != 2 || out != "" || !strings.Contains(stderr, "pids") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, out, stderr)
	}
}
