package proc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// The test binary is also the processes that the tests look at: with this
// variable set it plays a part instead of running tests.
const partVariable = "NSINSPECT_TEST_PART"

func init() {
	if os.Getenv(partVariable) != "" {
		runtime.LockOSThread() // main runs on the process's first thread
	}
}

func TestMain(m *testing.M) {
	part, argument, _ := strings.Cut(os.Getenv(partVariable), " ")
	switch part {
	case "":
		os.Exit(m.Run())
	case "sleep":
		ready()
	case "leave": // the first thread leaves, the others stay
		go ready()
		unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	case "leave-and-unshare": // the thread that stays is in an IPC namespace of its own
		go func() {
			runtime.LockOSThread()
			if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			ready()
		}()
		unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
	case "storm":
		fmt.Println("ready")
		storm()
	case "lock-memory":
		if err := lockMemory(argument); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "scan": // and print what was seen
		json.NewEncoder(os.Stdout).Encode(look(argument))
	default:
		fmt.Println("unknown part")
		os.Exit(1)
	}
	os.Exit(0)
}

// lockMemory leaves the process's memory lock (mmap_lock) taken for as long as the file, of a
// fuse with direct I/O, is not answered for: a page fault waits for the page, and a second mmap waits, with the
// lock held for writing, until it can drop the page (fs/fuse/file.c, fuse_file_mmap).
func lockMemory(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	page, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	go func() { fmt.Println(page[0]) }()
	time.Sleep(200 * time.Millisecond)
	fmt.Println("ready")
	_, err = unix.Mmap(fd, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
	return err
}

// ready tells the test so, and ends the process when the test is done with it.
func ready() {
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// seen is a snapshot that survives JSON.
type seen struct {
	Records []proc.Record
	Gaps    []struct {
		PID  int
		File string
		Kind proc.Kind
	}
	Visits map[int]string // of PID 1 and the process itself: what went wrong
	Err    string
}

func look(dir string) (s seen) {
	fs, err := proc.Open(dir)
	if err != nil {
		s.Err = err.Error()
		return s
	}
	snap, err := fs.Scan(context.Background())
	if err != nil {
		s.Err = err.Error()
		return s
	}
	s.Records = snap.Records
	for _, e := range snap.Errors {
		s.Gaps = append(s.Gaps, struct {
			PID  int
			File string
			Kind proc.Kind
		}{e.PID, e.File, e.Kind})
	}
	s.Visits = map[int]string{}
	for _, pid := range []int{1, os.Getpid()} {
		d, err := fs.Visit(context.Background(), pid, proc.WantStatus|proc.WantRoot|proc.WantCmdline)
		switch {
		case err != nil:
			s.Visits[pid] = "error: " + proc.KindOf(err).String()
		case len(d.Errors) > 0:
			s.Visits[pid] = "gap: " + d.Errors[0].Kind.String()
		default:
			s.Visits[pid] = "read"
		}
	}
	return s
}

func root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make namespaces")
	}
}

// play starts the test binary in a part and waits until it is ready. It ends
// with the test, or when stop is called.
func play(t testing.TB, part string, attr *syscall.SysProcAttr) (cmd *exec.Cmd, stop func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(exe)
	cmd.Env = append(os.Environ(), partVariable+"="+part, "GOMAXPROCS=4")
	cmd.SysProcAttr = attr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := false
	stop = func() {
		if !done {
			done = true
			stdin.Close()
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	t.Cleanup(stop)
	var line [6]byte
	if n, err := io.ReadFull(stdout, line[:]); err != nil || string(line[:]) != "ready\n" {
		more, _ := io.ReadAll(stdout)
		t.Fatalf("part %s: %q, %v", part, append(line[:n], more...), err)
	}
	return cmd, stop
}

// apart runs the calling test again, in new namespaces of these kinds and with all mounts
// private, and returns false there; where it returns true the test is over.
func apart(t *testing.T, flags uintptr) (over bool) {
	t.Helper()
	root(t)
	const inside = "NSINSPECT_TEST_APART"
	if os.Getenv(inside) == t.Name() {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return false
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags | unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skip("skipped there")
	}
	return true
}

// mountProc mounts a procfs of the caller's PID namespace where everybody can reach it. Only within apart.
func mountProc(t *testing.T, options string) string {
	t.Helper()
	if err := unix.Mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("/mnt", "proc")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("proc", dir, "proc", 0, options); err != nil {
		t.Skipf("mounting a procfs with %q: %v", options, err)
	}
	return dir
}
