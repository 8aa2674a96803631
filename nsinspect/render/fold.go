package render

import (
	"bytes"
	"io"
	"strings"
)

// folded runs a renderer like buffered, and breaks what is wider than the terminal at its spaces.
func (s Style) folded(w io.Writer, write func(w io.Writer)) error {
	if s.Width == 0 {
		return buffered(w, write)
	}
	var b bytes.Buffer
	write(&b)
	return buffered(w, func(w io.Writer) {
		for line := range strings.Lines(b.String()) {
			io.WriteString(w, fold(line, s.Width))
		}
	})
}

// fold breaks a line. What follows is two columns further in than the line; a word that is longer than the
// terminal is wide stays whole, so that it can be copied.
func fold(line string, width int) string {
	text, end := strings.CutSuffix(line, "\n")
	if columnsOf(text) <= width {
		return line
	}
	words := strings.TrimLeft(text, " ")
	lead := text[:len(text)-len(words)]
	further := lead[:min(len(lead), max(width, 0)/2)] + "  "
	var b, now strings.Builder // the lines that are done, and the one at hand
	now.WriteString(lead)
	at, begun := len(lead), false // how wide that is, and whether there is a word in it
	for word := range strings.SplitAfterSeq(words, " ") {
		if begun && at+columnsOf(strings.TrimRight(word, " ")) > width {
			b.WriteString(strings.TrimRight(now.String(), " ") + "\n")
			now.Reset()
			now.WriteString(further)
			at, begun = len(further), false
		}
		if begun = begun || word != " "; begun {
			now.WriteString(word)
			at += columnsOf(word)
		}
	}
	b.WriteString(now.String())
	if end {
		b.WriteByte('\n')
	}
	return b.String()
}

// columnsOf is how wide a text is on a terminal, without its colours.
func columnsOf(text string) int {
	n, painted := 0, false
	for _, r := range text {
		switch {
		case r == '\x1b':
			painted = true
		case painted:
			painted = r != 'm'
		default:
			n++
		}
	}
	return n
}
