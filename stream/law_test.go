package stream_test

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
)

type pair = stream.Pair[int, int]

// call counts the calls of a node's function.
func call(calls *atomic.Int64, f func(int) int) func(int) int {
	return func(i int) int {
		calls.Add(1)
		return f(i)
	}
}

func naiveMap[T, U any](in []T, f func(T) U) (out []U) {
	for _, t := range in {
		out = append(out, f(t))
	}
	return out
}

// grouped is the naive group by key, keys in order of first appearance.
func grouped(in []pair) (keys []int, values map[int][]int) {
	values = map[int][]int{}
	for _, p := range in {
		if _, ok := values[p.Key]; !ok {
			keys = append(keys, p.Key)
		}
		values[p.Key] = append(values[p.Key], p.Value)
	}
	return keys, values
}

func folded(in []pair) (out []int) {
	keys, values := grouped(in)
	for _, k := range keys {
		out = append(out, fold(k, values[k]))
	}
	return out
}

// fold makes a number of a key and its values that depends on their order.
func fold(k int, values []int) int {
	for _, v := range values {
		k = k*31 + v
	}
	return k % 1009
}

var errOdd = errors.New("odd")

// node is one operator: how it is declared, and what it gives naively.
type node struct {
	name    string
	declare func(a, b stream.Stream[int], k int, calls *atomic.Int64) stream.Stream[int]
	naive   func(a, b []int, k int) []int
	calls   bool // its function is called once for each element of a
}

