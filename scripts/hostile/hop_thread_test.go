package hostile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect"
)

// TestHopThread has a process in a container whose threads are many, all but one of which are where they belong. That one is in the host's IPC
// namespace, starts another one and ends, all the time: when the list of threads has been read up to it, it has gone.
func TestHopThread(t *testing.T) {
	root(t)
	const idle = 1500
	for _, h := range []struct {
		life        time.Duration
		comm        string
		scans, seen int
	}{
		{5 * time.Millisecond, "hop", 6, 5},
		{time.Millisecond, "hop", 6, 5},
		{time.Minute, "runc:[2:INIT]", 1, 1}, // as long as it is young, so that there is time for one scan
	} {
		t.Run(fmt.Sprintf("%s %v", h.comm, h.life), func(t *testing.T) {
			id := newID()
			dir := cgroup(t, "docker/"+id)
			a := act(t, fmt.Sprintf("hop-threads %d %d %d %s", os.Getpid(), h.life.Nanoseconds(), idle, h.comm), &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWIPC | unix.CLONE_NEWNS})
			if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Append(nil, a.Process.Pid), 0o644); err != nil {
				t.Skipf("no process can be put into a cgroup: %v", err)
			}
			if h.scans > 1 {
				time.Sleep(1500 * time.Millisecond) // it is no longer young
			}
			seen := 0
			for range h.scans {
				r, err := nsinspect.Inspect(context.Background(), nsinspect.Source{}, nsinspect.Options{NoNames: true})
				if err != nil {
					t.Fatal(err)
				}
				c := found(r, id)
				if c == nil {
					t.Fatal("the container is not there")
				}
				for _, s := range c.IPC.StrayThreads {
					if s.Host {
						seen++
						break
					}
				}
			}
			t.Logf("%d of %d scans met a thread", seen, h.scans)
			if seen < h.seen {
				t.Errorf("%d of %d scans met a thread", seen, h.scans)
			}
		})
	}
}

// hopThreads is the process. It was started in an IPC namespace of its own, and host is a process in the host's.
func hopThreads(host, life, idle, comm string) error {
	var ns int64
	var n int
	if _, err := fmt.Sscan(life+" "+idle, &ns, &n); err != nil {
		return err
	}
	ipc, err := unix.Open("/proc/"+host+"/ns/ipc", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	there := make(chan error)
	for range n {
		go func() {
			runtime.LockOSThread()
			there <- nil
			unix.Pause()
		}()
		<-there
	}
	if err := os.WriteFile("/proc/self/comm", []byte(comm), 0); err != nil {
		return err
	}
	// A goroutine that ends with its thread locked ends the thread.
	var hop func()
	hop = func() {
		runtime.LockOSThread()
		err := unix.Setns(ipc, unix.CLONE_NEWIPC)
		there <- err
		if err != nil {
			return
		}
		rest := unix.NsecToTimespec(ns)
		unix.Nanosleep(&rest, nil)
		go hop()
		<-there
	}
	go hop()
	if err := <-there; err != nil {
		return err
	}
	ready()
	return nil
}
