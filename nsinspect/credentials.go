package nsinspect

import (
	"context"

	"github.com/nsinspect/nsinspect/nsinspect/container"
	"github.com/nsinspect/nsinspect/nsinspect/ipc"
	"github.com/nsinspect/nsinspect/nsinspect/namespace"
	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// credWants is what a visit reads for [userNamespaces.cred].
const credWants = proc.WantStatus | proc.WantUserNS | proc.WantGuard

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

// userNamespaces reads the user namespaces of visited processes, each once.
func (s *survey) userNamespaces(ctx context.Context, visits []container.Visit) userNamespaces {
	known := userNamespaces{}
	var records []proc.Record
	var first []*container.Process
	for _, v := range visits {
		p := s.facts.Find(v.PID)
		if p == nil || p.Detail == nil || p.Detail.UserNS == 0 {
			continue
		}
		if _, ok := known[p.Detail.UserNS]; !ok {
			known[p.Detail.UserNS] = userNamespace{}
			records = append(records, p.Record)
			first = append(first, p)
		}
	}
	namespaces := map[uint64]*ipc.UserNS{}
	if inv, err := namespace.TakeInventory(ctx, s.fs, records, namespace.Search{Types: []string{"user"}, Owners: true}); err == nil {
		namespaces = tree(inv)
	}
	for _, p := range first {
		inode := p.Detail.UserNS
		u := userNamespace{ns: namespaces[inode]}
		if inode == namespace.InitialUser {
			u.ns = ipc.InitialUserNS()
		}
		u.uids, u.gids, u.setgroups = s.idMaps(p.PID, inode)
		known[inode] = u
	}
	return known
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
			all[f.Inode] = &ipc.UserNS{Inode: f.Inode, Owner: uint32(max(f.OwnerUID, 0))}
		}
	}
	for i := range inv.Found {
		if f := &inv.Found[i]; f.Type == "user" {
			all[f.Inode].Parent = all[f.Parent]
		}
	}
	return all
}

// cred puts together what the kernel judges a process by; false when the visit
// could not read it.
func (known userNamespaces) cred(d *proc.Detail) (ipc.Cred, bool) {
	if d == nil || d.Status == nil {
		return ipc.Cred{}, false
	}
	st, u := d.Status, known[d.UserNS]
	c := ipc.Cred{
		UID: st.UID, EUID: st.EUID, SUID: st.SUID, FSUID: st.FSUID,
		GID: st.GID, EGID: st.EGID, SGID: st.SGID, FSGID: st.FSGID, Groups: st.Groups,
		Prm: ipc.Caps(st.CapPrm), Eff: ipc.Caps(st.CapEff), Inh: ipc.Caps(st.CapInh), Bnd: ipc.Caps(st.CapBnd), Amb: ipc.Caps(st.CapAmb),
		NoNewPrivs: st.NoNewPrivs, Seccomp: st.Seccomp, SeccompFilters: st.SeccompFilters,
		UserNS: u.ns, UIDMap: u.uids, GIDMap: u.gids, Setgroups: u.setgroups,
	}
	if d.Guard != nil {
		c.Label = d.Guard.Label
	}
	return c, true
}
