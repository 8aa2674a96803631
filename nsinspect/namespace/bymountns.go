package namespace

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/nsinspect/nsinspect/nsinspect/confine"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"golang.org/x/sys/unix"
)

// errMoved is why a process is not asked for the mounts of a namespace that it has left.
var errMoved = errors.New("it is in another namespace by now")

// listMounts reads the mounts of a mount namespace that no process is in, such as snapd
// keeps in /run/snapd/ns, from outside: listmount(2) and statmount(2) of another
// namespace take Linux 6.11 and CAP_SYS_ADMIN in the user namespace that owns it.
// Entering it would do with older kernels, and take rights that a scan has no other use for.
func (inv *inventory) listMounts(ctx context.Context, mnt uint64) (out seen) {
	ctx, cancel := context.WithTimeout(ctx, mountDeadline)
	defer cancel()
	id := ID{"mnt", mnt}
	open := inv.found[id].Opener(inv.fs)
	mounts, err := proc.Within(ctx, inv.fs, func() (mounts []seenMount, err error) {
		fd, err := open()
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		err = confine.WithSysAdmin(func() error {
			mounts, err = mountsOf(fd)
			return err
		})
		return mounts, err
	})
	if err != nil {
		out.errors = append(out.errors, &proc.Error{File: "mounts of " + id.String(), Kind: proc.KindOf(err), Err: err})
	}
	out.mounts = mounts
	return out
}

// mountRequest is struct mnt_id_req, MNT_ID_REQ_SIZE_VER1 (include/uapi/linux/mount.h).
type mountRequest struct {
	size  uint32
	_     uint32
	mount uint64
	param uint64 // listmount: the last one that was listed; statmount: what is asked for
	space uint64 // the id of the mount namespace
}

// The parts of struct statmount that are read, by their offset, and what asks for them.
const (
	statmountMagic  = 24 // sb_magic, u64
	statmountRoot   = 104
	statmountPoint  = 108
	statmountText   = 512 // where the texts begin
	statmountBasic  = 0x1 // STATMOUNT_SB_BASIC, and so on
	statmountAsk    = statmountBasic | 0x8 | 0x10
	listmountRoot   = ^uint64(0) // LSMT_ROOT
	statmountBuffer = statmountText + 3*unix.PathMax
)

// mountsOf asks the kernel for the mounts of type nsfs in an open mount namespace.
func mountsOf(fd int) ([]seenMount, error) {
	space, err := mountNamespaceID(fd)
	if err != nil {
		return nil, err
	}
	req := mountRequest{size: uint32(unsafe.Sizeof(mountRequest{})), mount: listmountRoot, space: space}
	var mounts []seenMount
	ids, buf := make([]uint64, 512), make([]byte, statmountBuffer)
	for {
		n, _, errno := unix.Syscall6(unix.SYS_LISTMOUNT, uintptr(unsafe.Pointer(&req)), uintptr(unsafe.Pointer(&ids[0])), uintptr(len(ids)), 0, 0, 0)
		if errno != 0 {
			return mounts, needs611("listmount", errno)
		}
		if n == 0 {
			return mounts, nil
		}
		for _, id := range ids[:n] {
			one := mountRequest{size: req.size, mount: id, param: statmountAsk, space: space}
			_, _, errno := unix.Syscall6(unix.SYS_STATMOUNT, uintptr(unsafe.Pointer(&one)), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
			switch {
			case errno == unix.ENOENT: // unmounted by now
			case errno != 0:
				return mounts, fmt.Errorf("statmount: %w", errno)
			case binary.NativeEndian.Uint64(buf[statmountMagic:]) == unix.NSFS_MAGIC:
				if id, ok := ParseLink(mountText(buf, statmountRoot)); ok {
					mounts = append(mounts, seenMount{id: id, point: mountText(buf, statmountPoint)})
				}
			}
		}
		req.param = ids[n-1]
	}
}

// mountNamespaceID returns the number that never is another mount namespace's, unlike the inode.
func mountNamespaceID(fd int) (id uint64, err error) {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.NS_GET_MNTNS_ID, uintptr(unsafe.Pointer(&id))); errno != 0 {
		return 0, needs611("ioctl NS_GET_MNTNS_ID", errno)
	}
	return id, nil
}

// needs611 says why a kernel does not know a call, if it does not.
func needs611(call string, errno unix.Errno) error {
	switch errno {
	case unix.ENOSYS, unix.ENOTTY, unix.EINVAL:
		return fmt.Errorf("%s: %w (it takes Linux 6.11)", call, errno)
	}
	return fmt.Errorf("%s: %w", call, errno)
}

// mountText returns the text whose place is at an offset of a struct statmount.
func mountText(buf []byte, offset int) string {
	at := uint64(statmountText) + uint64(binary.NativeEndian.Uint32(buf[offset:]))
	if at >= uint64(len(buf)) {
		return ""
	}
	text, _, _ := bytes.Cut(buf[at:], []byte{0})
	return string(text)
}
