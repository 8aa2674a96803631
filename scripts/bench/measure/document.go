package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// document is docs/performance.md.
func document(p plan, rows []row, spent []profiled, t tools, before string, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Performance

Written by `+"`make bench`"+` in %s. To repeat it: `+"`make bench`"+`, as root or with sudo; a minute of it: `+"`make bench BENCHFLAGS=-quick`"+`.

%s
Each pair of commands was run in turn (A B A B …), %d times each unless the table says otherwise, after one round that is
not counted; a pair that took longer than %s has fewer runs. The figures are medians: wall time from fork to exit, user
and system time of the process and its threads, and the largest resident size, all from wait4(2). *x* is nsinspect's
figure divided by the rival's: below 1, nsinspect took less. The floor (scripts/bench/floor.c) is a C program that makes
only the system calls which the hot pass needs, on one core, and does nothing with the answers.

`, took.Round(time.Second), machine(t, before), p.runs, p.patience)

	b.WriteString("| population | rival | runs | nsinspect wall | rival wall | x | nsinspect CPU | rival CPU | x | nsinspect RSS | rival RSS |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range rows {
		name := r.scene
		if r.target > 0 && r.processes != r.target {
			name = fmt.Sprintf("%s (%d)", r.scene, r.processes)
		}
		runs := fmt.Sprint(r.runs)
		if r.capped {
			runs += ", time was up"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, r.rival, runs,
			ms(r.ours.wall), ms(r.their.wall), ratio(r.ours.wall, r.their.wall),
			ms(r.ours.cpu), ms(r.their.cpu), ratio(r.ours.cpu, r.their.cpu),
			mib(r.ours.rss), mib(r.their.rss))
	}
	b.WriteString("\n" + goals(rows))
	if len(spent) > 0 {
		fmt.Fprintf(&b, `
## Where the time goes

CPU time by the call chains that perf(1) found on the CPU %d times a second, which itself costs some time. Why the goals that are not met are
not, and what was tried, is in [speed](speed.md).
`, frequency)
	}
	for _, s := range spent {
		b.WriteString(s.String())
	}
	return b.String()
}

// goals compares the rows with what was promised for two cores.
func goals(rows []row) string {
	find := func(target int, rival string) (row, bool) {
		for _, r := range rows {
			if r.target == target && r.rival == rival {
				return r, true
			}
		}
		return row{}, false
	}
	var b strings.Builder
	b.WriteString("| goal | wanted | measured | |\n|---|--:|--:|---|\n")
	goal := func(name, wanted, measured string, met bool) {
		verdict := "met"
		if !met {
			verdict = "**not met**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, wanted, measured, verdict)
	}
	atMost := func(name string, target int, rival, unit string, limit float64, of func(row) float64) {
		if r, ok := find(target, rival); ok {
			goal(name, fmt.Sprintf("at most %g%s", limit, unit), fmt.Sprintf("%.2f%s", of(r), unit), of(r) <= limit)
		}
	}
	faster := func(target int, rival string, limit float64) {
		if r, ok := find(target, rival); ok {
			times := float64(r.their.wall) / float64(r.ours.wall)
			goal(fmt.Sprintf("%d processes: faster than `%s`", target, rival), fmt.Sprintf("%g times", limit), fmt.Sprintf("%.1f times", times), times >= limit)
		}
	}
	atMost("10000 processes: wall, of the floor's", 10_000, "floor", "", 0.75, func(r row) float64 { return float64(r.ours.wall) / float64(r.their.wall) })
	atMost("10000 processes: CPU, of the floor's", 10_000, "floor", "", 1.3, func(r row) float64 { return float64(r.ours.cpu) / float64(r.their.cpu) })
	faster(10_000, "lsns -t ipc", 6)
	faster(10_000, "lsns", 60)
	faster(10_000, "ps -eo pid,ipcns,pidns,cgroup", 15)
	atMost("30000 processes: largest resident size", 30_000, "floor", " MiB", 30, func(r row) float64 { return float64(r.ours.rss) / 1024 })
	atMost("100 processes: wall", 100, "floor", " ms", 10, func(r row) float64 { return float64(r.ours.wall) / float64(time.Millisecond) })
	if a, ok := find(1_000, "floor"); ok {
		m, ok1 := find(10_000, "floor")
		z, ok2 := find(30_000, "floor")
		if ok1 && ok2 {
			ours, their := func(r row) sample { return r.ours }, func(r row) sample { return r.their }
			per := func(from, to row, of func(row) sample) float64 {
				return float64(of(to).cpu-of(from).cpu) / float64(to.processes-from.processes)
			}
			slope := per(m, z, ours) / per(a, m, ours)
			goal("linear: CPU per further process from 10000 to 30000, of that from 1000 to 10000", "at most 1.1",
				fmt.Sprintf("%.2f (the floor: %.2f)", slope, per(m, z, their)/per(a, m, their)), slope <= 1.1)
		}
	}
	return b.String()
}

func ms(d time.Duration) string {
	v := float64(d) / float64(time.Millisecond)
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f ms", v)
	case v < 10_000:
		return fmt.Sprintf("%.0f ms", v)
	}
	return fmt.Sprintf("%.1f s", v/1000)
}

func mib(kib int) string { return fmt.Sprintf("%.1f MiB", float64(kib)/1024) }

func ratio(a, b time.Duration) string {
	if b == 0 {
		return "-"
	}
	x := float64(a) / float64(b)
	if x < 0.095 {
		return fmt.Sprintf("%.3f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// machine tells the facts that the figures depend on.
func machine(t tools, before string) string {
	var b strings.Builder
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		fmt.Fprintf(&b, "* %s %s, %s\n", unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:]))
	}
	fmt.Fprintf(&b, "* %d cores, %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"))
	if kib := field("/proc/meminfo", "MemTotal"); kib != "" {
		fmt.Fprintf(&b, ", %s of memory", kib)
	}
	fmt.Fprintf(&b, ", load %s before and %s after\n", before, load())
	b.WriteString(besides(t))
	for _, command := range [][]string{{t.nsinspect, "--version"}, {t.lsns, "--version"}, {t.ps, "--version"}} {
		if out, err := exec.Command(command[0], command[1:]...).Output(); err == nil {
			fmt.Fprintf(&b, "* %s\n", strings.TrimSpace(string(out)))
		}
	}
	return b.String()
}

// load is the load average of the last minute.
func load() string {
	load, _, _ := strings.Cut(field("/proc/loadavg", ""), " ")
	return load
}

// besides tells which containers are there that the bench did not make. A scan looks at them more closely than at a
// sleeping process, and one in the host's PID namespace makes it ask what each process of the host is worth to it.
func besides(t tools) string {
	out, _ := exec.Command(t.nsinspect, "scan", "-f", "json").Output() // its exit code is a verdict
	var r struct{ Containers []struct{ Exposed bool } }
	if err := json.Unmarshal(out, &r); err != nil {
		return fmt.Sprintf("* what else ran is not known: %v\n", err)
	}
	exposed := 0
	for _, c := range r.Containers {
		if c.Exposed {
			exposed++
		}
	}
	return fmt.Sprintf("* %d containers besides, %d of them exposed\n", len(r.Containers), exposed)
}

// field returns the value of the first line of a file that has the name before its colon; the whole line for "".
func field(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name == "" {
			return lines.Text()
		}
		if key, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
