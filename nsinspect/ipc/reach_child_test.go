//go:build amd64 || arm64

package ipc

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The child's half of the tests that ask the kernel. The test binary is run
// again as a process of some user and IPC namespace. In it each set of
// credentials lives on a thread of its own, which ends afterwards: credentials are a
// thread's, as long as the raw system calls are used, and a new thread starts
// with those of the process, since the runtime clones from a locked thread never.

// Descriptors of a child.
const (
	childIn  = 3
	childOut = 4
)

// keep stands for "leave this id as it is".
const keep = -1

// childCred is a set of credentials in the numbers of the child's user namespace.
type childCred struct {
	UID, EUID, SUID, FSUID int
	GID, EGID, SGID, FSGID int
	Groups                 []int
	Prm, Eff, Inh, Bnd     Caps
	NoNewPrivs             bool
}

// losesByExec reports whether execve as uid 0 takes a capability or an id away
// that a later step may need.
func (c *childCred) losesByExec() bool {
	return c.Prm&caps(capSetuid, capSetgid)&^(c.Bnd|c.Inh) != 0 ||
		c.UID != c.EUID || c.UID != c.SUID || c.SGID != c.GID && c.SGID != c.EGID
}

// move is what a child does to its credentials: the steps that it can take by
// its own system calls.
type move struct {
	Raise bool
	Drop  bool
	GID   int
	UID   int
}

// attempt is one object to try things on.
type attempt struct {
	Kind     ObjectKind
	ID       int
	Name     string
	UID, GID int // for IPC_SET: the owner in the child's numbers, or -1 when it has none
	Mode     uint32
	Remove   bool // IPC_RMID instead of IPC_SET
	Take     bool // IPC_SET to its own, with all permissions, and then to write
	Skip     [3]bool
}

// victim is one thread to signal and to look into.
type victim struct {
	TID     int
	Address uint64
	Seize   bool
}

type childRequest struct {
	Base    *childCred // nil: the credentials that the child has
	Moves   []move
	Exec    bool // exec itself as uid 0 first, then the moves
	Prepare bool // take each move before the exec too, as far as it is allowed
	Objects []attempt
	Victims []victim
	// Settle: instead, put threads with these credentials up and leave them
	// there, and set the dumpable attribute.
	Settle   []childCred
	Dumpable int
	// Nest: instead, make a child in a user namespace below. Within: the rest is
	// meant for that one.
	Nest   *childMaps
	Within bool
	// JoinIPC: enter the IPC namespace of this process first.
	JoinIPC int
}

type childReply struct {
	Err     string
	Moves   []moved
	TIDs    []int
	Address uint64
	PID     int
}

// moved is what became of one move: refused, or for each object or victim the
// bits of what was allowed.
type moved struct {
	Refused string
	Bits    []byte
}

// Bits of one object are 1<<opRead, 1<<opWrite, 1<<opControl. Of one victim:
const (
	bitKill = 1 << iota
	bitReadv
	bitSeize
	bitMem
)

// childMaps is a user namespace to make.
type childMaps struct {
	UID, GID  []syscall.SysProcIDMap
	Setgroups bool
	Owner     int   // effective uid of its creator
	Groups    []int // supplementary groups of its creator, as global ids
	NewIPC    bool
	Same      bool // no new user namespace after all
	Start     int  // uid and gid to start with, in the namespace's numbers
}

// childCommand returns a child that is to be started, in a user namespace of its
// own if there are maps.
func childCommand(path string, in, out *os.File, m *childMaps) *exec.Cmd {
	cmd := exec.Command(path)
	cmd.ExtraFiles = []*os.File{in, out}
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), partVariable+"=reach")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if m == nil || m.Same {
		return cmd
	}
	attr := cmd.SysProcAttr
	attr.Cloneflags = syscall.CLONE_NEWUSER
	if m.NewIPC {
		attr.Cloneflags |= syscall.CLONE_NEWIPC
	}
	attr.UidMappings, attr.GidMappings = m.UID, m.GID
	attr.GidMappingsEnableSetgroups = m.Setgroups
	attr.Credential = &syscall.Credential{Uid: uint32(m.Start), Gid: uint32(m.Start), NoSetGroups: !m.Setgroups}
	if m.Start != 0 {
		// Only uid 0 takes its capabilities through execve without this.
		for n := range uintptr(unix.CAP_LAST_CAP + 1) {
			attr.AmbientCaps = append(attr.AmbientCaps, n)
		}
	}
	return cmd
}

