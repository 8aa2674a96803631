package main

import (
	"fmt"
	"io"
	"os"

	"github.com/nsinspect/nsinspect/nsinspect/render"
)

// style is how tables look on the output at hand.
func (e *env) style() render.Style {
	color := !e.NoColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(e.out.Writer)
	return render.Style{Color: color, Verbose: e.Verbose, Quiet: e.Quiet}
}

// isTerminal takes a character device for a terminal; the others of them that
// one writes to, /dev/null and the like, do not mind colours.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress tells on stderr what is being done, when somebody sits there.
func (e *env) progress() func(string) {
	if e.Quiet || !isTerminal(e.stderr) {
		return nil
	}
	return func(what string) { fmt.Fprintf(e.stderr, "\r\x1b[K%s …\r\x1b[K", what) }
}
