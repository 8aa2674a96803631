package confine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// What Apply does cannot be undone, so each story is told by a child: this test binary again, with the story's name in
// the environment. It prints one JSON value.
const storyVariable = "NSINSPECT_CONFINE_STORY"

func TestMain(m *testing.M) {
	if name := os.Getenv(storyVariable); name != "" {
		tell(name)
		return
	}
	os.Exit(m.Run())
}

type setting struct {
	Dir     string // a directory of the test's, with the file "victim" and the directory "sub"
	Sleeper int    // a process of another user in an IPC namespace of its own
	Socket  string // a listening socket
}

func tell(name string) {
	var s setting
	if err := json.Unmarshal([]byte(os.Getenv(storyVariable+"_SETTING")), &s); err != nil {
		panic(err)
	}
	var told any
	switch name {
	case "hook without confinement":
		told = hook(s)
	case "hook":
		told = hookOnThreads(s)
	case "every system call":
		told = everyCall()
	case "scan":
		told = scan(s)
	case "capabilities":
		told = capabilities()
	case "sealed":
		told = sealedStory(s)
	case "no seccomp":
		outerFilter(unix.SYS_SECCOMP, unix.ENOSYS, unix.SECCOMP_FILTER_FLAG_TSYNC)
		told = withoutSeccomp()
	case "seccomp refused":
		outerFilter(unix.SYS_SECCOMP, unix.EPERM, unix.SECCOMP_FILTER_FLAG_TSYNC)
		told = withoutSeccomp()
	case "output":
		told = outputStory(s)
	case "cost":
		told = cost()
	case "diverged thread":
		told = diverged()
	default:
		panic("no story " + name)
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		panic(err)
	}
}

// child runs a story to its end and decodes what it prints.
func child(t testing.TB, story string, s setting, told any) {
	t.Helper()
	cmd := storyCommand(t, story, s)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", story, err, out, cmd.Stderr)
	}
	if err := json.Unmarshal(out, told); err != nil {
		t.Fatalf("%s: %v in %q", story, err, out)
	}
}

func storyCommand(t testing.TB, story string, s setting) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), storyVariable+"="+story, storyVariable+"_SETTING="+string(text))
	cmd.Stderr = new(bytes.Buffer)
	return cmd
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes namespaces and processes of other users")
	}
}

func needSeccomp(t testing.TB) {
	t.Helper()
	var act uint32 = unix.SECCOMP_RET_ERRNO
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, ptr(&act)); errno != 0 {
		t.Skipf("no seccomp filters here: %v", errno)
	}
}

// needAllThreads skips where the Go runtime does not know every thread of the test binary, as under the race detector.
func needAllThreads(t *testing.T) {
	t.Helper()
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0); errno == unix.ENOTSUP {
		t.Skip("this test binary has cgo (race detector): capabilities of all threads cannot be set")
	}
}

// newSetting makes files, a socket and a sleeping process that a planted hook would like to have.
func newSetting(t *testing.T) setting {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "victim"), []byte("intact"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(dir, "socket")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: sock}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 16); err != nil {
		t.Fatal(err)
	}
	return setting{Dir: dir, Socket: sock, Sleeper: sleeper(t)}
}

// sleeper starts a process of user 65534 in an IPC namespace of its own, in which there is one message queue.
func sleeper(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sh", "-c", "ipcmk -Q >/dev/null && exec sleep 600")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWIPC,
		Credential: &syscall.Credential{Uid: 65534, Gid: 65534},
		Pdeathsig:  syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends
	t.Cleanup(runtime.UnlockOSThread)
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot start a process in a new IPC namespace: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid))
		if err != nil {
			t.Fatalf("the sleeper is gone: %v", err)
		}
		if string(comm) == "sleep\n" {
			return cmd.Process.Pid
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sleeper still is %q", comm)
		}
	}
}

// deed is something that a hook, planted in the process by hostile input, would try.
type deed struct {
	name string
	do   func() error
}

