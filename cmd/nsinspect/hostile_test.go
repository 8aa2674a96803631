package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nsinspect/nsinspect/nsinspect/proctest"
)

// nasty are names as somebody would choose them who wants more than to be listed.
var nasty = map[string]string{
	"colours and the clearing of the screen": "\x1b[31m\x1b[2J\x1b[H",
	"a title that the terminal types back":   "\x1b]0;rm -rf /\a\x1b[21t",
	"a sequence of 8 bits":                   "\u009b31m\u009d0;x\u009c",
	"right to left":                          "\u202egnp.exe\u2066\u200f",
	"joiners, marks and other invisible":     "a\u200b\u200d\ufeff\u00ad\U000e0041",
	"separators that are lines to some":      "a\u2028b\u2029c\u0085d",
	"bytes that are no UTF-8":                "\xff\xfe\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80",
	"lines":                                  "a\nb\r\nc\td\v\f",
	"the end of stat":                        ") R 1 1",
	"4 KiB of parentheses":                   strings.Repeat(")", 4096),
	"a line of JSON":                         "\"},{\"ref\":\"docker:0\"}\n{\"a\":",
	"quotes and backslashes":                 `"'\x1b\\` + "`$(id)",
	"a percent sign that prints":             "%s%n%!d(MISSING)",
	"what the report itself says":            "private\n0 exposed",
}

const (
	hostileID = "d6945b63acbed6945b63acbed6945b63acbed6945b63acbed6945b63acbe0000"
	hostile64 = "4ae05848f7f54ae05848f7f54ae05848f7f54ae05848f7f54ae05848f7f50000"
)

