package hostile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// TestEnds: whoever waits for a file system in user space cannot be killed once it has read the question, and a process with such a
// thread never ends. So the whole program has to end, and not only to write its report; and the file system must not be asked.
func TestEnds(t *testing.T) {
	s := newScene(t)
	for _, c := range []struct {
		story string
		// trap makes a process that starts one in a container; the directory is of the file system.
		trap func(t *testing.T, f *proctest.FUSE, dir, procs, id string)
		gap  string // what is told of it
	}{
		// The kernel reads no command line from a file (get_user_pages with FOLL_ANON, Linux 4.17).
		{"the command line is in a file", func(t *testing.T, f *proctest.FUSE, dir, procs, id string) {
			hanging(f, "page")
			act(t, "map-arguments "+dir+"/page "+procs, nil)
			f.Silence()
		}, ""},
		{"the memory lock is held", func(t *testing.T, f *proctest.FUSE, dir, procs, id string) {
			hanging(f, "page")
			act(t, "lock-memory "+dir+"/page "+procs, nil)
		}, "no answer in time"},
		{"the engine's working directory", func(t *testing.T, f *proctest.FUSE, dir, procs, id string) {
			hanging(f, "config.json")
			act(t, "shim "+dir+" "+procs+" "+id, nil)
			f.Silence()
		}, "on a file system of type fuse, which may never answer"},
		{"an overlay over it", func(t *testing.T, f *proctest.FUSE, dir, procs, id string) {
			hanging(f, "config.json")
			act(t, "overlay "+dir+" shim . "+procs+" "+id, nil)
			f.Silence()
		}, "on a file system of type overlay, which may never answer"},
		{"a mount in the engine's working directory", func(t *testing.T, f *proctest.FUSE, dir, procs, id string) {
			hanging(f, "config.json")
			bundle := t.TempDir()
			file := filepath.Join(bundle, "config.json")
			if err := errors.Join(os.WriteFile(file, nil, 0o644), unix.Mount(dir+"/config.json", file, "", unix.MS_BIND, "")); err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { unix.Unmount(file, unix.MNT_DETACH) })
			act(t, "shim "+bundle+" "+procs+" "+id, nil)
			f.Silence()
		}, "on a file system of type fuse, which may never answer"},
		{"the container's /dev/shm", func(t *testing.T, f *proctest.FUSE, dir, procs, id string) {
			act(t, "shared "+dir+" "+procs, nil)
			f.Silence()
		}, "it is no tmpfs, but fuse"},
	} {
		t.Run(c.story, func(t *testing.T) {
			dir := t.TempDir()
			f := proctest.MountFUSE(t, dir)
			id := newID()
			c.trap(t, f, dir, filepath.Join(cgroup(t, "docker/"+id), "cgroup.procs"), id)
			t.Cleanup(f.Unmount)               // first of all, or else what waits could not even be killed
			time.Sleep(200 * time.Millisecond) // lock-memory takes the lock after it has said that it is ready

			var out, stderr bytes.Buffer
			cmd := exec.Command(binary(t), "scan", "--deep", "-f", "json", "--baseline", fmt.Sprint(os.Getpid()))
			cmd.Stdout, cmd.Stderr = &out, &stderr
			begin := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-ended:
			case <-time.After(hang):
				t.Errorf("it did not end: %s", threads(cmd.Process.Pid))
				f.Unmount()
				<-ended
			}
			took := time.Since(begin)
			var r report.Report
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatalf("%v; stdout %q, stderr %q", err, out.String(), stderr.String())
			}
			for _, lie := range s.truth.lies(&r) {
				t.Error(lie)
			}
			if c := found(&r, id); c == nil || c.IPC.State != report.StatePrivate {
				t.Errorf("the container: %+v", c)
			}
			told := slices.ContainsFunc(r.Coverage.Gaps, func(g report.Gap) bool { return strings.Contains(g.Error, c.gap) })
			if c.gap != "" && !told {
				t.Errorf("no gap says %q: %+v", c.gap, r.Coverage.Gaps)
			}
			if n := f.Ignored(); n != 0 {
				t.Errorf("%d questions were asked", n)
			}
			t.Logf("%s: it ended after %.1f s", c.story, took.Seconds())
		})
	}
}

