package proc

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

const statusOfASession = "Name:\tsleep\\nUid:\t9\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t77\nNgid:\t0\nPid:\t77\nPPid:\t1\nTracerPid:\t5\n" +
	"Uid:\t1000\t1001\t1002\t4294967295\nGid:\t0\t1\t2\t3\nFDSize:\t64\nGroups:\t4 24 4294967294 \nNStgid:\t77\t1\nNSpid:\t77\t1\n" +
	"Threads:\t3\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t00000000a80425fb\nCapBnd:\t0000000000000400\nCapAmb:\t0000000000000001\n" +
	"NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"

func TestParseStatus(t *testing.T) {
	got, ok := parseStatus([]byte(statusOfASession))
	want := &Status{
		UID: 1000, EUID: 1001, SUID: 1002, FSUID: 4294967295, GID: 0, EGID: 1, SGID: 2, FSGID: 3,
		Groups: []uint32{4, 24, 4294967294}, CapPrm: 0x1ffffffffff, CapEff: 0xa80425fb, CapBnd: 0x400, CapAmb: 1,
		NSpid: []int{77, 1}, Threads: 3, TracerPID: 5, NoNewPrivs: true, Seccomp: 2, SeccompFilters: 1,
	}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %t\nwant %+v", got, ok, want)
	}

	groups := strings.Repeat("4294967295 ", 65536) // NGROUPS_MAX
	if got, ok := parseStatus([]byte(strings.Replace(statusOfASession, "4 24 4294967294 ", groups, 1))); !ok || len(got.Groups) != 65536 {
		t.Error("a process in 65536 groups cannot be read")
	}
	if len(groups)+len(statusOfASession) > statusLimit {
		t.Errorf("the limit of %d bytes is too low for such a process", statusLimit)
	}

	for story, change := range map[string][2]string{
		"no user":                       {"\nUid:", "\nXid:"},
		"three user ids":                {"1000\t1001", "1000"},
		"five user ids":                 {"1000\t1001", "1000\t1\t1001"},
		"user id of 33 bits":            {"4294967295", "4294967296"},
		"negative user id":              {"1000", "-1"},
		"two Uid lines":                 {"FDSize:\t64", "Uid:\t0\t0\t0\t0"},
		"no groups line":                {"\nGroups:", "\nGrps:"},
		"groups that are no numbers":    {"4 24", "4 x"},
		"no capabilities":               {"CapEff:", "Cap:"},
		"capabilities of 65 bits":       {"00000000a80425fb", "100000000a80425fb"},
		"capabilities without digits":   {"00000000a80425fb", ""},
		"a seccomp mode that is a word": {"Seccomp:\t2", "Seccomp:\tfilter"},
	} {
		text := strings.Replace(statusOfASession, change[0], change[1], 1)
		if text == statusOfASession {
			t.Fatalf("%s: nothing was changed", story)
		}
		if s, ok := parseStatus([]byte(text)); ok {
			t.Errorf("%s: got %+v and no complaint", story, s)
		}
	}
}

// FuzzParseStatus: what is taken is read again from what is printed of it.
func FuzzParseStatus(f *testing.F) {
	if own, err := os.ReadFile("/proc/self/status"); err == nil {
		f.Add(own)
	}
	for _, s := range []string{
		statusOfASession, "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nCapEff:\t0\n", "Uid:", "Name:\tUid:\t0\nGroups: 1 1 1\n",
		"Uid: 4294967295 0 0 0\nGid: 0 0 0 0\nGroups: 4294967296\nCapEff: ffffffffffffffff\n",
		"Uid: 1 1 1 1\nGid: 1 1 1 1\nGroups:\nCapEff: 0\nNSpid: 1 2147483648\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, ok := parseStatus(text)
		if ok != (s != nil) && ok {
			t.Fatal("no status and no complaint")
		}
		if !ok {
			return
		}
		if len(s.Groups)+len(s.NSpid) > len(text) {
			t.Error("more numbers than bytes")
		}
		if s.Threads < 0 || s.TracerPID < 0 || s.Seccomp < 0 || s.SeccompFilters < 0 {
			t.Errorf("a negative number in %+v", s)
		}
		if again, ok := parseStatus(printStatus(s)); !ok || !reflect.DeepEqual(again, s) {
			t.Errorf("%+v became %+v", s, again)
		}
	})
}

// printStatus writes a status as fs/proc/array.c does.
func printStatus(s *Status) []byte {
	b := fmt.Appendf(nil, "Name:\tx\nTracerPid:\t%d\nUid:\t%d\t%d\t%d\t%d\nGid:\t%d\t%d\t%d\t%d\nGroups:\t", s.TracerPID, s.UID, s.EUID, s.SUID, s.FSUID, s.GID, s.EGID, s.SGID, s.FSGID)
	for _, g := range s.Groups {
		b = fmt.Appendf(b, "%d ", g)
	}
	b = append(b, "\nNSpid:"...)
	for _, n := range s.NSpid {
		b = fmt.Appendf(b, "\t%d", n)
	}
	nnp := 0
	if s.NoNewPrivs {
		nnp = 1
	}
	return fmt.Appendf(b, "\nThreads:\t%d\nCapInh:\t%016x\nCapPrm:\t%016x\nCapEff:\t%016x\nCapBnd:\t%016x\nCapAmb:\t%016x\nNoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%d\n",
		s.Threads, s.CapInh, s.CapPrm, s.CapEff, s.CapBnd, s.CapAmb, nnp, s.Seccomp, s.SeccompFilters)
}
