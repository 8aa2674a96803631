package confine

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_S390X
	sysFcntl   = unix.SYS_FCNTL
	sysMmap    = unix.SYS_MMAP
	mmapStruct = true // it takes a pointer to its arguments, which a filter cannot follow
	cloneFlags = 1    // the stack comes first (CONFIG_CLONE_BACKWARDS2)
)

var alsoUnconditional = []uintptr{
	unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS_SELECT, unix.SYS_GETRLIMIT, unix.SYS_SIGRETURN,
}

var alsoLooking = []uintptr{
	unix.SYS_NEWFSTATAT, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_STATFS64, unix.SYS_FSTATFS64, unix.SYS_READLINK, unix.SYS_ACCESS,
}
