package batch_test

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/godstream/godstream/batch"
)

func TestNarrow(t *testing.T) {
	type ints = batch.Batch[int]
	odd := func(v int) bool { return v%2 == 1 }
	double := func(v int) int { return 2 * v }

	gives(t, "map to the same type", upTo(5), func(b ints) ints { return batch.Map(b, double) }, 0, 2, 4, 6, 8)
	gives(t, "map to another type", upTo(3), func(b ints) batch.Batch[string] { return batch.Map(b, strconv.Itoa) }, "0", "1", "2")
	gives(t, "map of nothing", nil, func(b ints) batch.Batch[string] { return batch.Map(b, strconv.Itoa) })
	gives(t, "map to an interface", upTo(2), func(b ints) batch.Batch[any] { return batch.Map(b, func(v int) any { return v }) }, any(0), any(1))
	gives(t, "filter keeps some", upTo(6), func(b ints) ints { return batch.Filter(b, odd) }, 1, 3, 5)
	gives(t, "filter keeps none", upTo(6), func(b ints) ints { return batch.Filter(b, func(int) bool { return false }) })
	gives(t, "filter of nothing", nil, func(b ints) ints { return batch.Filter(b, odd) })
	gives(t, "maps and filters apply in their order", upTo(6), func(b ints) ints {
		b = batch.Map(batch.Filter(b, odd), func(v int) int { return v + 1 })
		return batch.Filter(batch.Map(b, double), func(v int) bool { return v > 4 })
	}, 8, 12)
	gives(t, "maps and filters after a change of type", upTo(6), func(b ints) ints {
		s := batch.Map(batch.Filter(b, odd), strconv.Itoa)
		s = batch.Filter(batch.Map(s, func(s string) string { return s + s }), func(s string) bool { return s > "2" })
		return batch.Map(s, func(s string) int { n, _ := strconv.Atoi(s); return n })
	}, 33, 55)

	gives(t, "flatMap gives several, one or none", []string{"a b", "", "c", " ", "d e f"}, func(b batch.Batch[string]) batch.Batch[string] {
		return batch.FlatMap(b, strings.FieldsSeq)
	}, "a", "b", "c", "d", "e", "f")
	gives(t, "flatMap of nil sequences", upTo(4), func(b ints) ints {
		return batch.FlatMap(b, func(v int) iter.Seq[int] {
			if odd(v) {
				return nil
			}
			return slices.Values([]int{v, v})
		})
	}, 0, 0, 2, 2)
	stubborn := func(v int) iter.Seq[int] { // does not look at what yield returns
		return func(yield func(int) bool) { yield(v); yield(v); yield(v) }
	}
	gives(t, "flatMap of a sequence that goes on after it was told to stop", upTo(4), func(b ints) ints {
		return batch.Take(batch.FlatMap(b, stubborn), 4)
	}, 0, 0, 0, 1)

	gives(t, "mapPartitions", upTo(4), func(b ints) batch.Batch[string] {
		return batch.MapPartitions(b, func(in iter.Seq[int]) iter.Seq[string] {
			return func(yield func(string) bool) {
				for v := range in {
					if odd(v) && !yield(strconv.Itoa(v)) {
						return
					}
				}
			}
		})
	}, "1", "3")
	gives(t, "mapPartitions to nil sequences", upTo(4), func(b ints) ints {
		return batch.MapPartitions(b, func(iter.Seq[int]) iter.Seq[int] { return nil })
	})
	gives(t, "mapPartitions that goes on after it was told to stop", upTo(4), func(b ints) ints {
		return batch.Take(batch.MapPartitions(b, func(in iter.Seq[int]) iter.Seq[int] {
			return func(yield func(int) bool) { in(func(v int) bool { yield(v); return true }) }
		}), 1)
	}, 0)
	gives(t, "mapPartitions that pulls", upTo(5), func(b ints) ints {
		return batch.MapPartitions(b, func(in iter.Seq[int]) iter.Seq[int] {
			return func(yield func(int) bool) {
				next, stop := iter.Pull(in)
				defer stop()
				for v, ok := next(); ok && yield(v); v, ok = next() {
				}
			}
		})
	}, 0, 1, 2, 3, 4)
	gives(t, "mapPartitions that reads its partition twice", upTo(1), func(b ints) ints {
		return batch.MapPartitions(b, func(in iter.Seq[int]) iter.Seq[int] {
			return func(yield func(int) bool) {
				in(yield)
				in(yield)
			}
		})
	}, 0, 0)

	gives(t, "glom, flattened", upTo(5), func(b ints) ints {
		return batch.FlatMap(batch.Glom(b), slices.Values[[]int])
	}, 0, 1, 2, 3, 4)

	gives(t, "union of stored, pending and sequences", upTo(2), func(b ints) ints {
		return batch.Union(b, batch.Map(b, double), batch.Of[int](), batch.FlatMap(b, stubborn), batch.Of([]int{7}))
	}, 0, 1, 0, 2, 0, 0, 0, 1, 1, 1, 7)
	gives(t, "union with itself", upTo(2), func(b ints) ints { return batch.Union(b, b) }, 0, 1, 0, 1)
	gives(t, "map after union", upTo(2), func(b ints) ints {
		return batch.Map(batch.Union(batch.Map(b, double), b), func(v int) int { return v + 1 })
	}, 1, 3, 1, 2)

	for _, n := range []int{-1, 0, 1, 2, 7} {
		gives(t, fmt.Sprintf("repartition to %d", n), upTo(5), func(b ints) ints {
			r := batch.Repartition(batch.Map(b, double), n)
			assert.Equal(t, max(n, 1), r.Partitions())
			return r
		}, 0, 2, 4, 6, 8)
	}

	gives(t, "sample of nothing", nil, func(b ints) ints { return batch.Sample(b, 0.5, 1) })
	gives(t, "sample of all", upTo(4), func(b ints) ints { return batch.Sample(b, 1, 1) }, 0, 1, 2, 3)
	gives(t, "sample of none", upTo(4), func(b ints) ints { return batch.Sample(b, 0, 1) })
	gives(t, "sample of less than none", upTo(4), func(b ints) ints { return batch.Sample(b, -1, 1) })
}

