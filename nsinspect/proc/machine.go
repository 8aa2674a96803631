package proc

import (
	"slices"
	"strconv"
	"strings"
)

// machine returns the link of the first descriptor that is of a virtual machine, "" if there is none.
func (p *Process) machine() (string, error) {
	fds, err := listPIDs(p.fd, "fd\x00", nil, make([]byte, 16<<10)) // 0, which is no PID, is left out, and is a terminal or a pipe
	if err != nil {
		if KindOf(err) == Absent && !p.fs.live {
			return "", nil // a tree that was made without descriptors
		}
		return "", err
	}
	slices.Sort(fds)
	var buf [linkSize]byte
	for _, fd := range fds {
		n, err := readlinkat(false, p.fd, "fd/"+strconv.Itoa(int(fd))+"\x00", buf[:])
		if err == nil && machineLink(string(buf[:n])) {
			return string(buf[:n]), nil
		}
	}
	return "", nil
}

// machineLink tells the link of a virtual machine, or of one of its processors, from those of other descriptors: of
// KVM (virt/kvm/kvm_main.c, kvm_dev_ioctl_create_vm and create_vcpu_fd) and of Hyper-V's root partition since Linux
// 6.15 (drivers/hv/mshv_root_main.c). Nobody can make one for something else: the names of anonymous inodes are the
// kernel's, and those of files begin with a slash.
func machineLink(link string) bool {
	name, ok := strings.CutPrefix(link, "anon_inode:")
	if !ok {
		return false
	}
	cpu, isCPU := strings.CutPrefix(name, "kvm-vcpu:")
	return name == "kvm-vm" || name == "mshv_partition" || isCPU && cpu != ""
}