// hostileTree is a host on which everything that somebody can name has this name.
func hostileTree(t testing.TB, name string) string {
	t.Helper()
	// cgroup files, links and lists of words cannot hold everything; what is left is as hostile.
	line := strings.NewReplacer("\n", "", "\x00", "").Replace(name)
	if len(line) > 3000 {
		line = line[:3000]
	}
	q := strconv.Quote
	bundle := "run/containerd/io.containerd.runtime.v2.task/moby/" + hostileID
	tree := `
1 comm=systemd cgroup=0::/init.scope root=host
2 comm=kthreadd ppid=0 kthread=1
50 comm=` + q(name) + ` cmdline=` + q(name) + ` cgroup=` + q("0::/system.slice/"+line+".service") + `
51 comm=` + q(name) + ` ipc=4026532101 mnt=4026532100 root=box cmdline=` + q(name) + ` cgroup=` + q("0::/system.slice/"+line+".service") + `
52 comm=` + q(name) + ` ipc=4026532111 mnt=4026532110 cgroup=` + q("0::/lxc.payload."+line) + `
53 comm=` + q(name) + ` mnt=4026532120 cgroup=` + q("0::/machine.slice/systemd-nspawn@"+line+".service/payload") + `
54 comm=` + q(name) + ` mnt=4026532130 cgroup=` + q(line) + ` cgroup=` + q("1:"+line+":/"+line) + `
4300 comm=containerd-shim cmdline=` + q("/usr/bin/containerd-shim-runc-v2 -namespace "+strings.ReplaceAll(name, " ", "")+" -id "+hostileID+" -address /run/x.sock") + ` cwd=/` + bundle + `
4389 ppid=4300 comm=` + q(name) + ` mnt=4026532200 pid=4026532202 cgroup=0::/system.slice/docker-` + hostileID + `.scope
4390 ppid=4389 comm=` + q(name) + ` mnt=4026532200 pid=4026532202 cgroup=` + q("0::/system.slice/docker-"+hostileID+".scope/"+line) + `
4500 comm=conmon cmdline=` + q("/usr/bin/conmon -c "+hostile64+" -n "+strings.ReplaceAll(name, " ", "")+" -b /x") + ` cwd=` + q("/"+strings.ReplaceAll(line, "/", "")) + ` cgroup=0::/machine.slice/libpod-conmon-` + hostile64 + `.scope
4501 ppid=4500 comm=` + q(name) + ` mnt=4026532400 ipc=4026532401 pid=4026532402 cgroup=0::/machine.slice/libpod-` + hostile64 + `.scope
-- sysvipc/shm --
       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
      4660          0   600              12582912  4389  4390      2   999   999   999   999 1700000000          0 1700000000              12582912                     0
` + line + `
`
	dir := proctest.Build(t, tree)
	asJSON := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for file, content := range map[string]string{
		"sys/kernel/hostname":                   name,
		"sys/kernel/osrelease":                  name,
		"sys/kernel/random/boot_id":             name,
		"50/maps":                               "7f0000000000-7f0000001000 rw-s 00000000 00:01 0 /SYSV" + name + " (deleted)\n",
		"4389/maps":                             "7f0000000000-7f0000001000 rw-s 00000000 00:01 0 /SYSV00001234 (deleted)" + name + "\n",
		"roots/host/" + bundle + "/config.json": asJSON(map[string]any{"ociVersion": name, "hostname": name, "root": map[string]string{"path": "/var/lib/docker/overlay2/x/merged"}, "annotations": map[string]string{name: name, "io.kubernetes.cri.container-name": name}}),
		"roots/host/var/lib/docker/containers/" + hostileID + "/config.v2.json": asJSON(map[string]any{"ID": hostileID, "Name": "/" + name, "Config": map[string]any{"Image": name, "Labels": map[string]string{name: name, "com.docker.compose.project": name, "com.docker.compose.service": name}}}),
	} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// asked is every command in every way to ask it for the host of hostileTree.
var asked = [][]string{
	{"scan"}, {"scan", "-v", "--sandboxes"}, {"scan", "-q"}, {"scan", "--deep"}, {"scan", "--baseline", "50"},
	{"ps"}, {"ps", "--all"}, {"ns"}, {"ns", "-t", "ipc,mnt"},
	{"ipcs"}, {"ipcs", "--all"}, {"ipcs", "--pid", "50"}, {"ipcs", "-u"}, {"ipcs", "-t"}, {"ipcs", "-m", "-i", "0"},
	{"explain", "50"}, {"explain", "51"}, {"explain", "52"}, {"explain", "54"}, {"explain", "4300"}, {"explain", "4390"}, {"explain", "4500"},
	{"explain", "docker:" + hostileID[:12]}, {"explain", "lxc:"}, {"explain", "nspawn:"}, {"explain", "podman:"}, {"explain", "sandbox:51"}, {"explain", "4026531839"}, {"explain", "4026532101"},
}

// TestHostileNamesEverywhere: whatever things are called, each format of each command stays what it
// is, and nothing but text and the ends of lines gets to the output.
func TestHostileNamesEverywhere(t *testing.T) {
	t.Logf("%d names, %d questions, %d runs", len(nasty), len(asked), len(nasty)*len(asked)*3)
	for story, name := range nasty {
		t.Run(story, func(t *testing.T) {
			dir := hostileTree(t, name)
			shown := 0
			for _, args := range asked {
				for _, format := range []string{"table", "json", "ndjson"} {
					out := formed(t, append(append([]string{}, args...), "--proc", dir, "-f", format))
					if out != "" {
						shown++
					}
					for line := range strings.Lines(out) {
						if _, rest, ok := strings.Cut(name, "\n"); ok && strings.HasPrefix(line, strings.TrimRight(rest, "\r\n")) {
							t.Errorf("%q -f %s: a name begins a line of its own: %q", args, format, line)
						}
					}
				}
			}
			if shown < 2*len(asked) {
				t.Errorf("only %d of %d said anything", shown, 3*len(asked))
			}
		})
	}
}

// TestHostileWords: what the user was made to paste into the command line comes back no more harmful.
func TestHostileWords(t *testing.T) {
	dir := proctest.Build(t, host)
	for story, name := range nasty {
		t.Run(story, func(t *testing.T) {
			for _, args := range [][]string{
				{"explain", name, "--proc", dir}, {"--proc", name}, {"--proc", dir, "-o", "/nonexistent/" + name}, {"--baseline", name, "--proc", dir},
				{"ipcs", "--container", name, "--proc", dir}, {"ipcs", "-m", "-i", name, "--proc", dir}, {"-f", name}, {name}, {"--" + name}, {"ns", "-t", name}, {"--timeout", name},
			} {
				formed(t, args)
			}
		})
	}
}

// FuzzNames looks for a name that one of the formats cannot bear.
func FuzzNames(f *testing.F) {
	for _, name := range nasty {
		f.Add([]byte(name), uint(0))
	}
	f.Fuzz(func(t *testing.T, name []byte, which uint) {
		dir := hostileTree(t, string(name))
		args := asked[which%uint(len(asked))]
		for _, format := range []string{"table", "json", "ndjson"} {
			formed(t, append(append([]string{}, args...), "--proc", dir, "-f", format))
		}
	})
}

// formed runs the program and checks the form of what it prints.
func formed(t *testing.T, args []string) string {
	t.Helper()
	out, stderr, code := nsi(t, args...)
	if code < 0 || code > 3 {
		t.Errorf("%q: exit code %d", args, code)
	}
	for stream, text := range map[string]string{"stdout": out, "stderr": stderr} {
		for i, r := range text {
			if r == utf8.RuneError && strings.HasPrefix(text[i:], "\uFFFD") {
				continue // the replacement itself is text
			}
			if r == '\t' && slices.Contains(args, "ipcs") && slices.Contains(args, "-u") {
				continue // as ipcs(1) prints its swap performance
			}
			if r != '\n' && !strconv.IsPrint(r) {
				t.Fatalf("%q: %q gets to %s, behind\n%q", args, r, stream, text[max(0, i-200):i])
			}
		}
	}
	if code == 2 {
		if out != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: an error is one line on stderr: stdout %q, stderr %q", args, out, stderr)
		}
		return ""
	}
	switch args[len(args)-1] {
	case "json":
		if !json.Valid([]byte(out)) {
			t.Errorf("%q: not JSON:\n%q", args, out)
		}
	case "ndjson":
		for line := range strings.Lines(out) {
			d := json.NewDecoder(strings.NewReader(line))
			var object map[string]any
			if err := d.Decode(&object); err != nil {
				t.Errorf("%q: %v: %q", args, err, line)
			}
			if _, err := d.Token(); !errors.Is(err, io.EOF) {
				t.Errorf("%q: more than an object on a line: %q", args, line)
			}
		}
	}
	if out != "" && !bytes.HasSuffix([]byte(out), []byte("\n")) {
		t.Errorf("%q: the last line has no end: %q", args, out)
	}
	return out
}
