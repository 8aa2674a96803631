// Measure builds populations of sleeping processes, containers, IPC namespaces and IPC objects, runs nsinspect on each of
// them in turn with its rivals, and writes one table with what it found and the machine it was on.
//
// It is what `make bench` runs, as root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// plan is how much is measured.
type plan struct {
	processes  []int
	runs       int           // of each side of a pair
	patience   time.Duration // for one pair; what took longer has fewer runs, and the table says how many
	containers int           // of five processes each
	namespaces int
	objects    int // IPC objects, as many as the kernel's default limits let be
}

var (
	full  = plan{[]int{100, 1_000, 10_000, 30_000}, 9, 100 * time.Second, 2_000, 2_000, 32_000}
	quick = plan{[]int{100, 1_000}, 5, 10 * time.Second, 200, 200, 3_200}
)

const perContainer = 5

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	fast := flag.Bool("quick", false, "smaller populations, fewer runs, and no file")
	part := flag.String("only", "", "only the populations whose name begins with this, and no file")
	subject := flag.String("nsinspect", "bin/nsinspect", "the binary to measure")
	source := flag.String("source", "scripts/bench", "where the C programs are")
	to := flag.String("o", "", "write the table to this file as well")
	objects := flag.Int("objects", 0, "make this many objects, say so, and sleep (how the program calls itself)")
	flag.Parse()
	if *objects > 0 {
		if err := holdObjects(*objects); err != nil {
			log.Fatal(err)
		}
		return
	}
	if os.Geteuid() != 0 {
		log.Fatal("run as root: others' namespaces are read, and cgroups are made")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := full
	if *fast {
		p = quick
	}
	if *fast || *part != "" {
		*to = ""
	}
	if err := bench(ctx, p, *part, *subject, *source, *to); err != nil {
		stop()
		log.Fatal(err)
	}
}

func bench(ctx context.Context, p plan, part, subject, source, to string) error {
	tools, err := setUp(ctx, subject, source)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tools.dir)
	defer raisePidMax(p)()

	var rows []row
	var spent []profiled
	before := load()
	start := time.Now()
	for _, s := range scenes(p, tools) {
		if !strings.HasPrefix(s.name, part) {
			continue
		}
		log.Printf("%s", s.name)
		got, where, err := s.measure(ctx, p, tools)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		rows = append(rows, got...)
		if where != nil {
			spent = append(spent, *where)
		}
	}
	text := document(p, rows, spent, tools, before, time.Since(start))
	fmt.Print(text)
	if to == "" {
		return nil
	}
	return os.WriteFile(to, []byte(text), 0o644)
}

// tools are the programs that are run.
type tools struct {
	dir                      string // of the compiled ones
	nsinspect                string
	symbols                  string // the same with its symbols, which a profile needs
	perf                     string // "" where it cannot be had
	floor, timed, population string
	lsns, ps, ipcs, nsenter  string
}

// setUp compiles the C programs and finds the others, which it installs where it can.
func setUp(ctx context.Context, subject, source string) (tools, error) {
	var t tools
	var err error
	if t.nsinspect, err = filepath.Abs(subject); err != nil {
		return t, err
	}
	if _, err := os.Stat(t.nsinspect); err != nil {
		return t, fmt.Errorf("no nsinspect (make build): %w", err)
	}
	install := func(program, names string) error {
		log.Printf("installing %s for %s", names, program)
		out, err := exec.CommandContext(ctx, "sh", "-c", "apt-get install -y "+names).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s is missing; install it: %w\n%s", program, err, out)
		}
		return nil
	}
	packages := map[string]string{"cc": "gcc libc6-dev", "lsns": "util-linux", "ipcs": "util-linux-extra", "nsenter": "util-linux", "ps": "procps"}
	for program, names := range packages {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if err := install(program, names); err != nil {
			return t, err
		}
	}
	for program, path := range map[string]*string{"lsns": &t.lsns, "ps": &t.ps, "ipcs": &t.ipcs, "nsenter": &t.nsenter} {
		if *path, err = exec.LookPath(program); err != nil {
			return t, err
		}
	}
	if t.dir, err = os.MkdirTemp("", "nsinspect-bench-"); err != nil {
		return t, err
	}
	for program, path := range map[string]*string{"floor": &t.floor, "timed": &t.timed, "population": &t.population} {
		*path = filepath.Join(t.dir, program)
		c := exec.CommandContext(ctx, "cc", "-O2", "-o", *path, filepath.Join(source, program+".c"))
		if out, err := c.CombinedOutput(); err != nil {
			return t, errors.Join(fmt.Errorf("compiling %s: %w\n%s", program, err, out), os.RemoveAll(t.dir))
		}
	}
	// Without these two there is no profile, and the document says so.
	t.symbols = filepath.Join(t.dir, "nsinspect")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", t.symbols, "./cmd/nsinspect")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		log.Printf("no nsinspect to profile: %v\n%s", err, out)
		return t, nil
	}
	if t.perf, err = exec.LookPath("perf"); err != nil {
		if err := install("perf", "linux-perf"); err != nil {
			log.Printf("no profile: %v", err)
			return t, nil
		}
		t.perf, err = exec.LookPath("perf")
	}
	return t, err
}

// raisePidMax makes room for the largest population where the default of 32 768 would leave the rest of the host too
// little, and returns how to undo it. A host that does not let it be raised is measured as it is.
func raisePidMax(p plan) (restore func()) {
	const file = "/proc/sys/kernel/pid_max"
	const wanted = 65_536
	old, err := os.ReadFile(file)
	if err != nil {
		return func() {}
	}
	var now int
	if _, err := fmt.Sscan(string(old), &now); err != nil || now >= wanted || p.processes[len(p.processes)-1] < 20_000 {
		return func() {}
	}
	if err := os.WriteFile(file, fmt.Append(nil, wanted), 0o644); err != nil {
		log.Printf("kernel.pid_max stays at %d: %v", now, err)
		return func() {}
	}
	return func() {
		if err := os.WriteFile(file, old, 0o644); err != nil {
			log.Printf("kernel.pid_max was %s", old)
		}
	}
}
