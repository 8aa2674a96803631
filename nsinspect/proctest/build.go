// Package proctest builds fake /proc trees for tests from text. Links cannot be
// kept in a Go module, so the trees are made when they are needed.
//
//	1 comm=systemd cgroup=0::/init.scope
//	4300 comm=dockerd cmdline="dockerd -H fd://"
//	4389 ppid=4300 ipc=4026532201 mnt=4026532200 cgroup=0::/docker/4ae05848f7f5
//	4389/4390 ipc=host
//	5000 state=Z ipc=- mnt=-
//	-- sysvipc/shm --
//	       key      shmid perms ...
//	-- 4389/maps --
//	...
//
// A line is a process, PID, or a thread of one, PID/TID (of a process of an earlier line, whose values it
// inherits), and then words KEY=VALUE. A value with spaces or control bytes is a Go string in double quotes. A line that
// starts with # is a comment. After a line "-- NAME --" comes the content of a file, until the next one.
//
// Keys, and what holds when they are missing:
//
//	ipc pid mnt net uts user time cgroupns
//	           inode of the namespace, host (default) for the initial one, - for no link
//	cgroup     a line of the cgroup file, may be repeated (default 0::/); - for no file
//	comm       name (sleep)
//	cmdline    command line, words separated by spaces (comm)
//	ppid       parent (1; 0 for PID 1 and 2)
//	state      R, S, Z, ... (S)
//	kthread    1 for a kernel thread (0)
//	start      clock ticks after boot (PID)
//	uid gid    real, effective, saved, file system; one number for all four (0)
//	groups     supplementary groups, separated by commas (none)
//	caps       permitted and effective capabilities in hexadecimal (all for uid 0, else none)
//	bnd inh amb
//	           the other capability sets (all, none, none)
//	nspid      numbers from the outermost PID namespace inwards, separated by commas (PID)
//	nnp        1 for no_new_privs (0)
//	seccomp    mode (0)
//	root       name of a root directory; processes with the same name have the same, - for no link (host)
//	cwd        working directory (/)
//	fd         target of a descriptor's link, may be repeated: the first is descriptor 3 (none)
//	shm        what is mounted at /dev/shm: host, own, or - for nothing (host in the host's mount namespace, else own)
//
// stat, status, sysvipc/{shm,sem,msg}, sys/kernel/{osrelease,hostname} and
// sys/kernel/random/boot_id are made too; any file can be given instead.
package proctest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Inodes of the initial namespaces (include/linux/proc_ns.h, include/uapi/linux/nsfs.h; mnt and net since Linux 6.18).
var initial = map[string]string{
	"ipc": "4026531839", "pid": "4026531836", "user": "4026531837", "uts": "4026531838",
	"cgroup": "4026531835", "time": "4026531834", "mnt": "4026531832", "net": "4026531833",
}

var keys = "ipc pid mnt net uts user time cgroupns cgroup comm cmdline ppid state kthread start uid gid groups caps bnd inh amb nspid nnp seccomp root cwd fd shm"

const allCaps = "000001ffffffffff"

// Default files of a tree.
const (
	shmHeader = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n"
	semHeader = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
	msgHeader = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n"
)

// Build makes the tree in a temporary directory of the test and returns its path.
func Build(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := Write(dir, text); err != nil {
		t.Fatalf("proctest: %v", err)
	}
	return dir
}

