package namespace

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"golang.org/x/sys/unix"
)

// childRole is the variable that makes this test binary a helper process.
const childRole = "NSINSPECT_TEST_CHILD"

func TestMain(m *testing.M) {
	switch role := os.Getenv(childRole); role {
	case "":
		os.Exit(m.Run())
	default:
		if err := child(role, os.Args[1:]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		io.Copy(io.Discard, os.Stdin) // until the test ends it
	}
}

// child is what a helper process does before it tells, in one line, that it is ready.
func child(role string, args []string) error {
	switch role {
	case "sleep":
		fmt.Println("ready")
		return nil
	case "mount":
		// The namespace of a thread that ends is left with nothing but a mount.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("mount --make-rprivate /: %w", err)
		}
		done := make(chan error)
		onThread(func() (dirty bool) {
			done <- func() error {
				if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
					return fmt.Errorf("unshare: %w", err)
				}
				id, err := idOf("/proc/thread-self/ns/ipc")
				if err != nil {
					return err
				}
				if err := unix.Mount("/proc/thread-self/ns/ipc", args[0], "", unix.MS_BIND, ""); err != nil {
					return fmt.Errorf("mount: %w", err)
				}
				fmt.Println(id)
				return nil
			}()
			return true
		})
		return <-done
	}
	return errors.New("no such role")
}

// idOf returns the namespace that a path leads to.
func idOf(path string) (ID, error) {
	link, err := os.Readlink(path)
	if err != nil {
		return ID{}, err
	}
	id, ok := ParseLink(link)
	if !ok {
		return ID{}, fmt.Errorf("%s: %q is not a namespace", path, link)
	}
	return id, nil
}

// helper is a process that this test started.
type helper struct {
	pid  int
	line string // what it said
	end  func()
}

// start starts a helper in new namespaces. The test ends it, or the end of the test.
func start(t *testing.T, role string, flags uintptr, args ...string) helper {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), childRole+"="+role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
	if flags&unix.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// Pdeathsig is about the thread that started the process.
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot start a process in new namespaces (needs root): %v", err)
	}
	ended := false
	end := func() {
		if !ended {
			ended = true
			stdin.Close()
			cmd.Wait()
		}
	}
	t.Cleanup(end)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	line = strings.TrimSuffix(line, "\n")
	if err != nil || strings.HasPrefix(line, "error:") {
		t.Fatalf("helper %s: %q, %v", role, line, err)
	}
	return helper{cmd.Process.Pid, line, end}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("makes namespaces: needs root")
	}
}

func openProc(t *testing.T) *proc.FS {
	t.Helper()
	fs, err := proc.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

// inventoryOf takes an inventory of what some processes tell, and of nothing else on this machine.
func inventoryOf(t *testing.T, fs *proc.FS, search Search, pids ...int) *Inventory {
	t.Helper()
	var records []proc.Record
	slices.Sort(pids)
	for _, pid := range pids {
		d, err := fs.Visit(context.Background(), pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, d.Record)
	}
	inv, err := TakeInventory(context.Background(), fs, records, search)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range inv.Errors {
		t.Errorf("error: %v", e)
	}
	return inv
}

// found returns what was found of a namespace, and checks that it can be opened there.
func found(t *testing.T, fs *proc.FS, inv *Inventory, id ID) *Found {
	t.Helper()
	f := inv.Find(id)
	if f == nil {
		t.Fatalf("%s was not found", id)
	}
	fd, err := f.Opener(fs)()
	if err != nil {
		t.Fatalf("%s was found and could not be opened: %v", id, err)
	}
	defer unix.Close(fd)
	if inode, err := nsfsInode(fd); err != nil || inode != id.Inode {
		t.Errorf("opened namespace %d, %v, want %s", inode, err, id)
	}
	return f
}

// show prints everything of an entry, where its String is its name.
func show(f *Found) string {
	if f == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s processes=%v threads=%v holders=%v+%d mounts=%v children=%v owner=%d uid=%d parent=%d", f.ID, f.Processes, f.Threads,
		f.Holders, f.Unlisted, f.Mounts, f.Children, f.Owner, f.OwnerUID, f.Parent)
}

