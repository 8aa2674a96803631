package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// profile tells what one command spends its CPU time on.
type profile struct {
	command   string
	processes int
	cpu       time.Duration            // of one run
	calls     map[string]time.Duration // by system call; what is none is under a name with a space in it
	parts     map[string]time.Duration // by part of nsinspect
}

// frequency is how often a second perf looks. A prime keeps it out of step with anything periodic.
const frequency = 9973

// profileOf runs a command several times under perf(1), with the clock as its event, which every machine has.
func profileOf(ctx context.Context, t tools, command []string, runs int) (profile, error) {
	data := filepath.Join(t.dir, "perf.data")
	loop := fmt.Sprintf("for i in $(seq %d); do %q", runs, command[0])
	for _, arg := range command[1:] {
		loop += fmt.Sprintf(" %q", arg)
	}
	record := exec.CommandContext(ctx, t.perf, "record", "-q", "-e", "cpu-clock", "-F", fmt.Sprint(frequency), "-g", "-o", data,
		"--", "sh", "-c", loop+" >/dev/null; done; true")
	if out, err := record.CombinedOutput(); err != nil {
		return profile{}, fmt.Errorf("perf record: %w: %s", err, out)
	}
	comm := filepath.Base(command[0])
	script := exec.CommandContext(ctx, t.perf, "script", "-i", data, "--comm", comm, "-F", "ip,sym")
	out, err := script.StdoutPipe()
	if err != nil {
		return profile{}, err
	}
	if err := script.Start(); err != nil {
		return profile{}, err
	}
	p := profile{command: strings.Join(append([]string{comm}, command[1:]...), " "), calls: map[string]time.Duration{}, parts: map[string]time.Duration{}}
	each := time.Second / frequency / time.Duration(runs)
	var chain []string
	count := func() {
		if len(chain) > 0 {
			p.cpu += each
			p.calls[systemCall(chain)] += each
			p.parts[part(chain)] += each
		}
		chain = chain[:0]
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, symbol, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if symbol == "" {
			count()
			continue
		}
		chain = append(chain, symbol)
	}
	count()
	if err := script.Wait(); err != nil {
		return p, fmt.Errorf("perf script: %w", err)
	}
	if p.cpu == 0 {
		return p, fmt.Errorf("perf script: no sample of %s", comm)
	}
	return p, lines.Err()
}

var entry = regexp.MustCompile(`^__[a-z0-9]+_sys_(\w+)$`)

// systemCall returns which one a chain of callers, the innermost first, belongs to.
func systemCall(chain []string) string {
	for _, symbol := range chain {
		if m := entry.FindStringSubmatch(symbol); m != nil {
			return m[1]
		}
		switch {
		case symbol == "vfs_read": // the call above it is often a jump, and then not there
			return "read"
		case strings.Contains(symbol, "page_fault"):
			return "page faults"
		}
	}
	for _, symbol := range chain {
		if strings.HasPrefix(symbol, "do_syscall_64") || strings.HasPrefix(symbol, "entry_SYSCALL") || strings.HasPrefix(symbol, "el0_svc") {
			return "entry and exit"
		}
	}
	return "the program itself"
}

// parts of nsinspect by a function in the chain, the first that fits.
var parts = []struct{ function, name string }{
	{"proc.(*FS).Scan", "hot pass"},
	{"confine.", "giving up rights"},
	{"render.", "output"},
	{"nsinspect/nsinspect/namespace.", "cold pass, namespaces, objects"},
	{"nsinspect/nsinspect/ipc.", "cold pass, namespaces, objects"},
	{"nsinspect/nsinspect/proc.", "cold pass, namespaces, objects"},
	{"nsinspect.Inspect", "cold pass, namespaces, objects"},
	{"kong.", "command line (kong)"},
	{"runtime.doInit", "initialisation of packages"},
	{"runtime.rt0_go", "start of the Go runtime"},
	{"execve", "exec and exit"},
	{"do_exit", "exec and exit"},
	{"do_group_exit", "exec and exit"},
	{"runtime.sysmon", "Go runtime: its monitor"},
	{"runtime.schedule", "Go runtime: scheduling"},
	{"runtime.", "Go runtime: the rest"},
}

func part(chain []string) string {
	for _, p := range parts {
		if slices.ContainsFunc(chain, func(symbol string) bool { return strings.Contains(symbol, p.function) }) {
			return p.name
		}
	}
	return "other"
}

// profiled is what was profiled on one population.
type profiled struct {
	scene string
	of    []profile
	err   error // why there is nothing more
}

// profiles are taken on the populations that most goals are about.
func (s scene) profiles(ctx context.Context, processes int, t tools) profiled {
	all := profiled{scene: s.name}
	run := func(runs int, command ...string) {
		if all.err != nil {
			return
		}
		var p profile
		if p, all.err = profileOf(ctx, t, command, runs); all.err == nil {
			p.processes = processes
			all.of = append(all.of, p)
		}
	}
	run(max(1, 20_000/s.target), t.symbols, "scan")
	if s.target >= 10_000 {
		run(7, t.floor)
		for _, way := range []string{"opath", "ns", "paths", "statx"} {
			run(7, t.floor, way)
		}
		run(3, t.lsns, "-t", "ipc")
		run(1, t.ps, "-eo", "pid,ipcns,pidns,cgroup")
		run(1, t.lsns)
	}
	return all
}

// String is what the document says of it.
func (all profiled) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n", all.scene)
	if all.err != nil {
		fmt.Fprintf(&b, "Not profiled further: %v\n\n", all.err)
	}
	if len(all.of) == 0 {
		return b.String()
	}
	ours := all.of[0]
	fmt.Fprintf(&b, "| CPU time of a scan, %s in all | ms | %% |\n|---|--:|--:|\n", ms(ours.cpu))
	for _, name := range largest(ours.parts) {
		fmt.Fprintf(&b, "| %s | %.2f | %.0f |\n", name, ours.parts[name].Seconds()*1000, percent(ours.parts[name], ours.cpu))
	}
	fmt.Fprintf(&b, "\n| microseconds a process |")
	highest := map[string]time.Duration{}
	for _, p := range all.of {
		fmt.Fprintf(&b, " `%s` |", p.command)
		for name, d := range p.calls {
			highest[name] = max(highest[name], d)
		}
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(all.of)) + "\n")
	line := func(name string, of func(profile) time.Duration) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, p := range all.of {
			fmt.Fprintf(&b, " %.1f |", of(p).Seconds()*1e6/float64(p.processes))
		}
		b.WriteString("\n")
	}
	for _, name := range largest(highest) {
		if percent(highest[name], ours.cpu) >= 1 {
			line(name, func(p profile) time.Duration { return p.calls[name] })
		}
	}
	line("all", func(p profile) time.Duration { return p.cpu })
	return b.String()
}

func percent(part, whole time.Duration) float64 { return 100 * part.Seconds() / whole.Seconds() }

func largest(of map[string]time.Duration) []string {
	return slices.SortedFunc(maps.Keys(of), func(a, b string) int { return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b)) })
}
