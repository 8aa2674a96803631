// Command attach asks the kernel what a process may do with one shared memory
// segment, by doing it: the tests run it in a container, and hold its answer
// against what the report said of that container.
//
//	attach SHMID UID
//
// It attaches the segment to read and to write, and sets the owner and mode that
// it has already; first as it is, and then as the user UID where it may become
// that user. What it attaches it detaches untouched.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// answer has the fields and words of an access in the report.
type answer struct {
	Read    string `json:"read"`
	Write   string `json:"write"`
	Control string `json:"control"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "attach:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return errors.New("usage: attach SHMID UID")
	}
	id, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	a := answer{Read: "no", Write: "no", Control: "no"}
	if err := a.try(id, "now"); err != nil {
		return err
	}
	// EPERM is an answer: there is no second identity to try.
	if err := syscall.Setresuid(uid, uid, uid); err == nil {
		if err := a.try(id, "after_setuid"); err != nil {
			return err
		}
	} else if !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("setresuid %d: %w", uid, err)
	}
	return json.NewEncoder(os.Stdout).Encode(a)
}

// try writes when into every right that the process has now and had not before.
func (a *answer) try(id int, when string) error {
	for _, v := range []struct {
		right *string
		use   func() error
	}{
		{&a.Read, func() error { return attach(id, unix.SHM_RDONLY) }},
		{&a.Write, func() error { return attach(id, 0) }},
		{&a.Control, func() error { return set(id) }},
	} {
		if *v.right != "no" {
			continue
		}
		switch err := v.use(); {
		case err == nil:
			*v.right = when
		case !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM):
			return err
		}
	}
	return nil
}

func attach(id, flags int) error {
	memory, err := unix.SysvShmAttach(id, 0, flags)
	if err != nil {
		return fmt.Errorf("shmat: %w", err)
	}
	return unix.SysvShmDetach(memory)
}

// set changes nothing but the time of the last change. Reading what is there
// takes read permission (IPC_STAT), which nobody here lacks who could set it.
func set(id int) error {
	var is unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &is); err != nil {
		return fmt.Errorf("IPC_STAT: %w", err)
	}
	if _, err := unix.SysvShmCtl(id, unix.IPC_SET, &is); err != nil {
		return fmt.Errorf("IPC_SET: %w", err)
	}
	return nil
}
