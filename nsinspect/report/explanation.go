package report

// ExplanationSchema names the version of the contract for explanations.
const ExplanationSchema = "nsinspect/explanation/v1"

// The kinds of things that can be explained.
const (
	KindContainer = "container"
	KindProcess   = "process"
	KindNamespace = "namespace"
)

// Explanation is everything that is known of one container, process or
// namespace, and how it is known, in words.
type Explanation struct {
	Schema   string   `json:"schema"`
	Tool     Tool     `json:"tool"`
	Host     Host     `json:"host"`
	Baseline Baseline `json:"baseline"`

	Asked   string  `json:"asked"`
	Kind    string  `json:"kind"`    // container, process or namespace
	Subject string  `json:"subject"` // a container's ref, "PID 4389", or ipc:[4026531839]
	Summary string  `json:"summary"` // the answer in one sentence
	Topics  []Topic `json:"topics"`

	Container *Container          `json:"container"` // of kind container, and of a process of one; else null
	Process   *Process            `json:"process"`   // of kind process; else null
	Namespace *NamespaceExplained `json:"namespace"` // of kind namespace; else null

	Findings []Finding `json:"findings"`
	Gaps     []Gap     `json:"gaps"`
}

// Topic is one question about the subject, with what answers it.
type Topic struct {
	Title  string  `json:"title"`
	Points []Point `json:"points"`
}

// Point is one sentence, and what was read that says so.
type Point struct {
	Text     string     `json:"text"`
	Evidence []Evidence `json:"evidence"`
}

// NamespaceExplained is one namespace, and who is in it.
type NamespaceExplained struct {
	Type       string   `json:"type"` // ipc, pid or mnt
	Inode      uint64   `json:"inode"`
	Host       bool     `json:"host"`
	Containers []string `json:"containers"` // refs of those with a process in it
	Sandboxes  []int    `json:"sandboxes"`  // leaders of those with a process in it
	PIDs       []int    `json:"pids"`
	PinnedBy   []string `json:"pinned_by"`
}

// Normalize makes every list present.
func (e *Explanation) Normalize() {
	e.Schema = ExplanationSchema
	present(&e.Topics)
	present(&e.Findings)
	present(&e.Gaps)
	for i := range e.Topics {
		present(&e.Topics[i].Points)
		for j := range e.Topics[i].Points {
			present(&e.Topics[i].Points[j].Evidence)
		}
	}
	if n := e.Namespace; n != nil {
		present(&n.Containers)
		present(&n.Sandboxes)
		present(&n.PIDs)
		present(&n.PinnedBy)
	}
}
