package nsinspect

import (
	"context"
	"errors"
	"slices"

	"github.com/nsinspect/nsinspect/nsinspect/internal/parallel"
	"github.com/nsinspect/nsinspect/nsinspect/ipc"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// mapLimit bounds uid_map and gid_map: 340 lines of at most 33 bytes
// (kernel/user_namespace.c, UID_GID_MAP_MAX_EXTENTS).
const mapLimit = 64 << 10

// userNamespaces is what is known of the user namespaces of some processes.
type userNamespaces map[uint64]userNamespace

type userNamespace struct {
	ns        *ipc.UserNS
	uids      ipc.IDMap
	gids      ipc.IDMap
	setgroups ipc.Setgroups
}

// credentials reads what the kernel judges processes by, of each that is still
// there; what cannot be read is a gap.
func (s *survey) credentials(ctx context.Context, pids []int) []*proc.Credentials {
	all := make([]*proc.Credentials, len(pids))
	failures := make([]error, len(pids))
	parallel.Each(len(pids), func(i int) {
		if ctx.Err() == nil {
			all[i], failures[i] = s.fs.Credentials(pids[i])
		}
	})
	for i, err := range failures {
		var e *proc.Error
		if errors.As(err, &e) && e.Kind != proc.Gone && !slices.ContainsFunc(s.unreadable[pids[i]], func(k *proc.Error) bool { return k.File == e.File }) {
			s.unreadable[pids[i]] = append(s.unreadable[pids[i]], e)
		}
	}
	return slices.DeleteFunc(all, func(c *proc.Credentials) bool { return c == nil })
}

// userNamespaces reads the user namespaces of processes, each once.
func (s *survey) userNamespaces(ctx context.Context, processes []*proc.Credentials) userNamespaces {
	known := userNamespaces{}
	var records []proc.Record
	first := map[uint64]int{}
	for _, c := range processes {
		p := s.facts.Find(c.PID)
		if _, ok := known[c.UserNS]; !ok && p != nil {
			known[c.UserNS] = userNamespace{}
			records = append(records, p.Record)
			first[c.UserNS] = c.PID
		}
	}
	namespaces := map[uint64]*ipc.UserNS{}
	if inv, err := namespace.TakeInventory(ctx, s.fs, records, namespace.Search{Types: []string{"user"}, Owners: true}); err == nil {
		namespaces = tree(inv)
	}
	own := s.ownUserNS()
	for inode, pid := range first {
		u := userNamespace{ns: namespaces[inode]}
		if inode == namespace.InitialUser {
			u.ns = ipc.InitialUserNS()
		}
		u.uids, u.gids, u.setgroups = s.idMaps(pid, inode)
		if inode == own {
			u.uids, u.gids = u.uids.FromWithin(), u.gids.FromWithin()
		}
		known[inode] = u
	}
	return known
}

// ownUserNS returns the user namespace of the reader, whose maps have the numbers
// of the namespace around it while every other id is given in its own; 0 if that is unknown.
func (s *survey) ownUserNS() uint64 {
	if !s.fs.Procfs() {
		return 0
	}
	fs, self := s.fs, s.fs.Self()
	if self == 0 { // a procfs of a PID namespace that the reader is not in
		own, err := proc.Open("/proc")
		if err != nil {
			return 0
		}
		defer own.Close()
		fs, self = own, own.Self()
	}
	p, err := fs.Process(self)
	if err != nil {
		return 0
	}
	defer p.Close()
	inode, err := p.Namespace("user")
	if err != nil {
		return 0
	}
	return inode
}

// idMaps reads the maps of a user namespace through a process in it. What cannot
// be read stays unknown, which the judgement says.
func (s *survey) idMaps(pid int, inode uint64) (uids, gids ipc.IDMap, setgroups ipc.Setgroups) {
	p, err := s.fs.Process(pid)
	if err != nil {
		return nil, nil, ipc.SetgroupsUnknown
	}
	defer p.Close()
	uidText, uidErr := p.Read("uid_map", mapLimit)
	gidText, gidErr := p.Read("gid_map", mapLimit)
	if b, err := p.Read("setgroups", 16); err == nil {
		setgroups = ipc.ParseSetgroups(b)
	}
	// The number may be another process's by now; its namespace tells.
	if now, err := p.Namespace("user"); err != nil || now != inode {
		return nil, nil, ipc.SetgroupsUnknown
	}
	if m, err := ipc.ParseIDMap(uidText); err == nil && uidErr == nil {
		uids = m
	}
	if m, err := ipc.ParseIDMap(gidText); err == nil && gidErr == nil {
		gids = m
	}
	return uids, gids, setgroups
}

// tree links the user namespaces of an inventory to their parents.
func tree(inv *namespace.Inventory) map[uint64]*ipc.UserNS {
	all := map[uint64]*ipc.UserNS{}
	for i := range inv.Found {
		if f := &inv.Found[i]; f.Type == "user" && f.Inode != 0 {
			all[f.Inode] = &ipc.UserNS{Inode: f.Inode, Owner: uint32(f.OwnerUID), OwnerUnknown: f.OwnerUID < 0}
		}
	}
	for i := range inv.Found {
		if f := &inv.Found[i]; f.Type == "user" && f.Inode != 0 {
			all[f.Inode].Parent = all[f.Parent]
		}
	}
	return all
}

// cred puts together what the kernel judges a process by.
func (known userNamespaces) cred(c *proc.Credentials) ipc.Cred {
	st, u := c.Status, known[c.UserNS]
	return ipc.Cred{
		UID: st.UID, EUID: st.EUID, SUID: st.SUID, FSUID: st.FSUID,
		GID: st.GID, EGID: st.EGID, SGID: st.SGID, FSGID: st.FSGID, Groups: st.Groups,
		Prm: ipc.Caps(st.CapPrm), Eff: ipc.Caps(st.CapEff), Inh: ipc.Caps(st.CapInh), Bnd: ipc.Caps(st.CapBnd), Amb: ipc.Caps(st.CapAmb),
		NoNewPrivs: st.NoNewPrivs, Seccomp: st.Seccomp, SeccompFilters: st.SeccompFilters, Label: c.Guard.Label,
		UserNS: u.ns, UIDMap: u.uids, GIDMap: u.gids, Setgroups: u.setgroups,
	}
}