func deeds(s setting) []deed {
	victim, sub := filepath.Join(s.Dir, "victim"), filepath.Join(s.Dir, "sub")
	other := filepath.Join(s.Dir, "other")
	open := func(flags int) func() error {
		return func() error {
			fd, err := unix.Open(victim, flags, 0o600)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}
	}
	fd := func(fd int, err error) error {
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	raw := func(nr uintptr, args ...uintptr) func() error {
		var a [6]uintptr
		copy(a[:], args)
		return func() error {
			_, _, errno := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
			if errno == 0 {
				return nil
			}
			return errno
		}
	}
	const bad = ^uintptr(0)
	return []deed{
		{"open for writing", open(unix.O_WRONLY)},
		{"open for reading and writing", open(unix.O_RDWR)},
		{"open for appending", open(unix.O_WRONLY | unix.O_APPEND)},
		{"open and empty", open(unix.O_RDONLY | unix.O_TRUNC)},
		{"open and create", open(unix.O_RDONLY | unix.O_CREAT)},
		{"open with the access mode of drivers", open(unix.O_ACCMODE)},
		{"nameless file", func() error { return fd(unix.Open(s.Dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)) }},
		{"openat2", func() error {
			return fd(unix.Openat2(unix.AT_FDCWD, victim, &unix.OpenHow{Flags: unix.O_WRONLY}))
		}},
		{"memory file", func() error { return fd(unix.MemfdCreate("x", 0)) }},
		{"mkdir", func() error { return unix.Mkdir(other+"d", 0o700) }},
		{"rmdir", func() error { return unix.Rmdir(other + "d") }},
		{"fifo", func() error { return unix.Mknod(other+"p", unix.S_IFIFO|0o600, 0) }},
		{"link", func() error { return unix.Link(victim, other+"l") }},
		{"symlink", func() error { return unix.Symlink(victim, other+"s") }},
		{"rename", func() error { return unix.Rename(other+"l", other+"r") }},
		{"rename with flags", func() error {
			return unix.Renameat2(unix.AT_FDCWD, other+"r", unix.AT_FDCWD, other+"r2", unix.RENAME_NOREPLACE)
		}},
		{"unlink", func() error { return unix.Unlink(other + "s") }},
		{"truncate", func() error { return unix.Truncate(victim, 0) }},
		{"chmod", func() error { return unix.Chmod(victim, 0o777) }},
		{"chown", func() error { return unix.Lchown(victim, 1, 1) }},
		{"set times", func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, victim, make([]unix.Timespec, 2), 0) }},
		{"set an attribute", func() error { return unix.Setxattr(victim, "trusted.x", []byte("x"), 0) }},
		{"open by handle", raw(unix.SYS_OPEN_BY_HANDLE_AT, bad, bad, 0)},
		{"file in a detached tmpfs", func() error {
			return WithSysAdmin(func() error {
				fs, err := unix.Fsopen("tmpfs", 0)
				if err != nil {
					return err
				}
				defer unix.Close(fs)
				if err := unix.FsconfigCreate(fs); err != nil {
					return err
				}
				mnt, err := unix.Fsmount(fs, 0, 0)
				if err != nil {
					return err
				}
				defer unix.Close(mnt)
				return fd(unix.Openat(mnt, "x", unix.O_CREAT|unix.O_RDWR, 0o600))
			})
		}},

		{"internet socket", func() error { return fd(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)) }},
		{"netlink socket", func() error { return fd(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0)) }},
		{"connect", func() error {
			sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			defer unix.Close(sock)
			return unix.Connect(sock, &unix.SockaddrUnix{Name: s.Socket})
		}},
		{"connect an inherited descriptor", raw(unix.SYS_CONNECT, bad, 0, 0)},
		{"send", raw(unix.SYS_SENDTO, bad)},
		{"pass descriptors", raw(unix.SYS_SENDMSG, bad)},
		{"pair of sockets", func() error {
			p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err == nil {
				unix.Close(p[0])
				unix.Close(p[1])
			}
			return err
		}},

		{"execute in a child", func() error { return exec.Command("/bin/true").Run() }},
		{"execute", func() error { return unix.Exec("/nowhere/at/all", nil, nil) }},
		{"execute a descriptor", raw(unix.SYS_EXECVEAT, bad, 0, 0, 0, unix.AT_EMPTY_PATH)},
		{"executable memory", func() error {
			m, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
			if err == nil {
				unix.Munmap(m)
			}
			return err
		}},
		{"make memory executable", func() error {
			m, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
			if err != nil {
				return err
			}
			defer unix.Munmap(m)
			return unix.Mprotect(m, unix.PROT_READ|unix.PROT_EXEC)
		}},

		{"ptrace", func() error {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			err := unix.PtraceSeize(s.Sleeper)
			if err == nil {
				// A detach takes a stopped process.
				unix.PtraceInterrupt(s.Sleeper)
				unix.Wait4(s.Sleeper, nil, 0, nil)
				unix.PtraceDetach(s.Sleeper)
			}
			return err
		}},
		{"signal", func() error { return unix.Kill(s.Sleeper, 0) }},
		{"signal to a thread", func() error { return unix.Tgkill(s.Sleeper, s.Sleeper, 0) }},
		{"signal through a descriptor", raw(unix.SYS_PIDFD_SEND_SIGNAL, bad, 0, 0, 0)},
		{"queue a signal", raw(unix.SYS_RT_SIGQUEUEINFO, uintptr(s.Sleeper), 0, 0)},
		{"take a descriptor", raw(unix.SYS_PIDFD_GETFD, bad, 0, 0)},
		{"read memory", raw(unix.SYS_PROCESS_VM_READV, uintptr(s.Sleeper), 0, 0, 0, 0, 0)},
		{"write memory", raw(unix.SYS_PROCESS_VM_WRITEV, uintptr(s.Sleeper), 0, 0, 0, 0, 0)},
		{"limit another process", raw(unix.SYS_PRLIMIT64, 1<<30, unix.RLIMIT_NOFILE, 0, 0)},
		{"type into the terminal", raw(unix.SYS_IOCTL, 0, unix.TIOCSTI, bad)},

		{"mount", func() error { return unix.Mount("none", sub, "no such filesystem", 0, "") }},
		{"unmount", func() error { return unix.Unmount(sub, 0) }},
		{"attach a mount", raw(unix.SYS_MOVE_MOUNT, bad, bad, bad, bad, 0)},
		{"clone a mount", raw(unix.SYS_OPEN_TREE, bad, bad, 0)},
		{"change a mount", raw(unix.SYS_MOUNT_SETATTR, bad, bad, 0, 0, 0)},
		{"turn the root", func() error { return unix.PivotRoot(victim, victim) }},
		{"chroot", func() error { return unix.Chroot(victim) }},
		{"give a filesystem its source", raw(unix.SYS_FSCONFIG, bad, unix.FSCONFIG_SET_STRING, bad, bad, 0)},
		{"new namespace", raw(unix.SYS_UNSHARE, bad)},
		{"enter a mount namespace", raw(unix.SYS_SETNS, bad, unix.CLONE_NEWNS)},
		{"enter any namespace", raw(unix.SYS_SETNS, bad, 0)},

		{"io_uring", raw(unix.SYS_IO_URING_SETUP, 1, bad)},
		{"bpf", raw(unix.SYS_BPF, bad, 0, 0)},
		{"perf", raw(unix.SYS_PERF_EVENT_OPEN, bad, 0, 0, 0, 0)},
		{"kernel log", raw(unix.SYS_SYSLOG, 99, 0, 0)},
		{"key", raw(unix.SYS_KEYCTL, bad)},
		{"user page faults", raw(unix.SYS_USERFAULTFD, bad)},
		{"make a segment", raw(unix.SYS_SHMGET, unix.IPC_PRIVATE, 0, 0)},
		{"attach a segment", raw(unix.SYS_SHMAT, bad, 0, 0)},
		{"remove a segment", raw(unix.SYS_SHMCTL, bad, unix.IPC_RMID, 0)},
		{"change a semaphore", raw(unix.SYS_SEMCTL, bad, 0, 16 /* SETVAL */, 0)},
		{"make semaphores", raw(unix.SYS_SEMGET, unix.IPC_PRIVATE, 0, 0)},
		{"send a message", raw(unix.SYS_MSGSND, bad, 0, 0, 0)},
		{"remove a queue", raw(unix.SYS_MSGCTL, bad, unix.IPC_RMID, 0)},
		{"change the user", raw(unix.SYS_SETUID, 0)},
		{"swap", raw(unix.SYS_SWAPOFF, 0)},
		{"host name", raw(unix.SYS_SETHOSTNAME, 0, 4096)},
		{"lower no_new_privs", raw(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)},
	}
}