// hanging adds a file that can be opened, and whose reading never ends.
func hanging(f *proctest.FUSE, name string) {
	f.Add(name, unix.S_IFREG|0o644, "{}")
	f.Change(name, func(n *proctest.FUSENode) { n.Size, n.Hang = 4096, true })
}

// threads tells what each thread of a process is doing.
func threads(pid int) string {
	var b bytes.Buffer
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		stat, _ := os.ReadFile(task + "/stat")
		where, _ := os.ReadFile(task + "/wchan")
		stack, _ := os.ReadFile(task + "/stack")
		fmt.Fprintf(&b, "\n%s %s %.80s %s", task, where, stat, stack)
	}
	return b.String()
}

// mapArguments is the part that starts a process of a container and then has a page of its command line in a file.
func mapArguments(path, procs string) error {
	const page = 4096
	if len(os.Args) == 1 {
		// Long enough for a page with nothing else on it.
		return unix.Exec("/proc/self/exe", []string{"/proc/self/exe", strings.Repeat("x", 3*page)}, os.Environ())
	}
	if err := contain(procs, "sleep"); err != nil {
		return err
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return err
	}
	const argStart = 48 - 3 // proc_pid_stat(5) counts from 1, and the name ends before the third field
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	begin, err := strconv.ParseUint(fields[argStart], 10, 64)
	if err != nil {
		return err
	}
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	at := (begin + 2*page - 1) &^ (page - 1)
	if _, err := unix.MmapPtr(fd, 0, unsafe.Add(nil, at), page, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_FIXED); err != nil {
		return err
	}
	ready()
	return nil
}

// shim is the part that looks like containerd's process for one container, whose bundle is its working directory.
func shim(dir, procs, id string) error {
	if os.Args[0] == "/proc/self/exe" {
		if err := os.Chdir(dir); err != nil {
			return err
		}
		return unix.Exec("/proc/self/exe", []string{"/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", id, "-address", "/run/containerd.sock"}, os.Environ())
	}
	if err := contain(procs, "sleep"); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&[]byte("containerd-shim\x00")[0])), 0, 0, 0); err != nil {
		return err
	}
	ready()
	return nil
}

// contain starts a process of a container, which ends with this one.
func contain(procs, part string) error {
	child := exec.Command("/proc/self/exe")
	child.Dir = "/"
	child.Env = append(os.Environ(), partVariable+"="+part)
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWIPC | unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	if _, err := child.StdinPipe(); err != nil { // it ends with us
		return err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	if err := os.WriteFile(procs, fmt.Append(nil, child.Process.Pid), 0o644); err != nil {
		return err
	}
	_, err = bufio.NewReader(out).ReadString('\n') // it is ready
	return err
}

// overlay is the part that goes on as another one in a mount namespace of its own and a directory that is laid over the given one.
func overlay(dir string, then []string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	const at = "/mnt"
	if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
		return err
	}
	for _, name := range []string{"lower", "merged"} {
		if err := os.Mkdir(filepath.Join(at, name), 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("none", at+"/merged", "overlay", 0, "lowerdir="+at+"/lower:"+dir); err != nil {
		return err
	}
	if err := os.Chdir(at + "/merged"); err != nil {
		return err
	}
	if err := os.Setenv(partVariable, strings.Join(then, " ")); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", []string{"/proc/self/exe"}, os.Environ())
}

// shared is the part that starts a process of a container that has a directory for its /dev/shm.
func shared(dir, procs string) error {
	if err := contain(procs, "bind-shm "+dir); err != nil {
		return err
	}
	ready()
	return nil
}

// bindShm is the part of that process.
func bindShm(dir string) error {
	if err := unix.Mount(dir, "/dev/shm", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	ready()
	return nil
}
