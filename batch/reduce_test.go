package batch_test

import (
	"math"
	"testing"

	"github.com/godstream/godstream/batch"
)

func TestReduce(t *testing.T) {
	type ints = batch.Batch[int]
	type floats = batch.Batch[float64]
	nan, minus := math.NaN(), math.Copysign(0, -1)

	gives(t, "count", upTo(7), batch.Count[int], 7)
	gives(t, "count of nothing is 0", nil, batch.Count[int], 0)
	gives(t, "count of what is pending", upTo(7), func(b ints) batch.Batch[int64] {
		return batch.Count(batch.Filter(b, func(v int) bool { return v > 3 }))
	}, 3)
	gives(t, "reduce meets elements in order", []string{"a", "b", "", "c", "d"}, func(b batch.Batch[string]) batch.Batch[string] {
		return batch.Reduce(b, func(a, b string) string { return a + b })
	}, "abcd")
	gives(t, "reduce of one element does not call combine", []string{"a"}, func(b batch.Batch[string]) batch.Batch[string] {
		return batch.Reduce(b, nil)
	}, "a")
	gives(t, "reduce of nothing is nothing", nil, func(b ints) ints {
		return batch.Reduce(b, func(a, b int) int { return a + b })
	})
	gives(t, "sum", []int{3, -5, 4}, batch.Sum[int], 2)
	gives(t, "sum of nothing is 0", nil, batch.Sum[int], 0)
	gives(t, "sum that is 0", []int{1, -1}, batch.Sum[int], 0)
	gives(t, "sum wraps around", []int8{127, 1}, batch.Sum[int8], -128)
	gives(t, "sum with NaN", []float64{1, nan, 2}, batch.Sum[float64], nan)
	gives(t, "min", []int{3, -5, 4}, batch.Min[int], -5)
	gives(t, "max", []int{3, -5, 4}, batch.Max[int], 4)
	gives(t, "min of strings", []string{"b", "", "a"}, batch.Min[string], "")
	gives(t, "min of nothing is nothing", nil, batch.Min[int])
	gives(t, "max of nothing is nothing", nil, batch.Max[int])
	gives(t, "NaN is the smallest", []float64{1, nan, math.Inf(-1)}, batch.Min[float64], nan)
	gives(t, "NaN is not the greatest", []float64{nan, 1, nan}, batch.Max[float64], 1)
	gives(t, "of -0 and 0 the first is the smallest", []float64{1, minus, 0}, batch.Min[float64], minus)
	gives(t, "of 0 and -0 the first is the greatest", []float64{-1, 0, minus}, batch.Max[float64], 0)
	gives(t, "mean", []int{1, 2, 6}, batch.Mean[int], 3.)
	gives(t, "mean is not whole", []uint8{255, 254}, batch.Mean[uint8], 254.5)
	gives(t, "mean of nothing is nothing", nil, batch.Mean[int])
	gives(t, "mean of halves", []float64{0.5, 1.5}, func(b floats) floats { return batch.Mean(b) }, 1)
}