// serve answers requests until the test closes its end. One of them may have
// made a child within, in a nested user namespace, for whom others are meant.
func serve() error {
	in := json.NewDecoder(os.NewFile(childIn, "in"))
	out := json.NewEncoder(os.NewFile(childOut, "out"))
	if err := out.Encode(os.Getpid()); err != nil {
		return err
	}
	// The thread that starts the child within has to live as long as it does.
	starter := newThread()
	var within []*child // the last is meant; those before it stay as they are
	for {
		var req childRequest
		if err := in.Decode(&req); err != nil {
			return nil
		}
		var reply childReply
		var err error
		switch {
		case req.Nest != nil:
			exe, e := os.Readlink("/proc/self/exe")
			if e != nil {
				return e
			}
			err = starter.do(func() error {
				c, err := startChild(exe, req.Nest)
				if err == nil {
					within = append(within, c)
					reply.PID = c.pid
				}
				return err
			})
		case req.Within:
			req.Within = false
			reply, err = within[len(within)-1].ask(req)
		default:
			reply, err = answerRequest(&req)
		}
		if err != nil {
			reply.Err = err.Error()
		}
		if err := out.Encode(reply); err != nil {
			return err
		}
	}
}

func answerRequest(req *childRequest) (childReply, error) {
	var reply childReply
	if req.Settle != nil {
		return settle(req)
	}
	if req.Exec && !req.Prepare {
		moves, err := execAndTry(req, nil, req.Moves)
		reply.Moves = moves
		return reply, err
	}
	for _, m := range req.Moves {
		if req.Exec {
			one, err := execAndTry(req, &m, []move{m})
			if err != nil {
				return reply, err
			}
			reply.Moves = append(reply.Moves, one...)
			continue
		}
		got, err := onThread(func() (moved, error) {
			if err := req.begin(); err != nil {
				return moved{}, err
			}
			if why := m.make(); why != "" {
				return moved{Refused: why}, nil
			}
			return moved{Bits: try(req)}, nil
		})
		if err != nil {
			return reply, err
		}
		reply.Moves = append(reply.Moves, got)
	}
	return reply, nil
}

// begin puts the calling thread where the request wants it.
func (req *childRequest) begin() error {
	if req.JoinIPC != 0 {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/ipc", req.JoinIPC), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("ns/ipc of %d: %w", req.JoinIPC, err)
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWIPC); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
	}
	if req.Base == nil {
		return nil
	}
	return req.Base.assume()
}

// onThread calls f on a thread that ends with it.
func onThread[T any](f func() (T, error)) (T, error) {
	var v T
	var err error
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		runtime.LockOSThread()
		defer wg.Done()
		v, err = f()
	}()
	wg.Wait()
	return v, err
}

// execAndTry runs the test binary once more as uid 0, and has it make the moves.
func execAndTry(req *childRequest, before *move, moves []move) ([]moved, error) {
	return onThread(func() ([]moved, error) {
		if err := req.begin(); err != nil {
			return nil, err
		}
		if err := raise(); err != nil {
			return nil, err
		}
		real := keep
		if before != nil {
			if before.Drop {
				setgroups(nil)
			}
			if before.GID != keep {
				call(unix.SYS_SETRESGID, before.GID, before.GID, before.GID)
			}
			if before.UID != keep {
				// Root has to be among the ids still when the real one is given up.
				call(unix.SYS_SETRESUID, keep, 0, keep)
				raise()
				if call(unix.SYS_SETRESUID, before.UID, 0, keep) == 0 {
					real = before.UID
				}
			}
		}
		if errno := call(unix.SYS_SETRESUID, real, 0, keep); errno != 0 {
			refused := make([]moved, len(moves))
			for i := range refused {
				refused[i].Refused = "setresuid 0: " + errno.Error()
			}
			return refused, nil
		}
		inR, inW, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		outR, outW, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer inW.Close()
		defer outR.Close()
		exe, err := os.Readlink("/proc/self/exe")
		if err != nil {
			return nil, err
		}
		cmd := childCommand(exe, inR, outW, nil)
		err = cmd.Start()
		inR.Close()
		outW.Close()
		if err != nil {
			return nil, fmt.Errorf("exec as uid 0: %w", err)
		}
		dec := json.NewDecoder(outR)
		var pid int
		if err := dec.Decode(&pid); err != nil {
			return nil, err
		}
		if err := json.NewEncoder(inW).Encode(childRequest{Moves: moves, Objects: req.Objects, Victims: req.Victims}); err != nil {
			return nil, err
		}
		var reply childReply
		if err := dec.Decode(&reply); err != nil {
			return nil, err
		}
		inW.Close()
		if err := cmd.Wait(); err != nil {
			return nil, err
		}
		if reply.Err != "" {
			return nil, errors.New(reply.Err)
		}
		return reply.Moves, nil
	})
}

