package ipc

import (
	"context"
	"fmt"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"golang.org/x/sys/unix"
)

// BenchmarkList reads namespaces with many objects: the second has as many as
// the kernel allows by default (shmmni, the sets of kernel.sem, msgmni).
func BenchmarkList(b *testing.B) {
	fs, err := proc.Open("/proc")
	if err != nil {
		b.Fatal(err)
	}
	defer fs.Close()
	for _, n := range []struct{ shm, sem, msg int }{{512, 4000, 4000}, {4096, 32000, 32000}} {
		b.Run(fmt.Sprintf("%d shm, %d sem, %d msg", n.shm, n.sem, n.msg), func(b *testing.B) {
			s := newSpace(b)
			s.do(b, func() error {
				for range n.shm {
					if _, err := unix.SysvShmGet(unix.IPC_PRIVATE, 4096, 0o600); err != nil {
						return fmt.Errorf("shmget: %w", err)
					}
				}
				for range n.sem {
					if _, err := semget(unix.IPC_PRIVATE, 1, 0o600); err != nil {
						return err
					}
				}
				for range n.msg {
					if _, err := msgget(unix.IPC_PRIVATE, 0o600); err != nil {
						return err
					}
				}
				return nil
			})
			b.ReportAllocs()
			for b.Loop() {
				o, err := List(context.Background(), fs, s.open, s.inode)
				if err != nil || len(o.Shm) != n.shm || len(o.Sem) != n.sem || len(o.Msg) != n.msg {
					b.Fatal(len(o.Shm), len(o.Sem), len(o.Msg), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n.shm+n.sem+n.msg), "ns/object")
		})
	}
}

// BenchmarkListEmpty is what entering costs, with nothing to read.
func BenchmarkListEmpty(b *testing.B) {
	fs, err := proc.Open("/proc")
	if err != nil {
		b.Fatal(err)
	}
	defer fs.Close()
	s := newSpace(b)
	for b.Loop() {
		if _, err := List(context.Background(), fs, s.open, s.inode); err != nil {
			b.Fatal(err)
		}
	}
}
