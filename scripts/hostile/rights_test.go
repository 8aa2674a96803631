package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// setting is somewhere that nsinspect may be started, with fewer rights than it would like.
type setting struct {
	story string
	// prefix is what starts it there; PROGRAM stands for the test binary, and %NAME% for a process of the scene.
	prefix []string
	// mounts is a script for a mount namespace of its own, run before.
	mounts string
	uid    uint32
	part   string // of the test binary, instead of prefix
	// all: nothing that decides is missing, so that everything has to be right.
	all bool
	// code is the exit code on a host with these containers and no others.
	code int
}

const defaultCaps = "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"

func bounded(caps string) []string { return []string{"setpriv", "--bounding-set=" + caps, "--"} }

var settings = []setting{
	{story: "root", all: true, code: 1},
	{story: "nobody", uid: 65534, code: 3},
	{story: "nobody, hidepid=1", uid: 65534, mounts: "mount -t proc -o hidepid=1 proc /proc", code: 3},
	{story: "nobody, hidepid=2", uid: 65534, mounts: "mount -t proc -o hidepid=2 proc /proc", code: 3},
	{story: "nobody, hidepid=4", uid: 65534, mounts: "mount -t proc -o hidepid=4 proc /proc", code: 3},
	{story: "root, hidepid=2", mounts: "mount -t proc -o hidepid=2 proc /proc", all: true, code: 1},
	{story: "root without CAP_SYS_PTRACE, hidepid=2", mounts: "mount -t proc -o hidepid=2 proc /proc", prefix: bounded("-sys_ptrace"), code: 3},
	{story: "root without CAP_SYS_PTRACE, hidepid=4", mounts: "mount -t proc -o hidepid=4 proc /proc", prefix: bounded("-sys_ptrace"), code: 3},
	{story: "subset=pid", mounts: "mount -t proc -o subset=pid proc /proc", all: true, code: 1},
	{story: "without CAP_SYS_PTRACE", prefix: bounded("-sys_ptrace"), code: 3},
	{story: "without CAP_SYS_ADMIN", prefix: bounded("-sys_admin"), all: true, code: 1},
	{story: "without CAP_DAC_READ_SEARCH", prefix: bounded("-dac_read_search"), all: true, code: 1},
	{story: "without any capability", prefix: bounded("-all"), code: 3},
	{story: "in a container with the host's PID namespace", prefix: []string{"unshare", "--mount", "--ipc", "--net", "--uts", "--cgroup", "--", "setpriv", "--bounding-set=" + defaultCaps, "--"}, code: 3},
	{story: "in a privileged container with the host's PID namespace", prefix: []string{"unshare", "--mount", "--ipc", "--net", "--uts", "--cgroup", "--"}, code: 1},
	{story: "in a container", prefix: []string{"unshare", "--mount", "--ipc", "--net", "--uts", "--cgroup", "--pid", "--fork", "--mount-proc", "--", "setpriv", "--bounding-set=" + defaultCaps, "--"}, code: 3},
	{story: "in a PID namespace with the host's /proc", prefix: []string{"unshare", "--pid", "--fork", "--"}, code: 1},
	{story: "in a user namespace", prefix: []string{"unshare", "--user", "--map-root-user", "--"}, code: 3},
	{story: "in user and PID namespaces with a /proc of their own", prefix: []string{"unshare", "--user", "--map-root-user", "--pid", "--mount", "--fork", "--mount-proc", "--"}, code: 3},
	{story: "a read-only /proc", mounts: "mount --bind /proc /proc && mount -o remount,bind,ro /proc", all: true, code: 1},
	{story: "without /proc/sysvipc and /proc/sys", mounts: "mount -t tmpfs none /proc/sysvipc && mount -t tmpfs none /proc/sys", all: true, code: 1},
	{story: "a masked process", mounts: "mount -t tmpfs none /proc/%hostIPC% && mount -t tmpfs none /proc/%hostPID%", code: 3},
	{story: "a masked cgroup file", mounts: "mount --bind /dev/null /proc/%hostIPC%/cgroup && mount --bind /dev/null /proc/%hostPID%/cgroup", code: 3},
	{story: "masked stat and status files", mounts: "mount --bind /dev/null /proc/%hostIPC%/stat && mount --bind /dev/null /proc/%hostPID%/status", code: 1},
	{story: "masked namespaces", mounts: "mount -t tmpfs none /proc/%hostIPC%/ns && mount -t tmpfs none /proc/%hostPID%/ns", code: 1},
	{story: "kthreadd's directory over that of a process", mounts: "mount --bind /proc/2 /proc/%hostIPC% && mount --bind /proc/2 /proc/%hostPID%", code: 3},
	{story: "kthreadd's cgroup file over that of a process", mounts: "mount --bind /proc/2/cgroup /proc/%hostIPC%/cgroup && mount --bind /proc/2/cgroup /proc/%hostPID%/cgroup", code: 3},
	{story: "kthreadd's stat file over that of a process", mounts: "mount --bind /proc/2/stat /proc/%hostIPC%/stat && mount --bind /proc/2/stat /proc/%hostPID%/stat", code: 1},
	{story: "a private container's namespaces over those of a process", mounts: "mount --bind /proc/%private%/ns /proc/%hostIPC%/ns && mount --bind /proc/%private%/ns /proc/%hostPID%/ns", code: 1},
	{story: "kthreadd's namespaces are masked", mounts: "mount -t tmpfs none /proc/2/ns", all: true, code: 1},
	{story: "an empty directory for /proc", mounts: "mount -t tmpfs none /proc", code: 2},
	{story: "setns refused with EPERM", part: "refuse setns EPERM", all: true, code: 1},
	{story: "setns refused with ENOSYS", part: "refuse setns ENOSYS", all: true, code: 1},
	{story: "fsopen refused with EPERM", part: "refuse fsopen EPERM", all: true, code: 1},
	{story: "fsopen refused with ENOSYS", part: "refuse fsopen ENOSYS", all: true, code: 1},
	{story: "openat2 refused with EPERM", part: "refuse openat2 EPERM", all: true, code: 1},
	{story: "openat2 refused with ENOSYS", part: "refuse openat2 ENOSYS", all: true, code: 1},
	{story: "unshare refused with EPERM", part: "refuse unshare EPERM", all: true, code: 1},
	{story: "seccomp refused with EPERM", part: "refuse seccomp EPERM", all: true, code: 1},
	{story: "seccomp refused with ENOSYS", part: "refuse seccomp ENOSYS", all: true, code: 1},
	{story: "capset refused with EPERM", part: "refuse capset EPERM", all: true, code: 1},
	{story: "prctl refused with EPERM", part: "refuse prctl EPERM", all: true, code: 1},
	{story: "readlinkat refused with EACCES", part: "refuse readlinkat EACCES", code: 3},
	{story: "fstatfs refused with ENOSYS", part: "refuse statfs ENOSYS", code: 2},
	{story: "faccessat2 refused with ENOSYS", part: "refuse faccessat2 ENOSYS", all: true, code: 1},
}

