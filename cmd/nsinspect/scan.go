package main

import (
	"fmt"
	"os"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/render"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

type scanCmd struct {
	Sandboxes bool `help:"List the sandboxes too: processes outside containers that are apart from the host."`
}

// Run scans and reports.
func (c *scanCmd) Run(e *env) error {
	r, err := nsinspect.Inspect(e.ctx, e.source(), e.options())
	if err != nil {
		return err
	}
	e.collected()
	e.code = audit.ExitCode(r, e.FailOn)
	switch e.Format {
	case "json":
		err = render.JSON(e.out, r)
	case "ndjson":
		err = render.NDJSON(e.out, r)
	default:
		style := e.style()
		style.Sandboxes = c.Sandboxes
		err = render.Scan(e.out, r, style, render.Verdict{Doubts: audit.Doubts(r), Short: audit.Short})
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	e.hintRoot(r.Coverage.Gaps)
	return nil
}

// hintRoot tells somebody who is not root why there are gaps.
func (e *env) hintRoot(gaps []report.Gap) {
	if os.Geteuid() == 0 {
		return
	}
	for _, g := range gaps {
		if g.Error == "not permitted" {
			fmt.Fprintln(e.stderr, "nsinspect: hint: run as root to read the namespaces of every process")
			return
		}
	}
}
