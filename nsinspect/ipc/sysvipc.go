package ipc

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// FormatError is a file of /proc/sysvipc that is not what the kernel prints.
type FormatError struct {
	File string // below /proc
	Line int    // the first bad line, the header being line 1
	Bad  int    // how many lines are bad
	Err  error  // what is wrong with the first of them
}

// Error implements error.
func (e *FormatError) Error() string {
	if e.Bad > 1 {
		return fmt.Sprintf("%s: line %d: %v (and %d more bad lines)", e.File, e.Line, e.Err, e.Bad-1)
	}
	return fmt.Sprintf("%s: line %d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns what is wrong with the first bad line.
func (e *FormatError) Unwrap() error { return e.Err }

// column is one column of a file below /proc/sysvipc and where its value goes.
// Columns are found by their name in the header line: rss and swap came with
// Linux 2.6.34, and a later kernel may add more.
type column[T any] struct {
	name     string
	optional bool
	set      func(*T, []byte) error
}

// parseTable reads a whole file. Bad lines are left out and told in a
// *[FormatError]; without a usable header there are no values at all.
func parseTable[T any](file string, b []byte, columns []column[T]) ([]T, error) {
	header, rest, found := bytes.Cut(b, []byte{'\n'})
	if !found {
		err := fmt.Errorf("ends within the header %s", excerpt(b))
		if len(b) == 0 {
			// The kernel prints the header for a namespace without objects too.
			err = fmt.Errorf("the file is empty, not even a header")
		}
		return nil, &FormatError{File: file, Line: 1, Bad: 1, Err: err}
	}
	byField, err := matchHeader(header, columns)
	if err != nil {
		return nil, &FormatError{File: file, Line: 1, Bad: 1, Err: err}
	}

	// A good line has a digit and a space for each field: lines of nothing must
	// not buy memory.
	lines := min(bytes.Count(rest, []byte{'\n'}), len(rest)/(2*len(byField)))
	values := make([]T, 0, lines)
	var bad *FormatError
	for n := 2; len(rest) > 0; n++ {
		var line []byte
		var lineErr error
		line, rest, found = bytes.Cut(rest, []byte{'\n'})
		// Parsed in its place: a value of its own would be one allocation a line.
		values = append(values, *new(T))
		if found {
			lineErr = parseLine(&values[len(values)-1], line, byField)
		} else {
			// The last number of a line without an end may have lost digits.
			lineErr = fmt.Errorf("the file ends within the line")
		}
		if lineErr == nil {
			continue
		}
		values = values[:len(values)-1]
		if bad == nil {
			bad = &FormatError{File: file, Line: n, Err: lineErr}
		}
		bad.Bad++
	}
	if bad != nil {
		return values, bad
	}
	return values, nil
}

// matchHeader tells for each field of a line which column it is; nil for one
// that is not known.
func matchHeader[T any](header []byte, columns []column[T]) ([]*column[T], error) {
	names := bytes.Fields(header)
	if len(names) > 64 {
		return nil, fmt.Errorf("the header has %d columns", len(names))
	}
	byField := make([]*column[T], len(names))
	for i := range columns {
		at := -1
		for j, name := range names {
			if string(name) != columns[i].name {
				continue
			}
			if at >= 0 {
				return nil, fmt.Errorf("the header has the column %q twice", name)
			}
			at = j
		}
		if at < 0 {
			if columns[i].optional {
				continue
			}
			return nil, fmt.Errorf("the header %s has no column %q", excerpt(header), columns[i].name)
		}
		byField[at] = &columns[i]
	}
	return byField, nil
}

func parseLine[T any](v *T, line []byte, byField []*column[T]) error {
	n := 0
	for i := 0; i < len(line); {
		if line[i] == ' ' {
			i++
			continue
		}
		end := i
		for end < len(line) && line[end] != ' ' {
			end++
		}
		if n == len(byField) {
			return fmt.Errorf("more than the %d fields of the header", len(byField))
		}
		if c := byField[n]; c != nil {
			if err := c.set(v, line[i:end]); err != nil {
				return fmt.Errorf("column %q: %w", c.name, err)
			}
		}
		n++
		i = end
	}
	if n != len(byField) {
		return fmt.Errorf("%d fields where the header has %d", n, len(byField))
	}
	return nil
}

// number reads an unsigned decimal number of at most max.
func number(field []byte, max uint64) (uint64, error) {
	return digits(field, 10, max)
}

func digits(field []byte, base, max uint64) (uint64, error) {
	if len(field) == 0 {
		return 0, fmt.Errorf("no number")
	}
	var n uint64
	for _, c := range field {
		d := uint64(c - '0')
		if c < '0' || d >= base {
			return 0, fmt.Errorf("%s is not a number", excerpt(field))
		}
		if n > (max-d)/base {
			return 0, fmt.Errorf("%s is more than the kernel's %d", excerpt(field), max)
		}
		n = n*base + d
	}
	return n, nil
}

// key reads a key_t, which the kernel prints signed and everybody else shows unsigned.
func key(field []byte) (uint32, error) {
	if len(field) > 0 && field[0] == '-' {
		n, err := number(field[1:], 1<<31)
		return uint32(-int64(n)), err
	}
	n, err := number(field, math.MaxInt32)
	return uint32(n), err
}

// mode reads the kernel's umode_t, 16 bits in octal.
func mode(field []byte) (uint32, error) {
	n, err := digits(field, 8, math.MaxUint16)
	return uint32(n), err
}

// seconds reads a time64_t, which the kernel prints unsigned: a time before
// 1970 comes as a number above the largest int64 and is turned back.
func seconds(field []byte) (int64, error) {
	n, err := number(field, math.MaxUint64)
	return int64(n), err
}

func pid(field []byte) (int, error) {
	n, err := number(field, math.MaxInt32)
	return int(n), err
}

func id(field []byte) (int64, error) {
	n, err := number(field, math.MaxInt32)
	return int64(n), err
}

// uid reads a uid or gid; one that has no name in the reader's user namespace
// comes as the overflow id (65534), which says nothing of the owner.
func uid(field []byte) (uint32, error) {
	n, err := number(field, math.MaxUint32)
	return uint32(n), err
}

func long(field []byte) (uint64, error) { return number(field, math.MaxUint64) }

// into makes a column that stores what read makes of the field.
func into[T, V any](name string, read func([]byte) (V, error), where func(*T) *V) column[T] {
	return column[T]{name: name, set: func(t *T, field []byte) error {
		v, err := read(field)
		if err == nil {
			*where(t) = v
		}
		return err
	}}
}

func optional[T any](c column[T]) column[T] {
	c.optional = true
	return c
}

// perms writes a mode as the report does.
func perms(mode uint32) string {
	b := make([]byte, 0, 6)
	for width := uint32(0o1000); width > 1 && mode < width; width /= 8 {
		b = append(b, '0')
	}
	return string(strconv.AppendUint(b, uint64(mode), 8))
}

// excerpt quotes the beginning of something that may be large and hostile.
func excerpt(b []byte) string {
	const most = 40
	if len(b) > most {
		return strconv.Quote(string(b[:most])) + "..."
	}
	return strconv.Quote(string(b))
}

// ParseShm reads the content of /proc/sysvipc/shm (ipc/shm.c,
// sysvipc_shm_proc_show). RSS and Swap are 0 on kernels before 2.6.34.
// On an error the lines that could be read are returned beside it.
func ParseShm(b []byte) ([]report.Shm, error) {
	type shm = report.Shm
	return parseTable("sysvipc/shm", b, []column[shm]{
		into("key", key, func(s *shm) *uint32 { return &s.Key }),
		into("shmid", id, func(s *shm) *int64 { return &s.ID }),
		{name: "perms", set: func(s *shm, f []byte) error { return setMode(f, &s.Mode, &s.Perms) }},
		into("size", long, func(s *shm) *uint64 { return &s.Size }),
		into("cpid", pid, func(s *shm) *int { return &s.CPID }),
		into("lpid", pid, func(s *shm) *int { return &s.LPID }),
		into("nattch", long, func(s *shm) *uint64 { return &s.NAttch }),
		into("uid", uid, func(s *shm) *uint32 { return &s.UID }),
		into("gid", uid, func(s *shm) *uint32 { return &s.GID }),
		into("cuid", uid, func(s *shm) *uint32 { return &s.CUID }),
		into("cgid", uid, func(s *shm) *uint32 { return &s.CGID }),
		into("atime", seconds, func(s *shm) *int64 { return &s.ATime }),
		into("dtime", seconds, func(s *shm) *int64 { return &s.DTime }),
		into("ctime", seconds, func(s *shm) *int64 { return &s.CTime }),
		optional(into("rss", long, func(s *shm) *uint64 { return &s.RSS })),
		optional(into("swap", long, func(s *shm) *uint64 { return &s.Swap })),
	})
}

// ParseSem reads the content of /proc/sysvipc/sem (ipc/sem.c,
// sysvipc_sem_proc_show). On an error the lines that could be read are
// returned beside it.
func ParseSem(b []byte) ([]report.Sem, error) {
	type sem = report.Sem
	return parseTable("sysvipc/sem", b, []column[sem]{
		into("key", key, func(s *sem) *uint32 { return &s.Key }),
		into("semid", id, func(s *sem) *int64 { return &s.ID }),
		{name: "perms", set: func(s *sem, f []byte) error { return setMode(f, &s.Mode, &s.Perms) }},
		into("nsems", nsems, func(s *sem) *uint64 { return &s.NSems }),
		into("uid", uid, func(s *sem) *uint32 { return &s.UID }),
		into("gid", uid, func(s *sem) *uint32 { return &s.GID }),
		into("cuid", uid, func(s *sem) *uint32 { return &s.CUID }),
		into("cgid", uid, func(s *sem) *uint32 { return &s.CGID }),
		into("otime", seconds, func(s *sem) *int64 { return &s.OTime }),
		into("ctime", seconds, func(s *sem) *int64 { return &s.CTime }),
	})
}

// ParseMsg reads the content of /proc/sysvipc/msg (ipc/msg.c,
// sysvipc_msg_proc_show). On an error the lines that could be read are
// returned beside it.
func ParseMsg(b []byte) ([]report.Msg, error) {
	type msg = report.Msg
	return parseTable("sysvipc/msg", b, []column[msg]{
		into("key", key, func(m *msg) *uint32 { return &m.Key }),
		into("msqid", id, func(m *msg) *int64 { return &m.ID }),
		{name: "perms", set: func(m *msg, f []byte) error { return setMode(f, &m.Mode, &m.Perms) }},
		into("cbytes", long, func(m *msg) *uint64 { return &m.CBytes }),
		into("qnum", long, func(m *msg) *uint64 { return &m.QNum }),
		into("lspid", pid, func(m *msg) *int { return &m.LSPID }),
		into("lrpid", pid, func(m *msg) *int { return &m.LRPID }),
		into("uid", uid, func(m *msg) *uint32 { return &m.UID }),
		into("gid", uid, func(m *msg) *uint32 { return &m.GID }),
		into("cuid", uid, func(m *msg) *uint32 { return &m.CUID }),
		into("cgid", uid, func(m *msg) *uint32 { return &m.CGID }),
		into("stime", seconds, func(m *msg) *int64 { return &m.STime }),
		into("rtime", seconds, func(m *msg) *int64 { return &m.RTime }),
		into("ctime", seconds, func(m *msg) *int64 { return &m.CTime }),
	})
}

func setMode(field []byte, to *uint32, text *string) error {
	m, err := mode(field)
	*to, *text = m, perms(m)
	return err
}

// nsems reads the count of semaphores in a set, an int since Linux 4.11 and printed as unsigned.
func nsems(field []byte) (uint64, error) { return number(field, math.MaxInt32) }