var nodes = []node{
	{"map", func(a, _ stream.Stream[int], k int, calls *atomic.Int64) stream.Stream[int] {
		return stream.Map(a, call(calls, func(i int) int { return i*7 + k }))
	}, func(a, _ []int, k int) []int { return naiveMap(a, func(i int) int { return i*7 + k }) }, true},
	{"map to text and back", func(a, _ stream.Stream[int], k int, calls *atomic.Int64) stream.Stream[int] {
		text := stream.Map(a, func(i int) string { calls.Add(1); return fmt.Sprint(i) })
		return stream.Map(text, func(s string) int { return len(s)*k + int(s[len(s)-1]) })
	}, func(a, _ []int, k int) []int {
		return naiveMap(a, func(i int) int { s := fmt.Sprint(i); return len(s)*k + int(s[len(s)-1]) })
	}, true},
	{"filter", func(a, _ stream.Stream[int], k int, calls *atomic.Int64) stream.Stream[int] {
		return stream.Filter(a, func(i int) bool { calls.Add(1); return i%k != 0 })
	}, func(a, _ []int, k int) []int {
		return slices.DeleteFunc(slices.Clone(a), func(i int) bool { return i%k == 0 })
	}, true},
	{"flatMap", func(a, _ stream.Stream[int], k int, calls *atomic.Int64) stream.Stream[int] {
		return stream.FlatMap(a, func(i int) iter.Seq[int] { calls.Add(1); return slices.Values([]int{i, i + k}[:abs(i)%3]) })
	}, func(a, _ []int, k int) (out []int) {
		for _, i := range a {
			out = append(out, []int{i, i + k}[:abs(i)%3]...)
		}
		return out
	}, true},
	{"union", func(a, b stream.Stream[int], _ int, _ *atomic.Int64) stream.Stream[int] { return stream.Union(a, b, a) },
		func(a, b []int, _ int) []int { return slices.Concat(a, b, a) }, false},
	{"repartition", func(a, _ stream.Stream[int], k int, _ *atomic.Int64) stream.Stream[int] {
		return stream.Repartition(a, k)
	},
		func(a, _ []int, _ int) []int { return a }, false},
	{"distinct", func(a, _ stream.Stream[int], _ int, _ *atomic.Int64) stream.Stream[int] { return stream.Distinct(a) },
		func(a, _ []int, _ int) []int { return naiveDistinct(a) }, false},
	{"sort", func(a, _ stream.Stream[int], k int, calls *atomic.Int64) stream.Stream[int] {
		return stream.SortBy(a, call(calls, func(i int) int { return i % k }))
	}, func(a, _ []int, k int) []int {
		return slices.SortedStableFunc(slices.Values(a), func(x, y int) int { return cmp.Compare(x%k, y%k) })
	}, true},
	{"sort down", func(a, _ stream.Stream[int], k int, calls *atomic.Int64) stream.Stream[int] {
		return stream.SortBy(a, call(calls, func(i int) int { return i % k }), stream.Descending())
	}, func(a, _ []int, k int) []int {
		return slices.SortedStableFunc(slices.Values(a), func(x, y int) int { return cmp.Compare(y%k, x%k) })
	}, true},
	{"sortFunc", func(a, _ stream.Stream[int], k int, _ *atomic.Int64) stream.Stream[int] {
		return stream.SortFunc(a, func(x, y int) int { return cmp.Compare(x%k, y%k) })
	}, func(a, _ []int, k int) []int {
		return slices.SortedStableFunc(slices.Values(a), func(x, y int) int { return cmp.Compare(x%k, y%k) })
	}, false},
	{"top", func(a, _ stream.Stream[int], k int, calls *atomic.Int64) stream.Stream[int] {
		return stream.Top(a, k, call(calls, func(i int) int { return i % 5 }))
	}, func(a, _ []int, k int) []int {
		sorted := slices.SortedStableFunc(slices.Values(a), func(x, y int) int { return cmp.Compare(y%5, x%5) })
		return sorted[:min(k, len(sorted))]
	}, true},
	{"take", func(a, _ stream.Stream[int], k int, _ *atomic.Int64) stream.Stream[int] { return stream.Take(a, k) },
		func(a, _ []int, k int) []int { return a[:min(k, len(a))] }, false},
	{"transform", func(a, _ stream.Stream[int], k int, _ *atomic.Int64) stream.Stream[int] {
		return stream.Transform(a, func(b batch.Batch[int]) batch.Batch[int] {
			return batch.Union(batch.Take(b, k), batch.Map(b, func(i int) int { return -i }), b)
		})
	}, func(a, _ []int, k int) []int {
		return slices.Concat(a[:min(k, len(a))], naiveMap(a, func(i int) int { return -i }), a)
	}, false},
	{"transform of two", func(a, b stream.Stream[int], _ int, _ *atomic.Int64) stream.Stream[int] {
		return stream.Transform2(a, b, func(x, y batch.Batch[int]) batch.Batch[int] {
			return batch.Union(y, x, batch.Map(batch.Count(y), func(n int64) int { return int(n) }))
		})
	}, func(a, b []int, _ int) []int { return slices.Concat(b, a, []int{len(b)}) }, false},
	{"transform of n", func(a, b stream.Stream[int], _ int, _ *atomic.Int64) stream.Stream[int] {
		return stream.TransformN([]stream.Stream[int]{b, a, b}, func(all []batch.Batch[int]) batch.Batch[int] { return batch.Union(all...) })
	}, func(a, b []int, _ int) []int { return slices.Concat(b, a, b) }, false},
	{"tryMap, good", func(a, _ stream.Stream[int], _ int, calls *atomic.Int64) stream.Stream[int] {
		good, _ := stream.TryMap(a, odd(calls))
		return good
	}, func(a, _ []int, _ int) []int {
		return slices.DeleteFunc(slices.Clone(a), func(i int) bool { return i%2 != 0 })
	}, true},
	{"tryMap, both", func(a, _ stream.Stream[int], _ int, calls *atomic.Int64) stream.Stream[int] {
		good, bad := stream.TryMap(a, odd(calls))
		return stream.Union(stream.Map(bad, func(f stream.Failed[int]) int { return f.Record }), good)
	}, func(a, _ []int, _ int) []int {
		return slices.Concat(slices.DeleteFunc(slices.Clone(a), func(i int) bool { return i%2 == 0 }),
			slices.DeleteFunc(slices.Clone(a), func(i int) bool { return i%2 != 0 }))
	}, true},
	{"count", func(a, _ stream.Stream[int], _ int, _ *atomic.Int64) stream.Stream[int] {
		return stream.Map(stream.Count(a), func(n int64) int { return int(n) })
	}, func(a, _ []int, _ int) []int { return []int{len(a)} }, false},
	{"sum, min, max", func(a, _ stream.Stream[int], _ int, _ *atomic.Int64) stream.Stream[int] {
		return stream.Union(stream.Sum(a), stream.Min(a), stream.Max(a))
	}, func(a, _ []int, _ int) []int {
		sum := 0
		for _, i := range a {
			sum += i
		}
		if len(a) == 0 {
			return []int{0}
		}
		return []int{sum, slices.Min(a), slices.Max(a)}
	}, false},
	{"reduce", func(a, _ stream.Stream[int], _ int, _ *atomic.Int64) stream.Stream[int] {
		return stream.Reduce(a, func(x, y int) int { return max(x, y) })
	}, func(a, _ []int, _ int) []int {
		if len(a) == 0 {
			return nil
		}
		return []int{slices.Max(a)}
	}, false},
	{"countByValue", func(a, _ stream.Stream[int], _ int, _ *atomic.Int64) stream.Stream[int] {
		return stream.Map(stream.CountByValue(a), func(p stream.Pair[int, int64]) int { return p.Key*3 + int(p.Value) })
	}, func(a, _ []int, _ int) (out []int) {
		keys, values := grouped(naiveMap(a, func(i int) pair { return stream.P(i, i) }))
		return naiveMap(keys, func(k int) int { return k*3 + len(values[k]) })
	}, false},
	{"reduceByKey", func(a, _ stream.Stream[int], k int, calls *atomic.Int64) stream.Stream[int] {
		keyed := stream.KeyBy(a, call(calls, func(i int) int { return i % k }))
		sums := stream.ReduceByKey(keyed, func(x, y int) int { return x + y })
		return stream.Map(sums, func(p pair) int { return p.Key + 10*p.Value })
	}, func(a, _ []int, k int) []int {
		keys, values := grouped(naiveMap(a, func(i int) pair { return stream.P(i%k, i) }))
		return naiveMap(keys, func(k int) int {
			sum := 0
			for _, v := range values[k] {
				sum += v
			}
			return k + 10*sum
		})
	}, true},
	{"groupByKey", func(a, _ stream.Stream[int], k int, _ *atomic.Int64) stream.Stream[int] {
		keyed := stream.KeyBy(a, func(i int) int { return i % k })
		return stream.Map(stream.GroupByKey(keyed), func(p stream.Pair[int, []int]) int { return fold(p.Key, p.Value) })
	}, func(a, _ []int, k int) []int {
		return folded(naiveMap(a, func(i int) pair { return stream.P(i%k, i) }))
	}, false},
	{"aggregateByKey", func(a, _ stream.Stream[int], k int, _ *atomic.Int64) stream.Stream[int] {
		keyed := stream.KeyBy(a, func(i int) int { return i % k })
		lists := stream.AggregateByKey(keyed, func() []int { return nil }, func(l []int, i int) []int { return append(l, i) },
			func(x, y []int) []int { return append(x, y...) })
		return stream.Map(lists, func(p stream.Pair[int, []int]) int { return fold(p.Key, p.Value) })
	}, func(a, _ []int, k int) []int {
		return folded(naiveMap(a, func(i int) pair { return stream.P(i%k, i) }))
	}, false},
	{"countByKey", func(a, _ stream.Stream[int], k int, _ *atomic.Int64) stream.Stream[int] {
		keyed := stream.FlatMapValues(stream.MapValues(stream.KeyBy(a, func(i int) int { return i % k }), func(i int) int { return i + 1 }),
			func(i int) iter.Seq[int] { return slices.Values([]int{i, i}) })
		return stream.Map(stream.CountByKey(keyed), func(p stream.Pair[int, int64]) int { return fold(p.Key, []int{int(p.Value)}) })
	}, func(a, _ []int, k int) []int {
		keys, values := grouped(naiveMap(a, func(i int) pair { return stream.P(i%k, i) }))
		return naiveMap(keys, func(k int) int { return fold(k, []int{2 * len(values[k])}) })
	}, false},
	{"join", join(func(a, b stream.Stream[pair]) stream.Stream[int] {
		return stream.Map(stream.Join(a, b), func(p stream.Pair[int, stream.Both[int, int]]) int {
			return fold(p.Key, []int{p.Value.Left, p.Value.Right})
		})
	}), naiveJoin(false, false), false},
	{"leftOuterJoin", join(func(a, b stream.Stream[pair]) stream.Stream[int] {
		return stream.Map(stream.LeftOuterJoin(a, b), func(p stream.Pair[int, stream.Both[int, stream.Opt[int]]]) int {
			return fold(p.Key, []int{p.Value.Left, p.Value.Right.Or(-1)})
		})
	}), naiveJoin(true, false), false},
	{"rightOuterJoin", join(func(a, b stream.Stream[pair]) stream.Stream[int] {
		return stream.Map(stream.RightOuterJoin(a, b), func(p stream.Pair[int, stream.Both[stream.Opt[int], int]]) int {
			return fold(p.Key, []int{p.Value.Left.Or(-1), p.Value.Right})
		})
	}), naiveJoin(false, true), false},
	{"fullOuterJoin", join(func(a, b stream.Stream[pair]) stream.Stream[int] {
		return stream.Map(stream.FullOuterJoin(a, b), func(p stream.Pair[int, stream.Both[stream.Opt[int], stream.Opt[int]]]) int {
			return fold(p.Key, []int{p.Value.Left.Or(-1), p.Value.Right.Or(-1)})
		})
	}), naiveJoin(true, true), false},
	{"cogroup", join(func(a, b stream.Stream[pair]) stream.Stream[int] {
		return stream.Map(stream.CoGroup(a, b), func(p stream.Pair[int, stream.Grouped[int, int]]) int {
			return fold(fold(p.Key, p.Value.Left), p.Value.Right)
		})
	}), func(a, b []int, k int) (out []int) {
		keys, left, right := sides(a, b, k)
		return naiveMap(keys, func(k int) int { return fold(fold(k, left[k]), right[k]) })
	}, false},
}

