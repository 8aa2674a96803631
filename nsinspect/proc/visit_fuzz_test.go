package proc_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// FuzzVisit: whatever the files of a process hold, a visit says what it could read and names what it could not.
func FuzzVisit(f *testing.F) {
	own := map[string][]byte{}
	for _, name := range []string{"stat", "status", "cmdline", "cgroup"} {
		own[name], _ = os.ReadFile("/proc/self/" + name)
	}
	f.Add(own["stat"], own["status"], own["cmdline"], own["cgroup"])
	f.Add([]byte("7 (x) Z 1"), []byte("Uid:\t0"), []byte("\x00\x00"), []byte("0::/\n"))
	f.Add([]byte("7 ("), []byte{}, []byte("a\x00\x00b"), []byte("0::/docker/a (deleted)"))
	f.Add([]byte(")("), []byte("Cpus_allowed_list:\t0-4294967295\n"), []byte("\x1b]0;x\x07"), []byte{})
	dir := f.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "7"), 0o755); err != nil {
		f.Fatal(err)
	}
	fs, err := proc.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { fs.Close() })
	f.Fuzz(func(t *testing.T, stat, status, cmdline, cgroup []byte) {
		for name, content := range map[string][]byte{"stat": stat, "status": status, "cmdline": cmdline, "cgroup": cgroup} {
			if err := os.WriteFile(filepath.Join(dir, "7", name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d, err := fs.Visit(context.Background(), 7, proc.WantStatus|proc.WantCmdline)
		if err != nil {
			var e *proc.Error
			if d != nil || !errors.As(err, &e) {
				t.Fatalf("%+v, %v", d, err)
			}
			return
		}
		missing := func(name string) bool {
			return slices.ContainsFunc(d.Errors, func(e *proc.Error) bool { return e.File == name })
		}
		if d.PID != 7 || d.IPC != 0 || d.Cgroup != string(cgroup) && !d.Zombie {
			t.Errorf("%+v", d)
		}
		if missing("stat") != (d.State == 0) || d.State == 0 && (d.Comm != "" || d.PPID != 0 || d.StartTime != 0) || d.PPID < 0 || !bytes.Contains(stat, []byte(d.Comm)) {
			t.Errorf("stat %q: %+v, %v", stat, d, d.Errors)
		}
		if missing("status") != (d.Status == nil) {
			t.Errorf("status %q: %+v, %v", status, d.Status, d.Errors)
		}
		// The words of a command line are what stands between its NUL bytes; those at the end are not words.
		if got, want := strings.Join(d.Cmdline, "\x00"), strings.TrimRight(string(cmdline), "\x00"); got != want && !missing("cmdline") && !d.Zombie {
			t.Errorf("cmdline %q: %q", cmdline, d.Cmdline)
		}
	})
}
