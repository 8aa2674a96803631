package engines

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	accounts "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// postgres is a PostgreSQL of our own on the host, with its memory in System V segments.
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
	command := slices.Concat(as, []string{filepath.Join(bin, "postgres"), "-D", data})
	for _, setting := range []string{
		"shared_memory_type=sysv", "dynamic_shared_memory_type=sysv", "shared_buffers=32MB",
		"listen_addresses=", "unix_socket_directories=" + home, "fsync=off",
		"autovacuum=off", // its workers come and go, and attach the segments
	} {
		command = append(command, "-c", setting)
	}
	server := l.background("postgres", command...)
	p := postgres{pid: server.pid, uid: uid, gid: gid}
	// A server that has to be killed leaves its segments.
	l.Cleanup(func() {
		server.stop()
		for _, o := range segmentsOf([]int{p.pid}) {
			o.remove()
		}
	})
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

// mapped tells which of the server's processes have which segments in their
// memory, from /proc/PID/maps: there a segment's id is its inode, proc(5).
func (p postgres) mapped(t *testing.T) map[int64][]int {
	t.Helper()
	all := map[int64][]int{}
	for _, pid := range append(descendants(p.pid), p.pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 6 || !strings.HasPrefix(f[5], "/SYSV") {
				continue
			}
			id, err := strconv.ParseInt(f[4], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			all[id] = append(all[id], pid)
		}
	}
	for _, pids := range all {
		slices.Sort(pids)
	}
	return all
}

// What a database keeps in shared memory is the reason to look at all: the
// report names the segment, who has it mapped, and what each container can do to
// it; and the kernel, asked inside each container, says the same.
func TestPostgreSQL(t *testing.T) {
	l := newLab(t, "PostgreSQL beside docker", "/usr/sbin/dockerd", "/usr/bin/docker", "setpriv", "ipcs")
	helper := l.path("attach")
	if err := build("attach", helper); err != nil {
		t.Fatal(err)
	}
	p := startPostgres(l)
	d := startDocker(l)

	// Docker's root has CAP_SETUID, and so can become the database's user; whoever
	// has neither that nor the uid cannot.
	stories := []struct {
		name  string
		flags []string
		want  report.Access
	}{
		{"root", nil,
			report.Access{Read: "after_setuid", Write: "after_setuid", Control: "after_setuid", Via: "owner"}},
		{"nobody", []string{"--user=65534:65534"},
			report.Access{Read: "no", Write: "no", Control: "no"}},
		{"root-without-capabilities", []string{"--cap-drop=ALL"},
			report.Access{Read: "no", Write: "no", Control: "no"}},
		{"root-without-setuid", []string{"--cap-drop=SETUID"},
			report.Access{Read: "no", Write: "no", Control: "no"}},
		{"server's-uid", []string{fmt.Sprintf("--user=%d:%d", p.uid, p.gid)},
			report.Access{Read: "now", Write: "now", Control: "now", Via: "owner"}},
		{"cap-ipc-owner", []string{"--cap-add=IPC_OWNER"},
			report.Access{Read: "now", Write: "now", Control: "after_setuid", Via: "cap_ipc_owner"}},
	}
	ids := map[string]string{}
	for i, s := range stories {
		ids[s.name] = d.start(fmt.Sprintf("story-%d", i), slices.Concat([]string{"--ipc=host", "-v", helper + ":/attach:ro"}, s.flags)...)
	}
	private := d.start("private", "-v", helper+":/attach:ro")

	r, code := l.scan()
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	i := slices.IndexFunc(r.IPCNamespaces, func(ns report.IPCNamespace) bool { return ns.Host })
	if i < 0 {
		t.Fatal("the report lists no host IPC namespace")
	}
	ns := r.IPCNamespaces[i]
	at := slices.IndexFunc(ns.Shm, func(s report.Shm) bool { return s.ID == p.shmid })
	if at < 0 {
		t.Fatalf("segment %d of PostgreSQL is not in %+v", p.shmid, ns.Shm)
	}
	s := ns.Shm[at]
	if s.Key != p.key || s.UID != uint32(p.uid) || s.CPID != p.pid || s.Size < 1<<25 || s.Perms != "0600" {
		t.Errorf("PostgreSQL wrote the key %#x, uid %d, pid %d: got %+v", p.key, p.uid, p.pid, s)
	}
	want := fmt.Sprintf("0x%08x %d postgres 600 %d %d", s.Key, s.ID, s.Size, s.NAttch)
	if got := l.segmentLine(p.shmid); got != want {
		t.Errorf("the report has %q, util-linux %q", want, got)
	}
	p.checkAttached(t, ns)

	for _, story := range stories {
		t.Run(story.name, func(t *testing.T) {
			ref := "docker:" + ids[story.name]
			reach := slices.IndexFunc(s.Reach, func(a report.Access) bool { return a.Container == ref })
			if reach < 0 {
				t.Fatalf("nothing is said of its reach: %+v", s.Reach)
			}
			want := story.want
			want.Container = ref
			if got := s.Reach[reach]; got != want {
				t.Errorf("the report says %+v, want %+v", got, want)
			}
			got := report.Access{Container: ref, Via: want.Via}
			tried := d.must("exec", ids[story.name], "/attach", strconv.FormatInt(p.shmid, 10), strconv.Itoa(p.uid))
			if err := json.Unmarshal([]byte(tried), &got); err != nil {
				t.Fatalf("%v: %q", err, tried)
			}
			if got != want {
				t.Errorf("the kernel says %+v, want %+v", got, want)
			}
			checkSeverity(t, r, ns, ref, want.Write)
			l.checkTold(t, ref, s, want.Write)
		})
	}

	if slices.ContainsFunc(s.Reach, func(a report.Access) bool { return a.Container == "docker:"+private }) {
		t.Errorf("a container in an IPC namespace of its own reaches it: %+v", s.Reach)
	}
	if out, err := d.try("exec", private, "/attach", strconv.FormatInt(p.shmid, 10), strconv.Itoa(p.uid)); err == nil || !strings.Contains(err.Error(), "shmat: invalid argument") {
		t.Errorf("a container in an IPC namespace of its own should find no segment %d: %v %s", p.shmid, err, out)
	}
}

