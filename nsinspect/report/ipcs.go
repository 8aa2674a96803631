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
