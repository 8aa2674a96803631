package ipc

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// FuzzParseYama: the four texts of the kernel, and nothing else, are a scope.
func FuzzParseYama(f *testing.F) {
	for _, s := range []string{"0\n", "1\n", "2\n", "3\n", "4\n", "-1\n", "1", "1\n\n", "01\n", " 1\n", "", "1\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := ParseYama(b)
		n, err := strconv.Atoi(strings.TrimSuffix(string(b), "\n"))
		kernels := err == nil && n >= 0 && n <= 3 && fmt.Sprintf("%d\n", n) == string(b)
		if kernels != (got != YamaUnknown) {
			t.Fatalf("%q: %d", b, got)
		}
		if want := map[Yama]int{YamaClassic: 0, YamaRestricted: 1, YamaAdmin: 2, YamaNoAttach: 3}[got]; kernels && want != n {
			t.Fatalf("%q: %d", b, got)
		}
	})
}

// FuzzParseSetgroups: what is not one of the kernel's two words is neither.
func FuzzParseSetgroups(f *testing.F) {
	for _, s := range []string{"allow\n", "deny\n", "allow", "deny", "Allow\n", "allow\ndeny\n", "", "\n", "deny \n", "deny\x00\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		word := map[Setgroups]string{SetgroupsAllow: "allow\n", SetgroupsDeny: "deny\n"}
		if got := ParseSetgroups(b); got != SetgroupsUnknown && word[got] != string(b) || got == SetgroupsUnknown && (string(b) == "allow\n" || string(b) == "deny\n") {
			t.Fatalf("%q: %d", b, got)
		}
	})
}

// FuzzReadLimits: limits are what the standard library reads as numbers, all of a file or none, and a bad file is named.
func FuzzReadLimits(f *testing.F) {
	f.Add([]byte("32000\t1024000000\t500\t32000\n"), []byte("18446744073692774399\n"), []byte("32000\n"))
	f.Add([]byte("32000\t1024000000\t500\n"), []byte("18446744073709551616\n"), []byte("2147483648\n"))
	f.Add([]byte(" 1 2 3 4 5"), []byte("-1"), []byte(""))
	f.Add([]byte("1\x002\x003\x004"), []byte("4294967296"), []byte("+1"))
	f.Fuzz(func(t *testing.T, sem, wide, narrow []byte) {
		l, err := ReadLimits(func(name string, _ int) ([]byte, error) {
			switch name {
			case "sys/kernel/sem":
				return sem, nil
			case "sys/kernel/shmmax":
				return wide, nil
			case "sys/kernel/msgmni":
				return narrow, nil
			}
			return nil, fs.ErrNotExist
		})
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("four files are not there: %v", err)
		}
		if n, ok := plainNumber(wide, 64); ok && l.ShmMax != n || !ok && (l.ShmMax != 0 || !strings.Contains(err.Error(), "sys/kernel/shmmax")) {
			t.Fatalf("shmmax %q: %d, %v", wide, l.ShmMax, err)
		}
		if n, ok := plainNumber(narrow, 31); ok && uint64(l.MsgMNI) != n || !ok && (l.MsgMNI != 0 || !strings.Contains(err.Error(), "sys/kernel/msgmni")) {
			t.Fatalf("msgmni %q: %d, %v", narrow, l.MsgMNI, err)
		}
		if l.SemMSL < 0 || l.SemMNS < 0 || l.SemOPM < 0 || l.SemMNI < 0 {
			t.Fatalf("%+v", l)
		}
		again := fmt.Appendf(nil, "%d\t%d\t%d\t%d\n", l.SemMSL, l.SemMNS, l.SemOPM, l.SemMNI)
		var back report.IPCLimits
		if err := readNumbers(func(string, int) ([]byte, error) { return again, nil }, "sem", &back.SemMSL, &back.SemMNS, &back.SemOPM, &back.SemMNI); err != nil ||
			back.SemMSL != l.SemMSL || back.SemMNS != l.SemMNS || back.SemOPM != l.SemOPM || back.SemMNI != l.SemMNI {
			t.Fatalf("%+v became %+v, %v", l, back, err)
		}
	})
}

// plainNumber reads the one number of a file without a sign.
func plainNumber(b []byte, bits int) (uint64, bool) {
	words := strings.Fields(string(b))
	if len(words) != 1 || strings.ContainsAny(words[0], "+_") {
		return 0, false
	}
	n, err := strconv.ParseUint(words[0], 10, bits)
	return n, err == nil
}

// FuzzLimits: whatever an LSM's label is, what is said of it can be shown, and only what confines is said to.
func FuzzLimits(f *testing.F) {
	for _, s := range []string{
		"", "unconfined", "docker-default (enforce)", "/usr/sbin/cupsd (complain)", "x (unconfined)", "system_u:system_r:container_t:s0:c1,c2", "_", "\x1b]0;x\x07)", "\xff\u202e)", "a:b:c:\n",
	} {
		f.Add(s, 2, 1)
	}
	f.Fuzz(func(t *testing.T, label string, mode, filters int) {
		c := Cred{Label: label, Seccomp: mode, SeccompFilters: filters, UserNS: InitialUserNS(), UIDMap: IDMap{}, GIDMap: IDMap{}, NoNewPrivs: true}
		want := 0
		if mode != 0 {
			want++
		}
		if label != "" && label != "unconfined" && !strings.HasSuffix(label, " (complain)") && !strings.HasSuffix(label, " (unconfined)") {
			want++
		}
		said := Limits(c)
		if len(said) != want {
			t.Fatalf("%q: %q", label, said)
		}
		for _, s := range said {
			if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%q: %q", label, s)
			}
		}
	})
}

// FuzzSentence: names of programs, users and queues come into sentences without anything that a terminal would act on.
func FuzzSentence(f *testing.F) {
	f.Add("postgres", "/queue", "postgres", uint32(999), uint64(56<<20))
	f.Add("\x1b[2J", "a\nb", "\u202e", uint32(0), uint64(1<<64-1))
	f.Add("", "\xff\x00", ")", uint32(1<<32-1), uint64(0))
	f.Fuzz(func(t *testing.T, who, name, user string, uid uint32, size uint64) {
		rights := Rights{Write: Grant{State: AfterSetuid, Via: ViaOwner, Steps: Steps{SetUID: true, UID: uid}}}
		for _, kind := range []ObjectKind{ShmObject, SemObject, MsgObject, MqueueObject} {
			s := Sentence(rights, Subject{Kind: kind, Name: name, Who: who, Size: size, Key: uid}, func(uint32) string { return user })
			if !strings.HasPrefix(s, "can become uid "+strconv.FormatUint(uint64(uid), 10)) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%q", s)
			}
		}
	})
}
