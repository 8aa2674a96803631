package engines

import (
	"fmt"
	"os"
	"strings"
)

// user is somebody without rights, with a range of subordinate ids.
type user struct {
	name   string
	id     int
	script string // for privateMounts: makes the user known there, and nowhere else
}

// user makes a user that exists in no file of the machine: copies of
// /etc/passwd, group, subuid and subgid with one line more, to be bound over the
// real ones in a private mount namespace.
func (l *lab) user() user {
	l.Helper()
	u := user{name: "nsitest", id: 54321}
	home := l.path("home")
	lines := map[string]string{
		"passwd": fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", u.name, u.id, u.id, home),
		"group":  fmt.Sprintf("%s:x:%d:\n", u.name, u.id),
		"subuid": fmt.Sprintf("%s:600000:65536\n", u.name),
		"subgid": fmt.Sprintf("%s:600000:65536\n", u.name),
	}
	var script strings.Builder
	for _, name := range []string{"passwd", "group", "subuid", "subgid"} {
		old, err := os.ReadFile("/etc/" + name)
		if err != nil {
			l.Skipf("no /etc/%s: %v", name, err)
		}
		if len(old) > 0 && old[len(old)-1] != '\n' {
			old = append(old, '\n')
		}
		fmt.Fprintf(&script, "mount --bind %s /etc/%s\n", l.write("etc/"+name, string(old)+lines[name]), name)
	}
	u.script = script.String()
	for _, dir := range []string{home, l.path("xdg")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			l.Fatal(err)
		}
		if err := os.Chown(dir, u.id, u.id); err != nil {
			l.Fatal(err)
		}
	}
	return u
}
