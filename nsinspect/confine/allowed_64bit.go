//go:build arm64 || ppc64le || riscv64

package confine

import "golang.org/x/sys/unix"

const (
	sysFcntl   = unix.SYS_FCNTL
	sysMmap    = unix.SYS_MMAP
	mmapStruct = false
	cloneFlags = 0
)
