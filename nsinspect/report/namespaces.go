package report

// NamespacesSchema names the version of the contract for lists of namespaces.
const NamespacesSchema = "nsinspect/namespaces/v1"

// Namespaces is every namespace of a host that was found.
type Namespaces struct {
	Schema     string           `json:"schema"`
	Tool       Tool             `json:"tool"`
	Host       Host             `json:"host"`
	Baseline   Baseline         `json:"baseline"`
	Deep       bool             `json:"deep"` // threads and open descriptors were looked at, too
	Coverage   Coverage         `json:"coverage"`
	Namespaces []FoundNamespace `json:"namespaces"` // by type and inode
}

// FoundNamespace is one namespace, who is in it and what keeps it.
type FoundNamespace struct {
	Type       string   `json:"type"` // as in /proc/PID/ns: cgroup, ipc, mnt, net, pid, time, user or uts
	Inode      uint64   `json:"inode"`
	Initial    bool     `json:"initial"`    // the kernel started with it
	Host       bool     `json:"host"`       // the baseline is in it
	Owner      uint64   `json:"owner"`      // inode of the user namespace that owns it; 0 if unknown or none
	OwnerUID   int64    `json:"owner_uid"`  // the uid that made the owner, of a user namespace: that made it; -1 if unknown
	Parent     uint64   `json:"parent"`     // of a pid or user namespace; 0 if unknown or none
	Processes  int      `json:"processes"`  // that are in it
	Threads    int      `json:"threads"`    // that are in it and their process is not; only looked for when deep
	Leader     int      `json:"leader"`     // the lowest PID in it; 0 when no process is
	Comm       string   `json:"comm"`       // of the leader
	Containers []string `json:"containers"` // refs of those with a payload process or thread in it
	Sandboxes  []int    `json:"sandboxes"`  // leaders of those with a process in it
	PinnedBy   []string `json:"pinned_by"`  // what keeps it beside its processes
}

// Normalize makes every list present.
func (n *Namespaces) Normalize() {
	n.Schema = NamespacesSchema
	present(&n.Coverage.Gaps)
	present(&n.Namespaces)
	for i := range n.Namespaces {
		present(&n.Namespaces[i].Containers)
		present(&n.Namespaces[i].Sandboxes)
		present(&n.Namespaces[i].PinnedBy)
	}
}
