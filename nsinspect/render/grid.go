// Package render turns a report into text, one format a file. It trusts no text
// in a report to be harmless on a terminal: the contract quotes it
// ([report.Text]), and this package does so again where it pads and cuts.
package render

import (
	"bufio"
	"io"
	"slices"
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
	Width     int  // of the terminal, in columns; 0 if there is none
}

// column is one column of a grid.
type column struct {
	title string
	right bool // numbers are aligned right
	most  int  // runes that a cell may have; 0 for any number
	tight bool // one space and not two before the next column
	spare bool // left out where the terminal is too narrow
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

// leastCut is what a last column keeps when it is cut to the width of the terminal.
const leastCut = 12

// grid writes rows below aligned column titles. Every cell is made safe, the
// last column is not padded, and no line ends in spaces. Where the terminal is too narrow, columns that can be spared are
// left out, a last column that may be cut is, and whatever is still too wide goes on lines of its own.
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
	shown, spared := s.fit(columns, width)
	titles := make([]cell, len(columns))
	for i, c := range columns {
		titles[i] = cell{c.title, dim}
	}
	for r, row := range append([][]cell{titles}, rows...) {
		var line strings.Builder
		for at, i := range shown {
			if at > 0 {
				line.WriteString(gap(columns[shown[at-1]]))
			}
			c := row[i]
			if at == len(shown)-1 {
				c.text = cut(c.text, width[i])
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.text))
			if columns[i].right {
				line.WriteString(pad + s.paint(c.text, c.color))
			} else {
				line.WriteString(s.paint(c.text, c.color) + pad)
			}
		}
		io.WriteString(w, strings.TrimRight(line.String(), " ")+"\n")
		for i := shown[len(shown)-1] + 1; i < len(columns) && r > 0; i++ {
			if c := row[i]; !slices.Contains(spared, i) && c.text != "" && c.text != "-" {
				io.WriteString(w, "    "+s.paint(strings.ToLower(columns[i].title)+":", dim)+" "+s.paint(c.text, c.color)+"\n")
			}
		}
	}
	if len(spared) > 0 {
		var names []string
		for _, i := range spared {
			names = append(names, columns[i].title)
		}
		io.WriteString(w, s.paint("(too narrow for "+strings.Join(names, ", ")+")", dim)+"\n")
	}
}

func gap(c column) string {
	if c.tight {
		return " "
	}
	return "  "
}

// fit tells which columns go on a row's first line, and which are left out. The width of the last one
// is made what there is room for.
func (s Style) fit(columns []column, width []int) (shown, spared []int) {
	for i := range columns {
		shown = append(shown, i)
	}
	if s.Width == 0 {
		return shown, nil
	}
	// tooWide tells so of the columns that are shown, and how much room there is for the last one.
	tooWide := func() (bool, int) {
		room := s.Width
		for at, i := range shown[:len(shown)-1] {
			room -= width[i] + len(gap(columns[shown[at]]))
		}
		last := shown[len(shown)-1]
		return room < width[last] && (columns[last].most == 0 || room < leastCut), room
	}
	for i := len(columns) - 1; i > 0; i-- {
		if wide, _ := tooWide(); wide && columns[i].spare {
			shown = slices.DeleteFunc(shown, func(at int) bool { return at == i })
			spared = append([]int{i}, spared...)
		}
	}
	for wide, _ := tooWide(); wide && len(shown) > 2; wide, _ = tooWide() {
		shown = shown[:len(shown)-1]
	}
	last := shown[len(shown)-1]
	if _, room := tooWide(); columns[last].most > 0 && room >= leastCut {
		width[last] = min(width[last], room)
	}
	return shown, spared
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
