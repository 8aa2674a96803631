package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/nsinspect/nsinspect/nsinspect"
	"github.com/nsinspect/nsinspect/nsinspect/audit"
	"github.com/nsinspect/nsinspect/nsinspect/confine"
	"github.com/nsinspect/nsinspect/nsinspect/locale"
	"github.com/nsinspect/nsinspect/nsinspect/render"
	"github.com/nsinspect/nsinspect/nsinspect/report"
)

// ipcsCmd has the short flags of ipcs(1). Its long flags --all and --pid mean
// something else here; docs/ipcs.md says what.
type ipcsCmd struct {
	NS        uint64 `placeholder:"INODE" help:"Of the IPC namespace with this inode, instead of the host's." group:"Whose objects:"`
	Container string `placeholder:"REF" help:"Of the IPC namespace of this container: its ref, its name, or the beginning of its id." group:"Whose objects:"`
	PID       int    `name:"pid" placeholder:"PID" help:"Of the IPC namespace of this process." group:"Whose objects:"`
	All       bool   `help:"Of every IPC namespace of the host." group:"Whose objects:"`

	Shmems     bool   `short:"m" help:"Shared memory segments." group:"Which objects:"`
	Queues     bool   `help:"Message queues (-q)." group:"Which objects:"`
	Semaphores bool   `short:"s" help:"Semaphore sets." group:"Which objects:"`
	Kinds      bool   `short:"a" help:"All of them (the default)." group:"Which objects:"`
	ID         string `short:"i" placeholder:"ID" help:"Details of the one with this id; with one of -m, -q, -s." group:"Which objects:"`

	Time    bool `short:"t" help:"Times of attaching, detaching, operations and changes." group:"What of them (the last one counts):"`
	Pids    bool `short:"p" help:"PIDs of creators and last users." group:"What of them (the last one counts):"`
	Creator bool `short:"c" help:"Creators and owners." group:"What of them (the last one counts):"`
	Limits  bool `short:"l" help:"Limits." group:"What of them (the last one counts):"`
	Summary bool `short:"u" help:"Totals." group:"What of them (the last one counts):"`
	Human   bool `help:"Sizes in units." group:"What of them (the last one counts):"`
	Bytes   bool `short:"b" help:"Sizes in bytes." group:"What of them (the last one counts):"`
}

// queuesFlag spells out the -q of ipcs(1) behind the command's name: everywhere
// else it is --quiet.
func queuesFlag(args []string) []string {
	out := make([]string, 0, len(args)+1)
	behind := false
	for i, arg := range args {
		if arg == "--" {
			return append(out, args[i:]...)
		}
		letters, isShort := strings.CutPrefix(arg, "-")
		if !behind || !isShort || letters == "" || strings.HasPrefix(letters, "-") {
			behind = behind || arg == "ipcs"
			out = append(out, arg)
			continue
		}
		// What follows a letter that takes a value is the value.
		value := len(letters)
		if at := strings.IndexAny(letters, "ifo"); at >= 0 {
			value = at
		}
		flags := strings.ReplaceAll(letters[:value], "q", "")
		if len(flags) != value {
			out = append(out, "--queues")
		}
		if rest := flags + letters[value:]; rest != "" {
			out = append(out, "-"+rest)
		}
	}
	return out
}

// Run lists objects.
func (c *ipcsCmd) Run(e *env, k *kong.Context) error {
	sel := nsinspect.IPCSelection{Inode: c.NS, Container: c.Container, PID: c.PID, All: c.All,
		Posix: e.Format != "table"} // the tables of ipcs(1) have none
	if err := c.selectOne(&sel); err != nil {
		return usageError(err)
	}
	list, err := nsinspect.IPCObjects(e.ctx, e.source(), e.options(), sel)
	if err != nil {
		return err
	}
	view := c.view(k)
	local := e.locale()
	e.collected()
	doubts := audit.DoubtsOfIPCS(list)
	e.code = audit.CodeOf(doubts)
	c.only(list)
	switch e.Format {
	case "json":
		err = render.JSON(e.out, list)
	case "ndjson":
		err = render.IPCSNDJSON(e.out, list)
	default:
		err = c.tables(e, list, view, local)
	}
	if err != nil {
		return fmt.Errorf("writing the list: %w", err)
	}
	if e.Format == "table" {
		e.tell(list.Coverage, doubts)
	}
	e.hintRoot(list.Coverage.Gaps)
	return nil
}

