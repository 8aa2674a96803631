package ipc

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// As Linux prints them on 64-bit machines.
const (
	shmHeader = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n"
	semHeader = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
	msgHeader = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n"
)

func shmLine(s report.Shm) string {
	return fmt.Sprintf("%10d %10d  %4o %21d %5d %5d  %5d %5d %5d %5d %5d %10d %10d %10d %21d %21d\n",
		int32(s.Key), s.ID, s.Mode, s.Size, s.CPID, s.LPID, s.NAttch, s.UID, s.GID, s.CUID, s.CGID,
		uint64(s.ATime), uint64(s.DTime), uint64(s.CTime), s.RSS, s.Swap)
}

func semLine(s report.Sem) string {
	return fmt.Sprintf("%10d %10d  %4o %10d %5d %5d %5d %5d %10d %10d\n",
		int32(s.Key), s.ID, s.Mode, s.NSems, s.UID, s.GID, s.CUID, s.CGID, uint64(s.OTime), uint64(s.CTime))
}

func msgLine(m report.Msg) string {
	return fmt.Sprintf("%10d %10d  %4o  %10d %10d %5d %5d %5d %5d %5d %5d %10d %10d %10d\n",
		int32(m.Key), m.ID, m.Mode, m.CBytes, m.QNum, m.LSPID, m.LRPID, m.UID, m.GID, m.CUID, m.CGID,
		uint64(m.STime), uint64(m.RTime), uint64(m.CTime))
}

