package main

import (
	"fmt"

	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/render"
)

type nsCmd struct {
	Type []string `short:"t" placeholder:"TYPE,..." enum:"cgroup,ipc,mnt,net,pid,time,user,uts" help:"Only these types: cgroup, ipc, mnt, net, pid, time, user, uts."`
}

// Run lists namespaces.
func (c *nsCmd) Run(e *env) error {
	list, err := nsinspect.Namespaces(e.ctx, e.source(), e.options(), c.Type...)
	if err != nil {
		return err
	}
	e.collected()
	doubts := audit.DoubtsOfNamespaces(list)
	e.code = audit.CodeOf(doubts)
	switch e.Format {
	case "json":
		err = render.JSON(e.out, list)
	case "ndjson":
		err = render.NamespacesNDJSON(e.out, list)
	default:
		err = render.Namespaces(e.out, list, e.style(), doubts)
	}
	if err != nil {
		return fmt.Errorf("writing the list: %w", err)
	}
	e.hintRoot(list.Coverage.Gaps)
	return nil
}
