package namespace

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// Where a baseline can come from.
const (
	FromPID1     = "pid1"
	FromKthreadd = "kthreadd"
	FromInitial  = "initial"
	FromFlag     = "flag"
)

// Baseline is the host's namespaces: what every process is compared with.
type Baseline struct {
	From    string
	PID     int    // the process that stands for the host; 0 if none does
	Comm    string // its name; "" if unknown
	IPC     uint64
	PIDNS   uint64
	Mnt     uint64 // 0 if unknown
	Initial bool   // IPC and PIDNS are the kernel's initial namespaces
	Note    string // why it is not PID 1, or what the choice means
}

// Trusted tells whether a clean result against this baseline says something
// about the host: the inside of a container compares clean with its own PID 1.
func (b Baseline) Trusted() bool {
	switch b.From {
	case FromFlag, FromKthreadd:
		return true
	case FromPID1:
		return b.Initial
	default:
		return false
	}
}

// IsIPC tells whether an IPC namespace is the host's. A baseline that the user
// chose is compared with as it is; otherwise the kernel's initial namespace is
// the host's also when PID 1 is not in it.
func (b Baseline) IsIPC(inode uint64) bool {
	return inode != 0 && (inode == b.IPC || b.From != FromFlag && inode == InitialIPC)
}

// IsPID is IsIPC for PID namespaces.
func (b Baseline) IsPID(inode uint64) bool {
	return inode != 0 && (inode == b.PIDNS || b.From != FromFlag && inode == InitialPID)
}

// candidate is what was read of a process that may stand for the host.
type candidate struct {
	pid          int
	comm         string
	ppid         int
	kernelThread bool
	ipc, pidns   uint64
	mnt          uint64
	reason       string // why it cannot be used; "" if it can
	missing      bool
}

// FindBaseline reads the host's namespaces from fs: PID 1's, or those of
// kthreadd, which never leaves the initial ones (kernel/kthread.c), or the
// kernel's constants. flag is the value of --baseline ("" for none): a PID or
// two inodes (see [ParseInodes]); a flag that cannot be used is an error, since
// the user would be told about another host than the one asked for.
func FindBaseline(ctx context.Context, fs *proc.FS, flag string) (Baseline, error) {
	if flag == "" {
		return choose(look(ctx, fs, 1), look(ctx, fs, 2)), nil
	}
	if pid, err := strconv.Atoi(flag); err == nil {
		c := look(ctx, fs, pid)
		if c.reason != "" {
			return Baseline{}, fmt.Errorf("--baseline %d: %s", pid, c.reason)
		}
		return c.baseline(FromFlag, "chosen with --baseline"), nil
	}
	ipc, pid, err := ParseInodes(flag)
	if err != nil {
		return Baseline{}, fmt.Errorf("--baseline: %w; give a PID, or inodes such as %d,%d", err, InitialIPC, InitialPID)
	}
	c := candidate{ipc: ipc, pidns: pid}
	// The inodes do not say which files are the host's; who is in them does.
	for _, known := range []candidate{look(ctx, fs, 1), look(ctx, fs, 2)} {
		if known.ipc == ipc && known.pidns == pid && known.mnt != 0 {
			c.mnt = known.mnt
			break
		}
	}
	return c.baseline(FromFlag, "chosen with --baseline"), nil
}

// look reads one process. What it could not read is in reason.
func look(ctx context.Context, fs *proc.FS, pid int) candidate {
	c := candidate{pid: pid}
	d, err := fs.Visit(ctx, pid, 0)
	if err != nil {
		k := proc.KindOf(err)
		c.missing = k == proc.Gone || k == proc.Absent
		c.reason = fmt.Sprintf("there is no process %d", pid)
		if !c.missing {
			c.reason = fmt.Sprintf("PID %d: %s", pid, k)
		}
		return c
	}
	c.comm, c.ppid, c.kernelThread = d.Comm, d.PPID, d.KernelThread
	c.ipc, c.pidns, c.mnt = d.IPC, d.PIDNS, d.Mnt
	if c.ipc == 0 || c.pidns == 0 {
		c.reason = fmt.Sprintf("the namespace links of PID %d: %s", pid, whyNot(d.Errors))
	}
	return c
}

func whyNot(errs []*proc.Error) string {
	for _, e := range errs {
		if strings.HasPrefix(e.File, "ns/") {
			return e.Kind.String()
		}
	}
	return errors.New("the process has none").Error()
}

func (c candidate) baseline(from, note string) Baseline {
	return Baseline{
		From: from, PID: c.pid, Comm: c.comm, IPC: c.ipc, PIDNS: c.pidns, Mnt: c.mnt,
		Initial: c.ipc == InitialIPC && c.pidns == InitialPID, Note: note,
	}
}

// choose decides between PID 1, kthreadd and the constants.
func choose(pid1, two candidate) Baseline {
	isKthreadd := two.reason == "" && two.ppid == 0 && two.kernelThread && two.ipc == InitialIPC && two.pidns == InitialPID
	switch {
	case pid1.reason == "":
		b := pid1.baseline(FromPID1, "")
		if !b.Initial {
			b.Note = "PID 1 is not in the kernel's initial namespaces: this is the inside of a container or a guest, and every verdict is relative to it; run on the host, or accept it with --baseline 1"
		}
		return b
	case isKthreadd:
		return two.baseline(FromKthreadd, pid1.reason+"; kthreadd is always in the initial namespaces")
	default:
		c := candidate{ipc: InitialIPC, pidns: InitialPID}
		return c.baseline(FromInitial, pid1.reason+", and kthreadd cannot stand in for it; compared with the kernel's constants")
	}
}
