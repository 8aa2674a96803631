package cgroup

import (
	"fmt"
	"slices"
	"strings"
)

// check tells which promise of Identity an answer breaks, whatever the content.
func check(content string, id Identity) error {
	lines, _ := Parse([]byte(content))
	container := id.Role == RolePayload || id.Role == RoleVMM
	switch {
	case len(lines) == 0:
		if id.Role != RoleNone || id.Line != "" {
			return fmt.Errorf("an identity without a line: %+v", id)
		}
		return nil
	case !slices.ContainsFunc(lines, func(l Line) bool { return l.Text == id.Line && strings.HasPrefix(l.Path, id.Path) }):
		return fmt.Errorf("Path %q, Line %q: no such line, or the path is not the beginning of the line's", id.Path, id.Line)
	case container && id.ID == "":
		return fmt.Errorf("a container without an id: %+v", id)
	case id.Role == RoleNone && (id.ID != "" || len(id.Outer) > 0 || id.Path != "" || id.Weak):
		return fmt.Errorf("no container, and yet %+v", id)
	case id.Role != RoleNone && (id.Path == "" || id.Unit != ""):
		return fmt.Errorf("a container without a cgroup, or with a unit: %+v", id)
	case id.Weak && !container:
		return fmt.Errorf("weak, but no container: %+v", id)
	}
	for _, o := range id.Outer {
		if o.ID == "" || o.Path == "" || !strings.HasPrefix(id.Path, o.Path) {
			return fmt.Errorf("an outer container without an id, or not around: %+v", id)
		}
	}
	return nil
}
