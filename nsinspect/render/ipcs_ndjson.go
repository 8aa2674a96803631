package render

import (
	"encoding/json"
	"io"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// IPCSNDJSON writes the objects of a list of IPC namespaces, one a line, each
// with its namespace and its kind.
func IPCSNDJSON(w io.Writer, list *report.IPCS) error {
	return lines(w, func(e *json.Encoder) {
		for _, n := range list.Namespaces {
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
