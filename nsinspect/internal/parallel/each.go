// Package parallel spreads reading over the processors. A read of /proc is work
// of the kernel, done by whoever asks: more askers than processors gain nothing.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls do with every number below n, from as many goroutines as there are
// processors for, and returns when all calls have. A do that is to stop early looks at a
// context itself: what is left out then is for the caller to say.
func Each(n int, do func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	group.Wait()
}
