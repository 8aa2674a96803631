package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Two containers of a tree: one in the host's IPC namespace, the other apart.
const (
	exposedID = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	apartID   = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

	twoContainers = `
1 comm=systemd cgroup=0::/init.scope root=host
2 comm=kthreadd ppid=0 kthread=1
99 comm=containerd-shim cmdline="/usr/bin/containerd-shim-runc-v2 -namespace moby -id ` + exposedID + ` -address /run/x.sock" cgroup=0::/system.slice/containerd.service cwd=/run/bundle
100 comm=exposed ppid=99 pid=4026532102 mnt=4026532103 cgroup=0::/docker/` + exposedID + `
200 comm=apart ppid=1 ipc=4026532201 pid=4026532202 mnt=4026532203 cgroup=0::/docker/` + apartID + `
201 comm=apart ppid=200 ipc=4026532201 pid=4026532202 mnt=4026532203 cgroup=0::/docker/` + apartID + `
-- uptime --
1000.00 1000.00
-- roots/host/run/bundle/config.json --
{"ociVersion": "1.0.2", "root": {"path": "/var/lib/docker/overlay2/x/merged"}}
-- roots/host/var/lib/docker/containers/` + exposedID + `/config.v2.json --
{"ID": "` + exposedID + `", "Name": "/web"}
`
)

// truth is what holds for containers, by their id. A report may know less.
type truth map[string]struct{ ipc, pid report.State }

var twoTruths = truth{
	exposedID: {report.StateHost, report.StatePrivate},
	apartID:   {report.StatePrivate, report.StatePrivate},
}

// lies returns what a report says of containers that is not so.
func (tr truth) lies(r *report.Report) []string {
	var lies []string
	for _, c := range r.Containers {
		want, known := tr[c.ID]
		if !known {
			continue
		}
		if c.IPC.State != want.ipc && c.IPC.State != report.StateUnknown {
			lies = append(lies, fmt.Sprintf("%s: ipc is %s, not %s", c.Ref, want.ipc, c.IPC.State))
		}
		if c.PID.State != want.pid && c.PID.State != report.StateUnknown {
			lies = append(lies, fmt.Sprintf("%s: pid is %s, not %s", c.Ref, want.pid, c.PID.State))
		}
	}
	return lies
}

// found returns a container of a report, nil when it is not in it.
func found(r *report.Report, id string) *report.Container {
	for i := range r.Containers {
		if r.Containers[i].ID == id {
			return &r.Containers[i]
		}
	}
	return nil
}

// hang is when a scan is taken for one that does not end.
const hang = time.Minute

// inspect scans a tree in this process.
func inspect(t *testing.T, dir string) (*report.Report, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	type result struct {
		r   *report.Report
		err error
	}
	c := make(chan result, 1)
	go func() {
		r, err := nsinspect.Inspect(ctx, nsinspect.Source{Proc: dir, AnyTree: true}, nsinspect.Options{})
		c <- result{r, err}
	}()
	select {
	case x := <-c:
		return x.r, x.err
	case <-time.After(hang):
		t.Fatal("the scan did not end")
		return nil, nil
	}
}

// replacements are what somebody puts where a file of a process should be.
func replacements(t *testing.T) map[string]func(path string) error {
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, bytes.Repeat([]byte("x"), 100<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	write := func(content []byte) func(string) error {
		return func(path string) error { return os.WriteFile(path, content, 0o644) }
	}
	link := func(target string) func(string) error {
		return func(path string) error { return os.Symlink(target, path) }
	}
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	return map[string]func(string) error{
		"nothing":                     func(string) error { return nil },
		"an empty file":               write(nil),
		"a directory":                 func(path string) error { return os.Mkdir(path, 0o755) },
		"a FIFO":                      func(path string) error { return unix.Mkfifo(path, 0o666) },
		"a socket":                    func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o666, 0) },
		"an endless device":           func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"a link to an endless device": link("/dev/zero"),
		"a line of 100 MiB":           func(path string) error { return os.Link(long, path) },
		"random bytes":                write(noise),
		"zeros":                       write(make([]byte, 4096)),
		"numbers out of range":        write([]byte(strings.Repeat("99999999999999999999999 -1 ", 64) + "\n")),
		"a dangling link":             link("nowhere"),
		"a link to itself":            func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"a link to another's":         link("../200/cgroup"),
		"a link with a long name":     link(strings.Repeat("ipc:[4026532201]", 200)),
		"a link to no inode":          link("ipc:[18446744073709551616]"),
		"a link of another kind":      link("net:[4026532201]"),
	}
}

