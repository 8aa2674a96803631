package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var shmemMount = []Device{{0, 1}, {0, 0x1c}, {1<<32 - 1, 1<<32 - 2}}

func TestParseMaps(t *testing.T) {
	const head = "7fc73bc56000-7fc73bc58000 rw-s 00000000 "
	for _, tt := range []struct {
		name string
		in   string
		want []Attachment
	}{
		{"nothing", "", nil},
		{"no segment", "55d0c0a00000-55d0c0a02000 r--p 00000000 08:01 131 /usr/bin/cat\n7ffd1c5e3000-7ffd1c604000 rw-p 00000000 00:00 0                          [stack]\n", nil},
		{"a segment", head + "00:01 32769                      /SYSV00001234 (deleted)\n", []Attachment{{32769, 0x1234, 1}}},
		{"id 0 and a private key", head + "00:01 0                          /SYSV00000000 (deleted)\n", []Attachment{{0, 0, 1}}},
		{"attached twice, and split by mprotect", strings.Repeat(head+"00:01 5 /SYSVffffffff (deleted)\n", 3), []Attachment{{5, 0xffffffff, 3}}},
		{"by id, whatever the addresses", head + "00:01 9 /SYSV00000001 (deleted)\n" + head + "00:01 2 /SYSV00000001 (deleted)\n", []Attachment{{2, 1, 1}, {9, 1, 1}}},
		{"one id in two namespaces, with keys that are more than 31 bits apart", head + "00:01 5 /SYSVf0000000 (deleted)\n" + head + "00:01 5 /SYSV00000001 (deleted)\n" + head + "00:01 5 /SYSV80000001 (deleted)\n" +
			head + "00:01 5 /SYSVf0000000 (deleted)\n", []Attachment{{5, 1, 1}, {5, 0x80000001, 1}, {5, 0xf0000000, 2}}},
		{"huge pages", head + "00:1c 3 /SYSV00000007 (deleted)\n", []Attachment{{3, 7, 1}}},
		{"a device of twice 32 bits, an id of 31 and addresses of 64", "ffffffffff600000-ffffffffff601000 rw-s ffffffffff600000 ffffffff:fffffffe 2147483647 /SYSVffffffff (deleted)\n", []Attachment{{2147483647, 0xffffffff, 1}}},
		{"an inode that is a shmid in its lower 32 bits", head + "00:01 4294967303 /SYSV00001234 (deleted)\n", nil},
		{"a file of that name, made to look like one", head + "08:01 32769 /SYSV00001234 (deleted)\n", nil},
		{"a file of that name on a tmpfs of its owner", head + "00:2b 32769 /SYSV00001234 (deleted)\n", nil},
		{"a memfd that is called so", head + "00:01 1027 /memfd:/SYSV00001234 (deleted) (deleted)\n", nil},
		{"shared anonymous memory", head + "00:01 1027 /dev/zero (deleted)\n", nil},
		{"below a directory", head + "00:01 1027 /tmp/SYSV00001234 (deleted)\n", nil},
		{"an inode that is no shmid", head + "00:01 4294967296 /SYSV00001234 (deleted)\n", nil},
		{"a key that is too long", head + "00:01 1 /SYSV000001234 (deleted)\n", nil},
		{"a key that is not hex", head + "00:01 1 /SYSV0000123x (deleted)\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseMaps([]byte(tt.in), shmemMount)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
	good := head + "00:01 5 /SYSV00000005 (deleted)\n"
	for _, bad := range []string{"\n", "x\n", head + "0001 5 /SYSV00000005 (deleted)\n", head + "00:01 -5 x\n", strings.TrimSuffix(good, "\n")} {
		got, err := ParseMaps([]byte(good+bad), shmemMount)
		if err == nil || len(got) != 1 || got[0].Maps != 1 {
			t.Errorf("%q: got %v, %v, want the good line and an error", bad, got, err)
		}
	}
}

func FuzzParseMaps(f *testing.F) {
	const head = "7fc73bc56000-7fc73bc58000 rw-s 00000000 "
	for _, s := range []string{
		head + "00:01 32769                      /SYSV00001234 (deleted)\n",
		head + "00:1c 5 /SYSVffffffff (deleted)\n" + head + "00:01 5 /SYSV00000001 (deleted)\n" + head + "00:01 5 /SYSV7fffffff (deleted)\n" + head + "00:01 5 /SYSV00000001 (deleted)\n",
		"7ffd1c5e3000-7ffd1c604000 rw-p 00000000 00:00 0                          [stack]\nffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n",
		head + "00:01 2147483648 /SYSV00001234 (deleted)\n", head + "100000000:01 1 /SYSV00001234 (deleted)\n", head + "00:01 18446744073709551616 x\n", "\n", head + "00:01 1 /SYSV0000+123 (deleted)",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParseMaps(b, shmemMount)
		var again strings.Builder
		maps := uint64(0)
		for i, a := range got {
			maps += a.Maps
			if i > 0 && (got[i-1].ID > a.ID || got[i-1].ID == a.ID && got[i-1].Key >= a.Key) {
				t.Fatalf("not in order: %v", got)
			}
			for range a.Maps {
				fmt.Fprintf(&again, "1-2 rw-s 0 00:01 %d /SYSV%08x (deleted)\n", a.ID, a.Key)
			}
		}
		if lines := uint64(bytes.Count(b, []byte("/SYSV"))); maps > lines {
			t.Fatalf("%d mappings in %d lines", maps, lines)
		}
		if err == nil && len(b) > 0 && b[len(b)-1] != '\n' {
			t.Fatal("no error for half a line")
		}
		if got2, err := ParseMaps([]byte(again.String()), shmemMount); err != nil || !reflect.DeepEqual(got, got2) {
			t.Fatalf("%v became %v, %v", got, got2, err)
		}
	})
}

// FuzzDeviceAt: the device is the fourth word of a line that begins with the address.
func FuzzDeviceAt(f *testing.F) {
	if own, err := os.ReadFile("/proc/self/maps"); err == nil {
		own = own[:min(len(own), 2048)]
		f.Add(own, uint64(0x400000))
	}
	f.Add([]byte("7fc73bc56000-7fc73bc58000 rw-s 00000000 00:01 1027                      /dev/zero (deleted)\n"), uint64(0x7fc73bc56000))
	f.Add([]byte("00001000-00002000 ---s 00000000 00:1c 7 /anon_hugepage (deleted)\n"), uint64(0x1000))
	f.Add([]byte("1000-\n1000- a b ffffffff:100000000 x\n"), uint64(0x1000))
	f.Add([]byte("ffffffffffffffff-0 a b 0:0 5"), uint64(1<<64-1))
	f.Fuzz(func(t *testing.T, maps []byte, address uint64) {
		got, ok := deviceAt(maps, address)
		if !ok {
			if got != (Device{}) {
				t.Fatalf("not there, and yet %v", got)
			}
			return
		}
		if start := fmt.Sprintf("%08x-", address); !strings.HasPrefix(string(maps), start) && !strings.Contains(string(maps), "\n"+start) {
			t.Fatalf("%v, and no line begins with %s", got, start)
		}
		line := fmt.Sprintf("%08x-%08x ---s 00000000 %02x:%02x 1 /dev/zero (deleted)\n", address, address+1, got.Major, got.Minor)
		if again, ok := deviceAt([]byte(line), address); !ok || again != got {
			t.Fatalf("%v became %v", got, again)
		}
	})
}

// The kernel's own mounts are what an attached segment shows.
func TestSegmentDevices(t *testing.T) {
	s := newSpace(t)
	s.do(t, func() error {
		devices, err := SegmentDevices(procFile)
		if err != nil {
			return err
		}
		attach := func(flags int) error {
			id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 1<<21, 0o600|flags)
			if err != nil {
				return err
			}
			mem, err := unix.SysvShmAttach(id, 0, 0)
			if err != nil {
				return err
			}
			defer unix.SysvShmDetach(mem)
			maps, err := os.ReadFile("/proc/self/maps")
			if err != nil {
				return err
			}
			got, err := ParseMaps(maps, devices)
			if err != nil {
				return err
			}
			for _, a := range got {
				if a.ID == int64(id) {
					return nil
				}
			}
			return fmt.Errorf("segment %d (flags %#o) is not found with %v in\n%s", id, flags, devices, maps)
		}
		if err := attach(0); err != nil {
			return err
		}
		const hugeTLB = 0o4000
		if err := attach(hugeTLB); errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
			t.Logf("no huge pages to try here: %v", err)
		} else if err != nil {
			return err
		}
		return nil
	})
}
