//go:build unix && !race

package batch_test

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/godstream/godstream/internal/cost"
)

// TestCost holds what operators may cost beside a loop written by hand. Both are
// measured in turn, in CPU time, and the least of each counts, so that what else
// the machine does matters little; the limits have a quarter of slack. COST_ROUNDS
// measures so often, and all of the input rather than a tenth. No element may
// cost an allocation either.
func TestCost(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for some seconds")
	}
	rounds, parts := 7, 10
	if n, err := strconv.Atoi(os.Getenv("COST_ROUNDS")); err == nil {
		rounds, parts = n, benchParts
	}
	for _, w := range slices.Concat(countByValueWork(), tenNarrowWork(), []workload{flatMapWork()}) {
		t.Run(w.name, func(t *testing.T) {
			if ours, theirs := w.godstream(parts), w.loop(parts); ours != theirs {
				t.Fatalf("godstream gives %d, the loop %d", ours, theirs)
			}
			more := testing.AllocsPerRun(1, func() { w.godstream(1) }) - testing.AllocsPerRun(1, func() { w.loop(1) })
			if perElement := more / float64(w.elements/benchParts); perElement > 0.01 {
				t.Errorf("%.2f allocations per element more than the loop", perElement)
			}
			var ratios []float64
			var ours, theirs time.Duration
			for range rounds {
				o := cost.CPU(func() { w.godstream(parts) })
				l := cost.CPU(func() { w.loop(parts) })
				ratios = append(ratios, float64(o)/float64(l))
				if ours == 0 || o < ours {
					ours = o
				}
				if theirs == 0 || l < theirs {
					theirs = l
				}
			}
			slices.Sort(ratios)
			n := time.Duration(parts * w.elements / benchParts)
			best := float64(ours) / float64(theirs)
			t.Logf("%v and %v per element: best %.2f, median %.2f of the loop's CPU time, limit %.1f", ours/n, theirs/n, best, ratios[len(ratios)/2], w.limit)
			if best > 1.25*w.limit {
				t.Errorf("takes %.2f times the loop's CPU time, the limit is %.1f", best, w.limit)
			}
		})
	}
}
