package ipc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits returns what is in force for a process, or may help it, that the
// judgements of this package do not take into account, as sentences for a report.
//
// Landlock has no file in /proc and is not told of; since Linux 6.12 it can forbid
// signals, and it always forbids to ptrace what is outside of its domain. Neither are
// securebits.
func Limits(c Cred) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }

	switch {
	case c.Seccomp == 1:
		add("seccomp strict mode is in force, which allows none of these system calls; it is not modelled")
	case c.Seccomp != 0 && c.SeccompFilters > 0:
		add("seccomp is in force (%d filters) and may forbid system calls; it is not modelled", c.SeccompFilters)
	case c.Seccomp != 0:
		add("seccomp is in force and may forbid system calls; it is not modelled")
	}
	if lsm, confined := labelOf(c.Label); confined {
		add("%s is in force (%s) and may forbid more; it is not modelled", lsm, quoted(c.Label))
	}
	if c.UserNS == nil {
		add("the user namespace could not be read: what capabilities give is unknown")
	}
	if c.UIDMap == nil || c.GIDMap == nil {
		add("the id maps of the user namespace could not be read: which ids can be taken is unknown")
	}
	if c.mayGainFromPrograms() {
		add("no_new_privs is not set: set-user-ID programs and programs with file capabilities may give it more; they are not modelled")
	}
	return out
}

// mayGainFromPrograms reports whether running somebody else's program could give
// capabilities that this package does not count already: there are some in the
// bounding set that the process can neither use nor get by itself.
func (c *Cred) mayGainFromPrograms() bool {
	if c.NoNewPrivs || c.Bnd&^c.Prm == 0 {
		return false
	}
	_, asRoot := c.canExecAsRoot()
	return asRoot != yes
}

// labelOf returns which kind of LSM a label is of, and whether it restricts. An
// AppArmor profile is followed by its mode in parentheses; an SELinux context has
// at least three colons (user:role:type:level); Smack gives one word.
func labelOf(label string) (string, bool) {
	switch {
	case label == "" || label == "unconfined" || strings.HasSuffix(label, " (complain)") || strings.HasSuffix(label, " (unconfined)"):
		return "", false
	case strings.HasSuffix(label, ")"):
		return "AppArmor", true
	case strings.Count(label, ":") >= 3:
		return "SELinux", true
	}
	return "an LSM", true
}

// LimitsOf returns the limits of all members of a container, each once, sorted.
func LimitsOf(members []Cred) []string {
	var out []string
	for _, c := range Distinct(members) {
		out = append(out, Limits(c)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// quoted returns text that a terminal shows as it is: what is not printable is
// escaped as in a Go string.
func quoted(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
