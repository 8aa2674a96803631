package container

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// placeByState finds the containers that only an OCI runtime knows of. A
// container that its cgroup or an engine names keeps that name, as runc and crun
// are what the engines run; a bare id that only looked like one gets the runtime's.
func (g *grouping) placeByState(s State) {
	init := g.facts.Find(s.PID)
	if init == nil || init.Zombie || init.Detail == nil || init.Detail.StartTime != s.Start {
		return // it has ended, and the number may be another process's
	}
	evidence := report.Evidence{
		What: report.Text(s.File), Value: fmt.Sprintf("id %s, PID %d, start %d", report.Text(s.ID), s.PID, s.Start),
		Expected: "the process has this PID and start",
	}
	if c := g.of[s.PID]; c != nil {
		if c.ref.Runtime == "" && g.init(c) == init {
			c.ref.Runtime, c.ref.ID = s.Runtime, s.ID
			c.evidence = append(c.evidence, evidence)
		}
		return
	}
	c := g.named(s.ID)
	if c == nil || c.ref.Runtime != s.Runtime {
		c = g.group(cgroup.Ref{Runtime: s.Runtime, ID: s.ID, Path: first(s.cgroupsOf(g.facts.identity(init).Content))}, nil)
	}
	c.evidence = append(c.evidence, evidence)
	own := s.cgroupsOf(g.facts.identity(init).Content)
	inside := make([]bool, len(g.facts.Identities)) // by identity: each content is looked at once
	for i := range g.facts.Identities {
		inside[i] = within(g.facts.Identities[i].Content, own)
	}
	for i := range g.facts.Processes {
		p := &g.facts.Processes[i]
		if p.Zombie || p.isKernel() || g.of[p.PID] != nil {
			continue
		}
		if p == init || g.descends(p, init) || p.Cgroup >= 0 && inside[p.Cgroup] {
			g.join(c, p)
		}
	}
}

// descends tells that a process comes from another one.
func (g *grouping) descends(p, from *Process) bool {
	for range maxDepth {
		if p == nil || p.Detail == nil {
			return false
		}
		if p.Detail.PPID == from.PID {
			return true
		}
		p = g.facts.Find(p.Detail.PPID)
	}
	return false
}

// cgroupsOf returns the paths in the cgroup file of the init that the runtime says
// it made for the container. What the init is in otherwise may be the cgroup of
// whoever called the runtime, and others of his may be in it.
func (s State) cgroupsOf(content string) []string {
	var own []string
	lines, _ := cgroup.Parse([]byte(content))
	for _, l := range lines {
		if len(l.Path) > 1 && slices.ContainsFunc(s.Cgroups, func(made string) bool { return strings.HasSuffix(made, l.Path) }) {
			own = append(own, l.Path)
		}
	}
	return own
}

// within tells that a cgroup file has a path at or below one of some paths.
func within(content string, paths []string) bool {
	if len(paths) == 0 {
		return false
	}
	lines, _ := cgroup.Parse([]byte(content))
	return slices.ContainsFunc(lines, func(l cgroup.Line) bool {
		return slices.ContainsFunc(paths, func(p string) bool { return l.Path == p || strings.HasPrefix(l.Path, p+"/") })
	})
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
