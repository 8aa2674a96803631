package render

import (
	"encoding/json"
	"io"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// JSON writes any value of the contract as one indented document.
func JSON(w io.Writer, v any) error {
	return buffered(w, func(w io.Writer) {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		e.Encode(v) // the values hold nothing that cannot be encoded; the writer's error comes from Flush
	})
}

// Lines writes values of the contract as one object a line.
func Lines[T any](w io.Writer, values ...T) error {
	return lines(w, func(e *json.Encoder) {
		for _, v := range values {
			e.Encode(v)
		}
	})
}

// lines calls write with what writes one value a line.
func lines(w io.Writer, write func(e *json.Encoder)) error {
	return buffered(w, func(w io.Writer) {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		write(e)
	})
}

// NDJSON writes a report as one object a line, each with its type: first the
// scan itself (what was compared with what, and how much was read), then every
// container, sandbox, ipc_namespace, dev_shm and finding.
func NDJSON(w io.Writer, r *report.Report) error {
	return lines(w, func(e *json.Encoder) {
		e.Encode(scanLine{"scan", r.Schema, r.Tool, r.Started, r.DurationMS, r.Host, r.Baseline, r.Coverage})
		for _, c := range r.Containers {
			e.Encode(struct {
				Type string `json:"type"`
				report.Container
			}{"container", c})
		}
		for _, s := range r.Sandboxes {
			e.Encode(struct {
				Type string `json:"type"`
				report.Sandbox
			}{"sandbox", s})
		}
		for _, n := range r.IPCNamespaces {
			e.Encode(struct {
				Type string `json:"type"`
				report.IPCNamespace
			}{"ipc_namespace", n})
		}
		for _, m := range r.DevShm {
			e.Encode(struct {
				Type string `json:"type"`
				report.ShmMount
			}{"dev_shm", m})
		}
		for _, f := range r.Findings {
			e.Encode(struct {
				Type string `json:"type"`
				report.Finding
			}{"finding", f})
		}
	})
}

// ProcessesNDJSON writes a list of processes as one object a line, each with its
// type: first the scan, then every process.
func ProcessesNDJSON(w io.Writer, l *report.Processes) error {
	return lines(w, func(e *json.Encoder) {
		e.Encode(struct {
			Type string `json:"type"`
			listHead
		}{"scan", listHead{l.Schema, l.Tool, l.Host, l.Baseline, l.Coverage}})
		for _, p := range l.Processes {
			e.Encode(struct {
				Type string `json:"type"`
				report.Process
			}{"process", p})
		}
	})
}

// listHead is what a list has beside its elements.
type listHead struct {
	Schema   string          `json:"schema"`
	Tool     report.Tool     `json:"tool"`
	Host     report.Host     `json:"host"`
	Baseline report.Baseline `json:"baseline"`
	Coverage report.Coverage `json:"coverage"`
}

type scanLine struct {
	Type       string          `json:"type"`
	Schema     string          `json:"schema"`
	Tool       report.Tool     `json:"tool"`
	Started    time.Time       `json:"started"`
	DurationMS float64         `json:"duration_ms"`
	Host       report.Host     `json:"host"`
	Baseline   report.Baseline `json:"baseline"`
	Coverage   report.Coverage `json:"coverage"`
}