func TestGlom(t *testing.T) {
	b := batch.Of([]int{1, 2}, nil, []int{3})
	assert.Equal(t, [][]int{{1, 2}, nil, {3}}, batch.Collect(batch.Glom(b)))
	assert.Equal(t, [][]int{{2, 4}, nil, {6}}, batch.Collect(batch.Glom(batch.Map(b, func(v int) int { return 2 * v }))))
	assert.Equal(t, 3, batch.Glom(b).Partitions())
}

func TestSample(t *testing.T) {
	b := batch.Split(upTo(100_000), 4).With(workers(2))
	tenth := batch.Sample(b, 0.1, 1)
	once, again := batch.Collect(tenth), batch.Collect(tenth)
	assert.Equal(t, once, again)
	assert.InDelta(t, 10_000, len(once), 500)
	assert.True(t, slices.IsSorted(once), "the order is kept")
	assert.NotEqual(t, once, batch.Collect(batch.Sample(b, 0.1, 2)))
	assert.Len(t, batch.Collect(batch.Sample(b, math.Inf(1), 1)), 100_000)
}

func TestPairs(t *testing.T) {
	type pairs = batch.Batch[pair]
	in := []pair{{"a", 1}, {"b", 2}, {"a", 3}}
	gives(t, "keyBy", []string{"tea", "rye", "a"}, func(b batch.Batch[string]) batch.Batch[batch.Pair[int, string]] {
		return batch.KeyBy(b, func(s string) int { return len(s) })
	}, batch.P(3, "tea"), batch.P(3, "rye"), batch.P(1, "a"))
	gives(t, "mapValues to the same type", in, func(b pairs) pairs {
		return batch.MapValues(b, func(v int) int { return -v })
	}, batch.P("a", -1), batch.P("b", -2), batch.P("a", -3))
	gives(t, "mapValues to another type", in, func(b pairs) batch.Batch[batch.Pair[string, string]] {
		return batch.MapValues(b, strconv.Itoa)
	}, batch.P("a", "1"), batch.P("b", "2"), batch.P("a", "3"))
	gives(t, "flatMapValues gives several, one or none", in, func(b pairs) pairs {
		return batch.FlatMapValues(b, func(v int) iter.Seq[int] {
			if v == 2 {
				return nil
			}
			return slices.Values(upTo(v))
		})
	}, batch.P("a", 0), batch.P("a", 0), batch.P("a", 1), batch.P("a", 2))
	gives(t, "flatMapValues, of which some are taken", in, func(b pairs) pairs {
		return batch.Take(batch.FlatMapValues(b, func(v int) iter.Seq[int] { return slices.Values(upTo(v)) }), 2)
	}, batch.P("a", 0), batch.P("b", 0))
	gives(t, "keys and values", in, func(b pairs) batch.Batch[string] {
		return batch.Union(batch.Map(b, batch.ByKey), batch.Map(batch.Map(b, batch.ByValue), strconv.Itoa))
	}, "a", "b", "a", "1", "2", "3")
}

func TestPairAndOptPrint(t *testing.T) {
	assert.Equal(t, "(tea, 3)", batch.P("tea", 3).String())
	assert.Equal(t, "3", batch.Some(3).String())
	assert.Equal(t, "none", batch.Opt[int]{}.String())
	assert.Equal(t, 3, batch.Some(3).Or(4))
	assert.Equal(t, 4, batch.Opt[int]{}.Or(4))
	v, ok := batch.Some(0).Get()
	assert.True(t, ok)
	assert.Zero(t, v)
}