// tell says on stderr what could not be read: stdout has the bytes of ipcs(1) and no others.
func (e *env) tell(c report.Coverage, doubts []string) {
	c.Gaps = slices.DeleteFunc(slices.Clone(c.Gaps), func(g report.Gap) bool {
		return slices.ContainsFunc(doubts, func(d string) bool { return strings.HasSuffix(d, ": "+g.Error) }) // told with the doubt
	})
	const voice = "nsinspect: "
	style := render.Style{Verbose: e.Verbose, Quiet: e.Quiet, Width: max(columns(e.stderr)-len(voice), 0)}
	var b strings.Builder
	_ = render.Coverage(&b, c, style, doubts)
	for line := range strings.Lines(b.String()) {
		fmt.Fprint(e.stderr, voice+line)
	}
}

// selectOne takes over -i.
func (c *ipcsCmd) selectOne(sel *nsinspect.IPCSelection) error {
	selections := 0
	for _, is := range []bool{c.NS != 0, c.Container != "", c.PID != 0, c.All} {
		if is {
			selections++
		}
	}
	if selections > 1 {
		return errors.New("--ns, --container, --pid and --all exclude each other")
	}
	if c.ID == "" {
		return nil
	}
	// Decimal only: to ipcs(1), too, 010 is ten.
	id, err := strconv.ParseInt(c.ID, 10, 32)
	if err != nil {
		return fmt.Errorf("-i %s: not an id", c.ID)
	}
	for kind, is := range map[string]bool{"shm": c.Shmems || c.Kinds, "msg": c.Queues || c.Kinds, "sem": c.Semaphores || c.Kinds} {
		if is {
			if sel.One != "" {
				return errors.New("-i takes one of -m, -q and -s")
			}
			sel.One, sel.ID = kind, id
		}
	}
	switch {
	case sel.One == "":
		return errors.New("-i takes one of -m, -q and -s")
	case sel.ID < 0:
		return errors.New("-i takes an id, which is not negative")
	case c.All:
		return errors.New("-i looks into one namespace, and ids repeat between them: name it with --ns")
	}
	return nil
}

// view is what the flags ask for; of those that exclude each other the last counts.
func (c *ipcsCmd) view(k *kong.Context) render.IPCSView {
	v := render.IPCSView{Msg: c.Queues || c.Kinds, Shm: c.Shmems || c.Kinds, Sem: c.Semaphores || c.Kinds}
	for _, p := range k.Path {
		if p.Flag == nil {
			continue
		}
		switch p.Flag.Name {
		case "time":
			v.Format = render.IPCSTimes
		case "pids":
			v.Format = render.IPCSPIDs
		case "creator":
			v.Format = render.IPCSCreators
		case "limits":
			v.Format = render.IPCSLimits
		case "summary":
			v.Format = render.IPCSSummary
		case "human":
			v.Unit = render.IPCSHuman
		case "bytes":
			v.Unit = render.IPCSBytes
		}
	}
	return v
}

// only leaves the kinds of objects that were asked for.
func (c *ipcsCmd) only(list *report.IPCS) {
	if c.Kinds || !c.Shmems && !c.Queues && !c.Semaphores {
		return
	}
	for i := range list.Namespaces {
		n := &list.Namespaces[i]
		if !c.Shmems {
			n.Shm = []report.Shm{}
		}
		if !c.Queues {
			n.Msg, n.Mqueue = []report.Msg{}, []report.Mqueue{}
		}
		if !c.Semaphores {
			n.Sem = []report.Sem{}
		}
	}
}

