package proc_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// fuse is a file system in user space whose answers a test decides: a fake
// /proc that hangs, lies or fails in the middle. The protocol is that of include/uapi/linux/fuse.h, version 7.31.
type fuse struct {
	fd    int
	nodes []*fuseNode // number 1 is the root

	unmount func()

	mu    sync.Mutex
	asked map[string]int // reads and the like by path
}

type fuseNode struct {
	path     string
	mode     uint32 // type and permissions
	content  string // of a file or a link
	size     uint64 // that is claimed
	children map[string]uint64

	// What a read or readlink does beside answering with content.
	ghost  bool       // is listed, and not there
	hang   bool       // never answers
	errno  unix.Errno // fails, a read after its first half
	always bool       // fails at once
	flood  bool       // a read never ends
}

// Opcodes.
const (
	fuseLookup, fuseForget, fuseGetattr, fuseReadlink     = 1, 2, 3, 5
	fuseOpen, fuseRead, fuseStatfs, fuseRelease           = 14, 15, 17, 18
	fuseFlush, fuseInit, fuseOpendir, fuseReaddir         = 25, 26, 27, 28
	fuseReleasedir, fuseInterrupt, fuseBatchForget        = 29, 36, 42
	fuseMajor, fuseMinor, fuseDirectIO                    = 7, 31, 1
	fuseHeaderIn, fuseHeaderOut, fuseDirent, fuseReadSize = 40, 16, 24, 1 << 17
)

// mountFuse mounts an empty file system. Only within apart.
func mountFuse(t *testing.T, dir string) *fuse {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	if err := unix.Mount("test", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd)); err != nil {
		unix.Close(fd)
		t.Skip(err)
	}
	f := &fuse{fd: fd, asked: map[string]int{}, nodes: []*fuseNode{nil, {mode: unix.S_IFDIR | 0o755, children: map[string]uint64{}}}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.serve()
	}()
	f.unmount = sync.OnceFunc(func() {
		unix.Unmount(dir, unix.MNT_FORCE|unix.MNT_DETACH) // ends what waits, and serve
		<-done
		unix.Close(fd)
	})
	t.Cleanup(f.unmount)
	return f
}

// add makes a file, or a link if mode says so, and the directories above it.
func (f *fuse) add(path string, mode uint32, content string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.nodes[1]
	parts := strings.Split(path, "/")
	for i, part := range parts {
		number, ok := at.children[part]
		if !ok {
			number = uint64(len(f.nodes))
			node := &fuseNode{path: strings.Join(parts[:i+1], "/"), mode: unix.S_IFDIR | 0o755, children: map[string]uint64{}}
			if i == len(parts)-1 {
				node.mode, node.content, node.size, node.children = mode, content, uint64(len(content)), nil
			}
			f.nodes = append(f.nodes, node)
			at.children[part] = number
		}
		at = f.nodes[number]
	}
}

// process adds what the hot pass reads of one process.
func (f *fuse) process(pid int) {
	dir := fmt.Sprint(pid)
	for _, kind := range []string{"ipc", "pid", "mnt"} {
		f.add(dir+"/ns/"+kind, unix.S_IFLNK|0o777, kind+":[4026531839]")
	}
	f.add(dir+"/cgroup", unix.S_IFREG|0o644, "0::/box\n")
	f.add(dir+"/stat", unix.S_IFREG|0o644, dir+" (x) S 0 1 1 0 -1 4194304"+strings.Repeat(" 0", 44)+"\n")
	f.add(dir+"/cmdline", unix.S_IFREG|0o644, "x\x00y\x00")
}

// change sets what a file does.
func (f *fuse) change(path string, change func(*fuseNode)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.nodes[1:] {
		if n.path == path {
			change(n)
			return
		}
	}
	panic(path)
}

