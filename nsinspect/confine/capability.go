package confine

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Capability is the number of one Linux capability (capabilities(7), include/uapi/linux/capability.h).
type Capability uint8

// The capabilities that nsinspect has a use for.
const (
	CapDACOverride   Capability = unix.CAP_DAC_OVERRIDE    // giving the output its name in somebody else's directory
	CapDACReadSearch Capability = unix.CAP_DAC_READ_SEARCH // reading what belongs to other users
	CapFowner        Capability = unix.CAP_FOWNER          // the same in a directory with the sticky bit
	CapIPCOwner      Capability = unix.CAP_IPC_OWNER       // reading the values of other users' semaphores
	CapSysAdmin      Capability = unix.CAP_SYS_ADMIN       // entering an IPC namespace, listing its message queues
	CapSysPtrace     Capability = unix.CAP_SYS_PTRACE      // reading the namespace links of other users' processes
)

// String returns the name that capabilities(7) has for it, or its number when nsinspect has no use for it.
func (c Capability) String() string {
	switch c {
	case CapDACOverride:
		return "cap_dac_override"
	case CapDACReadSearch:
		return "cap_dac_read_search"
	case CapFowner:
		return "cap_fowner"
	case CapIPCOwner:
		return "cap_ipc_owner"
	case CapSysAdmin:
		return "cap_sys_admin"
	case CapSysPtrace:
		return "cap_sys_ptrace"
	}
	return fmt.Sprintf("capability %d", uint8(c))
}

func (c Capability) bit() capSet { return 1 << c }

// capSet has bit n set for capability n. The kernel's sets have 64 bits (struct kernel_cap_struct).
type capSet uint64

func (s capSet) list() []Capability {
	var cs []Capability
	for ; s != 0; s &= s - 1 {
		cs = append(cs, Capability(bits.TrailingZeros64(uint64(s))))
	}
	return cs
}

// effective returns what is to stay in effect for a run.
func effective(opt Options) capSet {
	s := CapSysPtrace.bit() | CapDACReadSearch.bit()
	for _, c := range opt.Keep {
		s |= c.bit()
	}
	return s
}

// caps are two of the sets of a thread. The inheritable set is always empty here, and the kernel then empties the
// ambient one (cap_capset(), security/commoncap.c).
type caps struct{ effective, permitted capSet }

// getCaps returns the sets of the calling thread.
func getCaps() (caps, error) {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if err := unix.Capget(&h, &d[0]); err != nil {
		return caps{}, os.NewSyscallError("capget", err)
	}
	return caps{
		effective: capSet(d[0].Effective) | capSet(d[1].Effective)<<32,
		permitted: capSet(d[0].Permitted) | capSet(d[1].Permitted)<<32,
	}, nil
}

// words returns c as capset(2) takes it.
func (c caps) words() *[2]unix.CapUserData {
	return &[2]unix.CapUserData{
		{Effective: uint32(c.effective), Permitted: uint32(c.permitted)},
		{Effective: uint32(c.effective >> 32), Permitted: uint32(c.permitted >> 32)},
	}
}

// setCaps sets the sets of the calling thread.
func setCaps(c caps) error {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return os.NewSyscallError("capset", unix.Capset(&h, &c.words()[0]))
}

// setCapsAllThreads sets the sets of every thread. The answer is ENOTSUP in a build with cgo, whose threads the Go
// runtime does not all know.
func setCapsAllThreads(c caps) error {
	h := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(h)), uintptr(unsafe.Pointer(c.words())), 0)
	return asError("capset", errno)
}

// dropBounding empties the bounding set of every thread. A process without CAP_SETPCAP keeps its bounding set; it then
// runs as somebody whom an exec gives nothing, now that no_new_privs is set.
func dropBounding() error {
	have, err := getCaps()
	if err != nil || have.effective&(1<<unix.CAP_SETPCAP) == 0 {
		return err
	}
	// The first number that the kernel does not know answers EINVAL (PR_CAPBSET_READ, since Linux 2.6.25).
	for c := uintptr(0); c < 64; c++ {
		set, unknown := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if unknown != nil {
			return nil //nolint:nilerr // it is how the end of the capabilities is told
		}
		if set == 0 {
			continue
		}
		if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0, 0, 0, 0); errno != 0 {
			return asError("prctl(PR_CAPBSET_DROP)", errno)
		}
	}
	return nil
}

// WithSysAdmin runs f with CAP_SYS_ADMIN in effect for the calling thread alone, which is held fast meanwhile. It is
// what entering a namespace and listing its message queues need, and works whether or not Apply was called: a process
// that never had the capability runs f without it, and is told so by what f calls.
//
// A caller that enters a namespace must have locked its thread before and must let it die afterwards.
func WithSysAdmin(f func() error) error {
	return withCaps(CapSysAdmin.bit(), f)
}

func withCaps(extra capSet, f func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := getCaps()
	if err != nil {
		return err
	}
	raised := before
	raised.effective |= extra & before.permitted
	if raised == before {
		return f()
	}
	if err := setCaps(raised); err != nil {
		return err
	}
	defer func() {
		if lowerErr := setCaps(before); err == nil {
			err = lowerErr
		}
	}()
	return f()
}

// minus returns what of a is not in b.
func minus(a, b []Capability) []Capability {
	var s capSet
	for _, c := range a {
		s |= c.bit()
	}
	for _, c := range b {
		s &^= c.bit()
	}
	return s.list()
}

// list returns the names, or "none".
func list(cs []Capability) string {
	if len(cs) == 0 {
		return "none"
	}
	names := make([]string, len(cs))
	for i, c := range cs {
		names[i] = c.String()
	}
	return strings.Join(names, ", ")
}
