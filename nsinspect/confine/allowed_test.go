package confine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// machine runs a filter without a kernel. The instructions load words of a packet in network order, those of seccomp in
// the processor's, so the packet is written word by word.
type machine struct{ vm *bpf.VM }

func newMachine(t *testing.T, s stage, out *Output) machine {
	t.Helper()
	prog, err := program(s, pid, out)
	if err != nil {
		t.Fatal(err)
	}
	// BPF_MAXINSNS, include/uapi/linux/bpf_common.h.
	if len(prog) > 4096 {
		t.Fatalf("%d instructions", len(prog))
	}
	vm, err := bpf.NewVM(prog)
	if err != nil {
		t.Fatal(err)
	}
	return machine{vm}
}

const pid = 4711

func (m machine) ask(t *testing.T, arch uint32, call uintptr, args ...uint64) uint32 {
	t.Helper()
	var six [6]uint64
	copy(six[:], args)
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[dataNr:], uint32(call))
	binary.BigEndian.PutUint32(data[dataArch:], arch)
	for i, a := range six {
		low := make([]byte, 8)
		binary.NativeEndian.PutUint64(low, a)
		binary.BigEndian.PutUint32(data[dataArgs+8*i:], binary.NativeEndian.Uint32(low))
		binary.BigEndian.PutUint32(data[dataArgs+8*i+4:], binary.NativeEndian.Uint32(low[4:]))
	}
	answer, err := m.vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(answer)
}

