package namespace

import (
	"context"
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
	for _, tid := range tids {
		if tid == rec.TID {
			continue // it spoke for the process
		}
		if ctx.Err() != nil {
			return
		}
		thread, err := p.Thread(tid)
		if err != nil {
			t.errors = append(t.errors, asError(p.PID, threadFile(tid, ""), err))
			continue
		}
		inv.askThread(thread, t)
		thread.Close()
	}
}

func (inv *inventory) askThread(thread *proc.Process, t *told) {
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
		return
	}
	for _, h := range inv.children(thread, in, &t.errors) {
		if !slices.Contains(t.in, h.id) {
			t.holders = append(t.holders, h)
		}
	}
}
