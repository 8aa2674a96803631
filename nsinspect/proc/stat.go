package proc

import "bytes"

// flagExiting is PF_EXITING of include/linux/sched.h: the task has begun to
// die, and has lost its namespaces perhaps, but is not a zombie yet.
const flagExiting = 0x4

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
