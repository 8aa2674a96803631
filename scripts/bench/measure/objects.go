package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holdObjects fills the IPC namespace it runs in with segments, semaphore sets and message queues, an eighth segments
// (the kernel's default limit for them is 4096), says so, and waits until its input ends.
func holdObjects(n int) error {
	kinds := []struct {
		name string
		call uintptr
		arg2 uintptr // size of a segment, semaphores of a set, flags of a queue
		arg3 uintptr
		many int
	}{
		{"shm", unix.SYS_SHMGET, 4096, unix.IPC_CREAT | 0o600, n / 8},
		{"sem", unix.SYS_SEMGET, 1, unix.IPC_CREAT | 0o600, n / 2},
		{"msg", unix.SYS_MSGGET, unix.IPC_CREAT | 0o600, 0, n - n/8 - n/2},
	}
	for _, k := range kinds {
		for i := range k.many {
			if _, _, errno := unix.Syscall(k.call, unix.IPC_PRIVATE, k.arg2, k.arg3); errno != 0 {
				return fmt.Errorf("%s %d of %d: %w", k.name, i+1, k.many, errno)
			}
		}
	}
	// Whoever started this must have given it a namespace of its own.
	text, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		return err
	}
	if lines := strings.Count(string(text), "\n"); lines != n/8+1 {
		return fmt.Errorf("%d segments in a namespace that should have %d", lines-1, n/8)
	}
	if _, err := os.Stdout.WriteString("ready " + strconv.Itoa(n) + "\n"); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
