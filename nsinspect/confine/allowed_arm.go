package confine

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_ARM
	sysFcntl   = unix.SYS_FCNTL64
	sysMmap    = unix.SYS_MMAP2
	mmapStruct = false
	cloneFlags = 0
)

// Private calls of the architecture (arch/arm/include/uapi/asm/unistd.h).
const (
	sysCacheflush = 0x0f0002
	sysSetTLS     = 0x0f0005
)

var alsoUnconditional = []uintptr{
	sysCacheflush, sysSetTLS,
	unix.SYS__LLSEEK, unix.SYS_FSTAT64, unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS__NEWSELECT,
	unix.SYS_SIGRETURN, unix.SYS_PPOLL_TIME64, unix.SYS_PSELECT6_TIME64,
	unix.SYS_FUTEX_TIME64, unix.SYS_CLOCK_GETTIME64, unix.SYS_CLOCK_GETRES_TIME64, unix.SYS_CLOCK_NANOSLEEP_TIME64,
	unix.SYS_GETUID32, unix.SYS_GETEUID32, unix.SYS_GETGID32, unix.SYS_GETEGID32, unix.SYS_GETGROUPS32, unix.SYS_UGETRLIMIT,
}

var alsoLooking = []uintptr{
	unix.SYS_FSTATAT64, unix.SYS_STAT64, unix.SYS_LSTAT64, unix.SYS_STATFS64, unix.SYS_FSTATFS64, unix.SYS_READLINK, unix.SYS_ACCESS,
}
