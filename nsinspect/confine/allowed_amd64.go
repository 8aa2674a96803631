package confine

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_X86_64
	sysFcntl   = unix.SYS_FCNTL
	sysMmap    = unix.SYS_MMAP
	mmapStruct = false
	cloneFlags = 0
)

var alsoUnconditional = []uintptr{unix.SYS_ARCH_PRCTL, unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS_SELECT, unix.SYS_TIME, unix.SYS_GETRLIMIT}

var alsoLooking = []uintptr{unix.SYS_NEWFSTATAT, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_READLINK, unix.SYS_ACCESS}
