package stream

import (
	"iter"
	"math"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
)

// Map gives f of each element.
//
//	authors := stream.Map(tweets, func(t Tweet) string { return t.User.ScreenName })
//
// For a function that may fail there is [TryMap].
func Map[T, U any](s Stream[T], f func(T) U, opts ...Option) Stream[U] {
	if f == nil {
		s.app.reject("Map: the function is nil")
	}
	return lift(s, "map", opts, func(b batch.Batch[T]) batch.Batch[U] { return batch.Map(b, f) })
}

// FlatMap gives all elements of f of each element, in order; a nil sequence has
// none. Functions of the standard library such as strings.FieldsSeq fit as they
// are and allocate nothing:
//
//	words := stream.FlatMap(lines, strings.FieldsSeq)
func FlatMap[T, U any](s Stream[T], f func(T) iter.Seq[U], opts ...Option) Stream[U] {
	if f == nil {
		s.app.reject("FlatMap: the function is nil")
	}
	return lift(s, "flatMap", opts, func(b batch.Batch[T]) batch.Batch[U] { return batch.FlatMap(b, f) })
}

// Filter keeps the elements for which keep is true.
//
//	long := stream.Filter(words, func(w string) bool { return len(w) > 7 })
func Filter[T any](s Stream[T], keep func(T) bool, opts ...Option) Stream[T] {
	if keep == nil {
		s.app.reject("Filter: the function is nil")
	}
	return lift(s, "filter", opts, func(b batch.Batch[T]) batch.Batch[T] { return batch.Filter(b, keep) })
}

// Union gives the elements of all streams, those of the first one first. There
// is at least one stream, and all belong to one App.
//
//	stream.Print(stream.Union(batchLine, totalLine))
func Union[T any](streams ...Stream[T]) Stream[T] {
	inputs := untyped(streams)
	return add(appOf(inputs...), plan.Node{Op: "union"}, nil, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[T] {
		return func(b *engine.Batch, env *batch.Env) batch.Batch[T] {
			batches := make([]batch.Batch[T], len(streams))
			for i, s := range streams {
				batches[i] = s.read(b)
			}
			return batch.Union(batches...).With(env)
		}
	}, inputs...)
}

// MapPartitions gives what f makes of the elements of each partition of each
// batch: for work that is done once for many elements, such as opening a
// connection. f may stop early; it must not keep the sequence. What comes out
// depends on where partitions begin and end.
func MapPartitions[T, U any](s Stream[T], f func(iter.Seq[T]) iter.Seq[U], opts ...Option) Stream[U] {
	if f == nil {
		s.app.reject("MapPartitions: the function is nil")
	}
	return lift(s, "mapPartitions", opts, func(b batch.Batch[T]) batch.Batch[U] { return batch.MapPartitions(b, f) })
}

// Glom gives the elements of each partition of each batch as one slice, empty
// ones included. The slices belong to the batch and must not be changed.
func Glom[T any](s Stream[T], opts ...Option) Stream[[]T] {
	return lift(s, "glom", opts, batch.Glom[T])
}

// Repartition cuts each batch into n partitions of equal length, in order: more
// of them to use more workers, fewer to have fewer files or connections. It
// keeps the elements of a batch in memory.
func Repartition[T any](s Stream[T], n int, opts ...Option) Stream[T] {
	if n < 1 {
		s.app.reject("Repartition: n is not positive: %d", n)
	}
	return lift(s, "repartition", opts, func(b batch.Batch[T]) batch.Batch[T] { return batch.Repartition(b, n) })
}

// Sample keeps each element with the given probability, 0 to 1. The same seed
// and the same partitions give the same sample of a batch.
func Sample[T any](s Stream[T], fraction float64, seed uint64, opts ...Option) Stream[T] {
	if !(fraction >= 0 && fraction <= 1) {
		s.app.reject("Sample: fraction is not from 0 to 1: %v", fraction)
	}
	return add(s.app, plan.Node{Op: "sample"}, opts, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[T] {
		return func(b *engine.Batch, env *batch.Env) batch.Batch[T] {
			return batch.Sample(s.read(b).With(env), fraction, seed+uint64(b.Time.UnixNano())*(math.MaxUint64/3))
		}
	}, s)
}

// Distinct gives each element of a batch once, in order of first appearance.
func Distinct[T comparable](s Stream[T], opts ...Option) Stream[T] {
	return lift(s, "distinct", opts, batch.Distinct[T])
}
