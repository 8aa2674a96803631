package report

// IPCLimits is what /proc/sys/kernel says of one IPC namespace: shmmni,
// shmmax, shmall; sem; msgmni, msgmax, msgmnb (ipc/ipc_sysctl.c).
type IPCLimits struct {
	ShmMNI uint64 `json:"shmmni"` // segments
	ShmMax uint64 `json:"shmmax"` // bytes of one segment
	ShmAll uint64 `json:"shmall"` // pages of all segments
	SemMSL int    `json:"semmsl"` // semaphores of one set
	SemMNS int    `json:"semmns"` // semaphores of all sets
	SemOPM int    `json:"semopm"` // operations of one semop call
	SemMNI int    `json:"semmni"` // sets
	MsgMNI int    `json:"msgmni"` // queues
	MsgMax uint64 `json:"msgmax"` // bytes of one message
	MsgMNB uint64 `json:"msgmnb"` // bytes of one queue, for new queues
}

// Semaphore is one semaphore of a set (semctl(2): GETVAL, GETNCNT, GETZCNT, GETPID).
type Semaphore struct {
	Value  int `json:"value"`
	NCount int `json:"ncount"` // waiting for a larger value
	ZCount int `json:"zcount"` // waiting for zero
	PID    int `json:"pid"`    // of the last operation, in the reader's PID namespace; 0 = not visible there
}

// IPCSSchema names the version of the contract for lists of IPC objects.
const IPCSSchema = "nsinspect/ipcs/v1"

// IPCS is the objects of some IPC namespaces of a host.
type IPCS struct {
	Schema     string      `json:"schema"`
	Tool       Tool        `json:"tool"`
	Host       Host        `json:"host"`
	Baseline   Baseline    `json:"baseline"`
	Coverage   Coverage    `json:"coverage"`
	PageSize   uint64      `json:"page_size"`  // bytes; shmall counts pages
	Namespaces []ListedIPC `json:"namespaces"` // by inode, the host's first
}

// ListedIPC is one IPC namespace with its objects and its limits.
type ListedIPC struct {
	IPCNamespace
	Limits *IPCLimits `json:"limits"` // null when they could not be read
	// Semaphores are the values of the one set, and QBytes is the size of the one
	// queue, that was asked for; null otherwise.
	Semaphores []Semaphore `json:"semaphores"`
	QBytes     *uint64     `json:"qbytes"`
}

// Normalize makes every list present.
func (l *IPCS) Normalize() {
	l.Schema = IPCSSchema
	present(&l.Coverage.Gaps)
	present(&l.Namespaces)
	for i := range l.Namespaces {
		l.Namespaces[i].normalize()
	}
}
