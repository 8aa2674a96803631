package nsinspect_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

// A thread can go where its process is not. Each story is told twice: a scan that
// looks at the threads of containers only must say the same as one that looks at all.
func TestThreadsThatStray(t *testing.T) {
	const box = " ipc=7 pid=8 mnt=9 cgroup=0::/docker/" + idA
	for _, s := range []struct {
		story, tree    string
		want           []string
		evidence, says string
	}{
		{"a thread of the init enters the host's IPC namespace", "100" + box + "\n100/102 ipc=host",
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=private!100/102 pid=private exposed", "high stray-ipc docker:aaaaaaaaaaaa"},
			"/proc/100/task/102/ns/ipc", "has a thread in the host's IPC namespace that its init is not in"},
		{"a thread of another member enters the host's PID namespace", "100" + box + "\n101 ppid=100" + box + "\n101/103 pid=host",
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101] ipc=private pid=private!101/103 exposed", "high stray-pid docker:aaaaaaaaaaaa"},
			"/proc/101/task/103/ns/pid", "has a thread in the host's PID namespace that its init is not in"},
		{"a process and a thread of another one", "100" + box + "\n100/102 ipc=host\n101 ppid=100 pid=8 mnt=9 cgroup=0::/docker/" + idA,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101] ipc=private!101!100/102 pid=private exposed", "high stray-ipc docker:aaaaaaaaaaaa"},
			"/proc/100/task/102/ns/ipc", "has a process in the host's IPC namespace that its init is not in"},
		{"a thread in a namespace of its own is no danger", "100" + box + "\n100/102 ipc=77",
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=private!100/102=77 pid=private"}, "", ""},
		{"a thread that comes back into its container's namespace is no stray", "100" + box + "\n101 ppid=100 pid=8 mnt=9 cgroup=0::/docker/" + idA + "\n101/103 ipc=7",
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100 101] ipc=private!101 pid=private exposed", "high stray-ipc docker:aaaaaaaaaaaa"}, "", ""},
		{"an engine's thread in a container's namespace is the engine's", "99 comm=dockerd cgroup=0::/system.slice/docker.service\n99/98 ipc=7\n100" + box,
			[]string{"docker:aaaaaaaaaaaa init=100 pids=[100] ipc=private pid=private"}, "", ""},
	} {
		t.Run(s.story, func(t *testing.T) {
			src := nsinspect.Source{Proc: proctest.Build(t, base+s.tree), AnyTree: true}
			for _, deep := range []bool{false, true} {
				r, err := nsinspect.Inspect(context.Background(), src, nsinspect.Options{Deep: deep})
				if err != nil {
					t.Fatal(err)
				}
				if got := withThreads(r); !slices.Equal(got, s.want) {
					t.Errorf("deep=%v: got\n\t%s\nwant\n\t%s", deep, strings.Join(got, "\n\t"), strings.Join(s.want, "\n\t"))
				}
				told := false
				for _, f := range r.Findings {
					for _, e := range f.Evidence {
						if e.What == s.evidence {
							told = true
							if f.Title != s.says {
								t.Errorf("it says %q, want %q", f.Title, s.says)
							}
						}
					}
				}
				if told != (s.evidence != "") {
					t.Errorf("deep=%v: evidence %q: %v", deep, s.evidence, told)
				}
			}
		})
	}
}

// withThreads is a report in short, with the stray threads as PID/TID and, where it is not the host's, the inode.
func withThreads(r *report.Report) []string {
	out := lines(r)
	for i, c := range r.Containers {
		for kind, n := range map[string]report.Namespace{"ipc=": c.IPC, "pid=": c.PID} {
			var strays strings.Builder
			for _, s := range n.StrayThreads {
				fmt.Fprintf(&strays, "!%d/%d", s.PID, s.TID)
				if !s.Host {
					fmt.Fprintf(&strays, "=%d", s.Inode)
				}
			}
			before, after, _ := strings.Cut(out[i], " "+kind)
			state, rest, more := strings.Cut(after, " ")
			if out[i] = before + " " + kind + state + strays.String(); more {
				out[i] += " " + rest
			}
		}
	}
	return out
}

