//go:build unix && !race

package state_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/cost"
	"github.com/godstream/godstream/internal/state"
)

// TestWindowCost holds what a step of a rolling count by value may cost: at most
// 4 times what counting a batch costs, and at most 1.2 times what it costs in a
// window a tenth as long. CPU time, the least of several turns, with a quarter of
// slack.
func TestWindowCost(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for some seconds")
	}
	const records = 10_000
	const keys = 10_000
	var batches []batch.Batch[string]
	for range 20 {
		b := make([]string, records)
		for i := range b {
			b[i] = fmt.Sprint("author ", rand.IntN(keys))
		}
		batches = append(batches, batch.Of(b))
	}
	for name, inverse := range map[string]func(a, b int64) int64{"inverse": func(a, b int64) int64 { return a - b }, "no inverse": nil} {
		t.Run(name, func(t *testing.T) {
			long, short := rolling(600, batches, inverse), rolling(60, batches, inverse)
			count, of600, of60 := time.Hour, time.Hour, time.Hour
			for range 3 {
				count = min(count, cost.CPU(func() {
					for i := range 600 {
						batch.Collect(batch.CountByValue(batches[i%len(batches)]))
					}
				}))
				of600, of60 = min(of600, cost.CPU(long)), min(of60, cost.CPU(short))
			}
			t.Logf("a slide: counting the batch %v, 60 panes %v (%.2f), 600 panes %v (%.2f, of 60 panes %.2f)", count/600,
				of60/600, float64(of60)/float64(count), of600/600, float64(of600)/float64(count), float64(of600)/float64(of60))
			require.LessOrEqual(t, float64(of600)/float64(count), 1.25*4)
			require.LessOrEqual(t, float64(of600)/float64(of60), 1.25*1.2)
		})
	}
}

// rolling returns 600 steps of a full window over so many panes.
func rolling(panes int, batches []batch.Batch[string], inverse func(a, b int64) int64) func() {
	w := state.NewWindow[string](func(a, b int64) int64 { return a + b }, inverse)
	n := 0
	steps := func(count int) func() {
		return func() {
			for range count {
				w.Leave(at(n - panes))
				w.Enter(at(n), batch.Slices(batch.CountByValue(batches[n%len(batches)]))...)
				w.Pairs()
				n++
			}
		}
	}
	steps(panes)()
	return steps(600)
}
