package confine

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_I386
	sysFcntl   = unix.SYS_FCNTL64
	sysMmap    = unix.SYS_MMAP2 // SYS_MMAP takes a pointer to its arguments
	mmapStruct = false
	cloneFlags = 0
)

var alsoUnconditional = []uintptr{
	unix.SYS__LLSEEK, unix.SYS_FSTAT64, unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS__NEWSELECT, unix.SYS_TIME,
	unix.SYS_SET_THREAD_AREA, unix.SYS_SIGRETURN, unix.SYS_PPOLL_TIME64, unix.SYS_PSELECT6_TIME64,
	unix.SYS_FUTEX_TIME64, unix.SYS_CLOCK_GETTIME64, unix.SYS_CLOCK_GETRES_TIME64, unix.SYS_CLOCK_NANOSLEEP_TIME64,
	unix.SYS_GETUID32, unix.SYS_GETEUID32, unix.SYS_GETGID32, unix.SYS_GETEGID32, unix.SYS_GETGROUPS32, unix.SYS_UGETRLIMIT,
}

var alsoLooking = []uintptr{
	unix.SYS_FSTATAT64, unix.SYS_STAT64, unix.SYS_LSTAT64, unix.SYS_STATFS64, unix.SYS_FSTATFS64, unix.SYS_READLINK, unix.SYS_ACCESS,
}
