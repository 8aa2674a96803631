package render

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Scan writes a report for people: the host, the containers (the exposed ones
// first), the findings with their evidence, and what could not be read.
func Scan(w io.Writer, r *report.Report, s Style, verdict Verdict) error {
	return s.folded(w, func(w io.Writer) {
		if !s.Quiet {
			s.head(w, r, verdict)
			s.containers(w, r)
			if s.Sandboxes {
				s.sandboxes(w, r)
			}
		}
		s.findings(w, r, verdict)
		s.coverage(w, r.Coverage, verdict.Doubts)
	})
}

// Verdict is what the audit made of a report beside its findings.
type Verdict struct {
	Doubts []string                      // why a clean report is not a clean host
	Short  func([]report.Control) string // the controls that a line has room for
}

func (s Style) head(w io.Writer, r *report.Report, v Verdict) {
	b := r.Baseline
	from := "initial namespaces"
	if b.PID != 0 {
		from = fmt.Sprintf("PID %d", b.PID)
		if b.Comm != "" {
			from += " (" + b.Comm + ")"
		}
	}
	fmt.Fprintf(w, "host %s · Linux %s · baseline %s ipc:[%d] pid:[%d]\n",
		s.paint(cmp.Or(r.Host.Hostname, "unknown"), bold), cmp.Or(r.Host.Kernel, "unknown"), from, b.IPC, b.PIDNS)
	if b.Note != "" {
		fmt.Fprintf(w, "note: %s\n", b.Note)
	}
	exposed := 0
	for _, c := range r.Containers {
		if c.Exposed {
			exposed++
		}
	}
	read := s.paint("complete", green)
	switch {
	case len(v.Doubts) > 0:
		read = s.paint("incomplete", yellow)
	case len(r.Coverage.Gaps) > 0:
		read = number(len(r.Coverage.Gaps), "gap")
	}
	fmt.Fprintf(w, "%s in %s · %s · %d exposed · %s\n\n", number(r.Coverage.Processes, "process"),
		duration(r.DurationMS), number(len(r.Containers), "container"), exposed, read)
}

func (s Style) containers(w io.Writer, r *report.Report) {
	if len(r.Containers) == 0 {
		fmt.Fprintln(w, "no containers")
		fmt.Fprintln(w)
		return
	}
	named, pods := false, false
	for _, c := range r.Containers {
		named = named || c.Name != "" && c.Name != c.ID
		pods = pods || c.Pod.Name != "" || c.Pod.UID != ""
	}
	columns := []column{{title: " ", tight: true}, {title: "RUNTIME"}, {title: "CONTAINER", most: 40}}
	if named {
		columns = append(columns, column{title: "NAME", most: 40})
	}
	if pods {
		columns = append(columns, column{title: "POD", most: 48})
	}
	columns = append(columns, column{title: "INIT", right: true}, column{title: "PROCS", right: true},
		column{title: "IPC"}, column{title: "PID"}, column{title: "VISIBLE HOST IPC", spare: true})
	exposed := slices.ContainsFunc(r.Containers, func(c report.Container) bool { return c.Exposed })
	if exposed {
		columns = append(columns, column{title: "REACH"})
	}

	ordered := slices.Clone(r.Containers)
	slices.SortStableFunc(ordered, func(a, b report.Container) int {
		return cmp.Or(-compareBool(a.Exposed, b.Exposed), cmp.Compare(a.Runtime, b.Runtime), cmp.Compare(a.Ref, b.Ref))
	})
	var rows [][]cell
	for _, c := range ordered {
		mark := cell{text: " "}
		if c.Exposed {
			mark = cell{"!", red}
		}
		row := []cell{mark, {text: c.Runtime}, {text: containerName(c)}}
		if named {
			row = append(row, cell{text: cmp.Or(c.Name, "-")})
		}
		if pods {
			row = append(row, cell{text: podName(c.Pod)})
		}
		row = append(row, cell{text: strconv.Itoa(c.Init)}, cell{text: strconv.Itoa(len(c.PIDs))},
			state(c.IPC), state(c.PID), cell{text: visible(r, c)})
		if exposed {
			row = append(row, cell{text: reach(c)})
		}
		rows = append(rows, row)
	}
	s.grid(w, columns, rows)
	fmt.Fprintln(w)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// containerName is the short id, and the containers around it.
func containerName(c report.Container) string {
	name := shortID(c.ID)
	if len(c.Outer) > 0 {
		name += " in " + ShortRef(c.Outer[len(c.Outer)-1])
	}
	if c.Self {
		name += " (this one)"
	}
	return name
}

func podName(p report.Pod) string {
	switch {
	case p.Name != "":
		return p.Namespace + "/" + p.Name
	case p.UID != "":
		return shortID(p.UID)
	}
	return "-"
}

func shortID(id string) string {
	if len(id) == 64 && strings.Trim(id, "0123456789abcdef") == "" {
		return id[:12]
	}
	return id
}

// ShortRef is a ref with the id cut to twelve digits where it is one of 64.
func ShortRef(ref string) string {
	runtime, id, ok := strings.Cut(ref, ":")
	if !ok {
		return ref
	}
	return runtime + ":" + shortID(id)
}

func state(n report.Namespace) cell {
	switch n.State {
	case report.StateHost:
		return cell{"HOST", red}
	case report.StateUnknown:
		return cell{"unknown", yellow}
	}
	if strays := len(n.HostStrays) + len(n.HostThreads()); strays > 0 {
		return cell{fmt.Sprintf("%s, %d in HOST", n.State, strays), red}
	}
	return cell{text: string(n.State)}
}

// visible sums up the objects of the host's IPC namespace for a container that shares it.
func visible(r *report.Report, c report.Container) string {
	if c.IPC.State != report.StateHost && len(c.IPC.HostStrays) == 0 && len(c.IPC.HostThreads()) == 0 {
		return "-"
	}
	for _, n := range r.IPCNamespaces {
		if !n.Host {
			continue
		}
		if n.Error != "" {
			return "unknown: " + n.Error
		}
		var bytes uint64
		for _, m := range n.Shm {
			bytes += m.Size
		}
		shm := fmt.Sprintf("%d shm", len(n.Shm))
		if len(n.Shm) > 0 {
			shm += " (" + size(bytes) + ")"
		}
		return fmt.Sprintf("%s, %d sem, %d msg", shm, len(n.Sem), len(n.Msg))
	}
	return "unknown"
}

// reach sums up what an exposed container can get at.
func reach(c report.Container) string {
	if !c.Exposed {
		return "-"
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{c.Reach.Shm, "shm"}, {c.Reach.Sem, "sem"}, {c.Reach.Msg, "msg"}, {c.Reach.Signal, "to signal"}, {c.Reach.Ptrace, "to trace"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n)+" "+p.what)
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func (s Style) sandboxes(w io.Writer, r *report.Report) {
	if len(r.Sandboxes) == 0 {
		fmt.Fprint(w, "no sandboxes\n\n")
		return
	}
	var rows [][]cell
	for _, b := range r.Sandboxes {
		root := "host"
		if b.OwnRoot {
			root = "own"
		}
		rows = append(rows, []cell{{text: " "}, {text: strconv.Itoa(b.Leader)}, {text: cmp.Or(b.Comm, "-")}, {text: cmp.Or(b.Name, "-")},
			{text: strconv.Itoa(len(b.PIDs))}, {text: root}, {text: string(b.IPC.State)}, {text: string(b.PID.State)}})
	}
	s.grid(w, []column{{title: " ", tight: true}, {title: "SANDBOX", right: true}, {title: "COMM", most: 32}, {title: "UNIT", most: 48},
		{title: "PROCS", right: true}, {title: "ROOT"}, {title: "IPC"}, {title: "PID"}}, rows)
	fmt.Fprintln(w)
}