// hook does all deeds and says what came of each: "" for done.
func hook(s setting) map[string]string {
	told := make(map[string]string)
	for _, d := range deeds(s) {
		told[d.name] = ""
		if err := d.do(); err != nil {
			told[d.name] = err.Error()
			var errno syscall.Errno
			if errors.As(err, &errno) {
				told[d.name] = unix.ErrnoName(errno)
			}
		}
	}
	return told
}

// hookOnThreads does the deeds on a thread from before Apply, on the one that called it, and on one made after it.
func hookOnThreads(s setting) map[string]map[string]string {
	told := make(map[string]map[string]string)
	onThread := func() (chan<- string, <-chan map[string]string) {
		when, what := make(chan string), make(chan map[string]string)
		go func() {
			runtime.LockOSThread()
			<-when
			what <- hook(s)
		}()
		return when, what
	}
	when, before := onThread()
	Apply(Options{})
	told["the thread that called Apply"] = hook(s)
	when <- ""
	told["a thread from before"] = <-before
	when, after := onThread()
	when <- ""
	told["a thread from after"] = <-after
	return told
}

func TestPlantedHook(t *testing.T) {
	needRoot(t)
	needSeccomp(t)

	// The deeds are possible without confinement, or fail for reasons of their own: otherwise their failing below
	// would say nothing.
	t.Run("without confinement nothing holds it", func(t *testing.T) {
		var told map[string]string
		child(t, "hook without confinement", newSetting(t), &told)
		for name, got := range told {
			if got == "EPERM" || got == "ENOSYS" && name != "openat2" {
				t.Errorf("%s: %s", name, got)
			}
		}
	})
	t.Run("after Apply it can do nothing", func(t *testing.T) {
		s := newSetting(t)
		var told map[string]map[string]string
		child(t, "hook", s, &told)
		if len(told) != 3 {
			t.Fatalf("told of %d threads", len(told))
		}
		for thread, results := range told {
			if len(results) != len(deeds(s)) {
				t.Errorf("%s: %d of %d deeds tried", thread, len(results), len(deeds(s)))
			}
			for name, got := range results {
				want := "EPERM"
				if name == "openat2" {
					want = "ENOSYS"
				}
				if got != want {
					t.Errorf("%s: %s: got %q, want %s", thread, name, got, want)
				}
			}
		}
		if got, err := os.ReadFile(filepath.Join(s.Dir, "victim")); string(got) != "intact" {
			t.Errorf("the victim reads %q, %v", got, err)
		}
		if got, _ := filepath.Glob(filepath.Join(s.Dir, "other*")); got != nil {
			t.Errorf("new files: %v", got)
		}
	})
}

