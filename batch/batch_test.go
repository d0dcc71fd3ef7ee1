package batch_test

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
)

type pair = batch.Pair[string, int]

// workers is an Env that runs so many tasks at once.
func workers(n int) *batch.Env {
	return &batch.Env{Workers: n, Run: func(tasks int, task func(int)) {
		panics := make([]any, tasks)
		slots := make(chan struct{}, n)
		var wait sync.WaitGroup
		for i := range tasks {
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { panics[i] = recover(); <-slots }()
				task(i)
			})
		}
		wait.Wait()
		for _, p := range panics {
			if p != nil {
				panic(p)
			}
		}
	}}
}

// layout is where a sequence is cut into partitions.
type layout struct {
	name string
	cuts func(length int) []int
}

var layouts = []layout{
	{"1 partition", func(int) []int { return nil }},
	{"2 partitions", func(n int) []int { return []int{n / 2} }},
	{"3 partitions", func(n int) []int { return []int{n / 3, 2 * n / 3} }},
	{"4 partitions", func(n int) []int { return []int{n / 4, n / 2, 3 * n / 4} }},
	{"an empty partition first", func(n int) []int { return []int{0, n / 2} }},
	{"an empty partition between", func(n int) []int { return []int{n / 2, n / 2} }},
	{"an empty partition last", func(n int) []int { return []int{n / 2, n} }},
	{"one element a partition", func(n int) []int {
		cuts := make([]int, max(0, n-1))
		for i := range cuts {
			cuts[i] = i + 1
		}
		return cuts
	}},
}

// cut makes a batch of the elements. Behind each partition in memory lies the
// next one, so that an append to one is seen.
func cut[T any](l layout, elements []T) batch.Batch[T] {
	var parts [][]T
	from := 0
	for _, to := range append(l.cuts(len(elements)), len(elements)) {
		parts = append(parts, elements[from:to])
		from = to
	}
	return batch.Of(parts...)
}

// everyWay runs a test with the elements in several layouts, alone and with
// workers, and sees that the elements themselves are left as they are.
func everyWay[T any](t *testing.T, elements []T, test func(t *testing.T, b batch.Batch[T])) {
	t.Helper()
	before := fmt.Sprintf("%#v", elements)
	for _, l := range layouts {
		for _, n := range []int{0, 3} {
			name := l.name + ", no Env"
			var env *batch.Env
			if n > 0 {
				name, env = fmt.Sprintf("%s, %d workers", l.name, n), workers(n)
			}
			t.Run(name, func(t *testing.T) {
				defer batch.SetMinBucket(1)()
				test(t, cut(l, elements).With(env))
				assert.Equal(t, before, fmt.Sprintf("%#v", elements), "the input was changed")
			})
		}
	}
}

// gives checks what an operator gives, in every way. Elements are compared as
// they print, so that NaN equals NaN and -0 does not equal 0.
func gives[T, U any](t *testing.T, name string, in []T, op func(batch.Batch[T]) batch.Batch[U], want ...U) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		everyWay(t, in, func(t *testing.T, b batch.Batch[T]) {
			out := op(b)
			assert.Equal(t, printed(want), printed(batch.Collect(out)))
			assert.Equal(t, printed(want), printed(slices.Collect(out.All())), "read a second time")
		})
	})
}

