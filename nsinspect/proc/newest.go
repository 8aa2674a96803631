package proc

import (
	"bytes"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// LastPID returns the number that was given away last in the PID namespace that the procfs shows: while it stays
// the same, nobody has started a process or a thread. 0 if that cannot be told, which is so for a caller
// in another PID namespace: the kernel always speaks of the caller's (fs/proc/loadavg.c, loadavg_proc_show).
func (fs *FS) LastPID() int {
	if fs.Self() != os.Getpid() {
		return 0
	}
	b, err := fs.File("loadavg", 256)
	if err != nil {
		return 0
	}
	return parseLastPID(b)
}

// parseLastPID reads the last field of a loadavg file (proc_loadavg(5)); 0 if it is not a number.
func parseLastPID(text []byte) int {
	fields := bytes.Fields(text)
	if len(fields) != 5 {
		return 0
	}
	pid, ok := parseDecimal(fields[4])
	if !ok || pid > maxPID {
		return 0
	}
	return int(pid)
}

// maxPID is the kernel's PID_MAX_LIMIT on 64-bit machines (include/linux/threads.h).
const maxPID = 4 << 20

// Above lists the processes with numbers above one, in order: at most as many as one call of the kernel returns for
// some buffer, 150 or so. A procfs is listed from any number on at the cost of what is listed, because the
// position in its directory is the number and a constant (fs/proc/base.c, proc_pid_readdir). Of another tree nothing is listed.
func (fs *FS) Above(pid int) ([]int, error) {
	if !fs.live {
		return nil, nil
	}
	fd, err := openat(false, fs.fd, ".\x00", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, newError(0, "", err)
	}
	defer unix.Close(fd)
	const offset = 256 + 2 // TGID_OFFSET: FIRST_PROCESS_ENTRY, and then self and thread-self
	if _, err := unix.Seek(fd, int64(pid)+1+offset, 0); err != nil {
		return nil, newError(0, "", err)
	}
	buf := make([]byte, listSize)
	n, err := getdents(false, fd, buf)
	if err != nil {
		return nil, newError(0, "", err)
	}
	listed, ok := appendPIDs(nil, buf[:n])
	if !ok {
		return nil, newError(0, "", &flaw{kind: BadData, text: "malformed directory"})
	}
	var pids []int
	for _, p := range listed {
		if int(p) > pid {
			pids = append(pids, int(p))
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// NewestThreads returns those of the process's threads that were started last, the newest first: n of them, and some more if it
// has ended others meanwhile. The kernel keeps threads in the order in which they began, counts them in the links of the
// directory, and lists them from any position on (fs/proc/base.c, proc_task_getattr and first_tid). Of another tree nothing is listed.
func (p *Process) NewestThreads(n int) ([]int, error) {
	if !p.fs.live {
		return nil, nil
	}
	fd, err := openat(false, p.fd, "task\x00", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return nil, p.fail("task", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, p.fail("task", err)
	}
	const dots = 2 // "." and "..", in the position and in the number of links
	if _, err := unix.Seek(fd, max(dots, int64(st.Nlink)-int64(n)), 0); err != nil {
		return nil, p.fail("task", err)
	}
	buf := make([]byte, listSize)
	got, err := getdents(false, fd, buf)
	if err != nil {
		return nil, p.fail("task", err)
	}
	listed, ok := appendPIDs(nil, buf[:got])
	if !ok {
		return nil, p.fail("task", &flaw{kind: BadData, text: "malformed directory"})
	}
	tids := make([]int, len(listed))
	for i, tid := range listed {
		tids[len(listed)-1-i] = int(tid)
	}
	return tids, nil
}
