// Package ipc reads what is in one IPC namespace: System V shared memory
// segments, semaphore sets and message queues, POSIX message queues, and the
// processes that have a segment mapped.
//
// Parsers take bytes and touch nothing. What reads the system says so, and
// reads the IPC namespace of the calling thread: the kernel decides it when a
// file below /proc/sysvipc is opened (ipc/util.c, sysvipc_proc_open), not by
// the /proc it is opened in. Use namespace.Enter to be in the right one.
package ipc

import (
	"errors"
	"fmt"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Objects is what is in one IPC namespace, each list in the kernel's order.
type Objects struct {
	Shm    []report.Shm
	Sem    []report.Sem
	Msg    []report.Msg
	Mqueue []report.Mqueue
}

// maxFile bounds one file of /proc/sysvipc. The kernel allows 32768 objects of
// a kind (16 777 216 with ipcmni_extend) of about 250 bytes each.
const maxFile = 64 << 20

// Read reads /proc/sysvipc/{shm,sem,msg} in the IPC namespace of the calling
// thread. The file function opens and reads one file below /proc, at most
// limit bytes of it; it must do so on the thread that calls it.
//
// The error joins what went wrong with each file; the objects that could be
// read are returned beside it. A kernel without System V IPC has none of the
// files, which is an error too: nothing was seen to be empty.
func Read(file func(name string, limit int) ([]byte, error)) (Objects, error) {
	var o Objects
	var errs [3]error
	o.Shm, errs[0] = readList(file, "sysvipc/shm", ParseShm)
	o.Sem, errs[1] = readList(file, "sysvipc/sem", ParseSem)
	o.Msg, errs[2] = readList(file, "sysvipc/msg", ParseMsg)
	return o, errors.Join(errs[:]...)
}

func readList[T any](file func(string, int) ([]byte, error), name string, parse func([]byte) ([]T, error)) ([]T, error) {
	b, err := file(name, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return parse(b)
}