// everyCall makes each system call that is not allowed unconditionally, with arguments that no condition accepts.
func everyCall() []string {
	Apply(Options{})
	spared := make(map[uintptr]bool)
	for _, calls := range [][]uintptr{unconditional, alsoUnconditional, looking, alsoLooking} {
		for _, c := range calls {
			spared[c] = true
		}
	}
	if auditArch == unix.AUDIT_ARCH_X86_64 {
		// uretprobe and uprobe, since Linux 6.11: the kernel does not ask a filter about them, and kills whoever makes
		// them anywhere but in its own trampoline (arch/x86/kernel/uprobes.c).
		spared[335], spared[336] = true, true
	}
	var told []string
	const bad = ^uintptr(0)
	for call := range uintptr(1024) {
		if spared[call] {
			continue
		}
		_, _, errno := unix.RawSyscall6(call, bad, bad, bad, bad, bad, bad)
		want := unix.EPERM
		if slices.Contains(absent, call) {
			want = unix.ENOSYS
		}
		if errno != want {
			told = append(told, fmt.Sprintf("call %d: %v", call, errno))
		}
	}
	if auditArch == unix.AUDIT_ARCH_X86_64 {
		// The x32 ABI would be a way around numbers.
		if _, _, errno := unix.RawSyscall6(x32|unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0, 0, 0, 0); errno != unix.ENOSYS {
			told = append(told, fmt.Sprintf("x32 socket: %v", errno))
		}
	}
	return told
}

func TestEverySystemCallThatIsNotListedIsRefused(t *testing.T) {
	needSeccomp(t)
	var told []string
	child(t, "every system call", setting{}, &told)
	for _, line := range told {
		t.Error(line)
	}
}

type scanTold struct {
	Report        string
	Seccomp       string
	Link, Wanted  string
	Cgroup        int
	Own, Entered  string
	Mqueue        []string
	RaisedOutside bool
	Err           string
}

