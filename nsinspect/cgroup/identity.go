// Package cgroup tells from the bytes of a /proc/PID/cgroup file which
// container, if any, the process belongs to: [Identify].
//
// What runtimes call their cgroups is one table, runtimes.go, with one row for
// each: its names under both drivers (systemd units, plain directories), which
// of them are its monitors', which its pods', and where that is written. The
// rest does not know any runtime. To add one,
//
//   - add a row, with its source;
//   - add contents of real files to testdata/vectors/cgroup.jsonl, one object a
//     line, with what is right for them; TestVectors reads them all, and the
//     other tests make variants of each (nested, relative, shuffled, damaged ids).
//
// The order of rows does not matter. When a row's names need a look that no
// other id has, that is one more line in shape.go.
//
// github.com/containerd/cgroups reads these files too. It is used where it is
// good enough, for the host's mode ([HostMode]), and in the tests as a second
// opinion on [Parse]. An identity needs what its result no longer has: the order
// and number of lines, hierarchies that are there twice, lines over 64 KiB, and
// an answer when one line is damaged.
//
// Nothing here touches the system, except for HostMode's one statfs.
package cgroup

// Role is what a process in a container-looking cgroup is, as far as the path tells.
type Role string

// The roles that a cgroup path can tell.
const (
	RoleNone    Role = "none"    // no container names this cgroup
	RolePayload Role = "payload" // a process of the container
	RoleMonitor Role = "monitor" // conmon, lxc.monitor, nspawn's supervisor: in host namespaces by design; ID may be ""
	RoleVMM     Role = "vmm"     // Kata, Firecracker: the container itself runs in a guest kernel
	RoleApp     Role = "app"     // flatpak, snap: a sandbox, not a container
)

// Ref names a container.
type Ref struct {
	Runtime string // "" when the path does not tell
	ID      string
	Pod     string // Kubernetes pod uid with dashes, or podman's pod id

	// Path is the container's own cgroup: the deciding line's path up to and
	// including the component that names the container, as in the file; "" with RoleNone.
	Path string
}

// Identity is what a cgroup file says about the process it belongs to. See
// [Identify] for how far it can be believed.
type Identity struct {
	// Ref is the innermost container. With [RoleNone] it has no ID, but a Pod
	// if the process is in a pod's own cgroup.
	Ref
	Role Role

	// Outer is the containers around it, outermost first. A process with a
	// monitor's role in one of them is a process of the last of these.
	Outer []Ref

	// Line is the line of the file that decided, without its newline.
	Line string
	// Weak: only the shape of a component (64 hex digits below an arbitrary
	// parent, say) speaks for a container; the caller must want more evidence
	// before it believes it. [Certain] is what is left without such evidence.
	Weak bool
	// Disagree: two lines of the file name different containers. A line that
	// stops further up, or at a container's monitor, does not disagree.
	Disagree bool
	// Unit is the innermost systemd unit (.service or .scope) of a process that
	// is in no container, as systemctl calls it, so with systemd's \x2d; "" if none.
	Unit string
	// Labels is what else the path tells: "ecs.task"; nil if nothing.
	Labels map[string]string
}
