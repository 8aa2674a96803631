package confine

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// expect compares a file and its mode, and finds left-over temporary files.
func expect(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != text {
		t.Errorf("%s reads %q, %v, want %q", path, got, err, text)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != mode {
		t.Errorf("%s is %v, %v, want mode %v", path, fi, err, mode)
	}
	noneLeft(t, filepath.Dir(path))
}

func noneLeft(t *testing.T, dir string) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.tmp")); left != nil {
		t.Errorf("left over: %v", left)
	}
}

func create(t *testing.T, path string) *Output {
	t.Helper()
	out, err := CreateOutput(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(out, "new"); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOutput(t *testing.T) {
	defer unix.Umask(unix.Umask(0o022))

	t.Run("a new file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "report")
		out := create(t, path)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is there before it is whole: %v", err)
		}
		if err := out.Commit(); err != nil {
			t.Fatal(err)
		}
		expect(t, path, "new", 0o644)
	})
	t.Run("an old file keeps its mode", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "report")
		write(t, path, "old", 0o662)
		out := create(t, path)
		if got, _ := os.ReadFile(path); string(got) != "old" {
			t.Errorf("it reads %q before the new one is whole", got)
		}
		if err := out.Commit(); err != nil {
			t.Fatal(err)
		}
		expect(t, path, "new", 0o662)
	})
	t.Run("an old file survives what goes wrong", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "report")
		write(t, path, "old", 0o600)
		if err := create(t, path).Discard(); err != nil {
			t.Fatal(err)
		}
		expect(t, path, "old", 0o600)
	})
	t.Run("a link is neither followed nor replaced", func(t *testing.T) {
		dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "real")
		write(t, elsewhere, "old", 0o600)
		for _, target := range []string{elsewhere, filepath.Join(dir, "nothing")} {
			path := filepath.Join(dir, "report")
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			if out, err := CreateOutput(path); !errors.Is(err, ErrSymlink) {
				t.Errorf("%v, %v", out, err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, elsewhere, "old", 0o600)
		noneLeft(t, dir)
	})
	t.Run("a device is written to, not replaced", func(t *testing.T) {
		if err := create(t, os.DevNull).Commit(); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(os.DevNull); err != nil || fi.Mode()&fs.ModeDevice == 0 {
			t.Fatalf("%s is %v, %v", os.DevNull, fi, err)
		}
	})
	t.Run("a very long name", func(t *testing.T) {
		name := make([]byte, 255)
		for i := range name {
			name[i] = 'n'
		}
		path := filepath.Join(t.TempDir(), string(name))
		if err := create(t, path).Commit(); err != nil {
			t.Fatal(err)
		}
		expect(t, path, "new", 0o644)
	})
	t.Run("a relative name", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if err := create(t, "report").Commit(); err != nil {
			t.Fatal(err)
		}
		expect(t, "report", "new", 0o644)
	})

	failures := map[string]struct {
		path func(dir string) string
		want error
	}{
		"a directory":           {func(dir string) string { return dir }, unix.EISDIR},
		"no such directory":     {func(dir string) string { return filepath.Join(dir, "no", "report") }, unix.ENOENT},
		"below a file":          {func(dir string) string { return filepath.Join(dir, "file", "report") }, unix.ENOTDIR},
		"a link to nowhere":     {func(dir string) string { return filepath.Join(dir, "loop") }, nil},
		"a name with a zero in": {func(dir string) string { return filepath.Join(dir, "a\x00b") }, unix.EINVAL},
	}
	for story, c := range failures {
		t.Run(story, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "file"), "", 0o600)
			if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
				t.Fatal(err)
			}
			out, err := CreateOutput(c.path(dir))
			if err == nil {
				out.Discard()
				t.Fatal("it was opened")
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			noneLeft(t, dir)
		})
	}
	t.Run("a directory took the name meanwhile", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "report")
		out := create(t, path)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := out.Commit(); !errors.Is(err, unix.EISDIR) {
			t.Errorf("got %v", err)
		}
		noneLeft(t, filepath.Dir(path))
	})
}

