package stream

import (
	"cmp"

	"github.com/godstream/godstream/batch"
)

// Count gives exactly one number in each batch: how many elements it has, 0
// included.
func Count[T any](s Stream[T], opts ...Option) Stream[int64] {
	return lift(s, "count", opts, batch.Count[T])
}

// Reduce combines all elements of a batch into one. They meet in order but may
// be grouped in any way, so combine must be associative. An empty batch gives
// an empty batch.
func Reduce[T any](s Stream[T], combine func(a, b T) T, opts ...Option) Stream[T] {
	if combine == nil {
		s.app.reject("Reduce: combine is nil")
	}
	return lift(s, "reduce", opts, func(b batch.Batch[T]) batch.Batch[T] { return batch.Reduce(b, combine) })
}

// Sum gives exactly one number in each batch, 0 for an empty one. Integers wrap
// around on overflow; the last bits of a sum of floats depend on the
// partitions.
func Sum[T batch.Number](s Stream[T], opts ...Option) Stream[T] {
	return lift(s, "sum", opts, batch.Sum[T])
}

// Min gives the smallest element of each batch, of an empty one none. NaN is
// smaller than every number, as in package cmp.
func Min[T cmp.Ordered](s Stream[T], opts ...Option) Stream[T] {
	return lift(s, "min", opts, batch.Min[T])
}

// Max gives the greatest element of each batch, of an empty one none. NaN is
// smaller than every number, as in package cmp.
func Max[T cmp.Ordered](s Stream[T], opts ...Option) Stream[T] {
	return lift(s, "max", opts, batch.Max[T])
}

// Mean gives the arithmetic mean of each batch, of an empty one nothing. The
// last bits depend on the partitions.
func Mean[T batch.Number](s Stream[T], opts ...Option) Stream[float64] {
	return lift(s, "mean", opts, batch.Mean[T])
}
