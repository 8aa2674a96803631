package confine

import "golang.org/x/sys/unix"

// stage is how far a run has come.
type stage uint8

const (
	scanning stage = iota // may read files, look into processes and enter IPC namespaces
	sealed                // may only compute, write to open descriptors and name the output
)

// unconditional are the calls which are allowed whatever their arguments, in both stages: the Go runtime's own and
// those which only concern descriptors that are open already. alsoUnconditional adds what an architecture calls
// otherwise.
//
// The kernel remembers that these need no look at the filter (since Linux 5.11, seccomp_cache_check_allow()), so that
// only opening a file pays for it.
var unconditional = []uintptr{
	unix.SYS_READ, unix.SYS_CLOSE, unix.SYS_WRITE, unix.SYS_PREAD64, unix.SYS_PWRITE64, unix.SYS_READV, unix.SYS_WRITEV,
	unix.SYS_LSEEK, unix.SYS_FSTAT, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_PPOLL, unix.SYS_PSELECT6,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, unix.SYS_EVENTFD2,
	unix.SYS_PIPE2,

	unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK,
	unix.SYS_FUTEX, unix.SYS_SET_ROBUST_LIST, unix.SYS_SET_TID_ADDRESS, unix.SYS_RSEQ, unix.SYS_EXIT,
	unix.SYS_EXIT_GROUP, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETCPU, unix.SYS_RESTART_SYSCALL,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPENDING, unix.SYS_SIGALTSTACK,

	unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP,
	unix.SYS_GETRANDOM, unix.SYS_GETRUSAGE, unix.SYS_TIMES, unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID,
	unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETGROUPS, unix.SYS_UNAME,
	unix.SYS_SYSINFO, unix.SYS_CAPGET,
}

// looking are the calls which are allowed without conditions during the scan only. alsoLooking adds what an
// architecture calls otherwise.
var looking = []uintptr{
	unix.SYS_READLINKAT, unix.SYS_GETDENTS64, unix.SYS_STATX, unix.SYS_STATFS, unix.SYS_FSTATFS,
	unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_GETCWD,

	// The mounts of a mount namespace that no process is in. Both only tell.
	unix.SYS_LISTMOUNT, unix.SYS_STATMOUNT,

	// Seal loads a second filter. Filters can only take away.
	unix.SYS_SECCOMP,
	// Raising what is permitted, or dropping it.
	unix.SYS_CAPSET,

	// A detached instance of mqueue shows the message queues of an IPC namespace. Nothing can attach it anywhere:
	// move_mount is refused.
	unix.SYS_FSOPEN, unix.SYS_FSMOUNT,
}

// absent are calls that are answered with ENOSYS instead of EPERM: their arguments are behind a pointer, which a
// filter cannot follow, and programs know how to do without them.
var absent = []uintptr{unix.SYS_OPENAT2, unix.SYS_CLONE3}

// rule lets one system call through when all its conditions hold.
type rule struct {
	call uintptr
	all  []condition
}

// condition compares an argument, whose number counts from 0. A system call takes an int from the lower half of its
// register, and equal compares both halves, so that it can refuse too much, never too little.
type condition struct {
	arg  uint32
	test test
	high uint32   // the upper half, for equal
	vals []uint32 // the lower half is one of them; or the bits
}

type test uint8

const (
	equal   test = iota // the argument is one of the values
	without             // none of the bits is set in it
	with                // some of the bits is set in it
)

func is(arg uint32, val uint64) condition {
	return condition{arg, equal, uint32(val >> 32), []uint32{uint32(val)}}
}

func oneOf(arg uint32, vals ...uint32) condition { return condition{arg, equal, 0, vals} }

func hasNone(arg, bits uint32) condition { return condition{arg, without, 0, []uint32{bits}} }

func hasSome(arg, bits uint32) condition { return condition{arg, with, 0, []uint32{bits}} }

// only lets a call through when the conditions hold together.
func only(call uintptr, cs ...condition) rule { return rule{call, cs} }

// Open flags with which a file could be made, changed or emptied. O_ACCMODE also covers the access mode 3 of drivers;
// O_TMPFILE cannot be had without one of the write modes.
const writing = unix.O_ACCMODE | unix.O_CREAT | unix.O_TRUNC

