package ipc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"unsafe"

	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

// Commands of semctl(2) and msgctl(2), which x/sys/unix does not have
// (include/uapi/linux/sem.h, msg.h, ipc.h).
const (
	ipcStat    = 2
	semGetPID  = 11
	semGetAll  = 13
	semGetNCnt = 14
	semGetZCnt = 15
	msgStatAny = 13
)

// maxSemaphores is the largest SEMMSL that the kernel allows (ipc/sem.c keeps
// more out: a set would not fit its count of 16 bits).
const maxSemaphores = 1 << 16

// Semaphores reads the values of a set in the calling thread's IPC namespace.
// It needs read permission for the set (or CAP_IPC_OWNER). The values are of one
// moment, the rest is not: the kernel gives it one by one.
func Semaphores(s report.Sem) ([]report.Semaphore, error) {
	if s.NSems == 0 || s.NSems > maxSemaphores {
		return nil, fmt.Errorf("semaphore set %d: %d semaphores", s.ID, s.NSems)
	}
	// If the id has been given to a larger set meanwhile, the kernel fills that
	// many: there is always room for the largest.
	values := make([]uint16, maxSemaphores)
	if _, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(s.ID), 0, semGetAll, uintptr(unsafe.Pointer(&values[0])), 0, 0); errno != 0 {
		return nil, fmt.Errorf("semaphore set %d: semctl(GETALL): %w", s.ID, errno)
	}
	all := make([]report.Semaphore, s.NSems)
	for i := range all {
		all[i].Value = int(values[i])
		for _, get := range []struct {
			command uintptr
			name    string
			to      *int
		}{
			{semGetNCnt, "GETNCNT", &all[i].NCount},
			{semGetZCnt, "GETZCNT", &all[i].ZCount},
			{semGetPID, "GETPID", &all[i].PID},
		} {
			n, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(s.ID), uintptr(i), get.command, 0, 0, 0)
			if errno != 0 {
				return nil, fmt.Errorf("semaphore set %d: semctl(%s): %w", s.ID, get.name, errno)
			}
			*get.to = int(n)
		}
	}
	return all, nil
}

// QueueBytes reads how many bytes a message queue of the calling thread's IPC
// namespace may hold, which /proc/sysvipc/msg does not tell. Without read
// permission it needs Linux 4.17 (MSG_STAT_ANY).
func QueueBytes(id int64) (uint64, error) {
	// struct msqid64_ds: struct ipc64_perm, three times, cbytes, qnum, qbytes,
	// and more (include/uapi/asm-generic/msgbuf.h). Room for twice that.
	var b [256]byte
	at := 88
	if bits.UintSize == 32 {
		at = 68
	}
	_, _, errno := unix.Syscall(unix.SYS_MSGCTL, uintptr(id), ipcStat|wide(), uintptr(unsafe.Pointer(&b[0])))
	if errors.Is(errno, unix.EACCES) {
		// This command takes the index of the slot; the slot may have been given
		// to another queue, so that the answer must be the id.
		const slots = 1 << 15 // IPCMNI; 1 << 24 with ipcmni_extend, where ids are not told apart here
		n, _, anyErrno := unix.Syscall(unix.SYS_MSGCTL, uintptr(id%slots), msgStatAny|wide(), uintptr(unsafe.Pointer(&b[0])))
		if anyErrno == 0 && int64(n) == id {
			errno = 0
		}
	}
	if errno != 0 {
		return 0, fmt.Errorf("message queue %d: msgctl(IPC_STAT): %w", id, errno)
	}
	if bits.UintSize == 32 {
		return uint64(binary.NativeEndian.Uint32(b[at:])), nil
	}
	return binary.NativeEndian.Uint64(b[at:]), nil
}

// wide is what msgctl(2) wants to be told before it answers with struct msqid64_ds: on arm the system call is the old one, which
// has 16 bits for the bytes of a queue without it (ipc/util.h, ipc_parse_version).
func wide() uintptr {
	const ipc64 = 0x100
	if runtime.GOARCH == "arm" {
		return ipc64
	}
	return 0
}