// Write makes the tree in an existing directory.
func Write(dir, text string) error {
	files := map[string]string{
		"sysvipc/shm":               shmHeader,
		"sysvipc/sem":               semHeader,
		"sysvipc/msg":               msgHeader,
		"sys/kernel/osrelease":      "6.1.0-test\n",
		"sys/kernel/hostname":       "testhost\n",
		"sys/kernel/random/boot_id": "11111111-2222-3333-4444-555555555555\n",
	}
	tasks := map[string]map[string][]string{}
	file := ""
	for i, line := range strings.SplitAfter(text, "\n") {
		bare := strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(bare, "-- "); ok && strings.HasSuffix(name, " --") {
			file = strings.TrimSuffix(name, " --")
			files[file] = ""
			continue
		}
		if file != "" {
			files[file] += line
			continue
		}
		bare = strings.TrimSpace(bare)
		if bare == "" || bare[0] == '#' {
			continue
		}
		if err := process(dir, bare, tasks); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// process makes the directory of one process or thread.
func process(dir, line string, tasks map[string]map[string][]string) error {
	number, rest, _ := strings.Cut(line, " ")
	pid, tid, thread := strings.Cut(number, "/")
	for _, n := range []string{pid, tid} {
		if _, err := strconv.ParseUint(n, 10, 31); err != nil && (n == pid || thread) {
			return fmt.Errorf("%q is not a PID or PID/TID", number)
		}
	}
	values := map[string][]string{}
	if thread {
		if tasks[pid] == nil {
			return fmt.Errorf("the line of process %s must come before that of its thread", pid)
		}
		for k, v := range tasks[pid] {
			values[k] = v
		}
	}
	if err := parse(rest, values); err != nil {
		return err
	}
	base := filepath.Join(dir, pid)
	if thread {
		return task(filepath.Join(base, "task", tid), pid, tid, 2, values)
	}
	tasks[pid] = values
	if err := task(base, pid, pid, 0, values); err != nil {
		return err
	}
	return leader(base, filepath.Join(base, "task", pid))
}

// leader makes the directory of a process's first thread, of the same files: what a test does
// to one of them happens to both, as in a procfs.
func leader(process, thread string) error {
	if err := os.MkdirAll(filepath.Join(thread, "ns"), 0o755); err != nil {
		return err
	}
	for _, sub := range []string{"", "ns"} {
		list, err := os.ReadDir(filepath.Join(process, sub))
		if err != nil {
			return err
		}
		for _, e := range list {
			from, to := filepath.Join(process, sub, e.Name()), filepath.Join(thread, sub, e.Name())
			switch {
			case e.IsDir():
			case e.Name() == "root":
				target, err := os.Readlink(from)
				if err != nil {
					return err
				}
				if err := os.Symlink("../../"+target, to); err != nil {
					return err
				}
			default:
				if err := os.Link(from, to); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// link makes a link. Those with the same target are one inode, for the sake of file systems
// that are slow to make them.
func link(pool, target, path string) error {
	one := filepath.Join(pool, target)
	if strings.Contains(target, "/") {
		return os.Symlink(target, path)
	}
	if os.Link(one, path) == nil {
		return nil
	}
	if err := os.MkdirAll(pool, 0o755); err != nil {
		return err
	}
	if err := os.Symlink(target, one); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if os.Link(one, path) == nil {
		return nil
	}
	return os.Symlink(target, path) // the file system has no more links to one inode
}

// parse reads the words KEY=VALUE of a line; those of one line replace inherited ones.
func parse(rest string, values map[string][]string) error {
	seen := map[string]bool{}
	for {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			return nil
		}
		key, after, ok := strings.Cut(rest, "=")
		if !ok || !strings.Contains(" "+keys+" ", " "+key+" ") {
			return fmt.Errorf("%q is not KEY=VALUE", rest)
		}
		var value string
		if strings.HasPrefix(after, `"`) {
			quoted, err := strconv.QuotedPrefix(after)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			rest = after[len(quoted):]
		} else {
			value, rest, _ = strings.Cut(after, " ")
		}
		if !seen[key] {
			values[key] = nil
			seen[key] = true
		}
		values[key] = append(values[key], value)
	}
}

// task writes the files of one task; depth is how many directories deeper than a process it is.
func task(dir, pid, tid string, depth int, values map[string][]string) error {
	get := func(key, missing string) string {
		if v := values[key]; len(v) > 0 {
			return v[len(v)-1]
		}
		return missing
	}
	if err := os.MkdirAll(filepath.Join(dir, "ns"), 0o755); err != nil {
		return err
	}
	up := strings.Repeat("../", depth+1)
	for kind, inode := range initial {
		key := kind
		if kind == "cgroup" {
			key = "cgroupns"
		}
		switch v := get(key, "host"); v {
		case "-":
			continue
		case "host":
		default:
			inode = v
		}
		if err := link(filepath.Join(dir, up, "links"), kind+":["+inode+"]", filepath.Join(dir, "ns", kind)); err != nil {
			return err
		}
	}

	comm := get("comm", "sleep")
	ppid := "1"
	if pid == "1" || pid == "2" {
		ppid = "0"
	}
	ppid = get("ppid", ppid)
	state := get("state", "S")
	names := map[string]string{
		"R": "running", "S": "sleeping", "D": "disk sleep", "T": "stopped", "t": "tracing stop",
		"X": "dead", "Z": "zombie", "P": "parked", "I": "idle",
	}
	uids, gids := four(get("uid", "0")), four(get("gid", "0"))
	caps := "0000000000000000"
	if strings.Split(uids, "\t")[1] == "0" {
		caps = allCaps
	}
	caps = get("caps", caps)
	groups := strings.ReplaceAll(get("groups", ""), ",", " ")
	if groups != "" {
		groups += " "
	}
	status := fmt.Sprintf("Name:\t%s\nUmask:\t0022\nState:\t%s (%s)\nTgid:\t%s\nNgid:\t0\nPid:\t%s\nPPid:\t%s\nTracerPid:\t0\n"+
		"Uid:\t%s\nGid:\t%s\nFDSize:\t64\nGroups:\t%s\nNSpid:\t%s\nThreads:\t1\n"+
		"CapInh:\t%s\nCapPrm:\t%s\nCapEff:\t%s\nCapBnd:\t%s\nCapAmb:\t%s\nNoNewPrivs:\t%s\nSeccomp:\t%s\n",
		strings.NewReplacer("\n", `\n`, `\`, `\\`).Replace(comm), state, names[state], pid, tid, ppid, uids, gids, groups,
		strings.ReplaceAll(get("nspid", tid), ",", "\t"),
		get("inh", "0000000000000000"), caps, caps, get("bnd", allCaps), get("amb", "0000000000000000"),
		get("nnp", "0"), get("seccomp", "0"))
	flags := 0x400000 // PF_RANDOMIZE
	if get("kthread", "0") == "1" {
		flags = 0x200040 // PF_KTHREAD, PF_NOFREEZE
	}
	stat := fmt.Sprintf("%s (%s) %s %s %s %s 0 -1 %d 0 0 0 0 0 0 0 0 20 0 1 0 %s 0 0 18446744073709551615"+
		"%s\n", tid, comm, state, ppid, pid, pid, flags, get("start", pid), strings.Repeat(" 0", 27))
	cmdline := get("cmdline", comm)
	if cmdline != "" {
		cmdline = strings.ReplaceAll(cmdline, " ", "\x00") + "\x00"
	}
	if state == "Z" || flags&0x200000 != 0 {
		cmdline = ""
	}
	files := map[string]string{
		"comm": comm + "\n", "status": status, "stat": stat, "cmdline": cmdline,
		"maps":      "",
		"mountinfo": "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n" + devShm(get("shm", ""), get("mnt", "host")),
	}
	lines := values["cgroup"]
	if len(lines) == 0 {
		lines = []string{"0::/"}
	}
	if lines[len(lines)-1] != "-" {
		files["cgroup"] = strings.Join(lines, "\n") + "\n"
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}

	for i, target := range values["fd"] {
		if err := os.MkdirAll(filepath.Join(dir, "fd"), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(target, filepath.Join(dir, "fd", strconv.Itoa(i+3))); err != nil {
			return err
		}
	}

	root := get("root", "host")
	if err := os.MkdirAll(filepath.Join(dir, up, "roots", root), 0o755); err != nil {
		return err
	}
	if root != "-" {
		if err := os.Symlink(up+"roots/"+root, filepath.Join(dir, "root")); err != nil {
			return err
		}
	}
	return os.Symlink(get("cwd", "/"), filepath.Join(dir, "cwd"))
}

func four(ids string) string {
	if !strings.Contains(ids, ",") {
		return strings.Join([]string{ids, ids, ids, ids}, "\t")
	}
	return strings.ReplaceAll(ids, ",", "\t")
}

// devShm is the line of a mountinfo file for /dev/shm.
func devShm(which, mnt string) string {
	if which == "" {
		which = "own"
		if mnt == "host" || mnt == initial["mnt"] {
			which = "host"
		}
	}
	minor := map[string]string{"host": "20", "own": mnt}[which]
	if minor == "" {
		return ""
	}
	return "2 1 0:" + minor + " / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw\n"
}
