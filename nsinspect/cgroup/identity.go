// Package cgroup tells from the bytes of a /proc/PID/cgroup file which
// container, if any, the process belongs to. It is one table of runtimes, one
// row each; nothing here touches the system.
package cgroup

// Role is what a process in a container-looking cgroup is, as far as the path tells.
type Role string

// The roles that a cgroup path can tell.
const (
	RoleNone    Role = "none"    // no container names this cgroup
	RolePayload Role = "payload" // a process of the container
	RoleMonitor Role = "monitor" // conmon, lxc.monitor, nspawn's supervisor: in host namespaces by design
	RoleVMM     Role = "vmm"     // Kata, Firecracker: the container itself runs in a guest kernel
	RoleApp     Role = "app"     // flatpak, snap: a sandbox, not a container
)

// Ref names a container.
type Ref struct {
	Runtime string // "" when the path does not tell
	ID      string
	Pod     string // Kubernetes pod uid with dashes, or podman's pod id

	// Path is the container's own cgroup: the deciding line's path up to and
	// including the component that names the container, as in the file.
	Path string
}

// Identity is what a cgroup file says about the process it belongs to.
type Identity struct {
	Ref
	Role  Role
	Outer []Ref // the containers around it, outermost first

	// Line is the line of the file that decided, without its newline.
	Line string
	// Weak: only the shape of the last component (64 hex digits below an
	// arbitrary parent) speaks for a container; the caller must want more
	// evidence before it believes it.
	Weak bool
	// Disagree: two lines of the file name different containers.
	Disagree bool
	// Unit is the innermost systemd unit of a process that is in no container, "" if none.
	Unit string
	// Labels is what else the path tells (an ECS task, say); nil if nothing.
	Labels map[string]string
}
