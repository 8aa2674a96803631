package proc_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/proctest"
)

// below is a directory with what an engine, and somebody who works against it,
// could leave there.
func below(t *testing.T, dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755))
	must(os.MkdirAll(filepath.Join(dir, "open"), 0o755))
	must(os.MkdirAll(filepath.Join(dir, "sticky"), 0o755))
	for _, f := range []string{"top", "a/b/file", "open/file", "sticky/file", "writable"} {
		must(os.WriteFile(filepath.Join(dir, f), []byte("content of "+f), 0o644))
	}
	must(os.Chmod(filepath.Join(dir, "open"), 0o777))
	must(os.Chmod(filepath.Join(dir, "sticky"), 0o777|os.ModeSticky))
	must(os.Chmod(filepath.Join(dir, "writable"), 0o666))
	must(os.WriteFile(filepath.Join(dir, "big"), make([]byte, 1001), 0o644))
	must(os.Symlink("top", filepath.Join(dir, "link")))
	must(os.Symlink("a", filepath.Join(dir, "linkdir")))
	must(syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
}

var belowCases = []struct {
	story, path, want string // want: the content, or what the error says
	kind              proc.Kind
	fails             bool
}{
	{story: "a file", path: "top", want: "content of top"},
	{story: "a file in a directory", path: "a/b/file", want: "content of a/b/file"},
	{story: "up and down again", path: "a/../a/b/file", want: "content of a/b/file"},
	{story: "in a directory like /tmp", path: "sticky/file", want: "content of sticky/file"},
	{story: "no such file", path: "none", kind: proc.Absent, fails: true},
	{story: "no such directory", path: "none/file", kind: proc.Absent, fails: true},
	{story: "the file is a link", path: "link", want: "not a regular file", kind: proc.BadData, fails: true},
	{story: "a directory is a link", path: "linkdir/b/file", want: "not a directory", kind: proc.BadData, fails: true},
	{story: "a file in the place of a directory", path: "top/file", want: "not a directory", kind: proc.BadData, fails: true},
	{story: "a directory in the place of a file", path: "a", want: "not a regular file", kind: proc.BadData, fails: true},
	{story: "a FIFO would block", path: "fifo", want: "not a regular file", kind: proc.BadData, fails: true},
	{story: "everybody may write to the directory", path: "open/file", want: "everybody", kind: proc.BadData, fails: true},
	{story: "everybody may write to the file", path: "writable", want: "everybody", kind: proc.BadData, fails: true},
	{story: "one byte too many", path: "big", kind: proc.TooBig, fails: true},
	{story: "an empty path", path: "", want: "component", kind: proc.BadData, fails: true},
	{story: "an empty component", path: "a//b", want: "component", kind: proc.BadData, fails: true},
	{story: "a NUL byte would end the path early", path: "top\x00x", want: "component", kind: proc.BadData, fails: true},
}