var settled struct{ cell uint64 }

// settle leaves threads behind for others to signal and to look into.
func settle(req *childRequest) (childReply, error) {
	var reply childReply
	for i := range req.Settle {
		tid := make(chan int)
		fail := make(chan error)
		go func() {
			runtime.LockOSThread()
			if err := req.Settle[i].assume(); err != nil {
				fail <- err
				return
			}
			tid <- unix.Gettid()
			select {}
		}()
		select {
		case n := <-tid:
			reply.TIDs = append(reply.TIDs, n)
		case err := <-fail:
			return reply, err
		}
	}
	// Changing ids has made the process not dumpable.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(req.Dumpable), 0, 0, 0); err != nil {
		return reply, err
	}
	reply.Address = uint64(uintptr(unsafe.Pointer(&settled.cell)))
	return reply, nil
}

func call(trap uintptr, a, b, c int) unix.Errno {
	_, _, errno := unix.RawSyscall(trap, uintptr(a), uintptr(b), uintptr(c))
	return errno
}

func setgroups(groups []int) unix.Errno {
	raw := make([]uint32, len(groups)+1)
	for i, g := range groups {
		raw[i] = uint32(g)
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&raw[0])), 0)
	return errno
}

func getgroups() []int {
	var raw [64]uint32
	n, _, errno := unix.RawSyscall(unix.SYS_GETGROUPS, uintptr(len(raw)), uintptr(unsafe.Pointer(&raw[0])), 0)
	if errno != 0 {
		return []int{-1}
	}
	out := []int{}
	for _, g := range raw[:n] {
		out = append(out, int(g))
	}
	return out
}

func capget() (eff, prm, inh Caps, err error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err = unix.Capget(&hdr, &data[0])
	set := func(lo, hi uint32) Caps { return Caps(lo) | Caps(hi)<<32 }
	return set(data[0].Effective, data[1].Effective), set(data[0].Permitted, data[1].Permitted), set(data[0].Inheritable, data[1].Inheritable), err
}

func capset(eff, prm, inh Caps) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(eff), Permitted: uint32(prm), Inheritable: uint32(inh)},
		{Effective: uint32(eff >> 32), Permitted: uint32(prm >> 32), Inheritable: uint32(inh >> 32)},
	}
	return unix.Capset(&hdr, &data[0])
}

func raise() error {
	_, prm, inh, err := capget()
	if err != nil {
		return err
	}
	return capset(prm, prm, inh)
}

// assume gives the calling thread the credentials, from those of a full root of
// its user namespace, and makes sure that it has them.
func (c *childCred) assume() error {
	_, full, _, err := capget()
	if err != nil {
		return err
	}
	if missing := c.Prm &^ full; missing != 0 {
		return fmt.Errorf("assume: capabilities %#x are not to be had", missing)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("assume: ambient: %w", err)
	}
	if err := capset(full, full, c.Inh); err != nil {
		return fmt.Errorf("assume: inheritable: %w", err)
	}
	for n := range 64 {
		if full.Has(n) && !c.Bnd.Has(n) {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0); err != nil {
				return fmt.Errorf("assume: drop %d from the bounding set: %w", n, err)
			}
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(c.Groups)), slices.Sorted(slices.Values(getgroups()))) {
		if errno := setgroups(c.Groups); errno != 0 {
			return fmt.Errorf("assume: setgroups: %w", errno)
		}
	}
	if errno := call(unix.SYS_SETRESGID, c.GID, c.EGID, c.SGID); errno != 0 {
		return fmt.Errorf("assume: setresgid: %w", errno)
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("assume: keepcaps: %w", err)
	}
	if errno := call(unix.SYS_SETRESUID, c.UID, c.EUID, c.SUID); errno != 0 {
		return fmt.Errorf("assume: setresuid: %w", errno)
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("assume: keepcaps off: %w", err)
	}
	if err := raise(); err != nil {
		return fmt.Errorf("assume: raise: %w", err)
	}
	call(unix.SYS_SETFSGID, c.FSGID, 0, 0)
	call(unix.SYS_SETFSUID, c.FSUID, 0, 0)
	if err := capset(c.Eff, c.Prm, c.Inh); err != nil {
		return fmt.Errorf("assume: capset: %w", err)
	}
	if c.NoNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("assume: no_new_privs: %w", err)
		}
	}
	return c.verify()
}