// paths of a tree that are worth replacing, those of all processes but the second container's.
func paths(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		top, rest, _ := strings.Cut(name, "/")
		switch {
		case name == ".":
		case slices.Contains([]string{"links", "200", "201"}, top), strings.HasPrefix(rest, "task/"):
			if e.IsDir() {
				return fs.SkipDir
			}
		default:
			list = append(list, name)
		}
		return nil
	})
	if err != nil || len(list) < 60 {
		t.Fatalf("%d files, %v", len(list), err)
	}
	return list
}

// decisive are the files that tell of the exposed container that it is one, and exposed.
var decisive = []string{"100", "100/ns", "100/ns/ipc", "100/cgroup"}

// TestReplacedFiles: each file of a tree is replaced by each of what it should not be. The scan ends, tells
// no lie, and does not exit as if there were nothing to find.
func TestReplacedFiles(t *testing.T) {
	dir := proctest.Build(t, twoContainers)
	replacements := replacements(t)
	if r, err := inspect(t, dir); err != nil || len(twoTruths.lies(r)) > 0 || audit.ExitCode(r, "medium") != 1 || !r.Coverage.Complete {
		t.Fatalf("the whole tree: %v, %+v", err, r)
	}
	before := descriptors(t)
	aside := filepath.Join(t.TempDir(), "aside")
	scans := 0
	for _, name := range paths(t, dir) {
		path := filepath.Join(dir, name)
		if err := os.Rename(path, aside); err != nil {
			t.Fatal(err)
		}
		for what, replace := range replacements {
			story := name + ": " + what
			if err := replace(path); err != nil {
				if errors.Is(err, unix.EPERM) {
					continue // a device, and we are not root
				}
				t.Fatalf("%s: %v", story, err)
			}
			scans++
			r, err := inspect(t, dir)
			switch {
			case errors.Is(err, context.DeadlineExceeded):
				t.Errorf("%s: the scan ended with its context: %v", story, err)
			case err != nil:
				// Nothing useful could be read: exit code 2.
			default:
				for _, lie := range twoTruths.lies(r) {
					t.Errorf("%s: %s", story, lie)
				}
				code := audit.ExitCode(r, "medium")
				if code == 0 && (what != "nothing" || name != "100") { // no such process, no container
					t.Errorf("%s: exit code 0", story)
				}
				if slices.Contains(decisive, name) && r.Coverage.Complete && what != "nothing" {
					t.Errorf("%s: no gap", story)
				}
				if _, err := json.Marshal(r); err != nil {
					t.Errorf("%s: %v", story, err)
				}
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(aside, path); err != nil {
			t.Fatal(err)
		}
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	t.Logf("%d scans of a tree with one file replaced", scans)
}

// memoryLimit is what a scan may take at most for the sake of one file, in KiB. The largest that is read, a list
// of IPC objects, may have 64 MiB.
const memoryLimit = 192 << 10

// TestMemoryIsBounded: the same with the binary itself, for what has no end.
func TestMemoryIsBounded(t *testing.T) {
	dir := proctest.Build(t, twoContainers)
	replacements := replacements(t)
	program := binary(t)
	aside := filepath.Join(t.TempDir(), "aside")
	var most int64
	var where string
	scans := 0
	for _, name := range []string{"100/cgroup", "100/stat", "100/status", "100/cmdline", "100/comm", "100/maps", "100/mountinfo", "1/mountinfo", "100/ns/ipc",
		"sysvipc/shm", "sysvipc/sem", "sysvipc/msg", "sys/kernel/hostname", "uptime"} {
		path := filepath.Join(dir, name)
		if err := os.Rename(path, aside); err != nil {
			t.Fatal(err)
		}
		for _, what := range []string{"a line of 100 MiB", "an endless device", "a link to an endless device"} {
			if err := replacements[what](path); err != nil {
				continue
			}
			story := name + ": " + what
			scans++
			out, code, used := measure(t, program, "--proc", dir, "-f", "json")
			if code != 1 && code != 3 && code != 2 {
				t.Errorf("%s: exit code %d", story, code)
			}
			var r report.Report
			if code != 2 {
				if err := json.Unmarshal(out, &r); err != nil {
					t.Errorf("%s: %v", story, err)
				}
				for _, lie := range twoTruths.lies(&r) {
					t.Errorf("%s: %s", story, lie)
				}
			}
			if used > most {
				most, where = used, story
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(aside, path); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d scans, at most %d MiB resident (%s)", scans, most>>10, where)
	if most > memoryLimit {
		t.Errorf("%d KiB resident, of %s", most, where)
	}
}

// measure runs a program, and returns what it printed, its exit code and the KiB that it had resident at most. The kernel
// counts what the caller of exec had (fs/exec.c, exec_mmap), and so it is called by a process that has little.
func measure(t *testing.T, args ...string) (out []byte, code int, resident int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), partVariable+"=measure")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, stderr.String())
	}
	last := stderr.String()
	last = last[strings.LastIndex(last, "measured "):]
	if _, err := fmt.Sscanf(last, "measured %d %d", &code, &resident); err != nil {
		t.Fatalf("%q: %v", last, err)
	}
	return stdout.Bytes(), code, resident
}

// measured is the part of measure that runs the program.
func measured(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, partVariable+"=") })
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); cmd.ProcessState == nil {
		return err
	}
	_, err := fmt.Fprintf(os.Stderr, "measured %d %d\n", cmd.ProcessState.ExitCode(), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	return err
}

