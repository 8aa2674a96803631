// Command nsinspect tells which containers on this host share the host's IPC or
// PID namespace, what they can reach through it, and how it knows.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/nsinspect/nsinspect/nsinspect/confine"
)

func main() {
	// A reader that goes away must be an error of a write, not the silent end of
	// the process by SIGPIPE.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the scan in good order, a second one the process: what
	// is being waited for may not care about the first.
	context.AfterFunc(ctx, stop)
	code := program{os.Stdout, os.Stderr, confine.Apply}.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
