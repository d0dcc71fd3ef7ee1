package stream

import (
	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
)

// Both is what a join finds for a key: a value of each side.
type Both[V, W any] = batch.Both[V, W]

// Grouped is all values of a key, by side. The slices belong to the batch.
type Grouped[V, W any] = batch.Grouped[V, W]

// Opt is a value that may be absent, such as a side of an outer join.
type Opt[T any] = batch.Opt[T]

// Some is a value that is there.
func Some[T any](v T) Opt[T] { return batch.Some(v) }

// CoGroup gives, for each key that either stream has in a batch, its values by
// side. Keys come out in order of first appearance on the left, then on the
// right. It costs memory for every value, and so do the joins, which are made
// of it.
func CoGroup[K comparable, V, W any](left Stream[Pair[K, V]], right Stream[Pair[K, W]], opts ...Option) Stream[Pair[K, Grouped[V, W]]] {
	return lift2(left, right, "cogroup", opts, batch.CoGroup[K, V, W])
}

// Join gives each value on the left with each value on the right that has the
// same key in the same batch: keys as in [CoGroup], then left values in order,
// then right ones.
//
//	stream.Print(stream.Join(clicks, impressions)) // (ad, {left right})
func Join[K comparable, V, W any](left Stream[Pair[K, V]], right Stream[Pair[K, W]], opts ...Option) Stream[Pair[K, Both[V, W]]] {
	return lift2(left, right, "join", opts, batch.Join[K, V, W])
}

// LeftOuterJoin is [Join] that keeps left values without a partner.
func LeftOuterJoin[K comparable, V, W any](left Stream[Pair[K, V]], right Stream[Pair[K, W]], opts ...Option) Stream[Pair[K, Both[V, Opt[W]]]] {
	return lift2(left, right, "leftOuterJoin", opts, batch.LeftOuterJoin[K, V, W])
}

// RightOuterJoin is [Join] that keeps right values without a partner.
func RightOuterJoin[K comparable, V, W any](left Stream[Pair[K, V]], right Stream[Pair[K, W]], opts ...Option) Stream[Pair[K, Both[Opt[V], W]]] {
	return lift2(left, right, "rightOuterJoin", opts, batch.RightOuterJoin[K, V, W])
}

// FullOuterJoin is [Join] that keeps values of either side without a partner.
func FullOuterJoin[K comparable, V, W any](left Stream[Pair[K, V]], right Stream[Pair[K, W]], opts ...Option) Stream[Pair[K, Both[Opt[V], Opt[W]]]] {
	return lift2(left, right, "fullOuterJoin", opts, batch.FullOuterJoin[K, V, W])
}

// lift2 makes an operator on two streams of one on two batches.
func lift2[A, B, U any](a Stream[A], b Stream[B], op string, opts []Option, f func(batch.Batch[A], batch.Batch[B]) batch.Batch[U]) Stream[U] {
	return add(appOf(a, b), plan.Node{Op: op}, opts, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[U] {
		return func(at *engine.Batch, env *batch.Env) batch.Batch[U] {
			return f(a.read(at).With(env), b.read(at).With(env))
		}
	}, a, b)
}
