package proctest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// FUSE is a file system in user space whose answers a test decides: a fake
// /proc that hangs, lies or fails in the middle. The protocol is that of include/uapi/linux/fuse.h, version 7.31.
type FUSE struct {
	// Unmount ends everything that waits for an answer. The end of the test does it too.
	Unmount func()

	fd    int
	nodes []*FUSENode // number 1 is the root

	mu      sync.Mutex
	asked   map[string]int // reads and the like by path
	silent  bool           // nothing is answered any more
	ignored int            // what was asked since
}

// Silence makes the file system answer nothing at all from now on, also no
// question for a name or for attributes.
func (f *FUSE) Silence() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.silent = true
}

// Ignored returns how many questions were not answered since Silence.
func (f *FUSE) Ignored() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ignored
}

// FUSENode is one file, link or directory.
type FUSENode struct {
	// Size is what the file system claims.
	Size uint64

	Ghost bool // it is listed, and not there

	// What a read or readlink does beside answering with the content.
	Hang   bool          // never answers
	Errno  syscall.Errno // fails, a read after its first half
	Always bool          // fails at once
	Flood  bool          // a read never ends

	path     string
	mode     uint32 // type and permissions
	content  string // of a file or a link
	children map[string]uint64
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

// MountFUSE mounts an empty file system, and skips the test where that cannot be done. It is for a
// mount namespace of the test's own: a test that is killed leaves a mount behind that nobody serves.
func MountFUSE(t *testing.T, dir string) *FUSE {
	t.Helper()
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	if err := syscall.Mount("test", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd)); err != nil {
		syscall.Close(fd)
		t.Skip(err)
	}
	f := &FUSE{fd: fd, asked: map[string]int{}, nodes: []*FUSENode{nil, {mode: syscall.S_IFDIR | 0o755, children: map[string]uint64{}}}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.serve()
	}()
	f.Unmount = sync.OnceFunc(func() {
		syscall.Unmount(dir, syscall.MNT_FORCE|syscall.MNT_DETACH) // ends what waits, and serve
		<-done
		syscall.Close(fd)
	})
	t.Cleanup(f.Unmount)
	return f
}

// Add makes a file, or a link if mode says so, and the directories above it.
func (f *FUSE) Add(path string, mode uint32, content string) {
	n := f.directory(path)
	f.mu.Lock()
	defer f.mu.Unlock()
	n.mode, n.content, n.Size, n.children = mode, content, uint64(len(content)), nil
}

// directory makes a directory and those above it.
func (f *FUSE) directory(path string) *FUSENode {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.nodes[1]
	parts := strings.Split(path, "/")
	for i, part := range parts {
		number, ok := at.children[part]
		if !ok {
			number = uint64(len(f.nodes))
			f.nodes = append(f.nodes, &FUSENode{path: strings.Join(parts[:i+1], "/"), mode: syscall.S_IFDIR | 0o755, children: map[string]uint64{}})
			at.children[part] = number
		}
		at = f.nodes[number]
	}
	return at
}

// Process adds what the hot pass reads of one process.
func (f *FUSE) Process(pid int) {
	dir := fmt.Sprint(pid)
	for _, kind := range []string{"ipc", "pid", "mnt"} {
		f.Add(dir+"/ns/"+kind, syscall.S_IFLNK|0o777, kind+":[4026531839]")
	}
	f.Add(dir+"/cgroup", syscall.S_IFREG|0o644, "0::/box\n")
	f.Add(dir+"/stat", syscall.S_IFREG|0o644, dir+" (x) S 0 1 1 0 -1 4194304"+strings.Repeat(" 0", 44)+"\n")
	f.Add(dir+"/cmdline", syscall.S_IFREG|0o644, "x\x00y\x00")
}

// Change sets what a file does.
func (f *FUSE) Change(path string, change func(*FUSENode)) {
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

func (f *FUSE) serve() {
	buf := make([]byte, 1<<20)
	for {
		n, err := syscall.Read(f.fd, buf)
		if err == syscall.EINTR || err == syscall.ENOENT {
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
		syscall.Write(f.fd, out.Bytes())
	}
}

func (f *FUSE) answer(op uint32, number uint64, in []byte) (body []byte, errno syscall.Errno, silent bool) {
	var out bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			binary.Write(&out, binary.NativeEndian, v)
		}
	}
	attributes := func(number uint64) {
		n := f.nodes[number]
		put(number, n.Size, uint64(0), [3]uint64{}, [3]uint32{}, n.mode, uint32(1), uint32(0), uint32(0), uint32(0), uint32(4096), uint32(0))
	}
	if f.silent {
		f.ignored++
		return nil, 0, true
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
		return nil, syscall.ENOENT, false
	}
	n := f.nodes[number]
	switch op {
	case fuseLookup:
		child, ok := n.children[strings.TrimRight(string(in), "\x00")]
		if !ok || f.nodes[child].Ghost {
			return nil, syscall.ENOENT, false
		}
		put(child, uint64(1), uint64(0), uint64(0), uint32(0), uint32(0))
		attributes(child)
	case fuseGetattr:
		f.asked["attributes of "+n.path]++
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
		if n.Hang {
			return nil, 0, true
		}
		if n.Errno != 0 {
			return nil, n.Errno, false
		}
		out.WriteString(n.content)
	case fuseRead:
		f.asked[n.path]++
		offset := binary.NativeEndian.Uint64(in[8:])
		size := uint64(binary.NativeEndian.Uint32(in[16:]))
		half := uint64(len(n.content) / 2)
		switch {
		case n.Hang:
			return nil, 0, true
		case n.Flood:
			out.Write(bytes.Repeat([]byte("x"), int(size)))
		case n.Errno != 0 && (n.Always || offset >= half):
			return nil, n.Errno, false
		case n.Errno != 0:
			out.WriteString(n.content[offset:half])
		case offset < uint64(len(n.content)):
			out.WriteString(n.content[offset:min(uint64(len(n.content)), offset+size)])
		}
	default:
		return nil, syscall.ENOSYS, false
	}
	return out.Bytes(), 0, false
}

// Count returns how often a file was read, or how often the attributes of one
// were asked for when path is "attributes of PATH" (the root's is "").
func (f *FUSE) Count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

// Mirror adds the files, links and directories of a tree.
func (f *FUSE) Mirror(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case e.IsDir():
			f.directory(name)
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			f.Add(name, syscall.S_IFLNK|0o777, target)
		case e.Type().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			f.Add(name, syscall.S_IFREG|0o644, string(content))
		default:
			return fmt.Errorf("%s: %w", name, errors.ErrUnsupported)
		}
		return nil
	})
}
