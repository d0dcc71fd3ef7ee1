package engine_test

import (
	"math/big"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/window"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Batch times are the multiples of the interval since the epoch, in any year.
func TestBatchTimesAgainstBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.Int64Range(1, int64(400*24*time.Hour)).Draw(t, "interval"))
		at := time.Unix(rapid.Int64Range(-1e14, 1e14).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		ns := func(at time.Time) *big.Int {
			n := new(big.Int).Mul(big.NewInt(at.Unix()), big.NewInt(1e9))
			return n.Add(n, big.NewInt(int64(at.Nanosecond())))
		}
		d := big.NewInt(int64(interval))
		floor := new(big.Int).Div(ns(at), d) // rounds down for a positive divisor
		floor.Mul(floor, d)
		require.Zero(t, floor.Cmp(ns(engine.Floor(at, interval))))
		require.Zero(t, floor.Add(floor, d).Cmp(ns(engine.After(at, interval))))
	})
}

func TestWorkersRunEveryTaskOnce(t *testing.T) {
	for workers := range 5 {
		for n := range 20 {
			ran := make([]atomic.Int64, n)
			engine.Workers(workers).Run(n, func(i int) { ran[i].Add(1) })
			for i := range ran {
				require.EqualValues(t, 1, ran[i].Load())
			}
		}
	}
}

func TestWorkersRunAtTheSameTime(t *testing.T) {
	meet := make(chan int)
	engine.Workers(2).Run(2, func(i int) {
		if i == 0 {
			meet <- 7
		} else {
			require.Equal(t, 7, <-meet)
		}
	})
}

func TestWorkersPassOnThePanicOfTheFirstTask(t *testing.T) {
	var wait [3]chan struct{}
	for i := range wait {
		wait[i] = make(chan struct{})
	}
	require.PanicsWithValue(t, 0, func() {
		engine.Workers(3).Run(3, func(i int) {
			if i < 2 {
				<-wait[i+1] // the last task panics first
			}
			defer close(wait[i])
			panic(i)
		})
	})
}

// Of the ticks that have passed, those run at which a window shows a batch that no
// later tick that runs shows, and no others.
func TestTicksThatWindowsNeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := func(second int) time.Time { return time.Unix(int64(second), 0).UTC() }
		var windows []window.Window
		for range rapid.IntRange(1, 3).Draw(t, "windows") {
			windows = append(windows, window.Sliding(time.Duration(rapid.IntRange(1, 9).Draw(t, "length"))*time.Second, time.Duration(rapid.IntRange(1, 5).Draw(t, "slide"))*time.Second))
		}
		prev := rapid.IntRange(10, 20).Draw(t, "last batch")
		var filled []time.Time
		for second := 1; second <= prev; second++ {
			if rapid.Bool().Draw(t, "filled") {
				filled = append(filled, at(second))
			}
		}
		now := prev + rapid.IntRange(1, 20).Draw(t, "late")
		runs := engine.Needed(windows, filled, at(prev+1), at(now))
		// lost says whether a window shows a batch at a tick and no later one that
		// runs does.
		lost := func(tick time.Time) bool {
			for _, w := range windows {
				if !engine.Floor(tick, w.Slide).Equal(tick) {
					continue
				}
				for _, batch := range filled {
					later := append(slices.Clip(runs), engine.Ceil(at(now), w.Slide))
					if w.Covers(tick, batch) && !slices.ContainsFunc(later, func(l time.Time) bool {
						return l.After(tick) && engine.Floor(l, w.Slide).Equal(l) && w.Covers(l, batch)
					}) {
						return true
					}
				}
			}
			return false
		}
		for tick := at(prev + 1); tick.Before(at(now)); tick = tick.Add(time.Second) {
			require.Equal(t, slices.Contains(runs, tick), lost(tick), "windows %v, filled %v, ticks %v run, %v", windows, filled, runs, tick)
		}
	})
}