func (f *fuse) serve() {
	buf := make([]byte, 1<<20)
	for {
		n, err := unix.Read(f.fd, buf)
		if err == unix.EINTR || err == unix.ENOENT {
			continue
		}
		if err != nil || n < fuseHeaderIn {
			return // unmounted
		}
		op := binary.NativeEndian.Uint32(buf[4:])
		unique := binary.NativeEndian.Uint64(buf[8:])
		number := binary.NativeEndian.Uint64(buf[16:])
		if op == fuseForget || op == fuseBatchForget || op == fuseInterrupt {
			continue
		}
		f.mu.Lock()
		body, errno, silent := f.answer(op, number, buf[fuseHeaderIn:n])
		f.mu.Unlock()
		if silent {
			continue
		}
		out := new(bytes.Buffer)
		binary.Write(out, binary.NativeEndian, uint32(fuseHeaderOut+len(body)))
		binary.Write(out, binary.NativeEndian, -int32(errno))
		binary.Write(out, binary.NativeEndian, unique)
		out.Write(body)
		unix.Write(f.fd, out.Bytes())
	}
}

func (f *fuse) answer(op uint32, number uint64, in []byte) (body []byte, errno unix.Errno, silent bool) {
	var out bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			binary.Write(&out, binary.NativeEndian, v)
		}
	}
	attributes := func(number uint64) {
		n := f.nodes[number]
		put(number, n.size, uint64(0), [3]uint64{}, [3]uint32{}, n.mode, uint32(1), uint32(0), uint32(0), uint32(0), uint32(4096), uint32(0))
	}
	switch op {
	case fuseInit:
		put(uint32(fuseMajor), uint32(fuseMinor), uint32(0), uint32(0), uint16(16), uint16(16), uint32(fuseReadSize), uint32(1), [9]uint32{})
		return out.Bytes(), 0, false
	case fuseStatfs:
		return make([]byte, 80), 0, false
	case fuseFlush, fuseRelease, fuseReleasedir:
		return nil, 0, false
	}
	if number == 0 || number >= uint64(len(f.nodes)) {
		return nil, unix.ENOENT, false
	}
	n := f.nodes[number]
	switch op {
	case fuseLookup:
		child, ok := n.children[strings.TrimRight(string(in), "\x00")]
		if !ok || f.nodes[child].ghost {
			return nil, unix.ENOENT, false
		}
		put(child, uint64(1), uint64(0), uint64(0), uint32(0), uint32(0))
		attributes(child)
	case fuseGetattr:
		put(uint64(0), uint32(0), uint32(0))
		attributes(number)
	case fuseOpen, fuseOpendir:
		put(number, uint32(fuseDirectIO), uint32(0))
	case fuseReaddir:
		offset := binary.NativeEndian.Uint64(in[8:])
		if offset > 0 {
			break
		}
		i := uint64(0)
		for name, child := range n.children {
			i++
			put(child, i, uint32(len(name)), uint32(0))
			out.WriteString(name)
			for out.Len()%8 != 0 {
				out.WriteByte(0)
			}
		}
	case fuseReadlink:
		f.asked[n.path]++
		if n.hang {
			return nil, 0, true
		}
		if n.errno != 0 {
			return nil, n.errno, false
		}
		out.WriteString(n.content)
	case fuseRead:
		f.asked[n.path]++
		offset := binary.NativeEndian.Uint64(in[8:])
		size := uint64(binary.NativeEndian.Uint32(in[16:]))
		half := uint64(len(n.content) / 2)
		switch {
		case n.hang:
			return nil, 0, true
		case n.flood:
			out.Write(bytes.Repeat([]byte("x"), int(size)))
		case n.errno != 0 && (n.always || offset >= half):
			return nil, n.errno, false
		case n.errno != 0:
			out.WriteString(n.content[offset:half])
		case offset < uint64(len(n.content)):
			out.WriteString(n.content[offset:min(uint64(len(n.content)), offset+size)])
		}
	default:
		return nil, unix.ENOSYS, false
	}
	return out.Bytes(), 0, false
}
