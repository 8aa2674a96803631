package engines

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// traced are the system calls by which a scan could do more than read: reach a
// network or an engine's socket, run something, or change a file or the tree.
const traced = "trace=%network,execve,execveat,open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,unlink,unlinkat,rmdir," +
	"rename,renameat,renameat2,link,linkat,symlink,symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat," +
	"mount,move_mount,umount2,pivot_root,kill,tkill,tgkill,ptrace,process_vm_writev,shmget,shmat,shmctl,semget,semop,semctl,msgget,msgsnd,msgrcv,msgctl"

// A scan reads and does nothing else, also of a host with exposed containers.
func TestScanOnlyReads(t *testing.T) {
	l := newLab(t, "strace", "strace", "unshare")
	if out, err := l.try("strace", "-f", "-o", l.path("probe"), "-e", traced, "true"); err != nil {
		l.Skipf("strace cannot trace on this machine: %v %s", err, out)
	}
	bin, err := nsinspect()
	if err != nil {
		t.Fatal(err)
	}
	// Something to enter and to list: an IPC namespace that is not the scan's own.
	l.sleeper("namespace", "unshare", "--ipc", "--pid", "--fork", "sleep", "1000000")
	l.makeObjects()

	output := l.path("report.json")
	for _, tt := range []struct {
		story string
		args  []string
		write string // the one file that may be written, "" for none
	}{
		{"scan to standard output", []string{"-f", "json"}, ""},
		{"scan to a file", []string{"-f", "json", "-o", output}, output},
		{"table", []string{"scan"}, ""},
		{"ps", []string{"ps"}, ""},
		{"deep scan", []string{"scan", "--deep"}, ""},
		{"namespaces", []string{"ns", "--deep"}, ""},
	} {
		t.Run(tt.story, func(t *testing.T) {
			calls := trace(t, l, bin, tt.args)
			execs, opens, written := 0, 0, 0
			for _, c := range calls {
				switch {
				case strings.HasPrefix(c.name, "exec"):
					execs++
					if execs > 1 {
						t.Errorf("runs a program: %s", c.line)
					}
				case slices.Contains([]string{"open", "openat", "openat2"}, c.name):
					opens++
					if !writes.MatchString(c.line) {
						break
					}
					if written++; !c.about(tt.write) || written > 1 {
						t.Errorf("opens for writing: %s", c.line)
					}
				case c.name == "tgkill" && strings.Contains(c.line, "tgkill("+calls[0].thread+", "):
					// The Go runtime signals its own threads: to preempt them, and to have
					// all of them make a system call.
				case c.name == "syscall_0x1ce":
					// mseal, which strace 6.1 does not know and then shows unasked.
				case slices.Contains([]string{"rename", "renameat", "renameat2", "fchmod", "fchmodat", "ftruncate", "unlink", "unlinkat"}, c.name) && c.about(tt.write):
				default:
					t.Errorf("more than reading: %s", c.line)
				}
			}
			if execs != 1 {
				t.Errorf("%d programs were run, and nsinspect is one: the trace cannot be believed", execs)
			}
			if processes := len(descendants(1)); opens < processes/2 {
				t.Errorf("%d files were opened for %d processes: the trace cannot be believed", opens, processes)
			}
		})
	}

	// The trace must be of a scan that worked.
	data, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(data, &r); err != nil || r.Coverage.Processes == 0 {
		t.Errorf("the traced scan reported nothing: %v", err)
	}
}

var (
	writes   = regexp.MustCompile(`O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE`)
	callLine = regexp.MustCompile(`^(\d+)\s+(?:<\.\.\. )?([a-z0-9_]+)(?:\(| resumed>)`)
)

type call struct{ thread, name, line string }

// about tells whether a call is about the output file: itself, or a temporary
// file beside it with its name in its own. strace -y shows the directory also
// where the call has only a descriptor of it.
func (c call) about(file string) bool {
	return file != "" && strings.Contains(c.line, filepath.Dir(file)) && strings.Contains(c.line, filepath.Base(file))
}

// trace runs nsinspect below strace and returns the calls it made.
func trace(t *testing.T, l *lab, bin string, args []string) []call {
	t.Helper()
	log := l.path("trace")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// -y prints what a descriptor is, so that a call through one can be judged.
	cmd := exec.CommandContext(ctx, "strace", append([]string{"-f", "-qq", "-y", "-s", "4096", "--seccomp-bpf", "-e", traced, "-e", "signal=none", "-o", log, "--", bin}, args...)...)
	cmd.Env = environment()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if code := cmd.ProcessState.ExitCode(); code != 1 && code != 3 {
			t.Fatalf("nsinspect below strace: %v: %s", err, stderr.String())
		}
	}
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var calls []call
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		m := callLine.FindStringSubmatch(line)
		if m == nil {
			if strings.Contains(line, "+++") {
				continue
			}
			t.Fatalf("cannot read the trace: %s", line)
		}
		if strings.Contains(line, "resumed>") {
			continue // its beginning has been seen
		}
		calls = append(calls, call{m[1], m[2], line})
	}
	return calls
}
