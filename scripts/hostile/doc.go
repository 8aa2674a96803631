// Package hostile holds the tests of nsinspect against hosts and people that
// work against it: files that are not what they should be or give no answer,
// rights that are missing, pids that come and go faster than they are read.
//
// Whatever happens, a scan ends, and what it could not read is a gap: a container that is
// exposed is reported as exposed or as unknown, and never as private.
//
//	make test      a slice of everything
//	make storm     all 10 000 scans of the fork storm
//
// The tests run in a mount namespace of their own, so that whichever way they end
// nothing stays mounted. docs/reliability.md has the numbers.
package hostile
