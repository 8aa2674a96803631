package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"
	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/confine"
)

// cli is the grammar. One file a command.
type cli struct {
	Proc     string           `placeholder:"DIR" help:"Read this directory instead of /proc; any tree in the shape of /proc is taken."`
	Baseline string           `placeholder:"PID|INODES" help:"Compare with this process, or with these inodes (ipc,pid), instead of PID 1."`
	Deep     bool             `help:"Look also into the threads of the host's processes and into open descriptors, and list the objects of every IPC namespace."`
	Format   string           `short:"f" placeholder:"FORMAT" enum:"table,json,ndjson" default:"table" help:"table, json or ndjson (default: table)."`
	Output   string           `short:"o" placeholder:"FILE" help:"Write to this file, whole or not at all."`
	FailOn   string           `placeholder:"SEVERITY" enum:"critical,high,medium,low,info" default:"medium" help:"Exit with 1 on a finding of at least this severity: critical, high, medium, low or info (default: medium)."`
	NoNames  bool             `help:"Leave the disk alone: no names, images and pods from the files of the engines."`
	Timeout  time.Duration    `placeholder:"TIME" default:"2m" help:"Give up after this time (default: 2m)."`
	NoColor  bool             `help:"No colours (they are used only on a terminal, and not when NO_COLOR is set)."`
	Quiet    bool             `short:"q" help:"Findings only, and what leaves the verdict open."`
	Verbose  bool             `short:"v" help:"Everything: every gap, control and piece of evidence."`
	Version  kong.VersionFlag `help:"Show the version and exit."`

	Scan scanCmd `cmd:"" default:"withargs" help:"The verdict for each container (default command)."`
	Ps   psCmd   `cmd:"" help:"Processes with container, role and namespaces."`
	Ns   nsCmd   `cmd:"" help:"Namespaces: who is in them, and what keeps them."`
	Ipcs ipcsCmd `cmd:"" help:"Objects of an IPC namespace; of the host's as ipcs(1) prints them."`

	Explain explainCmd `cmd:"" help:"Everything known about one container, process or namespace, and how it is known."`
	Rules   rulesCmd   `cmd:"" help:"The rules, and the controls that they stand in for."`
}

// env is what a command works with.
type env struct {
	*cli
	ctx    context.Context
	out    *output
	stderr io.Writer
	rights confine.Report
	code   int
}

// exit is how kong's --help and --version end the run.
type exit int

// answer is where kong writes the help and the version. It does not look at every error of that.
type answer struct {
	io.Writer
	err error // the first one
}

func (a *answer) Write(b []byte) (int, error) {
	n, err := a.Writer.Write(b)
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("writing the answer: %w", err)
	}
	return n, err
}

// program is what a run works on: the streams, and how it gives up its rights,
// which a test of the whole program in its own process does not.
type program struct {
	stdout, stderr io.Writer
	confine        func(confine.Options) confine.Report
}

// run is the whole program: nothing in it ends the process.
func (p program) run(ctx context.Context, args []string) (code int) {
	stdout, stderr := p.stdout, p.stderr
	help := &answer{Writer: stdout}
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(exit)
			if !ok {
				panic(p)
			}
			code = int(e)
			if help.err != nil {
				code = complain(stderr, help.err)
			}
		}
	}()
	t := nsinspect.Tool()
	version := "nsinspect " + t.Version
	if t.Commit != "" {
		version += " (" + t.Commit + ")"
	}
	c := &cli{}
	parser, err := kong.New(c, kong.Name("nsinspect"),
		kong.Description("Tells which containers on this host share the host's IPC or PID namespace, what they can reach through it, and how it knows.\n\n"+
			"Exit codes: 0 nothing found, 1 findings, 2 wrong usage or nothing could be read, 3 nothing found but not everything could be read."),
		kong.Writers(help, stderr), kong.Exit(func(code int) { panic(exit(code)) }), kong.Vars{"version": version},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		panic(err) // the grammar above is wrong; no input can cause it
	}
	parsed, err := parser.Parse(queuesFlag(args))
	switch {
	case help.err != nil:
		return complain(stderr, help.err)
	case err != nil:
		return complain(stderr, usageError(err))
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	out, err := newOutput(c.Output, stdout)
	if err != nil {
		return complain(stderr, err)
	}
	defer out.discard()
	e := &env{cli: c, ctx: ctx, out: out, stderr: stderr}
	if p.confine != nil {
		e.rights = p.confine(confine.Options{Output: out.file, Keep: c.keep()})
		if c.Verbose {
			fmt.Fprint(stderr, e.rights)
		}
	}
	if err := parsed.Run(e); err != nil {
		return complain(stderr, err)
	}
	if err := out.commit(); err != nil {
		return complain(stderr, err)
	}
	return e.code
}

// collected follows the last read: what is left is to compute and to write, and
// nothing can be opened any more.
func (e *env) collected() { e.rights.Seal() }

// source is where --proc says that the facts are.
func (e *env) source() nsinspect.Source {
	return nsinspect.Source{Proc: e.Proc, AnyTree: e.Proc != ""}
}

func (e *env) options() nsinspect.Options {
	return nsinspect.Options{Baseline: e.Baseline, Deep: e.Deep, NoNames: e.NoNames, Progress: e.progress()}
}

// complain is the voice of every failure: one line that says what is wrong and
// what to do about it.
func complain(stderr io.Writer, err error) int {
	line := err.Error()
	if hint := hintFor(err); hint != "" {
		line += "; " + hint
	}
	fmt.Fprintf(stderr, "nsinspect: %s\n", safe(line))
	return audit.ExitUsage
}

var errUsage = errors.New("see nsinspect --help")

func usageError(err error) error { return fmt.Errorf("%w; %w", err, errUsage) }
