package proc

import (
	"bytes"
	"strings"

	"golang.org/x/sys/unix"
)

// Cover is something that is mounted over a process's directory, or over a file in it.
type Cover struct {
	PID  int
	File string // below /proc/PID, "" for the directory itself
}

// Covers lists what is mounted over processes in this procfs, as the caller sees it. Whoever may mount can put the directory
// of one process, or a file of it, over another's, which then answers for it: a known way to hide a process (MITRE ATT&CK T1564.013).
// A bind of a procfs is a procfs, so that what is read does not show it; the list of mounts does.
//
// Nothing is listed for a caller who is in no PID namespace that the procfs shows: it has no /proc/self there. The error is for a list of
// mounts that could not be read.
func (fs *FS) Covers() ([]Cover, error) {
	if !fs.live {
		return nil, nil
	}
	st, err := known(fs.fd)
	id := int(st.Mnt_id)
	if err != nil || st.Mask&unix.STATX_MNT_ID == 0 { // Linux 5.8
		if id, err = mountOf(fs.fd); err != nil {
			return nil, newError(0, "self/fdinfo", err)
		}
	}
	text, err := fs.File("self/mountinfo", mountinfoLimit)
	if err != nil {
		if KindOf(err) == Absent {
			return nil, nil
		}
		return nil, err
	}
	covers, ok := parseCovers(text, id)
	if !ok {
		return nil, newError(0, "self/mountinfo", errFormat)
	}
	return covers, nil
}

// parseCovers finds the mounts on the processes of the procfs that is mounted with a number. A line is only taken apart as far as
// that needs: a host with many containers has thousands.
func parseCovers(text []byte, procfs int) (covers []Cover, ok bool) {
	at, found := "", false
	var points []string // of the mounts on it
	for line := range bytes.Lines(text) {
		// 36 35 98:0 /root /point options ...
		f := bytes.SplitN(line, []byte(" "), 6)
		if len(f) != 6 {
			return nil, false
		}
		id, ok1 := parseInt(f[0])
		parent, ok2 := parseInt(f[1])
		if !ok1 || !ok2 {
			return nil, false
		}
		if id == procfs {
			at, found = strings.TrimSuffix(unescape(f[4]), "/")+"/", string(f[3]) == "/"
		} else if parent == procfs {
			points = append(points, unescape(f[4]))
		}
	}
	if !found {
		return nil, true
	}
	for _, point := range points {
		rest, below := strings.CutPrefix(point, at)
		number, file, _ := strings.Cut(rest, "/")
		if pid, ok := parseDecimal([]byte(number)); below && ok && pid <= maxPID {
			covers = append(covers, Cover{PID: int(pid), File: file})
		}
	}
	return covers, true
}
