package report

// ProcessesSchema names the version of the contract for lists of processes.
const ProcessesSchema = "nsinspect/processes/v1"

// Processes is every process of a host with its place.
type Processes struct {
	Schema    string    `json:"schema"`
	Tool      Tool      `json:"tool"`
	Host      Host      `json:"host"`
	Baseline  Baseline  `json:"baseline"`
	Coverage  Coverage  `json:"coverage"`
	Processes []Process `json:"processes"`
}

// Process is one process with its place.
type Process struct {
	PID       int    `json:"pid"`
	PPID      int    `json:"ppid"`
	Comm      string `json:"comm"`
	State     string `json:"state"`     // as in /proc/PID/stat: R, S, D, Z, …
	Container string `json:"container"` // ref, "" when it is in none
	Role      string `json:"role"`      // payload, monitor, vmm, setup, sandbox, or "" for a process of the host
	IPC       Place  `json:"ipc"`
	PIDNS     Place  `json:"pid_ns"`
	Mnt       Place  `json:"mnt"`
}

// Place is the namespace of one type that a process is in.
type Place struct {
	Inode uint64 `json:"inode"` // 0 when unknown or, for a zombie, none
	Host  bool   `json:"host"`
}
