package proc

// maxMoves is how often the record of a visit is read anew because the process changed its cgroup meanwhile.
const maxMoves = 8

// errMoving is for a process that was never in one cgroup for as long as its namespaces take to be read.
var errMoving = &flaw{kind: BadData, text: "the process went from cgroup to cgroup while it was read"}

// still reads a process and its cgroup's text as they were at one moment. The cgroup is read before the
// namespaces and again behind them, for what goes from one container to another would be a process of the one in the
// namespace of the other, which it never was. The hot pass takes that risk: whoever is in a container is visited.
func (r *reader) still(dir, pid int) (rec Record, text string, ok bool) {
	for range maxMoves {
		mark := len(r.errs)
		if rec, ok = r.process(dir, pid); !ok {
			return rec, "", false
		}
		text = ""
		if rec.Cgroup >= 0 {
			text = string(r.buf[:r.cgroup])
		}
		// Of a dead leader it is a thread that was read, and a copy of a procfs does not change.
		if rec.Cgroup < 0 || rec.TID != 0 || rec.Zombie || !r.live {
			return rec, text, true
		}
		n, err := r.file(dir, pathCgroup, cgroupLimit)
		if err != nil || string(r.buf[:n]) == text {
			return rec, text, true // an error is the end of the process, which the visit notices at its own end
		}
		r.errs = r.errs[:mark]
	}
	r.fail(pid, "cgroup", errMoving)
	return rec, text, true
}
