package proc

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// listSize is the buffer of one getdents64; a process takes 24 or 32 bytes of it.
	listSize = 4096
	// share is how many processes a worker takes at a time: few enough that all workers have
	// something to do on a small host, where one buffer lists everything.
	share = 16
	// chunkSize is how many records are allocated at a time.
	chunkSize = 128
)

// Scan reads every process: the hot pass. What cannot be read of one process is
// in Snapshot.Errors. The error is for a context that ended, or for when there is
// nothing useful to return: no process could be listed.
//
// Scan returns at once when the context ends. A worker that waits for an answer
// of a file system which gives none is left behind.
func (fs *FS) Scan(ctx context.Context) (*Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// A handle of its own has a position of its own, so that scans can overlap, and
	// it stays open for as long as a worker needs it.
	fd, err := openat(false, fs.fd, ".\x00", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fs.path, err)
	}
	s := &scan{fd: fd, live: fs.live, buf: make([]byte, listSize)}
	n := runtime.GOMAXPROCS(0)
	s.workers.Store(int32(n))
	results := make(chan *worker, n)
	for range n {
		go func() {
			w := &worker{reader: newReader(s.live), index: map[string]int32{}}
			s.work(w)
			if s.workers.Add(-1) == 0 {
				unix.Close(s.fd)
			}
			results <- w
		}()
	}
	workers := make([]*worker, 0, n)
	for range n {
		select {
		case w := <-results:
			workers = append(workers, w)
		case <-ctx.Done():
			s.stop.Store(true)
			return nil, ctx.Err()
		}
	}
	snap := merge(workers)
	if s.err != nil {
		if len(snap.Records) == 0 {
			return nil, fmt.Errorf("%s: %w", fs.path, s.err)
		}
		snap.Errors = slices.Insert(snap.Errors, 0, newError(0, "", s.err))
	}
	if len(snap.Records) == 0 && snap.Vanished == 0 {
		return nil, fmt.Errorf("%s: no process in it", fs.path)
	}
	// Each PID namespace has a PID 1 for as long as it has processes, so its procfs shows one, unless it was
	// mounted with hidepid=2 or 4 and we are one of those that processes are hidden from.
	if s.live && (len(snap.Records) == 0 || snap.Records[0].PID != 1) {
		snap.Errors = slices.Insert(snap.Errors, 0, &Error{Kind: Hidden, Err: &flaw{kind: Hidden, text: "PID 1 is not listed, so others are hidden as well (hidepid)"}})
	}
	return snap, nil
}

// scan is what the workers of one scan share.
type scan struct {
	fd      int
	live    bool
	stop    atomic.Bool
	workers atomic.Int32 // that are still running; the last one closes fd

	list   sync.Mutex // held while the directory is read, and for what follows
	buf    []byte
	pids   []int32 // listed last
	handed int     // how many of them have been handed out
	end    bool    // there is no more to list
	err    error   // why listing ended early
}

// worker is what one goroutine has read.
type worker struct {
	*reader
	pids     []int32    // to read next
	records  [][]Record // in chunks: none is ever copied to grow it
	index    map[string]int32
	cgroups  []string
	last     int32 // the cgroup of the process before
	vanished int
}

// next hands out the next processes, in w.pids.
func (s *scan) next(w *worker) bool {
	s.list.Lock()
	defer s.list.Unlock()
	for s.handed == len(s.pids) {
		if s.end || s.stop.Load() {
			return false
		}
		n, err := getdents(s.live, s.fd, s.buf)
		if err != nil || n == 0 {
			s.end, s.err = true, err
			return false
		}
		var ok bool
		s.handed = 0
		if s.pids, ok = appendPIDs(s.pids[:0], s.buf[:n]); !ok {
			s.end, s.err = true, &flaw{kind: BadData, text: "malformed directory"}
		}
	}
	n := min(share, len(s.pids)-s.handed)
	w.pids = append(w.pids[:0], s.pids[s.handed:s.handed+n]...)
	s.handed += n
	return true
}

func (s *scan) work(w *worker) {
	w.last = -1
	// Two CPUs that open below one description pass its reference count to and fro; with a handle
	// of its own for each the scan takes 2 % less CPU time.
	proc := s.fd
	if fd, err := openat(false, s.fd, ".\x00", unix.O_PATH|unix.O_DIRECTORY); err == nil {
		proc = fd
		defer unix.Close(fd)
	}
	for s.next(w) {
		for _, pid := range w.pids {
			if s.stop.Load() {
				return
			}
			w.read(proc, int(pid))
		}
	}
}

// read reads one process of the list, unless it has ended since.
func (w *worker) read(proc, pid int) {
	dir, err := openat(w.live, proc, w.name("", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		e := openError(pid, err)
		if e.Kind == Gone {
			w.vanished++
			return
		}
		w.errs = append(w.errs, e)
		w.keep(Record{PID: pid, Cgroup: -1})
		return
	}
	rec, ok := w.process(dir, pid)
	closeFD(w.live, dir)
	if !ok {
		w.vanished++
		return
	}
	if rec.Cgroup >= 0 {
		rec.Cgroup = w.intern()
	}
	w.keep(rec)
}

// keep stores a record.
func (w *worker) keep(rec Record) {
	last := len(w.records) - 1
	if last < 0 || len(w.records[last]) == cap(w.records[last]) {
		w.records = append(w.records, make([]Record, 0, chunkSize))
		last++
	}
	w.records[last] = append(w.records[last], rec)
}

// intern returns the number of the content in the worker's buffer.
func (w *worker) intern() int32 {
	content := w.buf[:w.cgroup]
	if w.last >= 0 && string(content) == w.cgroups[w.last] {
		return w.last
	}
	i, ok := w.index[string(content)]
	if !ok {
		i = int32(len(w.cgroups))
		s := string(content)
		w.cgroups = append(w.cgroups, s)
		w.index[s] = i
	}
	w.last = i
	return i
}

// merge makes one snapshot, which does not depend on who read what.
func merge(workers []*worker) *Snapshot {
	snap := &Snapshot{}
	records := 0
	for _, w := range workers {
		snap.Cgroups = append(snap.Cgroups, w.cgroups...)
		snap.Errors = append(snap.Errors, w.errs...)
		snap.Vanished += w.vanished
		for _, chunk := range w.records {
			records += len(chunk)
		}
	}
	slices.Sort(snap.Cgroups)
	snap.Cgroups = slices.Compact(snap.Cgroups)
	snap.Records = make([]Record, 0, records)
	for _, w := range workers {
		number := make([]int32, len(w.cgroups))
		for i, c := range w.cgroups {
			n, _ := slices.BinarySearch(snap.Cgroups, c)
			number[i] = int32(n)
		}
		for _, chunk := range w.records {
			for _, rec := range chunk {
				if rec.Cgroup >= 0 {
					rec.Cgroup = number[rec.Cgroup]
				}
				snap.Records = append(snap.Records, rec)
			}
		}
	}
	slices.SortFunc(snap.Records, func(a, b Record) int { return cmp.Compare(a.PID, b.PID) })
	slices.SortStableFunc(snap.Errors, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.File, b.File))
	})
	return snap
}
