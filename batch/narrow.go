package batch

import (
	"iter"
	"math/rand/v2"
	"slices"
)

// Map gives f of each element.
func Map[T, U any](b Batch[T], f func(T) U) Batch[U] {
	if same, ok := any(f).(func(T) T); ok { // U is T
		return any(b.step(step[T]{op: b.env.op("map"), convert: same})).(Batch[U])
	}
	return narrow(b, func(p int, in iter.Seq[T]) iter.Seq[U] {
		return func(yield func(U) bool) {
			busy := 0
			defer b.env.blameBusy("map", p, &busy)
			in(func(t T) bool {
				busy = 1
				u := f(t)
				busy = 0
				return yield(u)
			})
		}
	})
}

// Filter keeps the elements for which keep is true.
func Filter[T any](b Batch[T], keep func(T) bool) Batch[T] {
	return b.step(step[T]{op: b.env.op("filter"), keep: keep})
}

// FlatMap gives all elements of f of each element, in order; a nil sequence has
// none.
func FlatMap[T, U any](b Batch[T], f func(T) iter.Seq[U]) Batch[U] {
	return narrow(b, func(p int, in iter.Seq[T]) iter.Seq[U] {
		return func(yield func(U) bool) {
			const outside, running, ended = 0, 1, 2 // ended: running, and told to stop
			busy, given := outside, 0
			defer b.env.blameBusy("flatMap", p, &busy)
			give := func(u U) bool {
				if busy != running { // f's sequence goes on all the same, or yields while a panic passes through it
					return false
				}
				busy = outside
				if given++; given%chunk == 0 && b.env.stopped() || !yield(u) {
					busy = ended
					return false
				}
				busy = running
				return true
			}
			in(func(t T) bool {
				busy = running
				if us := f(t); us != nil {
					us(give)
				}
				more := busy == running
				busy = outside
				return more
			})
		}
	})
}

// MapPartitions gives what f makes of the elements of each partition; a nil
// sequence has none. f may stop early; it must not keep the sequence. The result
// depends on where the partitions begin and end, unlike that of other operators.
func MapPartitions[T, U any](b Batch[T], f func(iter.Seq[T]) iter.Seq[U]) Batch[U] {
	return narrow(b, func(p int, in iter.Seq[T]) iter.Seq[U] {
		return func(yield func(U) bool) {
			busy, more := 1, true
			defer b.env.blameBusy("mapPartitions", p, &busy)
			elements := func(yieldT func(T) bool) {
				busy--
				in(func(t T) bool {
					busy++
					more := yieldT(t)
					busy--
					return more
				})
				busy++
			}
			if us := f(elements); us != nil {
				us(func(u U) bool {
					if !more {
						return false
					}
					busy--
					more = false
					more = yield(u)
					busy++
					return more
				})
			}
		}
	})
}

// Glom gives one slice for each partition, empty ones included. The slices
// belong to the batch: they may be kept and appended to, but not changed.
func Glom[T any](b Batch[T]) Batch[[]T] {
	parts := b.collect("glom")
	out := Batch[[]T]{env: b.env, parts: make([]part[[]T], len(parts))}
	for p := range parts {
		out.parts[p].stored = parts[p : p+1 : p+1]
	}
	return out
}

// Union gives the elements of all batches, one batch after the other.
func Union[T any](batches ...Batch[T]) Batch[T] {
	var out Batch[T]
	for _, b := range batches {
		if out.env == nil {
			out.env = b.env
		}
		for p, in := range b.parts {
			if len(b.steps) > 0 {
				in = part[T]{seq: b.part(p)}
			}
			out.parts = append(out.parts, in)
		}
	}
	return out
}

// Repartition cuts the sequence into n partitions of equal length, as [Split]
// does.
func Repartition[T any](b Batch[T], n int) Batch[T] {
	return Split(concat(b.collect("repartition")), n).With(b.env)
}

// Sample keeps each element with the given probability. The same seed and the
// same partitions give the same sample.
func Sample[T any](b Batch[T], fraction float64, seed uint64) Batch[T] {
	return narrow(b, func(p int, in iter.Seq[T]) iter.Seq[T] {
		return func(yield func(T) bool) {
			random := rand.New(rand.NewPCG(seed, uint64(p)))
			in(func(t T) bool { return random.Float64() >= fraction || yield(t) })
		}
	})
}

// concat joins slices without a copy where one holds everything.
func concat[T any](parts [][]T) []T {
	parts = slices.DeleteFunc(parts, func(p []T) bool { return len(p) == 0 })
	if len(parts) == 1 {
		return parts[0]
	}
	return slices.Concat(parts...)
}