func TestParseShm(t *testing.T) {
	wide := report.Shm{
		ID: math.MaxInt32, Key: math.MaxUint32, Perms: "177777", Mode: math.MaxUint16, Size: math.MaxUint64,
		CPID: math.MaxInt32, LPID: math.MaxInt32, NAttch: math.MaxUint64,
		UID: math.MaxUint32, GID: math.MaxUint32, CUID: math.MaxUint32, CGID: math.MaxUint32,
		ATime: -1, DTime: math.MinInt64, CTime: math.MaxInt64, RSS: math.MaxUint64, Swap: math.MaxUint64,
	}
	for _, tt := range []struct {
		name string
		in   string
		want []report.Shm
	}{
		{"a namespace with nothing in it", shmHeader, []report.Shm{}},
		{"one segment", shmHeader +
			"      4660          7   600                  4096    12    13      2   999   998     0     1 1700000001 1700000002 1700000003                  8192                     0\n",
			[]report.Shm{{ID: 7, Key: 0x1234, Perms: "0600", Mode: 0o600, Size: 4096, CPID: 12, LPID: 13, NAttch: 2,
				UID: 999, GID: 998, CGID: 1, ATime: 1700000001, DTime: 1700000002, CTime: 1700000003, RSS: 8192}}},
		{"a private key, removed while attached", shmHeader + shmLine(report.Shm{Mode: 0o1600}),
			[]report.Shm{{Perms: "1600", Mode: 0o1600}}},
		{"no permission at all", shmHeader + shmLine(report.Shm{Mode: 0}), []report.Shm{{Perms: "0000"}}},
		{"every number as wide as the kernel's", shmHeader + shmLine(wide), []report.Shm{wide}},
		{"a key that the kernel prints as negative", shmHeader +
			"-559038737          0   600 1 0 0 0 0 0 0 0 0 0 0 0 0\n",
			[]report.Shm{{Key: 0xdeadbeef, Perms: "0600", Mode: 0o600, Size: 1}}},
		{"Linux 2.6.32: no rss and no swap",
			"       key      shmid perms       size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime\n" +
				"         1          2   644         10     0     0      0     0     0     0     0          0          0          9\n",
			[]report.Shm{{ID: 2, Key: 1, Perms: "0644", Mode: 0o644, Size: 10, CTime: 9}}},
		{"a later kernel with another column in the middle",
			"key shmid perms size novelty cpid lpid nattch uid gid cuid cgid atime dtime ctime\n1 2 600 4 abc 5 6 7 8 9 10 11 12 13 14\n",
			[]report.Shm{{ID: 2, Key: 1, Perms: "0600", Mode: 0o600, Size: 4, CPID: 5, LPID: 6, NAttch: 7, UID: 8, GID: 9, CUID: 10, CGID: 11, ATime: 12, DTime: 13, CTime: 14}}},
		{"the kernel's order is kept", shmHeader + shmLine(report.Shm{ID: 32768}) + shmLine(report.Shm{ID: 1}),
			[]report.Shm{{ID: 32768, Perms: "0000"}, {ID: 1, Perms: "0000"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseShm([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestParseSem(t *testing.T) {
	want := []report.Sem{
		{ID: 3, Key: 0x52e, Perms: "0600", Mode: 0o600, NSems: 17, UID: 101, GID: 104, CUID: 101, CGID: 104, OTime: 1700000001, CTime: 1700000002},
		{ID: 32771, Key: 0x80000000, Perms: "0666", Mode: 0o666, NSems: math.MaxInt32, UID: 1},
	}
	in := semHeader
	for _, s := range want {
		in += semLine(s)
	}
	got, err := ParseSem([]byte(in))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestParseMsg(t *testing.T) {
	want := []report.Msg{
		{ID: 0, Key: 77, Perms: "0644", Mode: 0o644, CBytes: 30, QNum: 3, LSPID: 8, LRPID: 9, UID: 1, GID: 2, CUID: 3, CGID: 4, STime: 5, RTime: 6, CTime: 7},
		{ID: 9, Perms: "0000", CBytes: math.MaxUint64, QNum: math.MaxUint64},
	}
	in := msgHeader
	for _, m := range want {
		in += msgLine(m)
	}
	got, err := ParseMsg([]byte(in))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestBadLines(t *testing.T) {
	good := func(id int64) string { return semLine(report.Sem{ID: id, NSems: 1}) }
	for _, tt := range []struct {
		name string
		in   string
		ids  []int64 // what is still returned
		line int
		bad  int
		says string
	}{
		{"nothing at all, on which ipcs loops for ever", "", nil, 1, 1, "empty"},
		{"half a header", semHeader[:20], nil, 1, 1, "ends within the header"},
		{"no header but a line", good(1), nil, 1, 1, `no column "key"`},
		{"a header without uid", "key semid perms nsems gid cuid cgid otime ctime\n", nil, 1, 1, `no column "uid"`},
		{"the same column twice", strings.Replace(semHeader, "nsems", "nsems nsems", 1), nil, 1, 1, "twice"},
		{"the header of another kind", shmHeader, nil, 1, 1, `no column "semid"`},
		{"a malformed line, on which ipcs loops for ever", semHeader + good(1) + "what is this\n" + good(2), []int64{1, 2}, 3, 1, "not a number"},
		{"cut in the middle of a line", semHeader + good(1) + strings.TrimRight(good(2), "\n"), []int64{1}, 3, 1, "ends within"},
		{"an empty line", semHeader + "\n" + good(2), []int64{2}, 2, 1, "0 fields"},
		{"a field too few", semHeader + "1 2 600 1 0 0 0 0 0\n", []int64{}, 2, 1, "9 fields where the header has 10"},
		{"a field too many", semHeader + "1 2 600 1 0 0 0 0 0 0 0\n", []int64{}, 2, 1, "more than the 10 fields"},
		{"a key wider than 32 bits", semHeader + "2147483648 2 600 1 0 0 0 0 0 0\n", []int64{}, 2, 1, `column "key"`},
		{"a key below 32 bits", semHeader + "-2147483649 2 600 1 0 0 0 0 0 0\n", []int64{}, 2, 1, `column "key"`},
		{"a lone minus", semHeader + "- 2 600 1 0 0 0 0 0 0\n", []int64{}, 2, 1, `column "key"`},
		{"a negative id", semHeader + "1 -2 600 1 0 0 0 0 0 0\n", []int64{}, 2, 1, `column "semid"`},
		{"an id wider than an int", semHeader + "1 2147483648 600 1 0 0 0 0 0 0\n", []int64{}, 2, 1, `column "semid"`},
		{"a mode that is not octal", semHeader + "1 2 680 1 0 0 0 0 0 0\n", []int64{}, 2, 1, `column "perms"`},
		{"a mode wider than 16 bits", semHeader + "1 2 200000 1 0 0 0 0 0 0\n", []int64{}, 2, 1, `column "perms"`},
		{"a uid wider than 32 bits", semHeader + "1 2 600 1 4294967296 0 0 0 0 0\n", []int64{}, 2, 1, `column "uid"`},
		{"a time wider than 64 bits", semHeader + "1 2 600 1 0 0 0 0 0 18446744073709551616\n", []int64{}, 2, 1, `column "ctime"`},
		{"a number of a hundred digits", semHeader + "1 2 600 " + strings.Repeat("9", 100) + " 0 0 0 0 0 0\n", []int64{}, 2, 1, "..."},
		{"many bad lines are one error", semHeader + strings.Repeat("x\n", 1000) + good(5), []int64{5}, 2, 1000, "999 more"},
		{"control bytes are quoted", semHeader + "\x1b[2J 2 600 1 0 0 0 0 0 0\n", []int64{}, 2, 1, `\x1b`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseSem([]byte(tt.in))
			var bad *FormatError
			if !errors.As(err, &bad) {
				t.Fatalf("err = %v, want a FormatError", err)
			}
			if bad.File != "sysvipc/sem" || bad.Line != tt.line || bad.Bad != tt.bad {
				t.Errorf("got %+v, want line %d, %d bad", *bad, tt.line, tt.bad)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
			if tt.ids == nil && got != nil {
				t.Errorf("got values without a header: %v", got)
			}
			if len(got) != len(tt.ids) {
				t.Fatalf("got %v, want ids %v", got, tt.ids)
			}
			for i := range got {
				if got[i].ID != tt.ids[i] {
					t.Errorf("value %d has id %d, want %d", i, got[i].ID, tt.ids[i])
				}
			}
		})
	}
}

func TestLinesOfNothingBuyNoMemory(t *testing.T) {
	in := append([]byte(semHeader), bytes.Repeat([]byte("\n"), 1<<20)...)
	got, err := ParseSem(in)
	if err == nil || cap(got) > len(in)/20 {
		t.Errorf("room for %d values from %d bytes, err %v", cap(got), len(in), err)
	}
}

// fuzzParser holds for every parser: what it returns, printed as the kernel
// prints and parsed again, is the same; no more values than lines; and no
// error means that every line was one value.
func fuzzParser[T any](f *testing.F, header string, parse func([]byte) ([]T, error), line func(T) string) {
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parse(b)
		lines := bytes.Count(b, []byte{'\n'})
		if len(got) >= lines && len(got) > 0 {
			t.Fatalf("%d values from %d lines", len(got), lines)
		}
		if err == nil && len(got) != lines-1 {
			t.Fatalf("no error, %d lines after the header and %d values", lines-1, len(got))
		}
		var again strings.Builder
		again.WriteString(header)
		for _, v := range got {
			again.WriteString(line(v))
		}
		got2, err := parse([]byte(again.String()))
		if err != nil {
			t.Fatalf("what was parsed does not parse again: %v\n%s", err, again.String())
		}
		if len(got) == 0 && len(got2) == 0 {
			return
		}
		if !reflect.DeepEqual(got, got2) {
			t.Fatalf("%+v\nbecame %+v", got, got2)
		}
	})
}

func FuzzParseShm(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(shmHeader + shmLine(report.Shm{ID: 1, Key: 0xdeadbeef, Mode: 0o1600, Size: 4096, ATime: -5})))
	f.Add([]byte("key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime\n1 2 3 4 5 6 7 8 9 10 11 12 13 14\nx\n"))
	fuzzParser(f, shmHeader, ParseShm, shmLine)
}

func FuzzParseSem(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(semHeader + semLine(report.Sem{ID: 1, Key: 0xdeadbeef, Mode: 0o600, NSems: 4})))
	fuzzParser(f, semHeader, ParseSem, semLine)
}

func FuzzParseMsg(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(msgHeader + msgLine(report.Msg{ID: 1, Key: 0xdeadbeef, Mode: 0o600, CBytes: 4})))
	fuzzParser(f, msgHeader, ParseMsg, msgLine)
}

func BenchmarkParse(b *testing.B) {
	const m = 32000
	var shm, sem, msg strings.Builder
	shm.WriteString(shmHeader)
	sem.WriteString(semHeader)
	msg.WriteString(msgHeader)
	for i := range int64(m) {
		shm.WriteString(shmLine(report.Shm{ID: i, Key: uint32(i), Mode: 0o600, Size: 1 << 20, CPID: 1234, LPID: 1234, UID: 1000, GID: 1000, CTime: 1.7e9}))
		sem.WriteString(semLine(report.Sem{ID: i, Key: uint32(i), Mode: 0o600, NSems: 1, UID: 1000, GID: 1000, CTime: 1.7e9}))
		msg.WriteString(msgLine(report.Msg{ID: i, Key: uint32(i), Mode: 0o600, UID: 1000, GID: 1000, CTime: 1.7e9}))
	}
	bench(b, "shm", shm.String(), ParseShm)
	bench(b, "sem", sem.String(), ParseSem)
	bench(b, "msg", msg.String(), ParseMsg)
}

func bench[T any](b *testing.B, name, file string, parse func([]byte) ([]T, error)) {
	for _, n := range []int{4000, 32000} {
		in := []byte(file)
		for i, left := 0, n; left >= 0; i++ { // the header is a line too
			if in[i] == '\n' {
				if left--; left < 0 {
					in = in[:i+1]
				}
			}
		}
		b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, err := parse(in); err != nil || len(got) != n {
					b.Fatal(len(got), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/object")
		})
	}
}
