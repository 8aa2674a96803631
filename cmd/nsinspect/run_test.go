package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// host is a fake /proc in the shape of a server with docker, podman, LXC and a
// sandboxed service on it.
const host = `
1 comm=systemd cgroup=0::/init.scope root=host
2 comm=kthreadd ppid=0 kthread=1
700 comm=containerd cgroup=0::/system.slice/containerd.service
4300 comm=containerd-shim cgroup=0::/system.slice/containerd.service cmdline="/usr/bin/containerd-shim-runc-v2 -namespace moby -id d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000 -address /run/containerd/containerd.sock" cwd=/run/containerd/io.containerd.runtime.v2.task/moby/d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000
4389 ppid=4300 comm=postgres mnt=4026532200 pid=4026532202 cgroup=0::/system.slice/docker-d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000.scope
4390 ppid=4389 comm=postgres mnt=4026532200 pid=4026532202 cgroup=0::/system.slice/docker-d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000.scope
4452 ppid=4300 comm=htop mnt=4026532300 ipc=4026532301 cgroup=0::/system.slice/docker-4ae05848f7f54ae05848f7f54ae05848f7f54ae05848f7f54ae05848f7f50000.scope
4500 ppid=1 comm=conmon cgroup=0::/machine.slice/libpod-conmon-3e4e744c92673e4e744c92673e4e744c92673e4e744c92673e4e744c92670000.scope
4501 ppid=4500 comm=web mnt=4026532400 ipc=4026532401 pid=4026532402 cgroup=0::/machine.slice/libpod-3e4e744c92673e4e744c92673e4e744c92673e4e744c92673e4e744c92670000.scope/container
4600 ppid=1 comm=lxc-start cgroup=0::/lxc.monitor.c1
4601 ppid=4600 comm=init mnt=4026532500 ipc=4026532501 pid=4026532502 cgroup=0::/lxc.payload.c1/init.scope
4602 ppid=4601 comm=sh mnt=4026532500 pid=4026532502 cgroup=0::/lxc.payload.c1
4700 ppid=1 comm=privipc mnt=4026532600 ipc=4026532601 cgroup=0::/system.slice/private.service
-- sysvipc/shm --
       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
      4660          0   600              12582912  4389  4390      2   999   999   999   999 1700000000          0 1700000000              12582912                     0
-- sysvipc/sem --
       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime
         0          1   600         17   999   999   999   999          0 1700000000
-- sysvipc/msg --
       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime
-- roots/host/run/containerd/io.containerd.runtime.v2.task/moby/d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000/config.json --
{"ociVersion": "1.0.2", "root": {"path": "/var/lib/docker/overlay2/0123456789abcdef/merged"}, "hostname": "d6945b63acbe"}
-- roots/host/var/lib/docker/containers/d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000/config.v2.json --
{"ID": "d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000", "Name": "/shop-db-1", "Config": {"Image": "postgres:17", "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "db"}}}
`

// nsi runs the program in this process.
func nsi(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	code = program{stdout: &out, stderr: &err}.run(context.Background(), args)
	return out.String(), err.String(), code
}

// golden compares with a file below testdata, which -update writes.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look at it, and run go test ./cmd/nsinspect -update if it is right:\n%s", path, got)
	}
}

// steady replaces what differs from run to run and from machine to machine.
func steady(s, dir string) string {
	s = strings.ReplaceAll(s, dir, "PROC")
	for _, r := range [][2]string{
		{`in (less than )?[0-9.]+ m?s ·`, "in TIME ·"},
		{`"started": ?"[^"]*"`, `"started": "TIME"`},
		{`"duration_ms": ?[0-9.]+`, `"duration_ms": 0`},
		{`"version": ?"[^"]*",(\s*)"commit": ?"[^"]*"`, `"version": "V",$1"commit": "C"`},
	} {
		s = regexp.MustCompile(r[0]).ReplaceAllString(s, r[1])
	}
	return s
}

