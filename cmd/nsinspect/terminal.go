package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"unsafe"

	"github.com/nsinspect/nsinspect/nsinspect/render"
)

// style is how tables look on the output at hand.
func (e *env) style() render.Style {
	color := !e.NoColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isTerminal(e.out.Writer)
	return render.Style{Color: color, Verbose: e.Verbose, Quiet: e.Quiet, Width: columns(e.out.Writer)}
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

// columns is how wide a terminal is, 0 for what is none or does not tell.
func columns(w io.Writer) int {
	if !isTerminal(w) {
		return 0
	}
	var size struct{ rows, columns, _, _ uint16 } // struct winsize, ioctl_tty(2)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, w.(*os.File).Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size))); errno != 0 {
		return 0
	}
	return int(size.columns)
}

// progress tells on stderr what is being done, when somebody sits there.
func (e *env) progress() func(string) {
	if e.Quiet || !isTerminal(e.stderr) {
		return nil
	}
	return func(what string) { fmt.Fprintf(e.stderr, "\r\x1b[K%s …\r\x1b[K", what) }
}
