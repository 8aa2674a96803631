package hostile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// scene is a host with containers on it: processes in namespaces of their own and in cgroups as docker names them.
type scene struct {
	truth     truth
	hostIPC   string // the id of the container in the host's IPC namespace
	hostPID   string
	private   string
	processes map[string]int
}

// hierarchy returns the directory of a cgroup hierarchy in which cgroups can be made and processes put.
func hierarchy(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, options := range []string{" - cgroup2 ", ",pids", ",freezer", "name=systemd"} {
		for line := range strings.Lines(string(b)) {
			if fields := strings.Fields(line); strings.Contains(line, " - cgroup") && strings.Contains(line, options) && fields[3] == "/" {
				return fields[4]
			}
		}
	}
	t.Skip("no cgroup hierarchy is mounted")
	return ""
}

// cgroup makes a cgroup for the length of the test.
func cgroup(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(hierarchy(t), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Skipf("no cgroup can be made: %v", err)
	}
	t.Cleanup(func() {
		for range 300 { // until the last process has left
			if err := unix.Rmdir(dir); !errors.Is(err, unix.EBUSY) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		unix.Rmdir(filepath.Dir(dir)) // unless there are others in it
	})
	return dir
}

func newID() string {
	b := make([]byte, 32)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// settle makes a process that sleeps in a container's cgroup and in new namespaces.
func settle(t *testing.T, id string, namespaces uintptr) int {
	t.Helper()
	dir := cgroup(t, "docker/"+id)
	a := act(t, "sleep", &syscall.SysProcAttr{Cloneflags: namespaces})
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, a.Process.Pid), 0o644); err != nil {
		t.Skipf("no process can be put into a cgroup: %v", err)
	}
	return a.Process.Pid
}

// newScene makes three containers, and waits until they are old enough to be believed at first sight.
func newScene(t *testing.T) *scene {
	root(t)
	const ipc, pid, mnt = unix.CLONE_NEWIPC, unix.CLONE_NEWPID, unix.CLONE_NEWNS
	s := &scene{hostIPC: newID(), hostPID: newID(), private: newID(), processes: map[string]int{}}
	s.processes[s.hostIPC] = settle(t, s.hostIPC, pid|mnt)
	s.processes[s.hostPID] = settle(t, s.hostPID, ipc|mnt)
	s.processes[s.private] = settle(t, s.private, ipc|pid|mnt)
	s.truth = truth{
		s.hostIPC: {report.StateHost, report.StatePrivate},
		s.hostPID: {report.StatePrivate, report.StateHost},
		s.private: {report.StatePrivate, report.StatePrivate},
	}
	time.Sleep(1500 * time.Millisecond)
	return s
}
