package proc

import (
	"bytes"
	"encoding/binary"
	"math"
)

// A record of getdents64(2), struct linux_dirent64: u64 inode, s64 offset, u16 length of the
// record, u8 type, then the name, ended by NUL.
const (
	direntLength = 16
	direntName   = 19
)

// appendPIDs appends the process numbers among the names in a buffer of getdents64, and reports
// false when the buffer is malformed. A number is a decimal that fits in a pid_t, without leading zeros.
// The type byte is not looked at: some file systems leave it 0.
func appendPIDs(pids []int32, buf []byte) ([]int32, bool) {
	for len(buf) > 0 {
		if len(buf) < direntName {
			return pids, false
		}
		n := int(binary.NativeEndian.Uint16(buf[direntLength:]))
		if n < direntName || n > len(buf) {
			return pids, false
		}
		name := buf[direntName:n]
		end := bytes.IndexByte(name, 0)
		if end < 0 {
			return pids, false
		}
		if v, ok := parseDecimal(name[:end]); ok && v <= math.MaxInt32 {
			pids = append(pids, int32(v))
		}
		buf = buf[n:]
	}
	return pids, true
}
