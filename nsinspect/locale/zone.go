package locale

import (
	"encoding/binary"
	"strings"
	"time"
)

// Zone returns the time zone that the C library makes of the environment
// variable TZ (tzset(3)); set tells whether there is one. Beside what the time
// package knows it takes POSIX rules such as "CET-1CEST,M3.5.0,M10.5.0/3". What
// the C library cannot read is UTC there too.
func Zone(tz string, set bool) *time.Location {
	if !set {
		return time.Local // of /etc/localtime: the time package reads TZ only where it is set
	}
	name := strings.TrimPrefix(tz, ":")
	if name == "" {
		return time.UTC
	}
	if strings.HasPrefix(name, "/") {
		if zone := fromFile(name); zone != nil {
			return zone
		}
		return time.UTC
	}
	// A name that is a file wins over a rule, as in EST5EDT.
	if zone, err := time.LoadLocation(name); err == nil && name != "Local" {
		return zone
	}
	if zone, err := fromRule(name); err == nil {
		return zone
	}
	return time.UTC
}

// fromRule makes a zone of a POSIX rule by means of a zone file (RFC 8536) that
// has no other content than the rule.
func fromRule(rule string) (*time.Location, error) {
	header := func(version byte, times, zones, chars uint32) []byte {
		b := append([]byte("TZif"), version)
		b = append(b, make([]byte, 15)...)
		for _, n := range []uint32{0, 0, 0, times, zones, chars} { // isutc, isstd, leap, time, type, char counts
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	utc := []byte{0, 0, 0, 0, 0, 0, 'U', 'T', 'C', 0} // offset, no DST, abbreviation 0; the abbreviation
	file := append(header('3', 0, 1, 4), utc...)
	file = append(file, header('3', 1, 1, 4)...)
	// The rule is only in force after the last transition: one before all times.
	file = binary.BigEndian.AppendUint64(file, 1<<63)
	file = append(file, 0)
	file = append(file, utc...)
	file = append(file, "\n"+rule+"\n"...)
	return time.LoadLocationFromTZData(rule, file)
}
