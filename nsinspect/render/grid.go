// Package render turns a report into text, one format a file. It trusts no text
// in a report to be harmless on a terminal: the contract quotes it
// ([report.Text]), and this package does so again where it pads and cuts.
package render

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Style is how a table looks.
type Style struct {
	Color     bool
	Verbose   bool // every gap, every control, every piece of evidence
	Quiet     bool // findings only
	Sandboxes bool // list the sandboxes
}

// column is one column of a grid.
type column struct {
	title string
	right bool // numbers are aligned right
	most  int  // runes that a cell may have; 0 for any number
	tight bool // one space and not two before the next column
}

// cell is the text of one place of a grid and its colour.
type cell struct {
	text  string
	color color
}

// color is an SGR parameter of ECMA-48; none for 0.
type color string

const (
	red    color = "31"
	yellow color = "33"
	green  color = "32"
	dim    color = "2"
	bold   color = "1"
)

func (s Style) paint(text string, c color) string {
	if !s.Color || c == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// grid writes rows below aligned column titles. Every cell is made safe, the
// last column is not padded, and no line ends in spaces.
func (s Style) grid(w io.Writer, columns []column, rows [][]cell) {
	width := make([]int, len(columns))
	for i, c := range columns {
		width[i] = utf8.RuneCountInString(c.title)
	}
	for _, row := range rows {
		for i := range row {
			row[i].text = cut(report.Text(row[i].text), columns[i].most)
			width[i] = max(width[i], utf8.RuneCountInString(row[i].text))
		}
	}
	titles := make([]cell, len(columns))
	for i, c := range columns {
		titles[i] = cell{c.title, dim}
	}
	for _, row := range append([][]cell{titles}, rows...) {
		var line strings.Builder
		for i, c := range row {
			if i > 0 {
				line.WriteByte(' ')
				if !columns[i-1].tight {
					line.WriteByte(' ')
				}
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.text))
			if columns[i].right {
				line.WriteString(pad + s.paint(c.text, c.color))
			} else {
				line.WriteString(s.paint(c.text, c.color) + pad)
			}
		}
		io.WriteString(w, strings.TrimRight(line.String(), " ")+"\n")
	}
}

func cut(s string, most int) string {
	if most == 0 || utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// buffered runs a renderer over one buffer, so that the first error of the
// writer is the one returned.
func buffered(w io.Writer, write func(w io.Writer)) error {
	b := bufio.NewWriter(w)
	write(b)
	return b.Flush()
}
