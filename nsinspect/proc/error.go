package proc

import (
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
	PID  int
	File string // below /proc/PID, "" for the directory itself
	Kind Kind
	Err  error // the cause; an errno when the kernel gave one
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("/proc/%d/%s: %s: %v", e.PID, e.File, e.Kind, e.Err)
}

// Unwrap returns the cause, so that errors.Is(err, unix.EACCES) works.
func (e *Error) Unwrap() error { return e.Err }

// KindOf classifies an error of a read through an open process directory.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, unix.ESRCH):
		return Gone
	case errors.Is(err, fs.ErrPermission): // EACCES and EPERM
		return Hidden
	case errors.Is(err, unix.ENOENT):
		return Absent
	}
	return Failed
}