func notFound(t *testing.T, inv *Inventory, id ID, without string) {
	t.Helper()
	if inv.Find(id) != nil {
		t.Errorf("%s was found without %s: %s", id, without, show(inv.Find(id)))
	}
}

// onOwnThread runs f on a thread of its own, which then waits until the test ends.
func onOwnThread(t *testing.T, f func() error) (tid int) {
	t.Helper()
	ready, release, ended := make(chan error), make(chan struct{}), make(chan struct{})
	onThread(func() (dirty bool) {
		defer close(ended)
		tid = unix.Gettid()
		ready <- f()
		<-release
		return true
	})
	t.Cleanup(func() { close(release); <-ended })
	if err := <-ready; err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Skipf("cannot make a namespace (needs root): %v", err)
		}
		t.Fatal(err)
	}
	return tid
}

var deep, shallow = Search{Types: Types(), Deep: true, MountsIn: Everywhere}, Search{Types: Types(), MountsIn: Everywhere}

func TestByProcess(t *testing.T) {
	needRoot(t)
	fs := openProc(t)
	h := start(t, "sleep", unix.CLONE_NEWIPC|unix.CLONE_NEWUTS|unix.CLONE_NEWNET|unix.CLONE_NEWCGROUP)
	inv := inventoryOf(t, fs, shallow, os.Getpid(), h.pid)
	for _, kind := range Types() {
		id, err := idOf(fmt.Sprintf("/proc/%d/ns/%s", h.pid, kind))
		if err != nil {
			t.Fatal(err)
		}
		f := found(t, fs, inv, id)
		if !slices.Contains(f.Processes, h.pid) {
			t.Errorf("%s: processes %v, want %d among them", id, f.Processes, h.pid)
		}
		own := slices.Contains([]string{"ipc", "uts", "net", "cgroup"}, kind)
		if without := inventoryOf(t, fs, shallow, os.Getpid()); own != (without.Find(id) == nil) {
			t.Errorf("%s: without the process it is %s", id, show(without.Find(id)))
		}
	}
}

func TestByThread(t *testing.T) {
	fs := openProc(t)
	var id ID
	tid := onOwnThread(t, func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
			return err
		}
		id, err = idOf("/proc/thread-self/ns/ipc")
		return err
	})
	inv := inventoryOf(t, fs, deep, os.Getpid())
	f := found(t, fs, inv, id)
	want := Holder{os.Getpid(), tid, fmt.Sprintf("task/%d/ns/ipc", tid)}
	if len(f.Processes) != 0 || !slices.Equal(f.Threads, []Holder{want}) {
		t.Errorf("got %s, want the thread %+v alone", show(f), want)
	}
	if !slices.ContainsFunc(inv.Tasks, func(task Task) bool { return task.TID == tid && slices.Equal(task.In, []ID{id}) }) {
		t.Errorf("got the tasks %+v, want %d in %s", inv.Tasks, tid, id)
	}
	notFound(t, inventoryOf(t, fs, shallow, os.Getpid()), id, "its thread")
}

func TestByDescriptor(t *testing.T) {
	fs := openProc(t)
	fd, inode, _ := foreign(t)
	id := ID{"ipc", inode}
	path, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(path)
	f := found(t, fs, inventoryOf(t, fs, deep, os.Getpid()), id)
	for _, fd := range []int{fd, path} {
		if want := (Holder{os.Getpid(), 0, fmt.Sprintf("fd/%d", fd)}); !slices.Contains(f.Holders, want) {
			t.Errorf("got %s, want %+v among its holders", show(f), want)
		}
	}
	notFound(t, inventoryOf(t, fs, shallow, os.Getpid()), id, "the descriptor")
}

func TestManyDescriptorsOfOneNamespaceAreCounted(t *testing.T) {
	fs := openProc(t)
	fd, inode, _ := foreign(t)
	for range maxHolders + 5 {
		more, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(more)
	}
	f := found(t, fs, inventoryOf(t, fs, deep, os.Getpid()), ID{"ipc", inode})
	if len(f.Holders) != maxHolders || f.Unlisted != 6 {
		t.Errorf("%d holders and %d more, want %d and 6", len(f.Holders), f.Unlisted, maxHolders)
	}
}