// spaces are all flags of clone(2) that make a namespace; CLONE_NEWTIME is one of clone3(2) and unshare(2) only.
const spaces = unix.CLONE_NEWCGROUP | unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID |
	unix.CLONE_NEWUSER | unix.CLONE_NEWUTS

// rules returns the calls which are allowed with some arguments only.
func rules(s stage, pid int, out *Output) []rule {
	var rs []rule
	if s == scanning {
		// First, because it is the one call of the hot pass that the kernel asks the filter about.
		rs = append(rs, only(unix.SYS_OPENAT, hasNone(2, writing)))
	}
	// Is it a terminal, and how wide. TIOCSTI, which types into it, is not among them.
	ioctls := []uint32{unix.TCGETS, unix.TIOCGWINSZ}
	if s == scanning {
		// What a namespace descriptor tells of itself (ioctl_nsfs(2)).
		ioctls = append(ioctls, unix.NS_GET_USERNS, unix.NS_GET_PARENT, unix.NS_GET_NSTYPE, unix.NS_GET_OWNER_UID,
			unix.NS_GET_MNTNS_ID)
	}
	mmap := only(sysMmap, hasNone(2, unix.PROT_EXEC))
	if mmapStruct {
		mmap = only(sysMmap)
	}
	rs = append(rs,
		mmap,
		only(unix.SYS_MPROTECT, hasNone(2, unix.PROT_EXEC)),
		only(unix.SYS_PRCTL, is(0, unix.PR_SET_VMA)), // the runtime names its memory
		only(unix.SYS_PRLIMIT64, is(0, 0)),           // its own
		only(unix.SYS_CLONE, hasSome(cloneFlags, unix.CLONE_THREAD), hasNone(cloneFlags, spaces)),
		// The runtime interrupts its own threads, and dies of a signal through the same call.
		only(unix.SYS_TGKILL, is(0, uint64(pid))),
		only(sysFcntl, oneOf(1, unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL)),
		only(unix.SYS_IOCTL, oneOf(1, ioctls...)),
	)
	rs = append(rs, out.rules()...)
	if s == sealed {
		if out.needs() != 0 {
			rs = append(rs, only(unix.SYS_CAPSET))
		}
		return rs
	}
	return append(rs,
		// Whether two threads have the same table of descriptors; 2 is KCMP_FILES (include/uapi/linux/kcmp.h).
		only(unix.SYS_KCMP, is(2, 2)),
		only(unix.SYS_SETNS, is(1, unix.CLONE_NEWIPC)),
		// Without FSCONFIG_SET_* no source and no option can be given, so no filesystem of a device can be made.
		only(unix.SYS_FSCONFIG, is(1, unix.FSCONFIG_CMD_CREATE)),
		only(unix.SYS_SHMCTL, oneOf(1, ipcCommands(ipcStat, ipcInfo, shmStat, shmInfo, shmStatAny)...)),
		only(unix.SYS_MSGCTL, oneOf(1, ipcCommands(ipcStat, ipcInfo, msgStat, msgInfo, msgStatAny)...)),
		only(unix.SYS_SEMCTL, oneOf(2, ipcCommands(ipcStat, ipcInfo, semStat, semInfo, semStatAny,
			semGetPID, semGetVal, semGetAll, semGetNCnt, semGetZCnt)...)),
	)
}

// Commands of shmctl(2), msgctl(2) and semctl(2) that only read (include/uapi/linux/{ipc,shm,msg,sem}.h).
const (
	ipcStat    = 2
	ipcInfo    = 3
	shmStat    = 13
	shmInfo    = 14
	shmStatAny = 15
	msgStat    = 11
	msgInfo    = 12
	msgStatAny = 13
	semGetPID  = 11
	semGetVal  = 12
	semGetAll  = 13
	semGetNCnt = 14
	semGetZCnt = 15
	semStat    = 18
	semInfo    = 19
	semStatAny = 20
)

// ipcCommands returns the commands with and without IPC_64, which 32-bit programs set (ipc_parse_version(), ipc/util.c).
func ipcCommands(cmds ...uint32) []uint32 {
	const ipc64 = 0x100
	for _, c := range cmds {
		cmds = append(cmds, c|ipc64)
	}
	return cmds
}
