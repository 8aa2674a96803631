package engines

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
)

// tally is what ran and what was skipped, for one line at the end.
var tally struct {
	sync.Mutex
	ran     []string
	skipped map[string][]string // engines by reason
}

// summarise prints the line, and appends it to the file that
// NSINSPECT_SUMMARY names: `go test` does not show what passing tests print.
func summarise() {
	if len(tally.ran)+len(tally.skipped) == 0 {
		return
	}
	var reasons []string
	n := 0
	for _, reason := range slices.Sorted(maps.Keys(tally.skipped)) {
		n += len(tally.skipped[reason])
		reasons = append(reasons, strings.Join(tally.skipped[reason], ", ")+": "+reason)
	}
	line := fmt.Sprintf("engines: %d ran, %d skipped", len(tally.ran), n)
	if n > 0 {
		line += " (" + strings.Join(reasons, "; ") + ")"
	}
	fmt.Println(line)
	if path := os.Getenv("NSINSPECT_SUMMARY"); path != "" {
		if f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
			fmt.Fprintln(f, line)
			f.Close()
		}
	}
}

// Skip records the reason for the line at the end.
func (l *lab) Skip(args ...any) {
	l.Helper()
	l.reason = fmt.Sprint(args...)
	l.T.Skip(l.reason)
}

// Skipf is Skip with a format.
func (l *lab) Skipf(format string, args ...any) {
	l.Helper()
	l.Skip(fmt.Sprintf(format, args...))
}

// count notes how the lab's test ended.
func (l *lab) count() {
	tally.Lock()
	defer tally.Unlock()
	if l.Skipped() {
		if tally.skipped == nil {
			tally.skipped = map[string][]string{}
		}
		reason := cmp.Or(l.reason, "no reason given")
		if !slices.Contains(tally.skipped[reason], l.engine) {
			tally.skipped[reason] = append(tally.skipped[reason], l.engine)
		}
		return
	}
	if !slices.Contains(tally.ran, l.engine) {
		tally.ran = append(tally.ran, l.engine)
	}
}
