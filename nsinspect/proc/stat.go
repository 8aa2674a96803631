package proc

import "bytes"

// Flags of a task, include/linux/sched.h.
const (
	flagExiting      = 0x4      // PF_EXITING: it dies, and may have lost its namespaces, but is not a zombie yet
	flagKernelThread = 0x200000 // PF_KTHREAD
)

// parseLiveness reads from a /proc/PID/stat whether the task is dead or dying. The name in
// parentheses is chosen by the process and may hold anything, so that the last parenthesis ends it.
func parseLiveness(stat []byte) (dead, ok bool) {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return false, false
	}
	// state ppid pgrp session tty_nr tpgid flags
	fields := bytes.Fields(stat[i+1:])
	if len(fields) < 7 || len(fields[0]) != 1 {
		return false, false
	}
	flags, ok := parseDecimal(fields[6])
	if !ok && string(fields[6]) != "0" {
		return false, false
	}
	switch fields[0][0] {
	case 'Z', 'X', 'x':
		return true, true
	}
	return flags&flagExiting != 0, true
}
