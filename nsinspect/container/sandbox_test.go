package container

import (
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

func TestDevShmTrap(t *testing.T) {
	at := func(point, kind string) proc.Mount { return proc.Mount{Point: point, Type: kind} }
	for _, c := range []struct {
		story  string
		mounts []proc.Mount
		trap   bool
	}{
		{"docker", []proc.Mount{at("/", "overlay"), at("/dev", "tmpfs"), at("/dev/shm", "tmpfs")}, false},
		{"something else there", []proc.Mount{at("/", "overlay"), at("/dev", "tmpfs"), at("/dev/shm", "fuse")}, true},
		{"over the tmpfs", []proc.Mount{at("/", "overlay"), at("/dev/shm", "tmpfs"), at("/dev/shm", "fuse.sshfs")}, true},
		{"on the way", []proc.Mount{at("/", "overlay"), at("/dev", "fuse"), at("/dev/shm", "tmpfs")}, true},
		{"the root", []proc.Mount{at("/", "fuse.fuse-overlayfs"), at("/dev/shm", "tmpfs")}, true},
		{"elsewhere", []proc.Mount{at("/", "overlay"), at("/mnt", "fuse"), at("/dev/shm", "tmpfs")}, false},
	} {
		if why := DevShmTrap(c.mounts); (why != "") != c.trap {
			t.Errorf("%s: %q", c.story, why)
		}
	}
}