func checkBelow(t *testing.T, fs *proc.FS, pid int, from proc.Origin, prefix string) {
	t.Helper()
	p, err := fs.Process(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, c := range belowCases {
		t.Run(c.story, func(t *testing.T) {
			b, _, err := p.ReadBelow(context.Background(), from, prefix+c.path, 1000)
			switch {
			case !c.fails && (err != nil || string(b) != c.want):
				t.Errorf("%q, %v; want %q", b, err, c.want)
			case c.fails && (err == nil || proc.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%q, %v; want an error of kind %v with %q", b, err, c.kind, c.want)
			}
		})
	}
}

// TestReadBelowLive reads below this process.
func TestReadBelowLive(t *testing.T) {
	dir := t.TempDir()
	below(t, dir)
	t.Chdir(dir)
	fs, err := proc.Open("/proc")
	if err != nil {
		t.Skipf("no procfs: %v", err)
	}
	defer fs.Close()
	t.Run("working directory", func(t *testing.T) { checkBelow(t, fs, os.Getpid(), proc.FromCwd, "") })
	t.Run("root directory", func(t *testing.T) { checkBelow(t, fs, os.Getpid(), proc.FromRoot, dir+"/") })
}

// TestReadBelowTree reads in a tree that is not a procfs, where the links of the
// process may lead to places of the tree only.
func TestReadBelowTree(t *testing.T) {
	tree := proctest.Build(t, "7 root=box cwd=/run\n8 root=box cwd=/\n9 root=box cwd=elsewhere\n")
	below(t, filepath.Join(tree, "roots", "box"))
	if err := os.Mkdir(filepath.Join(tree, "roots", "box", "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	below(t, filepath.Join(tree, "roots", "box", "run"))
	fs, err := proc.Open(tree)
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	t.Run("working directory", func(t *testing.T) { checkBelow(t, fs, 7, proc.FromCwd, "") })
	t.Run("root as the working directory", func(t *testing.T) { checkBelow(t, fs, 8, proc.FromCwd, "") })
	t.Run("root directory", func(t *testing.T) { checkBelow(t, fs, 7, proc.FromRoot, "/") })
	t.Run("a working directory that is not there", func(t *testing.T) {
		p, err := fs.Process(9)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, _, err := p.ReadBelow(context.Background(), proc.FromCwd, "top", 1000); proc.KindOf(err) != proc.Absent {
			t.Error(err)
		}
	})
	t.Run("a root outside the tree", func(t *testing.T) {
		link := filepath.Join(tree, "8", "root")
		if err := errors.Join(os.Remove(link), os.Symlink("/", link)); err != nil {
			t.Fatal(err)
		}
		p, err := fs.Process(8)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if b, _, err := p.ReadBelow(context.Background(), proc.FromRoot, "etc/passwd", 1<<20); err == nil {
			t.Errorf("read %d bytes of the reader's own", len(b))
		}
	})
}

// TestReadBelowOwner: the file of one user tells nothing of another user's process.
func TestReadBelowOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("giving a file away takes root")
	}
	fs, err := proc.Open("/proc")
	if err != nil {
		t.Skipf("no procfs: %v", err)
	}
	defer fs.Close()
	p, err := fs.Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dir := t.TempDir()
	below(t, dir)
	t.Chdir(dir)
	for _, c := range []struct{ give, read, want string }{
		{"top", "top", "belongs to uid 12345"},
		{"a", "a/b/file", "belongs to uid 12345"},
	} {
		if err := os.Chown(filepath.Join(dir, c.give), 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.ReadBelow(context.Background(), proc.FromCwd, c.read, 1000); err == nil || proc.KindOf(err) != proc.BadData || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.read, err)
		}
	}
}

// TestReadBelowGone: the directories of a process that has ended are nobody's.
func TestReadBelowGone(t *testing.T) {
	fs, err := proc.Open("/proc")
	if err != nil {
		t.Skipf("no procfs: %v", err)
	}
	defer fs.Close()
	child, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{Dir: "/"})
	if err != nil {
		t.Skipf("no child: %v", err)
	}
	p, err := fs.Process(child.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := errors.Join(child.Kill(), wait(child)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.ReadBelow(context.Background(), proc.FromCwd, "etc/passwd", 1<<20); proc.KindOf(err) != proc.Gone {
		t.Errorf("of a process that has ended: %v", err)
	}
}

func wait(p *os.Process) error { _, err := p.Wait(); return err }

// treeBesideASecret is a tree whose process 7 has the root directory roots/host and the working directory /run in it, in a
// directory that holds what is no business of anybody in the tree.
func treeBesideASecret(t testing.TB) (fs *proc.FS, root string) {
	t.Helper()
	top := t.TempDir()
	tree := filepath.Join(top, "tree")
	root = filepath.Join(tree, "roots", "host")
	for _, dir := range []string{filepath.Join(tree, "7"), filepath.Join(root, "run", "a"), filepath.Join(top, "run")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range map[string]string{
		filepath.Join(top, "file"): "secret", filepath.Join(top, "run", "file"): "secret", filepath.Join(tree, "file"): "secret", filepath.Join(tree, "7", "file"): "secret",
		filepath.Join(root, "file"): "of the root", filepath.Join(root, "run", "file"): "of run", filepath.Join(root, "run", "a", "file"): "of a",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"root": "../roots/host", "cwd": "/run"} {
		if err := os.Symlink(to, filepath.Join(tree, "7", link)); err != nil {
			t.Fatal(err)
		}
	}
	fs, err := proc.Open(tree)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs, root
}

// FuzzReadBelow: no path leads out of the root directory, and what is read is what is at the path when it is written without detours.
func FuzzReadBelow(f *testing.F) {
	for _, path := range []string{"file", "../file", "../../file", "../../../file", "run/a/../file", "a/../../run/file", "../run/../../../run/file", "/file", "//file", "..", ".", "", "a", "run/../../../file", "file\x00", "../../7/file"} {
		f.Add(path, true)
		f.Add(path, false)
	}
	fs, root := treeBesideASecret(f)
	p, err := fs.Process(7)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { p.Close() })
	f.Fuzz(func(t *testing.T, path string, fromRoot bool) {
		from, at := proc.FromCwd, "/run/"
		if fromRoot {
			from, at = proc.FromRoot, "/"
		}
		names, listErr := p.ListBelow(context.Background(), from, path, 10)
		for _, name := range names {
			if name != "run" && name != "a" || listErr != nil {
				t.Fatalf("%q from %s lists %q, %v", path, from, names, listErr)
			}
		}
		b, _, err := p.ReadBelow(context.Background(), from, path, 100)
		if err != nil {
			var e *proc.Error
			if !errors.As(err, &e) || len(b) > 0 {
				t.Fatalf("%q from %s: %q, %v", path, from, b, err)
			}
			return
		}
		want, err := os.ReadFile(filepath.Join(root, filepath.Clean(at+path)))
		if err != nil || string(b) != string(want) {
			t.Fatalf("%q from %s: %q, want %q, %v", path, from, b, want, err)
		}
	})
}