// tables writes what ipcs(1) writes, below a line that names the namespace where
// it is not plainly the host's.
func (c *ipcsCmd) tables(e *env, list *report.IPCS, view render.IPCSView, local render.IPCSLocale) error {
	titled := c.All || c.NS != 0 || c.Container != "" || c.PID != 0
	for i := range list.Namespaces {
		n := &list.Namespaces[i]
		if titled {
			if _, err := fmt.Fprintln(e.out, ipcsTitle(n)); err != nil {
				return err
			}
		}
		if n.Limits == nil && n.Error != "" && len(n.Shm)+len(n.Sem)+len(n.Msg) == 0 {
			// Empty tables would say that there is nothing.
			if _, err := fmt.Fprintf(e.out, "could not be listed: %s\n\n", n.Error); err != nil {
				return err
			}
			continue
		}
		if c.All && view.Format != render.IPCSLimits && len(n.Shm)+len(n.Sem)+len(n.Msg)+len(n.Mqueue) == 0 {
			if _, err := fmt.Fprint(e.out, "nothing in it\n\n"); err != nil {
				return err
			}
			continue
		}
		data := render.IPCSData{Shm: n.Shm, Sem: n.Sem, Msg: n.Msg, PageSize: list.PageSize}
		if n.Limits != nil {
			data.Limits = *n.Limits
		} else if view.Format == render.IPCSLimits {
			continue // told on stderr; zeros would be a lie
		}
		if _, err := e.out.Write(c.table(n, data, view, local)); err != nil {
			return err
		}
	}
	return nil
}

func (c *ipcsCmd) table(n *report.ListedIPC, data render.IPCSData, view render.IPCSView, local render.IPCSLocale) []byte {
	switch {
	case c.ID == "":
		return render.IPCS(view, data, local)
	case len(n.Shm) > 0:
		return render.IPCSShm(n.Shm[0], view.Unit, local)
	case len(n.Msg) > 0:
		var most uint64
		if n.QBytes != nil {
			most = *n.QBytes
		}
		return render.IPCSMsg(n.Msg[0], most, view.Unit, local)
	default:
		return render.IPCSSem(n.Sem[0], n.Semaphores, local)
	}
}

func ipcsTitle(n *report.ListedIPC) string {
	title := fmt.Sprintf("ipc:[%d]", n.Inode)
	if n.Host {
		title += " host"
	}
	title += fmt.Sprintf(", processes: %d", n.Processes)
	if len(n.Containers) > 0 {
		refs := make([]string, len(n.Containers))
		for i, ref := range n.Containers {
			refs[i] = render.ShortRef(ref)
		}
		title += ", containers: " + report.Text(strings.Join(refs, " "))
	}
	if len(n.PinnedBy) > 0 {
		title += ", kept by: " + report.Text(strings.Join(n.PinnedBy, "; "))
	}
	return title
}

// locale reads names, the time zone and the language. Without them there are
// numbers, UTC and English.
func (e *env) locale() render.IPCSLocale {
	var l render.IPCSLocale
	l.Users, _ = locale.Names("/etc/passwd")
	l.Groups, _ = locale.Names("/etc/group")
	tz, set := os.LookupEnv("TZ")
	l.Zone = locale.Zone(tz, set)
	language := locale.System().Find(os.Getenv, "util-linux")
	l.Decimal, l.Message = language.Decimal, language.Message
	return l
}

// keep returns the capabilities that a command needs beyond those of a scan:
// the values of somebody else's semaphores take CAP_IPC_OWNER.
func (c *cli) keep() []confine.Capability {
	if c.Ipcs.ID != "" {
		return []confine.Capability{confine.CapIPCOwner}
	}
	return nil
}
