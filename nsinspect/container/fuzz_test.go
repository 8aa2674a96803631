package container

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// FuzzStorageOf: the index of a storage is only looked for beside the container's own directory.
func FuzzStorageOf(f *testing.F) {
	f.Add("/var/lib/containers/storage/overlay-containers/"+idA+"/userdata", idA)
	f.Add("/a-containers/../b-containers/x/userdata", "x")
	f.Add("/-containers//x/userdata", "x")
	f.Add("overlay-containers/x/userdata", "x")
	f.Add("/overlay-containers/./userdata", ".")
	f.Add("/overlay-containers/x/userdata/", "x")
	f.Fuzz(func(t *testing.T, bundle, id string) {
		got, ok := StorageOf(bundle, id)
		if !ok {
			if got != "" {
				t.Fatalf("no storage, and yet %q", got)
			}
			return
		}
		dir := strings.TrimSuffix(got, "/containers.json")
		if bundle != dir+"/"+id+"/userdata" || !strings.HasSuffix(dir, "-containers") || path.Clean(got) != got || !path.IsAbs(got) {
			t.Fatalf("%q of %q: %q", bundle, id, got)
		}
	})
}

// FuzzConfigOf: where an engine's command line sends us for a configuration, it is the process's own directory, one beside it, or a path without detours.
func FuzzConfigOf(f *testing.F) {
	f.Add("conmon", "conmon\x00-c\x00a\x00-b\x00/run/../etc", "a")
	f.Add("containerd-shim", "containerd-shim-runc-v2\x00-namespace\x00k8s.io\x00-id\x00a", "../b")
	f.Add("containerd-shim", "containerd-shim-runc-v2\x00-namespace\x00k8s.io\x00-id\x00a", "b")
	f.Add("runc", "runc\x00run\x00--bundle\x00../../x\x00a", "a")
	f.Add("crun", "crun\x00create\x00a", "a")
	f.Fuzz(func(t *testing.T, comm, cmdline, id string) {
		p := &Process{Detail: &proc.Detail{Comm: comm, Cmdline: strings.Split(cmdline, "\x00")}}
		if p.engine = engineOf(p.Detail); p.engine == nil {
			return
		}
		from, file := p.configOf(id)
		switch from {
		case "":
			if file != "" {
				t.Fatalf("nowhere, and yet %q", file)
			}
		case proc.FromRoot:
			if !path.IsAbs(file) || path.Clean(file) != file || path.Base(file) != "config.json" {
				t.Fatalf("%q", file)
			}
		case proc.FromCwd:
			if path.IsAbs(file) || path.Base(file) != "config.json" || p.isShim() && strings.Count(file, "..") > 1+strings.Count(id, "..") {
				t.Fatalf("%q", file)
			}
		default:
			t.Fatalf("from %q", from)
		}
	})
}

// FuzzStateCgroups: the cgroups that a runtime says it made are taken of the init's own only, and whoever is in one is in or below it.
func FuzzStateCgroups(f *testing.F) {
	f.Add("/sys/fs/cgroup/pids/box\n/box", "1:pids:/box\n0::/\n", "1:pids:/box/inner\n")
	f.Add("", "0::/\n", "0::/x\n")
	f.Add("/", "0::/\n", "0::/\n")
	f.Add("x", "0::/x\n", "0::/xy\n")
	f.Add("/sys/fs/cgroup/a:b", "0::/a:b", "0::/a:b/c (deleted)")
	f.Fuzz(func(t *testing.T, made, init, other string) {
		s := State{Cgroups: strings.Split(made, "\n")}
		own := s.cgroupsOf(init)
		lines, _ := cgroup.Parse([]byte(init))
		for _, p := range own {
			if p == "/" || !slices.ContainsFunc(lines, func(l cgroup.Line) bool { return l.Path == p }) || !slices.ContainsFunc(s.Cgroups, func(c string) bool { return strings.HasSuffix(c, p) }) {
				t.Fatalf("%q of %q and %q", p, made, init)
			}
		}
		if len(own) > 0 && !within(init, own) {
			t.Fatalf("%q is not in its own %q", init, own)
		}
		in := false
		others, _ := cgroup.Parse([]byte(other))
		for _, l := range others {
			for _, p := range own {
				rest, below := strings.CutPrefix(l.Path, p)
				in = in || below && (rest == "" || rest[0] == '/')
			}
		}
		if within(other, own) != in {
			t.Fatalf("%q within %q: %t", other, own, !in)
		}
	})
}

