package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/procfs"
)

func TestParseLiveness(t *testing.T) {
	tests := []struct {
		story, stat string
		dead, ok    bool
	}{
		{"a sleeper", "7 (sleep) S 1 7 7 0 -1 4194304 1 2", false, true},
		{"a zombie", "7 (sleep) Z 1 7 7 0 -1 4227084 1 2", true, true},
		{"dying, not a zombie yet", "7 (sleep) R 1 7 7 0 -1 4194308 1 2", true, true},
		{"dead since Linux 3.14", "7 (sleep) X 1 7 7 0 -1 0 1", true, true},
		{"calls itself a zombie", "7 (a) Z 1 7 7 0 -1 4 () S 1 7 7 0 -1 4194304 1 2", false, true},
		{"name of parentheses", "7 (" + strings.Repeat(")", 4096) + ") Z 1 7 7 0 -1 0", true, true},
		{"name with a newline", "7 (a\nb) S 1 7 7 0 -1 0", false, true},
		{"nothing", "", false, false},
		{"no name", "7 sleep Z 1 7 7 0 -1 4", false, false},
		{"ends after the name", "7 (sleep)", false, false},
		{"no flags", "7 (sleep) Z 1 7 7 0 -1", false, false},
		{"flags that are no number", "7 (sleep) Z 1 7 7 0 -1 x", false, false},
		{"a state of two letters", "7 (sleep) ZZ 1 7 7 0 -1 0", false, false},
	}
	for _, tt := range tests {
		if dead, ok := parseLiveness([]byte(tt.stat)); dead != tt.dead || ok != tt.ok {
			t.Errorf("%s: got %t, %t", tt.story, dead, ok)
		}
	}
}

func FuzzParseLiveness(f *testing.F) {
	f.Add([]byte("7 (sleep) Z 1 7 7 0 -1 4227084 1 2"))
	f.Add([]byte("7 (a) Z) S 1 7 7 0 -1 4 1 2"))
	f.Add([]byte(")"))
	f.Fuzz(func(t *testing.T, stat []byte) {
		if dead, ok := parseLiveness(stat); dead && !ok {
			t.Error("dead by a file that is none")
		}
	})
}

// statOfASession is what Linux 6.18 has printed for a shell.
const statOfASession = "1466 (bash) S 1465 1466 1466 34816 1490 4194304 2385 36103 0 14 4 2 61 17 20 0 1 0 45117 4661248 933 18446744073709551615 " +
	"94186127708160 94186128620733 140723908170640 0 0 0 65536 3686404 1266761467 1 0 0 17 1 0 0 0 0 0 94186128866192 94186128914164 94186157002752 " +
	"140723908176541 140723908176546 140723908176546 140723908177902 0\n"

func TestParseStat(t *testing.T) {
	shell := stat{comm: "bash", state: 'S', ppid: 1465, flags: 0x400000, threads: 1, start: 45117}
	for _, tt := range []struct {
		story, text string
		want        stat // without a state: not the kernel's
	}{
		{"a shell", statOfASession, shell},
		{"nothing behind the start", "1466 (bash) S 1465 1466 1466 34816 1490 4194304 2385 36103 0 14 4 2 61 17 20 0 1 0 45117", shell},
		{"no terminal, real time", "7 (a) R 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 -2 -20 1 0 5 0", stat{comm: "a", state: 'R', threads: 1, start: 5}},
		{"calls itself dead", "7 (a) Z 1) S 2 0 0 0 -1 4 0 0 0 0 0 0 0 0 20 0 3 0 5 0", stat{comm: "a) Z 1", state: 'S', ppid: 2, flags: 4, threads: 3, start: 5}},
		{"more faults, ticks and bytes than 32 bits count", "7 (big) S 1 7 7 0 -1 4194304 5000000000 5000000001 5000000002 5000000003 5000000004 5000000005 5000000006 5000000007 20 0 1 0 5000000008 18446744073709551615 9",
			stat{comm: "big", state: 'S', ppid: 1, flags: 0x400000, threads: 1, start: 5000000008}},
		{"nothing", "", stat{}},
		{"the parentheses the wrong way round", ")(" + statOfASession[11:], stat{}},
		{"cut before the start", "1466 (bash) S 1465 1466 1466 34816 1490 4194304 2385 36103 0 14 4 2 61 17 20 0 1 0", stat{}},
		{"a start that is no number", "7 (a) R 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 -2 0 1 0 x 0", stat{}},
		{"a negative parent", "7 (a) R -1 0 0 0 -1 0 0 0 0 0 0 0 0 0 -2 0 1 0 5 0", stat{}},
		{"a parent of 33 bits", "7 (a) R 4294967297 0 0 0 -1 0 0 0 0 0 0 0 0 0 -2 0 1 0 5 0", stat{}},
		{"a word where a number is not looked at", "7 (a) R 1 x 0 0 -1 0 0 0 0 0 0 0 0 0 -2 0 1 0 5 0", stat{}},
		{"a state that is no letter", "7 (a) 0 1 0 0 0 -1 0 0 0 0 0 0 0 0 0 -2 0 1 0 5 0", stat{}},
	} {
		if got, ok := parseStat([]byte(tt.text)); got != tt.want || ok != (tt.want.state != 0) {
			t.Errorf("%s: got %+v, %t", tt.story, got, ok)
		}
	}
}

// FuzzParseStat: what is taken is read again from what is printed of it, agrees with the shorter reading of the hot
// pass, and with the library's, wherever that takes the file too.
func FuzzParseStat(f *testing.F) {
	if own, err := os.ReadFile("/proc/self/stat"); err == nil {
		f.Add(own)
	}
	for _, s := range []string{
		statOfASession, "7 (a) Z 1) S 2 0 0 0 -1 4 0 0 0 0 0 0 0 0 20 0 3 0 5 0", "7 ()) S 1", ")(", "1 (\x1b[2J\n) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 0",
		"7 (big) S 1 7 7 0 -1 4194304 5000000000 0 0 0 0 0 0 0 20 0 1 0 18446744073709551615 18446744073709551616",
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "7"), 0o755); err != nil {
		f.Fatal(err)
	}
	library, err := procfs.NewFS(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, ok := parseStat(text)
		if !ok {
			if s != (stat{}) {
				t.Fatalf("no stat file, and yet %+v", s)
			}
			return
		}
		if state, flags, ok := parseFlags(text); !ok || state != s.state || flags != s.flags {
			t.Fatalf("%+v, but in short %c, %d, %t", s, state, flags, ok)
		}
		again := fmt.Appendf(nil, "1 (%s) %c %d 0 0 0 -1 %d 0 0 0 0 0 0 0 0 20 0 %d 0 %d 0\n", s.comm, s.state, s.ppid, s.flags, s.threads, s.start)
		if got, ok := parseStat(again); !ok || got != s {
			t.Fatalf("%+v became %+v", s, got)
		}
		if err := os.WriteFile(filepath.Join(dir, "7", "stat"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := library.Proc(7)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := readByLibrary(p); err == nil && s.start < 1<<63 &&
			(l.Comm != s.comm || l.State != string(s.state) || l.PPID != s.ppid || uint64(l.Flags) != s.flags || l.NumThreads != s.threads || l.Starttime != s.start) {
			t.Fatalf("%+v, but the library has %+v", s, l)
		}
	})
}

// readByLibrary makes an error of the panic with which the library answers some files.
func readByLibrary(p procfs.Proc) (s procfs.ProcStat, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return p.Stat()
}
