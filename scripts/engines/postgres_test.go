package engines

import (
	"fmt"
	"os"
	accounts "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// postgres is a PostgreSQL of our own on the host, with its memory in a System V segment.
type postgres struct {
	pid      int
	uid, gid int
	key      uint32
	shmid    int64
}

// startPostgres starts a server below the lab's directory, without a network.
func startPostgres(l *lab) postgres {
	l.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		l.Skip("PostgreSQL is not installed (scripts/setup installs it)")
	}
	bin := filepath.Dir(slices.Max(found))
	account, err := accounts.Lookup("postgres")
	if err != nil {
		l.Skipf("no user to run PostgreSQL: %v", err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	home := l.path("postgres")
	if err := os.Mkdir(home, 0o700); err != nil {
		l.Fatal(err)
	}
	if err := os.Chown(home, uid, gid); err != nil {
		l.Fatal(err)
	}
	as := []string{"setpriv", "--reuid=" + account.Uid, "--regid=" + account.Gid, "--clear-groups"}
	data := filepath.Join(home, "data")
	l.run(slices.Concat(as, []string{filepath.Join(bin, "initdb"), "--pgdata=" + data, "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8"})...)
	server := l.background("postgres", slices.Concat(as, []string{filepath.Join(bin, "postgres"), "-D", data,
		"-c", "shared_memory_type=sysv", "-c", "shared_buffers=32MB", "-c", "listen_addresses=", "-c", "unix_socket_directories=" + home, "-c", "fsync=off"})...)
	p := postgres{pid: server.pid, uid: uid, gid: gid}
	// The server writes its segment into this file: key and id on the seventh line, and on the
	// eighth that it is ready (src/include/utils/pidfile.h).
	server.ready(l, func() error {
		text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
		if err != nil {
			return err
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) < 8 || strings.TrimSpace(lines[7]) != "ready" {
			return fmt.Errorf("not ready: %q", text)
		}
		_, err = fmt.Sscan(lines[6], &p.key, &p.shmid)
		return err
	})
	return p
}

// What a database keeps in shared memory is the reason to look at all: the
// report names the segment, who has it mapped, and which containers can read it.
func TestPostgreSQL(t *testing.T) {
	l := newLab(t, "PostgreSQL beside docker", "/usr/sbin/dockerd", "/usr/bin/docker", "setpriv")
	p := startPostgres(l)
	d := startDocker(l)
	ids := map[string]string{
		"root":      d.start("root", "--ipc=host"),
		"nobody":    d.start("nobody", "--ipc=host", "--user=65534:65534"),
		"same uid":  d.start("same-uid", "--ipc=host", fmt.Sprintf("--user=%d:%d", p.uid, p.gid)),
		"ipc owner": d.start("ipc-owner", "--ipc=host", "--cap-add=IPC_OWNER"),
		"private":   d.start("private"),
	}
	r, code := l.scan()
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	i := slices.IndexFunc(r.IPCNamespaces, func(ns report.IPCNamespace) bool { return ns.Host })
	if i < 0 {
		t.Fatal("the report lists no host IPC namespace")
	}
	all := r.IPCNamespaces[i].Shm
	at := slices.IndexFunc(all, func(s report.Shm) bool { return s.ID == p.shmid })
	if at < 0 {
		t.Fatalf("segment %d of PostgreSQL is not in %+v", p.shmid, all)
	}
	s := all[at]
	if s.Key != p.key || s.UID != uint32(p.uid) || s.CPID != p.pid || s.Size < 1<<25 || s.Perms != "0600" {
		t.Errorf("PostgreSQL wrote the key %#x, uid %d, pid %d: got %+v", p.key, p.uid, p.pid, s)
	}

	// Those who have it mapped are the server and its children, and nobody in a container.
	server := append(descendants(p.pid), p.pid)
	var attached []int
	for _, a := range s.Attached {
		attached = append(attached, a.PID)
		if a.Container != "" || !slices.Contains(server, a.PID) {
			t.Errorf("attached: %+v, which is no process of the server", a)
		}
	}
	if uint64(len(attached)) != s.NAttch || !slices.Contains(attached, p.pid) {
		t.Errorf("the kernel counts %d attachments, the report has %v", s.NAttch, attached)
	}

	// Docker's root has CAP_SETUID and can become the database's user; another
	// user cannot; the same uid is the owner at once.
	for name, want := range map[string]report.Access{
		"root":      {Read: "after_setuid", Write: "after_setuid", Control: "after_setuid", Via: "owner"},
		"nobody":    {Read: "no", Write: "no", Control: "no"},
		"same uid":  {Read: "now", Write: "now", Control: "now", Via: "owner"},
		"ipc owner": {Read: "now", Write: "now", Control: "after_setuid"},
	} {
		ref := "docker:" + ids[name]
		reach := slices.IndexFunc(s.Reach, func(a report.Access) bool { return a.Container == ref })
		if reach < 0 {
			t.Errorf("%s: nothing is said of its reach: %+v", name, s.Reach)
			continue
		}
		got := s.Reach[reach]
		if got.Read != want.Read || got.Write != want.Write || got.Control != want.Control || want.Via != "" && got.Via != want.Via {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		severity := "high"
		if want.Write == "no" {
			severity = ""
		}
		for _, f := range r.Findings {
			if f.Rule == "host-ipc" && f.Subject == ref && severity != "" && f.Severity != severity {
				t.Errorf("%s: the finding is %s, want %s", name, f.Severity, severity)
			}
		}
	}
	if slices.ContainsFunc(s.Reach, func(a report.Access) bool { return a.Container == "docker:"+ids["private"] }) {
		t.Errorf("a container in an IPC namespace of its own reaches it: %+v", s.Reach)
	}
}