// FuzzDevShm: of mounts in any order, the device is that of the last one at /dev/shm, and a trap is told for everything that is no tmpfs there.
func FuzzDevShm(f *testing.F) {
	f.Add("/ overlay\n/dev tmpfs\n/dev/shm tmpfs")
	f.Add("/ fuse.sshfs\n/dev/shm tmpfs")
	f.Add("/dev/shm fuse\n/dev/shm tmpfs")
	f.Add("/dev/shm tmpfs\n/dev/shm ext4\n/dev fuse\n/dev tmpfs")
	f.Fuzz(func(t *testing.T, text string) {
		var mounts []proc.Mount
		seen := map[string]string{}
		device := ""
		for i, line := range strings.Split(text, "\n") {
			point, kind, _ := strings.Cut(line, " ")
			mounts = append(mounts, proc.Mount{Point: point, Type: kind, Minor: uint32(i)})
			seen[point] = kind
			if point == "/dev/shm" {
				device = DevShm([]proc.Mount{mounts[i]})
			}
		}
		if got := DevShm(mounts); got != device {
			t.Fatalf("%q: %q, want %q", text, got, device)
		}
		kind, mounted := seen["/dev/shm"]
		safe := (!mounted || kind == "tmpfs") && !strings.HasPrefix(seen["/"], "fuse") && !strings.HasPrefix(seen["/dev"], "fuse")
		if got := DevShmTrap(mounts); (got == "") != safe {
			t.Fatalf("%q: %q", text, got)
		}
	})
}

// FuzzContainerMounts: the marks of a runtime are mounts in their order, one for a place, of a process that was given a /proc of its own;
// more mounts, elsewhere or on top of them, change nothing.
func FuzzContainerMounts(f *testing.F) {
	f.Add("/proc proc / rw\n/dev tmpfs / rw,size=65536k\n/proc/kcore tmpfs /null rw\n/sys/firmware tmpfs / ro")
	f.Add("/proc proc / rw\n/proc/kcore devtmpfs /null rw\n/proc/keys devtmpfs /null rw\n/proc/keys ext4 / rw")
	f.Add("/proc tmpfs / rw\n/dev tmpfs / size=65536k\n/proc/acpi tmpfs / ro")
	f.Add("/dev tmpfs / size=65536k\n/dev tmpfs / size=4096k\n/proc proc / rw")
	f.Add("/proc proc /1 rw\n\n \n/proc/acpi tmpfs / ro,x")
	f.Fuzz(func(t *testing.T, text string) {
		var mounts []proc.Mount
		for i, line := range strings.Split(text, "\n") {
			w := append(strings.Split(line, " "), "", "", "", "")
			mounts = append(mounts, proc.Mount{ID: i, Point: w[0], Type: w[1], Root: w[2], Options: w[3], Super: w[3]})
		}
		marks := ContainerMounts(mounts)
		before, places := -1, map[string]bool{}
		for _, m := range marks {
			if m.ID <= before || places[m.Point] || m.Point != "/dev" && !slices.Contains(coveredPaths, m.Point) {
				t.Fatalf("%+v of %+v", marks, mounts)
			}
			before, places[m.Point] = m.ID, true
		}
		if len(marks) > 0 && !slices.ContainsFunc(mounts, func(m proc.Mount) bool { return m.Point == "/proc" && m.Type == "proc" && m.Root == "/" }) {
			t.Fatalf("%+v without a /proc of its own", marks)
		}
		if more := ContainerMounts(append(slices.Clone(mounts), proc.Mount{ID: len(mounts), Point: "/mnt", Type: "tmpfs", Root: "/"})); len(more) != len(marks) {
			t.Fatalf("%d marks, and %d with a mount at /mnt", len(marks), len(more))
		}
		for _, point := range []string{"/proc", "/dev", "/proc/kcore"} {
			over := append(slices.Clone(mounts), proc.Mount{ID: len(mounts), Point: point, Type: "ext4", Root: "/"})
			if got := ContainerMounts(over); !slices.EqualFunc(got, marks, func(a, b proc.Mount) bool { return a.ID == b.ID }) {
				t.Fatalf("%+v, and with something over %s %+v", marks, point, got)
			}
		}
	})
}
