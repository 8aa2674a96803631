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
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
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

// Errors is what went wrong with the parts of a namespace, one error a file.
type Errors []error

// Error returns all of them in one line.
func (e Errors) Error() string {
	var b strings.Builder
	for i, err := range e {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap makes errors.Is and errors.As look at each of them.
func (e Errors) Unwrap() []error { return e }

// Join makes one error of the type [Errors] of those that are not nil, and nil of none.
func Join(errs ...error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	return Errors(errs)
}

// List reads all objects of the IPC namespace with the inode want, on a
// thread that is in it: see [namespace.Enter] for open, for what the context does, and
// for what is needed.
//
// What could be read is returned beside an error of the type [Errors].
func List(ctx context.Context, fs *proc.FS, open func() (fd int, err error), want uint64) (Objects, error) {
	return namespace.Enter(ctx, fs, open, want, func() (Objects, error) {
		o, sysv := ReadSysV(fs.File)
		var posix error
		o.Mqueue, posix = ReadMqueue()
		return o, Join(sysv, posix)
	})
}

// ReadSysV reads /proc/sysvipc/{shm,sem,msg} in the IPC namespace of the
// calling thread. The file function opens and reads one file below /proc, at most
// limit bytes of it; it must do so on the thread that calls it.
//
// An error is of the type [Errors]; the objects that could be read are
// returned beside it. A kernel without System V IPC has none of the files,
// which is an error too: nothing was seen to be empty.
func ReadSysV(file func(name string, limit int) ([]byte, error)) (Objects, error) {
	var o Objects
	var shm, sem, msg error
	o.Shm, shm = readTable(file, "sysvipc/shm", ParseShm)
	o.Sem, sem = readTable(file, "sysvipc/sem", ParseSem)
	o.Msg, msg = readTable(file, "sysvipc/msg", ParseMsg)
	return o, Join(shm, sem, msg)
}

func readTable[T any](file func(string, int) ([]byte, error), name string, parse func([]byte) ([]T, error)) ([]T, error) {
	b, err := file(name, maxFile)
	if err != nil {
		return nil, unread(name, err)
	}
	return parse(b)
}

// unread says which file could not be read, unless the error does.
func unread(name string, err error) error {
	var e *proc.Error
	if errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}
