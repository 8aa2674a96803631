package confine

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_RISCV64

var alsoUnconditional = []uintptr{unix.SYS_GETRLIMIT}

var alsoLooking = []uintptr{unix.SYS_FSTATAT}
