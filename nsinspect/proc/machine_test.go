package proc

import (
	"regexp"
	"testing"
)

func TestMachineLink(t *testing.T) {
	for link, want := range map[string]bool{
		"anon_inode:kvm-vm":           true,
		"anon_inode:kvm-vcpu:0":       true,
		"anon_inode:kvm-vcpu:127":     true,
		"anon_inode:mshv_partition":   true,
		"anon_inode:kvm-vcpu:":        false,
		"anon_inode:kvm-vm2":          false,
		"anon_inode:kvm-vcpu-stats:0": false, // only for who has the processor
		"/dev/kvm":                    false, // open, and nothing made of it
		"/anon_inode:kvm-vm":          false, // a file that somebody called so
		"/memfd:kvm-vm (deleted)":     false,
		"anon_inode:[eventpoll]":      false,
		"socket:[1234]":               false,
		"":                            false,
	} {
		if got := machineLink(link); got != want {
			t.Errorf("%q: %t", link, got)
		}
	}
}

// FuzzMachineLink: only what the kernel calls anonymous inodes of machines and their processors.
func FuzzMachineLink(f *testing.F) {
	for _, s := range []string{"anon_inode:kvm-vm", "anon_inode:kvm-vcpu:0", "anon_inode:kvm-vcpu:", "anon_inode:mshv_partition", "/anon_inode:kvm-vm", "anon_inode:[eventfd]", "kvm-vm", "anon_inode:kvm-vm (deleted)", "anon_inode:kvm-vcpu-stats:0"} {
		f.Add(s)
	}
	shape := regexp.MustCompile(`(?s)^anon_inode:(kvm-vm|mshv_partition|kvm-vcpu:.+)$`)
	f.Fuzz(func(t *testing.T, link string) {
		if got := machineLink(link); got != (shape.MatchString(link)) {
			t.Fatalf("%q: %t", link, got)
		}
	})
}
