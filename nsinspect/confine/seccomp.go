package confine

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Why the program is put together here, and not by github.com/elastic/go-seccomp-bpf, the one other library that does
// it without C: that library (1.6.0) compares what it last loaded, which after a condition that did not hold is an
// argument, with the numbers of the calls that follow in its list. With the list of this package openat(.., O_WRONLY)
// was let through, because O_WRONLY is 1 and so is the number of write(2) on amd64. (It also takes a thread that could
// not be given the filter for success, lacks riscv64, ppc64le and s390x, and takes 0.24 ms when a program starts.)
// So here each call that has conditions ends in an answer of its own, and nothing is compared after it.

// loadFilter puts the filter of a stage on every thread. It needs no_new_privs on the calling one.
func loadFilter(s stage, out *Output) error {
	prog, err := program(s, os.Getpid(), out)
	if err != nil {
		return err
	}
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return fmt.Errorf("seccomp filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	fprog := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// SPEC_ALLOW: kernels before 5.16 slow a process with a filter down on purpose (speculative store bypass), to
	// protect it from code that it runs for others. This one runs no such code. EINVAL before Linux 4.17.
	tid, errno := setFilter(unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, fprog)
	if errno == unix.EINVAL {
		tid, errno = setFilter(unix.SECCOMP_FILTER_FLAG_TSYNC, fprog)
	}
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	// A thread that has a filter of its own cannot be given ours; seccomp(2) then returns its number, and no errno.
	if tid != 0 {
		return fmt.Errorf("seccomp: thread %d has another filter", tid)
	}
	return nil
}

func setFilter(flags uintptr, prog *unix.SockFprog) (tid uintptr, errno unix.Errno) {
	tid, _, errno = unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(prog)))
	return tid, errno
}

// Where a filter finds things in struct seccomp_data (include/uapi/linux/seccomp.h).
const (
	dataNr   = 0
	dataArch = 4
	dataArgs = 16
)

const (
	allow  = unix.SECCOMP_RET_ALLOW
	refuse = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	lack   = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// x32 is set in the number of a call of the x32 ABI, which otherwise has amd64's numbers and architecture.
const x32 = 0x40000000

// program returns the filter of a stage. Whatever it does not name, and every call made in another architecture's
// convention, is answered with EPERM.
func program(s stage, pid int, out *Output) ([]bpf.Instruction, error) {
	prog := make([]bpf.Instruction, 0, 320)
	prog = append(prog,
		load(dataArch),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		ret(refuse),
		load(dataNr),
	)
	if auditArch == unix.AUDIT_ARCH_X86_64 {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32, SkipTrue: 1}, ret(lack))
	}
	for _, r := range rules(s, pid, out) {
		block := r.block()
		if len(block) > 255 {
			return nil, fmt.Errorf("seccomp filter: %d instructions about call %d", len(block), r.call)
		}
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(r.call), SkipTrue: uint8(len(block))})
		prog = append(prog, block...)
	}
	// A jump reaches 255 instructions, so each few share an answer.
	answer := func(calls []uintptr, with uint32) {
		for some := range slices.Chunk(calls, 200) {
			for i, call := range some {
				prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(call), SkipTrue: uint8(len(some) - i)})
			}
			prog = append(prog, bpf.Jump{Skip: 1}, ret(with))
		}
	}
	answer(unconditional, allow)
	answer(alsoUnconditional, allow)
	if s == scanning {
		answer(looking, allow)
		answer(alsoLooking, allow)
	}
	answer(absent, lack)
	return append(prog, ret(refuse)), nil
}

// block returns the instructions that decide about one call, once its number has matched. They always decide.
func (r rule) block() []bpf.Instruction {
	block := []bpf.Instruction{ret(allow), ret(refuse)}
	for _, c := range slices.Backward(r.all) {
		// Whoever fails skips what is there already, but for the refusal.
		block = append(c.check(uint8(len(block)-1)), block...)
	}
	return block
}

// check returns the instructions that fall through when the condition holds and skip that many further ones when not.
func (c condition) check(skip uint8) []bpf.Instruction {
	// The two halves of a 64-bit argument lie as the processor stores them.
	lo := dataArgs + 8*c.arg
	hi := lo + 4
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		lo, hi = hi, lo
	}
	switch c.test {
	case without:
		return []bpf.Instruction{load(lo), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: c.vals[0], SkipTrue: skip}}
	case with:
		return []bpf.Instruction{load(lo), bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: c.vals[0], SkipTrue: skip}}
	}
	n := uint8(len(c.vals))
	check := []bpf.Instruction{load(hi), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: c.high, SkipTrue: skip + n + 2}, load(lo)}
	for i, val := range c.vals {
		check = append(check, bpf.JumpIf{Cond: bpf.JumpEqual, Val: val, SkipTrue: n - uint8(i)})
	}
	return append(check, bpf.Jump{Skip: uint32(skip)})
}

func load(offset uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offset, Size: 4} }

func ret(answer uint32) bpf.Instruction { return bpf.RetConstant{Val: answer} }
