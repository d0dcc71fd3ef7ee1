package engine

import (
	"errors"
	"sync"
	"sync/atomic"
)

// Workers runs tasks, at most so many at the same time.
type Workers int

// Run calls task(0) … task(n-1) and returns when all that began have returned.
// If tasks panic, no further one begins and Run panics with what the first of
// them, by number, panicked with.
func (w Workers) Run(n int, task func(i int)) {
	if w <= 1 || n <= 1 {
		for i := range n {
			task(i)
		}
		return
	}
	var (
		next    atomic.Int64
		wait    sync.WaitGroup
		mu      sync.Mutex
		blamed  = n // number of the task whose panic is passed on
		problem any
	)
	work := func() {
		i, returned := -1, true
		defer func() {
			r := recover()
			if r == nil && !returned {
				r = errGoexit
			}
			if r == nil {
				return
			}
			next.Store(int64(n))
			mu.Lock()
			defer mu.Unlock()
			if i < blamed {
				blamed, problem = i, r
			}
		}()
		for i = int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			returned = false
			task(i)
			returned = true
		}
	}
	for range min(int(w), n) - 1 {
		wait.Go(work)
	}
	func() {
		defer wait.Wait() // also if a task ends this goroutine
		work()
	}()
	if problem != nil {
		panic(problem)
	}
}

var errGoexit = errors.New("a function ended its goroutine with runtime.Goexit")
