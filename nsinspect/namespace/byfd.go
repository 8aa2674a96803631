package namespace

import (
	"context"
	"strconv"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// fdDeadline bounds the reading of all descriptors of one process, of which
// there can be a million (fs.nr_open).
const fdDeadline = 10 * time.Second

// askDescriptors finds the namespaces that are kept by an open descriptor. Threads
// mostly share one table of descriptors; those that have one of their own are looked at, too.
func (inv *inventory) askDescriptors(ctx context.Context, p *proc.Process, tids []int, t *told) {
	ctx, cancel := context.WithTimeout(ctx, fdDeadline)
	defer cancel()
	inv.askTable(ctx, p, t)
	for _, tid := range tids {
		if p.SharesDescriptors(tid) {
			continue
		}
		thread, err := p.Thread(tid)
		if err != nil {
			continue // askThreads has said so
		}
		inv.askTable(ctx, thread, t)
		thread.Close()
	}
}

// askTable reads one table of descriptors. A zombie, a leader that has exited
// and a kernel thread have none.
func (inv *inventory) askTable(ctx context.Context, p *proc.Process, t *told) {
	found, err := p.NamespaceDescriptors(ctx)
	if err != nil && proc.KindOf(err) != proc.Absent {
		t.errors = append(t.errors, asError(p.PID, threadFile(p.TID, "fd"), err))
	}
	for _, d := range found {
		if id, ok := ParseLink(d.Link); ok {
			t.holders = append(t.holders, held{id, Holder{p.PID, p.TID, threadFile(p.TID, "fd/"+strconv.Itoa(d.FD))}})
		}
	}
}
