package render

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Explanation writes an explanation for people: the answer, and then every
// question with its sentences and what was read.
func Explanation(w io.Writer, e *report.Explanation, s Style) error {
	return s.folded(w, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s\n", s.paint(report.Text(e.Subject), bold), report.Text(e.Summary))
		for _, t := range e.Topics {
			fmt.Fprintf(w, "\n%s\n", s.paint(report.Text(t.Title), bold))
			for _, p := range t.Points {
				for i, line := range wrap(report.Text(p.Text), s.textWidth(4)) {
					indent := "  - "
					if i > 0 {
						indent = "    "
					}
					fmt.Fprintln(w, indent+line)
				}
				s.proof(w, p.Evidence)
			}
		}
	})
}

// textWidth is how many runes of a sentence go on one line, beside its indent.
func (s Style) textWidth(indent int) int {
	const most = 96
	if s.Width == 0 {
		return most
	}
	return max(min(most, s.Width-indent), 20)
}

func (s Style) proof(w io.Writer, evidence []report.Evidence) {
	for i, e := range evidence {
		if i == shownEvidence && !s.Verbose {
			fmt.Fprintf(w, "      %s\n", s.paint(fmt.Sprintf("and %d more (-v shows all)", len(evidence)-i), dim))
			break
		}
		line := report.Text(e.What) + " = " + report.Text(e.Value) + comparison(e)
		fmt.Fprintf(w, "      %s\n", s.paint(line, dim))
	}
}

// wrap breaks a text into lines at its spaces. A word that is longer has a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
