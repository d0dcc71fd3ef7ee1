package batch_test

import (
	"cmp"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
)

// operator is one operator over a batch of pairs, and the loop that one would
// write around the same function. Both return a number that is the same.
type operator struct {
	name            string
	godstream, loop func() int64
}

// BenchmarkOperator takes a batch of 100,000 pairs in four partitions, of 10,000
// keys. Joins meet 10,000 others.
func BenchmarkOperator(b *testing.B) {
	for _, o := range operators(25_000) {
		for _, side := range []struct {
			name string
			do   func() int64
		}{{"godstream", o.godstream}, {"loop", o.loop}} {
			b.Run(o.name+"/"+side.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					side.do()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/elem")
			})
		}
	}
}

func TestOperatorsDoWhatTheirLoopsDo(t *testing.T) {
	for _, o := range operators(500) {
		require.Equal(t, o.loop(), o.godstream(), o.name)
		require.NotZero(t, o.loop(), o.name)
	}
}

type keyed = batch.Pair[string, int64]

func operators(part int) []operator {
	s, names := lcg(5), benchNames()
	parts, other := make([][]keyed, 4), make([][]keyed, 4)
	for p := range parts {
		for range part {
			parts[p] = append(parts[p], batch.P(names[s.next()%10_000], int64(s.next()%1000)))
		}
		for i := p; i < len(names); i += len(parts) {
			other[p] = append(other[p], batch.P(names[i], int64(i)))
		}
	}
	in, side := batch.Of(parts...), batch.Of(other...)
	all, others := slices.Concat(parts...), slices.Concat(other...)

	double := opaque(func(p keyed) keyed { return batch.P(p.Key, 2*p.Value) })
	value := opaque(func(p keyed) int64 { return p.Value })
	even := opaque(func(p keyed) bool { return p.Value%2 == 0 })
	twice := opaque(func(p keyed) iter.Seq[int64] {
		return func(yield func(int64) bool) { _ = yield(p.Value) && yield(p.Value+1) }
	})
	add := opaque(func(a, b int64) int64 { return a + b })
	return []operator{
		{"map", func() int64 { return sumOf(batch.Map(in, double), value) }, func() (sum int64) {
			for _, p := range all {
				sum += value(double(p))
			}
			return sum
		}},
		{"filter", func() int64 { return sumOf(batch.Filter(in, even), value) }, func() (sum int64) {
			for _, p := range all {
				if even(p) {
					sum += value(p)
				}
			}
			return sum
		}},
		{"flatMap", func() int64 { return only(batch.Sum(batch.FlatMap(in, twice))) }, func() (sum int64) {
			for _, p := range all {
				for n := range twice(p) {
					sum += n
				}
			}
			return sum
		}},
		{"reduce", func() int64 { return only(batch.Reduce(batch.Map(in, value), add)) }, func() (sum int64) {
			for _, p := range all {
				sum = add(sum, value(p))
			}
			return sum
		}},
		{"distinct", func() int64 { return only(batch.Count(batch.Distinct(batch.Map(in, batch.ByKey)))) }, func() int64 {
			seen := map[string]bool{}
			for _, p := range all {
				seen[p.Key] = true
			}
			return int64(len(seen))
		}},
		{"countByKey", func() int64 { return sumOf(batch.CountByKey(in), value) }, func() (sum int64) {
			counts := map[string]int64{}
			for _, p := range all {
				counts[p.Key]++
			}
			for _, n := range counts {
				sum += n
			}
			return sum
		}},
		{"reduceByKey", func() int64 { return sumOf(batch.ReduceByKey(in, add), value) }, func() (sum int64) {
			sums := map[string]int64{}
			for _, p := range all {
				if old, ok := sums[p.Key]; ok {
					sums[p.Key] = add(old, p.Value)
				} else {
					sums[p.Key] = p.Value
				}
			}
			for _, n := range sums {
				sum += n
			}
			return sum
		}},
		{"groupByKey", func() (sum int64) {
			for p := range batch.GroupByKey(in).All() {
				sum += p.Value[0] + int64(len(p.Value))
			}
			return sum
		}, func() (sum int64) {
			groups := map[string][]int64{}
			for _, p := range all {
				groups[p.Key] = append(groups[p.Key], p.Value)
			}
			for _, g := range groups {
				sum += g[0] + int64(len(g))
			}
			return sum
		}},
		{"join", func() (sum int64) {
			for p := range batch.Join(in, side).All() {
				sum += p.Value.Left ^ p.Value.Right
			}
			return sum
		}, func() (sum int64) {
			of := map[string][]int64{}
			for _, p := range others {
				of[p.Key] = append(of[p.Key], p.Value)
			}
			for _, p := range all {
				for _, n := range of[p.Key] {
					sum += p.Value ^ n
				}
			}
			return sum
		}},
		{"sortBy", func() int64 { return slices.Collect(batch.SortBy(in, batch.ByValue).All())[len(all)/2].Value }, func() int64 {
			sorted := slices.Clone(all)
			slices.SortStableFunc(sorted, func(a, b keyed) int { return cmp.Compare(a.Value, b.Value) })
			return sorted[len(all)/2].Value
		}},
		{"top", func() int64 { return sumOf(batch.Top(in, 10, batch.ByValue), value) }, func() (sum int64) {
			var top []keyed // ten, the greatest first
			for _, p := range all {
				if len(top) == 10 && p.Value <= top[9].Value {
					continue
				}
				i, _ := slices.BinarySearchFunc(top, p.Value, func(q keyed, n int64) int {
					if q.Value >= n {
						return -1
					}
					return 1
				})
				top = slices.Insert(top[:min(len(top), 9)], min(i, 9), p)
			}
			for _, p := range top {
				sum += value(p)
			}
			return sum
		}},
		{"repartition", func() int64 { return sumOf(batch.Repartition(in, 8), value) }, func() (sum int64) {
			boxes := make([][]keyed, 8)
			for i, p := range all {
				boxes[i%8] = append(boxes[i%8], p)
			}
			for _, box := range boxes {
				for _, p := range box {
					sum += value(p)
				}
			}
			return sum
		}},
	}
}

func sumOf(b batch.Batch[keyed], of func(keyed) int64) int64 {
	return only(batch.Sum(batch.Map(b, of)))
}

func only(b batch.Batch[int64]) int64 { return batch.Collect(b)[0] }
