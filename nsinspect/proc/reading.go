package proc

import "sync"

// question is something that a visit can read and that can block.
type question struct {
	want Want
	file string
	// ask returns how to note the answer.
	ask func(*Process) (func(*Detail), error)
}

// questions are in the order in which they are asked: cmdline is the last, for it takes the memory lock of a process,
// which that can hold for as long as it likes.
var questions = [...]question{
	{WantRoot, "root", answer((*Process).root, func(d *Detail) *FileID { return &d.Root })},
	{WantCwd, "cwd", answer((*Process).cwd, func(d *Detail) *string { return &d.Cwd })},
	{WantMountInfo, "mountinfo", answer((*Process).mountinfo, func(d *Detail) *[]Mount { return &d.MountInfo })},
	{WantMachine, "fd", answer((*Process).machine, func(d *Detail) *string { return &d.Machine })},
	{WantCmdline, "cmdline", answer((*Process).cmdline, func(d *Detail) *[]string { return &d.Cmdline })},
}

func answer[T any](read func(*Process) (T, error), field func(*Detail) *T) func(*Process) (func(*Detail), error) {
	return func(p *Process) (note func(*Detail), err error) {
		defer contain(&err)
		v, err := read(p)
		if err != nil {
			return nil, err
		}
		return func(d *Detail) { *field(d) = v }, nil
	}
}

// reading is a visit under way. One goroutine reads, and another waits for it and takes what there
// is when the time is up.
type reading struct {
	mu     sync.Mutex
	over   bool     // it was taken
	view   *Process // nil before the process could be opened
	detail *Detail
	open   []question // without an answer yet
}

// run reads. The error is for a process of which nothing can be said.
func (r *reading) run(fs *FS, pid int, want Want) error {
	view, d, err := fs.visitCalm(pid, want)
	if err != nil {
		return err
	}
	defer view.Close()
	var open []question
	for _, q := range questions {
		// Of a zombie the memory, mounts and directories are gone: that is no gap.
		if want&q.want != 0 && !d.Zombie {
			open = append(open, q)
		}
	}
	r.do(func() {
		view.refs.Add(1) // for who takes it
		r.view, r.detail, r.open = view, d, open
	})
	for _, q := range open {
		note, err := q.ask(view)
		r.do(func() {
			r.open = r.open[1:]
			if err != nil {
				d.Errors = append(d.Errors, newError(pid, view.file(q.file), err))
			} else {
				note(d)
			}
		})
	}
	return nil
}

// do changes what was read, unless that has been taken.
func (r *reading) do(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		change()
	}
}

// end takes what was read: the view, which is the caller's to close, the detail, and what was not answered.
func (r *reading) end() (*Process, *Detail, []question) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return r.view, r.detail, r.open
}

// visitCalm opens the process and reads what takes no lock of the target.
func (fs *FS) visitCalm(pid int, want Want) (view *Process, d *Detail, err error) {
	p, err := fs.Process(pid)
	if err != nil {
		return nil, nil, err
	}
	view = p
	d, err = p.detail()
	if err == nil && d.TID != 0 {
		view, err = p.Thread(d.TID)
		p.Close()
	}
	if err != nil {
		if view != nil {
			view.Close()
		}
		return nil, nil, err
	}
	if want&WantStatus != 0 {
		if d.Status, err = view.status(); err != nil {
			d.Errors = append(d.Errors, newError(pid, view.file("status"), err))
		}
	}
	if want&WantUserNS != 0 {
		if d.UserNS, err = view.Namespace("user"); err != nil {
			d.Errors = append(d.Errors, newError(pid, view.file("ns/user"), err))
		}
	}
	return view, d, nil
}
