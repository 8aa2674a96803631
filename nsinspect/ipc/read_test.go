package ipc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
	"golang.org/x/sys/unix"
)

func semget(key, n, flags int) (int, error) {
	id, _, errno := unix.Syscall(unix.SYS_SEMGET, uintptr(key), uintptr(n), uintptr(flags))
	if errno != 0 {
		return -1, fmt.Errorf("semget: %w", errno)
	}
	return int(id), nil
}

func msgget(key, flags int) (int, error) {
	id, _, errno := unix.Syscall(unix.SYS_MSGGET, uintptr(key), uintptr(flags), 0)
	if errno != 0 {
		return -1, fmt.Errorf("msgget: %w", errno)
	}
	return int(id), nil
}

func msgsnd(id int, text string) error {
	b := append(make([]byte, unsafe.Sizeof(uintptr(0))), text...)
	b[0] = 1 // the type, on a little endian machine
	if !littleEndian() {
		b[unsafe.Sizeof(uintptr(0))-1], b[0] = 1, 0
	}
	_, _, errno := unix.Syscall6(unix.SYS_MSGSND, uintptr(id), uintptr(unsafe.Pointer(&b[0])), uintptr(len(text)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("msgsnd: %w", errno)
	}
	return nil
}

func littleEndian() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}

func mqOpen(name string, mode uint32) (int, error) {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return -1, err
	}
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, uintptr(mode), 0, 0, 0)
	if errno != 0 {
		return -1, fmt.Errorf("mq_open %q: %w", name, errno)
	}
	return int(fd), nil
}

func mqSend(fd int, text string) error {
	p := unsafe.StringData(text)
	_, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDSEND, uintptr(fd), uintptr(unsafe.Pointer(p)), uintptr(len(text)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("mq_send: %w", errno)
	}
	return nil
}

func TestListReadsEveryKindOfObjectInAnotherNamespace(t *testing.T) {
	s := newSpace(t)
	const hostile = "a\x1b[2J\nQSIZE:9"
	var shm, sem, msg int
	s.do(t, func() (err error) {
		if shm, err = unix.SysvShmGet(-0x21524111, 12345, unix.IPC_CREAT|0o640); err != nil { // 0xdeadbeef
			return err
		}
		if sem, err = semget(0x52e, 17, unix.IPC_CREAT|0o600); err != nil {
			return err
		}
		if msg, err = msgget(unix.IPC_PRIVATE, 0o622); err != nil {
			return err
		}
		if err = msgsnd(msg, "three"); err != nil {
			return err
		}
		for _, name := range []string{"queue", hostile} {
			fd, err := mqOpen(name, 0o640)
			if err != nil {
				return err
			}
			if err := unix.Fchmod(fd, 0o604); err != nil {
				return err
			}
			if err := mqSend(fd, "twelve bytes"); err != nil {
				return err
			}
			if err := unix.Close(fd); err != nil {
				return err
			}
		}
		return nil
	})

	fs, err := proc.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	got, err := List(context.Background(), fs, s.open, s.inode)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Shm) != 1 || len(got.Sem) != 1 || len(got.Msg) != 1 || len(got.Mqueue) != 2 {
		t.Fatalf("got %+v, want one of each and two POSIX queues", got)
	}
	if s := got.Shm[0]; s.ID != int64(shm) || s.Key != 0xdeadbeef || s.Size != 12345 || s.Perms != "0640" || s.CPID != os.Getpid() || s.CTime == 0 {
		t.Errorf("shm %+v", s)
	}
	if s := got.Sem[0]; s.ID != int64(sem) || s.Key != 0x52e || s.NSems != 17 || s.Perms != "0600" {
		t.Errorf("sem %+v", s)
	}
	if m := got.Msg[0]; m.ID != int64(msg) || m.Key != 0 || m.CBytes != 5 || m.QNum != 1 || m.Perms != "0622" {
		t.Errorf("msg %+v", m)
	}
	for i, name := range []string{report.Text(hostile), "queue"} {
		if q := got.Mqueue[i]; q.Name != name || q.Perms != "0604" || q.Mode != 0o604 || q.QSize < 12 {
			t.Errorf("mqueue %+v, want the name %q", q, name)
		}
	}

	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	before := strings.Count(string(mounts), " mqueue ")
	if _, err := List(context.Background(), fs, s.open, s.inode); err != nil {
		t.Fatal(err)
	}
	mounts, _ = os.ReadFile("/proc/self/mountinfo")
	if after := strings.Count(string(mounts), " mqueue "); after != before {
		t.Errorf("mounts of mqueue: %d before, %d after", before, after)
	}

	here, err := func() (Objects, error) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		return ReadSysV(procFile)
	}()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range here.Shm {
		if s.Key == 0xdeadbeef && s.ID == int64(shm) {
			t.Error("without entering the namespace the segment is seen too")
		}
	}
}

