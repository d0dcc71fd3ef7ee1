package batch_test

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
)

// explode is what a user's function does wrong: 60, of 100 elements in 4
// partitions, is the eleventh of partition 2.
func explode(v int) int {
	if v == 60 {
		panic("sixty")
	}
	return v
}

// op is the Env of an operator of that name.
func op(name string, n int) *batch.Env {
	env := workers(n)
	env.Op = name
	return env
}

// caught is the Panic that do panics with.
func caught(t *testing.T, do func()) (p *batch.Panic) {
	t.Helper()
	defer func() {
		t.Helper()
		r := recover()
		err, _ := r.(error)
		require.ErrorAs(t, err, &p, "recovered %v", r)
	}()
	do()
	return nil
}

// perElement are the operators that call a function for each element and let
// every element through in order: f is called in that function.
var perElement = map[string]func(b batch.Batch[int], f func(int) int) batch.Batch[int]{
	"map, same type":    func(b batch.Batch[int], f func(int) int) batch.Batch[int] { return batch.Map(b, f) },
	"map, another type": func(b batch.Batch[int], f func(int) int) batch.Batch[int] { return ints(batch.Map(b, wide(f))) },
	"filter": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Filter(b, func(v int) bool { return f(v) >= 0 })
	},
	"second of three steps": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Map(batch.Map(batch.Filter(b, func(int) bool { return true }), f), identity[int])
	},
	"flatMap, function": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.FlatMap(b, func(v int) iter.Seq[int] { return slices.Values([]int{f(v)}) })
	},
	"flatMap, sequence before it yields": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.FlatMap(b, func(v int) iter.Seq[int] { return func(yield func(int) bool) { yield(f(v)) } })
	},
	"flatMap, sequence between yields": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Filter(batch.FlatMap(b, func(v int) iter.Seq[int] {
			return func(yield func(int) bool) {
				for _, x := range []int{-1, v} {
					if x < 0 && !yield(x) || x >= 0 && !yield(f(x)) {
						return
					}
				}
			}
		}), func(v int) bool { return v >= 0 })
	},
	"flatMap, sequence after its last yield": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.FlatMap(b, func(v int) iter.Seq[int] {
			return func(yield func(int) bool) {
				if yield(v) {
					f(v)
				}
			}
		})
	},
	"flatMap, sequence over another": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.FlatMap(b, func(v int) iter.Seq[int] {
			return func(yield func(int) bool) {
				for x := range slices.Values([]int{v}) {
					if !yield(f(x)) {
						return
					}
				}
			}
		})
	},
	"mapPartitions, for each element": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.MapPartitions(b, func(in iter.Seq[int]) iter.Seq[int] {
			return func(yield func(int) bool) {
				for v := range in {
					if !yield(f(v)) {
						return
					}
				}
			}
		})
	},
	"mapPartitions, pulling": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.MapPartitions(b, func(in iter.Seq[int]) iter.Seq[int] {
			return func(yield func(int) bool) {
				next, stop := iter.Pull(in)
				defer stop()
				for v, ok := next(); ok && yield(f(v)); v, ok = next() {
				}
			}
		})
	},
	"flatMap, sequence that yields in a deferred function": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Filter(batch.FlatMap(b, func(v int) iter.Seq[int] {
			return func(yield func(int) bool) {
				defer yield(-1)
				yield(f(v))
			}
		}), func(v int) bool { return v >= 0 })
	},
	"mapPartitions, between its input and its output": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.MapPartitions(b, func(in iter.Seq[int]) iter.Seq[int] {
			return func(yield func(int) bool) {
				kept := slices.Collect(in)
				for _, v := range kept {
					f(v)
				}
				for _, v := range kept {
					if !yield(v) {
						return
					}
				}
			}
		})
	},
	"mapPartitions, before its sequence": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.MapPartitions(b, func(in iter.Seq[int]) iter.Seq[int] {
			kept := slices.Collect(in)
			for _, v := range kept {
				f(v)
			}
			return slices.Values(kept)
		})
	},
	"sample": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Sample(batch.Map(b, f), 2, 1)
	},
	"keyBy": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Map(batch.KeyBy(b, f), batch.ByValue)
	},
	"mapValues": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Map(batch.MapValues(batch.KeyBy(b, identity[int]), f), batch.ByValue)
	},
	"flatMapValues": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Map(batch.FlatMapValues(batch.KeyBy(b, identity[int]), func(v int) iter.Seq[int] {
			return func(yield func(int) bool) { yield(f(v)) }
		}), batch.ByValue)
	},
	"tryMap": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		good, _ := batch.TryMap(b, func(v int) (int, error) { return f(v), nil }, 1)
		return good
	},
	"tryMap, drained": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		good, failed := batch.TryMap(b, func(v int) (int, error) { return f(v), nil }, 1)
		failed.Drain(true)
		return good
	},
	"union": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Union(batch.Map(b, f), batch.Of[int]())
	},
	"sortBy": func(b batch.Batch[int], f func(int) int) batch.Batch[int] { return batch.SortBy(b, f) },
	"sortFunc": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.SortFunc(b, func(a, b int) int { return f(a) - f(b) })
	},
	"top": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Repartition(batch.Top(b, 100, func(v int) int { return -f(v) }), 4)
	},
	"combineByKey, create": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Map(batch.CombineByKey(batch.KeyBy(b, identity[int]), f, func(a, b int) int { return a }, func(a, b int) int { return a }), batch.ByKey)
	},
	"aggregateByKey, add": func(b batch.Batch[int], f func(int) int) batch.Batch[int] {
		return batch.Map(batch.AggregateByKey(batch.KeyBy(b, identity[int]), func() int { return 0 }, func(_, v int) int { return f(v) }, func(a, b int) int { return a }), batch.ByKey)
	},
}

