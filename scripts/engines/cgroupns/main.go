// Command cgroupns runs a program in a cgroup namespace of its own, whose root is the cgroup
// that it is in, as an engine does for a container:
//
//	cgroupns PROGRAM ARGUMENT...
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	err := errors.New("usage: cgroupns PROGRAM ARGUMENT...")
	if len(os.Args) > 1 {
		runtime.LockOSThread()
		if err = unix.Unshare(unix.CLONE_NEWCGROUP); err == nil {
			err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
		}
	}
	fmt.Fprintln(os.Stderr, "cgroupns:", err)
	os.Exit(125)
}
