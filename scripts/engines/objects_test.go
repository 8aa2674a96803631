package engines

import (
	"os"
	"slices"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

// objects are one SysV object of each kind on the host.
type objects struct {
	shm, sem, msg int
	key           int // of the first; the others follow
}

const (
	shmSize = 3 << 20
	semNum  = 7
)

// makeObjects makes objects in the host's IPC namespace, which the tests are in,
// and removes them when the test ends.
func (l *lab) makeObjects() objects {
	l.Helper()
	get := func(kind string, trap, key, a, b uintptr) int {
		id, _, errno := unix.Syscall(trap, key, a, b)
		if errno != 0 {
			l.Fatalf("making a %s: %v", kind, errno)
		}
		l.Cleanup(object{kind, int(id)}.remove)
		return int(id)
	}
	const flags = unix.IPC_CREAT | unix.IPC_EXCL | 0o640
	key := keyOf(os.Getppid(), 1)
	return objects{
		key: key,
		shm: get("shm", unix.SYS_SHMGET, uintptr(key), shmSize, flags),
		sem: get("sem", unix.SYS_SEMGET, uintptr(key+1), semNum, flags),
		msg: get("msg", unix.SYS_MSGGET, uintptr(key+2), flags, 0),
	}
}

// checkObjects looks for them in the report's host namespace, and for the
// containers that the engine put there.
func checkObjects(t *testing.T, r *report.Report, want objects, all []truth) {
	t.Helper()
	i := slices.IndexFunc(r.IPCNamespaces, func(ns report.IPCNamespace) bool { return ns.Host })
	if i < 0 {
		t.Fatal("the report lists no host IPC namespace")
	}
	ns := r.IPCNamespaces[i]
	if ns.Error != "" {
		t.Errorf("the host's IPC namespace could not be listed: %s", ns.Error)
	}
	if !slices.ContainsFunc(ns.Shm, func(o report.Shm) bool {
		return o.ID == int64(want.shm) && o.Key == uint32(want.key) && o.Size == shmSize && o.Perms == "0640" && o.UID == 0
	}) {
		t.Errorf("shm %d is not in %+v", want.shm, ns.Shm)
	}
	if !slices.ContainsFunc(ns.Sem, func(o report.Sem) bool {
		return o.ID == int64(want.sem) && o.Key == uint32(want.key+1) && o.NSems == semNum && o.Perms == "0640"
	}) {
		t.Errorf("sem %d is not in %+v", want.sem, ns.Sem)
	}
	if !slices.ContainsFunc(ns.Msg, func(o report.Msg) bool {
		return o.ID == int64(want.msg) && o.Key == uint32(want.key+2) && o.Perms == "0640"
	}) {
		t.Errorf("msg %d is not in %+v", want.msg, ns.Msg)
	}
	for _, c := range all {
		if in := slices.Contains(ns.Containers, c.ref()); in != (c.ipc == host) {
			t.Errorf("%s (%s) among the containers of the host's IPC namespace: %v", c.ref(), c.story, in)
		}
	}
}
