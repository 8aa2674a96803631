package proc

import (
	"bytes"
	"math"
	"strconv"
)

// Status is the credentials and limits of one task, from one reading of its status file: the kernel
// takes them from one set of credentials (fs/proc/array.c, task_state), so that they fit together.
type Status struct {
	UID, EUID, SUID, FSUID uint32
	GID, EGID, SGID, FSGID uint32
	Groups                 []uint32 // supplementary
	CapInh, CapPrm, CapEff uint64
	CapBnd, CapAmb         uint64 // CapAmb since Linux 4.3
	NSpid                  []int  // its number in each PID namespace, from that of the procfs inwards; since Linux 4.1
	Threads                int
	TracerPID              int // 0 if it is not traced
	NoNewPrivs             bool
	Seccomp                int // 0 off, 1 strict, 2 filter; since Linux 3.8
	SeccompFilters         int // since Linux 5.9; 0 before
}

// parseStatus reads a /proc/PID/status. The Uid, Gid, Groups and CapEff lines must be there; the name
// is chosen by the process, but the kernel escapes a newline in it.
func parseStatus(text []byte) (*Status, bool) {
	s := &Status{}
	var uid, gid, groups, caps bool
	for line := range bytes.Lines(text) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		value = bytes.TrimSpace(value)
		good := true
		switch string(key) {
		case "Uid":
			good = !uid && four(value, &s.UID, &s.EUID, &s.SUID, &s.FSUID)
			uid = true
		case "Gid":
			good = !gid && four(value, &s.GID, &s.EGID, &s.SGID, &s.FSGID)
			gid = true
		case "Groups":
			good = !groups
			groups = true
			for _, f := range bytes.Fields(value) {
				v, ok := parseID(f)
				good = good && ok
				s.Groups = append(s.Groups, v)
			}
		case "NSpid":
			s.NSpid = nil
			for _, f := range bytes.Fields(value) {
				v, ok := parseInt(f)
				good = good && ok
				s.NSpid = append(s.NSpid, v)
			}
		case "CapInh":
			s.CapInh, good = parseHex(value)
		case "CapPrm":
			s.CapPrm, good = parseHex(value)
		case "CapEff":
			s.CapEff, good = parseHex(value)
			caps = true
		case "CapBnd":
			s.CapBnd, good = parseHex(value)
		case "CapAmb":
			s.CapAmb, good = parseHex(value)
		case "Threads":
			s.Threads, good = parseInt(value)
		case "TracerPid":
			s.TracerPID, good = parseInt(value)
		case "NoNewPrivs":
			good = len(value) == 1
			s.NoNewPrivs = string(value) == "1"
		case "Seccomp":
			s.Seccomp, good = parseInt(value)
		case "Seccomp_filters":
			s.SeccompFilters, good = parseInt(value)
		}
		if !good {
			return nil, false
		}
	}
	return s, uid && gid && groups && caps
}

func four(value []byte, ids ...*uint32) bool {
	fields := bytes.Fields(value)
	if len(fields) != len(ids) {
		return false
	}
	for i, f := range fields {
		v, ok := parseID(f)
		if !ok {
			return false
		}
		*ids[i] = v
	}
	return true
}

// parseID reads a uid or gid: 32 bits.
func parseID(b []byte) (uint32, bool) {
	v, ok := parseNumber(b)
	return uint32(v), ok && v <= math.MaxUint32
}

// parseInt reads a number that is not negative and fits in 31 bits.
func parseInt(b []byte) (int, bool) {
	v, ok := parseNumber(b)
	if !ok || v > math.MaxInt32 {
		return 0, false
	}
	return int(v), true
}

func parseHex(b []byte) (uint64, bool) {
	v, err := strconv.ParseUint(string(b), 16, 64)
	return v, err == nil
}
