package bubble_test

import (
	"sync"
	"testing"
	"time"

	"github.com/godstream/godstream/internal/bubble"
)

// Timers that are over at once run on the thread of who asks for them. Under the race
// detector this crashed at once.
func TestTimersOnSeveralThreads(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		began := time.Now()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 2000 {
					time.AfterFunc(0, func() {})
					<-time.NewTimer(0).C
				}
				time.Sleep(time.Hour)
			})
		}
		wg.Wait()
		if waited := time.Since(began); waited != time.Hour {
			t.Errorf("the clock went on by %s, not by the hour that was slept", waited)
		}
	})
}
