package parallel

import (
	"runtime"
	"sync/atomic"
	"testing"
)

func TestEachCallsOncePerNumber(t *testing.T) {
	for _, n := range []int{-1, 0, 1, runtime.GOMAXPROCS(0), 1000} {
		calls := make([]atomic.Int32, max(n, 0))
		Each(n, func(i int) { calls[i].Add(1) })
		for i := range calls {
			if got := calls[i].Load(); got != 1 {
				t.Errorf("%d of %d: called %d times", i, n, got)
			}
		}
	}
}

// Calls wait for each other where there are processors for both.
func TestEachIsParallel(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("one processor")
	}
	meet := make(chan int)
	Each(2, func(i int) {
		if i == 0 {
			meet <- i
		} else {
			<-meet
		}
	})
}
