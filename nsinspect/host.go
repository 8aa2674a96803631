package nsinspect

import (
	"runtime/debug"
	"strings"
	"sync"

	"github.com/nsinspect/nsinspect/nsinspect/cgroup"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Tool returns the version and the commit of the running build, from the build info that the Go linker keeps.
func Tool() report.Tool { return tool() }

var tool = sync.OnceValue(func() report.Tool {
	t := report.Tool{Version: "(devel)"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	if info.Main.Version != "" {
		t.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			t.Commit = s.Value
		}
	}
	return t
})

// host tells which machine was read. What its /proc does not have stays empty.
func (s *survey) host() report.Host {
	line := func(name string) string {
		b, err := s.fs.File(name, 4096)
		if err != nil {
			return ""
		}
		return report.Text(strings.TrimSuffix(string(b), "\n"))
	}
	h := report.Host{
		Hostname: line("sys/kernel/hostname"), Kernel: line("sys/kernel/osrelease"), BootID: line("sys/kernel/random/boot_id"),
		Source: "capture", CgroupMode: cgroup.ModeOf(s.cgroups),
	}
	if s.fs.Procfs() {
		h.Source = "live"
		h.CgroupMode = cgroup.HostMode()
	}
	return h
}

func (s *survey) baseline() report.Baseline {
	b := s.facts.Baseline
	return report.Baseline{From: b.From, PID: b.PID, Comm: report.Text(b.Comm), IPC: b.IPC, PIDNS: b.PIDNS, Mnt: b.Mnt,
		Initial: b.Initial, Trusted: b.Trusted(), Note: report.Text(b.Note)}
}
