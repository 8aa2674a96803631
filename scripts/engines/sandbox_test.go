package engines

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// box is a process that somebody put in a box without any container engine.
type box struct {
	story    string
	pid      int
	ipc, pns report.State
	ownRoot  bool
	listed   bool // it is a sandbox; if not, the report must not call it one
}

// put starts a command that runs the payload and waits for that.
func (l *lab) put(story string, args ...string) int {
	l.Helper()
	d := l.sleeper(strings.ReplaceAll(story, " ", "-"), append(args, payload...)...)
	var pid int
	d.ready(l, func() error {
		for _, p := range append(descendants(d.pid), d.pid) {
			cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p))
			if string(cmdline) == strings.Join(payload, "\x00")+"\x00" {
				pid = p
				return nil
			}
		}
		return fmt.Errorf("no %s yet", payload[0])
	})
	return pid
}

func TestBubblewrap(t *testing.T) {
	l := newLab(t, "bubblewrap", "bwrap")
	root := l.rootfs("rootfs")
	bwrap := func(flags ...string) []string {
		return slices.Concat([]string{"bwrap", "--bind", root, "/", "--proc", "/proc", "--dev", "/dev"}, flags)
	}
	if _, err := l.try(append(bwrap("--unshare-pid"), "/bin/true")...); err != nil {
		l.Skipf("bubblewrap cannot run on this machine: %v", err)
	}
	const private, atHost = report.StatePrivate, report.StateHost
	boxes := []box{
		{story: "everything unshared", pid: l.put("everything unshared", bwrap("--unshare-all")...), ipc: private, pns: private, ownRoot: true, listed: true},
		{story: "ipc shared", pid: l.put("ipc shared", bwrap("--unshare-pid")...), ipc: atHost, pns: private, ownRoot: true, listed: true},
		{story: "pid shared", pid: l.put("pid shared", bwrap("--unshare-ipc")...), ipc: private, pns: atHost, ownRoot: true, listed: true},
		{story: "only a root of its own", pid: l.put("only a root of its own", bwrap()...), ipc: atHost, pns: atHost, ownRoot: true, listed: true},
	}
	r, _ := l.scan()
	checkBoxes(t, r, boxes)
}

func TestUnshare(t *testing.T) {
	l := newLab(t, "unshare", "unshare", "chroot")
	root := l.rootfs("rootfs")
	const private, atHost = report.StatePrivate, report.StateHost
	boxes := []box{
		{story: "ipc unshared", pid: l.put("ipc unshared", "unshare", "--ipc"), ipc: private, pns: atHost, listed: true},
		{story: "pid unshared", pid: l.put("pid unshared", "unshare", "--pid", "--fork"), ipc: atHost, pns: private, listed: true},
		{story: "both unshared", pid: l.put("both unshared", "unshare", "--ipc", "--pid", "--fork"), ipc: private, pns: private, listed: true},
		{story: "another root", pid: l.put("another root", "unshare", "--mount", "chroot", root), ipc: atHost, pns: atHost, ownRoot: true, listed: true},
		{story: "another root and both unshared", pid: l.put("another root and both unshared", "unshare", "--mount", "--ipc", "--pid", "--fork", "chroot", root),
			ipc: private, pns: private, ownRoot: true, listed: true},
		{story: "mounts unshared, as PrivateTmp= does", pid: l.put("mounts unshared", "unshare", "--mount"), ipc: atHost, pns: atHost},
		{story: "nothing unshared", pid: l.put("nothing unshared", "env"), ipc: atHost, pns: atHost},
	}
	r, _ := l.scan()
	checkBoxes(t, r, boxes)
}

// checkBoxes holds the report's sandboxes against how they were made.
func checkBoxes(t *testing.T, r *report.Report, boxes []box) {
	t.Helper()
	for i := range r.Containers {
		for _, b := range boxes {
			if slices.Contains(r.Containers[i].PIDs, b.pid) {
				t.Errorf("%s: called the container %s", b.story, r.Containers[i].Ref)
			}
		}
	}
	for _, b := range boxes {
		i := slices.IndexFunc(r.Sandboxes, func(s report.Sandbox) bool { return slices.Contains(s.PIDs, b.pid) })
		if i < 0 {
			if b.listed {
				t.Errorf("%s: missed\n%s", b.story, describe(b.pid))
			}
			continue
		}
		s := r.Sandboxes[i]
		if !b.listed {
			t.Errorf("%s: called a sandbox: %+v", b.story, s)
			continue
		}
		if s.IPC.State != b.ipc || s.PID.State != b.pns || s.OwnRoot != b.ownRoot {
			t.Errorf("%s: ipc %s, pid %s, own root %v; want %s, %s, %v", b.story, s.IPC.State, s.PID.State, s.OwnRoot, b.ipc, b.pns, b.ownRoot)
		}
		hole := b.ownRoot && (b.ipc == report.StateHost || b.pns == report.StateHost)
		found := slices.ContainsFunc(r.Findings, func(f report.Finding) bool {
			return f.Rule == "sandbox-host-ns" && mentions(f, s)
		})
		if found != hole {
			t.Errorf("%s: finding sandbox-host-ns: %v, want %v", b.story, found, hole)
		}
	}
}

// mentions tells whether a finding is about a sandbox: its subject ends in the
// leader's number.
func mentions(f report.Finding, s report.Sandbox) bool {
	return f.Subject == fmt.Sprint(s.Leader) || strings.HasSuffix(f.Subject, fmt.Sprintf(":%d", s.Leader)) || strings.HasSuffix(f.Subject, fmt.Sprintf(" %d", s.Leader))
}
