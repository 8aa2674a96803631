package engines

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The tests run in a child of the test binary. Its parent, the janitor, is the
// reaper of everything that the engines daemonise, and so can find and end what
// is left when the tests have ended, also when they ended by a panic, a timeout
// or a signal. Nothing is ever ended by name.
const labVariable = "NSINSPECT_ENGINES_LAB"

// keyOf is the nth key of the SysV objects that the tests below a janitor make.
func keyOf(janitor, n int) int { return 0x40000000 | janitor&0xfffff<<8 | n }

func TestMain(m *testing.M) {
	if strings.HasPrefix(filepath.Base(os.Args[0]), boundedRuntime) {
		runBounded()
	}
	if os.Geteuid() == 0 && os.Getenv(labVariable) == "" {
		os.Exit(janitor())
	}
	code := m.Run()
	summarise()
	os.Exit(code)
}

// janitor runs the tests in a child and cleans up after them.
func janitor() int {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "engines: cannot adopt orphans:", err)
		return 1
	}
	lock, err := alone()
	if err != nil {
		fmt.Fprintln(os.Stderr, "engines: cannot wait for another run to end:", err)
		return 1
	}
	defer lock.Close()
	lab, err := os.MkdirTemp("", "nsi")
	if err == nil {
		err = os.Chmod(lab, 0o755) // rootless engines must reach their files
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		return 1
	}

	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		return 1
	}
	child, err := os.StartProcess(self, os.Args, &os.ProcAttr{
		Env:   append(os.Environ(), labVariable+"="+lab),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "engines:", err)
		return 1
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	go func() {
		for s := range signals {
			unix.Kill(child.Pid, s.(syscall.Signal))
			if s != unix.SIGQUIT {
				time.AfterFunc(5*time.Second, func() { unix.Kill(child.Pid, unix.SIGKILL) })
			}
		}
	}()

	code := 1
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			break
		}
		if pid == child.Pid {
			if status.Exited() {
				code = status.ExitStatus()
			}
			break
		}
	}
	left := leftovers(lab)
	clean(lab)
	if code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "engines: the tests passed, but left this behind (removed now):\n\t%s\n", strings.Join(left, "\n\t"))
		code = 1
	}
	if still := leftovers(lab); len(still) > 0 {
		fmt.Fprintf(os.Stderr, "engines: could not remove:\n\t%s\n", strings.Join(still, "\n\t"))
		code = 1
	}
	return code
}

// leftovers names every process, mount and IPC object of ours, after giving
// helpers that are about to end (a shim's last moments) a little time.
func leftovers(lab string) []string {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var left []string
		for _, p := range descendants(os.Getpid()) {
			cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p))
			left = append(left, fmt.Sprintf("process %d: %s", p, bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
		}
		for _, m := range mountsBelow(lab) {
			left = append(left, "mount "+m)
		}
		for _, o := range ourObjects(os.Getpid()) {
			left = append(left, fmt.Sprintf("%s %d", o.kind, o.id))
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// clean removes everything of ours, whatever state it is in.
func clean(lab string) {
	ended := map[string]bool{}
	segments := segmentsOf(descendants(os.Getpid()))
	for range 100 {
		all := descendants(os.Getpid())
		maps.Copy(ended, cgroupsOf(all))
		if len(all) == 0 {
			break
		}
		for _, p := range all {
			unix.Kill(p, unix.SIGKILL)
		}
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	for range 10 {
		mounts := mountsBelow(lab)
		for _, m := range slices.Backward(mounts) {
			unix.Unmount(m, unix.MNT_DETACH)
		}
		if len(mounts) == 0 {
			break
		}
	}
	for _, o := range append(ourObjects(os.Getpid()), segments...) {
		o.remove()
	}
	removeStates(lab)
	for path := range cgroupsOf([]int{os.Getpid()}) {
		delete(ended, path) // whoever started us put us there
	}
	removeCgroups(ended)
	os.RemoveAll(lab)
}

// descendants returns every living process below one, zombies left out.
func descendants(root int) []int {
	children := map[int][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		ppid, _ := strconv.Atoi(fields[1])
		children[ppid] = append(children[ppid], pid)
	}
	var all []int
	queue := []int{root}
	for len(queue) > 0 {
		next := children[queue[0]]
		all, queue = append(all, next...), append(queue[1:], next...)
	}
	return all
}

// mountsBelow lists the mount points of this mount namespace below a directory,
// parents first.
func mountsBelow(dir string) []string {
	data, _ := os.ReadFile("/proc/self/mountinfo")
	var mounts []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			mounts = append(mounts, f[4])
		}
	}
	return mounts
}

// alone waits until no other run of these tests is on this machine: both would
// use the same places, and neither could tell what is its own.
func alone() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "nsinspect-engines.lock"), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ownParent is the cgroup below which these tests put what they can choose.
// Nobody else's cgroup has a name that begins so.
const ownParent = "nsi-"

