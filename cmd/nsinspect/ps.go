package main

import (
	"fmt"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/audit"
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
	doubts := audit.DoubtsOfProcesses(list)
	e.code = audit.CodeOf(doubts)
	switch e.Format {
	case "json":
		err = render.JSON(e.out, list)
	case "ndjson":
		err = render.ProcessesNDJSON(e.out, list)
	default:
		err = render.Processes(e.out, list, e.style(), c.All, doubts)
	}
	if err != nil {
		return fmt.Errorf("writing the list: %w", err)
	}
	e.hintRoot(list.Coverage.Gaps)
	return nil
}
