package main

import (
	"fmt"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/render"
)

type explainCmd struct {
	What string `arg:"" help:"A container (ref, id, name, or the beginning of an id), a PID, or a namespace (ipc:[4026531839], or the inode alone)."`
}

// Run explains one container, process or namespace.
func (c *explainCmd) Run(e *env) error {
	x, err := nsinspect.Explain(e.ctx, e.source(), e.options(), c.What)
	if err != nil {
		return err
	}
	e.collected()
	e.code = audit.CodeOf(audit.DoubtsOfExplanation(x))
	switch e.Format {
	case "json":
		err = render.JSON(e.out, x)
	case "ndjson":
		err = render.Lines(e.out, x)
	default:
		err = render.Explanation(e.out, x, e.style())
	}
	if err != nil {
		return fmt.Errorf("writing the explanation: %w", err)
	}
	e.hintRoot(x.Gaps)
	return nil
}
