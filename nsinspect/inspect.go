// Package nsinspect tells which containers on a Linux host share the host's IPC
// or PID namespace, what they can reach through it, and how it knows. It reads
// /proc and asks no container runtime.
//
//	r, err := nsinspect.Inspect(ctx, nsinspect.Source{}, nsinspect.Options{})
//
// An error means that nothing useful could be read. Whatever went wrong with one
// process is in the report: a gap in its coverage, or a state that is unknown.
// To see every process it takes root (CAP_SYS_PTRACE for the namespace links,
// CAP_SYS_ADMIN to list an IPC namespace that the caller is not in).
package nsinspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Report is what one scan found out; the types it is made of are in package report.
type Report = report.Report

// Source is where the facts come from.
type Source struct {
	// Proc is the directory of a procfs, "" for /proc.
	Proc string
	// AnyTree takes a directory also when it is not a procfs: a copy, or a tree
	// made by hand. The report says so.
	AnyTree bool
}

// Options is what a caller can choose.
type Options struct {
	// Baseline is a PID or two inodes (ipc, pid) to compare with instead of PID 1's.
	Baseline string
	// Deep also looks for namespaces in threads, open descriptors and mount namespaces
	// without a process, and lists the objects of every IPC namespace. It costs a few system calls a thread and a descriptor.
	Deep bool
	// NoNames leaves the disk alone: no names, images and pods from the files of the engines.
	NoNames bool
	// Progress is called now and then with a sentence on what is being done; nil for never.
	Progress func(string)
}

// ErrNotProcfs is returned for a directory that is not a procfs when
// [Source.AnyTree] does not allow it.
var ErrNotProcfs = errors.New("not a procfs")

// Inspect scans a host and judges what it finds.
func Inspect(ctx context.Context, src Source, opt Options) (*Report, error) {
	s, err := take(ctx, src, opt)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.report(ctx), nil
}

// Processes scans a host and lists its processes with the container, the role
// and the namespaces of each.
func Processes(ctx context.Context, src Source, opt Options) (*report.Processes, error) {
	s, err := take(ctx, src, opt)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.processes(ctx), nil
}

// open opens the procfs of a source.
func (src Source) open() (*proc.FS, error) {
	path := src.Proc
	if path == "" {
		path = "/proc"
	}
	fs, err := proc.Open(path)
	if err != nil {
		return nil, err
	}
	if !src.AnyTree && !fs.Procfs() {
		fs.Close()
		return nil, fmt.Errorf("%s: %w", path, ErrNotProcfs)
	}
	return fs, nil
}

// report puts the parts together.
func (s *survey) report(ctx context.Context) *Report {
	r := &Report{
		Tool: tool(), Started: s.started.UTC().Truncate(time.Millisecond),
		Host: s.host(), Baseline: s.baseline(),
		Containers: s.judgement.Containers, Sandboxes: s.judgement.Sandboxes,
	}
	r.IPCNamespaces = s.ipcNamespaces(ctx)
	s.attachments(ctx, r.IPCNamespaces)
	s.reach(ctx, r.IPCNamespaces)
	r.DevShm = s.devShm(ctx)
	names := s.names(ctx)
	r.Coverage = s.coverage()
	r.Normalize()
	r.Findings = audit.Findings(r)
	decorate(r, names)
	r.DurationMS = float64(time.Since(s.started).Microseconds()) / 1000
	r.Normalize()
	return r
}
