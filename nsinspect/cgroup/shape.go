package cgroup

import "strings"

// A shape is what an id looks like. read returns the id in what is left of a
// component after the form's literals, and whether it has the shape at all.
type shape struct {
	read  func(string) (string, bool)
	exact bool // nothing but a container (or pod) is likely to look so
}

// The shapes that the table uses. Each is anchored at both ends: 63 or 65 hex
// digits are no id, and neither are 64 that are followed by anything.
var (
	nothing   = shape{isEmpty, true}
	hex64     = shape{only(isHex64), true}
	uuid      = shape{only(isUUID), true}
	guid      = shape{only(func(s string) bool { return isUUID(s) || isShortGUID(s) }), true}
	shortGUID = shape{only(isShortGUID), true}
	base36    = shape{only(isBase36), true}
	number    = shape{only(digits), true}
	ecsTask   = shape{only(func(s string) bool { return isHex32(s) || isUUID(s) }), true}
	ecsPart   = shape{only(isECSPart), true}
	podUID    = shape{only(func(s string) bool { return isUUID(s) || isHex32(s) }), true}
	podSlice  = shape{readPodSlice, true}
	podmanPod = shape{readPodmanPod, true}
	nomadTask = shape{only(isNomadTask), true}
	buildahID = shape{only(isBuildahID), true}
	bpmID     = shape{only(isBPMID), true}
	tailHex64 = shape{readTailHex64, true}
	conmonOf  = shape{readConmonOf, true}
	flatpak   = shape{readFlatpak, true}
	snapApp   = shape{readSnap, true}

	// entry is a directory that anybody may have named, where the names of
	// systemd units are more likely to be units.
	entry = shape{only(func(s string) bool { return s != "" && !isUnit(s) }), false}
	// anyName is for where a literal has already said whose it is.
	anyName = shape{only(func(s string) bool { return s != "" }), false}
	// unitName is a part of a unit's name, escaped by systemd.
	unitName = shape{readUnitName, false}
	// libvirtName is libvirt's lxc-PID-NAME, where older ones have no PID.
	libvirtName = shape{readLibvirtName, false}
)

func only(is func(string) bool) func(string) (string, bool) {
	return func(s string) (string, bool) { return s, is(s) }
}

func isEmpty(s string) (string, bool) { return "", s == "" }

func isHex64(s string) bool { return len(s) == 64 && lowerHex(s) }
func isHex32(s string) bool { return len(s) == 32 && lowerHex(s) }

