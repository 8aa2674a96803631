package render

import (
	"fmt"
	"io"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Rules writes the rules for people, with every control that each stands in for.
func Rules(w io.Writer, rules []report.Rule, s Style) error {
	return s.folded(w, func(w io.Writer) {
		for i, r := range rules {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "%s  %s  %s\n", s.severity(r.Severity), s.paint(r.ID, bold), r.Title)
			for _, text := range []string{r.Why, "To mend it: " + r.Remediation} {
				for _, line := range wrap(text, s.textWidth(10)) {
					fmt.Fprintln(w, "          "+line)
				}
			}
			for _, c := range r.Controls {
				fmt.Fprintln(w, "          control: "+controlText(c))
			}
		}
	})
}
