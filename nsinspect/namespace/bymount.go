package namespace

import (
	"context"
	"slices"
	"time"

	"github.com/nsinspect/nsinspect/nsinspect/proc"
)

// mountDeadline bounds what is asked of one mount namespace.
const mountDeadline = 2 * time.Second

// seer is a process or thread that can be asked for the mounts of its mount namespace.
type seer struct{ pid, tid int }

// maxSeers is how many are asked at most: of those in a chroot, none sees all.
const maxSeers = 4

// seen is what one mount namespace tells.
type seen struct {
	mounts []seenMount
	errors []*proc.Error
}

type seenMount struct {
	id    ID
	point string
	aloof string
	by    seer
}

// byMount finds the namespaces that are mounted somewhere, as CRI-O and
// ip-netns(8) do it, in every mount namespace: the entries of
// /proc/PID/mountinfo of type nsfs. The list is read once a mount namespace.
func (inv *inventory) byMount(ctx context.Context) {
	done := map[uint64]bool{}
	inv.own = inv.ownMounts()
	for {
		// A mount can keep a mount namespace, in which there are mounts again.
		var next []uint64
		for inode := range inv.seers {
			if !done[inode] && inv.search.MountsIn(inode) {
				next = append(next, inode)
			}
		}
		if inv.search.Deep && inv.fs.Procfs() {
			for id := range inv.found {
				if id.Type == "mnt" && !done[id.Inode] && inv.search.MountsIn(id.Inode) && inv.seers[id.Inode] == nil {
					next = append(next, id.Inode)
				}
			}
		}
		if len(next) == 0 || ctx.Err() != nil {
			return
		}
		slices.Sort(next)
		all := make([]seen, len(next))
		each(ctx, len(next), func(i int) {
			if seers := inv.seers[next[i]]; len(seers) > 0 {
				all[i] = inv.askSeers(ctx, next[i], seers)
			} else {
				all[i] = inv.listMounts(ctx, next[i])
			}
		})
		for i, inode := range next {
			done[inode] = true
			for _, m := range all[i].mounts {
				if inv.wants(m.id.Type) || m.id.Type == "mnt" {
					inv.add(m.id).mounted(m.point, Seen{inode, m.by.pid, m.by.tid, m.aloof})
				}
			}
			for _, err := range all[i].errors {
				inv.fail(err)
			}
		}
	}
}

// mounted notes one place where the namespace is mounted.
func (f *Found) mounted(point string, in Seen) {
	i := slices.IndexFunc(f.Mounts, func(m Mount) bool { return m.Point == point })
	if i < 0 {
		f.Mounts = append(f.Mounts, Mount{point, []Seen{in}})
		return
	}
	at := &f.Mounts[i]
	if at.In[len(at.In)-1].Mnt != in.Mnt { // else one on top of the other
		at.In = append(at.In, in)
	}
}

// askSeers reads the mounts of one mount namespace through those who are in it, until one sees its root.
func (inv *inventory) askSeers(ctx context.Context, mnt uint64, seers []seer) (out seen) {
	ctx, cancel := context.WithTimeout(ctx, mountDeadline)
	defer cancel()
	asked := 0
	for _, who := range seers {
		mounts, root, err := inv.askSeer(ctx, mnt, who)
		for _, m := range mounts {
			if id, ok := ParseLink(m.Link); ok {
				out.mounts = append(out.mounts, seenMount{id, m.Point, m.Aloof, who})
			}
		}
		if err != nil {
			if proc.KindOf(err) != proc.Gone {
				out.errors = append(out.errors, asError(who.pid, threadFile(who.tid, "mountinfo"), err))
			}
			if len(out.errors) == maxSeers {
				break
			}
			continue
		}
		if asked++; root || asked == maxSeers {
			break
		}
	}
	if asked > 0 {
		out.errors = nil // somebody else answered
	}
	return out
}

// askSeer reads the mounts that one process or thread sees.
func (inv *inventory) askSeer(ctx context.Context, mnt uint64, who seer) ([]proc.NamespaceMount, bool, error) {
	p, err := inv.fs.Process(who.pid)
	if err != nil {
		return nil, false, err
	}
	defer p.Close()
	if who.tid != 0 {
		thread, err := p.Thread(who.tid)
		if err != nil {
			return nil, false, err
		}
		defer thread.Close()
		p = thread
	}
	inode, err := p.Namespace("mnt")
	if err != nil {
		return nil, false, err
	}
	if inode != mnt {
		return nil, false, &proc.Error{PID: who.pid, Kind: proc.Gone, Err: errMoved}
	}
	mounts, root, err := p.NamespaceMounts(ctx)
	if mnt == inv.own {
		// What is mounted here is what every path of the reader's leads through anyway.
		for i := range mounts {
			if mounts[i].Aloof == "overlay" {
				mounts[i].Aloof = ""
			}
		}
	}
	return mounts, root, err
}

// ownMounts returns the inode of the reader's own mount namespace, 0 if it is unknown.
func (inv *inventory) ownMounts() uint64 {
	self := inv.fs.Self()
	if self == 0 {
		return 0
	}
	p, err := inv.fs.Process(self)
	if err != nil {
		return 0
	}
	defer p.Close()
	inode, err := p.Namespace("mnt")
	if err != nil {
		return 0
	}
	return inode
}
