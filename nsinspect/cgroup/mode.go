package cgroup

import "github.com/containerd/cgroups/v3"

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
		return "unified"
	case cgroups.Hybrid:
		return "hybrid"
	case cgroups.Legacy:
		return "legacy"
	}
	return "unavailable"
}
