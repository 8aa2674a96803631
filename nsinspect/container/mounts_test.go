package container

import (
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

func TestContainerMounts(t *testing.T) {
	at := func(point, kind, root, options, super string) proc.Mount {
		return proc.Mount{Point: point, Type: kind, Root: root, Options: options, Super: super}
	}
	ownProc := at("/proc", "proc", "/", "rw", "rw")
	dev := at("/dev", "tmpfs", "/", "rw,nosuid", "rw,size=65536k,mode=755")
	kcore := at("/proc/kcore", "tmpfs", "/null", "rw,nosuid", "rw,size=65536k,mode=755")
	keys := at("/proc/keys", "devtmpfs", "/null", "rw,nosuid", "rw,size=4096k")
	acpi := at("/proc/acpi", "tmpfs", "/", "ro,relatime", "ro")
	for _, tt := range []struct {
		story  string
		mounts []proc.Mount
		want   int
	}{
		{"as runc does it", []proc.Mount{ownProc, dev, kcore, acpi}, 3},
		{"a privileged one", []proc.Mount{ownProc, dev}, 1},
		{"rootless: the host's null", []proc.Mount{ownProc, keys, acpi}, 2},
		{"one covered path is not enough", []proc.Mount{ownProc, kcore}, 0},
		{"no proc of its own", []proc.Mount{dev, kcore, acpi}, 0},
		{"a part of somebody's proc", []proc.Mount{at("/proc", "proc", "/1", "rw", "rw"), dev, kcore}, 0},
		{"the host's mounts below a directory of the host", []proc.Mount{ownProc, at("/srv/dev", "tmpfs", "/", "rw", "rw,size=65536k")}, 0},
		{"another size, and one that begins so", []proc.Mount{ownProc, at("/dev", "tmpfs", "/", "rw", "rw,size=655360k"), at("/dev", "tmpfs", "/", "rw", "rw,size=4096k")}, 0},
		{"a devtmpfs", []proc.Mount{ownProc, at("/dev", "devtmpfs", "/", "rw", "rw,size=65536k")}, 0},
		{"the host's /dev over it", []proc.Mount{ownProc, dev, at("/dev", "devtmpfs", "/", "rw", "rw")}, 1},
		{"the container hides its mounts", []proc.Mount{ownProc, dev, kcore, acpi, at("/proc", "tmpfs", "/", "rw", "rw"), at("/dev", "tmpfs", "/", "rw", "rw")}, 3},
		{"one that is covered twice is one", []proc.Mount{ownProc, kcore, kcore}, 0},
		{"covered by something that can be written", []proc.Mount{ownProc, at("/proc/acpi", "tmpfs", "/", "rw", "rw"), at("/proc/scsi", "tmpfs", "/", "rw", "rw")}, 0},
		{"covered by systemd", []proc.Mount{ownProc, at("/proc/kcore", "tmpfs", "/systemd/inaccessible/reg", "ro", "rw"), at("/proc/keys", "tmpfs", "/systemd/inaccessible/reg", "ro", "rw")}, 0},
		{"read-only parts of proc", []proc.Mount{ownProc, at("/proc/acpi", "proc", "/acpi", "ro", "rw"), at("/proc/scsi", "proc", "/scsi", "ro", "rw")}, 0},
		{"nothing", nil, 0},
	} {
		if got := ContainerMounts(tt.mounts); len(got) != tt.want {
			t.Errorf("%s: %v", tt.story, got)
		}
	}
}

// What is kept of the mounts of a process tells the same, and is little.
func TestTelling(t *testing.T) {
	at := func(point, kind, super string, id int) proc.Mount {
		return proc.Mount{ID: id, Point: point, Type: kind, Root: "/", Super: super}
	}
	mounts := []proc.Mount{at("/", "overlay", "", 1), at("/proc", "proc", "", 2), at("/dev", "tmpfs", "size=65536k", 3), at("/dev/shm", "tmpfs", "", 4)}
	const many = 1000
	for i := range many {
		mounts = append(mounts, at("/data/"+strings.Repeat("x", i), "tmpfs", "", 10+i), at("/proc", "tmpfs", "", 10+many+i), at("/dev/shm", "fuse", "", 10+2*many+i))
	}
	kept := telling(mounts)
	if len(kept) > 5*2*mostStacked {
		t.Errorf("%d of %d are kept", len(kept), len(mounts))
	}
	if got := ContainerMounts(kept); len(got) != 1 || got[0].ID != 3 {
		t.Errorf("the runtime's: %v", got)
	}
	if DevShmTrap(kept) != DevShmTrap(mounts) || DevShm(kept) != DevShm(mounts) || kept[len(kept)-1].ID != mounts[len(mounts)-1].ID {
		t.Error("/dev/shm is another one")
	}
	if telling(nil) != nil || telling([]proc.Mount{}) == nil {
		t.Error("what was not read is not what is empty")
	}
}

func TestRootOnly(t *testing.T) {
	at := func(point, kind, root string) proc.Mount { return proc.Mount{Point: point, Type: kind, Root: root} }
	for _, c := range []struct {
		story  string
		mounts []proc.Mount
		want   bool
	}{
		{"a container", []proc.Mount{at("/", "overlay", "/"), at("/proc", "proc", "/")}, false},
		{"a directory of the container", nil, true},
		{"a directory with something mounted below", []proc.Mount{at("/data", "ext4", "/data")}, true},
		{"the container's /dev", []proc.Mount{at("/", "tmpfs", "/"), at("/pts", "devpts", "/"), at("/shm", "tmpfs", "/")}, true},
		{"a covered directory of its /sys", []proc.Mount{at("/", "tmpfs", "/")}, true},
		{"its /proc", []proc.Mount{at("/", "proc", "/"), at("/kcore", "tmpfs", "/null")}, true},
		{"a system in memory", []proc.Mount{at("/", "tmpfs", "/"), at("/proc", "proc", "/")}, false},
		{"bwrap", []proc.Mount{at("/", "tmpfs", "/newroot"), at("/usr", "ext4", "/usr")}, false},
	} {
		if got := rootOnly(c.mounts); got != c.want {
			t.Errorf("%s: %t", c.story, got)
		}
	}
}
