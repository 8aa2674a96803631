//go:build amd64 || arm64 || riscv64

// The structures and numbers of the system calls here are those of these machines.

package render_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/nsinspect/nsinspect/nsinspect/ipc"
	"github.com/nsinspect/nsinspect/nsinspect/locale"
	"github.com/nsinspect/nsinspect/nsinspect/render"
	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

const insideEnv = "NSINSPECT_TEST_IPCS_PARITY"

// TestIPCSParity compares with the installed ipcs, in an IPC and a mount
// namespace of its own: the kernel removes all objects, and the passwd and group
// files that are mounted for it, with the last process in there.
func TestIPCSParity(t *testing.T) {
	if os.Getenv(insideEnv) != "" {
		parity(t)
		return
	}
	ipcs, err := exec.LookPath("ipcs")
	if err != nil {
		t.Skip("no ipcs(1) is installed to compare with")
	}
	version, err := exec.Command(ipcs, "-V").Output()
	if err != nil || !strings.Contains(string(version), "util-linux 2.38") {
		t.Skipf("the installed ipcs is not util-linux 2.38 but %q", version)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: namespaces of its own, objects of other owners")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestIPCSParity$", "-test.v")
	cmd.Env = append(os.Environ(), insideEnv+"="+ipcs)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWIPC | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is about the thread
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	if err != nil {
		if cmd.Process == nil {
			t.Skipf("cannot start in namespaces of its own: %v", err)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "compared") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

const (
	passwd = "root:x:0:0:root:/root:/bin/sh\n" +
		"exactlyten:x:1001:1001::/:/bin/sh\n" +
		"elevenchars:x:1002:1002::/:/bin/sh\n" +
		"a-very-long-user-name-indeed:x:1003:1003::/:/bin/sh\n" +
		"second-name:x:1003:1003::/:/bin/sh\n" +
		"jürgenößö:x:1004:1004::/:/bin/sh\n" +
		"q:x:1005:1005::/:/bin/sh\n" +
		"most:x:4294967294:1::/:/bin/sh\n"
	group = "root:x:0:\ntencharact:x:2001:\na-very-long-group-name:x:2002:q,root\ngrün:x:2003:\n"
)

// owners are users and groups with and without a name.
var owners = []uint32{0, 1001, 1002, 1003, 1004, 1005, 1006, 65534, 2147483648, 4294967294, 2001, 2002, 2003}

func parity(t *testing.T) {
	ipcs := os.Getenv(insideEnv)
	mountNames(t)
	populate(t)
	locales := locales(t)
	units := []struct {
		flag string
		unit render.IPCSUnit
	}{{"", render.IPCSDefault}, {"-b", render.IPCSBytes}, {"--human", render.IPCSHuman}}
	formats := []struct {
		flag   string
		format render.IPCSFormat
	}{{"", render.IPCSObjects}, {"-t", render.IPCSTimes}, {"-p", render.IPCSPIDs}, {"-c", render.IPCSCreators}, {"-l", render.IPCSLimits}, {"-u", render.IPCSSummary}}
	zones := []string{"UTC", "CET-1CEST,M3.5.0,M10.5.0/3", "<-0330>3:30"}

	data := read(t)
	if len(data.Shm) < 100 || len(data.Sem) < 100 || len(data.Msg) < 100 {
		t.Fatalf("only %d segments, %d sets and %d queues were made", len(data.Shm), len(data.Sem), len(data.Msg))
	}
	compared := 0
	check := func(lc localeCase, tz string, got []byte, args ...string) {
		t.Helper()
		args = append(strings.Fields(strings.Join(args, " ")), "")
		args = args[:len(args)-1]
		cmd := exec.Command(ipcs, args...)
		cmd.Env = append(lc.env, "TZ="+tz, "PATH="+os.Getenv("PATH"))
		want, err := cmd.Output()
		if err != nil {
			t.Errorf("ipcs %s: %v", args, err)
			return
		}
		if compared++; !bytes.Equal(got, want) {
			t.Errorf("ipcs %s in %s, TZ=%s: %s", strings.Join(args, " "), lc.name, tz, firstDifference(got, want))
		}
	}
	for _, lc := range locales {
		l := lc.locale
		for _, tz := range zones {
			l.Zone = locale.Zone(tz, true)
			for _, u := range units {
				for _, f := range formats {
					if f.format != render.IPCSTimes && tz != zones[0] {
						continue
					}
					for kinds := range 8 {
						v := render.IPCSView{Msg: kinds&1 != 0, Shm: kinds&2 != 0, Sem: kinds&4 != 0, Format: f.format, Unit: u.unit}
						flags := ""
						for i, flag := range []string{"-q", "-m", "-s"} {
							if kinds&(1<<i) != 0 {
								flags += " " + flag
							}
						}
						check(lc, tz, render.IPCS(v, data, l), flags, f.flag, u.flag)
					}
				}
				if lc.name != "C" && tz != zones[0] {
					continue
				}
				// Each object in one locale, some in the others.
				step := 1
				if lc.name != "C" || tz != zones[0] || u.unit == render.IPCSBytes {
					step = 17
				}
				for i := 0; i < len(data.Shm); i += step {
					s := data.Shm[i]
					check(lc, tz, render.IPCSShm(s, u.unit, l), "-m -i", fmt.Sprint(s.ID), u.flag)
				}
				for i := 0; i < len(data.Msg); i += step {
					m := data.Msg[i]
					qbytes, err := ipc.QueueBytes(m.ID)
					if err != nil {
						t.Fatal(err)
					}
					check(lc, tz, render.IPCSMsg(m, qbytes, u.unit, l), "-q -i", fmt.Sprint(m.ID), u.flag)
				}
				for i := 0; i < len(data.Sem); i += step {
					s := data.Sem[i]
					values, err := ipc.Semaphores(s)
					if err != nil {
						t.Fatal(err)
					}
					check(lc, tz, render.IPCSSem(s, values, l), "-s -i", fmt.Sprint(s.ID), u.flag)
				}
			}
		}
	}
	t.Logf("compared %d outputs of ipcs over %d segments, %d sets, %d queues in %d locales", compared, len(data.Shm), len(data.Sem), len(data.Msg), len(locales))
	if len(locales) == 0 || compared < 1000 {
		t.Errorf("only %d outputs were compared", compared)
	}

	t.Run("limits", func(t *testing.T) {
		// They are the namespace's own: the host keeps its.
		for name, values := range map[string][]string{
			"shmmax": {"0", "1023", "18446744073709551615"},
			"shmall": {"0", "1", "1125899906842623", "4503599627370495", "4503599627370496", "18446744073709551615"},
			"msgmax": {"0", "1536", "2147483647"},
			"msgmnb": {"0", "1048575"},
			"msgmni": {"0", "32768"},
			"sem":    {"250\t32000\t32\t128"},
		} {
			for _, value := range values {
				if err := os.WriteFile("/proc/sys/kernel/"+name, []byte(value), 0); err != nil {
					t.Errorf("kernel.%s=%s: %v", name, value, err)
					continue
				}
				data := read(t)
				for _, u := range units {
					v := render.IPCSView{Format: render.IPCSLimits, Unit: u.unit}
					check(locales[0], "UTC", render.IPCS(v, data, locales[0].locale), "-l", u.flag)
				}
			}
		}
	})
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d:\n got %q\nwant %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

func read(t *testing.T) render.IPCSData {
	t.Helper()
	file := func(name string, _ int) ([]byte, error) { return os.ReadFile("/proc/" + name) }
	o, err := ipc.ReadSysV(file)
	if err != nil {
		t.Fatal(err)
	}
	limits, err := ipc.ReadLimits(file)
	if err != nil {
		t.Fatal(err)
	}
	return render.IPCSData{Shm: o.Shm, Sem: o.Sem, Msg: o.Msg, Limits: limits, PageSize: uint64(os.Getpagesize())}
}

type localeCase struct {
	name   string
	env    []string
	locale render.IPCSLocale
}

func locales(t *testing.T) []localeCase {
	t.Helper()
	users, err := locale.Names("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	groups, err := locale.Names("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	l := render.IPCSLocale{Users: users, Groups: groups}
	dir := t.TempDir()
	all := []localeCase{
		{"C", []string{"LC_ALL=C"}, l},
		{"C.UTF-8", []string{"LANG=C.UTF-8"}, l},
		{"a locale that is not installed", []string{"LANG=xx_YY.UTF-8"}, l},
	}
	// Languages with and without a catalogue of util-linux, with a comma and with a point.
	for _, name := range []string{"de_DE", "ja_JP"} {
		if out, err := exec.Command("localedef", "-i", name, "-f", "UTF-8", filepath.Join(dir, name+".UTF-8")).CombinedOutput(); err != nil {
			t.Logf("%s cannot be made here: %v: %.200s", name, err, out)
			continue
		}
		all = append(all, localeCase{name, []string{"LANG=" + name + ".UTF-8", "LOCPATH=" + dir}, l})
	}
	for i := range all {
		c := &all[i]
		language := locale.System().Find(func(key string) string {
			for _, pair := range c.env {
				if value, ok := strings.CutPrefix(pair, key+"="); ok {
					return value
				}
			}
			return ""
		}, "util-linux")
		c.locale.Decimal, c.locale.Message = language.Decimal, language.Message
		if translated := language.Message("owner"); translated != "owner" {
			t.Logf("%s is compared with translations: owner is %s", c.name, translated)
		}
	}
	return all
}

// mountNames puts files with awkward names over /etc/passwd and /etc/group of
// this mount namespace, and leaves names to files alone.
func mountNames(t *testing.T) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"passwd": passwd, "group": group, "nsswitch.conf": "passwd: files\ngroup: files\n"} {
		source, target := filepath.Join(dir, name), "/etc/"+name
		if err := os.WriteFile(source, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
			t.Fatalf("mount over %s: %v", target, err)
		}
		t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
	}
}

func must(t *testing.T, what string, r1 uintptr, _ uintptr, errno syscall.Errno) uintptr {
	t.Helper()
	if errno != 0 {
		t.Fatalf("%s: %v", what, errno)
	}
	return r1
}

// sembuf is struct sembuf of semop(2).
type sembuf struct {
	num uint16
	op  int16
	flg int16
}

// populate makes hundreds of objects of all kinds. What it makes is decided by
// a fixed seed.
func populate(t *testing.T) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func() uint32 { return owners[rnd.IntN(len(owners))] }
	keys := []uintptr{unix.IPC_PRIVATE, 1, 0x7fffffff, 0x80000000, 0xffffffff}
	key := func() uintptr {
		if len(keys) > 0 {
			k := keys[0]
			keys = keys[1:]
			return k
		}
		if rnd.IntN(4) == 0 {
			return unix.IPC_PRIVATE
		}
		return uintptr(rnd.Uint32())
	}
	sizes := []int{1, 1023, 1024, 1025, 1075, 1076, 1535, 1536, 4095, 4096, 4097, 10239, 10485759, 1 << 20, 1<<30 - 1, 1 << 30, 1<<40 - 1, 1<<43 + 12345}
	for i := range 150 {
		asCreator(t, pick(), pick(), func() {
			size := 1 + rnd.IntN(1<<(1+rnd.IntN(33)))
			if i < len(sizes) {
				size = sizes[i]
			}
			const noReserve = 0o10000
			id, err := unix.SysvShmGet(int(int32(key())), size, unix.IPC_CREAT|noReserve|rnd.IntN(0o1000))
			if err != nil {
				t.Fatalf("shmget of %d bytes: %v", size, err)
			}
			t.Cleanup(func() { unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
			if i%3 == 0 {
				if mem, err := unix.SysvShmAttach(id, 0, 0); err == nil {
					for at := 0; at < min(len(mem), 1<<16); at += 4096 {
						mem[at] = 1
					}
					if i%2 == 0 {
						if err := unix.SysvShmDetach(mem); err != nil {
							t.Fatal(err)
						}
					} else {
						t.Cleanup(func() { unix.SysvShmDetach(mem) })
					}
				}
			}
			if i%5 == 0 && size <= 1<<16 {
				unix.Syscall(unix.SYS_SHMCTL, uintptr(id), 11, 0) // SHM_LOCK: the owner may be refused it
			}
			if i%7 == 0 {
				if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil {
					t.Fatal(err)
				}
				return
			}
			var d unix.SysvShmDesc
			d.Perm.Uid, d.Perm.Gid, d.Perm.Mode = pick(), pick(), mode(rnd)
			if _, err := unix.SysvShmCtl(id, unix.IPC_SET, &d); err != nil {
				t.Fatalf("shmctl(IPC_SET): %v", err)
			}
		})
	}
	keys = []uintptr{unix.IPC_PRIVATE, 1, 0x7fffffff, 0x80000000, 0xffffffff}
	for i := range 150 {
		asCreator(t, pick(), pick(), func() {
			n := 1 + rnd.IntN(40)
			a, b, errno := unix.Syscall(unix.SYS_SEMGET, key(), uintptr(n), uintptr(unix.IPC_CREAT|0o600))
			id := must(t, "semget", a, b, errno)
			t.Cleanup(func() { unix.Syscall6(unix.SYS_SEMCTL, id, 0, unix.IPC_RMID, 0, 0, 0) })
			for k := range n {
				if rnd.IntN(2) == 0 {
					a, b, errno := unix.Syscall6(unix.SYS_SEMCTL, id, uintptr(k), 16, uintptr(rnd.IntN(32768)), 0, 0) // SETVAL
					must(t, "semctl(SETVAL)", a, b, errno)
				}
			}
			if i%2 == 0 {
				op := sembuf{num: uint16(rnd.IntN(n)), op: 3, flg: unix.IPC_NOWAIT}
				unix.Syscall(unix.SYS_SEMOP, id, uintptr(unsafe.Pointer(&op)), 1) // ERANGE for a large value
			}
			var d semid
			d.uid, d.gid, d.mode = pick(), pick(), mode(rnd)
			a, b, errno = unix.Syscall6(unix.SYS_SEMCTL, id, 0, unix.IPC_SET, uintptr(unsafe.Pointer(&d)), 0, 0)
			must(t, "semctl(IPC_SET)", a, b, errno)
		})
	}
	wait(t)
	keys = []uintptr{unix.IPC_PRIVATE, 1, 0x7fffffff, 0x80000000, 0xffffffff}
	for i := range 150 {
		asCreator(t, pick(), pick(), func() {
			a, b, errno := unix.Syscall(unix.SYS_MSGGET, key(), uintptr(unix.IPC_CREAT|0o600), 0)
			id := must(t, "msgget", a, b, errno)
			t.Cleanup(func() { unix.Syscall(unix.SYS_MSGCTL, id, unix.IPC_RMID, 0) })
			for range rnd.IntN(4) {
				message := make([]byte, 8+rnd.IntN(3000))
				message[0] = 1
				message[7] = 1 // the type, in whatever byte order
				a, b, errno := unix.Syscall6(unix.SYS_MSGSND, id, uintptr(unsafe.Pointer(&message[0])), uintptr(len(message)-8), unix.IPC_NOWAIT, 0, 0)
				must(t, "msgsnd", a, b, errno)
				if i%3 == 0 {
					a, b, errno := unix.Syscall6(unix.SYS_MSGRCV, id, uintptr(unsafe.Pointer(&message[0])), uintptr(len(message)-8), 0, unix.IPC_NOWAIT, 0)
					must(t, "msgrcv", a, b, errno)
				}
			}
			var d msqid
			d.uid, d.gid, d.mode, d.qbytes = pick(), pick(), mode(rnd), uint64(1+rnd.IntN(16384))
			a, b, errno = unix.Syscall(unix.SYS_MSGCTL, id, unix.IPC_SET, uintptr(unsafe.Pointer(&d)))
			must(t, "msgctl(IPC_SET)", a, b, errno)
		})
	}
}

func mode(rnd *rand.Rand) uint32 { return uint32(rnd.IntN(0o1000)) }

// semid and msqid are the beginnings of struct semid64_ds and msqid64_ds of 64-bit
// machines (include/uapi/asm-generic), with room for the rest.
type semid struct {
	key                  int32
	uid, gid, cuid, cgid uint32
	mode                 uint32
	_                    [256]byte
}

type msqid struct {
	key                  int32
	uid, gid, cuid, cgid uint32
	mode                 uint32
	_                    [88 - 24]byte
	qbytes               uint64
	_                    [256]byte
}

// asCreator calls f on a thread whose effective ids are the given ones; the
// whole process keeps its own.
func asCreator(t *testing.T, uid, gid uint32, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	same := ^uintptr(0)
	set := func(uid, gid uintptr) {
		// Away from root the group comes first, back to it the user.
		if uid == 0 {
			a, b, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, uid, same)
			must(t, "setresuid", a, b, errno)
		}
		a, b, errno := unix.RawSyscall(unix.SYS_SETRESGID, same, gid, same)
		must(t, "setresgid", a, b, errno)
		if uid != 0 {
			a, b, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, uid, same)
			must(t, "setresuid", a, b, errno)
		}
	}
	set(uintptr(uid), uintptr(gid))
	defer set(0, 0)
	f()
}

// wait makes a set that threads wait for: ncount and zcount are not 0.
func wait(t *testing.T) {
	t.Helper()
	a, b, errno := unix.Syscall(unix.SYS_SEMGET, unix.IPC_PRIVATE, 3, 0o600)
	id := must(t, "semget", a, b, errno)
	// The threads return when the set is removed.
	t.Cleanup(func() { unix.Syscall6(unix.SYS_SEMCTL, id, 0, unix.IPC_RMID, 0, 0, 0) })
	a, b, errno = unix.Syscall6(unix.SYS_SEMCTL, id, 1, 16, 7, 0, 0) // SETVAL
	must(t, "semctl(SETVAL)", a, b, errno)
	for _, op := range []sembuf{{0, -1, 0}, {0, -5, 0}, {1, 0, 0}} {
		go unix.Syscall(unix.SYS_SEMOP, id, uintptr(unsafe.Pointer(&op)), 1)
	}
	for {
		values, err := ipc.Semaphores(report.Sem{ID: int64(id), NSems: 3})
		if err != nil {
			t.Fatal(err)
		}
		if values[0].NCount == 2 && values[1].ZCount == 1 {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("nobody waits: %+v", values)
		}
		time.Sleep(time.Millisecond)
	}
}
