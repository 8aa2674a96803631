package ipc

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Attachment is one System V segment that a process has mapped.
type Attachment struct {
	ID   int64  // shmid, in the IPC namespace where the process attached it
	Key  uint32 // the key that the segment was made with; a removed segment has lost it elsewhere
	Maps uint64 // how many mappings; the kernel counts each of them in nattch
}

// Device is the device number of a file system.
type Device struct{ Major, Minor uint32 }

// maxMaps bounds a /proc/PID/maps. A process may have 65530 mappings
// (vm.max_map_count), with paths of any length.
const maxMaps = 32 << 20

// ParseMaps returns the System V segments in the content of a /proc/PID/maps,
// by their ids. Their files are called "/SYSV<key in hex> (deleted)" and have the shmid for
// an inode (ipc/shm.c, newseg); anybody can give a file such a name, but not on
// the file systems that the kernel keeps for segments alone: see [SegmentDevices].
//
// A line that is not the kernel's is an error; the segments of the others are
// returned beside it.
func ParseMaps(b []byte, devices []Device) ([]Attachment, error) {
	var found []Attachment
	var bad error
	for line := range bytes.Lines(b) {
		a, ok, err := parseMapping(line, devices)
		if err != nil && bad == nil {
			bad = err
		}
		if !ok {
			continue
		}
		at, known := slices.BinarySearchFunc(found, a, func(x, y Attachment) int {
			return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Key, y.Key))
		})
		if known {
			found[at].Maps++
		} else {
			found = slices.Insert(found, at, a)
		}
	}
	return found, bad
}

// parseMapping reads one line of a maps file: range, permissions, offset,
// device, inode, path (proc_pid_maps(5)).
func parseMapping(line []byte, devices []Device) (a Attachment, ok bool, err error) {
	rest, ended := bytes.CutSuffix(line, []byte{'\n'})
	var fields [5][]byte
	for i := range fields {
		fields[i], rest, _ = bytes.Cut(rest, []byte{' '})
	}
	inode, err := strconv.ParseUint(string(fields[4]), 10, 64)
	device, good := parseDevice(fields[3])
	if err != nil || !good || !ended {
		return a, false, fmt.Errorf("maps: %s is not a mapping", excerpt(line))
	}
	name, ok := bytes.CutPrefix(bytes.TrimLeft(rest, " "), []byte("/SYSV"))
	if !ok || !slices.Contains(devices, device) {
		return a, false, nil
	}
	hex, ok := bytes.CutSuffix(name, []byte(" (deleted)"))
	if !ok || len(hex) != 8 || inode > math.MaxInt32 {
		return a, false, nil
	}
	key, notHex := strconv.ParseUint(string(hex), 16, 32)
	if notHex != nil {
		return a, false, nil //nolint:nilerr // somebody's file, and no fault of the line
	}
	return Attachment{ID: int64(inode), Key: uint32(key), Maps: 1}, true, nil
}

// parseDevice reads "major:minor", both in hex.
func parseDevice(field []byte) (Device, bool) {
	a, b, ok := bytes.Cut(field, []byte{':'})
	if !ok {
		return Device{}, false
	}
	major, err1 := strconv.ParseUint(string(a), 16, 32)
	minor, err2 := strconv.ParseUint(string(b), 16, 32)
	return Device{uint32(major), uint32(minor)}, err1 == nil && err2 == nil
}

// SegmentDevices returns the devices of the file systems that hold System V
// segments: the kernel's own mounts of tmpfs and, one for each page size, of
// hugetlbfs. Their minor numbers differ between kernels. Anonymous shared memory
// is made in the same mounts (mm/shmem.c, shmem_zero_setup; mm/mmap.c), so that a page of this
// process's own, mapped for the moment and never touched, tells the number. The
// file function is that of [ReadSysV].
//
// On an error nobody can be said to be attached, or not to be.
func SegmentDevices(file func(name string, limit int) ([]byte, error)) ([]Device, error) {
	device, err := sharedDevice(file, os.Getpagesize(), 0)
	if err != nil {
		return nil, err
	}
	devices := []Device{device}
	// The logarithms of all sizes of huge pages (uapi/asm-generic/hugetlb_encode.h).
	for _, size := range []int{14, 16, 19, 20, 21, 23, 24, 25, 28, 29, 30, 31, 34} {
		if size >= bits.UintSize-1 {
			continue
		}
		device, err := sharedDevice(file, 1<<size, unix.MAP_HUGETLB|size<<unix.MAP_HUGE_SHIFT)
		if err == nil && !slices.Contains(devices, device) {
			devices = append(devices, device)
		}
	}
	return devices, nil
}

// sharedDevice maps anonymous shared memory and looks up its device.
func sharedDevice(file func(string, int) ([]byte, error), size, flags int) (Device, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_NONE, unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|flags)
	if err != nil {
		return Device{}, fmt.Errorf("mmap: %w", err)
	}
	defer func() { _ = unix.Munmap(mem) }()
	maps, err := file("self/maps", maxMaps)
	if err != nil {
		return Device{}, fmt.Errorf("self/maps: %w", err)
	}
	if device, ok := deviceAt(maps, uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem))))); ok {
		return device, nil
	}
	return Device{}, errors.New("self/maps: this process's own memory is not there")
}

// deviceAt returns the device of the mapping that begins at an address, from the content of a maps file.
func deviceAt(maps []byte, address uint64) (Device, bool) {
	start := fmt.Appendf(nil, "%08x-", address)
	for line := range bytes.Lines(maps) {
		if bytes.HasPrefix(line, start) {
			if f := bytes.Fields(line); len(f) > 4 {
				if device, ok := parseDevice(f[3]); ok {
					return device, true
				}
			}
		}
	}
	return Device{}, false
}
