package ipc

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

func TestSemaphores(t *testing.T) {
	s := newSpace(t)
	s.do(t, func() error {
		id, err := semget(unix.IPC_PRIVATE, 3, 0o600)
		if err != nil {
			return err
		}
		const setVal = 16
		if _, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(id), 2, setVal, math.MaxInt16, 0, 0); errno != 0 {
			return fmt.Errorf("semctl(SETVAL): %w", errno)
		}
		got, err := Semaphores(report.Sem{ID: int64(id), NSems: 3})
		if err != nil {
			return err
		}
		if len(got) != 3 || got[0].Value != 0 || got[2].Value != math.MaxInt16 || got[2].PID != unix.Getpid() {
			return fmt.Errorf("got %+v", got)
		}
		for _, bad := range []report.Sem{{ID: int64(id), NSems: 0}, {ID: int64(id), NSems: 1 << 40}, {ID: int64(id) + 7, NSems: 3}, {ID: int64(id), NSems: 4}} {
			if got, err := Semaphores(bad); err == nil {
				return fmt.Errorf("%+v: got %+v", bad, got)
			}
		}
		return nil
	})
}

func TestQueueBytes(t *testing.T) {
	s := newSpace(t)
	s.do(t, func() error {
		limits, err := ReadLimits(procFile)
		if err != nil {
			return err
		}
		var ids []int
		for range 3 {
			id, err := msgget(unix.IPC_PRIVATE, 0)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		if got, err := QueueBytes(int64(ids[2])); err != nil || got != limits.MsgMNB {
			return fmt.Errorf("got %d, %w, want %d", got, err, limits.MsgMNB)
		}
		if _, err := QueueBytes(int64(ids[2]) + 1<<20); !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("an id that nobody has: %w", err)
		}
		// Without CAP_IPC_OWNER a queue of the mode 0 cannot be read, and is told all the same.
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&head, &none[0]); err != nil {
			return err
		}
		var b [512]byte
		if _, _, errno := unix.Syscall(unix.SYS_MSGCTL, uintptr(ids[2]), ipcStat, uintptr(unsafe.Pointer(&b[0]))); errno != unix.EACCES {
			return fmt.Errorf("IPC_STAT without a capability: %v", errno)
		}
		if got, err := QueueBytes(int64(ids[2])); err != nil || got != limits.MsgMNB {
			return fmt.Errorf("without a capability: got %d, %v, want %d", got, err, limits.MsgMNB)
		}
		return nil
	})
}

func TestReadLimits(t *testing.T) {
	tree := map[string]string{
		"sys/kernel/shmmni": "4096\n", "sys/kernel/shmmax": "18446744073692774399\n", "sys/kernel/shmall": "0\n",
		"sys/kernel/sem": "32000\t1024000000\t500\t32000\n", "sys/kernel/msgmni": "32000\n", "sys/kernel/msgmax": "8192\n", "sys/kernel/msgmnb": "16384\n",
	}
	file := func(name string, _ int) ([]byte, error) {
		text, ok := tree[name]
		if !ok {
			return nil, unix.ENOENT
		}
		return []byte(text), nil
	}
	want := report.IPCLimits{ShmMNI: 4096, ShmMax: 18446744073692774399, SemMSL: 32000, SemMNS: 1024000000, SemOPM: 500, SemMNI: 32000,
		MsgMNI: 32000, MsgMax: 8192, MsgMNB: 16384}
	got, err := ReadLimits(file)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	for name, bad := range map[string]string{
		"sys/kernel/sem":    "32000\t1024000000\t500\n",
		"sys/kernel/msgmni": "2147483648\n",
		"sys/kernel/msgmax": "-1\n",
		"sys/kernel/shmall": "",
		"sys/kernel/shmmax": "18446744073709551616\n",
	} {
		tree[name] = bad
		if _, err := ReadLimits(file); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s %q: %v", name, bad, err)
		}
	}
	delete(tree, "sys/kernel/shmmni")
	if _, err := ReadLimits(file); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a file that is not there: %v", err)
	}
}
