package ipc

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"syscall"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

func TestAttach(t *testing.T) {
	const host, pod, other = 10, 20, 30
	shm := func(id int64, key uint32, nattch uint64) report.Shm {
		return report.Shm{ID: id, Key: key, NAttch: nattch}
	}
	removed := report.Shm{ID: 4, Key: 0, Mode: 0o1600, NAttch: 1}
	one := func(id int64, key uint32) []Attachment { return []Attachment{{id, key, 1}} }
	for _, tt := range []struct {
		name    string
		spaces  []Space
		mappers []Mapper
		want    map[string][]int // "inode/id" to pids
		unclear []Unmatched
	}{
		{"each at home, with the same id and key in both",
			[]Space{{host, []report.Shm{shm(0, 0, 1)}}, {pod, []report.Shm{shm(0, 0, 1)}}},
			[]Mapper{{2, "c", pod, one(0, 0)}, {1, "", host, one(0, 0)}},
			map[string][]int{"10/0": {1}, "20/0": {2}}, nil},
		{"two mappings of one process",
			[]Space{{host, []report.Shm{shm(3, 7, 2)}}},
			[]Mapper{{1, "", host, []Attachment{{3, 7, 2}}}},
			map[string][]int{"10/3": {1}}, nil},
		{"removed while attached: the key is gone",
			[]Space{{host, []report.Shm{removed}}},
			[]Mapper{{1, "", host, one(4, 0x1234)}},
			map[string][]int{"10/4": {1}}, nil},
		{"a container took the host's segment along",
			[]Space{{host, []report.Shm{shm(5, 9, 2)}}, {pod, nil}},
			[]Mapper{{1, "", host, one(5, 9)}, {2, "c", pod, one(5, 9)}},
			map[string][]int{"10/5": {1, 2}}, nil},
		{"the same id but another key is not that segment",
			[]Space{{host, []report.Shm{shm(5, 9, 2)}}, {pod, nil}},
			[]Mapper{{1, "", host, one(5, 9)}, {2, "c", pod, one(5, 8)}},
			map[string][]int{"10/5": {1}}, []Unmatched{{host, 5, 2, 1}}},
		{"brought along from one of two places: nobody is accused",
			[]Space{{host, []report.Shm{shm(5, 9, 1)}}, {other, []report.Shm{shm(5, 9, 1)}}, {pod, nil}},
			[]Mapper{{2, "c", pod, one(5, 9)}},
			map[string][]int{}, []Unmatched{{host, 5, 1, 0}, {other, 5, 1, 0}}},
		{"more travellers than the kernel counts: nobody is accused",
			[]Space{{host, []report.Shm{shm(5, 9, 1)}}, {pod, nil}},
			[]Mapper{{2, "c", pod, one(5, 9)}, {3, "c", pod, one(5, 9)}},
			map[string][]int{}, []Unmatched{{host, 5, 1, 0}}},
		{"a namespace that was not listed",
			[]Space{{host, []report.Shm{shm(5, 9, 1)}}},
			[]Mapper{{2, "c", pod, one(5, 9)}},
			map[string][]int{}, []Unmatched{{host, 5, 1, 0}}},
		{"an attacher that could not be read",
			[]Space{{host, []report.Shm{shm(5, 9, 3)}}},
			[]Mapper{{1, "", host, one(5, 9)}},
			map[string][]int{"10/5": {1}}, []Unmatched{{host, 5, 3, 1}}},
		{"one came along that has the id and key of a segment at home",
			[]Space{{host, []report.Shm{shm(5, 9, 1)}}},
			[]Mapper{{1, "", host, one(5, 9)}, {2, "", host, one(5, 9)}},
			map[string][]int{"10/5": {1, 2}}, []Unmatched{{host, 5, 1, 2}}},
		{"nobody is attached", []Space{{host, []report.Shm{shm(5, 9, 0)}}}, nil, map[string][]int{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			unclear := Attach(tt.spaces, tt.mappers)
			got := make(map[string][]int)
			for _, space := range tt.spaces {
				for _, s := range space.Shm {
					for _, a := range s.Attached {
						at := fmt.Sprintf("%d/%d", space.Inode, s.ID)
						got[at] = append(got[at], a.PID)
						for _, m := range tt.mappers {
							if m.PID == a.PID && m.Container != a.Container {
								t.Errorf("pid %d is in %q, want %q", a.PID, a.Container, m.Container)
							}
						}
					}
				}
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("attached: got %v, want %v", got, tt.want)
			}
			if !reflect.DeepEqual(unclear, tt.unclear) {
				t.Errorf("unclear: got %v, want %v", unclear, tt.unclear)
			}
			for _, u := range unclear {
				if u.String() == "" {
					t.Error("no words for it")
				}
			}
		})
	}
}