// verify reads back what the kernel says of the calling thread: a set of
// credentials that was not put on right would make the oracle lie.
func (c *childCred) verify() error {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return err
	}
	got := map[string]string{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		got[name] = strings.Join(strings.Fields(value), " ")
	}
	groups := slices.Sorted(slices.Values(c.Groups))
	nnp := "0"
	if c.NoNewPrivs {
		nnp = "1"
	}
	want := map[string]string{
		"Uid":        fmt.Sprint(c.UID, c.EUID, c.SUID, c.FSUID),
		"Gid":        fmt.Sprint(c.GID, c.EGID, c.SGID, c.FSGID),
		"Groups":     strings.Trim(fmt.Sprint(groups), "[]"),
		"CapInh":     fmt.Sprintf("%016x", c.Inh),
		"CapPrm":     fmt.Sprintf("%016x", c.Prm),
		"CapEff":     fmt.Sprintf("%016x", c.Eff),
		"CapBnd":     fmt.Sprintf("%016x", c.Bnd),
		"CapAmb":     fmt.Sprintf("%016x", 0),
		"NoNewPrivs": nnp,
	}
	for name, value := range want {
		if got[name] != value {
			return fmt.Errorf("assume: %s is %q, not %q", name, got[name], value)
		}
	}
	return nil
}

// make takes the steps, and says why when one did not lead where it should.
func (m move) make() string {
	if m.Raise {
		if err := raise(); err != nil {
			return "capset: " + err.Error()
		}
	}
	if m.Drop {
		if errno := setgroups(nil); len(getgroups()) > 0 {
			return "setgroups: " + errno.Error()
		}
	}
	if m.GID != keep {
		errno := call(unix.SYS_SETRESGID, m.GID, m.GID, m.GID)
		if r, e, s := unix.Getresgid(); r != m.GID || e != m.GID || s != m.GID {
			return "setresgid: " + errno.Error()
		}
	}
	if m.UID != keep {
		if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
			return "keepcaps: " + err.Error()
		}
		errno := call(unix.SYS_SETRESUID, m.UID, m.UID, m.UID)
		if r, e, s := unix.Getresuid(); r != m.UID || e != m.UID || s != m.UID {
			return "setresuid: " + errno.Error()
		}
		if err := raise(); err != nil {
			return "capset: " + err.Error()
		}
	}
	return ""
}

func try(req *childRequest) []byte {
	bits := make([]byte, 0, len(req.Objects)+len(req.Victims))
	for i := range req.Objects {
		bits = append(bits, req.Objects[i].try())
	}
	for i := range req.Victims {
		bits = append(bits, req.Victims[i].try())
	}
	return bits
}

// badOutcome is what a child reports when a call fails with an errno that is
// neither a permission nor the consequence of having had it. No model says it.
const badOutcome = 0xFF

func (a *attempt) try() byte {
	var bits byte
	for op, f := range []func() (bool, bool){a.read, a.write, a.control} {
		if a.Skip[op] {
			continue
		}
		allowed, ok := f()
		if !ok {
			return badOutcome
		}
		if allowed {
			bits |= 1 << op
		}
	}
	return bits
}

// outcome tells permission from refusal. An errno of proof can only come after
// the kernel has found the permission to be there.
func outcome(errno unix.Errno, proof ...unix.Errno) (allowed, ok bool) {
	switch {
	case errno == 0 || slices.Contains(proof, errno):
		return true, true
	case errno == unix.EACCES || errno == unix.EPERM:
		return false, true
	}
	return false, false
}

func (a *attempt) attach(flags int) (bool, bool) {
	addr, _, errno := unix.RawSyscall(unix.SYS_SHMAT, uintptr(a.ID), 0, uintptr(flags))
	if errno == 0 {
		unix.RawSyscall(unix.SYS_SHMDT, addr, 0, 0)
	}
	return outcome(errno)
}

type sembuf struct {
	num uint16
	op  int16
	flg int16
}

