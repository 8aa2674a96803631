package report

// Shm is one SysV shared memory segment: a line of /proc/sysvipc/shm
// (ipc/shm.c, sysvipc_shm_proc_show), and who is attached and can reach it.
type Shm struct {
	ID       int64      `json:"id"`
	Key      uint32     `json:"key"`   // key_t, printed unsigned by ipcs
	Perms    string     `json:"perms"` // four octal digits; bits above 0777 are SHM_DEST (01000) and SHM_LOCKED (02000)
	Mode     uint32     `json:"-"`
	Size     uint64     `json:"size"` // bytes
	CPID     int        `json:"cpid"` // in the PID namespace of the reader; 0 = not visible there
	LPID     int        `json:"lpid"`
	NAttch   uint64     `json:"nattch"`
	UID      uint32     `json:"uid"`
	GID      uint32     `json:"gid"`
	CUID     uint32     `json:"cuid"`
	CGID     uint32     `json:"cgid"`
	ATime    int64      `json:"atime"`
	DTime    int64      `json:"dtime"`
	CTime    int64      `json:"ctime"`
	RSS      uint64     `json:"rss"`  // bytes
	Swap     uint64     `json:"swap"` // bytes
	Attached []Attached `json:"attached"`
	Reach    []Access   `json:"reach"`
}

// Attached is a process that has a segment mapped.
type Attached struct {
	PID       int    `json:"pid"`
	Container string `json:"container"` // "" for a process of the host
}

// Access is what one container's processes can do to one object.
// Read, Write and Control are now, after_setuid or no.
type Access struct {
	Container string `json:"container"`
	Read      string `json:"read"`
	Write     string `json:"write"`
	Control   string `json:"control"`
	Via       string `json:"via"` // owner, group, other or cap_ipc_owner
}

// Sem is one semaphore set: a line of /proc/sysvipc/sem (ipc/sem.c, sysvipc_sem_proc_show).
type Sem struct {
	ID    int64    `json:"id"`
	Key   uint32   `json:"key"`
	Perms string   `json:"perms"`
	Mode  uint32   `json:"-"`
	NSems uint64   `json:"nsems"`
	UID   uint32   `json:"uid"`
	GID   uint32   `json:"gid"`
	CUID  uint32   `json:"cuid"`
	CGID  uint32   `json:"cgid"`
	OTime int64    `json:"otime"`
	CTime int64    `json:"ctime"`
	Reach []Access `json:"reach"`
}

// Msg is one message queue: a line of /proc/sysvipc/msg (ipc/msg.c, sysvipc_msg_proc_show).
type Msg struct {
	ID     int64    `json:"id"`
	Key    uint32   `json:"key"`
	Perms  string   `json:"perms"`
	Mode   uint32   `json:"-"`
	CBytes uint64   `json:"cbytes"`
	QNum   uint64   `json:"qnum"`
	LSPID  int      `json:"lspid"`
	LRPID  int      `json:"lrpid"`
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	CUID   uint32   `json:"cuid"`
	CGID   uint32   `json:"cgid"`
	STime  int64    `json:"stime"`
	RTime  int64    `json:"rtime"`
	CTime  int64    `json:"ctime"`
	Reach  []Access `json:"reach"`
}

// Mqueue is one POSIX message queue: a file of a mqueue file system (ipc/mqueue.c).
type Mqueue struct {
	Name  string   `json:"name"`
	Perms string   `json:"perms"`
	Mode  uint32   `json:"-"`
	UID   uint32   `json:"uid"`
	GID   uint32   `json:"gid"`
	QSize uint64   `json:"qsize"` // bytes of all messages in it
	Reach []Access `json:"reach"`
}