// TestRights: with whatever rights, the containers that are exposed are reported as such or as unknown, and
// where they are not seen the exit code does not say that nothing was found.
func TestRights(t *testing.T) {
	s := newScene(t)
	program := binary(t)
	t.Logf("%d containers, %d settings", len(s.truth), len(settings))
	for _, st := range settings {
		commands := []string{"scan"}
		if st.part == "" {
			commands = append(commands, "scan --deep")
		}
		if st.uid != 0 {
			commands = append(commands, "ps")
		}
		for _, command := range commands {
			t.Run(st.story+"/"+command, func(t *testing.T) {
				out, stderr, code := s.run(t, st, append([]string{program}, strings.Fields(command+" -f json")...))
				if strings.Contains(stderr, "panic:") || strings.Contains(stderr, "goroutine ") || code < 0 || code > 3 {
					t.Fatalf("exit code %d: %s", code, stderr)
				}
				if code == 2 {
					if st.code != 2 || len(out) > 0 || !strings.HasPrefix(stderr, "nsinspect: ") {
						t.Errorf("exit code 2, stdout %q, stderr %q", out, stderr)
					}
					t.Logf("exit code 2: %s", strings.TrimSpace(stderr))
					return
				}
				if command == "ps" {
					var list report.Processes
					if err := json.Unmarshal(out, &list); err != nil {
						t.Errorf("%v: %s", err, out)
					}
					if want := audit.CodeOf(audit.DoubtsOfProcesses(&list)); code != want || code != st.code {
						t.Errorf("exit code %d, want %d, and %d by the list", code, st.code, want)
					}
					return
				}
				var r report.Report
				if err := json.Unmarshal(out, &r); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				s.judge(t, st, &r, code)
			})
		}
	}
}

