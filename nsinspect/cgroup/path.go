package cgroup

import "strings"

// readPath walks a path from outside to inside. A component that the table
// knows as a container makes the one found before it an outer one; a component
// that it does not know belongs to the container it is below.
func readPath(path string, certain bool) claim {
	// The kernel says so of a v2 cgroup that has been removed while a zombie is
	// still in it (proc_cgroup_show). A v1 cgroup may really end so.
	path = strings.TrimSuffix(path, " (deleted)")

	w := walk{path: path, certain: certain, claim: claim{role: RoleNone}}
	for dots := true; w.next(); {
		if dots = dots && w.name == ".."; dots || w.name == "" {
			continue
		}
		if w.depth == 0 && w.isInner() {
			continue
		}
		w.depth++
		w.step()
	}
	switch {
	case w.role != RoleNone:
	case w.areaEnd > 0:
		w.found(w.area, RoleMonitor, "", false, w.areaEnd)
	default:
		w.ref = Ref{Runtime: w.podRuntime, Pod: w.pod}
		w.labels = w.podLabels
	}
	return w.claim
}

// walk is where readPath is.
type walk struct {
	claim
	path    string
	certain bool
	pos     int // of the '/' after the component, or the end
	depth   int // of the component, from the root of the file or of the container around

	component
	row *runtime // of the container around

	pod, podRuntime string
	podLabels       map[string]string

	area    *runtime // inside a directory that holds monitors of this row only
	areaEnd int      // the end of the first component in it
}

// component is one component of a path with the neighbours that forms ask for.
type component struct {
	name   string
	parent string // "" if there is none up to the container around
	above  string // the parent's parent, likewise
	in     string // the row of which the parent is a pod
	top    bool   // the parent is the first component below the root
	child  string

	// The component as SLICE:PREFIX:NAME; oci is "" if it is not.
	slice, oci, last string
}

// next goes to the next component.
func (w *walk) next() bool {
	if w.pos >= len(w.path) {
		return false
	}
	w.name, w.pos = componentAt(w.path, w.pos)
	w.child, _ = componentAt(w.path, w.pos)
	return true
}

// componentAt returns the component that starts at the '/' at pos, and its end.
func componentAt(path string, pos int) (string, int) {
	rest := strings.TrimPrefix(path[pos:], "/")
	start := len(path) - len(rest)
	name, _, _ := strings.Cut(rest, "/")
	return name, start + len(name)
}

// isInner tells the cgroups that lie between a container's cgroup and the root
// that the container sees. Besides the row's own there are those of the two
// OCI runtimes that any engine may run: crun's (src/libcrun/cgroup-systemd.c)
// and sysbox-runc's (libcontainer/cgroups/cgroups.go SyscontCgroupRoot).
func (w *walk) isInner() bool {
	return w.row != nil &&
		(w.name == "container" || w.name == "syscont-cgroup-root" || contains(w.row.inner, w.name))
}

// step takes the component in.
func (w *walk) step() {
	w.top = w.depth == 2
	w.slice, w.oci, w.last = splitOCI(w.name)
	if w.slice != "" {
		// The slice may be a pod's, and is no component of its own here.
		slice := component{name: w.slice}
		if row, f, id := slice.best(true, w.certain); f != nil {
			w.podFound(row, id)
		}
	}

	row, f, id := w.best(false, w.certain && w.area == nil)
	podRow, podForm, podID := w.best(true, w.certain)
	if podForm != nil && (f == nil || podForm.score() > f.score()) {
		w.podFound(podRow, podID)
		w.above, w.parent, w.in = w.parent, w.name, podRow.name
		return
	}
	if w.area == nil {
		w.area = monitorsIn(w.name)
	} else if w.areaEnd == 0 {
		w.areaEnd = w.pos
	}
	// An application inside a container is one of the container's processes.
	if f == nil || f.role == RoleNone || f.role == RoleApp && w.role != RoleNone {
		w.above, w.parent, w.in = w.parent, w.name, ""
		return
	}
	if f.child != "" {
		w.next()
	}
	role := f.role
	if role == "" {
		role = RolePayload
	}
	if w.area != nil {
		row, role = w.area, RoleMonitor
	}
	w.found(row, role, id, f.weak && role != RoleMonitor, w.pos)
}

// found makes the component the innermost container, or monitor, so far. A
// monitor or an application is no container around anything.
func (w *walk) found(row *runtime, role Role, id string, weak bool, end int) {
	if w.inContainer() {
		w.outer = append(w.outer, w.ref)
	}
	w.ref = Ref{Runtime: row.engine(), ID: id, Pod: w.pod, Path: w.path[:end]}
	w.role, w.weak, w.labels = role, weak, w.podLabels

	w.row, w.depth = row, 0
	w.above, w.parent, w.in = "", "", ""
	w.pod, w.podRuntime, w.podLabels = "", "", nil
}

func (w *walk) inContainer() bool { return w.role == RolePayload || w.role == RoleVMM }

func (w *walk) podFound(row *runtime, id string) {
	if row.podLabel != "" {
		w.podLabels = map[string]string{row.podLabel: id}
		return
	}
	w.pod, w.podRuntime = id, row.engine()
}

// best returns the most specific form that the component has, of containers or
// of pods, and the id in it; a nil form if it has none.
func (c *component) best(pods, certain bool) (row *runtime, best *form, id string) {
	for i := range runtimes {
		forms := runtimes[i].forms
		if pods {
			forms = runtimes[i].pods
		}
		for j := range forms {
			f := &forms[j]
			if certain && f.weak {
				continue
			}
			if s, ok := f.match(c); ok && (best == nil || f.score() > best.score()) {
				row, best, id = &runtimes[i], f, s
			}
		}
	}
	return row, best, id
}

// monitorsIn returns the row whose monitors a directory of this name holds.
func monitorsIn(name string) *runtime {
	for i := range runtimes {
		if contains(runtimes[i].monitors, name) {
			return &runtimes[i]
		}
	}
	return nil
}

// unitOf returns the innermost systemd unit that a file names, as systemd calls
// it. systemd itself keeps name=systemd, on v2 the only hierarchy; other lines
// only count where those say nothing.
func unitOf(lines []Line) string {
	var from *Line
	var unit string
	for i := range lines {
		l := &lines[i]
		if u := innermostUnit(l.Path); u != "" && (from == nil || l.knowsUnit(from)) {
			from, unit = l, u
		}
	}
	return unit
}

func (l *Line) knowsUnit(better *Line) bool {
	if l.isSystemd() != better.isSystemd() {
		return l.isSystemd()
	}
	return l.before(better)
}

func innermostUnit(path string) string {
	path = strings.TrimSuffix(path, " (deleted)")
	for path != "" {
		i := strings.LastIndexByte(path, '/')
		name := path[i+1:]
		if (strings.HasSuffix(name, ".service") || strings.HasSuffix(name, ".scope")) && isUnit(name) {
			// cg_escape (systemd src/basic/cgroup-util.c) sets '_' before a name
			// that could be taken for a file of the kernel's.
			return strings.TrimPrefix(name, "_")
		}
		path = path[:max(i, 0)]
	}
	return ""
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
