package proc

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// DefaultDeadline is how long one visit waits for what can block.
const DefaultDeadline = 2 * time.Second

// FS is one open /proc. Its methods may be called by many goroutines at once.
type FS struct {
	// Deadline is how long one visit waits for answers; Open sets
	// DefaultDeadline. It is not to be changed while visits are under way.
	Deadline time.Duration

	path      string
	fd        int
	live      bool
	byPath    procfs.FS
	abandoned atomic.Int32 // reads that were given up on and have not returned yet
	readers   sync.Pool    // of *reader
	noLabels  atomic.Bool  // the kernel has said that no LSM has labels
	mounts    mountKinds
}

// Open opens a /proc, or a directory that looks like one.
func Open(path string) (*FS, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	fd, err := unix.Open(abs, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, fmt.Errorf("%s: %w; mount a procfs, or name another directory", path, err)
	case errors.Is(err, unix.ENOTDIR):
		return nil, fmt.Errorf("%s: %w; name the directory where a procfs is mounted", path, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: statfs: %w", path, err)
	}
	library, err := procfs.NewFS(abs)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &FS{
		Deadline: DefaultDeadline,
		path:     path,
		fd:       fd,
		live:     int64(st.Type) == unix.PROC_SUPER_MAGIC,
		byPath:   library,
	}, nil
}

// Path returns the path that the FS was opened with.
func (fs *FS) Path() string { return fs.path }

// Procfs reports whether it is a procfs, and not a copy or an imitation of one.
func (fs *FS) Procfs() bool { return fs.live }

// FD returns the descriptor of the directory, which stays the FS's own.
func (fs *FS) FD() int { return fs.fd }

// Close closes the directory. Processes that were opened stay open.
func (fs *FS) Close() error { return unix.Close(fs.fd) }

// File reads a file of at most limit bytes that belongs to no process, such as
// "sys/kernel/osrelease". Links are followed on a procfs only. The errors are *Error with PID 0.
func (fs *FS) File(name string, limit int) ([]byte, error) {
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY
	if !fs.live {
		b, err := readBelow(fs.fd, name, limit)
		if err != nil {
			return nil, newError(0, name, err)
		}
		return b, nil
	}
	fd, err := openat(false, fs.fd, name+"\x00", flags)
	if err != nil {
		return nil, newError(0, name, err)
	}
	defer unix.Close(fd)
	buf, n, err := readAll(fd, make([]byte, 512), limit, false)
	if err != nil {
		return nil, newError(0, name, err)
	}
	return buf[:n], nil
}

// readBelow reads a regular file of a tree that is not trusted: no component of the path may be a link.
func readBelow(dir int, name string, limit int) ([]byte, error) {
	fd, err := openBelow(dir, name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf, n, err := readAll(fd, make([]byte, 512), limit, false)
	return buf[:n:n], err
}

// openBelow opens what readBelow reads.
func openBelow(dir int, name string) (int, error) {
	parent, err := openParent(dir, name)
	if err != nil {
		return -1, err
	}
	if parent != dir {
		defer unix.Close(parent)
	}
	return openRegular(parent, name[strings.LastIndexByte(name, '/')+1:])
}

// openParent opens the directory that the last component of name is in; dir itself
// if there is only one component.
func openParent(dir int, name string) (int, error) {
	at := dir
	for {
		component, rest, more := strings.Cut(name, "/")
		if !more {
			return at, nil
		}
		fd, err := openat(false, at, component+"\x00", unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if at != dir {
			unix.Close(at)
		}
		if err != nil {
			return -1, notDirectory(err)
		}
		at, name = fd, rest
	}
}

// notDirectory says what ENOTDIR and ELOOP mean where a directory was expected.
func notDirectory(err error) error {
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return &flaw{kind: BadData, text: "not a directory", cause: err}
	}
	return err
}

// maxAbandoned bounds the goroutines, each with a thread of its own, that wait
// in the kernel for an answer that nobody wants any more.
const maxAbandoned = 64

// crowded returns an error when no more reads that may block should be started.
func (fs *FS) crowded() error {
	if fs.abandoned.Load() >= maxAbandoned {
		return &flaw{kind: Blocked, text: "too many earlier reads are still waiting for an answer"}
	}
	return nil
}

// Within calls f in a goroutine of its own and gives up on it when the context ends; the error is then the context's cause. f must
// not touch anything that the caller goes on using, and lets go itself of what it has opened. It is for everything that may wait for ever on
// behalf of this FS, namespaces and directories that are found through it too: the number of those that still wait is bounded
// for all together, and beyond that f is not called and the kind of the error is Blocked. What waits where not even SIGKILL helps keeps
// this process from ending, which no deadline can mend: see [Process.Local].
func Within[T any](ctx context.Context, fs *FS, f func() (T, error)) (T, error) {
	if err := fs.crowded(); err != nil {
		var none T
		return none, err
	}
	return within(ctx, fs, f, nil)
}

// within calls f in a goroutine of its own and gives up on it when the context
// ends. f must not touch anything that the caller goes on using. A late answer is given to
// discard, unless that is nil.
func within[T any](ctx context.Context, fs *FS, f func() (T, error), discard func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	const waiting, answered, givenUp = 0, 1, 2
	var state atomic.Int32
	c := make(chan answer, 1)
	go func() {
		v, err := f()
		c <- answer{v, err}
		if !state.CompareAndSwap(waiting, answered) {
			fs.abandoned.Add(-1)
			if discard != nil && err == nil {
				discard(v)
			}
		}
	}()
	select {
	case a := <-c:
		return a.value, a.err
	case <-ctx.Done():
	}
	fs.abandoned.Add(1)
	if !state.CompareAndSwap(waiting, givenUp) {
		fs.abandoned.Add(-1) // it came in this very moment
		a := <-c
		return a.value, a.err
	}
	return none, context.Cause(ctx)
}

// Self returns the caller's own PID as this procfs numbers it, 0 when the caller
// is not in the PID namespace that the procfs shows, or when it is no procfs.
func (fs *FS) Self() int {
	if !fs.live {
		return 0
	}
	var buf [16]byte
	n, err := readlinkat(false, fs.fd, "self\x00", buf[:])
	if err != nil {
		return 0
	}
	pid, ok := parseDecimal(buf[:n])
	if !ok {
		return 0
	}
	return int(pid)
}