func printed[T any](elements []T) []string {
	out := make([]string, len(elements))
	for i, e := range elements {
		out[i] = fmt.Sprintf("%+v", e)
	}
	return out
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func identity[T any](t T) T { return t }

// parts is the elements by partition.
func parts[T any](b batch.Batch[T]) [][]T {
	out := make([][]T, b.Partitions())
	for p := range out {
		out[p] = slices.AppendSeq([]T{}, b.Partition(p))
	}
	return out
}

func TestZeroBatchIsEmpty(t *testing.T) {
	var ints, none batch.Batch[int]
	var pairs batch.Batch[pair]
	assert.Zero(t, ints.Partitions())
	assert.True(t, ints.Stored())
	assert.Empty(t, batch.Collect(ints))
	assert.Empty(t, slices.Collect(ints.All()))
	assert.Empty(t, batch.Collect(batch.Store(batch.Map(ints, strconv.Itoa))))
	assert.Empty(t, batch.Collect(batch.Glom(ints)))
	assert.Empty(t, batch.Collect(batch.Union(ints, none)))
	assert.Empty(t, batch.Collect(batch.Union[int]()))
	assert.Empty(t, batch.Collect(batch.Repartition(ints, 3)))
	assert.Empty(t, batch.Collect(batch.CountByValue(ints)))
	assert.Empty(t, batch.Collect(batch.GroupByKey(pairs)))
	assert.Empty(t, batch.Collect(batch.FullOuterJoin(pairs, pairs)))
	assert.Empty(t, batch.Collect(batch.SortBy(ints, identity[int])))
	assert.Empty(t, batch.Collect(batch.Top(ints, 3, identity[int])))
	assert.Empty(t, batch.Collect(batch.Take(ints, 3)))
	assert.Empty(t, batch.Collect(batch.Min(ints)))
	assert.Equal(t, []int64{0}, batch.Collect(batch.Count(ints)))
	assert.Equal(t, []int{0}, batch.Collect(batch.Sum(ints)))
	good, failed := batch.TryMap(ints, func(int) (int, error) { return 0, nil }, 1)
	failed.Drain(true)
	assert.Empty(t, batch.Collect(good))
	assert.Empty(t, batch.Collect(failed.Batch()))
	one := []pair{batch.P("a", 1)}
	assert.Len(t, batch.Collect(batch.LeftOuterJoin(batch.Of(one), pairs)), 1)
	assert.Len(t, batch.Collect(batch.RightOuterJoin(pairs, batch.Of(one))), 1)
}

func TestSplit(t *testing.T) {
	tests := map[string]struct {
		length, n int
		want      [][]int
	}{
		"evenly":                   {6, 3, [][]int{{0, 1}, {2, 3}, {4, 5}}},
		"unevenly, as Spark does":  {7, 3, [][]int{{0, 1}, {2, 3}, {4, 5, 6}}},
		"more parts than elements": {2, 4, [][]int{{}, {0}, {}, {1}}},
		"nothing":                  {0, 2, [][]int{{}, {}}},
		"one part":                 {2, 1, [][]int{{0, 1}}},
		"no part counts as one":    {2, 0, [][]int{{0, 1}}},
		"fewer than none too":      {2, -3, [][]int{{0, 1}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, parts(batch.Split(upTo(test.length), test.n)))
			assert.Equal(t, test.want, parts(batch.Repartition(batch.Split(upTo(test.length), 5), test.n)))
		})
	}
}

func TestNothingRunsBeforeItIsRead(t *testing.T) {
	var calls atomic.Int64
	count := func(v int) int { calls.Add(1); return v }
	b := batch.Of([]int{1, 2}, []int{3}).With(workers(2))
	lazy := batch.Map(b, count)
	lazy = batch.Union(batch.Filter(lazy, func(v int) bool { return count(v) > 0 }))
	lazy = batch.FlatMap(lazy, func(v int) iter.Seq[int] { return slices.Values([]int{count(v)}) })
	lazy = batch.MapPartitions(lazy, func(in iter.Seq[int]) iter.Seq[int] {
		return func(yield func(int) bool) { in(func(v int) bool { return yield(count(v)) }) }
	})
	assert.False(t, lazy.Stored())
	assert.Zero(t, calls.Load())

	kept := batch.Store(lazy)
	assert.True(t, kept.Stored())
	assert.EqualValues(t, 12, calls.Load())
	for range 2 {
		assert.Equal(t, []int{1, 2, 3}, batch.Collect(kept))
		assert.Equal(t, []int64{3}, batch.Collect(batch.Count(kept)))
	}
	batch.Store(kept)
	assert.EqualValues(t, 12, calls.Load(), "what is stored does not run again")

	batch.Collect(lazy)
	assert.EqualValues(t, 24, calls.Load(), "what is not stored does")
}

