package container

import "github.com/nsinspect/nsinspect/nsinspect/report"

// Row is what a list of processes says of one: where it is and whose. What only
// a visit reads is empty where there was none.
func Row(f *Facts, j *Judgement, p *Process) report.Process {
	b, member := f.Baseline, j.Of(p.PID)
	row := report.Process{
		PID: p.PID, Container: member.Ref, Role: string(member.Role),
		IPC:   report.Place{Inode: p.IPC, Host: b.IsIPC(p.IPC)},
		PIDNS: report.Place{Inode: p.PIDNS, Host: b.IsPID(p.PIDNS)},
		Mnt:   report.Place{Inode: p.Mnt, Host: p.Mnt != 0 && p.Mnt == b.Mnt},
	}
	if d := p.Detail; d != nil {
		row.PPID, row.Comm = d.PPID, report.Text(d.Comm)
		if d.State != 0 {
			row.State = report.Text(string(rune(d.State)))
		}
	}
	return row
}
