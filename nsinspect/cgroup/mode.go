package cgroup

import (
	"strings"

	"github.com/containerd/cgroups/v3"
)

// The modes of a host's cgroups, in the report's words.
const (
	ModeUnified     = "unified"     // v2 only
	ModeHybrid      = "hybrid"      // v1, and v2 beside it
	ModeLegacy      = "legacy"      // v1 only
	ModeUnavailable = "unavailable" // none, or none that can be seen
)

// HostMode returns how cgroups are mounted at /sys/fs/cgroup of this host, in
// the report's words: unified (v2), hybrid, legacy (v1) or unavailable.
//
// It speaks for the mount namespace it is called in, and the first answer
// stays: the library keeps it. It says nothing about captures and other hosts'
// trees, and [Identify] does not ask it, since files do not keep to the mode: a
// pure v2 host has a name=systemd line once something has mounted that hierarchy.
func HostMode() string {
	switch cgroups.Mode() {
	case cgroups.Unified:
		return ModeUnified
	case cgroups.Hybrid:
		return ModeHybrid
	case cgroups.Legacy:
		return ModeLegacy
	}
	return ModeUnavailable
}

// ModeOf tells the mode of a host from the contents of its cgroup files, where
// there is no /sys/fs/cgroup to look at. A unified host that once had a named v1
// hierarchy mounted shows that line for ever, so only lines with a controller
// count for v1.
func ModeOf(contents []string) string {
	v1, v2 := false, false
	for _, content := range contents {
		lines, _ := Parse([]byte(content))
		for _, l := range lines {
			switch {
			case l.Hierarchy == 0:
				v2 = true
			case !strings.HasPrefix(l.Controllers, "name="):
				v1 = true
			}
		}
	}
	switch {
	case v1 && v2:
		return ModeHybrid
	case v1:
		return ModeLegacy
	case v2:
		return ModeUnified
	}
	return ModeUnavailable
}
