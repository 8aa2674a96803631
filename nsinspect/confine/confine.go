// Package confine makes a process that is about to read hostile input give up what it does not need.
//
// A scan runs as root and parses text that is chosen by whoever is being investigated. Should that text ever take the
// process over, the attacker is to find no rights worth having. There are two steps:
//
//	out, err := confine.CreateOutput(path)              // whatever is to be written is opened before
//	report := confine.Apply(confine.Options{Output: out})
//	... collect ...                                     // may read; may enter IPC namespaces
//	report.Seal()                                       // from here on nothing can be opened at all
//	... judge, render, out.Commit() ...
//
// Apply leaves CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH in effect, and CAP_SYS_ADMIN within reach of WithSysAdmin only;
// sets no_new_privs; and loads a seccomp filter that lets through what the Go runtime and a scan use (allowed.go) and
// answers EPERM to everything else: sockets, exec, fork, ptrace, kill, mounts, io_uring, bpf, and opening anything for
// writing. The one name that can still be changed is that of the output, from its temporary to its final one.
//
// What is still not protected against by Apply: descriptors that the process inherited remain what they are; any file
// can be read until Seal; a detached instance of a filesystem that needs no source (tmpfs, proc, mqueue) can be made,
// and written to by nobody. Where there is no seccomp, only the capabilities and no_new_privs stand.
//
// Landlock is not used. A landlocked thread may not look into processes outside its domain
// (Documentation/userspace-api/landlock.rst, "Ptrace restrictions"), which is the whole of a scan; and after the
// collection, where it could be used, it would have to be asked for by each thread (LANDLOCK_RESTRICT_SELF_TSYNC is
// newer than ABI 7), and a thread which is stuck in a read that does not return never answers. The second filter,
// which the kernel puts on all threads itself, refuses every open and so leaves Landlock nothing to refuse.
//
// Nothing here is kept in a variable: what is in force is in the kernel, and Report says what it answered.
package confine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// State says whether one measure is in force.
type State uint8

const (
	// Unknown is the state of a measure which was asked for and refused, so that nobody can say that it holds.
	Unknown State = iota
	// On is the state of a measure that the kernel confirmed for every thread.
	On
	// Absent is the state of a measure that the kernel, or this build for its architecture, does not have.
	Absent
)

// String returns "could not tell", "on" or "not there".
func (s State) String() string {
	switch s {
	case On:
		return "on"
	case Absent:
		return "not there"
	}
	return "could not tell"
}

// Measure is the outcome of one way of giving up rights.
type Measure struct {
	State State
	Err   error // why it is not on; nil when it is
}

// String returns the state, and the reason where it is not on.
func (m Measure) String() string {
	if m.Err == nil {
		return m.State.String()
	}
	return m.State.String() + ": " + m.Err.Error()
}

// measure turns what a system call answered into a Measure.
//
// ENOSYS and EINVAL are how a kernel says that it lacks seccomp(2) or its filter mode (seccomp(2), ERRORS), ENOTSUP is
// how syscall.AllThreadsSyscall says that the build has cgo. A sandbox around this process may answer ENOSYS as well;
// the consequence is the same.
func measure(err error) Measure {
	switch {
	case err == nil:
		return Measure{State: On}
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTSUP):
		return Measure{State: Absent, Err: err}
	}
	return Measure{State: Unknown, Err: err}
}

// Options says what a run needs beyond reading.
type Options struct {
	// Output is the file that may be written and given its name; nil where there is none.
	Output *Output
	// Keep lists capabilities that stay in effect besides those of a scan.
	Keep []Capability
}

// Report says what Apply achieved, for -v.
type Report struct {
	Capabilities Measure
	NoNewPrivs   Measure
	Seccomp      Measure

	// Effective are the capabilities in effect, Permitted those which a thread could raise, of the calling thread
	// after Apply, in the kernel's order.
	Effective, Permitted []Capability

	output *Output
}

// String returns one line a measure.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "capabilities: %s (in effect: %s; within reach: %s)\n",
		r.Capabilities, list(r.Effective), list(minus(r.Permitted, r.Effective)))
	fmt.Fprintf(&b, "no_new_privs: %s\n", r.NoNewPrivs)
	fmt.Fprintf(&b, "seccomp: %s\n", r.Seccomp)
	return b.String()
}

// Apply gives up, for all threads and for good, every right that a scan does not need. It is to be called once, after
// the output was opened and before anything hostile is read.
//
// It never fails as a whole: a measure which this kernel does not offer is reported, and the others are taken.
func Apply(opt Options) Report {
	r := Report{output: opt.Output}
	r.NoNewPrivs, r.Seccomp = filterAllThreads(scanning, opt.Output)

	wanted := effective(opt)
	have, err := getCaps()
	if err == nil {
		if r.Seccomp.State != On {
			// Only where exec is not refused: the bounding set matters to an exec alone, and clearing it takes one
			// stop of all threads a capability, 4 ms where the whole scan of a small host takes ten.
			err = dropBounding()
		}
		next := caps{
			effective: have.permitted & wanted,
			permitted: have.permitted & (wanted | CapSysAdmin.bit() | opt.Output.needs()),
		}
		if setErr := setCapsAllThreads(next); setErr != nil {
			err = setErr
		}
	}
	r.Capabilities = measure(err)
	if now, err := getCaps(); err == nil {
		r.Effective, r.Permitted = now.effective.list(), now.permitted.list()
	}
	return r
}

// Seal follows the collection: after it no file can be opened or looked up, no namespace entered, no filesystem made.
// What is left is to compute, to write to open descriptors, and to give the output its name. Threads that are stuck in
// a read are sealed with the others.
//
// The capabilities remain: to take them, each thread would have to be interrupted, which a stuck one cannot be, and
// the system calls which they are good for are refused now.
func (r Report) Seal() Measure {
	if r.Seccomp.State != On {
		return r.Seccomp
	}
	// The time zone's file is read when the first time is printed, and after this it could not be. The time
	// package would open any file that the environment names, a pipe too, and wait; whoever takes paths has them read elsewhere.
	if tz := os.Getenv("TZ"); !strings.HasPrefix(strings.TrimPrefix(tz, ":"), "/") && !strings.Contains(tz, "..") {
		_, _ = time.Now().Zone()
	}
	_, m := filterAllThreads(sealed, r.output)
	return m
}

// filterAllThreads sets no_new_privs and loads the filter of one stage.
//
// The kernel gives every thread the filter, and no_new_privs with it (seccomp_sync_threads(), kernel/seccomp.c), so
// that this works in a build with cgo too; only without seccomp is each thread asked for itself.
func filterAllThreads(s stage, out *Output) (noNewPrivs, filter Measure) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if s == scanning {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			noNewPrivs = measure(os.NewSyscallError("prctl(PR_SET_NO_NEW_PRIVS)", err))
		}
	}
	filter = measure(loadFilter(s, out))
	switch {
	case noNewPrivs.Err != nil || s != scanning:
	case filter.State == On:
		noNewPrivs.State = On
	default:
		_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
		noNewPrivs = measure(asError("prctl(PR_SET_NO_NEW_PRIVS)", errno))
	}
	return noNewPrivs, filter
}

// asError wraps an errno with the name of the system call, and returns nil for none.
func asError(call string, errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return os.NewSyscallError(call, errno)
}
