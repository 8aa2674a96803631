package main

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// FuzzArguments: any words are a command line or wrong usage, which is told in one printable line; none makes the program panic.
func FuzzArguments(f *testing.F) {
	for _, line := range []string{
		"", "scan", "--help", "--version", "ipcs -mqs -i 5 -t", "ipcs -qi5", "-q ipcs", "ipcs -- -q", "explain ipc:[4026531839]", "ns -t ipc", "--timeout 1e9h", "--timeout -5s", "-f xml",
		"--baseline 1,2 ps", "ipcs --ns 18446744073709551616", "ipcs --pid 4294967296", "\x1b[2J", "--\xff=\x00", "-o", "scan scan", "rules extra", "--proc= explain -", "-vvq -qf json",
	} {
		f.Add(strings.ReplaceAll(line, " ", "\x00"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		c := &cli{}
		ended := false
		parser, err := kong.New(c, kong.Name("nsinspect"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(code int) { panic(exit(code)) }), kong.Vars{"version": "x"})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if p := recover(); p != nil {
					if _, ended = p.(exit); !ended {
						panic(p)
					}
				}
			}()
			_, err = parser.Parse(queuesFlag(args))
		}()
		if err != nil {
			var said strings.Builder
			if code := complain(&said, usageError(err)); code != 2 {
				t.Fatalf("exit code %d", code)
			}
			text, ok := strings.CutSuffix(said.String(), "\n")
			for _, r := range text {
				ok = ok && strconv.IsPrint(r)
			}
			if !ok || !strings.HasPrefix(text, "nsinspect: ") {
				t.Fatalf("%q", said.String())
			}
			return
		}
		if !ended && (!slices.Contains([]string{"table", "json", "ndjson"}, c.Format) || !slices.Contains([]string{"critical", "high", "medium", "low", "info"}, c.FailOn)) {
			t.Fatalf("%q: %+v", args, c)
		}
	})
}

// FuzzQueuesFlag: only short flags behind the word ipcs change, they lose nothing but -q, and no -q is left before a letter that takes a value.
func FuzzQueuesFlag(f *testing.F) {
	for _, line := range []string{"ipcs -q", "-q ipcs -mq -s", "ipcs -iq", "ipcs -qqq -ofile", "ipcs -- -q", "ipcs - --q -fqueue", "scan -q", "ipcs ipcs -q"} {
		f.Add(strings.ReplaceAll(line, " ", "\x00"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		out := queuesFlag(args)
		at, end := slices.Index(args, "ipcs"), slices.Index(args, "--")
		if at < 0 || end >= 0 && end < at {
			if !slices.Equal(out, args) {
				t.Fatalf("%q became %q", args, out)
			}
			return
		}
		if again := queuesFlag(out); !slices.Equal(again, out) {
			t.Fatalf("%q became %q and then %q", args, out, again)
		}
		// One word after the other: each is kept, or is -q spelt out with the rest of its letters behind it.
		i := 0
		for n, arg := range args {
			if i < len(out) && out[i] == arg {
				i++
				continue
			}
			if n <= at || !strings.HasPrefix(arg, "-") || strings.HasPrefix(arg, "--") || i == len(out) || out[i] != "--queues" {
				t.Fatalf("%q became %q", args, out)
			}
			i++
			letters := arg[1:]
			value := strings.IndexAny(letters, "ifo")
			if value < 0 {
				value = len(letters)
			}
			if !strings.Contains(letters[:value], "q") {
				t.Fatalf("%q became %q", args, out)
			}
			if rest := strings.ReplaceAll(letters[:value], "q", "") + letters[value:]; rest != "" {
				if i == len(out) || out[i] != "-"+rest {
					t.Fatalf("%q became %q", args, out)
				}
				i++
			}
		}
		if i != len(out) {
			t.Fatalf("%q became %q", args, out)
		}
	})
}
