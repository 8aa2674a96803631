package namespace

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// told is what one process tells.
type told struct {
	gone    bool
	in      []ID // where it is
	tasks   []Task
	holders []held
	errors  []*proc.Error
}

type held struct {
	id     ID
	holder Holder
}

// byProcess finds the namespaces that processes are in: the links in
// /proc/PID/ns. While a process is open, its threads and descriptors are looked at too.
func (inv *inventory) byProcess(ctx context.Context, records []proc.Record) {
	all := make([]told, len(records))
	if inv.search.Deep || inv.search.Threads || slices.ContainsFunc(inv.search.Types, func(t string) bool { return !recorded(t) }) {
		each(ctx, len(records), func(i int) { all[i] = inv.ask(ctx, &records[i]) })
	} else {
		for i := range records {
			all[i].in = fromRecord(&records[i])
		}
	}
	for i := range all {
		t, rec := &all[i], &records[i]
		if t.gone {
			continue
		}
		for _, id := range t.in {
			if inv.wants(id.Type) {
				f := inv.add(id)
				f.Processes = append(f.Processes, rec.PID)
			}
			if id.Type == "mnt" && !rec.Zombie {
				inv.seers[id.Inode] = append(inv.seers[id.Inode], seer{rec.PID, rec.TID})
			}
		}
		for _, task := range t.tasks {
			for _, id := range task.In {
				if inv.wants(id.Type) {
					f := inv.add(id)
					f.Threads = append(f.Threads, Holder{task.PID, task.TID, threadFile(task.TID, "ns/"+id.Type)})
				}
				if id.Type == "mnt" {
					inv.seers[id.Inode] = append(inv.seers[id.Inode], seer{task.PID, task.TID})
				}
			}
		}
		inv.tasks = append(inv.tasks, t.tasks...)
		for _, h := range t.holders {
			if inv.wants(h.id.Type) || h.id.Type == "mnt" {
				inv.hold(h.id, h.holder)
			}
		}
		for _, err := range t.errors {
			inv.fail(err)
		}
	}
}

// recorded tells whether a proc.Record has the inode of a type.
func recorded(kind string) bool { return kind == "ipc" || kind == "pid" || kind == "mnt" }

func fromRecord(r *proc.Record) []ID {
	var ids []ID
	for _, id := range []ID{{"ipc", r.IPC}, {"mnt", r.Mnt}, {"pid", r.PIDNS}} {
		if id.Inode != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// ask reads one process through one descriptor. All of it is read anew, so that
// no part is another process's that has got the same number meanwhile.
func (inv *inventory) ask(ctx context.Context, rec *proc.Record) (t told) {
	p, err := inv.fs.Process(rec.PID)
	if err != nil {
		t.gone = proc.KindOf(err) == proc.Gone
		t.errors = append(t.errors, asError(rec.PID, "", err))
		return t
	}
	defer p.Close()
	view := p
	if rec.TID != 0 {
		// The leader has exited; this thread speaks for the process.
		if view, err = p.Thread(rec.TID); err != nil {
			view = p
		} else {
			defer view.Close()
		}
	}
	t.in = inv.links(view, &t.errors)
	t.holders = inv.children(view, t.in, &t.errors)
	switch {
	case !inv.search.Deep && !inv.search.Threads || rec.Zombie:
	case len(t.in) == 0 && len(t.errors) > 0:
		// Nothing more will be told of its threads and descriptors, and one error is enough to say so.
		first := *t.errors[0]
		first.File = "task"
		t.errors = append(t.errors, &first)
	default:
		tids := inv.threads(p, &t)
		inv.askThreads(ctx, p, rec, tids, &t)
		if inv.search.Deep {
			inv.askDescriptors(ctx, p, tids, &t)
		}
	}
	t.gone = p.Alive() != nil
	if len(t.tasks) > 0 && slices.ContainsFunc(fromRecord(rec), func(id ID) bool { return inv.wants(id.Type) && !slices.Contains(t.in, id) }) {
		// The record, by which it will be judged, may be of another process that had the number before.
		t.tasks = nil
		t.errors = append(t.errors, &proc.Error{PID: rec.PID, File: "task", Kind: proc.Failed, Err: errors.New("it changed while it was read")})
	}
	return t
}

// links reads the namespaces of a process or a thread: those that are wanted,
// and the mount namespace when that is where to look for mounts. What a zombie or an
// older kernel does not have is no error.
func (inv *inventory) links(p *proc.Process, errors *[]*proc.Error) (in []ID) {
	for _, kind := range Types() {
		if !inv.wants(kind) && (kind != "mnt" || inv.search.MountsIn == nil) {
			continue
		}
		inode, err := p.Namespace(kind)
		if err == nil {
			in = append(in, ID{kind, inode})
		} else if k := proc.KindOf(err); k != proc.Absent && k != proc.Gone {
			*errors = append(*errors, asError(p.PID, "ns/"+kind, err))
		}
	}
	return in
}

// children reads the namespaces that the next child of a process or thread will
// be in, where they are not its own. There is no pid_for_children between
// unshare(2) and the first child, and none of them for a zombie.
func (inv *inventory) children(p *proc.Process, in []ID, errors *[]*proc.Error) (holders []held) {
	for _, kind := range []string{"pid", "time"} {
		if !inv.wants(kind) {
			continue
		}
		file := "ns/" + kind + "_for_children"
		inode, err := p.Namespace(kind + "_for_children")
		switch {
		case err != nil:
			if k := proc.KindOf(err); k != proc.Absent && k != proc.Gone {
				*errors = append(*errors, asError(p.PID, file, err))
			}
		case !slices.Contains(in, ID{kind, inode}):
			holders = append(holders, held{ID{kind, inode}, Holder{p.PID, p.TID, threadFile(p.TID, file)}})
		}
	}
	return holders
}

// threadFile returns how a file of a thread is called below /proc/PID.
func threadFile(tid int, file string) string {
	if tid == 0 {
		return file
	}
	return "task/" + strconv.Itoa(tid) + "/" + file
}
