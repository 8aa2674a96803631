package engines

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

// lab is one test's corner: a directory, and what it takes to run things there.
type lab struct {
	*testing.T
	engine string
	dir    string
	env    []string
	in     string // the mount namespace to run commands in, a file of nsfs; "" for ours
	reason string // why the test was skipped
}

// newLab skips the test when it cannot run here: not root, or a program is
// missing. engine is what the line at the end calls it.
func newLab(t *testing.T, engine string, programs ...string) *lab {
	t.Helper()
	l := &lab{T: t, engine: engine, env: environment()}
	t.Cleanup(l.count)
	if os.Geteuid() != 0 {
		l.Skip("needs root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			l.Skipf("%s is not installed (scripts/setup installs it)", p)
		}
	}
	dir, err := os.MkdirTemp(os.Getenv(labVariable), "e")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l.dir = dir
	return l
}

// environment is what engines and clients get: nothing of ours that could lead
// a client to somebody else's engine.
func environment() []string {
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"}
	for _, keep := range []string{"TMPDIR"} {
		if v := os.Getenv(keep); v != "" {
			env = append(env, keep+"="+v)
		}
	}
	return env
}

// path returns a path below the lab's directory.
func (l *lab) path(elem ...string) string {
	return filepath.Join(append([]string{l.dir}, elem...)...)
}

// write writes a file below the lab's directory and returns its path.
func (l *lab) write(name, content string) string {
	l.Helper()
	path := l.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		l.Fatal(err)
	}
	return path
}

// patience is how long one command of an engine may take on a busy machine.
const patience = 2 * time.Minute

// command returns a command that runs where the lab is.
func (l *lab) command(ctx context.Context, args ...string) *exec.Cmd {
	if l.in != "" {
		args = append([]string{"nsenter", "--mount=" + l.in}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Dir = l.env, l.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	return cmd
}

// try runs a command to its end and returns what it printed on standard output.
// Output goes through files, not pipes: what the command leaves running in the
// background inherits it, and must not keep us waiting.
func (l *lab) try(args ...string) (string, error) {
	return l.tryWith(nil, args...)
}

func (l *lab) tryWith(stdin io.Reader, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var files [2]*os.File
	for i := range files {
		f, err := os.CreateTemp(l.dir, "out")
		if err != nil {
			return "", err
		}
		defer f.Close()
		os.Remove(f.Name())
		files[i] = f
	}
	cmd := l.command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, files[0], files[1]
	err := cmd.Run()
	var text [2][]byte
	for i, f := range files {
		f.Seek(0, io.SeekStart)
		text[i], _ = io.ReadAll(f)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return string(text[0]), fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(append(text[1], text[0]...)))
	}
	return strings.TrimSpace(string(text[0])), nil
}

// run is try for what must work.
func (l *lab) run(args ...string) string {
	l.Helper()
	out, err := l.try(args...)
	if err != nil {
		l.Fatal(err)
	}
	return out
}

// decode runs a command that prints JSON.
func (l *lab) decode(into any, args ...string) {
	l.Helper()
	if err := json.Unmarshal([]byte(l.run(args...)), into); err != nil {
		l.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
}

// background starts a command that stays, and stops it when the test ends:
// SIGTERM to it, and after a while SIGKILL to its process group.
func (l *lab) background(name string, args ...string) *daemon {
	l.Helper()
	log, err := os.Create(l.path(name + ".log"))
	if err != nil {
		l.Fatal(err)
	}
	cmd := l.command(context.Background(), args...)
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Start()
	log.Close()
	if err != nil {
		l.Fatal(err)
	}
	d := &daemon{name: name, pid: cmd.Process.Pid, log: log.Name(), ended: make(chan struct{})}
	go func() {
		d.err = cmd.Wait()
		close(d.ended)
	}()
	l.Cleanup(d.stop)
	return d
}

// sleeper is background for a process that has nothing to tidy up: it is killed.
func (l *lab) sleeper(name string, args ...string) *daemon {
	l.Helper()
	d := l.background(name, args...)
	d.rough = true
	return d
}

// daemon is a process of ours that runs on.
type daemon struct {
	rough bool // to be killed, with its process group
	name  string
	pid   int
	log   string
	ended chan struct{}
	err   error // once ended
	once  sync.Once
}

func (d *daemon) stop() {
	d.once.Do(func() {
		if d.rough {
			unix.Kill(-d.pid, unix.SIGKILL)
		}
		unix.Kill(d.pid, unix.SIGTERM)
		select {
		case <-d.ended:
		case <-time.After(20 * time.Second):
			unix.Kill(-d.pid, unix.SIGKILL)
			<-d.ended
		}
	})
}

var errEnded = errors.New("it ended at once")

// ready waits until probe succeeds. An engine that cannot run on this machine
// is no failure of nsinspect: the test is skipped with what the engine said.
func (d *daemon) ready(l *lab, probe func() error) {
	l.Helper()
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if last = probe(); last == nil {
			return
		}
		select {
		case <-d.ended:
			last = errEnded
		default:
			continue
		}
		break
	}
	l.Skipf("%s cannot run on this machine: %v: %s", d.name, last, tail(d.log))
}

// tail returns the end of a log on one line.
func tail(path string) string {
	data, _ := os.ReadFile(path)
	data = bytes.TrimSpace(data)
	if len(data) > 600 {
		data = data[len(data)-600:]
	}
	return strings.ReplaceAll(string(data), "\n", " | ")
}

// exists is a probe for a socket or file.
func exists(path string) func() error {
	return func() error { _, err := os.Stat(path); return err }
}

// eventually waits until ok.
func (l *lab) eventually(what string, ok func() bool) {
	l.Helper()
	l.eventuallyOr(what, ok, func() { l.Fatalf("waited in vain for %s", what) })
}

// eventuallyOr waits until ok, or does something else when that takes too long.
func (l *lab) eventuallyOr(what string, ok func() bool, otherwise func()) {
	l.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.Logf("waited in vain for %s", what)
			otherwise()
			return
		}
	}
}

