package batch_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/godstream/godstream/batch"
)

func TestSort(t *testing.T) {
	type pairs = batch.Batch[pair]
	in := []pair{{"c", 2}, {"a", 1}, {"b", 2}, {"e", 3}, {"d", 1}, {"a", 2}}
	nan, minus := math.NaN(), math.Copysign(0, -1)

	gives(t, "by value, ties in order", in, func(b pairs) pairs { return batch.SortBy(b, batch.ByValue) },
		batch.P("a", 1), batch.P("d", 1), batch.P("c", 2), batch.P("b", 2), batch.P("a", 2), batch.P("e", 3))
	gives(t, "descending, ties in order", in, func(b pairs) pairs { return batch.SortByDescending(b, batch.ByValue) },
		batch.P("e", 3), batch.P("c", 2), batch.P("b", 2), batch.P("a", 2), batch.P("a", 1), batch.P("d", 1))
	gives(t, "by a function, ties in order", in, func(b pairs) pairs {
		return batch.SortFunc(b, func(a, b pair) int { return cmp.Compare(a.Key, b.Key) })
	}, batch.P("a", 1), batch.P("a", 2), batch.P("b", 2), batch.P("c", 2), batch.P("d", 1), batch.P("e", 3))
	gives(t, "all equal", in, func(b pairs) pairs { return batch.SortFunc(b, func(a, b pair) int { return 0 }) }, in...)
	gives(t, "what is pending", upTo(5), func(b batch.Batch[int]) batch.Batch[int] {
		return batch.SortBy(batch.Map(b, func(v int) int { return -v }), identity[int])
	}, -4, -3, -2, -1, 0)
	gives(t, "nothing", nil, func(b pairs) pairs { return batch.SortBy(b, batch.ByKey) })
	gives(t, "NaN first, -0 and 0 in order", []float64{1, 0, nan, minus, -1, nan, 0}, func(b batch.Batch[float64]) batch.Batch[float64] {
		return batch.SortBy(b, identity[float64])
	}, nan, nan, -1, 0, minus, 0, 1)
	gives(t, "NaN last, descending", []float64{1, 0, nan, minus}, func(b batch.Batch[float64]) batch.Batch[float64] {
		return batch.SortByDescending(b, identity[float64])
	}, 1, 0, minus, nan)
}

func TestTop(t *testing.T) {
	type pairs = batch.Batch[pair]
	top := func(n int) func(pairs) pairs {
		return func(b pairs) pairs { return batch.Top(b, n, batch.ByValue) }
	}
	in := []pair{{"c", 2}, {"a", 1}, {"b", 2}, {"e", 3}, {"d", 1}, {"a", 2}}
	gives(t, "one", in, top(1), batch.P("e", 3))
	gives(t, "some, ties in order", in, top(3), batch.P("e", 3), batch.P("c", 2), batch.P("b", 2))
	gives(t, "as many as there are", in, top(6), batch.P("e", 3), batch.P("c", 2), batch.P("b", 2), batch.P("a", 2), batch.P("a", 1), batch.P("d", 1))
	gives(t, "more than there are", in, top(7), batch.P("e", 3), batch.P("c", 2), batch.P("b", 2), batch.P("a", 2), batch.P("a", 1), batch.P("d", 1))
	gives(t, "as many as an int can say", in[:2], top(math.MaxInt), batch.P("c", 2), batch.P("a", 1))
	gives(t, "none", in, top(0))
	gives(t, "less than none", in, top(-1))
	gives(t, "of nothing", nil, top(3))
	gives(t, "NaN is the smallest", []float64{math.NaN(), 1, math.NaN(), 0}, func(b batch.Batch[float64]) batch.Batch[float64] {
		return batch.Top(b, 3, identity[float64])
	}, 1, 0, math.NaN())
}

// Top of more elements than it keeps is the beginning of the sorted sequence.
func TestTopOfMany(t *testing.T) {
	s := lcg(7)
	inputs := map[string][]pair{}
	for i := range 12_000 {
		name := fmt.Sprint("e", i)
		inputs["rising"] = append(inputs["rising"], batch.P(name, i))
		inputs["falling"] = append(inputs["falling"], batch.P(name, -i))
		inputs["mixed"] = append(inputs["mixed"], batch.P(name, int(s.next()%50)))
		inputs["mixed, without ties"] = append(inputs["mixed, without ties"], batch.P(name, int(s.next())))
		inputs["all equal"] = append(inputs["all equal"], batch.P(name, 1))
	}
	second := make([]pair, 12_000)
	second[0].Value, second[11_999].Value = 2, 1
	inputs["the second best comes last"] = second
	for name, in := range inputs {
		sorted := slices.Clone(in)
		slices.SortStableFunc(sorted, func(a, b pair) int { return cmp.Compare(b.Value, a.Value) })
		for _, n := range []int{1, 2, 10, 511, 512, 513, 3000, 11_999, 12_001} {
			for _, parts := range []int{1, 2, 3} {
				t.Run(fmt.Sprintf("%s, %d of %d partitions", name, n, parts), func(t *testing.T) {
					calls := 0
					got := batch.Collect(batch.Top(batch.Split(in, parts), n, func(p pair) int { calls++; return p.Value }))
					assert.True(t, slices.Equal(sorted[:min(n, len(in))], got))
					assert.Equal(t, len(in), calls, "the key is asked for once")
				})
			}
		}
	}
}

func TestTake(t *testing.T) {
	type ints = batch.Batch[int]
	take := func(n int) func(ints) ints { return func(b ints) ints { return batch.Take(b, n) } }
	gives(t, "some", upTo(5), take(3), 0, 1, 2)
	gives(t, "all", upTo(5), take(5), 0, 1, 2, 3, 4)
	gives(t, "more than there are", upTo(2), take(5), 0, 1)
	gives(t, "none", upTo(5), take(0))
	gives(t, "less than none", upTo(5), take(-1))
	gives(t, "of nothing", nil, take(2))

	for want, n := range []int{0, 1, 2, 3, 4} {
		calls := 0
		b := batch.Map(batch.Split(upTo(8), 4), func(v int) int { calls++; return v })
		batch.Take(b, n)
		assert.Equal(t, want, calls, "no more is computed than needed")
	}
}

func TestSortKeyIsCalledOncePerElement(t *testing.T) {
	calls := 0
	batch.SortBy(batch.Split(upTo(1000), 3), func(v int) int { calls++; return -v })
	assert.Equal(t, 1000, calls)
}
