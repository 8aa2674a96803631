package main

import (
	"fmt"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/render"
)

type psCmd struct {
	All bool `short:"a" help:"Also the processes of the host."`
}

// Run lists processes.
func (c *psCmd) Run(e *env) error {
	list, err := nsinspect.Processes(e.ctx, e.source(), e.options())
	if err != nil {
		return err
	}
	e.collected()
	switch e.Format {
	case "json":
		err = render.JSON(e.out, list)
	case "ndjson":
		err = render.Lines(e.out, list.Processes...)
	default:
		err = render.Processes(e.out, list, e.style(), c.All)
	}
	if err != nil {
		return fmt.Errorf("writing the list: %w", err)
	}
	e.hintRoot(list.Coverage)
	return nil
}
