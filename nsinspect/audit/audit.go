// Package audit decides which rules fire on a report. It looks at nothing else.
package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// The severities, from the lowest.
const (
	Info     = "info"
	Low      = "low"
	Medium   = "medium"
	High     = "high"
	Critical = "critical"
)

// Severities lists the severities from the lowest to the highest.
func Severities() []string { return []string{Info, Low, Medium, High, Critical} }

// AtLeast tells whether a severity is another or worse.
func AtLeast(severity, floor string) bool {
	all := Severities()
	return slices.Index(all, severity) >= slices.Index(all, floor)
}

// rule is one rule and how it fires.
type rule struct {
	report.Rule
	find func(*report.Report) []hit
}

// hit is a rule that fired.
type hit struct {
	subject  string
	severity string // "" is the rule's
	title    string // "" is the rule's
	evidence []report.Evidence
}

func rules() []rule { return slices.Concat(hostRules(), strayRules(), shareRules()) }

// Rules lists every rule.
func Rules() []report.Rule {
	var all []report.Rule
	for _, r := range rules() {
		if r.Controls == nil {
			r.Controls = []report.Control{}
		}
		all = append(all, r.Rule)
	}
	return all
}

// Findings applies every rule to the containers and sandboxes of a report: the
// worst first, then by subject and rule.
func Findings(r *report.Report) []report.Finding {
	var out []report.Finding
	for _, rule := range rules() {
		for _, h := range rule.find(r) {
			out = append(out, report.Finding{
				Rule: rule.ID, Severity: cmp.Or(h.severity, rule.Severity), Title: cmp.Or(h.title, rule.Title),
				Subject: h.subject, Evidence: h.evidence, Controls: rule.Controls, Remediation: rule.Remediation,
			})
		}
	}
	all := Severities()
	slices.SortStableFunc(out, func(a, b report.Finding) int {
		return cmp.Or(slices.Index(all, b.Severity)-slices.Index(all, a.Severity),
			cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Rule, b.Rule))
	})
	return out
}

// view is one namespace type, as far as the rules differ between them.
type view struct {
	kind     string // as in /proc/PID/ns
	baseline func(report.Baseline) uint64
	of       func(*report.Container) report.Namespace
}

func views() (ipc, pid view) {
	ipc = view{"ipc", func(b report.Baseline) uint64 { return b.IPC }, func(c *report.Container) report.Namespace { return c.IPC }}
	pid = view{"pid", func(b report.Baseline) uint64 { return b.PIDNS }, func(c *report.Container) report.Namespace { return c.PID }}
	return ipc, pid
}

// link is the evidence of one namespace link.
func (v view) link(pid int, inode uint64, expected string) report.Evidence {
	return report.Evidence{What: fmt.Sprintf("/proc/%d/ns/%s", pid, v.kind), Value: namespace.Link(v.kind, inode), Expected: expected}
}

// not is what a namespace is held against.
func (v view) not(b report.Baseline) string {
	return "not " + namespace.Link(v.kind, v.baseline(b)) + ", the baseline"
}

func hostRules() []rule {
	ipc, pid := views()
	find := func(v view, worse func(*report.Report, *report.Container) []report.Evidence) func(*report.Report) []hit {
		return func(r *report.Report) (hits []hit) {
			for i := range r.Containers {
				c := &r.Containers[i]
				ns := v.of(c)
				if ns.State != report.StateHost {
					continue
				}
				h := hit{subject: c.Ref, evidence: []report.Evidence{v.link(c.Init, ns.Inode, v.not(r.Baseline))}}
				if more := worse(r, c); more != nil {
					h.severity, h.evidence = High, append(h.evidence, more...)
				}
				hits = append(hits, h)
			}
			return hits
		}
	}
	return []rule{{Rule: report.Rule{
		ID: "host-ipc", Severity: Medium, Title: "shares the host's IPC namespace",
		Why:         "Its processes see every SysV shared memory segment, semaphore set and message queue of the host and can use those whose permissions allow it.",
		Remediation: "Run it without the host's IPC namespace (docker and podman: no --ipc=host; Compose: no ipc: host; Kubernetes: hostIPC: false). A program that only needs more shared memory wants --shm-size or an emptyDir with medium: Memory.",
		Controls:    hostIPCControls(),
	}, find: find(ipc, writable)}, {Rule: report.Rule{
		ID: "host-pid", Severity: Medium, Title: "shares the host's PID namespace",
		Why:         "Its processes see every process of the host, can signal those of the same user, and with more rights read their memory.",
		Remediation: "Run it without the host's PID namespace (docker and podman: no --pid=host; Compose: no pid: host; Kubernetes: hostPID: false).",
		Controls:    hostPIDControls(),
	}, find: find(pid, traceable)}}
}

