package batch

import (
	"cmp"
	"iter"
	"slices"
)

// SortBy sorts by a key of each element, smallest first; elements with equal
// keys keep their order. key is called once for each element.
func SortBy[T any, O cmp.Ordered](b Batch[T], key func(T) O) Batch[T] {
	return sortKeyed(b, "sortBy", key, cmp.Compare[O])
}

// SortByDescending is [SortBy] with the greatest first; elements with equal keys
// keep their order all the same.
func SortByDescending[T any, O cmp.Ordered](b Batch[T], key func(T) O) Batch[T] {
	return sortKeyed(b, "sortBy", key, descending[O])
}

// SortFunc sorts as compare says, which is as for [slices.SortFunc]; elements
// that compare equal keep their order.
func SortFunc[T any](b Batch[T], compare func(a, b T) int) Batch[T] {
	return sortKeyed(b, "sortFunc", func(t T) T { return t }, compare)
}

// Top gives the n elements with the greatest keys, greatest first; elements with
// equal keys are in the order of the sequence. key is called once for each
// element. Of each partition about 2n elements are in memory.
func Top[T any, O cmp.Ordered](b Batch[T], n int, key func(T) O) Batch[T] {
	if n <= 0 {
		return Of([]T{}).With(b.env)
	}
	parts := make([][]keyed[T, O], len(b.parts))
	b.eachPart("top", func(p int, in iter.Seq[T]) {
		var best []keyed[T, O]
		var least Opt[O] // n elements before have keys that are as great
		at := 0
		in(func(t T) bool {
			k := key(t)
			if least.OK && cmp.Compare(k, least.Value) <= 0 {
				return true
			}
			best = append(best, keyed[T, O]{key: k, at: at, value: t})
			at++
			if (len(best)-1024)/2 >= n { // rarely enough for sorting to be cheap
				best = firstOf(best, n, descending[O])
				least = Some(best[n-1].key)
			}
			return true
		})
		parts[p] = firstOf(best, n, descending[O])
	})
	sorted := mergeSorted(parts, descending[O])
	return Of(sorted[:min(n, len(sorted))]).With(b.env)
}

// Take gives the first n elements of the sequence. It computes one partition
// after the other and no more of them than it needs.
func Take[T any](b Batch[T], n int) Batch[T] {
	var first []T
	if n > 0 {
		for t := range b.All() {
			if first = append(first, t); len(first) == n {
				break
			}
		}
	}
	return Of(first).With(b.env)
}

// keyed is an element with what it is sorted by and its place in its partition,
// which makes any sorting stable.
type keyed[T, O any] struct {
	key   O
	at    int
	value T
}

func descending[O cmp.Ordered](a, b O) int { return cmp.Compare(b, a) }

func firstOf[T, O any](elements []keyed[T, O], n int, compare func(a, b O) int) []keyed[T, O] {
	sortStable(elements, compare)
	return elements[:min(n, len(elements))]
}

func sortStable[T, O any](elements []keyed[T, O], compare func(a, b O) int) {
	slices.SortFunc(elements, func(a, b keyed[T, O]) int {
		if c := compare(a.key, b.key); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
}

func sortKeyed[T, O any](b Batch[T], op string, key func(T) O, compare func(a, b O) int) Batch[T] {
	parts := make([][]keyed[T, O], len(b.parts))
	b.eachPart(op, func(p int, in iter.Seq[T]) {
		var elements []keyed[T, O]
		in(func(t T) bool {
			elements = append(elements, keyed[T, O]{key: key(t), at: len(elements), value: t})
			return true
		})
		sortStable(elements, compare)
		parts[p] = elements
	})
	defer b.env.blame(op, -1)
	return Split(mergeSorted(parts, compare), len(b.parts)).With(b.env)
}

// mergeSorted merges sorted partitions two and two; of equal elements those of
// the earlier partition come first.
func mergeSorted[T, O any](parts [][]keyed[T, O], compare func(a, b O) int) []T {
	for len(parts) > 1 {
		var merged [][]keyed[T, O]
		for i := 0; i+1 < len(parts); i += 2 {
			merged = append(merged, mergeTwo(parts[i], parts[i+1], compare))
		}
		if len(parts)%2 == 1 {
			merged = append(merged, parts[len(parts)-1])
		}
		parts = merged
	}
	if len(parts) == 0 {
		return nil
	}
	out := make([]T, len(parts[0]))
	for i, e := range parts[0] {
		out[i] = e.value
	}
	return out
}

func mergeTwo[T, O any](a, b []keyed[T, O], compare func(a, b O) int) []keyed[T, O] {
	out := make([]keyed[T, O], 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compare(b[0].key, a[0].key) < 0 {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}