func TestGolden(t *testing.T) {
	dir := proctest.Build(t, host)
	for _, c := range []struct {
		name string
		code int
		args []string
	}{
		{"scan.txt", 1, nil},
		{"scan-verbose.txt", 1, []string{"-v"}},
		{"scan-quiet.txt", 1, []string{"scan", "-q"}},
		{"scan-sandboxes.txt", 1, []string{"scan", "--sandboxes"}},
		{"scan.json", 1, []string{"-f", "json"}},
		{"scan.ndjson", 1, []string{"-f", "ndjson"}},
		{"explain-container.txt", 0, []string{"explain", "shop-db-1"}},
		{"explain-container.json", 0, []string{"explain", "docker:d6945b63acbe", "-f", "json"}},
		{"explain-stray.txt", 0, []string{"explain", "lxc:c1"}},
		{"explain-private.txt", 0, []string{"explain", "3e4e"}},
		{"explain-process.txt", 0, []string{"explain", "4602"}},
		{"explain-monitor.txt", 0, []string{"explain", "4300"}},
		{"explain-sandbox.txt", 0, []string{"explain", "sandbox:4700"}},
		{"explain-namespace.txt", 0, []string{"explain", "4026531839"}},
		{"rules.txt", 0, []string{"rules"}},
		{"rules.json", 0, []string{"rules", "-f", "json"}},
		{"ps.txt", 0, []string{"ps"}},
		{"ps-all.txt", 0, []string{"ps", "--all"}},
		{"ps.json", 0, []string{"ps", "-f", "json"}},
		{"ps.ndjson", 0, []string{"ps", "-f", "ndjson"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, stderr, code := nsi(t, append(c.args, "--proc", dir)...)
			if code != c.code || stderr != "" {
				t.Errorf("exit code %d, want %d; stderr %q", code, c.code, stderr)
			}
			golden(t, c.name, steady(out, dir))
		})
	}
}

func TestTwoRunsGiveTheSame(t *testing.T) {
	dir := proctest.Build(t, host)
	first, _, _ := nsi(t, "-f", "json", "--proc", dir)
	for range 20 {
		if again, _, _ := nsi(t, "-f", "json", "--proc", dir); steady(again, dir) != steady(first, dir) {
			t.Fatalf("the same tree gave another report:\n%s\n%s", first, again)
		}
	}
}

func TestExitCodes(t *testing.T) {
	const pid1 = "1 comm=init\n2 comm=kthreadd ppid=0 kthread=1\n"
	const id = "d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000"
	own := "9 ipc=77 pid=78 mnt=79 cgroup=0::/docker/" + id + "\n"
	for _, c := range []struct {
		story, tree string
		args        []string
		code        int
	}{
		{"nothing is exposed", pid1 + own, nil, 0},
		{"a container shares IPC", pid1 + "9 pid=78 mnt=79 cgroup=0::/docker/" + id, nil, 1},
		{"and the floor is higher", pid1 + "9 pid=78 mnt=79 cgroup=0::/docker/" + id, []string{"--fail-on", "high"}, 0},
		{"a stray is high", pid1 + own + "10 ppid=9 pid=78 mnt=79 cgroup=0::/docker/" + id, []string{"--fail-on", "high"}, 1},
		{"a container's link is missing", pid1 + "9 ipc=- pid=78 mnt=79 cgroup=0::/docker/" + id, nil, 3},
		{"a member's link is missing", pid1 + own + "10 ppid=9 ipc=- pid=78 mnt=79 cgroup=0::/docker/" + id, nil, 3},
		{"a cgroup file is missing", pid1 + own + "10 cgroup=-", nil, 3},
		{"PID 1's links are missing and kthreadd's are there", "1 ipc=- pid=-\n2 comm=kthreadd ppid=0 kthread=1\n" + own, nil, 0},
		{"neither PID 1 nor kthreadd", own, nil, 3},
		{"PID 1 is inside a container", "1 ipc=80 pid=81\n" + own, nil, 3},
		{"and that is accepted", "1 ipc=80 pid=81\n" + own, []string{"--baseline", "1"}, 0},
		{"another process is the baseline", pid1 + own + "11 ipc=77 pid=78", []string{"--baseline", "11"}, 1},
		{"inodes are the baseline", pid1 + own, []string{"--baseline", "77,5"}, 1},
	} {
		t.Run(c.story, func(t *testing.T) {
			out, stderr, code := nsi(t, append(c.args, "--proc", proctest.Build(t, c.tree))...)
			if code != c.code {
				t.Errorf("exit code %d, want %d\n%s%s", code, c.code, out, stderr)
			}
		})
	}
}

