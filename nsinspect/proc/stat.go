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
	var last []byte
	rest := stat[i+1:]
	for field := range 7 {
		rest = bytes.TrimLeft(rest, " ")
		end := bytes.IndexAny(rest, " \n")
		if end < 0 {
			end = len(rest)
		}
		last, rest = rest[:end], rest[end:]
		if field == 0 {
			if len(last) != 1 {
				return 0, 0, false
			}
			state = last[0]
		}
	}
	flags, ok = parseDecimal(last)
	if !ok && string(last) != "0" {
		return 0, 0, false
	}
	return state, flags, true
}