func (a *attempt) semop(ops ...sembuf) (bool, bool) {
	_, _, errno := unix.RawSyscall(unix.SYS_SEMOP, uintptr(a.ID), uintptr(unsafe.Pointer(&ops[0])), uintptr(len(ops)))
	return outcome(errno)
}

func (a *attempt) mqOpen(flags int) (bool, bool) {
	name := append([]byte(a.Name), 0)
	fd, _, errno := unix.RawSyscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(&name[0])), uintptr(flags|unix.O_NONBLOCK), 0, 0, 0, 0)
	if errno == 0 {
		unix.Close(int(fd))
	}
	return outcome(errno)
}

type msgbuf struct {
	mtype int
	text  [8]byte
}

func (a *attempt) read() (bool, bool) {
	switch a.Kind {
	case ShmObject:
		return a.attach(unix.SHM_RDONLY)
	case SemObject:
		return a.semop(sembuf{flg: unix.IPC_NOWAIT})
	case MsgObject:
		var m msgbuf
		_, _, errno := unix.RawSyscall6(unix.SYS_MSGRCV, uintptr(a.ID), uintptr(unsafe.Pointer(&m)), 8, 0, unix.IPC_NOWAIT, 0)
		return outcome(errno, unix.ENOMSG)
	}
	return a.mqOpen(unix.O_RDONLY)
}

func (a *attempt) write() (bool, bool) {
	switch a.Kind {
	case ShmObject:
		return a.attach(0)
	case SemObject:
		// Up and down again: both alter, and the value stays.
		return a.semop(sembuf{op: 1, flg: unix.IPC_NOWAIT}, sembuf{op: -1, flg: unix.IPC_NOWAIT})
	case MsgObject:
		m := msgbuf{mtype: 1}
		_, _, errno := unix.RawSyscall6(unix.SYS_MSGSND, uintptr(a.ID), uintptr(unsafe.Pointer(&m)), 0, unix.IPC_NOWAIT, 0, 0)
		return outcome(errno, unix.EAGAIN)
	}
	return a.mqOpen(unix.O_WRONLY)
}

// Of struct msqid64_ds, which x/sys does not have: the permissions come first in
// all three, the rest is not looked at but for msg_qbytes.
type ipcDS struct {
	perm   unix.SysvIpcPerm
	_      [5]uint64
	qbytes uint64
	_      [8]uint64
}

func (a *attempt) control() (bool, bool) {
	if a.Kind == MqueueObject {
		name := append([]byte(a.Name), 0)
		_, _, errno := unix.RawSyscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(&name[0])), 0, 0)
		return outcome(errno)
	}
	cmd := unix.IPC_SET
	if a.Remove {
		cmd = unix.IPC_RMID
	}
	ds := ipcDS{qbytes: 16384}
	ds.perm.Uid, ds.perm.Gid, ds.perm.Mode = uint32(a.UID), uint32(a.GID), a.Mode
	if a.Take {
		ds.perm.Uid, ds.perm.Gid, ds.perm.Mode = uint32(unix.Geteuid()), uint32(unix.Getegid()), 0o666
		if allowed, ok := outcome(ctl(a.Kind, a.ID, cmd, &ds)); !allowed || !ok {
			return allowed, ok
		}
		return a.write()
	}
	errno := ctl(a.Kind, a.ID, cmd, &ds)
	if !a.Remove && (a.UID < 0 || a.GID < 0) {
		// An owner that has no number here cannot be named, so the same values
		// cannot be set; ipc_update_perm() says so after the permission was there.
		return outcome(errno, unix.EINVAL)
	}
	return outcome(errno)
}

func ctl(kind ObjectKind, id, cmd int, ds *ipcDS) unix.Errno {
	var errno unix.Errno
	arg := uintptr(unsafe.Pointer(ds))
	switch kind {
	case ShmObject:
		_, _, errno = unix.RawSyscall(unix.SYS_SHMCTL, uintptr(id), uintptr(cmd), arg)
	case SemObject:
		_, _, errno = unix.RawSyscall6(unix.SYS_SEMCTL, uintptr(id), 0, uintptr(cmd), arg, 0, 0)
	case MsgObject:
		_, _, errno = unix.RawSyscall(unix.SYS_MSGCTL, uintptr(id), uintptr(cmd), arg)
	}
	return errno
}