// attachSegments is the process that TestAttachersOfRealSegments looks at: it has two segments attached, twice each, and waits.
func attachSegments() error {
	for _, key := range []int{0x4711, unix.IPC_PRIVATE} {
		id, err := unix.SysvShmGet(key, 3*4096, unix.IPC_CREAT|0o600)
		if err != nil {
			return err
		}
		for range 2 {
			if _, err := unix.SysvShmAttach(id, 0, 0); err != nil {
				return err
			}
		}
		if key != unix.IPC_PRIVATE {
			if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil {
				return err
			}
		}
	}
	fmt.Println("attached")
	bufio.NewReader(os.Stdin).ReadByte() // until the parent goes
	return nil
}

func TestAttachersOfRealSegments(t *testing.T) {
	s := newSpace(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), partVariable+"=attach")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWIPC}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot start a process in an IPC namespace of its own: %v", err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "attached\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}

	fs, err := proc.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	devices, err := SegmentDevices(procFile)
	if err != nil {
		t.Fatal(err)
	}
	mapper := func(pid int) Mapper {
		p, err := fs.Process(pid)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		inode, err := p.Namespace("ipc")
		if err != nil {
			t.Fatal(err)
		}
		a, err := ReadAttachments(context.Background(), p, devices)
		if err != nil {
			t.Fatal(err)
		}
		return Mapper{PID: pid, IPC: inode, Attachments: a}
	}
	child := mapper(cmd.Process.Pid)
	listed, err := List(context.Background(), fs, func() (int, error) { return namespace.OpenOf(fs, child.PID, "ipc") }, child.IPC)
	if err != nil {
		t.Fatal(err)
	}

	// This process has a segment of a namespace attached that only one of its
	// threads is in: for /proc it is a process of another namespace.
	s.do(t, func() error {
		id, err := unix.SysvShmGet(0x4712, 4096, unix.IPC_CREAT|0o600)
		if err != nil {
			return err
		}
		mem, err := unix.SysvShmAttach(id, 0, 0)
		if err == nil {
			t.Cleanup(func() { unix.SysvShmDetach(mem) })
		}
		return err
	})
	foreign, err := List(context.Background(), fs, s.open, s.inode)
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	here, err := ReadSysV(fs.File)
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatal(err)
	}
	self := mapper(os.Getpid())
	if len(here.Shm) > 0 {
		t.Logf("the namespace of this test has %d segments of its own", len(here.Shm))
	}

	unclear := Attach([]Space{{child.IPC, listed.Shm}, {s.inode, foreign.Shm}, {self.IPC, here.Shm}}, []Mapper{child, self})
	for _, u := range unclear {
		if u.Inode != self.IPC { // others may be at work in the namespace of this test
			t.Errorf("unclear: %v", u)
		}
	}
	if len(listed.Shm) != 2 {
		t.Fatalf("the child's namespace has %+v", listed.Shm)
	}
	for _, seg := range listed.Shm {
		if seg.NAttch != 2 || !reflect.DeepEqual(seg.Attached, []report.Attached{{PID: child.PID}}) {
			t.Errorf("segment %d of the child: %d attachments, %v", seg.ID, seg.NAttch, seg.Attached)
		}
	}
	if len(foreign.Shm) != 1 || !reflect.DeepEqual(foreign.Shm[0].Attached, []report.Attached{{PID: self.PID}}) {
		t.Errorf("what was attached from outside: %+v", foreign.Shm)
	}
}