// judge compares a report with the truth.
func (s *scene) judge(t *testing.T, st setting, r *report.Report, code int) {
	t.Helper()
	for _, lie := range s.truth.lies(r) {
		if !r.Baseline.Initial && !strings.Contains(lie, "is private") {
			continue // relative to another PID 1, which the report says
		}
		t.Errorf("baseline %+v: %s", r.Baseline, lie)
	}
	reported := 0
	for _, id := range []string{s.hostIPC, s.hostPID} {
		if c := found(r, id); c != nil && c.Exposed {
			reported++
		}
	}
	if reported < 2 && len(audit.Doubts(r)) == 0 {
		t.Errorf("two containers are exposed, %d are reported, and there is no doubt; coverage %+v", reported, r.Coverage)
	}
	if code == 0 || code == 3 && reported > 0 {
		t.Errorf("exit code %d with %d exposed containers reported", code, reported)
	}
	seen := 0
	for id, want := range s.truth {
		c := found(r, id)
		if c == nil {
			if st.all {
				t.Errorf("the container of %d is not there", s.processes[id])
			}
			continue
		}
		seen++
		if st.all && (c.IPC.State != want.ipc || c.PID.State != want.pid) {
			t.Errorf("the container of %d: ipc %s, pid %s, want %s and %s", s.processes[id], c.IPC.State, c.PID.State, want.ipc, want.pid)
		}
	}
	if seen < len(s.truth) && r.Coverage.Complete && r.Baseline.Trusted {
		t.Errorf("%d of %d containers, and no gap", seen, len(s.truth))
	}
	if want := audit.ExitCode(r, "medium"); code != want {
		t.Errorf("exit code %d, and %d by the report", code, want)
	}
	// What else is on this host may be exposed, too.
	own := *r
	own.Findings = slices.DeleteFunc(slices.Clone(r.Findings), func(f report.Finding) bool {
		_, id, _ := strings.Cut(f.Subject, ":")
		_, ok := s.truth[id]
		return !ok
	})
	if got := audit.ExitCode(&own, "medium"); got != st.code {
		t.Errorf("the exit code would be %d without other containers, want %d; gaps %+v", got, st.code, r.Coverage.Gaps)
	}
	t.Logf("exit code %d, %d of %d containers, %d gaps, baseline %s trusted %t", code, seen, len(s.truth), len(r.Coverage.Gaps), r.Baseline.From, r.Baseline.Trusted)
}

// run starts the program in a setting.
func (s *scene) run(t *testing.T, st setting, args []string) (stdout []byte, stderr string, code int) {
	t.Helper()
	number := strings.NewReplacer("%hostIPC%", fmt.Sprint(s.processes[s.hostIPC]), "%hostPID%", fmt.Sprint(s.processes[s.hostPID]), "%private%", fmt.Sprint(s.processes[s.private]))
	env := os.Environ()
	switch {
	case st.part != "":
		args = append([]string{"/proc/self/exe"}, args...)
		env = append(env, partVariable+"="+st.part)
	case st.prefix != nil:
		args = append(append([]string{}, st.prefix...), args...)
	}
	if st.uid != 0 {
		args = append([]string{"setpriv", "--reuid", fmt.Sprint(st.uid), "--regid", fmt.Sprint(st.uid), "--clear-groups", "--"}, args...)
	}
	if st.mounts != "" {
		script := number.Replace(st.mounts) + ` || exit 77; exec "$@"`
		args = append([]string{"unshare", "--mount", "--", "sh", "-c", script, "sh"}, args...)
	}
	if args[0] == "/proc/self/exe" {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		args[0] = exe
	}
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Skip(err)
	}
	if ctx.Err() != nil {
		t.Fatal("it did not end")
	}
	code = cmd.ProcessState.ExitCode()
	if code == 77 || code == 125 || code == 1 && (strings.Contains(errs.String(), "unshare: ") || strings.Contains(errs.String(), "setpriv: ")) {
		t.Skipf("this setting cannot be made here: %s", strings.TrimSpace(errs.String()))
	}
	return out.Bytes(), errs.String(), code
}
