package report

// ShmMount is one file system that somebody sees at /dev/shm: the host's, or
// that of containers. It is not a part of an IPC namespace.
type ShmMount struct {
	Device     string    `json:"device"` // "major:minor"; "" when unknown
	Host       bool      `json:"host"`
	Containers []string  `json:"containers"` // refs of those that see it
	Files      []ShmFile `json:"files"`
	Error      string    `json:"error"` // why it could not be listed, or not wholly; also a gap
}

// ShmFile is one file of a /dev/shm: POSIX shared memory (shm_open(3)), a named
// semaphore (sem.NAME, sem_open(3)), or whatever else was put there.
type ShmFile struct {
	Name  string `json:"name"` // below /dev/shm, directories with a slash at the end
	Perms string `json:"perms"`
	UID   uint32 `json:"uid"`
	GID   uint32 `json:"gid"`
	Size  uint64 `json:"size"` // bytes
	Used  uint64 `json:"used"` // bytes of memory
	MTime int64  `json:"mtime"`
}
