package cgroup

import "strings"

// engine returns what the row's cgroups tell of the engine.
func (r *runtime) engine() string {
	if r.unnamed {
		return ""
	}
	return r.name
}

// match tells whether a component has the form, and returns the id in it.
func (f *form) match(c *component) (string, bool) {
	s := c.name
	// Nearly every form fails nearly every component here: the profile asked
	// for the one byte to be looked at before the string.
	if f.oci == "" && f.prefix != "" && f.prefix[0] != s[0] || f.oci != "" && c.oci == "" {
		return "", false
	}
	if f.oci != "" {
		if f.oci != "*" && c.oci != f.oci || !strings.HasPrefix(c.slice, f.slice) {
			return "", false
		}
		s = c.last
	}
	if !strings.HasPrefix(s, f.prefix) ||
		f.dir != nil && !matchAny(f.dir, c.parent) ||
		f.above != "" && c.above != f.above ||
		f.root && !c.top ||
		f.in != "" && c.in != f.in ||
		f.child != "" && !matchStar(f.child, c.child) {
		return "", false
	}
	s = s[len(f.prefix):]
	if f.suffix == nil {
		return f.id.read(s)
	}
	for _, suffix := range f.suffix {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			if id, ok := f.id.read(rest); ok {
				return id, true
			}
		}
	}
	return "", false
}

// score tells how specific a form is: one that has only a likely look comes
// last, one whose id cannot be anything else comes before one that takes any
// name, and then the longer literals win, those of the component itself first.
func (f *form) score() int {
	score := 64*(len(f.prefix)+len(strings.TrimSuffix(f.oci, "*"))+len(f.slice)) + len(f.child)
	if f.suffix != nil {
		score += 64 * len(f.suffix[0])
	}
	if f.dir != nil || f.in != "" {
		score += 32
	}
	if f.above != "" {
		score += 32
	}
	if f.slice != "" {
		score += 1 << 14
	}
	if f.id.exact {
		score += 1 << 15
	}
	if !f.weak {
		score += 1 << 16
	}
	return score
}

// matchAny tells whether one of the patterns is the name.
func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if matchStar(p, name) {
			return true
		}
	}
	return false
}

// matchStar compares with a pattern in which a trailing * stands for any rest.
func matchStar(pattern, name string) bool {
	if last := len(pattern) - 1; pattern[last] == '*' {
		return strings.HasPrefix(name, pattern[:last])
	}
	return pattern == name
}

// splitOCI takes SLICE:PREFIX:NAME apart; SLICE may be empty. Units have colons
// too (app-dbus\x2d:1.2\x2dorg.example.slice), never two of them and no type at the end.
func splitOCI(s string) (slice, prefix, name string) {
	slice, rest, ok := strings.Cut(s, ":")
	if !ok {
		return "", "", ""
	}
	prefix, name, ok = strings.Cut(rest, ":")
	if !ok || prefix == "" || name == "" || strings.Contains(name, ":") || isUnit(name) {
		return "", "", ""
	}
	return slice, prefix, name
}