// isBase36 tells a BuildKit id: 25 of [0-9a-z] (moby/buildkit identity/randomid.go).
func isBase36(s string) bool {
	if len(s) != 25 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func isUUID(s string) bool { return hexGroups(s, '-', 8, 4, 4, 4, 12) }

// isShortGUID tells the container handles of Cloud Foundry's Garden and Diego,
// five groups whose last one has four digits too.
func isShortGUID(s string) bool { return hexGroups(s, '-', 8, 4, 4, 4, 4) }

func hexGroups(s string, sep byte, sizes ...int) bool {
	for i, n := range sizes {
		if i > 0 {
			if s == "" || s[0] != sep {
				return false
			}
			s = s[1:]
		}
		if len(s) < n || !lowerHex(s[:n]) {
			return false
		}
		s = s[n:]
	}
	return s == ""
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isECSPart tells Fargate's TASK-NUMBER; the number of digits varies.
func isECSPart(s string) bool {
	return len(s) > 33 && isHex32(s[:32]) && s[32] == '-' && digits(s[33:])
}

func isNomadTask(s string) bool {
	return len(s) > 37 && isUUID(s[:36]) && s[36] == '.'
}

func isBuildahID(s string) bool {
	n, ok := strings.CutPrefix(s, "buildah-buildah")
	return ok && digits(n)
}

func isBPMID(s string) bool { return len(s) > len("bpm-") && strings.HasPrefix(s, "bpm-") }

// readPodSlice finds a pod's uid at the end of a slice's name, whatever the
// kubelet's --cgroup-root and the QoS class put before it. The kubelet writes
// '_' for '-' there (kubelet/cm/cgroup_manager_linux.go); the uid of a static
// pod is 32 hex digits. CRI-O encoded slices twice in 2017 (cri-o#842), hence
// the second .slice.
func readPodSlice(s string) (string, bool) {
	s = strings.TrimSuffix(s, ".slice")
	for _, n := range [...]int{36, 32} {
		head := len(s) - n - len("pod")
		if head < 0 || s[head:head+3] != "pod" || head > 0 && s[head-1] != '-' && s[head-1] != '_' {
			continue
		}
		switch uid := s[head+3:]; {
		case n == 32 && isHex32(uid):
			return uid, true
		case n == 36 && hexGroups(uid, '_', 8, 4, 4, 4, 12):
			return strings.ReplaceAll(uid, "_", "-"), true
		case n == 36 && isUUID(uid):
			return uid, true
		}
	}
	return "", false
}

// readPodmanPod finds podman's PARENT-libpod_pod_ID (libpod/runtime_pod_linux.go).
func readPodmanPod(s string) (string, bool) {
	head := len(s) - 64 - len("libpod_pod_")
	if head < 0 || s[head:head+len("libpod_pod_")] != "libpod_pod_" || head > 0 && s[head-1] != '-' {
		return "", false
	}
	id := s[len(s)-64:]
	return id, isHex64(id)
}

// readTailHex64 reads PREFIX-ID, where OCI runtimes may have been given no prefix.
func readTailHex64(s string) (string, bool) {
	head := len(s) - 64
	if head < 0 || head > 0 && s[head-1] != '-' {
		return "", false
	}
	return s[head:], isHex64(s[head:])
}

func readConmonOf(s string) (string, bool) {
	id, ok := readTailHex64(s)
	return id, ok && strings.HasSuffix(s[:len(s)-64], "-conmon-")
}

// readFlatpak reads APP-INSTANCE, where systemd's escaping has left the only plain dash in front of the instance.
func readFlatpak(s string) (string, bool) {
	dash := strings.LastIndexByte(s, '-')
	if dash <= 0 || !digits(s[dash+1:]) {
		return "", false
	}
	return unescape(s[:dash]), true
}

// readSnap reads PACKAGE.APP-UUID, and PACKAGE.APP.UUID of older snapd
// (snapcore/snapd sandbox/cgroup/scanning.go). The uuid is one start of the application, not its id.
func readSnap(s string) (string, bool) {
	cut := len(s) - 37
	if cut <= 0 || s[cut] != '-' && s[cut] != '.' || !isUUID(s[cut+1:]) {
		return "", false
	}
	return unescape(s[:cut]), true
}

func readUnitName(s string) (string, bool) {
	return unescape(s), s != ""
}

func readLibvirtName(s string) (string, bool) {
	s = unescape(s)
	if pid, name, ok := strings.Cut(s, "-"); ok && name != "" && digits(pid) {
		s = name
	}
	return s, s != ""
}

// unescape undoes systemd's \xNN (unit_name_unescape, basic/unit-name.c). What
// is no escape stays as it is, and so does \x00, which systemd never writes.
// '-' stays: it stands for '/' in a unit's name, and no machine has that in its name.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			hi, ok1 := hexDigit(s[i+2])
			lo, ok2 := hexDigit(s[i+3])
			if c := hi<<4 | lo; ok1 && ok2 && c != 0 {
				out = append(out, c)
				i += 3
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// isUnit tells the name of a systemd unit that can be a cgroup (systemd.unit(5)).
func isUnit(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	if dot <= 0 {
		return false
	}
	switch s[dot+1:] {
	case "service", "scope", "slice", "mount", "socket", "swap":
		return true
	}
	return false
}
