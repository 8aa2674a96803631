package namespace

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/internal/parallel"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// Found is one namespace that exists, and everything that it was found in. Each
// place where a namespace can hide has a file of its own here, by….go.
type Found struct {
	ID
	Processes []int    // that are in it
	Threads   []Holder // that are in it while their process is not
	Holders   []Holder // that keep it open, or put their children into it
	Mounts    []Mount  // that keep it

	// Children are the namespaces that keep it because it is their owner or parent.
	Children []ID

	Owner    uint64 // inode of the user namespace that owns it; 0 if unknown or, for the initial one, none
	OwnerUID int64  // the uid, as the reader sees it, that made the owner; of a user namespace: that made it. -1 if unknown
	Parent   uint64 // of a pid or user namespace; 0 if unknown or none

	// Unlisted is how many holders there are beyond those in Holders.
	Unlisted int
}

// Holder is a file below /proc/PID that stands for a namespace.
type Holder struct {
	PID, TID int    // TID is 0 unless it is a thread's file
	File     string // "fd/5", "task/78/ns/ipc", "ns/pid_for_children"
}

// Mount is a place where a namespace is mounted.
type Mount struct {
	Point string // as those who are in the mount namespace see it
	In    []Seen
}

// Seen is one mount namespace in which something is mounted.
type Seen struct {
	Mnt uint64
	PID int // a process that sees it; 0 if none does
	TID int // the thread of it that does, if it is not the process

	// Aloof is why nobody should go there by its path: see [proc.NamespaceMount].
	Aloof string
}

// maxHolders is how many holders are kept for one namespace: one process can
// hold a million descriptors of it.
const maxHolders = 64

// Search says what to look for, and where.
type Search struct {
	// Types are the types of namespaces to look for. Those that a
	// proc.Record has (ipc, pid, mnt) cost nothing; each other costs one link a process.
	Types []string
	// Deep looks into threads and open descriptors, and into mount namespaces without a process.
	Deep bool
	// Threads looks into threads only.
	Threads bool
	// MountsIn tells in which mount namespaces to look for mounts; nil for none, [Everywhere] for all.
	MountsIn func(inode uint64) bool
	// Owners asks each namespace for its owner and its parent, which takes a descriptor of it.
	Owners bool
}

// Everywhere is the [Search.MountsIn] of all mount namespaces.
func Everywhere(uint64) bool { return true }

// Inventory is every namespace that was found.
type Inventory struct {
	Found  []Found // by type and inode
	Tasks  []Task  // the threads that are not where their process is, by PID and TID; only with Search.Deep or Search.Threads
	Errors []*proc.Error
}

// Task is a thread that is in another namespace than its process.
type Task struct {
	PID, TID int
	In       []ID // where it is and the process is not
}

// Find returns what was found of one namespace, nil if it was not.
func (inv *Inventory) Find(id ID) *Found {
	i, ok := slices.BinarySearchFunc(inv.Found, id, func(f Found, id ID) int { return compareID(f.ID, id) })
	if !ok {
		return nil
	}
	return &inv.Found[i]
}

func compareID(a, b ID) int {
	return cmp.Or(strings.Compare(a.Type, b.Type), cmp.Compare(a.Inode, b.Inode))
}

// TakeInventory looks for namespaces in every place that it knows of. records
// are the processes that there are. What could not be read is in Errors; the error is for a context that ended.
func TakeInventory(ctx context.Context, fs *proc.FS, records []proc.Record, search Search) (*Inventory, error) {
	inv := &inventory{fs: fs, search: search, found: map[ID]*Found{}, seers: map[uint64][]seer{}}
	inv.byProcess(ctx, records)
	if search.MountsIn != nil {
		inv.byMount(ctx)
	}
	if search.Owners && fs.Procfs() {
		inv.byOwner(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return inv.result(), nil
}

// inventory is an Inventory in the making.
type inventory struct {
	fs     *proc.FS
	search Search
	found  map[ID]*Found
	seers  map[uint64][]seer // by mount namespace: who can be asked for its mounts
	own    uint64            // the reader's mount namespace; 0 if unknown
	tasks  []Task
	errors []*proc.Error
}

// add returns the entry of a namespace.
func (inv *inventory) add(id ID) *Found {
	f := inv.found[id]
	if f == nil {
		f = &Found{ID: id, OwnerUID: -1}
		inv.found[id] = f
	}
	return f
}

func (inv *inventory) wants(kind string) bool { return slices.Contains(inv.search.Types, kind) }

func (inv *inventory) hold(id ID, h Holder) {
	f := inv.add(id)
	if len(f.Holders) == maxHolders {
		f.Unlisted++
		return
	}
	f.Holders = append(f.Holders, h)
}

// fail notes an error, unless it says no more than that somebody has ended.
func (inv *inventory) fail(err *proc.Error) {
	if err.Kind != proc.Gone {
		inv.errors = append(inv.errors, err)
	}
}

func (inv *inventory) result() *Inventory {
	out := &Inventory{Tasks: inv.tasks, Errors: inv.errors}
	for _, f := range inv.found {
		slices.SortFunc(f.Mounts, func(a, b Mount) int { return strings.Compare(a.Point, b.Point) })
		slices.SortFunc(f.Children, compareID)
		f.Children = slices.Compact(f.Children)
		out.Found = append(out.Found, *f)
	}
	slices.SortFunc(out.Found, func(a, b Found) int { return compareID(a.ID, b.ID) })
	slices.SortStableFunc(out.Errors, func(a, b *proc.Error) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), strings.Compare(a.File, b.File))
	})
	return out
}

// each calls do for the numbers below n in a few goroutines, until the context ends.
func each(ctx context.Context, n int, do func(i int)) {
	parallel.Each(n, func(i int) {
		if ctx.Err() == nil {
			do(i)
		}
	})
}

// asError returns an error of package proc as what it is, and any other as one
// about a file of a process.
func asError(pid int, file string, err error) *proc.Error {
	var e *proc.Error
	if errors.As(err, &e) {
		return e
	}
	return &proc.Error{PID: pid, File: file, Kind: proc.KindOf(err), Err: err}
}
