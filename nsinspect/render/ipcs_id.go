package render

import "github.com/nsinspect/nsinspect/nsinspect/report"

// IPCSShm returns what ipcs -m -i prints of a segment.
func IPCSShm(s report.Shm, unit IPCSUnit, l IPCSLocale) []byte {
	p := newIPCSPrinter(l)
	p.say("\nShared memory Segment shmid=%d\n", s.ID)
	p.say("uid=%u\tgid=%u\tcuid=%u\tcgid=%u\n", s.UID, s.GID, s.CUID, s.CGID)
	p.say("mode=%#o\taccess_perms=%#o\n", s.Mode, s.Mode&0o777)
	p.named(unit, "bytes=", "size=", s.Size)
	p.say("lpid=%u\tcpid=%u\tnattch=%jd\n", s.LPID, s.CPID, s.NAttch)
	p.say("att_time=%-26.24s\n", p.when(s.ATime))
	p.say("det_time=%-26.24s\n", p.when(s.DTime))
	p.say("change_time=%-26.24s\n", p.ctime(s.CTime))
	p.text("\n")
	return p.out
}

// IPCSMsg returns what ipcs -q -i prints of a queue; qbytes is the most that the queue may hold.
func IPCSMsg(m report.Msg, qbytes uint64, unit IPCSUnit, l IPCSLocale) []byte {
	p := newIPCSPrinter(l)
	p.say("\nMessage Queue msqid=%d\n", m.ID)
	p.say("uid=%u\tgid=%u\tcuid=%u\tcgid=%u\tmode=%#o\n", m.UID, m.GID, m.CUID, m.CGID, m.Mode)
	p.named(unit, "cbytes=", "csize=", m.CBytes)
	p.named(unit, "qbytes=", "qsize=", qbytes)
	p.plain("qnum=%jd\tlspid=%d\tlrpid=%d\n", m.QNum, m.LSPID, m.LRPID)
	p.say("send_time=%-26.24s\n", p.when(m.STime))
	p.say("rcv_time=%-26.24s\n", p.when(m.RTime))
	p.say("change_time=%-26.24s\n", p.when(m.CTime))
	p.text("\n")
	return p.out
}

// IPCSSem returns what ipcs -s -i prints of a set and its semaphores.
func IPCSSem(s report.Sem, semaphores []report.Semaphore, l IPCSLocale) []byte {
	p := newIPCSPrinter(l)
	p.say("\nSemaphore Array semid=%d\n", s.ID)
	p.say("uid=%u\t gid=%u\t cuid=%u\t cgid=%u\n", s.UID, s.GID, s.CUID, s.CGID)
	p.say("mode=%#o, access_perms=%#o\n", s.Mode, s.Mode&0o777)
	p.say("nsems = %ju\n", s.NSems)
	p.say("otime = %-26.24s\n", p.when(s.OTime))
	p.say("ctime = %-26.24s\n", p.ctime(s.CTime))
	p.heading("%-10s %-10s %-10s %-10s %-10s\n", "semnum", "value", "ncount", "zcount", "pid")
	for i, e := range semaphores {
		p.plain("%-10d %-10d %-10d %-10d %-10d\n", i, e.Value, e.NCount, e.ZCount, e.PID)
	}
	p.text("\n")
	return p.out
}

// named prints a size after the name that its unit gives it.
func (p *ipcsPrinter) named(unit IPCSUnit, digits, human string, bytes uint64) {
	name := digits
	if unit == IPCSHuman {
		name = human
	}
	p.text(p.Message(name))
	p.size(unit, bytes, "%d\t", "%s\t")
}