func TestTwoBatchesOfOneParentDoNotMix(t *testing.T) {
	b := batch.Of([]int{1})
	for range 5 {
		b = batch.Map(b, func(v int) int { return v * 2 })
		left := batch.Map(b, func(v int) int { return v + 1 })
		right := batch.Map(b, func(v int) int { return v - 1 })
		own := batch.Collect(b)[0]
		assert.Equal(t, []int{own + 1}, batch.Collect(left))
		assert.Equal(t, []int{own - 1}, batch.Collect(right))
	}
}

func TestReadingWithinReading(t *testing.T) {
	b := batch.Map(batch.FlatMap(batch.Split(upTo(3), 2), func(v int) iter.Seq[int] { return slices.Values([]int{v}) }), identity[int])
	var got []string
	for x := range b.All() {
		for y := range b.All() {
			got = append(got, fmt.Sprint(x, y))
		}
	}
	assert.Equal(t, []string{"0 0", "0 1", "0 2", "1 0", "1 1", "1 2", "2 0", "2 1", "2 2"}, got)
}

func TestCollectBelongsToTheCaller(t *testing.T) {
	in := []int{1, 2, 3}
	for _, b := range []batch.Batch[int]{
		batch.Of(in), batch.Of(in[:1], in[1:]), batch.Store(batch.Map(batch.Of(in), identity[int])), batch.Top(batch.Of(in), 3, func(v int) int { return -v }),
	} {
		got := batch.Collect(b)
		got[0] = 9
		_ = append(got[:1], 9, 9)
		assert.Equal(t, []int{1, 2, 3}, batch.Collect(b))
	}
	assert.Equal(t, []int{1, 2, 3}, in)
}

// Two readers append to the slices that a stored batch gives: neither may see
// what the other did.
func TestSlicesMayBeAppendedTo(t *testing.T) {
	in := []pair{{"a", 1}, {"a", 2}, {"b", 3}, {"a", 4}, {"a", 5}, {"a", 6}, {"b", 7}}
	grown := append(make([]pair, 0, 2*len(in)), in...) // has room behind its elements
	lists := map[string]func(b batch.Batch[pair]) batch.Batch[[]int]{
		"groupByKey": func(b batch.Batch[pair]) batch.Batch[[]int] {
			return batch.Map(batch.GroupByKey(b), batch.ByValue)
		},
		"cogroup, left": func(b batch.Batch[pair]) batch.Batch[[]int] {
			return batch.Map(batch.CoGroup(b, b), func(p batch.Pair[string, batch.Grouped[int, int]]) []int { return p.Value.Left })
		},
		"cogroup, right": func(b batch.Batch[pair]) batch.Batch[[]int] {
			return batch.Map(batch.CoGroup(b, b), func(p batch.Pair[string, batch.Grouped[int, int]]) []int { return p.Value.Right })
		},
		"glom of what is computed": func(b batch.Batch[pair]) batch.Batch[[]int] {
			return batch.Glom(batch.Map(b, batch.ByValue))
		},
		"slices": func(b batch.Batch[pair]) batch.Batch[[]int] {
			return batch.Of(batch.Slices(batch.Map(b, batch.ByValue)))
		},
		"glom of what is stored": func(b batch.Batch[pair]) batch.Batch[[]int] {
			values := batch.Collect(batch.Map(b, batch.ByValue))
			return batch.Glom(batch.Of(values[:2], values[2:5], values[5:6]))
		},
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			everyWay(t, grown, func(t *testing.T, b batch.Batch[pair]) {
				kept := batch.Store(list(b))
				want := printed(batch.Collect(kept))
				var first, second [][]int
				for l := range kept.All() {
					first = append(first, append(l, 100))
				}
				for l := range kept.All() {
					second = append(second, append(l, 200))
				}
				for i := range first {
					require.Equal(t, 100, first[i][len(first[i])-1])
					require.Equal(t, 200, second[i][len(second[i])-1])
				}
				assert.Equal(t, want, printed(batch.Collect(kept)))
			})
		})
	}
}

