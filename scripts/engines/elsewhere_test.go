package engines

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// A container of an OCI runtime whose state directory is nobody's but the test's, whose cgroup has any name, and which
// has no process of its runtime left: only what is mounted for it tells that it is one.
func TestRuncElsewhere(t *testing.T) { testElsewhere(t, "runc", "") }

func TestCrunElsewhere(t *testing.T) { testElsewhere(t, "crun", legacyCgroups) }

func testElsewhere(t *testing.T, runtime, mounts string) {
	l := newLab(t, runtime+" with a state of its own", runtime)
	if mounts != "" {
		l.privateMounts(mounts)
	}
	l.rootfs("bundle/rootfs")
	inits := map[string]int{}
	for _, c := range []struct {
		name    string
		dropped []string // namespaces that it has not got of its own
		bare    bool     // as privileged ones are: nothing is covered
	}{
		{"host-ipc", []string{"ipc"}, false}, {"host-pid", []string{"pid"}, false}, {"privileged", []string{"ipc", "pid"}, true}, {"private", nil, false},
	} {
		os.Remove(l.path("bundle/config.json"))
		l.run(runtime, "spec", "-b", l.path("bundle"))
		var config map[string]any
		b, err := os.ReadFile(l.path("bundle/config.json"))
		if err == nil {
			err = json.Unmarshal(b, &config)
		}
		if err != nil {
			t.Fatal(err)
		}
		process, linux := config["process"].(map[string]any), config["linux"].(map[string]any)
		process["terminal"], process["args"] = false, payload
		linux["cgroupsPath"] = "/nsi-any/" + c.name
		linux["namespaces"] = slices.DeleteFunc(linux["namespaces"].([]any), func(n any) bool {
			kind, _ := n.(map[string]any)["type"].(string)
			return slices.Contains(c.dropped, kind) || kind == "cgroup"
		})
		if c.bare {
			delete(linux, "maskedPaths")
			delete(linux, "readonlyPaths")
		}
		l.write("bundle/config.json", string(l.json(config)))
		id := fmt.Sprintf("nsi-%d-%s", os.Getpid(), c.name)
		if _, err := l.try(runtime, "--root", l.path("state"), "run", "-d", "-b", l.path("bundle"), id); err != nil {
			l.Skipf("%s cannot run a container on this machine: %v", runtime, err)
		}
		l.Cleanup(func() {
			if _, err := l.try(runtime, "--root", l.path("state"), "delete", "-f", id); err != nil {
				l.Errorf("%s: deleting %s: %v", runtime, id, err)
			}
		})
		var state struct{ Pid int }
		l.decode(&state, runtime, "--root", l.path("state"), "state", id)
		inits[c.name] = state.Pid
	}
	r, _ := l.scan()
	for name, want := range map[string][2]report.State{
		"host-ipc":   {report.StateHost, report.StatePrivate},
		"host-pid":   {report.StatePrivate, report.StateHost},
		"privileged": {report.StateHost, report.StateHost},
	} {
		i := slices.IndexFunc(r.Containers, func(c report.Container) bool { return slices.Contains(c.PIDs, inits[name]) })
		if i < 0 {
			t.Errorf("%s: missed\n%s", name, describe(inits[name]))
			continue
		}
		if c := r.Containers[i]; c.Runtime != "unknown" || c.Init != inits[name] || !c.Exposed || c.IPC.State != want[0] || c.PID.State != want[1] {
			t.Errorf("%s: %+v, want %v", name, c, want)
		}
	}
	if !slices.ContainsFunc(r.Sandboxes, func(s report.Sandbox) bool { return s.Leader == inits["private"] }) {
		t.Errorf("the one that shares nothing is no sandbox\n%s", describe(inits["private"]))
	}
}
