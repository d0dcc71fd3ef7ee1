package batch_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
)

func TestCountByValue(t *testing.T) {
	type counts = batch.Batch[batch.Pair[string, int64]]
	gives(t, "in order of first appearance", []string{"rye", "tea", "rye", "ale", "tea", "rye"}, batch.CountByValue[string],
		batch.P("rye", int64(3)), batch.P("tea", int64(2)), batch.P("ale", int64(1)))
	gives(t, "nothing", nil, batch.CountByValue[string])
	gives(t, "zero values are values", []string{"", "a", ""}, batch.CountByValue[string], batch.P("", int64(2)), batch.P("a", int64(1)))
	gives(t, "what is pending runs before", []string{"a", "bb", "cc"}, func(b batch.Batch[string]) counts {
		return batch.CountByValue(batch.Map(batch.Filter(b, func(s string) bool { return s != "a" }), func(string) string { return "x" }))
	}, batch.P("x", int64(2)))
	nan, zero, minus := math.NaN(), 0.0, math.Copysign(0, -1)
	gives(t, "NaN equals nothing", []float64{nan, 1, nan, 1}, batch.CountByValue[float64],
		batch.P(nan, int64(1)), batch.P(1., int64(2)), batch.P(nan, int64(1)))
	gives(t, "-0 equals 0 and the first comes out", []float64{minus, zero, minus}, batch.CountByValue[float64], batch.P(minus, int64(3)))
	gives(t, "0 equals -0 and the first comes out", []float64{zero, minus, zero}, batch.CountByValue[float64], batch.P(zero, int64(3)))
	gives(t, "NaN inside a struct", [][1]float64{{nan}, {nan}, {0}, {minus}}, batch.CountByValue[[1]float64],
		batch.P([1]float64{nan}, int64(1)), batch.P([1]float64{nan}, int64(1)), batch.P([1]float64{0}, int64(2)))
}

func TestKeysOfEveryKind(t *testing.T) {
	type named string
	type record struct {
		name string
		at   int
	}
	a, b := new(int), new(int)
	countsKeys(t, "int", -1, 0, 1, math.MinInt, math.MaxInt)
	countsKeys[int64](t, "int64", -1, 0, math.MinInt64)
	countsKeys[int32](t, "int32", -1, 0, math.MinInt32)
	countsKeys[int8](t, "int8", -1, 0, 127)
	countsKeys[uint](t, "uint", 0, math.MaxUint)
	countsKeys[uint64](t, "uint64", 0, math.MaxUint64)
	countsKeys[uint32](t, "uint32", 0, math.MaxUint32)
	countsKeys(t, "bool", true, false)
	countsKeys(t, "float64", 0.5, math.Inf(-1), 0)
	countsKeys(t, "complex", 1i, 0)
	countsKeys(t, "string", "", "a", "\x00", "a\x00")
	countsKeys[named](t, "named string", "", "a")
	countsKeys(t, "struct", record{"a", 1}, record{"a", 2}, record{})
	countsKeys(t, "array", [2]int{1, 2}, [2]int{2, 1})
	countsKeys(t, "pointer", a, b, nil)
	countsKeys[any](t, "interface", 1, "1", nil, int64(1), record{"a", 1})
	countsKeys[error](t, "interface with methods", assert.AnError, nil)
	countsKeys(t, "empty struct", struct{}{})
}

func countsKeys[K comparable](t *testing.T, name string, keys ...K) {
	t.Helper()
	var want []batch.Pair[K, int64]
	for _, k := range keys {
		want = append(want, batch.P(k, int64(2)))
	}
	gives(t, name, slices.Concat(keys, keys), batch.CountByValue[K], want...)
	gives(t, name+", distinct", slices.Concat(keys, keys), batch.Distinct[K], keys...)
}

