// Package report is the vocabulary of nsinspect: the values of a report and
// their JSON names, version 1 of the contract. It holds no logic but the
// contract's rules for lists and texts, imports nothing of this module, and every
// other package may import it.
//
// Lists are never null in the output ([Report.Normalize] sees to it).
// Inodes, ids, sizes and uids are numbers; times are Unix seconds as the kernel
// gives them.
package report

import (
	"slices"
	"time"
)

// Schema names the version of the JSON contract.
const Schema = "nsinspect/report/v1"

// Report is what one scan found out.
type Report struct {
	Schema        string         `json:"schema"`
	Tool          Tool           `json:"tool"`
	Started       time.Time      `json:"started"`
	DurationMS    float64        `json:"duration_ms"`
	Host          Host           `json:"host"`
	Baseline      Baseline       `json:"baseline"`
	Coverage      Coverage       `json:"coverage"`
	Containers    []Container    `json:"containers"`
	Sandboxes     []Sandbox      `json:"sandboxes"`
	IPCNamespaces []IPCNamespace `json:"ipc_namespaces"`
	DevShm        []ShmMount     `json:"dev_shm"` // the host's first
	Findings      []Finding      `json:"findings"`
}

// Tool is the build of nsinspect that made the report.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

// Host is the machine the facts come from.
type Host struct {
	Hostname   string `json:"hostname"`
	Kernel     string `json:"kernel"`
	BootID     string `json:"boot_id"`
	CgroupMode string `json:"cgroup_mode"` // unified, hybrid, legacy or unavailable
	Source     string `json:"source"`      // live or capture
}

// Baseline is what every process is compared with.
type Baseline struct {
	From    string `json:"from"` // pid1, kthreadd, initial or flag
	PID     int    `json:"pid"`  // 0 when no process stands for it
	Comm    string `json:"comm"` // of that process; "" when unknown
	IPC     uint64 `json:"ipc"`
	PIDNS   uint64 `json:"pid_ns"`
	Mnt     uint64 `json:"mnt"`     // 0 when unknown
	Initial bool   `json:"initial"` // ipc and pid are the kernel's initial namespaces
	Trusted bool   `json:"trusted"` // it stands for the host; if not, a clean report says nothing about the host
	Note    string `json:"note"`    // why it is not PID 1, or what it means; "" when there is nothing to say
}

// Coverage tells how much of the host was read.
type Coverage struct {
	Processes  int   `json:"processes"`  // seen in /proc
	Vanished   int   `json:"vanished"`   // ended while being read
	Unreadable int   `json:"unreadable"` // with at least one gap
	Complete   bool  `json:"complete"`   // no gap at all
	Gaps       []Gap `json:"gaps"`
}

// Gap is one thing that could not be read, and why.
type Gap struct {
	PID     int    `json:"pid"` // 0 when it is not about a process
	File    string `json:"file"`
	Error   string `json:"error"`
	Decides bool   `json:"decides"` // a container may be missing or misjudged because of it
}

// State is the answer for one namespace type of one container.
type State string

// The states of a container's namespace.
const (
	StateHost    State = "host"
	StatePrivate State = "private"
	StateShared  State = "shared"
	StateVM      State = "vm"
	StateUnknown State = "unknown"
	StateNone    State = "none" // only for dev_shm: nothing is mounted there
)

// Container is processes whose cgroup path names the same container.
type Container struct {
	Ref      string            `json:"ref"` // runtime:id, unique in the report
	Runtime  string            `json:"runtime"`
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Image    string            `json:"image"`
	Pod      Pod               `json:"pod"`
	Labels   map[string]string `json:"labels"`
	Cgroup   string            `json:"cgroup"` // the container's own cgroup, as the reader of /proc sees it
	Outer    []string          `json:"outer"`  // refs of the containers around it, outermost first
	Self     bool              `json:"self"`   // nsinspect itself runs in it
	Init     int               `json:"init"`
	InitComm string            `json:"init_comm"`
	PIDs     []int             `json:"pids"`
	Monitors []int             `json:"monitors"`
	IPC      Namespace         `json:"ipc"`
	PID      Namespace         `json:"pid"`
	DevShm   DevShm            `json:"dev_shm"`
	Exposed  bool              `json:"exposed"`
	Reach    Reach             `json:"reach"`

	// Can is what Reach counts of objects, in sentences, the worst first.
	Can []string `json:"can"`

	// NotModelled is what is in force for an exposed container and may forbid
	// more than Reach says, or give it more.
	NotModelled []string `json:"not_modelled"`

	Evidence []Evidence `json:"evidence"` // how the container was recognised
}

