package batch

import (
	"cmp"
	"iter"

	"golang.org/x/exp/constraints"
)

// Number is what can be added up.
type Number interface {
	constraints.Integer | constraints.Float
}

// Count gives exactly one number: how many elements there are.
func Count[T any](b Batch[T]) Batch[int64] {
	counts := make([]int64, len(b.parts))
	b.eachPart("count", func(p int, in iter.Seq[T]) {
		if b.parts[p].seq == nil && len(b.steps) == 0 {
			counts[p] = int64(len(b.parts[p].stored))
			return
		}
		var n int64
		in(func(T) bool {
			n++
			return true
		})
		counts[p] = n
	})
	var total int64
	for _, n := range counts {
		total += n
	}
	return Of([]int64{total}).With(b.env)
}

// Reduce combines all elements into one, in order but grouped in any way, so
// combine must be associative; it must not change its arguments. Of nothing it
// gives nothing.
func Reduce[T any](b Batch[T], combine func(a, b T) T) Batch[T] {
	return fold(b, "reduce", func(t T) T { return t }, combine, combine)
}

// Sum gives exactly one number, 0 of nothing. Integers wrap around on overflow;
// the last bits of a sum of floats depend on the partitions.
func Sum[T Number](b Batch[T]) Batch[T] {
	sums := make([]T, len(b.parts))
	b.eachPart("sum", func(p int, in iter.Seq[T]) {
		var sum T
		in(func(t T) bool {
			sum += t
			return true
		})
		sums[p] = sum
	})
	var total T
	for _, sum := range sums {
		total += sum
	}
	return Of([]T{total}).With(b.env)
}

// Min gives the smallest element, of nothing nothing. NaN is smaller than every
// number, as in package cmp.
func Min[T cmp.Ordered](b Batch[T]) Batch[T] {
	least := func(a, b T) T {
		if cmp.Less(b, a) {
			return b
		}
		return a
	}
	return fold(b, "min", func(t T) T { return t }, least, least)
}

// Max gives the greatest element, of nothing nothing. NaN is smaller than every
// number, as in package cmp.
func Max[T cmp.Ordered](b Batch[T]) Batch[T] {
	most := func(a, b T) T {
		if cmp.Less(a, b) {
			return b
		}
		return a
	}
	return fold(b, "max", func(t T) T { return t }, most, most)
}

// Mean gives the arithmetic mean, of nothing nothing. The last bits depend on
// the partitions.
func Mean[T Number](b Batch[T]) Batch[float64] {
	type mean struct {
		sum float64
		n   int64
	}
	add := func(m mean, t T) mean { return mean{m.sum + float64(t), m.n + 1} }
	total := fold(b, "mean", func(t T) mean { return add(mean{}, t) }, add,
		func(a, b mean) mean { return mean{a.sum + b.sum, a.n + b.n} })
	return Map(total, func(m mean) float64 { return m.sum / float64(m.n) })
}

// fold folds each partition, then the results: one element, or none of nothing.
func fold[T, A any](b Batch[T], op string, create func(T) A, add func(A, T) A, merge func(a, b A) A) Batch[A] {
	accs := make([]Opt[A], len(b.parts))
	b.eachPart(op, func(p int, in iter.Seq[T]) {
		var acc Opt[A]
		in(func(t T) bool {
			if acc.OK {
				acc.Value = add(acc.Value, t)
			} else {
				acc = Some(create(t))
			}
			return true
		})
		accs[p] = acc
	})
	defer b.env.blame(op, -1)
	var total Opt[A]
	for _, acc := range accs {
		switch {
		case !acc.OK:
		case total.OK:
			total.Value = merge(total.Value, acc.Value)
		default:
			total = acc
		}
	}
	if !total.OK {
		return Batch[A]{env: b.env, parts: make([]part[A], 1)}
	}
	return Of([]A{total.Value}).With(b.env)
}
