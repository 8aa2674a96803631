package report

// Normalize makes every list of the report present, as the contract promises:
// an empty list is [], never null.
func (r *Report) Normalize() {
	r.Schema = Schema
	present(&r.Coverage.Gaps)
	present(&r.Containers)
	present(&r.Sandboxes)
	present(&r.IPCNamespaces)
	present(&r.DevShm)
	for i := range r.DevShm {
		present(&r.DevShm[i].Containers)
		present(&r.DevShm[i].Files)
	}
	present(&r.Findings)
	for i := range r.Containers {
		c := &r.Containers[i]
		present(&c.Outer)
		present(&c.PIDs)
		present(&c.Monitors)
		present(&c.Evidence)
		present(&c.Can)
		present(&c.NotModelled)
		c.IPC.normalize()
		c.PID.normalize()
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
	}
	for i := range r.Sandboxes {
		s := &r.Sandboxes[i]
		present(&s.PIDs)
		s.IPC.normalize()
		s.PID.normalize()
	}
	for i := range r.IPCNamespaces {
		r.IPCNamespaces[i].normalize()
	}
	for i := range r.Findings {
		present(&r.Findings[i].Evidence)
		present(&r.Findings[i].Controls)
	}
}

func (n *Namespace) normalize() {
	present(&n.With)
	present(&n.Strays)
	present(&n.HostStrays)
	present(&n.StrayThreads)
}

func (n *IPCNamespace) normalize() {
	present(&n.Containers)
	present(&n.PinnedBy)
	present(&n.Shm)
	present(&n.Sem)
	present(&n.Msg)
	present(&n.Mqueue)
	for i := range n.Shm {
		present(&n.Shm[i].Attached)
		present(&n.Shm[i].Reach)
	}
	for i := range n.Sem {
		present(&n.Sem[i].Reach)
	}
	for i := range n.Msg {
		present(&n.Msg[i].Reach)
	}
	for i := range n.Mqueue {
		present(&n.Mqueue[i].Reach)
	}
}

func present[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}