func TestOutputLeavesNoDescriptor(t *testing.T) {
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(fds)
	}
	dir := t.TempDir()
	blocked := filepath.Join(dir, "blocked")
	before := count()
	for range 20 {
		if err := create(t, filepath.Join(dir, "report")).Commit(); err != nil {
			t.Fatal(err)
		}
		if err := create(t, filepath.Join(dir, "report")).Discard(); err != nil {
			t.Fatal(err)
		}
		out := create(t, blocked)
		if err := os.Mkdir(blocked, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := out.Commit(); err == nil {
			t.Fatal("a directory was replaced")
		}
		if err := os.Remove(blocked); err != nil {
			t.Fatal(err)
		}
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

type outputTold struct {
	Within               []Capability
	Steal, Remap         string // putting other names where the filter looks
	RenameAway, Unlink   string
	Commit               string
	CapabilitiesWereLeft bool
}

// outputStory confines itself with an output open, tries to abuse the rename, and then finishes it.
func outputStory(s setting) (told outputTold) {
	out, err := CreateOutput(filepath.Join(s.Dir, "report"))
	if err != nil {
		panic(err)
	}
	r := Apply(Options{Output: out})
	told.Within = minus(r.Permitted, r.Effective)
	told.CapabilitiesWereLeft = capsOf(r.Effective)&out.needs() != 0
	text := func(err error) string {
		if err == nil {
			return ""
		}
		var errno syscall.Errno
		if errors.As(err, &errno) {
			return unix.ErrnoName(errno)
		}
		return err.Error()
	}
	told.RenameAway = text(withCaps(out.needs(), func() error {
		return unix.Renameat2(out.dir, "victim", out.dir, "stolen", 0)
	}))
	told.Unlink = text(withCaps(out.needs(), func() error { return unix.Unlinkat(out.dir, "victim", 0) }))
	if _, err := io.WriteString(out, "new"); err != nil {
		panic(err)
	}
	told.Commit = text(out.Commit())

	// Last, because an unsealed page is gone after it.
	told.Steal = text(unix.Mprotect(out.page, unix.PROT_READ|unix.PROT_WRITE))
	at, _ := out.names()
	_, _, errno := unix.Syscall6(sysMmap, at, uintptr(len(out.page)), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED, ^uintptr(0), 0)
	told.Remap = text(asError("mmap", errno))
	return told
}

func capsOf(cs []Capability) (s capSet) {
	for _, c := range cs {
		s |= c.bit()
	}
	return s
}

func TestOutputOfAConfinedProcess(t *testing.T) {
	needRoot(t)
	needSeccomp(t)
	needAllThreads(t)
	_, _, errno := unix.Syscall(unix.SYS_MSEAL, 0, 0, 0)
	sealing := errno == 0 && auditArch&0x80000000 != 0 // __AUDIT_ARCH_64BIT

	cases := map[string]struct {
		owner int
		mode  fs.FileMode
		old   int // owner of what is to be replaced; -1 for none
		want  []Capability
	}{
		"in root's own directory":                    {0, 0o755, -1, []Capability{CapSysAdmin}},
		"over root's own file":                       {0, 0o755, 0, []Capability{CapSysAdmin}},
		"in a user's home":                           {65534, 0o755, -1, []Capability{CapDACOverride, CapSysAdmin}},
		"over a user's file in their home":           {65534, 0o700, 65534, []Capability{CapDACOverride, CapSysAdmin}},
		"over another's file in a sticky directory":  {65534, 0o777 | fs.ModeSticky, 65533, []Capability{CapDACOverride, CapFowner, CapSysAdmin}},
		"in a directory that even its owner may not": {0, 0o555, -1, []Capability{CapDACOverride, CapSysAdmin}},
	}
	for story, c := range cases {
		t.Run(story, func(t *testing.T) {
			parent := t.TempDir()
			if err := os.Chmod(filepath.Dir(parent), 0o755); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(parent, "d")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "victim"), "intact", 0o600)
			if c.old >= 0 {
				write(t, filepath.Join(dir, "report"), "old", 0o644)
				if err := os.Chown(filepath.Join(dir, "report"), c.old, c.old); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chown(dir, c.owner, c.owner); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, c.mode); err != nil {
				t.Fatal(err)
			}
			var told outputTold
			child(t, "output", setting{Dir: dir}, &told)
			if capsOf(told.Within) != capsOf(c.want) {
				t.Errorf("within reach: %v, want %v", told.Within, c.want)
			}
			if told.CapabilitiesWereLeft {
				t.Error("what the rename needs is in effect all the time")
			}
			if told.RenameAway != "EPERM" || told.Unlink != "EPERM" {
				t.Errorf("renaming another file: %q, removing it: %q", told.RenameAway, told.Unlink)
			}
			if told.Commit != "" {
				t.Errorf("commit: %s", told.Commit)
			}
			if sealing && (told.Steal != "EPERM" || told.Remap != "EPERM") {
				t.Errorf("the names can be changed: by mprotect %q, by mmap %q", told.Steal, told.Remap)
			}
			expect(t, filepath.Join(dir, "report"), "new", 0o644)
			expect(t, filepath.Join(dir, "victim"), "intact", 0o600)
		})
	}
}

// Opening a named pipe for writing waits for a reader, if one does not ask for
// the contrary, and no signal that is handled ends the wait.
func TestOutputPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateOutput(path); !errors.Is(err, unix.ENXIO) {
		t.Errorf("nobody reads: %v", err)
	}
	reader, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(reader)
	o, err := CreateOutput(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Write([]byte("report")); err != nil {
		t.Error(err)
	}
	if err := o.Commit(); err != nil {
		t.Error(err)
	}
	buf := make([]byte, 16)
	if n, err := unix.Read(reader, buf); err != nil || string(buf[:n]) != "report" {
		t.Errorf("read %q, %v", buf[:max(n, 0)], err)
	}
}