func TestFilterAnswers(t *testing.T) {
	out, err := CreateOutput(t.TempDir() + "/report")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Discard()
	from, to := out.names()
	dir, old, final := uint64(out.dir), uint64(from), uint64(to)
	const cwd = 0xffffff9c // AT_FDCWD as amd64 leaves it in the register
	thread := make([]uint64, 6)
	thread[cloneFlags] = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
	fork := make([]uint64, 6)
	fork[cloneFlags] = uint64(unix.SIGCHLD)
	threadInNewSpace := slices.Clone(thread)
	threadInNewSpace[cloneFlags] |= unix.CLONE_NEWIPC

	cases := []struct {
		story           string
		call            uintptr
		args            []uint64
		scanning, after uint32
	}{
		{"open for reading", unix.SYS_OPENAT, []uint64{cwd, 0, unix.O_RDONLY | unix.O_CLOEXEC}, allow, refuse},
		{"open a directory", unix.SYS_OPENAT, []uint64{cwd, 0, unix.O_RDONLY | unix.O_DIRECTORY}, allow, refuse},
		{"open a path only", unix.SYS_OPENAT, []uint64{cwd, 0, unix.O_PATH | unix.O_NOFOLLOW}, allow, refuse},
		{"open for writing", unix.SYS_OPENAT, []uint64{cwd, 0, unix.O_WRONLY}, refuse, refuse},
		{"open for both", unix.SYS_OPENAT, []uint64{cwd, 0, unix.O_RDWR | unix.O_CLOEXEC}, refuse, refuse},
		{"the upper half of the flags says nothing", unix.SYS_OPENAT, []uint64{cwd, 0, 1<<32 | unix.O_WRONLY}, refuse, refuse},
		{"create for reading", unix.SYS_OPENAT, []uint64{cwd, 0, unix.O_CREAT}, refuse, refuse},
		{"empty while reading", unix.SYS_OPENAT, []uint64{cwd, 0, unix.O_TRUNC}, refuse, refuse},
		{"open by structure", unix.SYS_OPENAT2, nil, lack, lack},
		{"read", unix.SYS_READ, []uint64{3}, allow, allow},
		{"write", unix.SYS_WRITE, []uint64{1}, allow, allow},
		{"read a link", unix.SYS_READLINKAT, nil, allow, refuse},
		{"new thread", unix.SYS_CLONE, thread, allow, allow},
		{"new process", unix.SYS_CLONE, fork, refuse, refuse},
		{"new thread in a new namespace", unix.SYS_CLONE, threadInNewSpace, refuse, refuse},
		{"new thread by structure", unix.SYS_CLONE3, nil, lack, lack},
		{"own thread", unix.SYS_TGKILL, []uint64{pid, 1, 1}, allow, allow},
		{"the pid in the lower half only", unix.SYS_TGKILL, []uint64{1<<32 | pid, 1, 1}, refuse, refuse},
		{"thread of another process", unix.SYS_TGKILL, []uint64{pid + 1, 1, 1}, refuse, refuse},
		{"enter an IPC namespace", unix.SYS_SETNS, []uint64{3, unix.CLONE_NEWIPC}, allow, refuse},
		{"enter a user namespace", unix.SYS_SETNS, []uint64{3, unix.CLONE_NEWUSER}, refuse, refuse},
		{"enter whatever it is", unix.SYS_SETNS, []uint64{3, 0}, refuse, refuse},
		{"make a filesystem", unix.SYS_FSCONFIG, []uint64{3, unix.FSCONFIG_CMD_CREATE}, allow, refuse},
		{"make a filesystem of a device", unix.SYS_FSCONFIG, []uint64{3, unix.FSCONFIG_SET_STRING}, refuse, refuse},
		{"attach it", unix.SYS_MOVE_MOUNT, nil, refuse, refuse},
		{"is it a terminal", unix.SYS_IOCTL, []uint64{1, unix.TCGETS}, allow, allow},
		{"type into the terminal", unix.SYS_IOCTL, []uint64{1, unix.TIOCSTI}, refuse, refuse},
		{"number of a mount namespace", unix.SYS_IOCTL, []uint64{3, unix.NS_GET_MNTNS_ID}, allow, refuse},
		{"mounts of a mount namespace", unix.SYS_LISTMOUNT, nil, allow, refuse},
		{"one mount", unix.SYS_STATMOUNT, nil, allow, refuse},
		{"whether two threads share descriptors", unix.SYS_KCMP, []uint64{1, 2, 2}, allow, refuse},
		{"whether two processes share memory", unix.SYS_KCMP, []uint64{1, 2, 1}, refuse, refuse},
		{"into a mount namespace", unix.SYS_SETNS, []uint64{3, unix.CLONE_NEWNS}, refuse, refuse},
		{"type of a namespace", unix.SYS_IOCTL, []uint64{3, unix.NS_GET_NSTYPE}, allow, refuse},
		{"values of a semaphore", unix.SYS_SEMCTL, []uint64{0, 0, semGetAll}, allow, refuse},
		{"values of a semaphore, 32 bits", unix.SYS_SEMCTL, []uint64{0, 0, semGetAll | 0x100}, allow, refuse},
		{"remove a semaphore", unix.SYS_SEMCTL, []uint64{0, 0, unix.IPC_RMID}, refuse, refuse},
		{"remove a semaphore, 32 bits", unix.SYS_SEMCTL, []uint64{0, 0, unix.IPC_RMID | 0x100}, refuse, refuse},
		{"change a segment", unix.SYS_SHMCTL, []uint64{0, unix.IPC_SET}, refuse, refuse},
		{"lock a segment", unix.SYS_SHMCTL, []uint64{0, 11}, refuse, refuse},
		{"attach a segment", unix.SYS_SHMAT, nil, refuse, refuse},
		{"limits of another", unix.SYS_PRLIMIT64, []uint64{1}, refuse, refuse},
		{"name the output", unix.SYS_RENAMEAT2, []uint64{dir, old, dir, final, 0}, allow, allow},
		{"exchange the output with what is there", unix.SYS_RENAMEAT2, []uint64{dir, old, dir, final, unix.RENAME_EXCHANGE}, refuse, refuse},
		{"name the output otherwise", unix.SYS_RENAMEAT2, []uint64{dir, old, dir, final + 1, 0}, refuse, refuse},
		{"rename something else", unix.SYS_RENAMEAT2, []uint64{dir, old + 1, dir, final, 0}, refuse, refuse},
		{"name the output elsewhere", unix.SYS_RENAMEAT2, []uint64{dir, old, cwd, final, 0}, refuse, refuse},
		{"link it besides", unix.SYS_LINKAT, []uint64{dir, old, dir, final, 0}, refuse, refuse},
		{"remove the temporary file", unix.SYS_UNLINKAT, []uint64{dir, old, 0}, allow, allow},
		{"remove the output", unix.SYS_UNLINKAT, []uint64{dir, final, 0}, refuse, refuse},
		{"loosen the filter", unix.SYS_SECCOMP, nil, allow, refuse},
	}
	during, after := newMachine(t, scanning, out), newMachine(t, sealed, out)
	for _, c := range cases {
		t.Run(c.story, func(t *testing.T) {
			if got := during.ask(t, auditArch, c.call, c.args...); got != c.scanning {
				t.Errorf("during the scan: %#x, want %#x", got, c.scanning)
			}
			if got := after.ask(t, auditArch, c.call, c.args...); got != c.after {
				t.Errorf("sealed: %#x, want %#x", got, c.after)
			}
			if got := during.ask(t, auditArch^1, c.call, c.args...); got != refuse {
				t.Errorf("in the convention of another architecture: %#x, want %#x", got, refuse)
			}
		})
	}
	t.Run("without an output nothing is renamed", func(t *testing.T) {
		m := newMachine(t, scanning, nil)
		if got := m.ask(t, auditArch, unix.SYS_RENAMEAT2, dir, old, dir, final, 0); got != refuse {
			t.Errorf("got %#x", got)
		}
	})
}