func abs(i int) int { return max(i, -i) }

func odd(calls *atomic.Int64) func(int) (int, error) {
	return func(i int) (int, error) {
		calls.Add(1)
		if i%2 != 0 {
			return 0, errOdd
		}
		return i, nil
	}
}

func naiveDistinct(a []int) (out []int) {
	for _, i := range a {
		if !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

func join(f func(a, b stream.Stream[pair]) stream.Stream[int]) func(a, b stream.Stream[int], k int, calls *atomic.Int64) stream.Stream[int] {
	return func(a, b stream.Stream[int], k int, _ *atomic.Int64) stream.Stream[int] {
		// few values of each key, so that the product stays small
		return f(stream.KeyBy(stream.Take(a, 9), func(i int) int { return i % k }), stream.KeyBy(stream.Take(b, 9), func(i int) int { return i % (k + 1) }))
	}
}

func sides(a, b []int, k int) (keys []int, left, right map[int][]int) {
	a, b = a[:min(9, len(a))], b[:min(9, len(b))]
	ofLeft, left := grouped(naiveMap(a, func(i int) pair { return stream.P(i%k, i) }))
	ofRight, right := grouped(naiveMap(b, func(i int) pair { return stream.P(i%(k+1), i) }))
	return naiveDistinct(append(ofLeft, ofRight...)), left, right
}

func naiveJoin(keepLeft, keepRight bool) func(a, b []int, k int) []int {
	return func(a, b []int, k int) (out []int) {
		keys, left, right := sides(a, b, k)
		for _, k := range keys {
			l, r := left[k], right[k]
			if len(l) == 0 && keepRight {
				l = []int{-1}
			}
			if len(r) == 0 && keepLeft {
				r = []int{-1}
			}
			for _, x := range l {
				for _, y := range r {
					out = append(out, fold(k, []int{x, y}))
				}
			}
		}
		return out
	}
}

// The law of the house: what comes out is what a naive program computes, in the
// same order, for every number of partitions and workers, and each function is
// called once for each element, however many streams follow from it.
func TestRandomProgramsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := make([][][]int, rapid.IntRange(1, 2).Draw(t, "sources"))
		for i := range in {
			in[i] = rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(-20, 20), 0, 40), 1, 3).Draw(t, "batches")
		}
		type step struct{ node, a, b, k int }
		var steps []step
		for i := range rapid.IntRange(1, 8).Draw(t, "operators") {
			steps = append(steps, step{rapid.IntRange(0, len(nodes)-1).Draw(t, "operator"),
				rapid.IntRange(0, len(in)+i-1).Draw(t, "of"), rapid.IntRange(0, len(in)+i-1).Draw(t, "and"), rapid.IntRange(1, 6).Draw(t, "k")})
		}
		outputs := rapid.SliceOfNDistinct(rapid.IntRange(0, len(in)+len(steps)-1), 1, 3, func(i int) int { return i }).Draw(t, "outputs")

		app := streamtest.New(stream.Config{Partitions: rapid.IntRange(1, 5).Draw(t, "partitions"), Workers: rapid.IntRange(1, 4).Draw(t, "workers")})
		var streams []stream.Stream[int]
		for _, batches := range in {
			streams = append(streams, stream.From(app, source.Queue(batches...)))
		}
		calls := make([]atomic.Int64, len(steps))
		for i, s := range steps {
			streams = append(streams, nodes[s.node].declare(streams[s.a], streams[s.b], s.k, &calls[i]))
		}
		var got []*streamtest.Collected[int]
		for _, o := range outputs {
			got = append(got, streamtest.Collect(streams[o]))
		}
		require.NoError(t, app.Run(t.Context()))

		needed := make([]bool, len(streams)) // by an output
		for _, o := range outputs {
			needed[o] = true
		}
		for i := len(steps) - 1; i >= 0; i-- {
			if needed[len(in)+i] {
				needed[steps[i].a] = true
				needed[steps[i].b] = needed[steps[i].b] || nodes[steps[i].node].readsBoth()
			}
		}
		expected := make([]int64, len(steps))
		batches := 0
		for _, b := range in {
			batches = max(batches, len(b))
		}
		for n := range batches {
			var naive [][]int
			for _, b := range in {
				if n < len(b) {
					naive = append(naive, b[n])
				} else {
					naive = append(naive, nil)
				}
			}
			for i, s := range steps {
				naive = append(naive, nodes[s.node].naive(naive[s.a], naive[s.b], s.k))
				if nodes[s.node].calls && needed[len(in)+i] {
					expected[i] += int64(len(naive[s.a]))
				}
			}
			for i, o := range outputs {
				require.Equal(t, fmt.Sprint(naive[o]), fmt.Sprint(got[i].Batch(n)), "batch %d, program:\n%s", n, app.Explain(stream.Text))
			}
		}
		takes := slices.ContainsFunc(steps, func(s step) bool {
			return nodes[s.node].name == "take" || strings.Contains(strings.ToLower(nodes[s.node].name), "join") || nodes[s.node].name == "cogroup"
		})
		for i, s := range steps {
			if nodes[s.node].calls {
				require.LessOrEqual(t, calls[i].Load(), expected[i], "calls of %s in\n%s", nodes[s.node].name, app.Explain(stream.Text))
				if !takes { // else it may need less
					require.Equal(t, expected[i], calls[i].Load(), "calls of %s in\n%s", nodes[s.node].name, app.Explain(stream.Text))
				}
			}
		}
	})
}

func (n node) readsBoth() bool {
	return slices.Contains([]string{"union", "transform of two", "transform of n", "join", "leftOuterJoin", "rightOuterJoin", "fullOuterJoin", "cogroup"}, n.name)
}
