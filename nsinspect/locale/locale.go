// Package locale answers what the words of the reader are: names of users and
// groups, the time zone, the language. It reads what the C library reads, since this program
// is linked without one. Nothing of a verdict depends on it.
package locale

import (
	"os"
	"time"
)

// maxFile bounds the files that are read.
const maxFile = 16 << 20

// fromFile returns nil for a file that is not a zone file.
func fromFile(path string) *time.Location {
	b, err := readFile(path)
	if err != nil {
		return nil
	}
	zone, err := time.LoadLocationFromTZData(path, b)
	if err != nil {
		return nil
	}
	return zone
}

// Names reads the names of users from /etc/passwd, or of groups from
// /etc/group. Names that only other services of nsswitch.conf(5) know (LDAP,
// systemd's dynamic users) are not found.
func Names(path string) (map[uint32]string, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return ParseNames(b), nil
}

// readFile reads a regular file of a reasonable size.
func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxFile {
		return nil, &os.PathError{Op: "read", Path: path, Err: os.ErrInvalid}
	}
	return os.ReadFile(path)
}
