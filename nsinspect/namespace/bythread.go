package namespace

import (
	"context"
	"errors"
	"slices"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// threads lists the threads of a process beside its leader.
func (inv *inventory) threads(p *proc.Process, t *told) []int {
	if p.SingleThreaded() {
		return nil
	}
	tids, err := p.Threads()
	if err != nil {
		// A tree that was made without threads has none to hide.
		if k := proc.KindOf(err); k != proc.Absent || inv.fs.Procfs() {
			t.errors = append(t.errors, asError(p.PID, "task", err))
		}
		return nil
	}
	return slices.DeleteFunc(tids, func(tid int) bool { return tid == p.PID })
}

// askThreads finds the namespaces that single threads are in: unshare(2) and setns(2)
// move the calling thread only, and /proc/PID/ns is where the leader is.
func (inv *inventory) askThreads(ctx context.Context, p *proc.Process, rec *proc.Record, tids []int, t *told) {
	missed := false
	for _, tid := range tids {
		if tid == rec.TID {
			continue // it spoke for the process
		}
		if ctx.Err() != nil {
			return
		}
		missed = !inv.askThread(p, tid, t) || missed
	}
	if missed {
		inv.chaseThreads(ctx, p, rec, tids, t)
	}
}

const (
	// threadRounds is how often the newest threads are asked for when some had ended before they were read: a thread that starts
	// another one and ends, which does the same, and so on, has ended whenever a long list comes to it.
	threadRounds = 64
	// newestThreads is how many of them. Only one that has not been read is.
	newestThreads = 8
)

// chaseThreads reads what has begun since the threads were listed, each as soon as it is listed, until nothing is missing.
func (inv *inventory) chaseThreads(ctx context.Context, p *proc.Process, rec *proc.Record, tids []int, t *told) {
	tried := map[int]bool{p.PID: true, rec.TID: true}
	for _, tid := range tids {
		tried[tid] = true
	}
	found, lost := 0, 0
	for range threadRounds {
		newest, err := p.NewestThreads(newestThreads)
		if err != nil || ctx.Err() != nil {
			return
		}
		fresh := slices.DeleteFunc(newest, func(tid int) bool { return tried[tid] })
		for _, tid := range fresh {
			tried[tid] = true
			if inv.askThread(p, tid, t) {
				found++
			} else {
				lost++
			}
		}
		if len(fresh) == 0 && lost == 0 {
			return
		}
	}
	if found == 0 && lost > 0 {
		t.errors = append(t.errors, &proc.Error{PID: p.PID, File: "task", Kind: proc.Absent, Err: errors.New("its threads came and went")})
	}
}

// askThread reads one thread, and reports false when it has ended before its namespaces were read.
func (inv *inventory) askThread(p *proc.Process, tid int, t *told) bool {
	thread, err := p.Thread(tid)
	if err != nil {
		t.errors = append(t.errors, asError(p.PID, threadFile(tid, ""), err))
		return proc.KindOf(err) != proc.Gone
	}
	defer thread.Close()
	task := Task{PID: thread.PID, TID: thread.TID}
	in := inv.links(thread, &t.errors)
	for _, id := range in {
		if !slices.Contains(t.in, id) {
			task.In = append(task.In, id)
		}
	}
	if len(task.In) > 0 {
		t.tasks = append(t.tasks, task)
	}
	if !inv.search.Deep {
		return len(in) > 0 || thread.Alive() == nil
	}
	for _, h := range inv.children(thread, in, &t.errors) {
		if !slices.Contains(t.in, h.id) {
			t.holders = append(t.holders, h)
		}
	}
	return len(in) > 0 || thread.Alive() == nil
}
