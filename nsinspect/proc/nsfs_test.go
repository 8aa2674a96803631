package proc

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseNamespaceMounts(t *testing.T) {
	const rootfs = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
	for _, tt := range []struct {
		story, text string
		want        string // root and point of each
		root, ok    bool
	}{
		{"no namespace is mounted", rootfs, "", true, true},
		{"CRI-O pins one", rootfs + "30 1 0:4 ipc:[4026532177] /run/ipcns/4ae0 rw shared:2 - nsfs nsfs rw\n", "ipc:[4026532177] /run/ipcns/4ae0", true, true},
		{"in a directory with a space and a newline in its name", rootfs + `30 1 0:4 ipc:[7] /run/a\040b\012c rw - nsfs nsfs rw` + "\n", "ipc:[7] /run/a b\nc", true, true},
		{"the place has been removed", rootfs + `30 1 0:4 ipc:[7] /run/x//deleted rw - nsfs nsfs rw` + "\n", "ipc:[7] /run/x//deleted", true, true},
		{"in a chroot the root is not seen", "30 1 0:4 ipc:[7] /run/x rw - nsfs nsfs rw\n", "ipc:[7] /run/x", false, true},
		{"a FUSE file system that wants to look like one", rootfs + "31 1 0:40 ipc:[7] /srv rw - fuse.nsfs nsfs rw\n", "", true, true},
		{"a source that wants to look like the separator", rootfs + `31 1 0:40 / /srv rw - fuse \040-\040nsfs\040 rw` + "\n", "", true, true},
		{"lines that do not matter are not looked at", rootfs + "garbage\n", "", true, true},
		{"half of one that does", rootfs + "30 1 ipc:[7] /run/x rw - nsfs nsfs rw\n30 1 0:4 ipc:[8] /run/y rw - nsfs nsfs rw\n", "ipc:[8] /run/y", true, false},
		{"on a file system of a process", rootfs + "20 1 0:50 / /f rw - fuse.sshfs x rw\n21 20 0:51 / /f/t rw - tmpfs x rw\n30 21 0:4 ipc:[7] /f/t/x rw - nsfs nsfs rw\n",
			"ipc:[7] /f/t/x below fuse.sshfs", true, true},
		{"on one of another machine", "1 0 0:9 / / rw - nfs4 h:/ rw\n30 1 0:4 ipc:[7] /run/x rw - nsfs nsfs rw\n", "ipc:[7] /run/x below nfs4", true, true},
		{"in a container", "5 4 0:9 / / rw - overlay overlay rw\n20 5 0:21 / /run rw - tmpfs x rw\n30 20 0:4 ipc:[7] /run/x rw - nsfs nsfs rw\n",
			"ipc:[7] /run/x below overlay", true, true},
		{"overlay on FUSE", "5 4 0:9 / / rw - fuse x rw\n20 5 0:21 / /run rw - overlay x rw\n30 20 0:4 ipc:[7] /run/x rw - nsfs nsfs rw\n",
			"ipc:[7] /run/x below fuse", true, true},
		{"mounts that are upon each other", "5 20 0:9 / / rw - ext4 x rw\n20 5 0:21 / /run rw - tmpfs x rw\n30 20 0:4 ipc:[7] /run/x rw - nsfs nsfs rw\n",
			"ipc:[7] /run/x", true, true},
		{"nothing at all", "", "", false, true},
	} {
		t.Run(tt.story, func(t *testing.T) {
			mounts, root, ok := parseNamespaceMounts([]byte(tt.text))
			var got []string
			for _, m := range mounts {
				line := m.Link + " " + m.Point
				if m.Aloof != "" {
					line += " below " + m.Aloof
				}
				got = append(got, line)
			}
			if strings.Join(got, ",") != tt.want || root != tt.root || ok != tt.ok {
				t.Errorf("got %q, root %v, ok %v; want %q, %v, %v", got, root, ok, tt.want, tt.root, tt.ok)
			}
		})
	}
}

