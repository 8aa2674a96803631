// Command cgroupns runs a program in a cgroup namespace of its own, whose root is the cgroup
// that it is in, as an engine does for a container:
//
//	cgroupns PROGRAM ARGUMENT...
package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: cgroupns PROGRAM ARGUMENT...")
		os.Exit(125)
	}
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_NEWCGROUP)
	if err == nil {
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "cgroupns:", err)
	os.Exit(125)
}
