package batch_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/godstream/godstream/batch"
)

func TestTryMap(t *testing.T) {
	in := []string{"1", "x", "2", "3", "y", "z", "4", "w"}
	good, bad := []int{1, 2, 3, 4}, []string{"x", "y", "z", "w"}

	type reading struct {
		t      *testing.T
		good   batch.Batch[int]
		failed *batch.Failures[string]
		calls  *atomic.Int64
	}
	readings := map[string]func(r reading){
		"good first, then what failed": func(r reading) {
			assert.Equal(r.t, good, batch.Collect(r.good))
		},
		"what failed first, the good dropped": func(r reading) {
			r.failed.Drain(false)
		},
		"what failed first, the good kept": func(r reading) {
			r.failed.Drain(true)
			r.failed.Drain(true)
			assert.EqualValues(r.t, len(in), r.calls.Load())
			assert.Equal(r.t, good, batch.Collect(r.good))
			assert.Equal(r.t, good[:3], batch.Collect(batch.Take(r.good, 3)), "kept, so read any number of times")
			assert.Equal(r.t, good, batch.Collect(r.good))
		},
		"a part of the good, the rest dropped": func(r reading) {
			assert.Equal(r.t, good[:1], batch.Collect(batch.Take(r.good, 1)))
			r.failed.Drain(false)
		},
		"some partitions of the good, the rest kept": func(r reading) {
			var got []int
			for p := range r.good.Partitions() / 2 {
				for v := range r.good.Partition(p) {
					got = append(got, v)
				}
			}
			r.failed.Drain(true)
			for p := r.good.Partitions() / 2; p < r.good.Partitions(); p++ {
				for v := range r.good.Partition(p) {
					got = append(got, v)
				}
			}
			assert.Equal(r.t, good, got)
		},
		"only drained after the good were read": func(r reading) {
			batch.Collect(batch.Map(r.good, strconv.Itoa))
			r.failed.Drain(true)
			r.failed.Drain(false)
		},
	}
	for name, read := range readings {
		t.Run(name, func(t *testing.T) {
			everyWay(t, in, func(t *testing.T, b batch.Batch[string]) {
				for keep := -1; keep <= 5; keep++ {
					var calls atomic.Int64
					ok, failed := batch.TryMap(b, func(s string) (int, error) { calls.Add(1); return strconv.Atoi(s) }, keep)
					assert.Zero(t, calls.Load(), "nothing runs before it is read")
					read(reading{t, ok, failed, &calls})
					failed.Drain(false)
					assert.EqualValues(t, len(in), calls.Load(), "f is called once for each element")
					assert.EqualValues(t, len(bad), failed.Count())
					var got []string
					for f := range failed.Batch().All() {
						got = append(got, f.Record)
						assert.ErrorIs(t, f.Reason, strconv.ErrSyntax)
					}
					assert.ElementsMatch(t, bad[:max(0, min(keep, len(bad)))], got)
					assert.IsIncreasing(t, indexes(bad, got), "in order")
				}
			})
		})
	}
}

func indexes(of, some []string) []int {
	out := []int{-2, -1} // an order needs two
	for _, s := range some {
		for i := range of {
			if of[i] == s {
				out = append(out, i)
			}
		}
	}
	return out
}

// To read them twice runs the function twice, as everywhere; it neither loses
// elements nor counts failures twice.
func TestTryMapReadTwice(t *testing.T) {
	firsts := map[string]func(good batch.Batch[int], failed *batch.Failures[string]){
		"after all":               func(good batch.Batch[int], _ *batch.Failures[string]) { batch.Collect(good) },
		"after a part":            func(good batch.Batch[int], _ *batch.Failures[string]) { batch.Take(good, 1) },
		"after they were dropped": func(_ batch.Batch[int], failed *batch.Failures[string]) { failed.Drain(false) },
	}
	for name, first := range firsts {
		t.Run(name, func(t *testing.T) {
			everyWay(t, []string{"1", "x", "2", "y", "3"}, func(t *testing.T, b batch.Batch[string]) {
				good, failed := batch.TryMap(b, strconv.Atoi, 10)
				first(good, failed)
				assert.Equal(t, []int{1, 2, 3}, batch.Collect(good))
				assert.Equal(t, []int{1, 2}, batch.Collect(batch.Take(good, 2)))
				assert.EqualValues(t, 2, failed.Count())
				assert.Len(t, batch.Collect(failed.Batch()), 2)
			})
		})
	}
}

type placed struct{ at string }

func (p placed) Origin() string { return p.at }

func TestFailedPrints(t *testing.T) {
	reason := errors.New("no user")
	assert.Equal(t, "42: no user", fmt.Sprint(batch.Failed[int]{Record: 42, Reason: reason}))
	assert.Equal(t, "tweets/3@812: no user", fmt.Sprint(batch.Failed[placed]{Record: placed{"tweets/3@812"}, Reason: reason}))
}
