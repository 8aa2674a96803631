package proc

import (
	"bytes"
	"math"
)

// Mount is one line of a mountinfo file (proc_pid_mountinfo(5)).
type Mount struct {
	ID, Parent int
	Major      uint32 // of the file system's device
	Minor      uint32
	Root       string // what of the file system is mounted
	Point      string // where, as the process sees it
	Options    string
	Optional   []string // shared:N, master:N, ...
	Type       string
	Source     string
	Super      string // options of the file system
}

// parseMountInfo reads a mountinfo file. Tabs, spaces, newlines and backslashes in
// paths, which the kernel writes as octal escapes, are undone.
func parseMountInfo(text []byte) ([]Mount, bool) {
	var mounts []Mount
	for line := range bytes.Lines(text) {
		m, ok := parseMount(bytes.TrimSuffix(line, []byte("\n")))
		if !ok {
			return nil, false
		}
		mounts = append(mounts, m)
	}
	return mounts, true
}

func parseMount(line []byte) (m Mount, ok bool) {
	// 36 35 98:0 /root /point options [optional ...] - type source super
	// The kernel leaves a field empty at times (an empty source before Linux 5.1), so that only single spaces separate.
	f := bytes.Split(line, []byte(" "))
	if len(f) < 10 {
		return m, false
	}
	sep := -1
	for i := 6; i < len(f); i++ {
		if string(f[i]) == "-" {
			sep = i
			break
		}
	}
	if sep < 0 || len(f)-sep != 4 {
		return m, false
	}
	major, minor, ok := bytes.Cut(f[2], []byte(":"))
	if !ok {
		return m, false
	}
	var good [4]bool
	m.ID, good[0] = parseInt(f[0])
	m.Parent, good[1] = parseInt(f[1])
	m.Major, good[2] = parseID(major)
	m.Minor, good[3] = parseID(minor)
	if good != [4]bool{true, true, true, true} {
		return m, false
	}
	m.Root, m.Point, m.Options = unescape(f[3]), unescape(f[4]), string(f[5])
	for _, o := range f[6:sep] {
		m.Optional = append(m.Optional, string(o))
	}
	m.Type, m.Source, m.Super = unescape(f[sep+1]), unescape(f[sep+2]), string(f[sep+3])
	return m, true
}

// unescape undoes the \ooo of the kernel's mangle() and seq_escape().
func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) {
			v := 0
			octal := true
			for _, c := range b[i+1 : i+4] {
				octal = octal && c >= '0' && c <= '7'
				v = v*8 + int(c-'0')
			}
			if octal && v <= math.MaxUint8 {
				out = append(out, byte(v))
				i += 3
				continue
			}
		}
		out = append(out, b[i])
	}
	return string(out)
}
