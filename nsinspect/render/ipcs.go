package render

import (
	"math"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// IPCSFormat is which table of ipcs(1) is wanted.
type IPCSFormat uint8

// The tables of ipcs(1).
const (
	IPCSObjects  IPCSFormat = iota
	IPCSTimes               // -t
	IPCSPIDs                // -p
	IPCSCreators            // -c
	IPCSLimits              // -l
	IPCSSummary             // -u
)

// IPCSUnit is how ipcs(1) writes sizes.
type IPCSUnit uint8

// The units of ipcs(1).
const (
	IPCSDefault IPCSUnit = iota
	IPCSBytes            // -b
	IPCSHuman            // --human
)

// IPCSView is what ipcs(1) was asked for. No kind of object means all kinds.
type IPCSView struct {
	Msg, Shm, Sem bool
	Format        IPCSFormat
	Unit          IPCSUnit
}

// IPCSData is what ipcs(1) shows, for one IPC namespace.
type IPCSData struct {
	Shm    []report.Shm
	Sem    []report.Sem
	Msg    []report.Msg
	Limits report.IPCLimits
	// PageSize is the kernel's, in bytes: shmall and the summary count pages.
	PageSize uint64
}

// IPCSLocale is what ipcs(1) takes from its surroundings.
type IPCSLocale struct {
	Users, Groups map[uint32]string // names by id; a number is shown where there is none
	Zone          *time.Location    // nil for UTC
	Decimal       string            // the decimal point of sizes, "" for "."
	// Message translates a text or printf format of util-linux; nil for English.
	Message func(string) string
}

// IPCS returns what ipcs of util-linux 2.38 prints for the same objects, byte
// for byte; docs/ipcs.md lists the exceptions. Names and times that come from
// the system are as hostile as those files are: owned by root.
func IPCS(v IPCSView, d IPCSData, l IPCSLocale) []byte {
	if !v.Msg && !v.Shm && !v.Sem {
		v.Msg, v.Shm, v.Sem = true, true, true
	}
	p := newIPCSPrinter(l)
	p.text("\n")
	if v.Msg {
		p.messages(v, d)
		p.text("\n")
	}
	if v.Shm {
		p.segments(v, d)
		p.text("\n")
	}
	if v.Sem {
		p.semaphores(v, d)
		p.text("\n")
	}
	return p.out
}

// ipcsPrinter gathers the output.
type ipcsPrinter struct {
	IPCSLocale
	out []byte
}

func newIPCSPrinter(l IPCSLocale) *ipcsPrinter {
	if l.Zone == nil {
		l.Zone = time.UTC
	}
	if l.Decimal == "" {
		l.Decimal = "."
	}
	if l.Message == nil {
		l.Message = func(s string) string { return s }
	}
	return &ipcsPrinter{IPCSLocale: l}
}

func (p *ipcsPrinter) text(s string) { p.out = append(p.out, s...) }

// plain prints a format that util-linux does not translate.
func (p *ipcsPrinter) plain(format string, args ...any) { p.out = appendC(p.out, format, args...) }

// say prints a format that it does translate.
func (p *ipcsPrinter) say(format string, args ...any) {
	p.out = appendC(p.out, p.Message(format), args...)
}

// heading prints a line of translated column titles.
func (p *ipcsPrinter) heading(format string, titles ...string) {
	args := make([]any, len(titles))
	for i, t := range titles {
		args[i] = p.Message(t)
	}
	p.plain(format, args...)
}

// owner prints the first two columns of most tables.
func (p *ipcsPrinter) owner(idFormat string, id int64, uid uint32) {
	p.plain(idFormat, id)
	if name, ok := p.Users[uid]; ok {
		p.plain(" %-10.10s", name)
	} else {
		p.plain(" %-10u", uid)
	}
}

// creators prints a line of -c, where names are not cut.
func (p *ipcsPrinter) creators(id int64, mode, cuid, cgid, uid, gid uint32) {
	p.plain("%-10d %-10o", id, mode&0o777)
	name := func(names map[uint32]string, id uint32) {
		if name, ok := names[id]; ok {
			p.plain(" %-10s", name)
		} else {
			p.plain(" %-10u", id)
		}
	}
	name(p.Users, cuid)
	name(p.Groups, cgid)
	name(p.Users, uid)
	name(p.Groups, gid)
	p.text("\n")
}

// ctime is ctime(3) without its newline: always English, in whatever locale.
func (p *ipcsPrinter) ctime(seconds int64) string {
	// Beyond, the year does not fit an int and ctime(3) gives no text.
	const most = math.MaxInt32 * 31556952
	if seconds > most || seconds < -most {
		return "a time out of range     "
	}
	t := time.Unix(seconds, 0).In(p.Zone)
	return string(appendC(nil, "%s %s%3d ", t.Weekday().String()[:3], t.Month().String()[:3], t.Day())) +
		t.Format("15:04:05 ") + string(appendC(nil, "%d", t.Year()))
}

// when is a time, or the text for none.
func (p *ipcsPrinter) when(seconds int64) string {
	if seconds == 0 {
		return p.Message("Not set")
	}
	return p.ctime(seconds)
}

// shortWhen is when without the day of the week.
func (p *ipcsPrinter) shortWhen(seconds int64) string {
	if seconds == 0 {
		return p.Message("Not set")
	}
	return p.ctime(seconds)[4:] + "\n"
}

// size prints a size as a field of the given printf width, right for positive widths.
func (p *ipcsPrinter) size(unit IPCSUnit, bytes uint64, digits, human string) {
	if unit == IPCSHuman {
		p.plain(human, sizeLetters(bytes, p.Decimal))
	} else {
		p.plain(digits, bytes)
	}
}

// limit prints a line of -l or -u that has a size.
func (p *ipcsPrinter) limit(unit IPCSUnit, label string, value uint64) {
	label = p.Message(label)
	if unit == IPCSHuman {
		p.plain("%s = %s\n", label, sizeLetters(value, p.Decimal))
		return
	}
	p.say("%s (bytes) = ", label)
	p.plain("%d\n", value)
}

func (p *ipcsPrinter) messages(v IPCSView, d IPCSData) {
	switch v.Format {
	case IPCSLimits:
		p.say("------ Messages Limits --------\n")
		p.say("max queues system wide = %d\n", d.Limits.MsgMNI)
		p.limit(v.Unit, "max size of message", d.Limits.MsgMax)
		p.limit(v.Unit, "default max size of queue", d.Limits.MsgMNB)
		return
	case IPCSSummary:
		var messages, bytes uint64
		for _, m := range d.Msg {
			messages += m.QNum
			bytes += m.CBytes
		}
		p.say("------ Messages Status --------\n")
		p.say("allocated queues = %d\n", len(d.Msg))
		// The kernel gives both as an int that stops at the largest one (ipc/msg.c, msgctl_info).
		p.say("used headers = %d\n", min(messages, math.MaxInt32))
		if bytes = min(bytes, math.MaxInt32); v.Unit == IPCSDefault {
			p.plain("%s = %d", p.Message("used space"), bytes)
			p.say(" bytes\n")
		} else {
			p.limit(v.Unit, "used space", bytes)
		}
		return
	case IPCSCreators:
		p.say("------ Message Queues Creators/Owners --------\n")
		p.heading("%-10s %-10s %-10s %-10s %-10s %-10s\n", "msqid", "perms", "cuid", "cgid", "uid", "gid")
	case IPCSTimes:
		p.say("------ Message Queues Send/Recv/Change Times --------\n")
		p.heading("%-8s %-10s %-20s %-20s %-20s\n", "msqid", "owner", "send", "recv", "change")
	case IPCSPIDs:
		p.say("------ Message Queues PIDs --------\n")
		p.heading("%-10s %-10s %-10s %-10s\n", "msqid", "owner", "lspid", "lrpid")
	default:
		used := "used-bytes"
		if v.Unit == IPCSHuman {
			used = "size"
		}
		p.say("------ Message Queues --------\n")
		p.heading("%-10s %-10s %-10s %-10s %-12s %-12s\n", "key", "msqid", "owner", "perms", used, "messages")
	}
	for _, m := range d.Msg {
		switch v.Format {
		case IPCSCreators:
			p.creators(m.ID, m.Mode, m.CUID, m.CGID, m.UID, m.GID)
		case IPCSTimes:
			p.owner("%-8d", m.ID, m.UID)
			p.plain(" %-20.16s %-20.16s %-20.16s\n", p.shortWhen(m.STime), p.shortWhen(m.RTime), p.shortWhen(m.CTime))
		case IPCSPIDs:
			p.owner("%-8d", m.ID, m.UID)
			p.plain("  %5d     %5d\n", m.LSPID, m.LRPID)
		default:
			p.key(m.Key)
			p.owner("%-10d", m.ID, m.UID)
			p.plain(" %-10o ", m.Mode&0o777)
			p.size(v.Unit, m.CBytes, "%-12d", "%6s      ")
			p.plain(" %-12d\n", m.QNum)
		}
	}
}

func (p *ipcsPrinter) segments(v IPCSView, d IPCSData) {
	switch v.Format {
	case IPCSLimits:
		p.shmLimits(v.Unit, d)
		return
	case IPCSSummary:
		var pages, resident, swapped uint64
		page := max(d.PageSize, 1)
		for _, s := range d.Shm {
			pages += s.Size/page + min(s.Size%page, 1)
			resident += s.RSS / page
			swapped += s.Swap / page
		}
		p.say("------ Shared Memory Status --------\n")
		// Attempts and successes have been 0 since Linux 2.4.
		p.say("segments allocated %d\npages allocated %ld\npages resident  %ld\npages swapped   %ld\n"+
			"Swap performance: %ld attempts\t %ld successes\n", len(d.Shm), pages, resident, swapped, 0, 0)
		return
	case IPCSCreators:
		p.say("------ Shared Memory Segment Creators/Owners --------\n")
		p.heading("%-10s %-10s %-10s %-10s %-10s %-10s\n", "shmid", "perms", "cuid", "cgid", "uid", "gid")
	case IPCSTimes:
		p.say("------ Shared Memory Attach/Detach/Change Times --------\n")
		p.heading("%-10s %-10s %-20s %-20s %-20s\n", "shmid", "owner", "attached", "detached", "changed")
	case IPCSPIDs:
		p.say("------ Shared Memory Creator/Last-op PIDs --------\n")
		p.heading("%-10s %-10s %-10s %-10s\n", "shmid", "owner", "cpid", "lpid")
	default:
		size := "bytes"
		if v.Unit == IPCSHuman {
			size = "size"
		}
		p.say("------ Shared Memory Segments --------\n")
		p.heading("%-10s %-10s %-10s %-10s %-10s %-10s %-12s\n", "key", "shmid", "owner", "perms", size, "nattch", "status")
	}
	for _, s := range d.Shm {
		switch v.Format {
		case IPCSCreators:
			p.creators(s.ID, s.Mode, s.CUID, s.CGID, s.UID, s.GID)
		case IPCSTimes:
			p.owner("%-10d", s.ID, s.UID)
			p.plain(" %-20.16s %-20.16s %-20.16s\n", p.shortWhen(s.ATime), p.shortWhen(s.DTime), p.shortWhen(s.CTime))
		case IPCSPIDs:
			p.owner("%-10d", s.ID, s.UID)
			p.plain(" %-10u %-10u\n", s.CPID, s.LPID)
		default:
			p.key(s.Key)
			p.owner("%-10d", s.ID, s.UID)
			p.plain(" %-10o ", s.Mode&0o777)
			p.size(v.Unit, s.Size, "%-10d", "%6s    ")
			p.plain(" %-10d %-6s %-6s\n", s.NAttch, p.flag(s.Mode&shmDest, "dest"), p.flag(s.Mode&shmLocked, "locked"))
		}
	}
}

// Bits of a segment's mode beside its permissions (include/linux/shm.h).
const (
	shmDest   = 0o1000 // removed, and waiting for the last detach
	shmLocked = 0o2000 // not swapped
)

func (p *ipcsPrinter) flag(set uint32, name string) string {
	if set == 0 {
		return " "
	}
	return p.Message(name)
}

func (p *ipcsPrinter) shmLimits(unit IPCSUnit, d IPCSData) {
	l := d.Limits
	p.say("------ Shared Memory Limits --------\n")
	p.say("max number of segments = %ju\n", l.ShmMNI)
	if unit == IPCSDefault {
		p.say("%s (kbytes) = ", p.Message("max seg size"))
		p.plain("%d\n", l.ShmMax/1024)
		p.plain("%s = %d\n", p.Message("max total shared memory (kbytes)"), saturated(l.ShmAll, d.PageSize/1024))
	} else {
		p.limit(unit, "max seg size", l.ShmMax)
		p.limit(unit, "max total shared memory", saturated(l.ShmAll, d.PageSize))
	}
	const shmMin = 1 // include/uapi/linux/shm.h
	p.limit(unit, "min seg size", shmMin)
}

// saturated multiplies; what does not fit becomes the largest multiple of unit that does.
func saturated(n, unit uint64) uint64 {
	if unit != 0 && n > math.MaxUint64/unit {
		return math.MaxUint64 - math.MaxUint64%unit
	}
	return n * unit
}

func (p *ipcsPrinter) semaphores(v IPCSView, d IPCSData) {
	switch v.Format {
	case IPCSLimits:
		const semVMX = 32767 // the largest value of a semaphore (include/uapi/linux/sem.h)
		p.say("------ Semaphore Limits --------\n")
		p.say("max number of arrays = %d\n", d.Limits.SemMNI)
		p.say("max semaphores per array = %d\n", d.Limits.SemMSL)
		p.say("max semaphores system wide = %d\n", d.Limits.SemMNS)
		p.say("max ops per semop call = %d\n", d.Limits.SemOPM)
		p.say("semaphore max value = %u\n", semVMX)
		return
	case IPCSSummary:
		var semaphores uint64
		for _, s := range d.Sem {
			semaphores += s.NSems
		}
		p.say("------ Semaphore Status --------\n")
		p.say("used arrays = %d\n", len(d.Sem))
		p.say("allocated semaphores = %d\n", semaphores)
		return
	case IPCSCreators:
		p.say("------ Semaphore Arrays Creators/Owners --------\n")
		p.heading("%-10s %-10s %-10s %-10s %-10s %-10s\n", "semid", "perms", "cuid", "cgid", "uid", "gid")
	case IPCSTimes:
		p.say("------ Semaphore Operation/Change Times --------\n")
		p.heading("%-8s %-10s %-26.24s %-26.24s\n", "semid", "owner", "last-op", "last-changed")
	case IPCSPIDs:
		return // a set keeps no PID, only its semaphores do: see -i
	default:
		p.say("------ Semaphore Arrays --------\n")
		p.heading("%-10s %-10s %-10s %-10s %-10s\n", "key", "semid", "owner", "perms", "nsems")
	}
	for _, s := range d.Sem {
		switch v.Format {
		case IPCSCreators:
			p.creators(s.ID, s.Mode, s.CUID, s.CGID, s.UID, s.GID)
		case IPCSTimes:
			p.owner("%-8d", s.ID, s.UID)
			p.plain("  %-26.24s %-26.24s\n", p.when(s.OTime), p.when(s.CTime))
		default:
			p.key(s.Key)
			p.owner("%-10d", s.ID, s.UID)
			p.plain(" %-10o %-10d\n", s.Mode&0o777, s.NSems)
		}
	}
}

// key prints the first column of the default tables.
func (p *ipcsPrinter) key(key uint32) {
	const hex = "0123456789abcdef"
	p.text("0x")
	for shift := 28; shift >= 0; shift -= 4 {
		p.out = append(p.out, hex[key>>shift&0xf])
	}
	p.text(" ")
}