func TestStopEndsReadingWithinAChunk(t *testing.T) {
	const chunk = 1024
	in := upTo(20 * chunk)
	type reader func(b batch.Batch[int], seen func(int) int)
	try := func(seen func(int) int) func(int) (int, error) {
		return func(v int) (int, error) { return seen(v), nil }
	}
	readers := map[string]reader{
		"all":            func(b batch.Batch[int], seen func(int) int) { b.All()(func(v int) bool { seen(v); return true }) },
		"map":            func(b batch.Batch[int], seen func(int) int) { batch.Collect(batch.Map(b, seen)) },
		"map, then more": func(b batch.Batch[int], seen func(int) int) { batch.Count(batch.Map(batch.Map(b, seen), strconv.Itoa)) },
		"map to another type": func(b batch.Batch[int], seen func(int) int) {
			batch.Store(batch.Map(b, func(v int) string { return strconv.Itoa(seen(v)) }))
		},
		"filter": func(b batch.Batch[int], seen func(int) int) {
			batch.Collect(batch.Filter(b, func(v int) bool { return seen(v) < 0 }))
		},
		"flatMap": func(b batch.Batch[int], seen func(int) int) {
			batch.Collect(batch.FlatMap(b, func(v int) iter.Seq[int] { seen(v); return nil }))
		},
		"flatMap of one element into very many": func(b batch.Batch[int], seen func(int) int) {
			batch.Collect(batch.FlatMap(batch.Take(b, 1), func(int) iter.Seq[int] {
				return func(yield func(int) bool) {
					for v := 0; yield(seen(v)) && v < len(in); v++ {
					}
				}
			}))
		},
		"mapPartitions": func(b batch.Batch[int], seen func(int) int) {
			batch.Collect(batch.MapPartitions(b, func(s iter.Seq[int]) iter.Seq[int] {
				return func(yield func(int) bool) { s(func(v int) bool { return yield(seen(v)) }) }
			}))
		},
		"reduceByKey": func(b batch.Batch[int], seen func(int) int) {
			batch.ReduceByKey(batch.KeyBy(b, seen), func(a, b int) int { return a })
		},
		"sortBy": func(b batch.Batch[int], seen func(int) int) { batch.SortBy(b, seen) },
		"top":    func(b batch.Batch[int], seen func(int) int) { batch.Top(b, 1, seen) },
		"tryMap, read": func(b batch.Batch[int], seen func(int) int) {
			good, _ := batch.TryMap(b, try(seen), 1)
			batch.Collect(good)
		},
		"tryMap, drained": func(b batch.Batch[int], seen func(int) int) {
			_, failed := batch.TryMap(b, try(seen), 1)
			failed.Drain(true)
		},
	}
	for name, read := range readers {
		for _, n := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s, %d partitions", name, n), func(t *testing.T) {
				env := workers(2)
				env.Stop = new(atomic.Bool)
				var calls, late atomic.Int64
				read(batch.Split(in, n).With(env), func(v int) int {
					if env.Stop.Load() {
						late.Add(1)
					}
					if calls.Add(1) == 100 {
						env.Stop.Store(true)
					}
					return v
				})
				assert.True(t, env.Stop.Load())
				assert.Less(t, late.Load(), int64(2*chunk), "two workers, each in a chunk")
			})
		}
	}
}

func TestJoinOfOneLargeKeyStops(t *testing.T) {
	env := workers(1)
	env.Stop = new(atomic.Bool)
	in := batch.KeyBy(batch.Of(upTo(5000)).With(env), func(int) string { return "same" })
	calls := 0
	batch.Collect(batch.Map(batch.Join(in, in), func(p batch.Pair[string, batch.Both[int, int]]) int {
		calls++
		env.Stop.Store(true)
		return 0
	}))
	assert.LessOrEqual(t, calls, 1024)
}

func TestStoppedBatchGivesNothing(t *testing.T) {
	env := workers(1)
	env.Stop = new(atomic.Bool)
	env.Stop.Store(true)
	b := batch.Of(upTo(10)).With(env)
	assert.Empty(t, slices.Collect(b.All()))
	assert.Empty(t, batch.Collect(batch.Map(b, identity[int])))
}
