package ipc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
	"golang.org/x/sys/unix"
)

// inRoot runs build on a thread with mounts and a root directory of its own,
// an empty tmpfs, and then read with an open /proc/PID of that thread. The mounts go
// with the thread.
func inRoot(t *testing.T, build func(root string) error, read func(process *proc.Process) error) {
	t.Helper()
	root := t.TempDir()
	fs, err := proc.Open("/proc")
	if err != nil {
		t.Skip(err)
	}
	defer fs.Close()
	self, err := fs.Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	done := make(chan error)
	go offFirstThread(func() {
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			process, err := self.Thread(unix.Gettid())
			if err != nil {
				return err
			}
			defer process.Close()
			if err := unix.Mount("root", root, "tmpfs", 0, ""); err != nil {
				return err
			}
			if err := build(root); err != nil {
				return err
			}
			if err := unix.Chroot(root); err != nil {
				return err
			}
			return read(process)
		}()
	})
	if err := <-done; err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Skipf("cannot make a mount namespace (needs root): %v", err)
		}
		t.Fatal(err)
	}
}

// steps runs what a test needs until one step fails.
func steps(all ...func() error) error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func TestReadDevShm(t *testing.T) {
	const hostile = "x\x1b[2J\n../y"
	var device Device
	inRoot(t, func(root string) error {
		shm := filepath.Join(root, "dev/shm")
		file := func(name string, size int, mode os.FileMode) func() error {
			return func() error {
				path := shm + "/" + name
				if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
					return err
				}
				return os.Chmod(path, mode)
			}
		}
		return steps(
			func() error { return os.MkdirAll(shm, 0o755) },
			func() error { return unix.Mount("shm", shm, "tmpfs", 0, "") },
			func() error {
				var st unix.Stat_t
				err := unix.Stat(shm, &st)
				device = Device{unix.Major(st.Dev), unix.Minor(st.Dev)}
				return err
			},
			file("PostgreSQL.1", 5000, 0o640),
			file("sem.lock", 32, 0o666),
			file("big", 0, 0o600),
			func() error { return os.Truncate(shm+"/big", 5<<30) },
			file(strings.ReplaceAll(hostile, "/", "_"), 0, 0),
			func() error { return os.Chown(shm+"/PostgreSQL.1", 101, 104) },
			func() error { return os.Symlink("/proc/self/root", shm+"/out") },
			func() error { return unix.Mkfifo(shm+"/fifo", 0o600) },
			func() error { return os.Mkdir(shm+"/dir", 0o711) },
			file("dir/inner", 1, 0o600),
			func() error { return os.Mkdir(shm+"/mounted", 0o755) },
			func() error { return unix.Mount("other", shm+"/mounted", "tmpfs", 0, "") },
			file("mounted/not-of-this-file-system", 1, 0o600),
		)
	}, func(process *proc.Process) error {
		got, err := ReadDevShm(context.Background(), process)
		if err == nil || !strings.Contains(err.Error(), `"mounted": another file system`) {
			t.Errorf("err = %v, want the file system that is mounted below", err)
		}
		if got.Device != device {
			t.Errorf("device %v, want %v", got.Device, device)
		}
		var names []string
		for _, f := range got.Files {
			names = append(names, f.Perms+" "+f.Name)
			if f.Name == "PostgreSQL.1" && (f.Size != 5000 || f.Used != 8192 || f.UID != 101 || f.GID != 104 || f.MTime == 0) {
				t.Errorf("%+v", f)
			}
			if f.Name == "big" && (f.Size != 5<<30 || f.Used != 0) {
				t.Errorf("%+v", f)
			}
		}
		want := []string{"0640 PostgreSQL.1", "0600 big", "0711 dir/", "0600 dir/inner", "0600 fifo", "0755 mounted/", "0777 out", "0666 sem.lock", `0000 x\x1b[2J\n.._y`}
		for i := range want { // tmpfs gives mounted directories 1777
			want[i] = strings.Replace(want[i], "0755 mounted/", "1777 mounted/", 1)
		}
		if !reflect.DeepEqual(names, want) {
			t.Errorf("got  %q\nwant %q", names, want)
		}
		return nil
	})
}

func TestReadDevShmRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		build func(root string) error
		want  error
		says  string
	}{
		{"no /dev", func(string) error { return nil }, unix.ENOENT, ""},
		{"no /dev/shm", func(root string) error { return os.Mkdir(root+"/dev", 0o755) }, unix.ENOENT, ""},
		{"/dev/shm is a link out", func(root string) error {
			return steps(func() error { return os.Mkdir(root+"/dev", 0o755) }, func() error { return os.Symlink("../../../../etc", root+"/dev/shm") })
		}, unix.ENOTDIR, ""},
		{"/dev is a link", func(root string) error {
			return steps(func() error { return os.MkdirAll(root+"/real/shm", 0o755) }, func() error { return os.Symlink("real", root+"/dev") })
		}, unix.ENOTDIR, ""},
		{"/dev/shm is a file", func(root string) error {
			return steps(func() error { return os.Mkdir(root+"/dev", 0o755) }, func() error { return os.WriteFile(root+"/dev/shm", nil, 0o644) })
		}, unix.ENOTDIR, ""},
		{"/dev/shm is a procfs", func(root string) error {
			return steps(func() error { return os.MkdirAll(root+"/dev/shm", 0o755) }, func() error { return unix.Mount("proc", root+"/dev/shm", "proc", 0, "") })
		}, nil, "not a tmpfs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inRoot(t, tt.build, func(process *proc.Process) error {
				got, err := ReadDevShm(context.Background(), process)
				if err == nil || len(got.Files) > 0 || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
					return fmt.Errorf("got %+v, %v", got, err)
				}
				return nil
			})
		})
	}
}

func TestReadDevShmIsBounded(t *testing.T) {
	inRoot(t, func(root string) error {
		return os.MkdirAll(root+"/dev/shm"+strings.Repeat("/d", 40), 0o755)
	}, func(process *proc.Process) error {
		got, err := ReadDevShm(context.Background(), process)
		if err == nil || !strings.Contains(err.Error(), "deeper") || len(got.Files) != maxShmDepth+1 {
			return fmt.Errorf("%d directories, %v", len(got.Files), err)
		}
		return nil
	})
}

// Whoever waits for a file system that does not answer cannot be killed, and this process would never end.
func TestReadDevShmAsksNobodyOnTheWay(t *testing.T) {
	for _, point := range []string{"", "dev", "dev/shm"} {
		t.Run("/"+point, func(t *testing.T) {
			var fuse *proctest.FUSE
			inRoot(t, func(root string) error {
				dir := filepath.Join(root, point)
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return err
				}
				fuse = proctest.MountFUSE(t, dir)
				fuse.Add("dev/shm/file", unix.S_IFREG|0o644, "")
				fuse.Add("shm/file", unix.S_IFREG|0o644, "")
				_, err := os.Stat(dir) // it is asked for its version before anything else
				return err
			}, func(process *proc.Process) error {
				fuse.Silence()
				_, err := ReadDevShm(context.Background(), process)
				if err == nil || !strings.Contains(err.Error(), "on a file system of type fuse, which may never answer") {
					t.Errorf("error %v", err)
				}
				return nil
			})
			if n := fuse.Ignored(); n != 0 {
				t.Errorf("it was asked %d times", n)
			}
		})
	}
}

// Whoever answers for a file system that is mounted in a /dev/shm is never asked:
// he could let us wait where not even SIGKILL helps.
func TestReadDevShmAsksNobody(t *testing.T) {
	var fuse *proctest.FUSE
	inRoot(t, func(root string) error {
		shm := filepath.Join(root, "dev/shm")
		err := steps(
			func() error { return os.MkdirAll(shm, 0o755) },
			func() error { return unix.Mount("shm", shm, "tmpfs", 0, "") },
			func() error { return os.Mkdir(filepath.Join(shm, "trap"), 0o755) },
		)
		if err == nil {
			fuse = proctest.MountFUSE(t, filepath.Join(shm, "trap"))
		}
		return err
	}, func(process *proc.Process) error {
		_, err := ReadDevShm(context.Background(), process)
		if err == nil || !strings.Contains(err.Error(), `"trap": another file system`) {
			t.Errorf("error %v", err)
		}
		return nil
	})
	if n := fuse.Count("attributes of "); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
}