// scan does what a scan does, and works the Go runtime: threads, collections, timers, a recovered fault.
func scan(s setting) (told scanTold) {
	r := Apply(Options{})
	told.Report, told.Seccomp = r.String(), r.Seccomp.String()
	fail := func(err error) scanTold { told.Err = err.Error(); return told }

	proc, err := unix.Open("/proc/"+strconv.Itoa(s.Sleeper), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	buf := make([]byte, 64)
	n, err := unix.Readlinkat(proc, "ns/ipc", buf)
	if err != nil {
		return fail(err)
	}
	told.Link = string(buf[:n])
	cgroup, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", s.Sleeper))
	if err != nil {
		return fail(err)
	}
	told.Cgroup = len(cgroup)
	if _, err := os.ReadDir("/proc"); err != nil {
		return fail(err)
	}
	own, err := os.ReadFile("/proc/sysvipc/msg")
	if err != nil {
		return fail(err)
	}
	told.Own = string(own)

	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread dies with the namespace
		done <- func() error {
			ns, err := unix.Openat(proc, "ns/ipc", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			if err := unix.Setns(ns, unix.CLONE_NEWIPC); err == nil {
				told.RaisedOutside = true
			}
			return WithSysAdmin(func() error {
				if err := unix.Setns(ns, unix.CLONE_NEWIPC); err != nil {
					return err
				}
				// A thread-self path: /proc/sysvipc belongs to the reader.
				entered, err := os.ReadFile("/proc/sysvipc/msg")
				if err != nil {
					return err
				}
				told.Entered = string(entered)
				fsfd, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
				if err != nil {
					return fmt.Errorf("fsopen: %w", err)
				}
				if err := unix.FsconfigCreate(fsfd); err != nil {
					return fmt.Errorf("fsconfig: %w", err)
				}
				mnt, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, 0)
				if err != nil {
					return fmt.Errorf("fsmount: %w", err)
				}
				defer unix.Close(mnt)
				fd, err := unix.Openat(mnt, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
				if err != nil {
					return fmt.Errorf("open mqueue: %w", err)
				}
				dir := os.NewFile(uintptr(fd), "mqueue")
				defer dir.Close()
				told.Mqueue, err = dir.Readdirnames(-1)
				return err
			})
		}()
	}()
	if err := <-done; err != nil {
		return fail(err)
	}

	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			runtime.LockOSThread()
			for range 50 {
				_ = bytes.Repeat([]byte("x"), 100_000)
			}
			time.Sleep(time.Millisecond)
		})
	}
	for range 3 {
		runtime.GC()
	}
	wg.Wait()
	func() {
		defer func() {
			if recover() == nil {
				panic("a nil pointer was followed")
			}
		}()
		var p *int
		*p = 1
	}()
	return told
}

func TestAScanStillWorks(t *testing.T) {
	needRoot(t)
	needAllThreads(t)
	s := newSetting(t)
	var told scanTold
	child(t, "scan", s, &told)
	if told.Err != "" {
		t.Fatal(told.Err)
	}
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/ipc", s.Sleeper))
	if err != nil {
		t.Fatal(err)
	}
	if told.Link != want {
		t.Errorf("link is %q, want %q", told.Link, want)
	}
	if told.Cgroup == 0 {
		t.Error("the cgroup file is empty")
	}
	if told.RaisedOutside {
		t.Error("a namespace could be entered outside WithSysAdmin")
	}
	if got := strings.Count(told.Entered, "\n"); got != 2 {
		t.Errorf("the sleeper's namespace shows %d lines, want the header and one queue:\n%s", got, told.Entered)
	}
	if told.Entered == told.Own {
		t.Errorf("the sleeper's namespace shows what the own shows:\n%s", told.Own)
	}
	if told.Seccomp != "on" && !strings.HasPrefix(told.Seccomp, "not there") {
		t.Errorf("seccomp is %s", told.Seccomp)
	}
	t.Log(told.Report)
}

type capabilitiesTold struct {
	Report       string
	Permitted    []Capability
	Before       []threadStatus // of every thread, before Apply
	After        []threadStatus
	Raised       []threadStatus // while one thread is in WithSysAdmin
	RaisedThread int
	Lowered      []threadStatus
}

type threadStatus struct {
	TID                             int
	Eff, Prm, Inh, Amb, Bnd         uint64
	NoNewPrivs, Seccomp, FilterSize int
}