// Pod is the Kubernetes pod (or podman pod) of a container.
type Pod struct {
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Namespace is where the processes of a container are, for one namespace type.
type Namespace struct {
	State  State    `json:"state"`
	Inode  uint64   `json:"inode"` // 0 when unknown
	With   []string `json:"with"`  // refs of the other containers in it
	Strays []int    `json:"strays"`

	// HostStrays are those of the strays that are in the host's namespace.
	HostStrays []int `json:"host_strays"`

	// StrayThreads are single threads that are not where the init is, while their
	// process is.
	StrayThreads []Thread `json:"stray_threads"`
}

// Thread is a thread in another namespace than its process.
type Thread struct {
	PID   int    `json:"pid"`
	TID   int    `json:"tid"`
	Inode uint64 `json:"inode"` // of the namespace that it is in
	Host  bool   `json:"host"`  // that is the host's
}

// HostThreads returns the stray threads that are in the host's namespace.
func (n *Namespace) HostThreads() []Thread {
	return slices.DeleteFunc(slices.Clone(n.StrayThreads), func(t Thread) bool { return !t.Host })
}

// DevShm tells whose /dev/shm a container sees.
type DevShm struct {
	State State `json:"state"`
}

// Reach counts what an exposed container can get at through the namespaces it shares.
type Reach struct {
	Shm    int `json:"shm"`
	Sem    int `json:"sem"`
	Msg    int `json:"msg"`
	Signal int `json:"signal"`
	Ptrace int `json:"ptrace"`

	Others        int `json:"others"`         // objects of others that it can write
	PtraceUnknown int `json:"ptrace_unknown"` // processes of which it cannot be told (whether they are dumpable, mostly)
}

// Sandbox is processes outside any container that share a namespace or a root of their own.
type Sandbox struct {
	Leader  int       `json:"leader"`
	Comm    string    `json:"comm"`
	Name    string    `json:"name"`
	OwnRoot bool      `json:"own_root"`
	PIDs    []int     `json:"pids"`
	IPC     Namespace `json:"ipc"`
	PID     Namespace `json:"pid"`
}

// IPCNamespace is one IPC namespace with the objects in it.
type IPCNamespace struct {
	Inode      uint64   `json:"inode"`
	Host       bool     `json:"host"`
	Containers []string `json:"containers"`
	Processes  int      `json:"processes"`
	PinnedBy   []string `json:"pinned_by"`
	Listed     bool     `json:"listed"` // its objects were read; if not, the lists say nothing
	Shm        []Shm    `json:"shm"`
	Sem        []Sem    `json:"sem"`
	Msg        []Msg    `json:"msg"`
	Mqueue     []Mqueue `json:"mqueue"`
	Error      string   `json:"error"` // why it could not be listed; also a gap
}

// Finding is a rule that fired on a subject.
type Finding struct {
	Rule        string     `json:"rule"`
	Severity    string     `json:"severity"` // critical, high, medium, low or info
	Title       string     `json:"title"`
	Subject     string     `json:"subject"`
	Waived      *Waiver    `json:"waived"`
	Evidence    []Evidence `json:"evidence"`
	Controls    []Control  `json:"controls"`
	Remediation string     `json:"remediation"`
}

// RulesSchema names the version of the contract for the list of rules.
const RulesSchema = "nsinspect/rules/v1"

// Rule is one thing that nsinspect finds, and what it stands in for. A finding
// of it can be more severe than the rule.
type Rule struct {
	ID          string    `json:"id"`
	Severity    string    `json:"severity"`
	Title       string    `json:"title"`
	Why         string    `json:"why"` // it matters
	Remediation string    `json:"remediation"`
	Controls    []Control `json:"controls"`
}

// Rules is the list of rules.
type Rules struct {
	Schema string `json:"schema"`
	Tool   Tool   `json:"tool"`
	Rules  []Rule `json:"rules"`
}

// Waiver says who accepted a finding and why.
type Waiver struct {
	Reason string `json:"reason"`
}

// Evidence is one thing that was read, what it said and what it was held against.
type Evidence struct {
	What     string `json:"what"`
	Value    string `json:"value"`
	Expected string `json:"expected"`
}

// Control is one requirement of a benchmark that a rule stands in for.
type Control struct {
	Framework string `json:"framework"`
	Version   string `json:"version"`
	ID        string `json:"id"`
}
