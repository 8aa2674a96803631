package render

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// shownPins is how many pins, and containers, a row of a table has room for.
const shownPins = 2

// Namespaces writes a list of namespaces for people. doubts is why it may be wrong.
func Namespaces(w io.Writer, list *report.Namespaces, s Style, doubts []string) error {
	return s.folded(w, func(w io.Writer) {
		columns := []column{{title: "TYPE"}, {title: "INODE", right: true}, {title: " ", tight: true}, {title: "OWNER", right: true, spare: true}, {title: "UID", right: true, spare: true},
			{title: "PROCS", right: true}}
		if list.Deep {
			columns = append(columns, column{title: "THREADS", right: true})
		}
		columns = append(columns, column{title: "PID", right: true}, column{title: "COMM", most: 32}, column{title: "CONTAINERS"}, column{title: "PINNED BY"})
		var rows [][]cell
		for _, n := range list.Namespaces {
			row := []cell{{text: n.Type}, {text: strconv.FormatUint(n.Inode, 10)}, hostMark(n), inode(n.Owner), uid(n.OwnerUID), {text: strconv.Itoa(n.Processes)}}
			if list.Deep {
				row = append(row, cell{text: strconv.Itoa(n.Threads)})
			}
			leader := cell{text: "-"}
			if n.Leader != 0 {
				leader.text = strconv.Itoa(n.Leader)
			}
			refs := make([]string, len(n.Containers))
			for i, ref := range n.Containers {
				refs[i] = ShortRef(ref)
			}
			rows = append(rows, append(row, leader, cell{text: cmp.Or(n.Comm, "-")}, s.few(refs), s.few(n.PinnedBy)))
		}
		if len(rows) > 0 {
			s.grid(w, columns, rows)
		}
		s.coverage(w, list.Coverage, doubts)
		if !list.Deep && !s.Quiet {
			fmt.Fprintln(w, "threads and open descriptors were not looked at (--deep does)")
		}
	})
}

func hostMark(n report.FoundNamespace) cell {
	if n.Host {
		return cell{"host", dim}
	}
	return cell{}
}

func inode(n uint64) cell {
	if n == 0 {
		return cell{text: "-"}
	}
	return cell{text: strconv.FormatUint(n, 10)}
}

func uid(n int64) cell {
	if n < 0 {
		return cell{text: "-"}
	}
	return cell{text: strconv.FormatInt(n, 10)}
}

// few is the first of many texts in one cell.
func (s Style) few(texts []string) cell {
	switch n := len(texts) - shownPins; {
	case len(texts) == 0:
		return cell{text: "-"}
	case n > 0 && !s.Verbose:
		return cell{text: fmt.Sprintf("%s and %d more", strings.Join(texts[:shownPins], ", "), n)}
	}
	return cell{text: strings.Join(texts, ", ")}
}

// NamespacesNDJSON writes a list of namespaces as one object a line, each with
// its type: first the scan, then every namespace.
func NamespacesNDJSON(w io.Writer, list *report.Namespaces) error {
	return lines(w, func(e *json.Encoder) {
		head := *list
		head.Namespaces = nil
		e.Encode(struct {
			Record string `json:"record"`
			report.Namespaces
			Hidden any `json:"namespaces,omitempty"` // the list comes after
		}{"scan", head, nil})
		for _, n := range list.Namespaces {
			e.Encode(struct {
				Record string `json:"record"`
				report.FoundNamespace
			}{"namespace", n})
		}
	})
}