// threads returns the status of every thread of a process.
func threads(pid string) []threadStatus {
	files, err := filepath.Glob("/proc/" + pid + "/task/*/status")
	if err != nil {
		panic(err)
	}
	var all []threadStatus
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			panic(err)
		}
		var s threadStatus
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimSpace(value)
			hex := func(into *uint64) { *into, err = strconv.ParseUint(value, 16, 64) }
			dec := func(into *int) { *into, err = strconv.Atoi(value) }
			err = nil
			switch name {
			case "Pid":
				dec(&s.TID)
			case "CapEff":
				hex(&s.Eff)
			case "CapPrm":
				hex(&s.Prm)
			case "CapInh":
				hex(&s.Inh)
			case "CapAmb":
				hex(&s.Amb)
			case "CapBnd":
				hex(&s.Bnd)
			case "NoNewPrivs":
				dec(&s.NoNewPrivs)
			case "Seccomp":
				dec(&s.Seccomp)
			case "Seccomp_filters":
				dec(&s.FilterSize)
			}
			if err != nil {
				panic(err)
			}
		}
		all = append(all, s)
	}
	return all
}

// busyThreads starts threads that sleep until the channel is closed.
func busyThreads(n int) chan struct{} {
	stop := make(chan struct{})
	var started sync.WaitGroup
	for range n {
		started.Add(1)
		go func() {
			runtime.LockOSThread()
			started.Done()
			<-stop
		}()
	}
	started.Wait()
	return stop
}

func capabilities() (told capabilitiesTold) {
	defer close(busyThreads(8))
	told.Before = threads("self")
	r := Apply(Options{})
	told.Report, told.Permitted = r.String(), r.Permitted
	defer close(busyThreads(4))
	told.After = threads("self")
	if err := WithSysAdmin(func() error {
		told.RaisedThread = unix.Gettid()
		told.Raised = threads("self")
		return nil
	}); err != nil {
		panic(err)
	}
	told.Lowered = threads("self")
	return told
}

func TestCapabilitiesOfEveryThread(t *testing.T) {
	needRoot(t)
	needAllThreads(t)
	have, err := getCaps()
	if err != nil {
		t.Fatal(err)
	}
	eff := CapSysPtrace.bit() | CapDACReadSearch.bit()
	prm := eff | CapSysAdmin.bit()
	if have.permitted&prm != prm {
		t.Skipf("this root lacks capabilities itself: it has %#x", have.permitted)
	}
	var told capabilitiesTold
	child(t, "capabilities", setting{}, &told)
	t.Log(told.Report)
	if len(told.Before) < 9 || len(told.After) < 13 {
		t.Fatalf("only %d and %d threads were looked at", len(told.Before), len(told.After))
	}
	for _, s := range told.Before {
		if capSet(s.Eff)&^prm == 0 {
			t.Errorf("thread %d held no more before: %#x", s.TID, s.Eff)
		}
	}
	for when, all := range map[string][]threadStatus{"after": told.After, "raised": told.Raised, "lowered": told.Lowered} {
		raised := 0
		for _, s := range all {
			want := eff
			if when == "raised" && s.TID == told.RaisedThread {
				want = prm
				raised++
			}
			if capSet(s.Eff) != want || capSet(s.Prm) != prm || s.Inh != 0 || s.Amb != 0 {
				t.Errorf("%s: thread %d has CapEff %#x CapPrm %#x CapInh %#x CapAmb %#x, want %#x %#x 0 0",
					when, s.TID, s.Eff, s.Prm, s.Inh, s.Amb, want, prm)
			}
			if s.NoNewPrivs != 1 {
				t.Errorf("%s: thread %d has no no_new_privs", when, s.TID)
			}
			if s.Seccomp != unix.SECCOMP_MODE_FILTER && strings.Contains(told.Report, "seccomp: on") {
				t.Errorf("%s: thread %d has seccomp mode %d", when, s.TID, s.Seccomp)
			}
		}
		if when == "raised" && raised != 1 {
			t.Errorf("%d threads were raised", raised)
		}
	}
}

type sealedTold struct {
	Apply, Seal string
	Read        string // reading a file after Seal
	Stat        string
	Setns       string
	Write       string // opening for writing
	Alive       int
	Zone        string
	Commit      string
}

