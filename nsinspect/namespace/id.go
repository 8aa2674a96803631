// Package namespace knows what a namespace is: its identity, which ones are the
// host's (the baseline), which exist on a host and how to enter one.
package namespace

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The inodes of the kernel's initial namespaces (include/linux/proc_ns.h,
// PROC_IPC_INIT_INO and following; fixed since Linux 3.8). The initial mount
// namespace has a fixed inode only on recent kernels, so there is none here.
const (
	InitialIPC  uint64 = 0xEFFFFFFF
	InitialPID  uint64 = 0xEFFFFFFC
	InitialUser uint64 = 0xEFFFFFFD
)

// Link returns the text that the kernel shows for a namespace of type kind
// ("ipc", "pid", …), as readlink(2) of /proc/PID/ns/KIND does.
func Link(kind string, inode uint64) string {
	return kind + ":[" + strconv.FormatUint(inode, 10) + "]"
}

// ParseInodes reads the value of --baseline that names namespaces and not a
// process: "4026531839,4026531836" (ipc, then pid) or
// "ipc:[4026531839],pid:[4026531836]" in any order.
func ParseInodes(text string) (ipc, pid uint64, err error) {
	parts := strings.Split(text, ",")
	if len(parts) != 2 {
		return 0, 0, fmt.Errorf("want two inodes, of the ipc and the pid namespace, and got %q", text)
	}
	for i, part := range parts {
		kind, digits := []string{"ipc", "pid"}[i], strings.TrimSpace(part)
		if k, rest, ok := strings.Cut(digits, ":["); ok {
			kind, digits = k, strings.TrimSuffix(rest, "]")
		}
		inode, err := strconv.ParseUint(digits, 10, 64)
		switch {
		case err != nil || inode == 0:
			return 0, 0, fmt.Errorf("%q is not a namespace inode", part)
		case kind == "ipc" && ipc == 0:
			ipc = inode
		case kind == "pid" && pid == 0:
			pid = inode
		default:
			return 0, 0, fmt.Errorf("%q: want one ipc and one pid namespace", text)
		}
	}
	return ipc, pid, nil
}

// ID names one namespace of the running system.
type ID struct {
	Type  string // as in /proc/PID/ns: ipc, pid, mnt, …
	Inode uint64
}

// String returns the text that the kernel shows for it.
func (id ID) String() string { return Link(id.Type, id.Inode) }

// Types lists the types of namespaces, as they are called in /proc/PID/ns. A
// kernel may not have all of them: cgroup came with Linux 4.6, time with 5.6.
func Types() []string {
	return []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}
}

// ParseLink reads the text that the kernel shows for a namespace of one of the
// [Types], "ipc:[4026531839]".
func ParseLink(text string) (ID, bool) {
	kind, digits, ok := strings.Cut(text, ":[")
	if !ok || !slices.Contains(Types(), kind) {
		return ID{}, false
	}
	digits, ok = strings.CutSuffix(digits, "]")
	if !ok {
		return ID{}, false
	}
	inode, err := strconv.ParseUint(digits, 10, 64)
	if id := (ID{kind, inode}); err == nil && inode != 0 && id.String() == text {
		return id, true
	}
	return ID{}, false // also for digits that the kernel does not write, such as +1 and 01
}

// Initial tells whether it is one of the namespaces that the kernel starts with:
// their inodes are below those that are given to others (PROC_DYNAMIC_FIRST in
// fs/proc/generic.c). Before Linux 6.18 the initial mnt and net namespaces have no such inode.
func (id ID) Initial() bool { return id.Inode != 0 && id.Inode < 0xF0000000 }