// segmentLine is what ipcs of util-linux prints of a segment: key, id, owner,
// mode, bytes, attachments.
func (l *lab) segmentLine(id int64) string {
	l.Helper()
	for line := range strings.Lines(l.run("ipcs", "--shmems")) {
		if f := strings.Fields(line); len(f) >= 6 && f[1] == strconv.FormatInt(id, 10) {
			return strings.Join(f[:6], " ")
		}
	}
	return ""
}

// checkAttached compares who has the server's segments mapped: the server's
// processes, as many as the kernel counts, and none in a container.
func (p postgres) checkAttached(t *testing.T, ns report.IPCNamespace) {
	t.Helper()
	mapped := p.mapped(t)
	if !slices.Contains(mapped[p.shmid], p.pid) || len(mapped[p.shmid]) < 2 {
		t.Fatalf("segment %d should be mapped by the server %d and its children: %v", p.shmid, p.pid, mapped)
	}
	for _, s := range ns.Shm {
		want, ours := mapped[s.ID]
		delete(mapped, s.ID)
		if !ours {
			continue
		}
		var got []int
		for _, a := range s.Attached {
			got = append(got, a.PID)
			if a.Container != "" {
				t.Errorf("segment %d: process %d of the server is said to be in %s", s.ID, a.PID, a.Container)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || uint64(len(got)) != s.NAttch {
			t.Errorf("segment %d: attached %v, want %v; the kernel counts %d", s.ID, got, want, s.NAttch)
		}
	}
	if len(mapped) > 0 {
		t.Errorf("the server has segments mapped that the report does not list: %v", slices.Collect(maps.Keys(mapped)))
	}
}

// checkSeverity: what can write another's object is worse than what merely is
// there. write is what it can do to the database.
func checkSeverity(t *testing.T, r *report.Report, ns report.IPCNamespace, ref, write string) {
	t.Helper()
	want := "high"
	if write == "no" {
		want = "medium"
		// This machine may have objects for everybody to write.
		if n := writable(ns, ref); n > 0 {
			t.Logf("it can write %d other objects of this machine: no severity to expect", n)
			return
		}
	}
	for _, f := range r.Findings {
		if f.Rule == "host-ipc" && f.Subject == ref {
			if string(f.Severity) != want {
				t.Errorf("the finding is %s, want %s: %+v", f.Severity, want, f.Evidence)
			}
			return
		}
	}
	t.Errorf("no finding host-ipc")
}

// writable counts the objects that a container can write.
func writable(ns report.IPCNamespace, ref string) int {
	n := 0
	count := func(reach []report.Access) {
		for _, a := range reach {
			if a.Container == ref && a.Write != "no" {
				n++
			}
		}
	}
	for _, o := range ns.Shm {
		count(o.Reach)
	}
	for _, o := range ns.Sem {
		count(o.Reach)
	}
	for _, o := range ns.Msg {
		count(o.Reach)
	}
	for _, o := range ns.Mqueue {
		count(o.Reach)
	}
	return n
}

// checkTold looks for the sentence about the segment in what is explained.
func (l *lab) checkTold(t *testing.T, ref string, s report.Shm, write string) {
	t.Helper()
	bin, err := nsinspect()
	if err != nil {
		t.Fatal(err)
	}
	told, err := l.try(bin, "explain", ref)
	if err != nil {
		t.Fatal(err)
	}
	segment := fmt.Sprintf("write shm 0x%x (postgres, %d MiB)", s.Key, s.Size>>20)
	want := map[string]string{
		"now":          "can " + segment,
		"after_setuid": fmt.Sprintf("can become uid %d (postgres) and %s", s.UID, segment),
	}[write]
	switch {
	case want != "" && !strings.Contains(told, want):
		t.Errorf("%q is not in:\n%s", want, told)
	case want == "" && strings.Contains(told, fmt.Sprintf("shm 0x%x", s.Key)):
		t.Errorf("it can do nothing to the segment, and yet:\n%s", told)
	}
}
