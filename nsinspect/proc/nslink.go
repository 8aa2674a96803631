package proc

// parseNamespace reads the target of a link in /proc/PID/ns, "ipc:[4026531839]",
// and returns the inode (fs/nsfs.c, ns_get_name). The kernel counts them in 32 bits; more are
// taken, 0 is not: here it means that the inode is unknown.
func parseNamespace(target []byte, kind string) (uint64, bool) {
	n := len(kind)
	if len(target) < n+len(":[0]") || string(target[:n]) != kind || target[n] != ':' || target[n+1] != '[' ||
		target[len(target)-1] != ']' {
		return 0, false
	}
	return parseDecimal(target[n+2 : len(target)-1])
}

// parseDecimal reads a positive number in the way that the kernel prints one:
// digits, no sign, no leading zero.
func parseDecimal(digits []byte) (uint64, bool) {
	if len(digits) == 0 || digits[0] == '0' {
		return 0, false
	}
	var v uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := uint64(c - '0')
		if v > (1<<64-1-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}
