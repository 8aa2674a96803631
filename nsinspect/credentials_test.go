package nsinspect

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// In a rootless container the reader's own map has the ids of the host, and all
// else that it reads has the container's: whether its neighbours can become the owner of an
// object must be told from the latter.
func TestReadersOwnUserNamespace(t *testing.T) {
	const within = "NSINSPECT_TEST_WITHIN"
	if os.Getenv(within) == "" {
		if os.Geteuid() != 0 {
			t.Skip("needs root to map a range of ids")
		}
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), within+"=1")
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Credential: &syscall.Credential{}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			if cmd.Process == nil {
				t.Skipf("no user namespace: %v", err)
			}
			t.Fatalf("in the user namespace: %v\n%s", err, out)
		}
		return
	}

	fs, err := proc.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	self := os.Getpid()
	s := &survey{fs: fs, facts: container.Facts{Processes: []container.Process{{Record: proc.Record{PID: self}}}}}
	processes := s.credentials(context.Background(), []int{self})
	if len(processes) != 1 {
		t.Fatalf("credentials: %v", processes)
	}
	cred := s.userNamespaces(context.Background(), processes).cred(processes[0])
	if cred.EUID != 0 {
		t.Fatalf("uid %d, want 0: not the case that was to be tested", cred.EUID)
	}
	for _, id := range []uint32{0, 999, 65535} {
		if inside, ok := cred.UIDMap.Inside(id); !ok || inside != id {
			t.Errorf("uid %d: %d, %v, want itself", id, inside, ok)
		}
		if inside, ok := cred.GIDMap.Inside(id); !ok || inside != id {
			t.Errorf("gid %d: %d, %v, want itself", id, inside, ok)
		}
	}
	if inside, ok := cred.UIDMap.Inside(100000); ok {
		t.Errorf("uid 100000 of the host is uid %d, want none: no number that is read here is the host's", inside)
	}
}