// A thread with a table of its own hides its descriptors from /proc/PID/fd.
func TestByDescriptorOfAThread(t *testing.T) {
	fs := openProc(t)
	var id ID
	fd := -1
	tid := onOwnThread(t, func() error {
		var err error
		fd, id.Inode, err = unsharedIPC()
		if err != nil {
			return err
		}
		id.Type = "ipc"
		return unix.Unshare(unix.CLONE_FILES)
	})
	unix.Close(fd) // in the table of all others
	f := found(t, fs, inventoryOf(t, fs, deep, os.Getpid()), id)
	want := Holder{os.Getpid(), tid, fmt.Sprintf("task/%d/fd/%d", tid, fd)}
	if !slices.Equal(f.Holders, []Holder{want}) || len(f.Threads) != 0 {
		t.Errorf("got %s, want %+v alone", show(f), want)
	}
	notFound(t, inventoryOf(t, fs, shallow, os.Getpid()), id, "the descriptor")
}

// unsharedIPC returns a descriptor of a new IPC namespace that nobody is in.
func unsharedIPC() (fd int, inode uint64, err error) {
	type result struct {
		fd    int
		inode uint64
		tid   int
		err   error
	}
	done := make(chan result)
	onThread(func() bool {
		var r result
		if r.err = unix.Unshare(unix.CLONE_NEWIPC); r.err == nil {
			if r.fd, r.err = unix.Open("/proc/thread-self/ns/ipc", unix.O_RDONLY|unix.O_CLOEXEC, 0); r.err == nil {
				r.inode, r.err = nsfsInode(r.fd)
			}
		}
		r.tid = unix.Gettid()
		done <- r
		return true
	})
	r := <-done
	for unix.Access(fmt.Sprintf("/proc/self/task/%d", r.tid), unix.F_OK) == nil { // it is about to end
		runtime.Gosched()
	}
	return r.fd, r.inode, r.err
}

