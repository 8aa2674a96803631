package nsinspect_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect"
)

func TestTheHostsDevShmIsListed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the baseline's process is somebody else's")
	}
	name := fmt.Sprintf("nsinspect-test-%d", os.Getpid())
	if err := os.WriteFile("/dev/shm/"+name, make([]byte, 5000), 0o640); err != nil {
		t.Skipf("no /dev/shm to write to: %v", err)
	}
	t.Cleanup(func() { os.Remove("/dev/shm/" + name) })
	r, err := nsinspect.Inspect(context.Background(), nsinspect.Source{}, nsinspect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.DevShm) == 0 || !r.DevShm[0].Host {
		t.Fatalf("the host's is not the first of %+v", r.DevShm)
	}
	self, _ := os.Readlink("/proc/self/ns/mnt")
	if self != fmt.Sprintf("mnt:[%d]", r.Baseline.Mnt) {
		t.Skipf("this test is in %s and the baseline in mnt:[%d]", self, r.Baseline.Mnt)
	}
	for _, f := range r.DevShm[0].Files {
		if f.Name == name {
			if f.Size != 5000 || f.Perms != "0640" || f.UID != 0 {
				t.Errorf("got %+v", f)
			}
			return
		}
	}
	t.Errorf("%s is not among the files of %+v", name, r.DevShm[0])
}
