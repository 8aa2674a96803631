package hostile

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// refusable are the system calls that a sandbox around nsinspect may refuse, and how.
var (
	refusable = map[string]uint32{
		"setns": unix.SYS_SETNS, "fsopen": unix.SYS_FSOPEN, "openat2": unix.SYS_OPENAT2, "capset": unix.SYS_CAPSET,
		"seccomp": unix.SYS_SECCOMP, "prctl": unix.SYS_PRCTL, "readlinkat": unix.SYS_READLINKAT, "statfs": unix.SYS_FSTATFS,
		"faccessat2": unix.SYS_FACCESSAT2, "unshare": unix.SYS_UNSHARE,
	}
	refusals = map[string]unix.Errno{"EPERM": unix.EPERM, "ENOSYS": unix.ENOSYS, "EACCES": unix.EACCES}
)

// refuse is the part that has a system call refused to it and then becomes a program.
func refuse(call, how string, program []string) error {
	number, ok := refusable[call]
	errno, known := refusals[how]
	if !ok || !known {
		return fmt.Errorf("cannot refuse %s with %s", call, how)
	}
	const retAllow, retErrno = 0x7fff0000, 0x00050000
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4}, // struct seccomp_data, nr
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: number, SkipFalse: 1},
		bpf.RetConstant{Val: retErrno | uint32(errno)},
		bpf.RetConstant{Val: retAllow},
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, partVariable+"=") })
	return unix.Exec(program[0], program, env)
}
