package batch

import (
	"fmt"
	"iter"
)

// Pair is an element of a keyed batch or stream.
type Pair[K comparable, V any] struct {
	Key   K
	Value V
}

// P makes a pair.
func P[K comparable, V any](k K, v V) Pair[K, V] { return Pair[K, V]{Key: k, Value: v} }

// String prints the pair as (key, value).
func (p Pair[K, V]) String() string { return fmt.Sprintf("(%v, %v)", p.Key, p.Value) }

// ByKey orders pairs by their key, for [SortBy] and [Top].
func ByKey[K comparable, V any](p Pair[K, V]) K { return p.Key }

// ByValue orders pairs by their value, for [SortBy] and [Top].
func ByValue[K comparable, V any](p Pair[K, V]) V { return p.Value }

// Opt is a value that may be absent: a side of an outer join, a state.
type Opt[T any] struct {
	Value T // zero if absent
	OK    bool
}

// Some is a value that is there.
func Some[T any](v T) Opt[T] { return Opt[T]{Value: v, OK: true} }

// Get returns the value and whether it is there.
func (o Opt[T]) Get() (T, bool) { return o.Value, o.OK }

// Or returns the value, or the given one if it is absent.
func (o Opt[T]) Or(absent T) T {
	if o.OK {
		return o.Value
	}
	return absent
}

// String prints the value, or "none".
func (o Opt[T]) String() string {
	if o.OK {
		return fmt.Sprint(o.Value)
	}
	return "none"
}

// KeyBy pairs each element with its key.
func KeyBy[T any, K comparable](b Batch[T], key func(T) K) Batch[Pair[K, T]] {
	return Map(b, func(t T) Pair[K, T] { return P(key(t), t) })
}

// MapValues gives each pair with f of its value.
func MapValues[K comparable, V, W any](b Batch[Pair[K, V]], f func(V) W) Batch[Pair[K, W]] {
	return Map(b, func(p Pair[K, V]) Pair[K, W] { return P(p.Key, f(p.Value)) })
}

// FlatMapValues pairs the key of each pair with all elements of f of its value.
func FlatMapValues[K comparable, V, W any](b Batch[Pair[K, V]], f func(V) iter.Seq[W]) Batch[Pair[K, W]] {
	return FlatMap(b, func(p Pair[K, V]) iter.Seq[Pair[K, W]] {
		ws := f(p.Value)
		if ws == nil {
			return nil
		}
		return func(yield func(Pair[K, W]) bool) {
			ws(func(w W) bool { return yield(P(p.Key, w)) })
		}
	})
}