func TestByMount(t *testing.T) {
	needRoot(t)
	fs := openProc(t)
	point := filepath.Join(t.TempDir(), "pinned ipc")
	if err := os.WriteFile(point, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := start(t, "mount", unix.CLONE_NEWNS, point)
	id, ok := ParseLink(h.line)
	if !ok {
		t.Fatalf("the helper said %q", h.line)
	}
	mnt, err := idOf(fmt.Sprintf("/proc/%d/ns/mnt", h.pid))
	if err != nil {
		t.Fatal(err)
	}
	inv := inventoryOf(t, fs, Search{Types: []string{"ipc"}, MountsIn: Everywhere}, os.Getpid(), h.pid)
	f := inv.Find(id)
	if f == nil || len(f.Processes)+len(f.Threads)+len(f.Holders) != 0 || len(f.Mounts) != 1 || f.Mounts[0].Point != point ||
		len(f.Mounts[0].In) != 1 || f.Mounts[0].In[0].Mnt != mnt.Inode || f.Mounts[0].In[0].PID != h.pid {
		t.Fatalf("got %s, want one mount, at %q", show(f), point)
	}
	if aloof := f.Mounts[0].In[0].Aloof; aloof == "" {
		found(t, fs, inv, id)
	} else {
		t.Logf("not opened: %s is on %s", point, aloof) // this machine's root directory is, in a container
	}
	notFound(t, inventoryOf(t, fs, Search{Types: []string{"ipc"}, MountsIn: Everywhere}, os.Getpid()), id, "a process that sees the mount")
	notFound(t, inventoryOf(t, fs, Search{Types: []string{"ipc"}}, os.Getpid(), h.pid), id, "looking at mounts")
	elsewhere := func(inode uint64) bool { return inode != mnt.Inode }
	notFound(t, inventoryOf(t, fs, Search{Types: []string{"ipc"}, MountsIn: elsewhere}, os.Getpid(), h.pid), id, "looking at its mount namespace")

	// The helper ends, and its mount namespace is left with nothing but a descriptor.
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", h.pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	h.end()
	var space uint64
	if space, err = mountNamespaceID(fd); err != nil || space == 0 {
		t.Skipf("the mounts of a mount namespace without processes cannot be listed before Linux 6.11: %v", err)
	}
	inv = inventoryOf(t, fs, Search{Types: []string{"ipc"}, Deep: true, MountsIn: Everywhere}, os.Getpid())
	f = inv.Find(id)
	if f == nil || len(f.Mounts) != 1 || f.Mounts[0].Point != point || !slices.Equal(f.Mounts[0].In, []Seen{{Mnt: mnt.Inode}}) {
		t.Errorf("got %s, want one mount, at %q", show(f), point)
	}
	notFound(t, inventoryOf(t, fs, Search{Types: []string{"ipc"}, MountsIn: Everywhere}, os.Getpid()), id, "the descriptor of the mount namespace")
}

func TestByOwner(t *testing.T) {
	needRoot(t)
	fs := openProc(t)
	h := start(t, "sleep", unix.CLONE_NEWUSER|unix.CLONE_NEWIPC|unix.CLONE_NEWPID)
	user, err := idOf(fmt.Sprintf("/proc/%d/ns/user", h.pid))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := idOf(fmt.Sprintf("/proc/%d/ns/pid", h.pid))
	if err != nil {
		t.Fatal(err)
	}
	own, err := idOf("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	above, err := idOf("/proc/self/ns/user")
	if err != nil {
		t.Fatal(err)
	}
	// Not of all types: opening what others on this machine mount and unmount would be a race.
	search := Search{Types: []string{"ipc", "pid", "user"}, Owners: true}
	f := found(t, fs, inventoryOf(t, fs, search, h.pid), pid)
	if f.Owner != user.Inode || f.Parent != own.Inode || f.OwnerUID != 0 {
		t.Errorf("got %s, want the owner %s of uid 0 and the parent %s", show(f), user, own)
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/ipc", h.pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	inode, err := nsfsInode(fd)
	if err != nil {
		t.Fatal(err)
	}
	h.end()
	search.Deep, search.Owners = true, false
	notFound(t, inventoryOf(t, fs, search, os.Getpid()), user, "asking for owners")
	search.Owners = true
	inv := inventoryOf(t, fs, search, os.Getpid())
	f = inv.Find(user)
	if f == nil || f.Owner != above.Inode || f.Parent != above.Inode || !slices.Equal(f.Children, []ID{{"ipc", inode}}) ||
		len(f.Processes)+len(f.Threads)+len(f.Holders)+len(f.Mounts) != 0 {
		t.Errorf("got %s, want it kept by ipc:[%d] alone and below %s", show(f), inode, above)
	}
}

func TestForChildren(t *testing.T) {
	fs := openProc(t)
	var id ID
	tid := onOwnThread(t, func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWTIME); err != nil {
			if errors.Is(err, unix.EINVAL) {
				return nil // before Linux 5.6
			}
			return err
		}
		id, err = idOf("/proc/thread-self/ns/time_for_children")
		return err
	})
	if id.Inode == 0 {
		t.Skip("no time namespaces (Linux 5.6)")
	}
	f := found(t, fs, inventoryOf(t, fs, deep, os.Getpid()), id)
	if want := (Holder{os.Getpid(), tid, fmt.Sprintf("task/%d/ns/time_for_children", tid)}); !slices.Equal(f.Holders, []Holder{want}) {
		t.Errorf("got %s, want %+v alone", show(f), want)
	}
	notFound(t, inventoryOf(t, fs, shallow, os.Getpid()), id, "its thread")
}

func TestInventoryLeavesNoDescriptor(t *testing.T) {
	needRoot(t)
	fs := openProc(t)
	foreign(t)
	search := Search{Types: []string{"ipc", "pid", "user"}, Deep: true, Owners: true}
	h := start(t, "sleep", unix.CLONE_NEWUSER|unix.CLONE_NEWIPC|unix.CLONE_NEWPID|unix.CLONE_NEWNS)
	inventoryOf(t, fs, search, os.Getpid(), h.pid) // the runtime opens what it keeps
	before := entries(t, "/proc/self/fd")
	for range 20 {
		inv := inventoryOf(t, fs, search, os.Getpid(), h.pid)
		for i := range inv.Found {
			if fd, err := inv.Found[i].Opener(fs)(); err == nil {
				unix.Close(fd)
			}
		}
	}
	if after := entries(t, "/proc/self/fd"); len(after) != len(before) {
		t.Errorf("descriptors before %v, after %v", before, after)
	}
}

// What is at the place may have changed since it was found.
func TestOpenRefuses(t *testing.T) {
	needRoot(t)
	fs := openProc(t)
	dir := t.TempDir()
	plain, link := filepath.Join(dir, "plain"), filepath.Join(dir, "link")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc/self/ns", link); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := unix.Open(filepath.Join(dir, "fifo"), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fifo)
	own, err := idOf("/proc/self/ns/ipc")
	if err != nil {
		t.Fatal(err)
	}
	self := os.Getpid()
	for _, tt := range []struct {
		name string
		f    Found
		want error // nil for any
	}{
		{"found nowhere", Found{ID: own}, nil},
		{"a process in another namespace", Found{ID: ID{"ipc", own.Inode + 1}, Processes: []int{self}}, nil},
		{"a process that has ended", Found{ID: own, Processes: []int{1 << 30}}, unix.ENOENT},
		{"a descriptor that is a FIFO by now", Found{ID: own, Holders: []Holder{{self, 0, "fd/" + strconv.Itoa(fifo)}}}, nil},
		{"a descriptor that is closed", Found{ID: own, Holders: []Holder{{self, 0, "fd/1000000"}}}, unix.ENOENT},
		{"a mount that is a plain file by now", Found{ID: own, Mounts: []Mount{{plain, []Seen{{1, self, 0, ""}}}}}, nil},
		{"a mount with a link on the way", Found{ID: own, Mounts: []Mount{{link + "/ipc", []Seen{{1, self, 0, ""}}}}}, unix.ENOTDIR},
		{"a mount with .. on the way", Found{ID: own, Mounts: []Mount{{"/proc/self/../self/ns/ipc", []Seen{{1, self, 0, ""}}}}}, nil},
		{"a mount below somebody's file system", Found{ID: own, Mounts: []Mount{{"/proc/self/ns/ipc", []Seen{{1, self, 0, "fuse"}}}}}, nil},
		{"a mount that nobody sees", Found{ID: own, Mounts: []Mount{{"/run/x", []Seen{{1, 0, 0, ""}}}}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fd, err := tt.f.Opener(fs)()
			if err == nil {
				unix.Close(fd)
				t.Fatal("it was opened")
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// Whoever answers for a file system can keep everybody who asks it anything waiting, and past the end of the process at that.
func TestNothingIsAskedOfAFileSystemThatMayNotAnswer(t *testing.T) {
	needRoot(t)
	fs := openProc(t)
	dir := t.TempDir()
	f := proctest.MountFUSE(t, dir)
	fd, inode, _ := foreign(t)
	id := ID{"ipc", inode}
	f.Add("pinned", unix.S_IFREG|0o644, "")
	f.Add(id.String(), unix.S_IFREG|0o644, "")
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), dir+"/pinned", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	forged, err := unix.Open(filepath.Join(dir, id.String()), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(forged)
	self, err := fs.Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	f.Silence()

	done := make(chan struct{})
	go func() {
		defer close(done)
		if got, err := self.NamespaceInode(forged); err == nil {
			t.Errorf("a file passes for namespace %d", got)
		}
		got, err := openChecked(self, fmt.Sprintf("fd/%d", forged), id)
		if err == nil {
			unix.Close(got)
			t.Error("a file was opened for a namespace")
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%d questions were asked, and an answer is waited for", f.Ignored())
	}
	inv := inventoryOf(t, fs, Search{Types: []string{"ipc"}, Deep: true, MountsIn: Everywhere}, os.Getpid())
	here := inv.Find(id)
	if here == nil || len(here.Mounts) != 1 || here.Mounts[0].Point != dir+"/pinned" || here.Mounts[0].In[0].Aloof != "fuse" {
		t.Fatalf("got %s, want it mounted at %s/pinned, on FUSE", show(here), dir)
	}
	here.Processes, here.Threads, here.Holders = nil, nil, nil // the test's own: its thread may not have ended yet
	if got, err := here.Opener(fs)(); err == nil {
		unix.Close(got)
		t.Error("it was opened by its path")
	} else if !strings.Contains(err.Error(), "fuse") {
		t.Errorf("got %v, want the reason", err)
	}
	if n := f.Ignored(); n != 0 {
		t.Errorf("%d questions were asked", n)
	}
}

func TestInventoryOfATree(t *testing.T) {
	dir := proctest.Build(t, `
1 comm=systemd
4389 ppid=1 ipc=4026532201 mnt=4026532200 pid=4026532202
4389/4390 ipc=host
4389/4391 ipc=4026532999 pid=4026532998
5000 mnt=4026532300
5001 mnt=4026532300
6000 state=Z ipc=- mnt=-
-- 1/mountinfo --
1 0 8:1 / / rw - ext4 /dev/sda1 rw
30 1 0:4 ipc:[4026532177] /run/ipcns/4ae0 rw shared:2 - nsfs nsfs rw
31 1 0:4 net:[4026532178] /run/netns/a\040b rw - nsfs nsfs rw
32 1 0:4 /x:[4026532179] /run/forged rw - fuse.nsfs nsfs rw
33 1 0:4 ipc:[4026532180] /run/forged2 rw - fuse nsfs rw
-- 4389/mountinfo --
1 0 8:1 / / rw - ext4 /dev/sda1 rw
30 1 0:4 ipc:[4026532177] /run/ipcns/4ae0 rw - nsfs nsfs rw
-- 5000/mountinfo --
40 1 0:20 / /dev/shm rw - tmpfs tmpfs rw
-- 5001/mountinfo --
1 0 8:1 / / rw - ext4 /dev/sda1 rw
41 1 0:4 ipc:[4026532181] /srv/outside rw - nsfs nsfs rw
`)
	if err := os.Mkdir(filepath.Join(dir, "4389", "fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	for fd, target := range map[string]string{
		"0": "/dev/null", "3": "ipc:[4026532555]", "4": "socket:[4026532556]", "5": "ipc:[0]", "6": "ipc:[x]", "7": "/tmp/ipc:[4026532557]",
		"8": "anon_inode:[eventpoll]",
	} {
		if err := os.Symlink(target, filepath.Join(dir, "4389", "fd", fd)); err != nil {
			t.Fatal(err)
		}
	}
	fs, err := proc.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	snap, err := fs.Scan(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, search := range []Search{{Types: []string{"ipc", "pid"}, MountsIn: Everywhere}, {Types: []string{"ipc", "pid"}, Deep: true, MountsIn: Everywhere}} {
		inv, err := TakeInventory(context.Background(), fs, snap.Records, search)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "deep=%v\n", search.Deep)
		for _, f := range inv.Found {
			if f.Type != "mnt" {
				fmt.Fprintf(&got, "%s %v threads=%v holders=%v mounts=%v\n", f.ID, f.Processes, f.Threads, f.Holders, f.Mounts)
			}
		}
		fmt.Fprintf(&got, "tasks=%v errors=%v\n", inv.Tasks, inv.Errors)
	}
	want := `deep=false
ipc:[4026531839] [1 5000 5001] threads=[] holders=[] mounts=[]
ipc:[4026532177] [] threads=[] holders=[] mounts=[{/run/ipcns/4ae0 [{4026531832 1 0 } {4026532200 4389 0 }]}]
ipc:[4026532181] [] threads=[] holders=[] mounts=[{/srv/outside [{4026532300 5001 0 }]}]
ipc:[4026532201] [4389] threads=[] holders=[] mounts=[]
pid:[4026531836] [1 5000 5001 6000] threads=[] holders=[] mounts=[]
pid:[4026532202] [4389] threads=[] holders=[] mounts=[]
tasks=[] errors=[]
deep=true
ipc:[4026531839] [1 5000 5001] threads=[{4389 4390 task/4390/ns/ipc}] holders=[] mounts=[]
ipc:[4026532177] [] threads=[] holders=[] mounts=[{/run/ipcns/4ae0 [{4026531832 1 0 } {4026532200 4389 0 }]}]
ipc:[4026532181] [] threads=[] holders=[] mounts=[{/srv/outside [{4026532300 5001 0 }]}]
ipc:[4026532201] [4389] threads=[] holders=[] mounts=[]
ipc:[4026532555] [] threads=[] holders=[{4389 0 fd/3}] mounts=[]
ipc:[4026532999] [] threads=[{4389 4391 task/4391/ns/ipc}] holders=[] mounts=[]
pid:[4026531836] [1 5000 5001 6000] threads=[] holders=[] mounts=[]
pid:[4026532202] [4389] threads=[] holders=[] mounts=[]
pid:[4026532998] [] threads=[{4389 4391 task/4391/ns/pid}] holders=[] mounts=[]
tasks=[{4389 4390 [ipc:[4026531839]]} {4389 4391 [ipc:[4026532999] pid:[4026532998]]}] errors=[]
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestParseLink(t *testing.T) {
	for _, tt := range []struct {
		text string
		want ID
	}{
		{"ipc:[4026531839]", ID{"ipc", 4026531839}},
		{"time:[1]", ID{"time", 1}},
		{"mnt:[18446744073709551615]", ID{"mnt", 1<<64 - 1}},
		{"mnt:[18446744073709551616]", ID{}},
		{"ipc:[0]", ID{}},
		{"ipc:[01]", ID{}},
		{"ipc:[+1]", ID{}},
		{"ipc:[1", ID{}},
		{"ipc:[1]x", ID{}},
		{"pipe:[12345]", ID{}},
		{"/tmp/ipc:[1]", ID{}},
		{"pid_for_children:[1]", ID{}},
		{"", ID{}},
	} {
		if got, ok := ParseLink(tt.text); got != tt.want || ok != (tt.want != ID{}) {
			t.Errorf("%q: got %v, %v", tt.text, got, ok)
		}
	}
}

func FuzzParseLink(f *testing.F) {
	for _, s := range []string{"ipc:[4026531839]", "net:[0]", "user:[", ":[]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := ParseLink(text)
		if ok && (id.String() != text || id.Inode == 0) || !ok && id != (ID{}) {
			t.Errorf("%q: got %#v, %v", text, id, ok)
		}
	})
}

// FuzzParseInodes: what is taken as a baseline is two inodes, in whichever form they are written.
func FuzzParseInodes(f *testing.F) {
	f.Add("ipc:[4026531839],pid:[4026531836]")
	f.Add("77, 5")
	f.Add("pid:[5],ipc:[77]")
	f.Fuzz(func(t *testing.T, text string) {
		ipc, pid, err := ParseInodes(text)
		if err != nil {
			if ipc != 0 || pid != 0 {
				t.Errorf("%q: an error and %d, %d", text, ipc, pid)
			}
			return
		}
		again, also, err := ParseInodes(fmt.Sprintf("pid:[%d],ipc:[%d]", pid, ipc))
		if ipc == 0 || pid == 0 || err != nil || again != ipc || also != pid {
			t.Errorf("%q: %d, %d; written out: %d, %d, %v", text, ipc, pid, again, also, err)
		}
	})
}

// FuzzMountText: whatever the kernel says where a text is, it is one of the buffer, up to its end.
func FuzzMountText(f *testing.F) {
	f.Add([]byte("ipc:[4026531839]\x00/run/ipcns/a\x00"), uint32(0), uint32(17))
	f.Add([]byte("no end"), uint32(3), uint32(5))
	f.Add([]byte{}, uint32(1<<32-1), uint32(0))
	f.Add([]byte("\x00\x00"), uint32(1), uint32(2))
	f.Fuzz(func(t *testing.T, texts []byte, root, point uint32) {
		buf := make([]byte, statmountText, statmountText+len(texts))
		binary.NativeEndian.PutUint32(buf[statmountRoot:], root)
		binary.NativeEndian.PutUint32(buf[statmountPoint:], point)
		buf = append(buf, texts...)
		for offset, at := range map[int]uint32{statmountRoot: root, statmountPoint: point} {
			want := ""
			if uint64(at) < uint64(len(texts)) {
				want, _, _ = strings.Cut(string(texts[at:]), "\x00")
			}
			if got := mountText(buf, offset); got != want {
				t.Fatalf("%q at %d: %q", texts, at, got)
			}
		}
	})
}