func (v *victim) try() byte {
	var bits byte
	set := func(bit byte, allowed, ok bool) bool {
		if !ok {
			bits = badOutcome
		} else if allowed {
			bits |= bit
		}
		return ok
	}
	_, _, errno := unix.RawSyscall(unix.SYS_KILL, uintptr(v.TID), 0, 0)
	if allowed, ok := outcome(errno); !set(bitKill, allowed, ok) {
		return bits
	}
	var cell uint64
	local := unix.Iovec{Base: (*byte)(unsafe.Pointer(&cell)), Len: 8}
	remote := [2]uint64{v.Address, 8}
	_, _, errno = unix.RawSyscall6(unix.SYS_PROCESS_VM_READV, uintptr(v.TID), uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	if allowed, ok := outcome(errno); !set(bitReadv, allowed, ok) {
		return bits
	}
	fd, err := unix.Open("/proc/"+strconv.Itoa(v.TID)+"/mem", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		var b [8]byte
		if n, err := unix.Pread(fd, b[:], int64(v.Address)); n != 8 || err != nil {
			return badOutcome
		}
		unix.Close(fd)
	} else {
		errors.As(err, &errno)
	}
	if err == nil {
		errno = 0
	}
	if allowed, ok := outcome(errno); !set(bitMem, allowed, ok) {
		return bits
	}
	if v.Seize {
		allowed, ok := v.seize()
		set(bitSeize, allowed, ok)
	}
	return bits
}

// seize attaches, stops the thread and lets go of it.
func (v *victim) seize() (bool, bool) {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(v.TID), 0, 0, 0, 0)
	if errno != 0 {
		return outcome(errno)
	}
	if err := unix.PtraceInterrupt(v.TID); err != nil {
		return false, false
	}
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(v.TID, &status, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || !status.Stopped() {
			return false, false
		}
		break
	}
	return true, unix.PtraceDetach(v.TID) == nil
}

// child is the test's end of one.
type child struct {
	pid     int
	joinIPC int
	outer   *child // who passes requests on, for one in a nested user namespace
	cmd     *exec.Cmd
	in      *os.File
	out     *os.File
	enc     *json.Encoder
	dec     *json.Decoder
}

// thread is an OS thread that works for one test, in namespaces of its own.
type thread struct {
	calls chan func()
	ended chan struct{}
}

func newThread() *thread {
	th := &thread{calls: make(chan func()), ended: make(chan struct{})}
	go func() {
		runtime.LockOSThread()
		defer close(th.ended)
		for f := range th.calls {
			f()
		}
	}()
	return th
}

func (th *thread) do(f func() error) error {
	done := make(chan error)
	th.calls <- func() { done <- f() }
	return <-done
}

func (th *thread) stop() {
	close(th.calls)
	<-th.ended
}

// startChild starts a child from the calling thread, whose IPC namespace and
// credentials it gets.
func startChild(path string, m *childMaps) (*child, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := childCommand(path, inR, outW, m)
	err = cmd.Start()
	inR.Close()
	outW.Close()
	if err != nil {
		inW.Close()
		outR.Close()
		return nil, err
	}
	c := &child{cmd: cmd, in: inW, out: outR, enc: json.NewEncoder(inW), dec: json.NewDecoder(outR)}
	if err := c.out.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	if err := c.dec.Decode(&c.pid); err != nil {
		c.stop()
		return nil, fmt.Errorf("child did not begin: %w", err)
	}
	return c, nil
}

// nest has a child make another in a user namespace below its own.
func (c *child) nest(m *childMaps) (*child, error) {
	reply, err := c.ask(childRequest{Nest: m})
	if err != nil {
		return nil, err
	}
	return &child{pid: reply.PID, outer: c}, nil
}

func (c *child) ask(req childRequest) (childReply, error) {
	if c.outer != nil {
		req.Within = true
		return c.outer.ask(req)
	}
	req.JoinIPC = c.joinIPC
	var reply childReply
	if err := c.out.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return reply, err
	}
	if err := c.enc.Encode(req); err != nil {
		return reply, fmt.Errorf("child %d: %w", c.pid, err)
	}
	if err := c.dec.Decode(&reply); err != nil {
		return reply, fmt.Errorf("child %d: %w", c.pid, err)
	}
	if reply.Err != "" {
		return reply, fmt.Errorf("child %d: %s", c.pid, reply.Err)
	}
	return reply, nil
}

func (c *child) stop() {
	if c.outer != nil {
		return
	}
	c.in.Close()
	c.cmd.Process.Kill()
	c.cmd.Wait()
	c.out.Close()
}
