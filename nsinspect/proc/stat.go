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
func parseFlags(text []byte) (state byte, flags uint64, ok bool) {
	i := bytes.LastIndexByte(text, ')')
	if i < 0 {
		return 0, 0, false
	}
	// state ppid pgrp session tty_nr tpgid flags
	field, rest := nextField(text[i+1:])
	if len(field) != 1 {
		return 0, 0, false
	}
	state = field[0]
	for range 6 {
		field, rest = nextField(rest)
	}
	flags, ok = parseNumber(field)
	if !ok {
		return 0, 0, false
	}
	return state, flags, true
}

// stat is what is wanted of a /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	comm    string // hostile text
	state   byte
	ppid    int
	flags   uint64
	threads int
	start   uint64 // clock ticks after boot
}

// parseStat reads a /proc/PID/stat up to the start of the process, field 22.
//
// The library's ProcStat counts faults, times and memory in an uint, which the 32-bit build of this program has too little
// of on a 64-bit kernel: a process with 4 GiB of address space could not be read at all.
func parseStat(text []byte) (s stat, ok bool) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, false
	}
	s.comm = string(text[open+1 : end])
	rest := text[end+1:]
	for n := 3; n <= 22; n++ {
		var field []byte
		field, rest = nextField(rest)
		var ok bool
		switch n {
		case 3:
			if ok = len(field) == 1 && field[0] >= 'A' && field[0] <= 'z'; ok {
				s.state = field[0]
			}
		case 4:
			s.ppid, ok = parseInt(field)
		case 9:
			s.flags, ok = parseNumber(field)
		case 20:
			s.threads, ok = parseInt(field)
		case 22:
			s.start, ok = parseNumber(field)
		default: // some are negative: no terminal, a real-time priority
			_, ok = parseNumber(bytes.TrimPrefix(field, []byte("-")))
		}
		if !ok {
			return stat{}, false
		}
	}
	return s, true
}

// nextField cuts off what stands before the next space or line end.
func nextField(text []byte) (field, rest []byte) {
	text = bytes.TrimLeft(text, " ")
	end := bytes.IndexAny(text, " \n")
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}

// parseNumber reads a number as the kernel prints one, which may be 0.
func parseNumber(digits []byte) (uint64, bool) {
	if string(digits) == "0" {
		return 0, true
	}
	return parseDecimal(digits)
}