func wide(f func(int) int) func(int) int64 { return func(v int) int64 { return int64(f(v)) } }

func ints(b batch.Batch[int64]) batch.Batch[int] {
	return batch.Map(b, func(v int64) int { return int(v) })
}

// Whatever the operator, and whatever it stands between, the one whose function
// panicked is named.
func TestPanicNamesTheOperator(t *testing.T) {
	around := map[string]func(b batch.Batch[int], f func(int) int) batch.Batch[int]{
		"steps": perElement["map, same type"], "sequences": perElement["map, another type"], "flatMaps": perElement["flatMap, sequence before it yields"],
		"mapPartitions": perElement["mapPartitions, for each element"],
	}
	for name, it := range perElement {
		for beside, other := range around {
			for _, guilty := range []string{"nobody", "before", "it", "after"} {
				for _, n := range []int{1, 3} {
					t.Run(fmt.Sprintf("%s between %s/%s/%d workers", name, beside, guilty, n), func(t *testing.T) {
						f := func(name string) func(int) int {
							if name == guilty {
								return explode
							}
							return identity[int]
						}
						run := func() {
							b := other(batch.Split(upTo(100), 4).With(op("before", n)), f("before"))
							b = it(b.With(op("it", n)), f("it"))
							b = other(b.With(op("after", n)), f("after"))
							assert.Equal(t, upTo(100), batch.Collect(b.With(op("reader", n))))
						}
						if guilty == "nobody" {
							run()
							return
						}
						p := caught(t, run)
						assert.Equal(t, guilty, p.Op)
						assert.Equal(t, 2, p.Partition)
						assert.Equal(t, "sixty", p.Value)
						assert.Contains(t, string(p.Stack), "batch_test.explode")
						assert.Contains(t, p.Error(), guilty+": partition 2: panic: sixty\n")
						assert.NoError(t, p.Unwrap())
					})
				}
			}
		}
	}
}

func TestPanicOfWhatCombines(t *testing.T) {
	same := func(b batch.Batch[int]) batch.Batch[batch.Pair[string, int]] {
		return batch.KeyBy(b, func(int) string { return "same" })
	}
	within := func(a, b int) int { // called for 60 as a value of partition 2
		if b == 60 {
			panic("sixty")
		}
		return b
	}
	across := func(a, b int) int { // called for what partition 2 begins with
		if a < 50 && b >= 50 {
			panic("across")
		}
		return b
	}
	last := func(a, b int) int { return b }
	tests := map[string]struct {
		partition int
		do        func(b batch.Batch[int])
	}{
		"reduceByKey, values of a partition": {2, func(b batch.Batch[int]) { batch.ReduceByKey(same(b), within) }},
		"reduceByKey, of two partitions":     {2, func(b batch.Batch[int]) { batch.ReduceByKey(same(b), across) }},
		"combineByKey, create": {0, func(b batch.Batch[int]) {
			batch.CombineByKey(same(b), func(int) int { panic("create") }, last, last)
		}},
		"combineByKey, add":   {2, func(b batch.Batch[int]) { batch.CombineByKey(same(b), identity[int], within, last) }},
		"combineByKey, merge": {2, func(b batch.Batch[int]) { batch.CombineByKey(same(b), identity[int], last, across) }},
		"aggregateByKey, zero": {0, func(b batch.Batch[int]) {
			batch.AggregateByKey(same(b), func() int { panic("zero") }, last, last)
		}},
		"reduce, values of a partition": {2, func(b batch.Batch[int]) { batch.Reduce(b, within) }},
		"reduce, of two partitions":     {-1, func(b batch.Batch[int]) { batch.Reduce(b, across) }},
		"sortFunc, of two partitions": {-1, func(b batch.Batch[int]) {
			batch.SortFunc(b, func(a, b int) int {
				if a/25 != b/25 {
					panic("two partitions")
				}
				return a - b
			})
		}},
		"countByValue of what can't be a key": {2, func(b batch.Batch[int]) {
			batch.CountByValue(batch.Map(b, func(v int) any {
				if v == 60 {
					return []int{v}
				}
				return v
			}))
		}},
		"tryMap, drained": {2, func(b batch.Batch[int]) {
			_, failed := batch.TryMap(b, func(v int) (int, error) { return explode(v), nil }, 1)
			failed.Drain(false)
		}},
	}
	for name, test := range tests {
		for n := 1; n <= 4; n++ {
			for _, minBucket := range []int{1, 8192} {
				t.Run(fmt.Sprintf("%s/%d workers, merging from %d", name, n, minBucket), func(t *testing.T) {
					defer batch.SetMinBucket(minBucket)()
					p := caught(t, func() { test.do(batch.Split(upTo(100), 4).With(op("it", n))) })
					assert.Equal(t, "it", p.Op)
					if name != "combineByKey, create" && name != "aggregateByKey, zero" { // any of them
						assert.Equal(t, test.partition, p.Partition)
					}
					assert.Contains(t, string(p.Stack), "batch_test.Test")
				})
			}
		}
	}
}

