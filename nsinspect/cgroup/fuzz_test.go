package cgroup

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func FuzzIdentify(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add([]byte(v.Cgroup))
	}
	for _, s := range append(mistakes(), catalogue()...) {
		f.Add([]byte(s.content()))
	}
	f.Add([]byte("0::/docker/" + strings.Repeat(idA+"/docker/", 50) + idB))
	f.Fuzz(func(t *testing.T, content []byte) {
		id := Identify(content)
		if err := check(string(content), id); err != nil {
			t.Fatal(err)
		}
		if again := Identify(content); !reflect.DeepEqual(again, id) {
			t.Fatalf("%+v, and then %+v", id, again)
		}
		lines := slices.Collect(strings.SplitSeq(string(content), "\n"))
		slices.Reverse(lines)
		if got := Identify([]byte(strings.Join(lines, "\n"))); !reflect.DeepEqual(got, id) {
			t.Fatalf("%+v, with the lines reversed %+v", id, got)
		}
		certain := Certain(content)
		if err := check(string(content), certain); err != nil {
			t.Fatal(err)
		}
		if certain.Weak {
			t.Fatalf("weak evidence in %+v", certain)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add([]byte(v.Cgroup))
	}
	f.Add([]byte("0::\n\n::/\n1:/"))
	f.Fuzz(func(t *testing.T, content []byte) {
		lines, err := Parse(content)
		total := strings.Count(strings.TrimSuffix(string(content), "\n"), "\n") + 1
		if len(content) == 0 {
			total = 0
		}
		if len(lines) > total || (err == nil) != (len(lines) == total) {
			t.Fatalf("%d of %d lines, error %v", len(lines), total, err)
		}
		rest := string(content)
		for _, l := range lines {
			head, ok := strings.CutSuffix(l.Text, ":"+l.Controllers+":"+l.Path)
			if !ok || strings.TrimLeft(head, "0") != strings.TrimLeft(fmt.Sprint(l.Hierarchy), "0") || strings.Contains(l.Text, "\n") || l.Path[0] != '/' {
				t.Fatalf("%+v", l)
			}
			// In the file's order.
			_, after, ok := strings.Cut(rest, l.Text)
			if !ok {
				t.Fatalf("%q is not in what follows", l.Text)
			}
			rest = after
		}
	})
}

// FuzzModeOf: a host has version 2 if any line is of hierarchy 0, and version 1 if any other has a controller, whatever the order.
func FuzzModeOf(f *testing.F) {
	f.Add("0::/\n", "1:name=systemd:/\n")
	f.Add("12:cpu,cpuacct:/a\n1:name=systemd:/\n0::/b\n", "")
	f.Add("4:pids:/\n", "00::/\n")
	f.Add("x", "1:name=:/")
	f.Fuzz(func(t *testing.T, a, b string) {
		v1, v2 := false, false
		for line := range strings.SplitSeq(a+"\n"+b, "\n") {
			if m := regexp.MustCompile(`^([0-9]{1,9}):([^:]*):/`).FindStringSubmatch(line); m != nil {
				zero := strings.Trim(m[1], "0") == ""
				v2 = v2 || zero
				v1 = v1 || !zero && !strings.HasPrefix(m[2], "name=")
			}
		}
		want := map[[2]bool]string{{true, true}: ModeHybrid, {true, false}: ModeLegacy, {false, true}: ModeUnified}[[2]bool{v1, v2}]
		if want == "" {
			want = ModeUnavailable
		}
		if got, back := ModeOf([]string{a, b}), ModeOf([]string{b, a}); got != want || back != want {
			t.Fatalf("%q and %q: %s, the other way round %s, want %s", a, b, got, back, want)
		}
	})
}

// FuzzUnescape: systemd's escapes, and nothing else, are undone.
func FuzzUnescape(f *testing.F) {
	for _, s := range []string{`a\x2db`, `\x2`, `\x`, `\`, `\x00`, `\xzz`, `\\x2d`, `\x5cx2d`, `\xFf`, "plain", `\x2d\x2d`} {
		f.Add(s)
	}
	escape := regexp.MustCompile(`(?s)\\x[0-9a-fA-F]{2}`)
	f.Fuzz(func(t *testing.T, s string) {
		want := escape.ReplaceAllStringFunc(s, func(e string) string {
			n, err := strconv.ParseUint(e[2:], 16, 8)
			if err != nil || n == 0 {
				return e
			}
			return string([]byte{byte(n)})
		})
		if got := unescape(s); got != want {
			t.Fatalf("%q: %q, want %q", s, got, want)
		}
	})
}

// TestHugeFiles: a megabyte of anything is answered, and rightly. Work that grew
// with the square of it would not come to an end here.
func TestHugeFiles(t *testing.T) {
	for _, c := range []struct {
		name    string
		content func(n int) string
		want    string
	}{
		{"many components", func(n int) string { return "0::" + strings.Repeat("/x", n) + "/docker/" + idA }, "payload docker:" + idA},
		{"many empty components", func(n int) string { return "0::" + strings.Repeat("/", n) + "docker/" + idA }, "payload docker:" + idA},
		{"one long component", func(n int) string { return "0::/docker/" + idA + "/" + strings.Repeat("a", n) }, "payload docker:" + idA},
		{"many colons", func(n int) string { return "0::/docker/" + idA + "/" + strings.Repeat(":", n) }, "payload docker:" + idA},
		{"many dots", func(n int) string { return "0::" + strings.Repeat("/..", n) + "/docker/" + idA }, "payload docker:" + idA},
		{"many lines", func(n int) string { return strings.Repeat("1:cpu:/docker/"+idA+"\n", n/64) }, "payload docker:" + idA},
		{"many different lines", func(n int) string {
			var b strings.Builder
			for i := range n / 64 {
				fmt.Fprintf(&b, "1:cpu:/docker/%s/%d\n", idA, i)
			}
			return b.String()
		}, "payload docker:" + idA},
		{"many escapes", func(n int) string { return "0::/machine-" + strings.Repeat(`\x2d`, n) + ".scope/x/docker/" + idA }, ""},
		{"many damaged lines", func(n int) string { return strings.Repeat("x\n", n) + "0::/docker/" + idA }, "payload docker:" + idA},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := []byte(c.content(1 << 20))
			id := Identify(content)
			if got := say(id); c.want != "" && got != c.want {
				t.Errorf("%.200s, want %s", got, c.want)
			}
			if err := check(string(content), id); err != nil {
				t.Errorf("%.500s", err)
			}
		})
	}
	deep := Identify([]byte("0::" + strings.Repeat("/docker/"+idA, 10_000)))
	if len(deep.Outer) != 9_999 {
		t.Errorf("%d outer containers", len(deep.Outer))
	}
}

func BenchmarkIdentify(b *testing.B) {
	for _, name := range []string{"v2-base-containerd", "v2-docker-default", "v2b-kind-inner", "hyb-docker-parent-slice", "leg-base-dockerd", "hyb-cri-sys-static"} {
		for _, v := range readVectors(b) {
			if v.Name != name {
				continue
			}
			content := []byte(v.Cgroup)
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(content)))
				for b.Loop() {
					Identify(content)
				}
			})
		}
	}
}
