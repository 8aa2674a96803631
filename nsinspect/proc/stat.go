package proc

import "bytes"

// Flags of a task, include/linux/sched.h.
const (
	flagExiting      = 0x4      // PF_EXITING: it dies, and may have lost its namespaces, but is not a zombie yet
	flagKernelThread = 0x200000 // PF_KTHREAD
)

// parseLiveness reads from a /proc/PID/stat whether the task is dead or dying.
func parseLiveness(stat []byte) (dead, ok bool) {
	state, flags, ok := parseFlags(stat)
	switch state {
	case 'Z', 'X', 'x':
		return true, ok
	}
	return flags&flagExiting != 0, ok
}

// parseFlags reads the state and the flags of a task from a /proc/PID/stat. The name in
// parentheses is chosen by the process and may hold anything, so that the last parenthesis ends it.
func parseFlags(stat []byte) (state byte, flags uint64, ok bool) {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, 0, false
	}
	// state ppid pgrp session tty_nr tpgid flags
	fields := bytes.Fields(stat[i+1:])
	if len(fields) < 7 || len(fields[0]) != 1 {
		return 0, 0, false
	}
	flags, ok = parseDecimal(fields[6])
	if !ok && string(fields[6]) != "0" {
		return 0, 0, false
	}
	return fields[0][0], flags, true
}