// The answer to a call which is on no list does not depend on its arguments: whatever was loaded to judge one call is
// never taken for the number of another.
func TestFilterNeverTakesAnArgumentForANumber(t *testing.T) {
	listed := make(map[uintptr]bool)
	for _, calls := range [][]uintptr{unconditional, alsoUnconditional, looking, alsoLooking, absent} {
		for _, c := range calls {
			listed[c] = true
		}
	}
	conditions := make(map[uintptr]rule)
	for _, r := range rules(scanning, pid, nil) {
		if _, twice := conditions[r.call]; twice || listed[r.call] {
			t.Errorf("call %d is on two lists, and the first decides", r.call)
		}
		conditions[r.call] = r
	}
	m := newMachine(t, scanning, nil)
	for call := range uintptr(512) {
		for arg := range uint64(1024) {
			if arg >= 512 {
				arg = 1<<32 | arg - 512
			}
			got := m.ask(t, auditArch, call, arg, arg, arg, arg, arg, arg)
			r, conditional := conditions[call]
			want := refuse
			switch {
			case slices.Contains(absent, call):
				want = lack
			case listed[call] || conditional && r.holds(arg):
				want = allow
			}
			if got != want {
				t.Fatalf("call %d with %#x: %#x, want %#x", call, arg, got, want)
			}
		}
	}
}

// holds says whether a rule lets its call through when all arguments are the same.
func (r rule) holds(arg uint64) bool {
	return !slices.ContainsFunc(r.all, func(c condition) bool {
		switch c.test {
		case without:
			return uint32(arg)&c.vals[0] != 0
		case with:
			return uint32(arg)&c.vals[0] == 0
		}
		return uint32(arg>>32) != c.high || !slices.Contains(c.vals, uint32(arg))
	})
}

func TestMeasure(t *testing.T) {
	cases := map[string]struct {
		err  error
		want State
	}{
		"it worked":                              {nil, On},
		"kernel without seccomp(2), before 3.17": {asError("seccomp", unix.ENOSYS), Absent},
		"kernel without CONFIG_SECCOMP_FILTER":   {asError("seccomp", unix.EINVAL), Absent},
		"build with cgo":                         {asError("capset", unix.ENOTSUP), Absent},
		"a sandbox around us refuses":            {asError("seccomp", unix.EPERM), Unknown},
		"out of memory":                          {asError("seccomp", unix.ENOMEM), Unknown},
		"a thread has a filter of its own":       {errors.New("seccomp: thread 7 has another filter"), Unknown},
	}
	for story, c := range cases {
		t.Run(story, func(t *testing.T) {
			m := measure(c.err)
			if m.State != c.want || !errors.Is(m.Err, c.err) {
				t.Errorf("got %v, want %v", m, c.want)
			}
			want := c.want.String()
			if c.err != nil {
				want += ": " + c.err.Error()
			}
			if got := fmt.Sprint(m); got != want {
				t.Errorf("reads %q, want %q", got, want)
			}
		})
	}
}
