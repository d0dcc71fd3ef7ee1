package batch

import (
	"cmp"
	"iter"
	"slices"
)

// SortBy sorts by a key of each element, smallest first; elements with equal
// keys keep their order. key is called once for each element.
func SortBy[T any, O cmp.Ordered](b Batch[T], key func(T) O) Batch[T] {
	return sortParts(b, "sortBy", func(t *T) O { return key(*t) }, cmp.Compare[O])
}

// SortByDescending is [SortBy] with the greatest first; elements with equal keys
// keep their order all the same.
func SortByDescending[T any, O cmp.Ordered](b Batch[T], key func(T) O) Batch[T] {
	return sortParts(b, "sortBy", func(t *T) O { return key(*t) }, descending[O])
}

// SortFunc sorts as compare says, which is as for [slices.SortFunc]; elements
// that compare equal keep their order.
func SortFunc[T any](b Batch[T], compare func(a, b T) int) Batch[T] {
	return sortParts(b, "sortFunc", func(t *T) *T { return t }, func(a, b *T) int { return compare(*a, *b) })
}

// Top gives the n elements with the greatest keys, greatest first; elements with
// equal keys are in the order of the sequence. key is called once for each
// element. Of each partition n elements are in memory.
func Top[T any, O cmp.Ordered](b Batch[T], n int, key func(T) O) Batch[T] {
	if n <= 0 {
		return Of([]T{}).With(b.env)
	}
	parts := make([][]ranked[T, O], len(b.parts))
	b.eachPart("top", func(p int, in iter.Seq[T]) {
		var best candidates[T, O]
		at := 0
		in(func(t T) bool {
			k := key(t)
			if len(best) < n || descending(k, best[0].key) < 0 {
				best.take(candidate[T, O]{key: k, at: at, value: t}, n)
			}
			at++
			return true
		})
		slices.SortFunc(best, candidate[T, O].compare)
		parts[p] = make([]ranked[T, O], len(best))
		for i := range best {
			parts[p][i] = ranked[T, O]{best[i].key, &best[i].value}
		}
	})
	first := mergeSorted(parts, descending[O])
	return Of(elements(first[:min(n, len(first))])).With(b.env)
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

func descending[O cmp.Ordered](a, b O) int { return cmp.Compare(b, a) }

// candidate is an element that may be among the first, and its place in its
// partition.
type candidate[T any, O cmp.Ordered] struct {
	key   O
	at    int
	value T
}

// candidates are the best so far; the worst of them comes first once there are as
// many as are wanted, since they are a binary heap then.
type candidates[T any, O cmp.Ordered] []candidate[T, O]

// compare is negative if c comes before d in the result.
func (c candidate[T, O]) compare(d candidate[T, O]) int {
	return cmp.Or(descending(c.key, d.key), cmp.Compare(c.at, d.at))
}

// take takes in c, which comes later than all others, as one of the n best.
func (all *candidates[T, O]) take(c candidate[T, O], n int) {
	best := *all
	if len(best) == n {
		best[0] = c
		best.sink(0)
		return
	}
	if best = append(best, c); len(best) == n {
		for i := n/2 - 1; i >= 0; i-- {
			best.sink(i)
		}
	}
	*all = best
}

// sink moves the i-th below all that are worse.
func (all candidates[T, O]) sink(i int) {
	for {
		worst := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(all); child++ {
			if all[child].compare(all[worst]) > 0 {
				worst = child
			}
		}
		if worst == i {
			return
		}
		all[i], all[worst] = all[worst], all[i]
		i = worst
	}
}

// ranked is what an element is sorted by, and where it is: it is not moved until
// its place is known.
type ranked[T, O any] struct {
	key     O
	element *T
}

// sortParts sorts each partition by a key of its elements, and merges them.
func sortParts[T, O any](b Batch[T], op string, key func(*T) O, compare func(a, b O) int) Batch[T] {
	parts := make([][]ranked[T, O], len(b.parts))
	b.eachPart(op, func(p int, in iter.Seq[T]) {
		read := make([]T, 0, len(b.parts[p].stored))
		in(func(t T) bool {
			read = append(read, t)
			return true
		})
		part := make([]ranked[T, O], len(read))
		for i := range read {
			if i%chunk == 0 && b.env.stopped() {
				return
			}
			part[i] = ranked[T, O]{key(&read[i]), &read[i]}
		}
		sortStable(part, make([]ranked[T, O], len(part)/2), compare)
		parts[p] = part
	})
	defer b.env.blame(op, -1)
	sorted := mergeSorted(parts, compare)
	return Split(elements(sorted), len(b.parts)).With(b.env)
}

// elements are those that are ranked, in that order.
func elements[T, O any](sorted []ranked[T, O]) []T {
	out := make([]T, len(sorted))
	for i, r := range sorted {
		out[i] = *r.element
	}
	return out
}

// sortStable sorts by merging halves. spare has room for half of all.
func sortStable[T, O any](all, spare []ranked[T, O], compare func(a, b O) int) {
	if len(all) <= 12 { // as in package slices
		for i := range all {
			for j := i; j > 0 && compare(all[j].key, all[j-1].key) < 0; j-- {
				all[j], all[j-1] = all[j-1], all[j]
			}
		}
		return
	}
	m := len(all) / 2
	sortStable(all[:m], spare, compare)
	sortStable(all[m:], spare, compare)
	if compare(all[m-1].key, all[m].key) <= 0 {
		return
	}
	mergeTwo(all[:0], spare[:copy(spare, all[:m])], all[m:], compare)
}

// mergeSorted merges sorted partitions two and two; of equal elements those of
// the earlier partition come first.
func mergeSorted[T, O any](parts [][]ranked[T, O], compare func(a, b O) int) []ranked[T, O] {
	for len(parts) > 1 {
		var merged [][]ranked[T, O]
		for i := 0; i+1 < len(parts); i += 2 {
			a, b := parts[i], parts[i+1]
			merged = append(merged, mergeTwo(make([]ranked[T, O], 0, len(a)+len(b)), a, b, compare))
		}
		if len(parts)%2 == 1 {
			merged = append(merged, parts[len(parts)-1])
		}
		parts = merged
	}
	if len(parts) == 0 {
		return nil
	}
	return parts[0]
}

// mergeTwo appends to out what a and b have, of equal elements those of a first.
// b may be the end of what out has room for.
func mergeTwo[T, O any](out, a, b []ranked[T, O], compare func(a, b O) int) []ranked[T, O] {
	for len(a) > 0 && len(b) > 0 {
		if compare(b[0].key, a[0].key) < 0 {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}
