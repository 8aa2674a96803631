package confine

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_PPC64LE

var alsoUnconditional = []uintptr{
	unix.SYS_EPOLL_WAIT, unix.SYS_POLL, unix.SYS_SELECT, unix.SYS__NEWSELECT, unix.SYS_TIME, unix.SYS_GETRLIMIT,
	unix.SYS_UGETRLIMIT, unix.SYS_SIGRETURN, unix.SYS__LLSEEK,
}

var alsoLooking = []uintptr{
	unix.SYS_NEWFSTATAT, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_STATFS64, unix.SYS_FSTATFS64, unix.SYS_READLINK, unix.SYS_ACCESS,
}
