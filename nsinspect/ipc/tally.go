package ipc

import "slices"

// Tally counts targets by what can be done to them.
type Tally struct {
	Now, AfterSetuid, Unknown, No int
}

func (t *Tally) add(s State, n int) {
	switch s {
	case Now:
		t.Now += n
	case AfterSetuid:
		t.AfterSetuid += n
	case No:
		t.No += n
	default:
		t.Unknown += n
	}
}

// Targets are the processes of a host, as what others may do to them. Processes
// that are alike are judged once, and so are containers whose members are: a
// host has ten thousand of the one and a thousand of the other, and a few dozen
// kinds of either. It is not safe for concurrent use.
type Targets struct {
	yama    Yama
	classes []Target
	counts  []int
	classOf []int // by target; -1 for kernel threads, which take no notice and have no memory
	judged  map[string]verdicts
}

// verdicts are what some members can do to each class.
type verdicts struct{ signal, ptrace []State }

// NewTargets returns the targets of a host with a scope of ptrace.
func NewTargets(all []Target, y Yama) *Targets {
	t := &Targets{yama: y, classOf: make([]int, len(all)), judged: map[string]verdicts{}}
	known := map[string]int{}
	var key []byte
	for i := range all {
		if all[i].Kthread {
			t.classOf[i] = -1
			continue
		}
		key = all[i].appendKey(key[:0])
		class, ok := known[string(key)]
		if !ok {
			class = len(t.classes)
			known[string(key)] = class
			t.classes = append(t.classes, all[i])
			t.counts = append(t.counts, 0)
		}
		t.classOf[i] = class
		t.counts[class]++
	}
	return t
}

// Tally counts the targets that some member can signal, and those whose memory
// some member can read and write. except are the indexes of the targets that are
// the members themselves.
func (t *Targets) Tally(members []Cred, except []int) (signal, ptrace Tally) {
	v := t.judge(Distinct(members))
	counts := slices.Clone(t.counts)
	for _, i := range except {
		if class := t.classOf[i]; class >= 0 {
			counts[class]--
		}
	}
	for class, n := range counts {
		signal.add(v.signal[class], n)
		ptrace.add(v.ptrace[class], n)
	}
	return signal, ptrace
}

func (t *Targets) judge(members []Cred) verdicts {
	var key []byte
	for i := range members {
		key = append(members[i].appendKey(key), 0xff)
	}
	if v, ok := t.judged[string(key)]; ok {
		return v
	}
	v := verdicts{make([]State, len(t.classes)), make([]State, len(t.classes))}
	for class := range t.classes {
		for _, c := range members {
			v.signal[class] = max(v.signal[class], Signal(c, t.classes[class]).State)
			v.ptrace[class] = max(v.ptrace[class], Ptrace(c, t.classes[class], t.yama).State)
		}
	}
	t.judged[string(key)] = v
	return v
}
