package namespace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"golang.org/x/sys/unix"
)

// ownerDeadline bounds what is asked of one namespace.
const ownerDeadline = 2 * time.Second

// kin is what one namespace tells of those above it.
type kin struct {
	id            ID
	owner, parent uint64
	uid           int64
}

// byOwner finds the namespaces that are kept by others: the user namespace that
// owns one, and the parent of a user or pid namespace. It opens each namespace once
// and asks the kernel (ioctl_nsfs(2), Linux 4.9); the answers are descriptors, and asked again.
func (inv *inventory) byOwner(ctx context.Context) {
	found := make([]*Found, 0, len(inv.found))
	for _, f := range inv.found {
		found = append(found, f)
	}
	type answer struct {
		above []kin // the namespace itself, and then those above it
		err   error
	}
	answers := make([]answer, len(found))
	each(ctx, len(found), func(i int) {
		id, open := found[i].ID, found[i].Opener(inv.fs)
		ctx, cancel := context.WithTimeout(ctx, ownerDeadline)
		defer cancel()
		answers[i].above, answers[i].err = proc.Within(ctx, inv.fs, func() ([]kin, error) {
			fd, err := open()
			if err != nil {
				return nil, err
			}
			defer unix.Close(fd)
			return ask(fd, id, maxNesting)
		})
	})
	for i, a := range answers {
		// Whoever has ended meanwhile has taken his namespaces along, or closed what he held.
		if k := proc.KindOf(a.err); a.err != nil && k != proc.Gone && k != proc.Absent {
			inv.errors = append(inv.errors, &proc.Error{File: "owner of " + found[i].ID.String(), Kind: proc.KindOf(a.err), Err: a.err})
		}
		for _, k := range a.above {
			f := inv.add(k.id)
			f.Owner, f.Parent = k.owner, k.parent
			if k.uid >= 0 {
				f.OwnerUID = k.uid
			}
			for _, above := range []ID{{"user", k.owner}, {k.id.Type, k.parent}} {
				if above.Inode != 0 {
					up := inv.add(above)
					up.Children = append(up.Children, k.id)
				}
			}
		}
	}
}

// maxNesting is more than how deep namespaces can be nested: 32, for both
// (kernel/user_namespace.c, kernel/pid_namespace.c), and one crosses from a pid namespace to a user namespace once.
const maxNesting = 80

// ask asks one open namespace for its owner and parent, and those likewise.
func ask(fd int, id ID, depth int) ([]kin, error) {
	k := kin{id: id, uid: -1}
	var above []kin
	if depth == 0 {
		return nil, errors.New("nested deeper than the kernel allows")
	}
	next := func(request uint, kind string) (uint64, error) {
		up, err := unix.IoctlRetInt(fd, request)
		switch {
		case errors.Is(err, unix.EPERM), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTTY):
			// EPERM: there is none, or it is above the reader's own user namespace. ENOTTY: before Linux 4.9.
			return 0, nil
		case err != nil:
			return 0, fmt.Errorf("ioctl %#x: %w", request, err)
		}
		defer unix.Close(up)
		inode, err := nsfsInode(up)
		if err != nil {
			return 0, err
		}
		more, err := ask(up, ID{kind, inode}, depth-1)
		above = append(above, more...)
		return inode, err
	}
	var err error
	if k.owner, err = next(unix.NS_GET_USERNS, "user"); err != nil {
		return nil, err
	}
	switch id.Type {
	case "user":
		k.parent = k.owner
		uid, err := unix.IoctlGetUint32(fd, unix.NS_GET_OWNER_UID)
		if err != nil {
			return nil, fmt.Errorf("owner's uid: %w", err)
		}
		k.uid = int64(uid)
	case "pid":
		if k.parent, err = next(unix.NS_GET_PARENT, "pid"); err != nil {
			return nil, err
		}
		fallthrough
	default:
		for _, up := range above {
			if up.id == (ID{"user", k.owner}) {
				k.uid = up.uid
			}
		}
	}
	return append(above, k), nil
}