// TestNothingIsSilent: in every command and every format it is said what could not be read, and where that leaves the answer open
// the exit code says so too.
func TestNothingIsSilent(t *testing.T) {
	const pid1 = "1 comm=init\n2 comm=kthreadd ppid=0 kthread=1\n"
	const id = "d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000"
	own := "9 ipc=77 pid=78 mnt=79 cgroup=0::/docker/" + id + "\n"
	every := []string{"scan", "ps", "ns", "explain " + id}
	for _, c := range []struct {
		story, tree string
		commands    []string
		code        int
		says        string
	}{
		{"a member's link is missing", pid1 + own + "10 ppid=9 ipc=- pid=78 mnt=79 cgroup=0::/docker/" + id, every, 3, "ns/ipc"},
		{"a cgroup file is missing", pid1 + own + "10 cgroup=-", every, 3, "cgroup"},
		{"nobody stands for the host", own, append(every, "ipcs"), 3, "there is no process 1"},
		{"PID 1 is inside a container", "1 ipc=80 pid=81\n" + own, append(every, "ipcs", "explain 9", "explain ipc:[77]"), 3, "inside of a container"},
		{"a table of objects is broken", pid1 + own + "-- sysvipc/shm --\nnonsense", []string{"ipcs"}, 3, "sysvipc/shm"},
		{"what decides nothing", "1 ipc=- pid=-\n2 comm=kthreadd ppid=0 kthread=1\n" + own, []string{"scan", "ps", "ns"}, 0, "ns/ipc"},
		{"a host process explains itself", pid1 + own + "10 cgroup=-\n11 comm=x", []string{"explain 11"}, 0, "PID 11"},
	} {
		dir := proctest.Build(t, c.tree+ipcsTree[strings.Index(ipcsTree, "\n-- sysvipc/sem --"):])
		for _, command := range c.commands {
			for _, format := range []string{"table", "json", "ndjson"} {
				out, stderr, code := nsi(t, append(strings.Fields(command), "-f", format, "--proc", dir)...)
				if command == "ipcs" && format == "table" {
					out += stderr // stdout is that of ipcs(1)
				}
				if code != c.code || !strings.Contains(out, c.says) {
					t.Errorf("%s: %s -f %s: exit code %d, want %d and %q:\n%s%s", c.story, command, format, code, c.code, c.says, out, stderr)
				}
			}
		}
	}
}

func TestBadInput(t *testing.T) {
	dir := proctest.Build(t, host)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		story string
		args  []string
		want  string
	}{
		{"no such directory", []string{"--proc", "/nonexistent"}, "/nonexistent"},
		{"not a directory", []string{"--proc", file}, file},
		{"no process is the baseline", []string{"--proc", dir, "--baseline", "99999"}, "no process 99999"},
		{"half a baseline", []string{"--proc", dir, "--baseline", "ipc:[1]"}, "--baseline"},
		{"two of one kind", []string{"--proc", dir, "--baseline", "ipc:[1],ipc:[2]"}, "--baseline"},
		{"a wrong word", []string{"--proc", dir, "--baseline", "pid1"}, "--baseline"},
		{"an unknown format", []string{"-f", "xml"}, "--format"},
		{"an unknown command", []string{"frobnicate"}, "frobnicate"},
		{"an unknown severity", []string{"--fail-on", "dire"}, "--fail-on"},
		{"explain what is not there", []string{"explain", "nobody", "--proc", dir}, `"nobody": no such`},
		{"explain a process that is not there", []string{"explain", "99999", "--proc", dir}, `"99999": no such`},
		{"explain a namespace that is not there", []string{"explain", "ipc:[5]", "--proc", dir}, "ipc:[5]: no such"},
		{"explain two containers", []string{"explain", "docker:", "--proc", dir}, "docker:d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000; name one"},
		{"explain nothing", []string{"explain", "--proc", dir}, "expected \"<what>\""},
		{"output in no directory", []string{"--proc", dir, "-o", "/nonexistent/x"}, "-o /nonexistent/x"},
		{"output over a directory", []string{"--proc", dir, "-o", t.TempDir()}, "is a directory"},
		{"output over a link", []string{"--proc", dir, "-o", link}, "symbolic link"},
	} {
		t.Run(c.story, func(t *testing.T) {
			out, stderr, code := nsi(t, c.args...)
			if code != 2 || out != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "nsinspect: ") {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, out, stderr)
			}
		})
	}
}

