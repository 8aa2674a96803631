package cgroup

import (
	"fmt"
	"strings"
)

// Line is one line of a /proc/PID/cgroup file (cgroups(7); the kernel writes it
// in proc_cgroup_show, kernel/cgroup/cgroup.c).
type Line struct {
	Hierarchy   int    // hierarchy number; 0 is the v2 hierarchy
	Controllers string // comma separated, or name=NAME; "" for v2
	Path        string // from the cgroup root that the reader sees; " (deleted)" is still at its end
	Text        string // the whole line without its newline
}

// Parse splits a /proc/PID/cgroup file into its lines, in the file's order,
// duplicates kept, lines of any length. A path may hold ':' (kubelet and
// containerd disagreeing on the driver put it there), so only the first two
// separate. It cannot hold a newline: cgroup_mkdir refuses the name, since
// Linux 3.16, for this file's sake.
//
// Lines that do not read HIERARCHY:CONTROLLERS:/PATH are left out and reported
// by one error, which never comes instead of the lines that do.
func Parse(content []byte) ([]Line, error) {
	text := string(content)
	lines := make([]Line, 0, strings.Count(text, "\n")+1)
	var bad int
	var first error
	for number := 1; text != ""; number++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		l, ok := parseLine(line)
		if !ok {
			if bad++; first == nil {
				first = fmt.Errorf("line %d of a cgroup file: %.100q is not HIERARCHY:CONTROLLERS:/PATH", number, line)
			}
			continue
		}
		lines = append(lines, l)
	}
	if bad > 1 {
		return lines, fmt.Errorf("%w (and %d more such lines)", first, bad-1)
	}
	return lines, first
}

func parseLine(text string) (Line, bool) {
	number, rest, ok := strings.Cut(text, ":")
	if !ok {
		return Line{}, false
	}
	controllers, path, ok := strings.Cut(rest, ":")
	if !ok || !strings.HasPrefix(path, "/") {
		return Line{}, false
	}
	hierarchy, ok := decimal(number)
	if !ok {
		return Line{}, false
	}
	return Line{Hierarchy: hierarchy, Controllers: controllers, Path: path, Text: text}, true
}

// decimal is stricter than strconv.Atoi: no sign and no more digits than the kernel has hierarchies for.
func decimal(s string) (int, bool) {
	if s == "" || len(s) > 9 || !digits(s) {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