// privateMounts gives the lab a mount namespace of its own: every later command
// runs in it. script is run in it first, as root; an error there skips the test.
func (l *lab) privateMounts(script string) {
	l.Helper()
	d := l.sleeper("mounts", "unshare", "--mount", "--propagation", "private", "sh", "-ec",
		script+"\n: > "+l.path("mounts.ready")+"\nexec sleep 1000000")
	d.ready(l, exists(l.path("mounts.ready")))
	l.in = fmt.Sprintf("/proc/%d/ns/mnt", d.pid)
}

// legacyCgroups is a script for privateMounts: crun refuses a host with cgroup
// v1 and a v2 tree that has controllers beside it, as here; without the v2 tree
// in sight it takes the host for v1.
const legacyCgroups = `if [ -e /sys/fs/cgroup/unified/cgroup.controllers ]; then umount /sys/fs/cgroup/unified; fi`

// unifiedCgroups is a script for privateMounts: engines see a host with nothing
// but cgroup v2, with whichever controllers are free.
const unifiedCgroups = `if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi`

// nsinspect is the binary under test, built once.
var nsinspect = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(os.Getenv(labVariable), "nsinspect")
	return bin, build(filepath.Join("..", "..", "cmd", "nsinspect"), bin)
})

// build builds the program in a directory, in the module it is in.
func build(dir, bin string) error {
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// scan runs nsinspect and returns its report and exit code.
func (l *lab) scan(flags ...string) (*report.Report, int) {
	l.Helper()
	bin, err := nsinspect()
	if err != nil {
		l.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// Not l.command: the report is made from where a user would make it.
	cmd := exec.CommandContext(ctx, bin, append([]string{"-f", "json"}, flags...)...)
	cmd.Env = environment()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	ended := make(chan error, 1)
	go func() { ended <- cmd.Run() }()
	select {
	case err = <-ended:
	case <-time.After(patience + 10*time.Second): // killed, and still there: asleep in the kernel
		l.Fatal("nsinspect does not end, and cannot be killed")
	}
	code := cmd.ProcessState.ExitCode()
	if err != nil && code != 1 && code != 3 {
		l.Fatalf("nsinspect: %v: %s", err, stderr.String())
	}
	r := new(report.Report)
	if err := json.Unmarshal(out.Bytes(), r); err != nil {
		l.Fatalf("nsinspect's report: %v", err)
	}
	if stderr.Len() > 0 {
		l.Logf("nsinspect said: %s", stderr.String())
	}
	l.keep(out.Bytes())
	return r, code
}

// keep saves the last report of a test where NSINSPECT_KEEP says.
func (l *lab) keep(data []byte) {
	if dir := os.Getenv("NSINSPECT_KEEP"); dir != "" {
		os.WriteFile(filepath.Join(dir, strings.ReplaceAll(l.Name(), "/", "-")+".json"), data, 0o644)
	}
}
