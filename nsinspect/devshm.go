package nsinspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/internal/parallel"
	"github.com/nsinspect/nsinspect/nsinspect/ipc"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// devShmDeadline bounds the listing of one /dev/shm.
const devShmDeadline = 2 * time.Second

// devShm lists the host's /dev/shm and those of the containers that have
// another one. What the files are for, and who may open them, is up to their modes:
// whoever sees the file system sees all of it.
func (s *survey) devShm(ctx context.Context) []report.ShmMount {
	if !s.fs.Procfs() {
		return nil
	}
	s.progress("listing what is in /dev/shm")
	type look struct {
		pid int
		ref string // "" for the host
		mnt uint64
	}
	var looks []look
	host := report.ShmMount{Host: true, Device: s.facts.HostShm}
	if pid := s.hostSeer(); pid != 0 {
		looks = append(looks, look{pid: pid, mnt: s.facts.Baseline.Mnt})
	} else {
		host.Error = "no process that sees the host's could be read"
	}
	for i := range s.judgement.Containers {
		c := &s.judgement.Containers[i]
		switch c.DevShm.State {
		case report.StateHost:
			host.Containers = append(host.Containers, c.Ref)
		case report.StatePrivate, report.StateShared:
			if p := s.facts.Find(c.Init); p != nil && p.Detail != nil {
				if why := container.DevShmTrap(p.Detail.MountInfo); why != "" {
					s.gaps = append(s.gaps, report.Gap{File: c.Ref + "'s /dev/shm", Error: report.Text(why)})
					continue
				}
				looks = append(looks, look{pid: c.Init, ref: c.Ref, mnt: p.Mnt})
			}
		}
	}
	results := make([]ipc.DevShm, len(looks))
	errs := make([]error, len(looks))
	parallel.Each(len(looks), func(i int) { results[i], errs[i] = s.devShmOf(ctx, looks[i].pid, looks[i].mnt) })

	mounts := []report.ShmMount{host}
	for i, l := range looks {
		if l.ref != "" && proc.KindOf(errs[i]) == proc.Gone {
			s.vanished++
			continue
		}
		m := report.ShmMount{Files: results[i].Files}
		if results[i].Device != (ipc.Device{}) {
			m.Device = fmt.Sprintf("%d:%d", results[i].Device.Major, results[i].Device.Minor)
		}
		if errs[i] != nil {
			m.Error = report.Text(errs[i].Error())
		}
		if l.ref == "" {
			m.Host, m.Containers = true, host.Containers
			mounts[0] = m
			continue
		}
		m.Containers = []string{l.ref}
		// Containers of a pod see the same one.
		at := slices.IndexFunc(mounts, func(o report.ShmMount) bool { return o.Device != "" && o.Device == m.Device })
		if at < 0 {
			mounts = append(mounts, m)
			continue
		}
		mounts[at].Containers = append(mounts[at].Containers, l.ref)
	}
	for _, m := range mounts {
		if m.Error != "" {
			whose := "the host's"
			if !m.Host {
				whose = m.Containers[0] + "'s"
			}
			s.gaps = append(s.gaps, report.Gap{File: whose + " /dev/shm", Error: m.Error})
		}
	}
	slices.SortStableFunc(mounts[1:], func(a, b report.ShmMount) int { return cmp.Compare(a.Containers[0], b.Containers[0]) })
	return mounts
}

// hostSeer returns a process that sees the host's mounts, 0 if none is known.
func (s *survey) hostSeer() int {
	b := s.facts.Baseline
	for _, pid := range []int{b.PID, s.facts.Self} {
		if pid == 0 {
			continue
		}
		p, err := s.fs.Process(pid)
		if err != nil {
			continue
		}
		mnt, err := p.Namespace("mnt")
		p.Close()
		if err == nil && (b.Mnt == 0 || mnt == b.Mnt) {
			return pid
		}
	}
	return 0
}

// devShmOf lists what one process sees, if it is still in the mount namespace
// that it was seen in: its number may be another process's by now.
func (s *survey) devShmOf(ctx context.Context, pid int, mnt uint64) (ipc.DevShm, error) {
	p, err := s.fs.Process(pid)
	if err != nil {
		return ipc.DevShm{}, err
	}
	defer p.Close()
	now, err := p.Namespace("mnt")
	if err != nil {
		return ipc.DevShm{}, err
	}
	if mnt != 0 && now != mnt {
		return ipc.DevShm{}, fmt.Errorf("process %d is in %s by now", pid, namespace.Link("mnt", now))
	}
	ctx, cancel := context.WithTimeout(ctx, devShmDeadline)
	defer cancel()
	return ipc.ReadDevShm(ctx, p)
}
