package main

import (
	"fmt"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/render"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

type rulesCmd struct{}

// Run lists the rules; nothing is read for it.
func (rulesCmd) Run(e *env) error {
	e.collected()
	rules := audit.Rules()
	var err error
	switch e.Format {
	case "json":
		err = render.JSON(e.out, report.Rules{Schema: report.RulesSchema, Tool: nsinspect.Tool(), Rules: rules})
	case "ndjson":
		err = render.Lines(e.out, rules...)
	default:
		err = render.Rules(e.out, rules, e.style())
	}
	if err != nil {
		return fmt.Errorf("writing the rules: %w", err)
	}
	return nil
}
