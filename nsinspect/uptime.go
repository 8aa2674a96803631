package nsinspect

import (
	"math"
	"strconv"
	"strings"
)

// forever is the uptime of what is no live host: nothing in it is young.
const forever = 1 << 62

// uptime is the time since the host has started, in the ticks that the start of
// a process is given in.
func (s *survey) uptime() uint64 {
	b, err := s.fs.File("uptime", 128)
	if err != nil || !s.fs.Procfs() {
		return forever
	}
	return parseUptime(b)
}

// parseUptime reads a /proc/uptime (proc_uptime(5)), whose first number are seconds with two decimals. Something may be mounted
// over it for the sake of containers; what is no time of a host is for ever.
func parseUptime(text []byte) uint64 {
	const ticks = 100 // USER_HZ
	seconds, _, _ := strings.Cut(string(text), " ")
	up, err := strconv.ParseFloat(seconds, 64)
	if err != nil || math.IsNaN(up) || up < 0 || up >= forever/ticks {
		return forever
	}
	return uint64(up * ticks)
}