func TestPanicIsNotBlamedOnTheOperators(t *testing.T) {
	b := batch.Map(batch.FlatMap(batch.Split(upTo(4), 2), func(v int) iter.Seq[int] { return slices.Values([]int{v}) }), strconv.Itoa)
	assert.PanicsWithValue(t, "the reader's own", func() {
		for range b.All() {
			panic("the reader's own")
		}
	})
}

func TestPanicWithAnErrorUnwraps(t *testing.T) {
	var none []int
	p := caught(t, func() { batch.Collect(batch.Map(batch.Of(upTo(3)), func(v int) int { return none[v] })) })
	var bounds runtime.Error
	require.ErrorAs(t, p, &bounds)
	assert.Contains(t, p.Error(), "map: partition 0: panic: runtime error: index out of range [0] with length 0\n")

	p = caught(t, func() { batch.Collect(batch.Filter(batch.Of(upTo(3)), func(int) bool { panic(assert.AnError) })) })
	assert.ErrorIs(t, p, assert.AnError)

	p = caught(t, func() { batch.CountByValue(batch.Of([]any{[]int{1}})) })
	require.ErrorAs(t, p, &bounds)
	assert.Equal(t, "countByValue", p.Op)
}

func TestNilFunctionIsAPanicOfItsOperator(t *testing.T) {
	tests := map[string]func(b batch.Batch[int]){
		"map":           func(b batch.Batch[int]) { batch.Collect(batch.Map[int, int](b, nil)) },
		"filter":        func(b batch.Batch[int]) { batch.Collect(batch.Filter(b, nil)) },
		"flatMap":       func(b batch.Batch[int]) { batch.Collect(batch.FlatMap[int, int](b, nil)) },
		"mapPartitions": func(b batch.Batch[int]) { batch.Collect(batch.MapPartitions[int, int](b, nil)) },
		"reduce":        func(b batch.Batch[int]) { batch.Reduce(b, nil) },
		"sortBy":        func(b batch.Batch[int]) { batch.SortBy[int, int](b, nil) },
		"top":           func(b batch.Batch[int]) { batch.Top[int, int](b, 1, nil) },
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			p := caught(t, func() { do(batch.Of(upTo(3))) })
			assert.Equal(t, name, p.Op)
		})
	}
}

func TestInnermostOperatorIsBlamed(t *testing.T) {
	p := caught(t, func() {
		batch.Collect(batch.Map(batch.Of(upTo(3)).With(op("outer", 1)), func(int) int {
			return batch.Collect(batch.Map(batch.Split(upTo(100), 4).With(op("inner", 1)), explode))[0]
		}))
	})
	assert.Equal(t, "inner", p.Op)
}

func TestBlame(t *testing.T) {
	p := caught(t, func() {
		defer op("transform", 1).Blame(-1)
		panic(errors.New("of the batch"))
	})
	assert.Equal(t, "transform", p.Op)
	assert.Contains(t, p.Error(), "transform: panic: of the batch\n")
	p = caught(t, func() {
		defer op("outer", 1).Blame(-1)
		batch.Collect(batch.Map(batch.Split(upTo(100), 4).With(op("inner", 1)), explode))
	})
	assert.Equal(t, "inner", p.Op)
	assert.NotPanics(t, func() { defer op("fine", 1).Blame(-1) })
}
