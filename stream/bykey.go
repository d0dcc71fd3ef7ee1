package stream

import (
	"iter"

	"github.com/godstream/godstream/batch"
)

// KeyBy pairs each element with its key.
//
//	byCity := stream.KeyBy(orders, func(o Order) string { return o.City })
func KeyBy[T any, K comparable](s Stream[T], key func(T) K, opts ...Option) Stream[Pair[K, T]] {
	if key == nil {
		s.app.reject("KeyBy: the function is nil")
	}
	return lift(s, "keyBy", opts, func(b batch.Batch[T]) batch.Batch[Pair[K, T]] { return batch.KeyBy(b, key) })
}

// MapValues gives each pair with f of its value.
func MapValues[K comparable, V, W any](s Stream[Pair[K, V]], f func(V) W, opts ...Option) Stream[Pair[K, W]] {
	if f == nil {
		s.app.reject("MapValues: the function is nil")
	}
	return lift(s, "mapValues", opts, func(b batch.Batch[Pair[K, V]]) batch.Batch[Pair[K, W]] { return batch.MapValues(b, f) })
}

// FlatMapValues pairs each key with all elements of f of its value, in order; a
// nil sequence has none.
func FlatMapValues[K comparable, V, W any](s Stream[Pair[K, V]], f func(V) iter.Seq[W], opts ...Option) Stream[Pair[K, W]] {
	if f == nil {
		s.app.reject("FlatMapValues: the function is nil")
	}
	return lift(s, "flatMapValues", opts, func(b batch.Batch[Pair[K, V]]) batch.Batch[Pair[K, W]] { return batch.FlatMapValues(b, f) })
}

// CountByValue counts how often each element occurs in a batch. The pairs come
// in the order in which the elements first appear.
//
//	stream.Print(stream.CountByValue(words)) // (tea, 2) (rye, 1)
func CountByValue[T comparable](s Stream[T], opts ...Option) Stream[Pair[T, int64]] {
	return lift(s, "countByValue", opts, batch.CountByValue[T])
}

// CountByKey counts the pairs of each key in a batch. Keys come out in the order
// in which they first appear.
func CountByKey[K comparable, V any](s Stream[Pair[K, V]], opts ...Option) Stream[Pair[K, int64]] {
	return lift(s, "countByKey", opts, batch.CountByKey[K, V])
}

// ReduceByKey combines the values that each key has in a batch into one.
// Values meet in stream order but may be grouped in any way, so combine must
// be associative. Keys come out in the order in which they first appear.
//
//	totals := stream.ReduceByKey(sales, func(a, b Euro) Euro { return a + b })
func ReduceByKey[K comparable, V any](s Stream[Pair[K, V]], combine func(a, b V) V, opts ...Option) Stream[Pair[K, V]] {
	if combine == nil {
		s.app.reject("ReduceByKey: combine is nil")
	}
	return lift(s, "reduceByKey", opts, func(b batch.Batch[Pair[K, V]]) batch.Batch[Pair[K, V]] {
		return batch.ReduceByKey(b, combine)
	})
}

// CombineByKey folds the values that each key has in a batch into an
// accumulator: create makes one of a key's first value in a partition, add
// takes in a further value, merge joins the accumulators of two partitions, the
// earlier one first. Keys come out in the order in which they first appear.
func CombineByKey[K comparable, V, A any](s Stream[Pair[K, V]], create func(V) A, add func(A, V) A, merge func(a, b A) A, opts ...Option) Stream[Pair[K, A]] {
	if create == nil || add == nil || merge == nil {
		s.app.reject("CombineByKey: create, add or merge is nil")
	}
	return lift(s, "combineByKey", opts, func(b batch.Batch[Pair[K, V]]) batch.Batch[Pair[K, A]] {
		return batch.CombineByKey(b, create, add, merge)
	})
}

// AggregateByKey is [CombineByKey] with an accumulator that begins as zero(),
// called for each key and partition.
func AggregateByKey[K comparable, V, A any](s Stream[Pair[K, V]], zero func() A, add func(A, V) A, merge func(a, b A) A, opts ...Option) Stream[Pair[K, A]] {
	if zero == nil || add == nil || merge == nil {
		s.app.reject("AggregateByKey: zero, add or merge is nil")
	}
	return lift(s, "aggregateByKey", opts, func(b batch.Batch[Pair[K, V]]) batch.Batch[Pair[K, A]] {
		return batch.AggregateByKey(b, zero, add, merge)
	})
}

// GroupByKey gives all values that each key has in a batch, in order. Keys come
// out in the order in which they first appear. The slices belong to the batch
// and must not be changed.
//
// It costs memory for every value and, measured with a thousand to fifty
// thousand keys, two to three times the time of folding values as they come:
// to reduce them to one, use [ReduceByKey] or [CombineByKey].
func GroupByKey[K comparable, V any](s Stream[Pair[K, V]], opts ...Option) Stream[Pair[K, []V]] {
	return lift(s, "groupByKey", opts, batch.GroupByKey[K, V])
}
