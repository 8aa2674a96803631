package locale

import (
	"bytes"
	"strconv"
)

// ParseNames reads the content of /etc/passwd or /etc/group: the name of each
// uid or gid, the first one where there are several, as getpwuid(3) has it with the
// "files" service. Lines that do not name a number are left out, as are the
// "+" and "-" lines of NIS.
func ParseNames(b []byte) map[uint32]string {
	names := make(map[uint32]string)
	for line := range bytes.Lines(b) {
		line = bytes.TrimLeft(bytes.TrimSuffix(line, []byte{'\n'}), " \t\r\v\f")
		fields := bytes.SplitN(line, []byte{':'}, 4)
		if len(fields) < 3 || len(fields[0]) == 0 || bytes.IndexByte([]byte("#+-"), fields[0][0]) >= 0 {
			continue
		}
		id, err := strconv.ParseUint(string(fields[2]), 10, 32)
		if err != nil {
			continue
		}
		if _, ok := names[uint32(id)]; !ok {
			names[uint32(id)] = string(fields[0])
		}
	}
	return names
}
