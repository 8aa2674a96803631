package proc

import (
	"encoding/binary"
	"slices"
	"testing"
)

// direntOf makes a record as getdents64 does.
func direntOf(kind byte, name string) []byte {
	n := (direntName + len(name) + 1 + 7) &^ 7
	b := make([]byte, n)
	binary.NativeEndian.PutUint64(b, 1<<63+1)     // an inode that 32 bits do not hold
	binary.NativeEndian.PutUint64(b[8:], 1<<63-1) // and an offset: where the directory ends
	binary.NativeEndian.PutUint16(b[direntLength:], uint16(n))
	b[direntLength+2] = kind
	copy(b[direntName:], name)
	return b
}

func TestAppendPIDs(t *testing.T) {
	const dir, unknown = 4, 0
	list := slices.Concat(
		direntOf(dir, "."), direntOf(dir, ".."), direntOf(dir, "1"), direntOf(unknown, "42"),
		direntOf(dir, "2147483647"), direntOf(dir, "2147483648"), direntOf(dir, "99999999999999999999"),
		direntOf(dir, "0"), direntOf(dir, "007"), direntOf(dir, "-3"), direntOf(dir, "+3"), direntOf(dir, "3x"), direntOf(dir, "٣"),
		direntOf(dir, "self"), direntOf(dir, "7"))
	got, ok := appendPIDs([]int32{5}, list)
	if want := []int32{5, 1, 42, 2147483647, 7}; !ok || !slices.Equal(got, want) {
		t.Errorf("got %v, %t, want %v", got, ok, want)
	}

	good := direntOf(dir, "12")
	short := slices.Clone(good)
	binary.NativeEndian.PutUint16(short[direntLength:], 8)
	long := slices.Clone(good)
	binary.NativeEndian.PutUint16(long[direntLength:], uint16(len(good)+1))
	none := slices.Clone(good)
	binary.NativeEndian.PutUint16(none[direntLength:], 0)
	endless := slices.Clone(good)
	for i := direntName; i < len(endless); i++ {
		endless[i] = '1'
	}
	for story, buf := range map[string][]byte{
		"a record that ends in its header":   short,
		"a record longer than the buffer":    long,
		"a record of no length, for ever":    none,
		"a name without an end":              endless,
		"half a header":                      good[:10],
		"half a header after a whole record": append(slices.Clone(good), 1, 2, 3),
	} {
		if got, ok := appendPIDs(nil, buf); ok {
			t.Errorf("%s: got %v and no complaint", story, got)
		}
	}
}

func FuzzAppendPIDs(f *testing.F) {
	f.Add([]byte{})
	f.Add(direntOf(4, "1"))
	f.Add(slices.Concat(direntOf(4, "self"), direntOf(0, "4194304")))
	f.Add(direntOf(4, "1")[:12])
	f.Add(slices.Concat(direntOf(4, "."), direntOf(4, ".."), direntOf(4, "2147483648"), direntOf(8, "12"), direntOf(10, "007")))
	f.Fuzz(func(t *testing.T, buf []byte) {
		pids, ok := appendPIDs(nil, buf)
		// What follows a good buffer is read as if it stood alone, behind what was there.
		more, good := appendPIDs([]int32{5}, slices.Concat(buf, direntOf(4, "77")))
		if ok && (!good || !slices.Equal(more, slices.Concat([]int32{5}, pids, []int32{77}))) {
			t.Errorf("%v, and with 5 before and 77 behind it %v", pids, more)
		}
		if len(pids) > len(buf)/direntName {
			t.Errorf("%d numbers from %d bytes", len(pids), len(buf))
		}
		for _, pid := range pids {
			if pid <= 0 {
				t.Errorf("PID %d", pid)
			}
		}
	})
}