// writable is the evidence that a container can write what is not its own: what
// makes sharing the IPC namespace worse than a breach of a rule.
func writable(_ *report.Report, c *report.Container) []report.Evidence {
	if c.Reach.Others == 0 {
		return nil
	}
	return []report.Evidence{{
		What: "objects of others that it can write, now or after setuid", Value: strconv.Itoa(c.Reach.Others), Expected: "none",
	}}
}

// traceable is the evidence that a container can read the memory of processes of the host.
func traceable(_ *report.Report, c *report.Container) []report.Evidence {
	if c.Reach.Ptrace == 0 {
		return nil
	}
	return []report.Evidence{{
		What: "processes outside it whose memory it can read, now or after setuid", Value: strconv.Itoa(c.Reach.Ptrace), Expected: "none",
	}}
}

func strayRules() []rule {
	ipc, pid := views()
	find := func(v view) func(*report.Report) []hit {
		return func(r *report.Report) (hits []hit) {
			for i := range r.Containers {
				c := &r.Containers[i]
				var evidence []report.Evidence
				for _, pid := range v.of(c).HostStrays {
					evidence = append(evidence, v.link(pid, v.baseline(r.Baseline), v.not(r.Baseline)))
				}
				ns, title := v.of(c), ""
				if len(evidence) == 0 {
					title = "has a thread in the host's " + strings.ToUpper(v.kind) + " namespace that its init is not in"
				}
				for _, t := range ns.HostThreads() {
					evidence = append(evidence, report.Evidence{What: fmt.Sprintf("/proc/%d/task/%d/ns/%s", t.PID, t.TID, v.kind),
						Value: namespace.Link(v.kind, t.Inode), Expected: v.not(r.Baseline)})
				}
				if len(evidence) > 0 {
					own := v.link(c.Init, v.of(c).Inode, "the container's own, by its init")
					hits = append(hits, hit{subject: c.Ref, title: title, evidence: append(evidence, own)})
				}
			}
			return hits
		}
	}
	why := "The container has a namespace of its own, and yet a process in it is in the host's: somebody entered, or something broke out."
	fix := "Find out who started the process (nsinspect explain PID) and end it, or move it out of the container's cgroup if it belongs to the host."
	return []rule{
		{Rule: report.Rule{
			ID: "stray-ipc", Severity: High, Title: "has a process in the host's IPC namespace that its init is not in", Why: why, Remediation: fix, Controls: hostIPCControls(),
		}, find: find(ipc)},
		{Rule: report.Rule{
			ID: "stray-pid", Severity: High, Title: "has a process in the host's PID namespace that its init is not in", Why: why, Remediation: fix, Controls: hostPIDControls(),
		}, find: find(pid)},
	}
}

// Short names the controls of a finding that a table has room for: the benchmark
// and the STIG that users come with.
func Short(controls []report.Control) string {
	var names []string
	for _, c := range controls {
		switch {
		case c.Framework == cisDocker && len(names) == 0:
			names = append(names, "CIS Docker "+c.Version+" "+c.ID)
		case c.Framework == disaDocker && strings.HasPrefix(c.ID, "DKER-"):
			names = append(names, c.ID)
		}
	}
	return strings.Join(names, ", ")
}
