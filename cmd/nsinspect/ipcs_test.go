package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

func TestQueuesFlag(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"ipcs -q", "ipcs --queues"},
		{"-q ipcs -q", "-q ipcs --queues"},
		{"ipcs -qs -t", "ipcs --queues -s -t"},
		{"ipcs -mqt", "ipcs --queues -mt"},
		{"ipcs -qi5", "ipcs --queues -i5"},
		{"ipcs -o q -fq", "ipcs -o q -fq"},
		{"ipcs --quiet -- -q", "ipcs --quiet -- -q"},
		{"scan -q", "scan -q"},
		{"ipcs -", "ipcs -"},
	} {
		if got := queuesFlag(strings.Fields(tt.in)); !reflect.DeepEqual(got, strings.Fields(tt.want)) {
			t.Errorf("%s: got %q, want %s", tt.in, got, tt.want)
		}
	}
}

// ipcsTree is what ipcs reads of a host that is a directory.
const ipcsTree = host + `-- sys/kernel/shmmni --
4096
-- sys/kernel/shmmax --
18446744073692774399
-- sys/kernel/shmall --
18446744073692774399
-- sys/kernel/sem --
32000	1024000000	500	32000
-- sys/kernel/msgmni --
32000
-- sys/kernel/msgmax --
8192
-- sys/kernel/msgmnb --
16384
`

func TestIPCSOfATree(t *testing.T) {
	t.Setenv("TZ", "UTC")
	t.Setenv("LC_ALL", "C")
	dir := proctest.Build(t, ipcsTree)
	out, stderr, code := nsi(t, "ipcs", "--proc", dir, "-m", "-t")
	want := `
------ Shared Memory Attach/Detach/Change Times --------
shmid      owner      attached             detached             changed             
0          `
	if code != 0 || !strings.HasPrefix(out, want) || !strings.Contains(out, " Nov 14 22:13:20      Not set              Nov 14 22:13:20     \n") {
		t.Errorf("code %d, stderr %q, got\n%s", code, stderr, out)
	}
	out, _, code = nsi(t, "ipcs", "--proc", dir, "-f", "json", "-s")
	var list report.IPCS
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		t.Fatalf("code %d: %v\n%s", code, err, out)
	}
	if len(list.Namespaces) != 1 || len(list.Namespaces[0].Sem) != 1 || list.Namespaces[0].Sem[0].NSems != 17 || list.Namespaces[0].Limits.SemOPM != 500 {
		t.Errorf("got %+v", list.Namespaces)
	}
	if !strings.Contains(out, `"shm": []`) || list.Schema != report.IPCSSchema {
		t.Errorf("with -s the segments are not an empty list, or the schema is missing:\n%s", out)
	}
	out, _, code = nsi(t, "ipcs", "--proc", dir, "-f", "ndjson")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != 0 || len(lines) != 4 || !strings.HasPrefix(lines[0], `{"kind":"scan","schema":"nsinspect/ipcs/v1"`) || !strings.Contains(lines[2], `"kind":"shm","id":0,"key":4660`) {
		t.Errorf("code %d, got\n%s", code, out)
	}
	golden(t, "ipcs.ndjson", steady(out, dir))
}

func TestIPCSRefuses(t *testing.T) {
	dir := proctest.Build(t, ipcsTree)
	for _, tt := range []struct{ args, says string }{
		{"-i 5", "-i takes one of -m, -q and -s"},
		{"-m -q -i 5", "-i takes one of"},
		{"-m -i -1", "-1"},
		{"-m -i 4294967296", "4294967296"},
		{"-m -i 0x5", "0x5: not an id"},
		{"-m -i 010 --container x", "no such container"},
		{"-m -i 77", "shm 77: not found"},
		{"--all --pid 1", "exclude each other"},
		{"--all -m -i 1", "name it with --ns"},
		{"--ns 12345", "not a procfs"},
		{"--container nobody", "no such container"},
		{"nonsense", "nonsense"},
	} {
		args := append([]string{"ipcs", "--proc", dir}, strings.Fields(tt.args)...)
		out, stderr, code := nsi(t, args...)
		if code != 2 || out != "" || !strings.Contains(stderr, tt.says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: code %d, stdout %q, stderr %q, want %q", tt.args, code, out, stderr, tt.says)
		}
	}
}

