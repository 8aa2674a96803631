package container

import (
	"reflect"
	"slices"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

const idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

// The parts that FuzzJudge puts hosts together from: each byte of an input takes one.
var (
	fuzzInodes  = []uint64{10, 0, 11, 12, 1<<32 + 10}
	fuzzCgroups = []string{
		"0::/\n", "0::/docker/" + idA + "\n", "0::/docker/" + idA + "/docker/" + idB + "\n", "0::/system.slice/docker-" + idB + ".scope\n", "0::/kubepods/besteffort/pod1/" + idA + "\n",
		"0::/machine.slice/libpod-conmon-" + idA + ".scope\n", "0::/machine.slice/libpod-" + idA + ".scope/container\n", "0::/firecracker/" + idA + "\n",
		"1:cpu:/docker/" + idA + "\n0::/docker/" + idB + "\n", "0::/lxc.payload.web\n", "0::/lxc.monitor.web\n", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/snap.x.y-00000000-0000-0000-0000-000000000000.scope\n", "x",
	}
	fuzzPrograms = []struct {
		comm string
		argv []string
	}{
		{"sleep", []string{"sleep"}}, {"containerd-shim", []string{"containerd-shim-runc-v2", "-namespace", "moby", "-id", idA}},
		{"containerd-shim", []string{"containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", idB}}, {"conmon", []string{"conmon", "-c", idA, "-b", "../x"}},
		{"runc:[2:INIT]", []string{"runc", "init"}}, {"crun", []string{"crun", "run", idB}}, {"containerd-shim", []string{"containerd-shim-kata-v2", "-namespace", "moby", "-id", idA}}, {"", nil},
	}
)

// fuzzFacts makes a host of an input: seven bytes a process, the first of which says how much of it was read.
func fuzzFacts(input []byte, identities []Identity) *Facts {
	pick := func(b byte, n int) int { return int(b) % n }
	f := &Facts{Baseline: namespace.Baseline{From: namespace.FromPID1, PID: 1, IPC: 10, PIDNS: 10, Mnt: 10}, HostRoot: proc.FileID{Dev: 1, Ino: 2}, HostShm: "0:5", Now: 5000, Identities: identities}
	for pid := 1; len(input) >= 7 && pid <= 24; pid++ {
		b := input[:7]
		input = input[7:]
		p := Process{Record: proc.Record{PID: pid, IPC: fuzzInodes[pick(b[1], len(fuzzInodes))], PIDNS: fuzzInodes[pick(b[2], len(fuzzInodes))], Mnt: fuzzInodes[pick(b[3], len(fuzzInodes))],
			Cgroup: int32(pick(b[4], len(fuzzCgroups)+1)) - 1, Zombie: b[0]&1 != 0}}
		if b[0]&2 == 0 {
			program := fuzzPrograms[pick(b[5], len(fuzzPrograms))]
			p.Detail = &proc.Detail{Record: p.Record, Comm: program.comm, Cmdline: program.argv, PPID: pick(b[6], 25), StartTime: uint64(b[6]) * 25, State: 'S',
				KernelThread: b[0]&4 != 0, Root: proc.FileID{Dev: 1, Ino: 2 + uint64(b[0]>>7)}}
			if b[0]&8 != 0 {
				p.Detail.MountInfo = []proc.Mount{{Point: "/dev/shm", Type: "tmpfs", Minor: 5 + uint32(b[0]>>7)}, {Point: "/proc", Type: "proc", Root: "/"},
					{Point: "/dev", Type: "tmpfs", Root: "/", Super: "size=65536k"}}
			}
			if b[5]>>7 != 0 {
				p.Detail.Machine = "anon_inode:kvm-vm"
			}
			if b[0]&16 != 0 {
				p.Detail.Status = &proc.Status{UID: uint32(b[0] >> 7)}
			}
			p.Asked = ^proc.Want(0)
			p.engine = engineOf(p.Detail)
		}
		if b[0]&32 != 0 {
			p.Threads = []Thread{{TID: pid + 100, IPC: fuzzInodes[pick(b[6], len(fuzzInodes))]}}
		}
		if b[0]&64 != 0 && p.Detail != nil {
			f.States = append(f.States, State{Runtime: "runc", ID: "web", PID: pid, Start: p.Detail.StartTime, Cgroups: []string{"/sys/fs/cgroup/docker/" + idA}})
		}
		f.Processes = append(f.Processes, p)
	}
	return f
}

// FuzzJudge: of whatever host, no container is called private or shared with a process in the host's namespace, or with one that was not read; no
// process is in two containers; what is exposed has a process that is; and the same facts give the same answer.
func FuzzJudge(f *testing.F) {
	f.Add([]byte("\x10\x00\x00\x00\x00\x00\x00" + "\x00\x02\x02\x02\x02\x00\x01" + "\x00\x00\x02\x02\x02\x00\x02"))
	f.Add([]byte("\x10\x00\x00\x00\x00\x01\x00" + "\x00\x00\x00\x02\x02\x00\x01" + "\x01\x01\x01\x01\x02\x07\x01"))
	f.Add([]byte("\x10\x00\x00\x00\x00\x06\x00" + "\x50\x02\x02\x02\x08\x00\x01" + "\x02\x00\x00\x00\x08\x00\x00" + "\x20\x02\x03\x03\x03\x04\xff"))
	f.Add([]byte("\x10\x00\x00\x00\x00\x02\x00" + "\x48\x02\x02\x02\x05\x00\x01" + "\x08\x03\x02\x02\x04\x00\x01" + "\x00\x00\x00\x00\x06\x03\x01" + "\x40\x04\x04\x04\x00\x00\x02"))
	var identities []Identity
	for _, c := range fuzzCgroups {
		identities = append(identities, Identify(c))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		facts := fuzzFacts(input, identities)
		facts.Wanted()
		j := Judge(facts)
		if again := Judge(facts); !reflect.DeepEqual(again.Containers, j.Containers) || !reflect.DeepEqual(again.Sandboxes, j.Sandboxes) || !reflect.DeepEqual(again.members, j.members) {
			t.Fatal("judged twice, it is not the same")
		}
		j.Suspects(facts)
		refs, in := map[string]bool{}, map[int]string{}
		for i := range j.Containers {
			c := &j.Containers[i]
			if refs[c.Ref] {
				t.Errorf("%s is there twice", c.Ref)
			}
			refs[c.Ref] = true
			if !slices.Contains(c.PIDs, c.Init) {
				t.Errorf("%s: %d is not of %v", c.Ref, c.Init, c.PIDs)
			}
			exposed := false
			// What is called a machine and was not seen to have one is left open, and that decides the exit code.
			open := c.IPC.State == report.StateUnknown && c.PID.State == report.StateUnknown &&
				slices.ContainsFunc(j.Gaps, func(g report.Gap) bool { return g.PID == c.Init && g.Decides })
			machine := c.IPC.State == report.StateVM && c.PID.State == report.StateVM &&
				slices.ContainsFunc(c.PIDs, func(pid int) bool { d := facts.Find(pid).Detail; return d != nil && d.Machine != "" })
			for _, pid := range c.PIDs {
				if in[pid] != "" {
					t.Errorf("%d is in %s and in %s", pid, in[pid], c.Ref)
				}
				in[pid] = c.Ref
				p := facts.Find(pid)
				if p.Zombie {
					t.Errorf("%d of %s is dead", pid, c.Ref)
				}
				atIPC, atPID := facts.AtHost(p)
				exposed = exposed || atIPC || atPID
				if open || machine {
					continue
				}
				honest(t, c.Ref, "ipc", p, c.IPC, p.IPC)
				honest(t, c.Ref, "pid", p, c.PID, p.PIDNS)
			}
			if c.Exposed != exposed && !open && !machine {
				t.Errorf("%s: exposed %t, and its processes %t", c.Ref, c.Exposed, exposed)
			}
		}
		for _, s := range j.Sandboxes {
			for _, pid := range s.PIDs {
				if in[pid] != "" {
					t.Errorf("%d is in a sandbox and in %s", pid, in[pid])
				}
			}
		}
	})
}

// honest checks what is said of one namespace of a container against one of its processes.
func honest(t *testing.T, ref, kind string, p *Process, n report.Namespace, inode uint64) {
	t.Helper()
	const host = 10
	said := n.State == report.StatePrivate || n.State == report.StateShared
	switch {
	case n.State == report.StateVM:
		t.Errorf("%s: a virtual machine that nobody has", ref)
	case said && (n.Inode == 0 || n.Inode == host || inode == 0):
		t.Errorf("%s: %s of %d (%d) was not read or is the host's, and it is said to be %s", ref, kind, p.PID, inode, n.State)
	case said && inode == host && !slices.Contains(n.HostStrays, p.PID):
		t.Errorf("%s: %d is in the host's %s namespace, and no stray", ref, p.PID, kind)
	case n.State == report.StateHost && n.Inode != host:
		t.Errorf("%s: host, with the inode %d", ref, n.Inode)
	case inode != 0 && n.Inode != 0 && inode != n.Inode && !slices.Contains(n.Strays, p.PID):
		t.Errorf("%s: %d is in another %s namespace, and no stray", ref, p.PID, kind)
	}
}