func TestByKey(t *testing.T) {
	type keyed = batch.Pair[string, string]
	type pairs = batch.Batch[keyed]
	in := []keyed{{"x", "a"}, {"y", "b"}, {"x", "c"}, {"x", "d"}, {"z", ""}, {"y", "e"}}
	join := func(a, b string) string { return a + b }

	gives(t, "countByKey", in, batch.CountByKey[string, string], batch.P("x", int64(3)), batch.P("y", int64(2)), batch.P("z", int64(1)))
	gives(t, "reduceByKey meets values in order", in, func(b pairs) pairs {
		return batch.ReduceByKey(b, join)
	}, batch.P("x", "acd"), batch.P("y", "be"), batch.P("z", ""))
	gives(t, "reduceByKey of nothing", nil, func(b pairs) pairs { return batch.ReduceByKey(b, join) })
	gives(t, "reduceByKey of a reduceByKey", in, func(b pairs) pairs {
		return batch.ReduceByKey(batch.ReduceByKey(b, join), join)
	}, batch.P("x", "acd"), batch.P("y", "be"), batch.P("z", ""))
	gives(t, "combineByKey into what changes in place", in, func(b pairs) pairs {
		sets := batch.CombineByKey(b, func(v string) *[]string { return &[]string{v} },
			func(acc *[]string, v string) *[]string { *acc = append(*acc, v); return acc },
			func(a, b *[]string) *[]string { *a = append(*a, *b...); return a })
		return batch.MapValues(sets, func(v *[]string) string { return fmt.Sprint(*v) })
	}, batch.P("x", "[a c d]"), batch.P("y", "[b e]"), batch.P("z", "[]"))
	gives(t, "aggregateByKey begins anew for each key", in, func(b pairs) pairs {
		return batch.MapValues(batch.AggregateByKey(b, func() map[string]int { return map[string]int{} },
			func(m map[string]int, v string) map[string]int { m[v]++; return m },
			func(a, b map[string]int) map[string]int {
				for k, n := range b {
					a[k] += n
				}
				return a
			}), func(m map[string]int) string { return fmt.Sprint(m) })
	}, batch.P("x", "map[a:1 c:1 d:1]"), batch.P("y", "map[b:1 e:1]"), batch.P("z", "map[:1]"))
	gives(t, "groupByKey", in, batch.GroupByKey[string, string],
		batch.P("x", []string{"a", "c", "d"}), batch.P("y", []string{"b", "e"}), batch.P("z", []string{""}))
	gives(t, "groupByKey of nothing", nil, batch.GroupByKey[string, string])
	gives(t, "distinct pairs", append(in, in...), batch.Distinct[keyed], in...)
	nan := math.NaN()
	gives(t, "NaN keys are not combined", []batch.Pair[float64, int]{{nan, 1}, {1, 2}, {nan, 3}, {1, 4}}, func(b batch.Batch[batch.Pair[float64, int]]) batch.Batch[batch.Pair[float64, int]] {
		return batch.ReduceByKey(b, func(a, b int) int { return a + b })
	}, batch.P(nan, 1), batch.P(1., 6), batch.P(nan, 3))
}

func TestResultHasAsManyPartitions(t *testing.T) {
	b := batch.Split([]string{"a", "b", "a", "c", "d"}, 3)
	assert.Equal(t, 3, batch.CountByValue(b).Partitions())
	assert.Equal(t, 3, batch.Distinct(b).Partitions())
	assert.Equal(t, 3, batch.SortBy(b, identity[string]).Partitions())
	paired := batch.KeyBy(b, identity[string])
	assert.Equal(t, 5, batch.CoGroup(paired, batch.Repartition(paired, 5)).Partitions())
}

// So many keys that tables grow and several workers merge them without being
// forced to.
func TestManyKeys(t *testing.T) {
	const keys, each = 30_000, 3
	s := lcg(1)
	in := make([]int, keys*each)
	for i := range in {
		in[i] = i % keys
	}
	for i := range in { // shuffled
		j := int(s.next() % uint64(i+1))
		in[i], in[j] = in[j], in[i]
	}
	var order []int
	seen := map[int]bool{}
	for _, k := range in {
		if !seen[k] {
			seen[k] = true
			order = append(order, k)
		}
	}
	for _, n := range []int{1, 2, 5} {
		for _, w := range []int{1, 2, 4} {
			b := batch.Split(in, n).With(workers(w))
			counts := batch.Collect(batch.CountByValue(b))
			require.Len(t, counts, keys)
			for i, c := range counts {
				require.Equal(t, batch.P(order[i], int64(each)), c)
			}
			require.Equal(t, order, batch.Collect(batch.Distinct(b)))
			names := batch.Map(b, func(v int) string { return fmt.Sprint("key ", v) })
			require.Len(t, batch.Collect(batch.Distinct(names)), keys)
		}
	}
}

func TestNoAllocationPerElement(t *testing.T) {
	type record struct {
		name string
		list *int
	}
	const n = 10_000
	var records []record
	var anys []any
	for range n {
		records = append(records, record{name: "a", list: new(int)})
		anys = append(anys, "a")
	}
	pairs := batch.KeyBy(batch.Of(records), func(r record) string { return r.name })
	allocations := map[string]func(){
		"string keys":    func() { batch.CountByKey(pairs) },
		"struct keys":    func() { batch.CountByValue(batch.Of(records)) },
		"interface keys": func() { batch.CountByValue(batch.Of(anys)) },
		"reduceByKey":    func() { batch.ReduceByKey(pairs, func(a, b record) record { return a }) },
		"top":            func() { batch.Top(pairs, 5, batch.ByKey) },
		"tryMap": func() {
			_, failed := batch.TryMap(pairs, func(p batch.Pair[string, record]) (string, error) { return p.Key, nil }, 1)
			failed.Drain(false)
		},
	}
	for name, do := range allocations {
		t.Run(name, func(t *testing.T) { assert.Less(t, testing.AllocsPerRun(3, do), n/50.) })
	}
}
