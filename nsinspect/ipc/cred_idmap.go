package ipc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// IDMap is a user namespace's uid_map or gid_map. A nil IDMap is one that was
// not read; one without extents maps nothing, which is how every user namespace
// starts.
type IDMap []IDExtent

// IDExtent is one line of an id map: Count ids that are numbered from Inside
// within the namespace, and from Outside outside of it.
type IDExtent struct {
	Inside, Outside, Count uint32
}

// Limits of the kernel (include/linux/user_namespace.h). (uid_t)-1 is nobody's
// id, so no extent reaches it.
const (
	maxExtents = 340 // UID_GID_MAP_MAX_EXTENTS, since Linux 4.15
	noID       = math.MaxUint32
)

// ParseIDMap reads the bytes of /proc/PID/uid_map or gid_map.
//
// Outside ids are numbers of the reader's user namespace, and so global ids for
// a reader in the initial one. When the reader is in the very namespace that
// the file is of, they are numbers of the parent (uid_m_show() in
// kernel/user_namespace.c): such a reader must not use them, see
// [IDMap.FromWithin]. An extent that the reader has no numbers for is printed with
// 4294967295; it is left out, for no id that the reader can name is in it.
//
// An error is given for what the kernel cannot have written: a line that is
// not three numbers, an empty or overlapping extent, or one that runs past the
// last id.
func ParseIDMap(b []byte) (IDMap, error) {
	m := IDMap{}
	for n := 1; len(b) > 0; n++ {
		line, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		if n > maxExtents {
			return nil, fmt.Errorf("id map: more than %d lines", maxExtents)
		}
		e, err := parseExtent(line)
		if err != nil {
			return nil, fmt.Errorf("id map: line %d: %w", n, err)
		}
		if e.Outside == noID {
			continue
		}
		if e.last(e.Inside) >= noID || e.last(e.Outside) >= noID {
			return nil, fmt.Errorf("id map: line %d: runs past the last id", n)
		}
		for _, other := range m {
			if overlap(e.Inside, other.Inside, e.Count, other.Count) || overlap(e.Outside, other.Outside, e.Count, other.Count) {
				return nil, fmt.Errorf("id map: line %d: overlaps another", n)
			}
		}
		m = append(m, e)
	}
	return m, nil
}

func parseExtent(line []byte) (IDExtent, error) {
	fields := bytes.Fields(line)
	if len(fields) != 3 {
		return IDExtent{}, fmt.Errorf("%d fields, not 3", len(fields))
	}
	var v [3]uint32
	for i, f := range fields {
		n, err := strconv.ParseUint(string(f), 10, 32)
		if err != nil {
			return IDExtent{}, fmt.Errorf("field %d: %w", i+1, err)
		}
		v[i] = uint32(n)
	}
	if v[2] == 0 {
		return IDExtent{}, fmt.Errorf("empty extent")
	}
	return IDExtent{Inside: v[0], Outside: v[1], Count: v[2]}, nil
}

// last returns the last id of the extent that begins with first.
func (e IDExtent) last(first uint32) uint64 { return uint64(first) + uint64(e.Count) - 1 }

func overlap(a, b, na, nb uint32) bool {
	return uint64(a) < uint64(b)+uint64(nb) && uint64(b) < uint64(a)+uint64(na)
}

// FromWithin returns the map as it is for a reader in the namespace itself: the
// same ids, each with the number that the reader calls it by.
func (m IDMap) FromWithin() IDMap {
	if m == nil {
		return nil
	}
	out := make(IDMap, len(m))
	for i, e := range m {
		out[i] = IDExtent{Inside: e.Inside, Outside: e.Inside, Count: e.Count}
	}
	return out
}

// Inside returns the number that an outside id has within the namespace, and
// false when it has none.
func (m IDMap) Inside(outside uint32) (uint32, bool) {
	for _, e := range m {
		if outside >= e.Outside && outside-e.Outside < e.Count {
			return e.Inside + (outside - e.Outside), true
		}
	}
	return noID, false
}

// Outside returns the number that an id of the namespace has outside, and false
// when it has none.
func (m IDMap) Outside(inside uint32) (uint32, bool) {
	for _, e := range m {
		if inside >= e.Inside && inside-e.Inside < e.Count {
			return e.Outside + (inside - e.Inside), true
		}
	}
	return noID, false
}

// maps answers whether the namespace has a number for an outside id.
func (m IDMap) maps(outside uint32) answer {
	if m == nil {
		return unknown
	}
	_, ok := m.Inside(outside)
	return answered(ok)
}

// other returns an outside id that is mapped and none of those given. Of a map
// that is not known it returns a number that may be mapped.
func (m IDMap) other(than ...uint32) (uint32, answer) {
	if m == nil {
		m = IDMap{{Inside: 0, Outside: 1, Count: math.MaxUint32 - 1}}
		id, _ := m.other(than...)
		return id, unknown
	}
	for _, e := range m {
		for i := range min(e.Count, uint32(len(than)+1)) {
			if id := e.Outside + i; !slices.Contains(than, id) {
				return id, yes
			}
		}
	}
	return noID, no
}

func (m IDMap) appendKey(b []byte) []byte {
	if m == nil {
		return binary.LittleEndian.AppendUint32(b, noID)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m)))
	for _, e := range m {
		b = binary.LittleEndian.AppendUint32(b, e.Inside)
		b = binary.LittleEndian.AppendUint32(b, e.Outside)
		b = binary.LittleEndian.AppendUint32(b, e.Count)
	}
	return b
}
