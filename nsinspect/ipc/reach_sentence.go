package ipc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Subject is how an object is called in a sentence.
type Subject struct {
	Kind ObjectKind
	Key  uint32 // of a SysV object; 0 is IPC_PRIVATE, where the id says which
	ID   int64  // of a SysV object
	Name string // of a POSIX queue
	Who  string // whose it is: a program or a user; "" when not known
	Size uint64 // bytes of a segment, or waiting in a queue; 0 is not mentioned
}

// Sentence says the most that a process or a container can do to an object, such
// as
//
//	can become uid 999 and write shm 0x52e (postgres, 56 MiB)
//
// and "" when it can do nothing. It tells of writing rather than of
// reading, and of that rather than of removing. name gives the name of
// a uid or "", and may be nil.
func Sentence(r Rights, s Subject, name func(uid uint32) string) string {
	if name == nil {
		name = func(uint32) string { return "" }
	}
	var verbs []string
	best := r.most()
	if best.State == No {
		return ""
	}
	for _, v := range []struct {
		Grant
		verb string
	}{{r.Read, "read"}, {r.Write, "write"}, {r.Control, "remove"}} {
		if v.State == best.State && v.Steps == best.Steps {
			verbs = append(verbs, v.verb)
		}
	}
	verb := listed(mostTelling(verbs))
	switch best.State {
	case Unknown:
		return "may be able to " + verb + " " + s.text()
	case AfterSetuid:
		return "can " + best.Steps.text(name) + " and " + verb + " " + s.text()
	}
	return "can " + verb + " " + s.text()
}

// mostTelling leaves out what goes without saying of an object that can be
// written: that it can be read, and removed, nearly always follows.
func mostTelling(verbs []string) []string {
	if slices.Contains(verbs, "write") {
		return []string{"write"}
	}
	return verbs
}

// most returns the grant to speak of: writing before reading before controlling,
// and what may be possible only when nothing is known to be. Writing after some steps
// comes before merely reading now.
func (r Rights) most() Grant {
	for _, g := range []Grant{r.Write, r.Read, r.Control} {
		if g.State >= AfterSetuid {
			return g
		}
	}
	for _, g := range []Grant{r.Write, r.Read, r.Control} {
		if g.State == Unknown {
			return g
		}
	}
	return Grant{}
}

// text says what the steps make of the process.
func (s Steps) text(name func(uid uint32) string) string {
	var parts []string
	if s.SetUID {
		parts = append(parts, "become uid "+strconv.FormatUint(uint64(s.UID), 10)+inParens(quoted(name(s.UID))))
	}
	if s.SetGID {
		verb := "become gid "
		if s.SetUID {
			verb = "gid "
		}
		parts = append(parts, verb+strconv.FormatUint(uint64(s.GID), 10))
	}
	if s.DropGroups {
		parts = append(parts, "leave its groups")
	}
	if len(parts) == 0 && s.Exec {
		parts = append(parts, "execute itself as root")
	}
	if len(parts) == 0 {
		parts = append(parts, "raise its capabilities")
	}
	return listed(parts)
}

// text names the object.
func (s Subject) text() string {
	var b strings.Builder
	b.WriteString(s.Kind.String())
	switch {
	case s.Kind == MqueueObject:
		b.WriteString(" " + quoted(s.Name))
	case s.Key != 0:
		fmt.Fprintf(&b, " 0x%x", s.Key)
	default:
		fmt.Fprintf(&b, " id %d", s.ID)
	}
	var about []string
	if s.Who != "" {
		about = append(about, quoted(s.Who))
	}
	if s.Size != 0 {
		about = append(about, sizeText(s.Size))
	}
	b.WriteString(inParens(strings.Join(about, ", ")))
	return b.String()
}

func inParens(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func listed(words []string) string {
	if len(words) < 3 {
		return strings.Join(words, " and ")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// sizeText gives bytes in the largest binary unit that leaves at least one, with a
// decimal where less than ten of them would be rounded.
func sizeText(bytes uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	u, whole, rest := 0, bytes, uint64(0)
	for whole >= 1024 && u < len(units)-1 {
		rest = whole % 1024
		whole /= 1024
		u++
	}
	if tenth := rest * 10 / 1024; whole < 10 && tenth > 0 {
		return fmt.Sprintf("%d.%d %s", whole, tenth, units[u])
	}
	return fmt.Sprintf("%d %s", whole, units[u])
}