// ipcs(1) loops for ever on each of these.
func TestIPCSOfBrokenFiles(t *testing.T) {
	for name, tree := range map[string]string{
		"empty":     strings.Replace(ipcsTree, "-- sysvipc/sem --\n", "-- sysvipc/sem --\n-- elsewhere --\n", 1),
		"malformed": strings.Replace(ipcsTree, "         0          1   600         17   999", "         0          1   600         what   999", 1),
	} {
		out, stderr, code := nsi(t, "ipcs", "--proc", proctest.Build(t, tree))
		if code != 3 || !strings.Contains(out, "0x00001234") || !strings.Contains(stderr, "sysvipc/sem: line ") {
			t.Errorf("%s: code %d, stderr %q, got\n%s", name, code, stderr, out)
		}
	}
}

const ipcsInsideEnv = "NSINSPECT_TEST_IPCS"

// TestIPCSFlags compares the flags with those of the installed ipcs; the exact
// comparison of all objects is TestIPCSParity of package render.
func TestIPCSFlags(t *testing.T) {
	if os.Getenv(ipcsInsideEnv) != "" {
		ipcsFlags(t)
		return
	}
	for _, tool := range []string{"ipcs", "ipcmk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s(1) is installed to compare with", tool)
		}
	}
	version, err := exec.Command("ipcs", "-V").Output()
	if err != nil || !strings.Contains(string(version), "util-linux 2.38") {
		t.Skipf("the installed ipcs is not util-linux 2.38 but %q", version)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: an IPC namespace of its own")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestIPCSFlags$")
	cmd.Env = append(os.Environ(), ipcsInsideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWIPC}
	if out, err := cmd.CombinedOutput(); err != nil {
		if cmd.Process == nil {
			t.Skipf("cannot start in an IPC namespace of its own: %v", err)
		}
		t.Errorf("%v\n%s", err, out)
	}
}

func ipcsFlags(t *testing.T) {
	for _, args := range []string{"-M 100000 -p 0600", "-M 1536", "-Q", "-Q -p 0", "-S 3 -p 0600", "-S 5"} {
		if out, err := exec.Command("ipcmk", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ipcmk %s: %v: %s", args, err, out)
		}
	}
	self := fmt.Sprint(os.Getpid())
	for _, args := range []string{
		"", "-a", "-m", "-q", "-s", "-t", "-p", "-c", "-l", "-u", "-b", "--human", "-mt", "-tm", "-qs", "-asq", "-qc", "-sq -t", "-l --human", "-l -b", "-u --human", "-u -b",
		"-u -l", "-l -u", "-t -p -c", "-c -t", "-b --human", "--human -b", "-q -s -p",
		"-m -i 1", "-mi1", "-i 0 -m", "-q -i 1", "-s -i 1", "-m -i 0 --human", "-q -i 0 --human", "-q -i 0 -b", "-m -i 0 -t", "-m -i 0 -i 1",
		"--shmems", "--queues --semaphores", "--time --shmems", "--limits", "--summary", "--creator", "--bytes",
	} {
		want, err := exec.Command("ipcs", strings.Fields(args)...).Output()
		if err != nil {
			t.Errorf("ipcs %s: %v", args, err)
			continue
		}
		var got, stderr bytes.Buffer
		ours := append([]string{"ipcs", "--baseline", self}, strings.Fields(args)...)
		if code := (program{stdout: &got, stderr: &stderr}).run(context.Background(), ours); code != 0 || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("ipcs %s: code %d, stderr %q, got\n%s\nwant\n%s", args, code, &stderr, &got, want)
		}
	}
	out, _, code := nsi(t, "ipcs", "--pid", self, "-m")
	if link, _ := os.Readlink("/proc/self/ns/ipc"); code == 2 || !strings.HasPrefix(out, link+", processes: ") || !strings.Contains(out, " 100000 ") {
		t.Errorf("--pid: code %d, got\n%s", code, out)
	}
	var st syscall.Stat_t
	if err := syscall.Stat("/proc/self/ns/ipc", &st); err != nil {
		t.Fatal(err)
	}
	out, _, code = nsi(t, "ipcs", "--ns", fmt.Sprint(st.Ino), "-f", "ndjson")
	if code == 2 || strings.Count(out, "\n") != 8 {
		t.Errorf("--ns: code %d, got\n%s", code, out)
	}
}
