package audit

import (
	"fmt"
	"slices"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

func shareRules() []rule {
	ipc, pid := views()
	return []rule{{Rule: report.Rule{
		ID: "host-dev-shm", Severity: Medium, Title: "sees the host's /dev/shm while its IPC namespace is its own",
		Why:         "/dev/shm is a file system and no part of the IPC namespace: POSIX shared memory and semaphores of the host can be opened through it as far as file permissions allow.",
		Remediation: "Do not mount the host's /dev/shm (docker: no -v /dev/shm:/dev/shm; Kubernetes: no hostPath volume there); use --shm-size or an emptyDir with medium: Memory.",
		Controls:    hostIPCControls(),
	}, find: findDevShm}, {Rule: report.Rule{
		ID: "shared-ipc", Severity: Info, Title: "shares an IPC namespace with another container",
		Why:         "Containers in one IPC namespace can use each other's objects. Inside one pod that is normal.",
		Remediation: "Nothing, if they belong together; otherwise give each its own (docker: no --ipc=container:).",
	}, find: findShared(ipc)}, {Rule: report.Rule{
		ID: "shared-pid", Severity: Info, Title: "shares a PID namespace with another container",
		Why:         "Containers in one PID namespace see and can signal each other's processes. Inside one pod it is a choice (shareProcessNamespace).",
		Remediation: "Nothing, if they belong together; otherwise give each its own (docker: no --pid=container:).",
	}, find: findShared(pid)}, {Rule: report.Rule{
		ID: "sandbox-host-ns", Severity: Info, Title: "has its own root directory and a namespace of the host's",
		Why:         "Somebody put these processes in a box, and the box has a hole in it; or they are a container that no engine told of.",
		Remediation: "Find out what it is (nsinspect explain PID). Many services are so by design.",
	}, find: findSandboxes}}
}

func findDevShm(r *report.Report) (hits []hit) {
	for i := range r.Containers {
		c := &r.Containers[i]
		if c.DevShm.State == report.StateHost && (c.IPC.State == report.StatePrivate || c.IPC.State == report.StateShared) {
			hits = append(hits, hit{subject: c.Ref, evidence: []report.Evidence{{
				What: fmt.Sprintf("/proc/%d/mountinfo, /dev/shm", c.Init), Value: "the host's file system", Expected: "one of its own",
			}}})
		}
	}
	return hits
}

// findShared gives one hit for each namespace that containers share which are
// not all of one pod; its subject is the first of them.
func findShared(v view) func(*report.Report) []hit {
	return func(r *report.Report) (hits []hit) {
		byInode := map[uint64][]*report.Container{}
		var inodes []uint64
		for i := range r.Containers {
			c := &r.Containers[i]
			if ns := v.of(c); ns.State == report.StateShared {
				if byInode[ns.Inode] == nil {
					inodes = append(inodes, ns.Inode)
				}
				byInode[ns.Inode] = append(byInode[ns.Inode], c)
			}
		}
		for _, inode := range inodes {
			sharers := byInode[inode]
			pod := sharers[0].Pod.UID
			if pod != "" && !slices.ContainsFunc(sharers, func(c *report.Container) bool { return c.Pod.UID != pod }) {
				continue
			}
			h := hit{subject: sharers[0].Ref}
			for _, c := range sharers {
				h.evidence = append(h.evidence, v.link(c.Init, inode, "one for each container; this is of "+c.Ref))
			}
			hits = append(hits, h)
		}
		return hits
	}
}

func findSandboxes(r *report.Report) (hits []hit) {
	ipc, pid := views()
	for _, s := range r.Sandboxes {
		if !s.OwnRoot {
			continue
		}
		h := hit{subject: SandboxRef(s)}
		if s.IPC.State == report.StateHost {
			h.evidence = append(h.evidence, ipc.link(s.Leader, s.IPC.Inode, ipc.not(r.Baseline)))
		}
		if s.PID.State == report.StateHost {
			h.evidence = append(h.evidence, pid.link(s.Leader, s.PID.Inode, pid.not(r.Baseline)))
		}
		if len(h.evidence) > 0 {
			hits = append(hits, h)
		}
	}
	return hits
}

// SandboxRef names a sandbox as the subject of a finding.
func SandboxRef(s report.Sandbox) string { return fmt.Sprintf("sandbox:%d", s.Leader) }
