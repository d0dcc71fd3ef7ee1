package batch

import (
	"iter"
	"slices"

	"github.com/godstream/godstream/internal/hash"
)

// Both is what a join finds for a key: a value of each side.
type Both[V, W any] struct {
	Left  V
	Right W
}

// Grouped is all values of a key, by side. The slices belong to the batch: they
// may be kept and appended to, but not changed.
type Grouped[V, W any] struct {
	Left  []V
	Right []W
}

// CoGroup gives the values of each key of either batch, by side. Keys come out
// in order of first appearance in the left batch, then in the right one.
func CoGroup[K comparable, V, W any](left Batch[Pair[K, V]], right Batch[Pair[K, W]]) Batch[Pair[K, Grouped[V, W]]] {
	ofKey := hash.Of[K]()
	lefts := foldParts(left, "cogroup", ofKey, func(in iter.Seq[Pair[K, V]], t *table[K, Grouped[V, W]]) {
		in(func(p Pair[K, V]) bool {
			acc, _ := t.at(p.Key)
			acc.Left = append(acc.Left, p.Value)
			return true
		})
	})
	rights := foldParts(right, "cogroup", ofKey, func(in iter.Seq[Pair[K, W]], t *table[K, Grouped[V, W]]) {
		in(func(p Pair[K, W]) bool {
			acc, _ := t.at(p.Key)
			acc.Right = append(acc.Right, p.Value)
			return true
		})
	})
	env := left.env
	if env == nil {
		env = right.env
	}
	merged := mergeTables(env, "cogroup", append(lefts, rights...), func(a, b Grouped[V, W]) Grouped[V, W] {
		return Grouped[V, W]{Left: append(a.Left, b.Left...), Right: append(a.Right, b.Right...)}
	})
	grouped := Split(merged, max(len(left.parts), len(right.parts))).With(env)
	return MapValues(grouped, func(g Grouped[V, W]) Grouped[V, W] {
		return Grouped[V, W]{Left: slices.Clip(g.Left), Right: slices.Clip(g.Right)}
	})
}

// Join gives each value of the left batch with each value of the right batch of
// the same key: keys as in [CoGroup], then left values in order, then right
// ones.
func Join[K comparable, V, W any](left Batch[Pair[K, V]], right Batch[Pair[K, W]]) Batch[Pair[K, Both[V, W]]] {
	return joined(left, right, func(g Grouped[V, W], give func(V, W) bool) {
		cross(g.Left, g.Right, give)
	})
}

// LeftOuterJoin is [Join] that keeps the left values without a partner.
func LeftOuterJoin[K comparable, V, W any](left Batch[Pair[K, V]], right Batch[Pair[K, W]]) Batch[Pair[K, Both[V, Opt[W]]]] {
	return joined(left, right, func(g Grouped[V, W], give func(V, Opt[W]) bool) {
		cross(g.Left, orNone(g.Right), give)
	})
}

// RightOuterJoin is [Join] that keeps the right values without a partner.
func RightOuterJoin[K comparable, V, W any](left Batch[Pair[K, V]], right Batch[Pair[K, W]]) Batch[Pair[K, Both[Opt[V], W]]] {
	return joined(left, right, func(g Grouped[V, W], give func(Opt[V], W) bool) {
		cross(orNone(g.Left), g.Right, give)
	})
}

// FullOuterJoin is [Join] that keeps the values of either side without a
// partner.
func FullOuterJoin[K comparable, V, W any](left Batch[Pair[K, V]], right Batch[Pair[K, W]]) Batch[Pair[K, Both[Opt[V], Opt[W]]]] {
	return joined(left, right, func(g Grouped[V, W], give func(Opt[V], Opt[W]) bool) {
		cross(orNone(g.Left), orNone(g.Right), give)
	})
}

// joined lets each key's groups be crossed into pairs.
func joined[K comparable, V, W, A, B any](left Batch[Pair[K, V]], right Batch[Pair[K, W]], crossed func(g Grouped[V, W], give func(A, B) bool)) Batch[Pair[K, Both[A, B]]] {
	return FlatMap(CoGroup(left, right), func(p Pair[K, Grouped[V, W]]) iter.Seq[Pair[K, Both[A, B]]] {
		return func(yield func(Pair[K, Both[A, B]]) bool) {
			crossed(p.Value, func(a A, b B) bool { return yield(P(p.Key, Both[A, B]{Left: a, Right: b})) })
		}
	})
}

// cross gives each of as with each of bs until give returns false.
func cross[A, B any](as []A, bs []B, give func(A, B) bool) {
	for _, a := range as {
		for _, b := range bs {
			if !give(a, b) {
				return
			}
		}
	}
}

// orNone is the values, or the absent one if there are none.
func orNone[T any](values []T) []Opt[T] {
	if len(values) == 0 {
		return make([]Opt[T], 1)
	}
	out := make([]Opt[T], len(values))
	for i, v := range values {
		out[i] = Some(v)
	}
	return out
}
