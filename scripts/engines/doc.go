// Package engines holds the end-to-end tests of nsinspect: real container
// engines, each on private sockets and roots, and the report of the real binary
// held against what each engine says of its own containers.
//
// The tests need root and Debian's packages (scripts/setup installs them); what
// cannot run is skipped with its reason, and one line at the end counts what ran:
//
//	engines: 14 ran, 1 skipped (lxc: ...)
//
// Everything that a test starts is a descendant of one process, the janitor
// (janitor_test.go), which outlives the tests however they end. It removes only what
// is provably theirs: its descendants, mounts and files below its own directory,
// IPC objects with its own keys, cgroups that its processes were in. What engines
// put in places of the whole machine (/docker among the cgroups, /run/containerd,
// /etc/docker/key.json) stays, because it may be in somebody else's use.
//
// An engine is one file here: how to start it, which containers to make, and how
// to ask it for the truth. What the report must say then is decided in one
// place, truth_test.go.
package engines