// sealedStory has a thread stuck in an open that nobody answers while Seal is called, then waits for a line on its
// standard input before it finishes.
func sealedStory(s setting) (told sealedTold) {
	out, err := CreateOutput(filepath.Join(s.Dir, "report"))
	if err != nil {
		panic(err)
	}
	fifo := filepath.Join(s.Dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		panic(err)
	}
	r := Apply(Options{Output: out})
	told.Apply = r.Seccomp.String()
	go func() {
		runtime.LockOSThread()
		unix.Open(fifo, unix.O_RDONLY, 0)
	}()
	ns, err := unix.Open("/proc/self/ns/ipc", unix.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	told.Seal = r.Seal().String()

	text := func(err error) string {
		var errno syscall.Errno
		if errors.As(err, &errno) {
			return unix.ErrnoName(errno)
		}
		return fmt.Sprint(err)
	}
	_, err = os.ReadFile("/proc/self/stat")
	told.Read = text(err)
	_, err = os.Stat("/")
	told.Stat = text(err)
	told.Setns = text(WithSysAdmin(func() error { return unix.Setns(ns, unix.CLONE_NEWIPC) }))
	_, err = os.OpenFile(filepath.Join(s.Dir, "victim"), os.O_WRONLY, 0)
	told.Write = text(err)
	told.Zone, _ = time.Unix(0, 0).Zone()

	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 32 {
		wg.Go(func() {
			runtime.LockOSThread()
			_ = bytes.Repeat([]byte("x"), 1_000_000)
			mu.Lock()
			told.Alive++
			mu.Unlock()
		})
	}
	wg.Wait()
	runtime.GC()

	fmt.Fprintln(os.Stderr, "sealed")
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		panic(err)
	}
	if _, err := io.WriteString(out, "the report\n"); err != nil {
		panic(err)
	}
	told.Commit = text(out.Commit())
	return told
}

func TestSealedProcessOpensNothing(t *testing.T) {
	needSeccomp(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "victim"), []byte("intact"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := storyCommand(t, "sealed", setting{Dir: dir})
	cmd.Env = append(cmd.Env, "TZ=Europe/Vienna")
	_, zoneErr := os.Stat("/usr/share/zoneinfo/Europe/Vienna")
	cmd.Stderr = nil
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if line != "sealed\n" {
		rest, _ := io.ReadAll(stderr)
		t.Fatalf("got %q, %v, %s", line, err, rest)
	}
	all := threads(strconv.Itoa(cmd.Process.Pid))
	if len(all) < 3 {
		t.Errorf("only %d threads were looked at", len(all))
	}
	for _, s := range all {
		// Seccomp_filters is there since Linux 5.9; 0 says nothing.
		if s.Seccomp != unix.SECCOMP_MODE_FILTER || s.FilterSize == 1 {
			t.Errorf("thread %d has seccomp mode %d and %d filters", s.TID, s.Seccomp, s.FilterSize)
		}
	}
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var told sealedTold
	if err := json.Unmarshal(out.Bytes(), &told); err != nil {
		t.Fatalf("%v in %q", err, out.Bytes())
	}
	want := sealedTold{Apply: "on", Seal: "on", Read: "EPERM", Stat: "EPERM", Setns: "EPERM", Write: "EPERM", Alive: 32,
		Zone: "CET", Commit: "<nil>"}
	if zoneErr != nil {
		want.Zone = told.Zone
	}
	if told != want {
		t.Errorf("\n got %+v\nwant %+v", told, want)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "report")); string(got) != "the report\n" {
		t.Errorf("the report reads %q, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); left != nil {
		t.Errorf("left over: %v", left)
	}
}

// outerFilter is the sandbox of somebody else, which answers one call with an errno.
func outerFilter(call uintptr, errno unix.Errno, flags uintptr) {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	raw, err := bpf.Assemble([]bpf.Instruction{
		load(dataNr),
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(call), SkipTrue: 1},
		ret(unix.SECCOMP_RET_ERRNO | uint32(errno)),
		ret(allow),
	})
	if err != nil {
		panic(err)
	}
	var filter []unix.SockFilter
	for _, r := range raw {
		filter = append(filter, unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K})
	}
	if tid, errno := setFilter(flags, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}); errno != 0 || tid != 0 {
		panic(fmt.Sprint(tid, errno))
	}
}

type withoutTold struct {
	Seccomp, Seal State
	Text          string
	NoNewPrivs    State
	Capabilities  State
	Bounding      uint64
	Threads       []threadStatus
	Read          bool
}