// replaceable are the files that decide nothing, or that others answer for: any process
// of the host's shows its root and mounts, and PID 1 and the constants are there besides kthreadd.
var replaceable = []string{"1/root", "1/mountinfo", "2/stat", "sys/kernel/hostname", "sys/kernel/osrelease", "sys/kernel/random/boot_id", "uptime"}

// TestFailingFiles: each file answers with an error, at once or in the middle of its answer.
func TestFailingFiles(t *testing.T) {
	root(t)
	dir := t.TempDir()
	f := proctest.MountFUSE(t, dir)
	source := proctest.Build(t, twoContainers)
	if err := f.Mirror(source); err != nil {
		t.Fatal(err)
	}
	if r, err := inspect(t, dir); err != nil || len(twoTruths.lies(r)) > 0 || audit.ExitCode(r, "medium") != 1 || !r.Coverage.Complete {
		t.Fatalf("the whole tree: %v, %+v", err, r)
	}
	scans := 0
	for _, name := range paths(t, source) {
		if info, err := os.Lstat(filepath.Join(source, name)); err != nil || info.IsDir() {
			continue
		}
		for _, errno := range []syscall.Errno{unix.EIO, unix.ESRCH, unix.EACCES, unix.EINTR, unix.ENOMEM} {
			for _, always := range []bool{false, true} {
				asked := f.Count(name)
				f.Change(name, func(n *proctest.FUSENode) { n.Errno, n.Always = errno, always })
				scans++
				story := fmt.Sprintf("%s: %v, at once: %t", name, errno, always)
				r, err := inspect(t, dir)
				f.Change(name, func(n *proctest.FUSENode) { n.Errno = 0 })
				if err != nil {
					if errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s: %v", story, err)
					}
					continue
				}
				for _, lie := range twoTruths.lies(r) {
					t.Errorf("%s: %s", story, lie)
				}
				// ESRCH says that the process has ended, and the container with it.
				ended := errno == unix.ESRCH && strings.HasPrefix(name, "100/")
				if audit.ExitCode(r, "medium") == 0 && !ended {
					t.Errorf("%s: exit code 0", story)
				}
				if f.Count(name) > asked && r.Coverage.Complete && !ended && r.Coverage.Vanished == 0 && !slices.Contains(replaceable, name) {
					t.Errorf("%s: no gap", story)
				}
			}
		}
		// And a file without an end.
		scans++
		f.Change(name, func(n *proctest.FUSENode) { n.Flood = true })
		if r, err := inspect(t, dir); err == nil {
			for _, lie := range twoTruths.lies(r) {
				t.Errorf("%s without an end: %s", name, lie)
			}
		}
		f.Change(name, func(n *proctest.FUSENode) { n.Flood = false })
	}
	t.Logf("%d scans of a tree with one file that fails", scans)
}
