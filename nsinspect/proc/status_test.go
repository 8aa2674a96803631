package proc

import (
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

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte(statusOfASession))
	f.Add([]byte("Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nCapEff:\t0\n"))
	f.Add([]byte("Uid:"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, ok := parseStatus(text)
		if ok != (s != nil) && ok {
			t.Error("no status and no complaint")
		}
		if ok && len(s.Groups)+len(s.NSpid) > len(text) {
			t.Error("more numbers than bytes")
		}
	})
}
