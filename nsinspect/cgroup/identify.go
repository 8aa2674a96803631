package cgroup

// Identify tells what the bytes of a /proc/PID/cgroup file say about the
// process. It is a pure function, takes time linear in the size of the
// content, and does not depend on the order of the lines. Lines that are not
// in the kernel's format are passed over; use [Parse] and [FromLines] to hear of them.
//
// What an identity is worth: whoever may make cgroups chooses their names. The
// outermost container of the answer (Outer[0], or the identity itself without
// any) was named by the host; everything below it is a claim of what runs in
// it, its Role included: a process that calls its cgroup a conmon's inside
// somebody's container is a process of that container. On the host, too, a
// user's own part of the tree (below user@UID.service) is that user's to name.
//
// "/" says nothing: it is the host's root, the root of the reader's own cgroup
// namespace, and where a v1 kernel puts zombies. Leading ".." components, which
// stand for what is above the reader's namespace, are passed over.
func Identify(content []byte) Identity {
	lines, _ := Parse(content)
	return FromLines(lines)
}

// Certain is [Identify] with no weak evidence: what to believe of a process
// whose identity is weak when nothing else supports it. It is in the container
// around, or in none.
func Certain(content []byte) Identity {
	lines, _ := Parse(content)
	return identify(lines, recent{certain: true})
}

// FromLines is [Identify] for lines that have been parsed.
func FromLines(lines []Line) Identity {
	return identify(lines, recent{})
}

// identify lets all lines speak, since none is authoritative, and the one that
// says most counts. On v1 the controllers stop at different depths, or at "/";
// runc before 1.1 left the v2 line of a hybrid host to the shim; name=systemd
// may name conmon (runc#4620) or nothing at all, and can be there on a pure v2 host.
func identify(lines []Line, seen recent) Identity {
	if len(lines) == 0 {
		return Identity{Role: RoleNone}
	}
	best, line := seen.claim(lines[0].Path), &lines[0]
	for i := range lines[1:] {
		l := &lines[i+1]
		c := seen.claim(l.Path)
		if d := c.compare(&best); d > 0 || d == 0 && l.before(line) {
			best, line = c, l
		}
	}
	id := Identity{
		Ref:    best.ref,
		Role:   best.role,
		Outer:  best.outer,
		Line:   line.Text,
		Weak:   best.weak,
		Labels: best.labels,
	}
	for i := range lines {
		c := seen.claim(lines[i].Path)
		if !best.agrees(&c) {
			id.Disagree = true
			break
		}
	}
	if id.Role == RoleNone {
		id.Unit = unitOf(lines)
	}
	return id
}

// before decides between lines that say equally much, so that their order in the file does not.
func (l *Line) before(other *Line) bool {
	if l.Hierarchy == 0 != (other.Hierarchy == 0) {
		return l.Hierarchy == 0
	}
	if l.isSystemd() != other.isSystemd() {
		return l.isSystemd()
	}
	return l.Text < other.Text
}

func (l *Line) isSystemd() bool { return l.Controllers == "name=systemd" }

// recent remembers what the last few paths said: a v1 file has a dozen lines
// and two or three different paths.
type recent struct {
	certain bool // forms that are weak do not count

	paths  [4]string
	claims [4]claim
	next   int
}

func (r *recent) claim(path string) claim {
	for i := range r.paths {
		if r.paths[i] == path {
			return r.claims[i]
		}
	}
	c := readPath(path, r.certain)
	r.paths[r.next], r.claims[r.next] = path, c
	r.next = (r.next + 1) % len(r.paths)
	return c
}

// claim is what one path says.
type claim struct {
	ref    Ref
	role   Role
	weak   bool
	outer  []Ref
	labels map[string]string
}

// compare is positive if c says more than other: first how many containers deep,
// since whoever the process is in the innermost, those around it are there; a
// container before its monitor (runc#4620), before an application, before a
// pod; then what is certain before what is likely, and what is known before what is not.
func (c *claim) compare(other *claim) int {
	for _, d := range [...]int{
		len(c.outer) - len(other.outer),
		rank(c.role) - rank(other.role),
		one(!c.weak) - one(!other.weak),
		one(c.ref.ID != "") - one(other.ref.ID != ""),
		one(c.ref.Runtime != "") - one(other.ref.Runtime != ""),
		one(c.ref.Pod != "") - one(other.ref.Pod != ""),
		len(c.labels) - len(other.labels),
	} {
		if d != 0 {
			return d
		}
	}
	return 0
}

func rank(r Role) int {
	switch r {
	case RolePayload:
		return 4
	case RoleVMM:
		return 3
	case RoleMonitor:
		return 2
	case RoleApp:
		return 1
	}
	return 0
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// agrees tells whether two claims can both be true: as deep as both go, they
// name the same containers.
func (c *claim) agrees(with *claim) bool {
	for i := 0; ; i++ {
		a, ok := c.container(i)
		b, ok2 := with.container(i)
		if !ok || !ok2 {
			return true
		}
		if a.ID == "" || b.ID == "" {
			continue
		}
		// 64 random hex digits are the same container whoever names it; "web" of two runtimes is not.
		if a.ID != b.ID || a.Runtime != b.Runtime && a.Runtime != "" && b.Runtime != "" && !isHex64(a.ID) {
			return false
		}
	}
}

// container returns the i-th container from outside: those around, then the own one.
func (c *claim) container(i int) (Ref, bool) {
	switch {
	case i < len(c.outer):
		return c.outer[i], true
	case i == len(c.outer) && c.role != RoleNone && c.role != RoleApp:
		return c.ref, true
	}
	return Ref{}, false
}
