package proc

// Credentials is what the kernel judges a process by, and nothing else of it.
type Credentials struct {
	PID          int
	KernelThread bool
	Status       *Status
	UserNS       uint64 // inode of ns/user
	Guard        *Guard
}

// Credentials reads what a visit with WantStatus, WantUserNS and WantGuard does, at a
// fifth of its cost: for those who ask it of every process of a host. Nothing
// that it reads takes a lock of the target. Of a process whose leader has exited
// the credentials are the leader's last.
func (fs *FS) Credentials(pid int) (*Credentials, error) {
	p, err := fs.Process(pid)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	c := &Credentials{PID: pid}
	stat, err := p.Read("stat", statLimit)
	if err != nil {
		return nil, err
	}
	_, flags, ok := parseFlags(stat)
	if !ok {
		return nil, p.fail("stat", &flaw{kind: BadData, text: "not in the kernel's format"})
	}
	c.KernelThread = flags&flagKernelThread != 0
	if c.Status, err = p.status(); err != nil {
		return nil, p.fail("status", err)
	}
	if c.Guard, err = p.guard(); err != nil {
		return nil, p.fail("stat", err)
	}
	if c.UserNS, err = p.Namespace("user"); err != nil {
		return nil, err
	}
	return c, nil
}
