package engines

import (
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// nsinspect reads a host from inside a container of that host.
func TestReaderInContainer(t *testing.T) {
	l := newLab(t, "reader in a container", "/usr/sbin/dockerd", "/usr/bin/docker")
	d := startDocker(l)
	bin, err := nsinspect()
	if err != nil {
		t.Fatal(err)
	}
	d.start("no-option")
	d.start("ipc-host", "--ipc=host")
	d.start("pid-host", "--pid=host")
	d.start("ipc-shareable", "--ipc=shareable")
	d.start("ipc-joined", "--ipc=container:ipc-shareable")
	all := d.containers()

	const at = "/nsinspect"
	privileged := []string{"--privileged"}
	if _, err := d.tryPrivileged("probe", nil, imageName, payload); err != nil {
		t.Fatal(err)
	}
	if d.must("inspect", "-f", "{{.HostConfig.Runtime}}", "probe") == boundedRuntime {
		privileged = append(privileged, "--runtime", boundedRuntime)
	}
	d.must("rm", "-f", "probe")

	read := func(t *testing.T, flags []string, args ...string) (*report.Report, int) {
		t.Helper()
		out, err := d.try(slices.Concat([]string{"run", "--rm", "--net=none", "-v", bin + ":" + at + ":ro"}, flags,
			[]string{imageName, at, "-f", "json"}, args)...)
		code := 0
		if e := (*exec.ExitError)(nil); errors.As(err, &e) {
			code = e.ExitCode()
		}
		r := new(report.Report)
		if e := json.Unmarshal([]byte(out), r); e != nil {
			t.Fatalf("no report: %v %v", e, err)
		}
		return r, code
	}
	// others than itself
	same := func(t *testing.T, r *report.Report) {
		t.Helper()
		for _, c := range all {
			checkContainer(t, r, all, c)
		}
	}
	t.Run("with the host's PID namespace", func(t *testing.T) {
		r, code := read(t, append(privileged, "--pid=host"))
		same(t, r)
		self(t, r)
		if code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
	})
	t.Run("with the host's PID namespace and a cgroup namespace of its own", func(t *testing.T) {
		r, _ := read(t, append(privileged, "--pid=host", "--cgroupns=private"))
		same(t, r)
		self(t, r)
	})
	t.Run("with the host's proc at another place", func(t *testing.T) {
		r, code := read(t, append(privileged, "-v", "/proc:/host/proc:ro"), "--proc", "/host/proc")
		same(t, r)
		if code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
	})
	t.Run("without rights", func(t *testing.T) {
		r, code := read(t, []string{"--pid=host", "--user=1000:1000"})
		if code != 1 && code != 3 {
			t.Errorf("exit code %d, though next to nothing can be read", code)
		}
		if r.Coverage.Complete {
			t.Error("says that it read everything")
		}
		for _, c := range all {
			got := find(r, c.runtime, c.id)
			if got == nil {
				t.Errorf("%s (%s) is missing", c.ref(), c.story)
				continue
			}
			if c.ipc == host && got.IPC.State != report.StateHost && got.IPC.State != report.StateUnknown ||
				c.pid == host && got.PID.State != report.StateHost && got.PID.State != report.StateUnknown {
				t.Errorf("%s (%s): ipc %s, pid %s", c.ref(), c.story, got.IPC.State, got.PID.State)
			}
		}
	})
	t.Run("with a proc of its own", func(t *testing.T) {
		r, code := read(t, nil)
		if code != 3 && code != 1 {
			t.Errorf("exit code %d: it cannot see the host, and a clean report would be taken for one of the host", code)
		}
		if r.Baseline.Initial {
			t.Errorf("takes its own namespaces for the kernel's initial ones: %+v", r.Baseline)
		}
		if r.Baseline.Note == "" {
			t.Errorf("does not say what it compared with: %+v", r.Baseline)
		}
	})
}

// self checks that nsinspect knows which container it is in itself.
func self(t *testing.T, r *report.Report) {
	t.Helper()
	n := 0
	for _, c := range r.Containers {
		if c.Self {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d containers are marked as its own, it runs in one", n)
	}
}