// hierarchies are the mount points of cgroup file systems.
func hierarchies() []string {
	all, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); err == nil {
		all = append(all, "/sys/fs/cgroup/cgroup.procs")
	}
	for i := range all {
		all[i] = filepath.Dir(all[i])
	}
	return all
}

// cgroupsOf returns the paths of the cgroups that processes are in.
func cgroupsOf(pids []int) map[string]bool {
	paths := map[string]bool{}
	for _, p := range pids {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p))
		for line := range strings.Lines(string(data)) {
			if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 && f[2] != "/" && !strings.Contains(f[2], "..") {
				paths[f[2]] = true
			}
		}
	}
	return paths
}

// removeCgroups removes cgroups that our own processes were in when they were
// ended, and everything below parents that bear our name. Parents that an engine
// chose (/docker, /kubepods) stay: they may be somebody else's by now.
func removeCgroups(ended map[string]bool) {
	for _, hierarchy := range hierarchies() {
		for path := range ended {
			unix.Rmdir(filepath.Join(hierarchy, path)) // fails where it is in use, or a parent of others
		}
		own, _ := filepath.Glob(filepath.Join(hierarchy, ownParent+"*"))
		for _, top := range own {
			var dirs []string
			filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return nil
			})
			for _, dir := range slices.Backward(dirs) {
				unix.Rmdir(dir)
			}
		}
	}
}

// removeStates removes what runc and crun keep of containers whose bundle is below lab.
func removeStates(lab string) {
	for _, pattern := range []string{"/run/runc/*/state.json", "/run/crun/*/status"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			if data, err := os.ReadFile(f); err == nil && bytes.Contains(data, []byte(lab+"/")) {
				os.RemoveAll(filepath.Dir(f))
			}
		}
	}
}

// object is one SysV object that these tests made.
type object struct {
	kind string
	id   int
}

// ourObjects lists the objects of this IPC namespace with our keys.
func ourObjects(janitor int) []object {
	var ours []object
	for _, kind := range []string{"shm", "sem", "msg"} {
		data, _ := os.ReadFile("/proc/sysvipc/" + kind)
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			key, err := strconv.ParseInt(f[0], 10, 64)
			if err != nil || int(key)&^0xff != keyOf(janitor, 0) {
				continue
			}
			if id, err := strconv.Atoi(f[1]); err == nil {
				ours = append(ours, object{kind, id})
			}
		}
	}
	return ours
}

// segmentsOf lists the segments that some processes made: programs that choose
// their keys themselves remove them only when they may end in peace.
func segmentsOf(pids []int) []object {
	var made []object
	data, _ := os.ReadFile("/proc/sysvipc/shm")
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line) // key shmid perms size cpid …
		if len(f) < 5 {
			continue
		}
		id, err := strconv.Atoi(f[1])
		maker, makerErr := strconv.Atoi(f[4])
		if err == nil && makerErr == nil && slices.Contains(pids, maker) {
			made = append(made, object{"shm", id})
		}
	}
	return made
}

// remove takes an object off the kernel: shmctl(2), semctl(2), msgctl(2).
func (o object) remove() {
	const rmid = 0 // IPC_RMID
	switch o.kind {
	case "shm":
		unix.Syscall(unix.SYS_SHMCTL, uintptr(o.id), rmid, 0)
	case "sem":
		unix.Syscall6(unix.SYS_SEMCTL, uintptr(o.id), 0, rmid, 0, 0, 0)
	case "msg":
		unix.Syscall(unix.SYS_MSGCTL, uintptr(o.id), rmid, 0)
	}
}
