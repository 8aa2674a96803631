package proc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Kind tells why something of a process could not be read.
type Kind uint8

// The kinds of failure.
const (
	Failed  Kind = iota // any other errno; see Err
	Gone                // ESRCH: the process has ended
	Hidden              // EACCES or EPERM: it is there, and we may not look
	Absent              // ENOENT through an open process directory: the process has no such thing
	TooBig              // more bytes than we are willing to take
	BadData             // not in the kernel's format
	Blocked             // no answer within the deadline
)

// String returns the words that reports use for the kind.
func (k Kind) String() string {
	switch k {
	case Gone:
		return "process has ended"
	case Hidden:
		return "not permitted"
	case Absent:
		return "not there"
	case TooBig:
		return "too big"
	case BadData:
		return "bad data"
	case Blocked:
		return "no answer in time"
	default:
		return "failed"
	}
}

// Error is one file of one process that could not be read.
type Error struct {
	PID  int    // 0 for what belongs to no process
	File string // below /proc/PID, "" for the directory itself
	Kind Kind
	Err  error // the cause; an errno when the kernel gave one
}

// Error implements error.
func (e *Error) Error() string {
	name := "/proc/" + e.File
	if e.PID != 0 {
		name = fmt.Sprintf("/proc/%d/%s", e.PID, e.File)
	}
	return fmt.Sprintf("%s: %s: %v", name, e.Kind, e.Err)
}

// newError says that a file of a process could not be read.
func newError(pid int, file string, err error) *Error {
	return &Error{PID: pid, File: file, Kind: KindOf(err), Err: err}
}

// Unwrap returns the cause, so that errors.Is(err, unix.EACCES) works.
func (e *Error) Unwrap() error { return e.Err }

// flaw is what is wrong with something that no errno tells of.
type flaw struct {
	kind  Kind
	text  string
	cause error // nil if there is none
}

func (f *flaw) Error() string { return f.text }
func (f *flaw) Unwrap() error { return f.cause }

// errFormat is for a file that a kernel would not write so.
var errFormat = &flaw{kind: BadData, text: "not in the kernel's format"}

// errThreads is for a process that may be alive in a thread, none of which stayed long enough.
var errThreads = &flaw{kind: Absent, text: "its threads came and went"}

// KindOf classifies an error of a read through an open process directory.
func KindOf(err error) Kind {
	var e *Error
	var f *flaw
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.As(err, &f):
		return f.kind
	case errors.Is(err, unix.ESRCH):
		return Gone
	case errors.Is(err, fs.ErrPermission): // EACCES and EPERM
		return Hidden
	case errors.Is(err, unix.ENOENT):
		return Absent
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Blocked
	}
	return Failed
}
