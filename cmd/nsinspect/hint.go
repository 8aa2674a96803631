package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// hintFor says what to do about an error, "" when the error itself does.
func hintFor(err error) string {
	switch {
	case errors.Is(err, errUsage):
		return ""
	case errors.Is(err, nsinspect.ErrNotProcfs):
		return "mount one there (mount -t proc proc /proc), or name a directory with --proc, which takes any tree"
	case errors.Is(err, syscall.EPIPE):
		return "the reader went away; write to a file with -o FILE, or let the reader read to the end"
	case errors.Is(err, context.DeadlineExceeded):
		return "allow more time with --timeout"
	case errors.Is(err, context.Canceled):
		return "it was interrupted; nothing was written"
	case errors.Is(err, syscall.ENOSPC):
		return "make room, or write somewhere else with -o FILE"
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		return "run as root"
	}
	return ""
}

// safe keeps an error, which may quote what a process or a path is called, on one line.
func safe(line string) string { return report.Text(strings.ReplaceAll(line, "\n", "; ")) }