// hidden makes an IPC namespace with a segment in it that nobody is in, and
// that only a descriptor of this process keeps.
func hidden(t *testing.T) (fd int, inode uint64, shmid int) {
	t.Helper()
	done := make(chan error)
	var tid int
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends
		if unix.Gettid() == unix.Getpid() {
			// The first thread does not end; another one is as good while this one is held.
			inner := make(chan error)
			go func() {
				runtime.LockOSThread()
				inner <- unshareIPC(&fd, &inode, &shmid, &tid)
			}()
			err := <-inner
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- unshareIPC(&fd, &inode, &shmid, &tid)
	}()
	if err := <-done; err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Skipf("cannot make an IPC namespace (needs root): %v", err)
		}
		t.Fatal(err)
	}
	for unix.Access(fmt.Sprintf("/proc/self/task/%d", tid), unix.F_OK) == nil {
		runtime.Gosched() // it is about to end
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd, inode, shmid
}

func unshareIPC(fd *int, inode *uint64, shmid, tid *int) (err error) {
	*tid = unix.Gettid()
	if err = unix.Unshare(unix.CLONE_NEWIPC); err != nil {
		return err
	}
	// A few, so that the id of the last is not one that others have.
	for range 9 {
		if *shmid, err = unix.SysvShmGet(unix.IPC_PRIVATE, 12345, 0o640); err != nil {
			return err
		}
	}
	if *fd, err = unix.Open("/proc/thread-self/ns/ipc", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	var st unix.Stat_t
	err = unix.Fstat(*fd, &st)
	*inode = st.Ino
	return err
}

func TestDeepListsTheObjectsOfANamespaceThatNobodyIsIn(t *testing.T) {
	fd, inode, shmid := hidden(t)
	pin := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)
	for _, deep := range []bool{false, true} {
		r, err := nsinspect.Inspect(context.Background(), nsinspect.Source{}, nsinspect.Options{Deep: deep})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(r.IPCNamespaces, func(n report.IPCNamespace) bool { return n.Inode == inode })
		if !deep {
			if i >= 0 {
				t.Errorf("without looking at descriptors it was found: %+v", r.IPCNamespaces[i])
			}
			continue
		}
		if i < 0 {
			t.Fatalf("ipc:[%d] was not found", inode)
		}
		n := r.IPCNamespaces[i]
		if n.Host || n.Processes != 0 || !slices.Equal(n.PinnedBy, []string{pin}) || !n.Listed || n.Error != "" {
			t.Errorf("got %+v, want it kept by %s alone", n, pin)
		}
		if !slices.ContainsFunc(n.Shm, func(m report.Shm) bool { return int(m.ID) == shmid && m.Size == 12345 }) {
			t.Errorf("segment %d is not in %+v", shmid, n.Shm)
		}
		if !r.IPCNamespaces[0].Host || !slices.IsSortedFunc(r.IPCNamespaces[1:], func(a, b report.IPCNamespace) int {
			return int(int64(a.Inode) - int64(b.Inode))
		}) {
			t.Error("the host's namespace is not the first, or the others are not in order")
		}
		if h := r.IPCNamespaces[0]; slices.ContainsFunc(h.Shm, func(m report.Shm) bool { return int(m.ID) == shmid && m.Size == 12345 }) {
			t.Errorf("segment %d is in the host's namespace too", shmid)
		}
	}
}

func TestNamespacesOfALiveHost(t *testing.T) {
	_, inode, _ := hidden(t)
	list, err := nsinspect.Namespaces(context.Background(), nsinspect.Source{}, nsinspect.Options{Deep: true}, "ipc", "user")
	if err != nil {
		t.Fatal(err)
	}
	find := func(kind string, inode uint64) report.FoundNamespace {
		for _, n := range list.Namespaces {
			if n.Type == kind && n.Inode == inode {
				return n
			}
		}
		t.Fatalf("%s:[%d] was not found", kind, inode)
		return report.FoundNamespace{}
	}
	var own unix.Stat_t
	if err := unix.Stat("/proc/self/ns/user", &own); err != nil {
		t.Fatal(err)
	}
	n := find("ipc", inode)
	if n.Owner != own.Ino || n.OwnerUID != int64(os.Getuid()) && own.Ino != 4026531837 || n.Leader != 0 || n.Comm != "" || n.Host || n.Initial {
		t.Errorf("got %+v, want the owner %d", n, own.Ino)
	}
	if u := find("user", own.Ino); u.Processes == 0 || u.Leader == 0 || u.Comm == "" {
		t.Errorf("got %+v, want processes and a leader", u)
	}
	for _, n := range list.Namespaces {
		if n.Type != "ipc" && n.Type != "user" {
			t.Errorf("%s:[%d] was not asked for", n.Type, n.Inode)
		}
	}
}
