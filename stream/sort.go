package stream

import (
	"cmp"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
)

// SortBy sorts each batch by a key of its elements, the smallest first, or the
// greatest with [Descending]. Elements with equal keys keep their order.
//
//	sorted := stream.SortBy(counts, stream.ByValue, stream.Descending())
//
// key is called once for each element. To sort in another way there is
// [SortFunc]; for the first few alone, [Top] is cheaper.
func SortBy[T any, O cmp.Ordered](s Stream[T], key func(T) O, opts ...Option) Stream[T] {
	if key == nil {
		s.app.reject("SortBy: the key function is nil")
	}
	return add(s.app, plan.Node{Op: "sortBy"}, opts, func(c nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[T] {
		sort := batch.SortBy[T, O]
		if c.descending {
			sort = batch.SortByDescending[T, O]
		}
		return func(b *engine.Batch, env *batch.Env) batch.Batch[T] { return sort(s.read(b).With(env), key) }
	}, s)
}

// SortFunc sorts each batch as compare says, which is as for slices.SortFunc.
// Elements that compare equal keep their order.
func SortFunc[T any](s Stream[T], compare func(a, b T) int, opts ...Option) Stream[T] {
	if compare == nil {
		s.app.reject("SortFunc: the function is nil")
	}
	return lift(s, "sortFunc", opts, func(b batch.Batch[T]) batch.Batch[T] { return batch.SortFunc(b, compare) })
}

// Top gives the n elements of each batch that have the greatest keys, greatest
// first; elements with equal keys come in the order of the stream. It keeps
// about 2n elements of each partition in memory.
//
//	most := stream.Top(stream.CountByValue(authors), 5, stream.ByValue)
func Top[T any, O cmp.Ordered](s Stream[T], n int, key func(T) O, opts ...Option) Stream[T] {
	if key == nil {
		s.app.reject("Top: the key function is nil")
	}
	if n < 0 {
		s.app.reject("Top: n is negative: %d", n)
	}
	return lift(s, "top", opts, func(b batch.Batch[T]) batch.Batch[T] { return batch.Top(b, n, key) })
}

// Take gives the first n elements of each batch. It computes no more partitions
// than it needs.
func Take[T any](s Stream[T], n int, opts ...Option) Stream[T] {
	if n < 0 {
		s.app.reject("Take: n is negative: %d", n)
	}
	return lift(s, "take", opts, func(b batch.Batch[T]) batch.Batch[T] { return batch.Take(b, n) })
}

// ByKey is a pair's key, to sort by with [SortBy] and [Top].
func ByKey[K comparable, V any](p Pair[K, V]) K { return p.Key }

// ByValue is a pair's value, to sort by with [SortBy] and [Top].
func ByValue[K comparable, V any](p Pair[K, V]) V { return p.Value }
