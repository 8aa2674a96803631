package render

import (
	"encoding/json"
	"io"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// IPCSNDJSON writes a list of IPC namespaces as one object a line, each with its
// kind: first the scan; then every namespace, which says whether its objects could be read, with its objects behind it.
func IPCSNDJSON(w io.Writer, list *report.IPCS) error {
	return lines(w, func(e *json.Encoder) {
		e.Encode(struct {
			Kind string `json:"kind"`
			listHead
			PageSize uint64 `json:"page_size"`
		}{"scan", listHead{list.Schema, list.Tool, list.Host, list.Baseline, list.Coverage}, list.PageSize})
		for _, n := range list.Namespaces {
			e.Encode(spaceLine{n.Inode, "namespace", n, nil, nil, nil, nil})
			for _, s := range n.Shm {
				e.Encode(shmLine{n.Inode, "shm", s})
			}
			for _, s := range n.Sem {
				e.Encode(semLine{n.Inode, "sem", s})
			}
			for _, m := range n.Msg {
				e.Encode(msgLine{n.Inode, "msg", m})
			}
			for _, q := range n.Mqueue {
				e.Encode(mqueueLine{n.Inode, "mqueue", q})
			}
		}
	})
}

type (
	// spaceLine is a namespace without its objects, which have lines of their own.
	spaceLine struct {
		IPC  uint64 `json:"ipc"`
		Kind string `json:"kind"`
		report.ListedIPC
		Shm    any `json:"shm,omitempty"`
		Sem    any `json:"sem,omitempty"`
		Msg    any `json:"msg,omitempty"`
		Mqueue any `json:"mqueue,omitempty"`
	}
	shmLine struct {
		IPC  uint64 `json:"ipc"`
		Kind string `json:"kind"`
		report.Shm
	}
	semLine struct {
		IPC  uint64 `json:"ipc"`
		Kind string `json:"kind"`
		report.Sem
	}
	msgLine struct {
		IPC  uint64 `json:"ipc"`
		Kind string `json:"kind"`
		report.Msg
	}
	mqueueLine struct {
		IPC  uint64 `json:"ipc"`
		Kind string `json:"kind"`
		report.Mqueue
	}
)
