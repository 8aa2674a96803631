package locale

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseNames(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     map[uint32]string
	}{
		{"empty", "", map[uint32]string{}},
		{"passwd", "root:x:0:0:root:/root:/bin/sh\ndaemon:*:1:1::/:\n", map[uint32]string{0: "root", 1: "daemon"}},
		{"group", "adm:x:4:syslog,me\nempty:x:5:\n", map[uint32]string{4: "adm", 5: "empty"}},
		{"two names for a uid: the first", "root:x:0:0\ntoor:x:0:0\n", map[uint32]string{0: "root"}},
		{"the largest uid", "most:x:4294967295:0\n", map[uint32]string{4294967295: "most"}},
		{"no newline at the end", "a:x:7:0", map[uint32]string{7: "a"}},
		{"comments, NIS lines, empty lines", "# a:x:1:1\n+::::::\n+@team:x:2:2\n-x:x:3:3\n\n:x:4:4\n", map[uint32]string{}},
		{"no number", "a:x:b:0\nb:x:-1:0\nc:x:4294967296:0\nd:x\ne:x::0\n", map[uint32]string{}},
		{"leading spaces", "  a:x:9:0\n", map[uint32]string{9: "a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ParseNames([]byte(tt.in)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func FuzzParseNames(f *testing.F) {
	f.Add([]byte("root:x:0:0:root:/root:/bin/sh\n+::\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var lines strings.Builder
		got := ParseNames(b)
		for id, name := range got {
			if name == "" || strings.ContainsAny(name, ":\n") {
				t.Fatalf("%d is named %q", id, name)
			}
			fmt.Fprintf(&lines, "%s:x:%d:0\n", name, id)
		}
		if again := ParseNames([]byte(lines.String())); !reflect.DeepEqual(again, got) {
			t.Fatalf("%v became %v", got, again)
		}
	})
}

// instants are around changes of the hour, before the epoch, and far ahead.
var instants = []int64{-5, 0, 1, 1700000000, 1720000000, 1743296399, 1743296400, 2000000000}

func TestZone(t *testing.T) {
	for _, tt := range []struct {
		tz   string
		want string // of 1720000000, 2024-07-03 09:46:40 UTC
	}{
		{"", "09:46:40"},
		{"UTC", "09:46:40"},
		{"UTC-3", "12:46:40"},
		{"XYZ5", "04:46:40"},
		{"<+0545>-5:45", "15:31:40"},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "11:46:40"},
		{"NZST-12NZDT,M9.5.0,M4.1.0/3", "21:46:40"},
		{"what is this", "09:46:40"},
		{"../../etc/passwd", "09:46:40"},
		{"/etc/passwd", "09:46:40"},
		{"/dev/zero", "09:46:40"},
	} {
		t.Run(tt.tz, func(t *testing.T) {
			if got := time.Unix(1720000000, 0).In(Zone(tt.tz, true)).Format(time.TimeOnly); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if Zone("", false) != time.Local {
		t.Error("without TZ it is not the local zone")
	}
}

func TestZoneIsThatOfTheCLibrary(t *testing.T) {
	date, err := exec.LookPath("date")
	if err != nil {
		t.Skip("no date(1) to compare with")
	}
	if out, _ := exec.Command(date, "--version").Output(); !strings.Contains(string(out), "GNU") {
		t.Skip("date(1) is not GNU's: it may have another C library's zones")
	}
	zones := []string{"", ":", "UTC", "UTC-3", "CET-1CEST,M3.5.0,M10.5.0/3", "<+0545>-5:45", "GMT+5", "XYZ", "foo/bar", "EST5EDT,M3.2.0,M11.1.0"}
	if file := "/usr/share/zoneinfo/Europe/Berlin"; exists(file) {
		zones = append(zones, file, "Europe/Berlin", ":Europe/Berlin", "EST5EDT")
	}
	for _, tz := range zones {
		for _, at := range instants {
			cmd := exec.Command(date, fmt.Sprintf("--date=@%d", at), "+%Y-%m-%d %H:%M:%S")
			cmd.Env = append(os.Environ(), "TZ="+tz)
			want, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := time.Unix(at, 0).In(Zone(tz, true)).Format(time.DateTime + "\n"); got != string(want) {
				t.Errorf("TZ=%q, %d: got %s want %s", tz, at, got, want)
			}
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "passwd")
	if err := os.WriteFile(file, []byte("me:x:1000:1000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Names(file)
	if err != nil || got[1000] != "me" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none"), "/dev/zero"} {
		if got, err := Names(path); err == nil {
			t.Errorf("%s: got %d names and no error", path, len(got))
		}
	}
}

// FuzzZone: every TZ makes a zone, in which every time can be told; a number of hours is that offset.
func FuzzZone(f *testing.F) {
	for _, s := range []string{"", "UTC", "CET-1CEST,M3.5.0,M10.5.0/3", "<+0545>-5:45", "XYZ5", "EST5EDT,0/0,J365/25", "../../etc/passwd", ":Europe/Berlin", "Local", "A,", "<>0", "X99999999999", "\x00", "\nUTC-3"} {
		f.Add(s, int64(1720000000))
	}
	f.Fuzz(func(t *testing.T, tz string, at int64) {
		if strings.HasPrefix(strings.TrimPrefix(tz, ":"), "/") {
			return // a file of this machine
		}
		zone := Zone(tz, true)
		if zone == nil || zone == time.Local {
			t.Fatalf("%q: %v", tz, zone)
		}
		at %= 1 << 36
		if got := time.Unix(at, 0).In(zone); got.Unix() != at || got.Format(time.RFC1123Z) == "" {
			t.Fatalf("%q: %d is %v", tz, at, got)
		}
		if m := regexp.MustCompile(`^[A-Z]{3}(-?)([0-9]|1[0-9]|2[0-3])$`).FindStringSubmatch(tz); m != nil {
			hours, _ := strconv.Atoi(m[2])
			if m[1] == "" {
				hours = -hours
			}
			if _, offset := time.Unix(at, 0).In(zone).Zone(); offset != hours*3600 {
				t.Fatalf("%q is %d seconds off", tz, offset)
			}
		}
	})
}