// TestEmptyTree: a directory with nothing of a /proc in it is no clean host.
func TestEmptyTree(t *testing.T) {
	out, stderr, code := nsi(t, "--proc", t.TempDir())
	if code == 0 || code == 1 {
		t.Errorf("exit code %d\n%s%s", code, out, stderr)
	}
}

func TestOutputFile(t *testing.T) {
	tree := proctest.Build(t, host)
	dir := t.TempDir()
	name := filepath.Join(dir, "report.json")
	out, stderr, code := nsi(t, "--proc", tree, "-f", "json", "-o", name)
	if code != 1 || out != "" || stderr != "" {
		t.Fatalf("exit code %d, stdout %q, stderr %q", code, out, stderr)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(b, &r); err != nil || len(r.Containers) != 4 {
		t.Errorf("%v, %d containers", err, len(r.Containers))
	}
	// What fails leaves the file as it was, and nothing beside it.
	if _, _, code := nsi(t, "--proc", tree, "--baseline", "99999", "-o", name); code != 2 {
		t.Errorf("exit code %d", code)
	}
	again, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("the file changed: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, left behind: %v", err, entries)
	}
}

// closed is a pipe whose reader has gone away.
type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestClosedPipe(t *testing.T) {
	dir := proctest.Build(t, host)
	for _, args := range [][]string{{}, {"-f", "json"}, {"-f", "ndjson"}, {"explain", "4602"}, {"explain", "4602", "-f", "ndjson"}, {"ps"}, {"ps", "-f", "json"}, {"ps", "-f", "ndjson"},
		{"ns"}, {"ipcs"}, {"ipcs", "-f", "ndjson"}, {"rules"}, {"rules", "-f", "json"}, {"--version"}, {"--help"}, {"scan", "--help"}} {
		var stderr bytes.Buffer
		code := program{stdout: closed{}, stderr: &stderr}.run(context.Background(), append(args, "--proc", dir))
		if code != 2 || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "-o FILE") {
			t.Errorf("%q: exit code %d, stderr %q", args, code, stderr.String())
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("by the user"))
	var out, stderr bytes.Buffer
	code := program{stdout: &out, stderr: &stderr}.run(ctx, []string{"--proc", proctest.Build(t, host)})
	if code != 2 || out.Len() > 0 {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, out.String(), stderr.String())
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"--version"}, {"scan", "--help"}} {
		out, stderr, code := nsi(t, args...)
		if code != 0 || stderr != "" || !strings.Contains(out, "nsinspect") || strings.Contains(out, "RUNTIME") {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, out, stderr)
		}
	}
}

// TestHostileNames: nothing that a process is called gets to a terminal as it is.
func TestHostileNames(t *testing.T) {
	dir := proctest.Build(t, `
8000 comm="\x1b[2J)\u202e\xff" mnt=4026532500 cgroup="0::/lxc.payload.\x1b]0;owned\a" cmdline="\x1b[31m"
8001 comm="\x1b[2J)\u202e\xff" mnt=4026532500 ipc=4026532501 cgroup="0::/system.slice/\u202e\x1b[1m.service"
`+host)
	for _, args := range [][]string{{}, {"-v"}, {"-f", "json"}, {"-f", "ndjson"}, {"ps", "-a"}, {"ps", "-f", "json"}, {"scan", "--sandboxes"}, {"explain", "8000"}, {"explain", "8001", "-f", "json"}} {
		out, _, _ := nsi(t, append(args, "--proc", dir)...)
		if strings.ContainsAny(out, "\x1b\a\x07\x00\u202e") || !strings.Contains(out, `x1b`) {
			t.Errorf("%q:\n%q", args, out)
		}
	}
}
