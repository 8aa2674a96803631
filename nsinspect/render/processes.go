package render

import (
	"cmp"
	"fmt"
	"io"
	"strconv"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// Processes writes a list of processes for people; all lists also those of the
// host, which mostly nobody asks for. doubts is why it may be wrong.
func Processes(w io.Writer, list *report.Processes, s Style, all bool, doubts []string) error {
	return s.folded(w, func(w io.Writer) {
		var rows [][]cell
		hidden := 0
		for _, p := range list.Processes {
			if !all && p.Role == "" {
				hidden++
				continue
			}
			rows = append(rows, []cell{{text: strconv.Itoa(p.PID)}, {text: strconv.Itoa(p.PPID)}, {text: cmp.Or(ShortRef(p.Container), "-")},
				{text: cmp.Or(p.Role, "host")}, place(p, p.IPC), place(p, p.PIDNS), place(p, p.Mnt), {text: p.Comm}})
		}
		if len(rows) > 0 {
			s.grid(w, []column{{title: "PID", right: true}, {title: "PPID", right: true}, {title: "CONTAINER", most: 48}, {title: "ROLE"},
				{title: "IPC"}, {title: "PIDNS"}, {title: "MNT", spare: true}, {title: "COMM", most: 40}}, rows)
		}
		if hidden > 0 && !s.Quiet {
			fmt.Fprintf(w, "%s of the host not shown (--all shows them)\n", number(hidden, "process"))
		}
		s.coverage(w, list.Coverage, doubts)
	})
}

func place(p report.Process, at report.Place) cell {
	switch {
	case at.Host && p.Role == "payload":
		return cell{"HOST", red}
	case at.Host:
		return cell{text: "host"}
	case at.Inode == 0:
		return cell{"unknown", yellow}
	}
	return cell{text: strconv.FormatUint(at.Inode, 10)}
}
