package proc

// Record is what the hot pass reads of one process. A zero inode or a negative
// Cgroup means that it could not be read; [Snapshot.Errors] says why.
type Record struct {
	PID    int
	TID    int    // the thread that was read, when the leader has exited and left its threads behind; else 0
	IPC    uint64 // inode of /proc/PID/ns/ipc
	PIDNS  uint64 // inode of /proc/PID/ns/pid
	Mnt    uint64 // inode of /proc/PID/ns/mnt
	Cgroup int32  // index into Snapshot.Cgroups
	Zombie bool   // it has no namespaces left, in no thread
}

// Snapshot is every process of one /proc, each read through one descriptor.
type Snapshot struct {
	Records  []Record // by PID
	Cgroups  []string // the distinct contents of /proc/PID/cgroup
	Errors   []*Error // by PID and file; without those of processes that vanished. PID 0: there may be processes that were not listed
	Vanished int      // processes that ended while they were read
}