func TestReadMqueueKeepsWhatItCannotOpen(t *testing.T) {
	s := newSpace(t)
	s.do(t, func() error {
		fd, err := mqOpen("locked", 0o600)
		if err != nil {
			return err
		}
		unix.Close(fd)
		// A thread without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH is refused by mode 0.
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var caps [2]unix.CapUserData
		if err := unix.Capget(&head, &caps[0]); err != nil {
			return err
		}
		if fd, err = mqOpen("shut", 0o000); err != nil {
			return err
		}
		unix.Close(fd)
		caps[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
		if err := unix.Capset(&head, &caps[0]); err != nil {
			return err
		}
		got, err := ReadMqueue()
		if len(got) != 2 || got[0].Name != "locked" || got[1].Name != "shut" {
			return fmt.Errorf("got %+v", got)
		}
		if !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), `mqueue "shut": open`) {
			return fmt.Errorf("err = %w", err)
		}
		return nil
	})
}

func TestReadSysVReturnsWhatItCouldRead(t *testing.T) {
	o, err := ReadSysV(func(name string, _ int) ([]byte, error) {
		switch name {
		case "sysvipc/shm":
			return nil, unix.EACCES
		case "sysvipc/sem":
			return []byte(semHeader + semLine(report.Sem{ID: 4}) + "junk\n"), nil
		}
		return []byte(msgHeader + msgLine(report.Msg{ID: 5})), nil
	})
	if len(o.Shm) != 0 || len(o.Sem) != 1 || len(o.Msg) != 1 {
		t.Errorf("got %+v", o)
	}
	var bad *FormatError
	var all Errors
	if !errors.Is(err, unix.EACCES) || !errors.As(err, &bad) || !errors.As(err, &all) || len(all) != 2 {
		t.Fatalf("err = %v, want both errors", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than one line", err)
	}
}

func TestParseMqueue(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		want uint64
		bad  bool
	}{
		{"as the kernel prints it", "QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n", 129, false},
		{"empty queue", "QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n", 0, false},
		{"as wide as the kernel's", "QSIZE:18446744073709551615 NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n", 1<<64 - 1, false},
		{"no text", "", 0, true},
		{"cut", "QSIZE:12", 0, true},
		{"no number", "QSIZE: NOTIFY:0\n", 0, true},
		{"negative", "QSIZE:-1 NOTIFY:0\n", 0, true},
		{"too wide", "QSIZE:18446744073709551616 NOTIFY:0\n", 0, true},
		{"another file", "hello\n", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseMqueue("q", unix.S_IFREG|0o4640, 1, 2, []byte(tt.text))
			want := report.Mqueue{Name: "q", Perms: "4640", Mode: 0o4640, UID: 1, GID: 2, QSize: tt.want}
			if (err != nil) != tt.bad || got.QSize != want.QSize || got.Perms != want.Perms || got.Mode != want.Mode || got.UID != 1 || got.GID != 2 {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func FuzzParseMqueue(f *testing.F) {
	f.Add("q", uint32(0o640), []byte("QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n"))
	f.Fuzz(func(t *testing.T, name string, mode uint32, text []byte) {
		q, err := ParseMqueue(name, mode, 1, 2, text)
		if q.Name != report.Text(name) || q.Mode > 0o7777 || len(q.Perms) != 4 {
			t.Fatalf("%+v", q)
		}
		if err != nil {
			if q.QSize != 0 {
				t.Fatalf("%v, and yet a size of %d", err, q.QSize)
			}
			return
		}
		again, err := ParseMqueue(name, mode, 1, 2, fmt.Appendf(nil, "QSIZE:%-10d NOTIFY:0\n", q.QSize))
		if err != nil || again.QSize != q.QSize {
			t.Fatalf("%d became %d, %v", q.QSize, again.QSize, err)
		}
	})
}