func withoutSeccomp() (told withoutTold) {
	defer close(busyThreads(4))
	r := Apply(Options{})
	told.Seccomp, told.NoNewPrivs, told.Capabilities = r.Seccomp.State, r.NoNewPrivs.State, r.Capabilities.State
	told.Text = r.String()
	told.Seal = r.Seal().State
	told.Threads = threads("self")
	_, err := os.ReadFile("/proc/self/stat")
	told.Read = err == nil
	return told
}

func TestWithoutSeccompTheRestIsDone(t *testing.T) {
	needRoot(t)
	needSeccomp(t)
	needAllThreads(t)
	cases := map[string]State{
		"no seccomp":      Absent,
		"seccomp refused": Unknown,
	}
	for story, want := range cases {
		t.Run(story, func(t *testing.T) {
			var told withoutTold
			child(t, story, setting{}, &told)
			t.Log(told.Text)
			if told.Seccomp != want || told.Seal != want {
				t.Errorf("seccomp is %v and sealing %v, want %v", told.Seccomp, told.Seal, want)
			}
			if told.NoNewPrivs != On || told.Capabilities != On || !told.Read {
				t.Errorf("got %+v", told)
			}
			if !strings.Contains(told.Text, "seccomp: "+want.String()) {
				t.Errorf("the report does not say so:\n%s", told.Text)
			}
			for _, s := range told.Threads {
				if s.Bnd != 0 || s.NoNewPrivs != 1 || capSet(s.Eff)&CapSysAdmin.bit() != 0 {
					t.Errorf("thread %d: CapBnd %#x CapEff %#x NoNewPrivs %d", s.TID, s.Bnd, s.Eff, s.NoNewPrivs)
				}
			}
		})
	}
}

// diverged gives one thread a filter of its own, so that the kernel cannot give it ours.
func diverged() string {
	ready := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		outerFilter(unix.SYS_SWAPOFF, unix.EPERM, 0)
		close(ready)
		select {}
	}()
	<-ready
	return Apply(Options{}).Seccomp.String()
}

func TestAThreadThatCannotBeGivenTheFilterIsNoticed(t *testing.T) {
	needSeccomp(t)
	var told string
	child(t, "diverged thread", setting{}, &told)
	if !strings.HasPrefix(told, "could not tell: seccomp: thread ") {
		t.Errorf("seccomp is %s", told)
	}
}

type costTold struct {
	Apply, Seal   time.Duration
	Before, After time.Duration // one process as the hot pass reads it
}

// cost times what Apply takes, and what the filter adds to the system calls of the hot pass.
func cost() (told costTold) {
	readOne := func() time.Duration {
		const rounds = 20_000
		buf := make([]byte, 4096)
		start := time.Now()
		for range rounds {
			dir, err := unix.Open("/proc/self", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				panic(err)
			}
			for _, link := range []string{"ns/ipc", "ns/pid", "ns/mnt"} {
				if _, err := unix.Readlinkat(dir, link, buf); err != nil {
					panic(err)
				}
			}
			fd, err := unix.Openat(dir, "cgroup", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				panic(err)
			}
			if _, err := unix.Read(fd, buf); err != nil {
				panic(err)
			}
			unix.Close(fd)
			unix.Close(dir)
		}
		return time.Since(start) / rounds
	}
	readOne()
	told.Before = readOne()
	start := time.Now()
	r := Apply(Options{})
	told.Apply = time.Since(start)
	told.After = readOne()
	start = time.Now()
	r.Seal()
	told.Seal = time.Since(start)
	return told
}

// BenchmarkConfinement reports the time of Apply and of Seal, and of reading one process before and after Apply.
func BenchmarkConfinement(b *testing.B) {
	needSeccomp(b)
	var sum costTold
	n := 0
	for b.Loop() {
		var told costTold
		child(b, "cost", setting{}, &told)
		sum.Apply += told.Apply
		sum.Seal += told.Seal
		sum.Before += told.Before
		sum.After += told.After
		n++
	}
	b.ReportMetric(float64(sum.Apply.Microseconds())/float64(n), "µs/apply")
	b.ReportMetric(float64(sum.Seal.Microseconds())/float64(n), "µs/seal")
	b.ReportMetric(float64(sum.Before.Nanoseconds())/float64(n), "ns/process-before")
	b.ReportMetric(float64(sum.After.Nanoseconds())/float64(n), "ns/process-after")
}
