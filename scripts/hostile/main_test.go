package hostile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is also what the tests need other processes for: with the first
// variable set it plays a part. The second one tells that it is in a mount namespace of its own.
const (
	partVariable  = "NSINSPECT_HOSTILE_PART"
	apartVariable = "NSINSPECT_HOSTILE_APART"
)

func init() {
	if os.Getenv(partVariable) != "" {
		runtime.LockOSThread() // main runs on the process's first thread
	}
}

func TestMain(m *testing.M) {
	if part := os.Getenv(partVariable); part != "" {
		if err := play(strings.Fields(part)); err != nil {
			fmt.Fprintln(os.Stderr, part, err)
			os.Exit(125)
		}
		os.Exit(0)
	}
	if os.Geteuid() == 0 && os.Getenv(apartVariable) == "" {
		os.Exit(apart())
	}
	code := m.Run()
	if bin.dir != "" {
		os.RemoveAll(bin.dir)
	}
	os.Exit(code)
}

// apart runs the tests in a mount namespace of their own.
func apart() int {
	runtime.LockOSThread() // Pdeathsig is about the thread
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), apartVariable+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "hostile: a mount namespace for the tests:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// root skips what only root can do.
func root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// bin is where the binary under test is.
var bin struct {
	once sync.Once
	dir  string
	err  error
}

// binary builds nsinspect once, as it is released.
func binary(t *testing.T) string {
	t.Helper()
	bin.once.Do(func() {
		if bin.dir, bin.err = os.MkdirTemp("", "nsinspect-hostile"); bin.err != nil {
			return
		}
		if bin.err = os.Chmod(bin.dir, 0o755); bin.err != nil { // for those who are not root
			return
		}
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(bin.dir, "nsinspect"), "../../cmd/nsinspect")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			bin.err = fmt.Errorf("go build: %w: %s", err, out)
		}
	})
	if bin.err != nil {
		t.Fatal(bin.err)
	}
	return filepath.Join(bin.dir, "nsinspect")
}

// actor is a process of the test binary that plays a part until the test is done with it.
type actor struct {
	*exec.Cmd
	lines *bufio.Reader
	in    io.WriteCloser
}

// act starts a part and waits until it says that it is ready. It ends with its standard input, and not by
// Pdeathsig, which comes when a thread of this process ends, as those do that have entered a namespace.
func act(t *testing.T, part string, attr *syscall.SysProcAttr) *actor {
	t.Helper()
	a := enter(t, part, attr)
	if line, err := a.lines.ReadString('\n'); err != nil || line != "ready\n" {
		a.Process.Kill()
		t.Skipf("%s: %q, %v", part, line, err)
	}
	return a
}

// enter starts a part.
func enter(t *testing.T, part string, attr *syscall.SysProcAttr) *actor {
	t.Helper()
	a := &actor{Cmd: exec.Command("/proc/self/exe")}
	a.Env = append(os.Environ(), partVariable+"="+part)
	a.Stderr = os.Stderr
	a.SysProcAttr = attr
	out, err := a.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if a.in, err = a.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Skipf("%s: %v", part, err)
	}
	if f, ok := out.(*os.File); ok {
		f.SetReadDeadline(time.Now().Add(hang))
	}
	a.lines = bufio.NewReader(out)
	t.Cleanup(func() {
		a.in.Close()
		a.Process.Kill()
		a.Wait()
	})
	return a
}

// play is what a part does.
func play(part []string) error {
	switch part[0] {
	case "sleep":
		ready()
		return nil
	case "measure":
		return measured(os.Args[1:])
	case "refuse":
		return refuse(part[1], part[2], os.Args[1:])
	case "storm":
		return storm(part[1:])
	case "hop":
		return hop(part[1], part[2], part[3], strings.Join(part[4:], " "))
	case "hop-threads":
		return hopThreads(part[1], part[2], part[3], part[4])
	case "lock-memory":
		return lockMemory(part[1], part[2])
	case "map-arguments":
		return mapArguments(part[1], part[2])
	case "overlay":
		return overlay(part[1], part[2:])
	case "shared":
		return shared(part[1], part[2])
	case "bind-shm":
		return bindShm(part[1])
	case "shim":
		return shim(part[1], part[2], part[3])
	}
	return fmt.Errorf("unknown part")
}

// ready tells the test so, and waits until the test is done.
func ready() {
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}

// descriptors counts the open ones of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