func FuzzParseNamespaceMounts(f *testing.F) {
	f.Add([]byte("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n30 1 0:4 ipc:[7] /run/x rw - nsfs nsfs rw\n"))
	f.Add([]byte("30 1 0:4 ipc:[7] / rw - nsfs nsfs rw"))
	f.Fuzz(func(t *testing.T, text []byte) {
		mounts, _, _ := parseNamespaceMounts(text)
		all, ok := parseMountInfo(text)
		if !ok {
			return
		}
		// Where the whole file is good, the same is found as by reading all of it.
		var want []NamespaceMount
		for _, m := range all {
			if m.Type == "nsfs" {
				want = append(want, NamespaceMount{Link: m.Root, Point: m.Point})
			}
		}
		for i := range mounts {
			mounts[i].Aloof = "" // not for this comparison
		}
		if !slices.Equal(mounts, want) {
			t.Errorf("got %v, want %v", mounts, want)
		}
	})
}

func selfProcess(t *testing.T) *Process {
	t.Helper()
	fs, err := Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	p, err := fs.Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestNamespaceDescriptors(t *testing.T) {
	p := selfProcess(t)
	open := func(path string, flags int) int {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	link, err := os.Readlink("/proc/self/ns/uts")
	if err != nil {
		t.Fatal(err)
	}
	// A file with the name of a namespace is none.
	forged := filepath.Join(t.TempDir(), link)
	if err := os.WriteFile(forged, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	read, path, plain := open("/proc/self/ns/uts", unix.O_RDONLY), open("/proc/self/ns/uts", unix.O_PATH), open(forged, unix.O_RDONLY)
	got, err := p.NamespaceDescriptors(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range []int{read, path} {
		if !slices.Contains(got, Descriptor{fd, link}) {
			t.Errorf("descriptor %d of %s is not in %v", fd, link, got)
		}
	}
	if slices.ContainsFunc(got, func(d Descriptor) bool { return d.FD == plain }) {
		t.Errorf("descriptor %d, a plain file, is in %v", plain, got)
	}
	// The second sieve, for the case that the first has a hole.
	for _, d := range []Descriptor{{plain, link}, {read, "uts:[1]"}, {1 << 20, link}} {
		if p.holds(d) {
			t.Errorf("%v passes for a namespace", d)
		}
	}
	if !p.holds(Descriptor{read, link}) {
		t.Errorf("descriptor %d of %s does not pass for one", read, link)
	}
}

func TestSharesDescriptors(t *testing.T) {
	p := selfProcess(t)
	if p.fs.Self() == 0 {
		t.Skip("this /proc does not show the test's own PID namespace")
	}
	ready, release, ended := make(chan int), make(chan struct{}), make(chan struct{})
	var thread func(own bool)
	thread = func(own bool) {
		runtime.LockOSThread()
		if own && unix.Gettid() == unix.Getpid() {
			// The first thread never ends, and its table is what /proc/PID/fd shows. While it is held here, another one is taken.
			done := make(chan struct{})
			go func() { thread(own); close(done) }()
			<-done
			runtime.UnlockOSThread()
			return
		}
		if own {
			if err := unix.Unshare(unix.CLONE_FILES); err != nil {
				t.Error(err)
			}
		}
		ready <- unix.Gettid()
		<-release
		if !own {
			runtime.UnlockOSThread() // the other one ends with its goroutine
		}
		ended <- struct{}{}
	}
	go thread(false)
	go thread(true)
	shares := map[bool]int{}
	for range 2 {
		shares[p.SharesDescriptors(<-ready)]++
	}
	if shares[true] == 0 {
		t.Skip("no kcmp(2) here (CONFIG_KCMP, or a system call filter)")
	}
	if shares[false] != 1 {
		t.Errorf("got %v, want one thread with a table of its own and one without", shares)
	}
	if p.SingleThreaded() {
		t.Error("this process has one thread, it says")
	}
	close(release)
	<-ended
	<-ended
}
