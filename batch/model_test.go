package batch_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/godstream/godstream/batch"
)

// TestRandomPrograms is the law of the package: whatever the operators, however
// many partitions and workers, the elements and their order are those that plain
// slices give.
func TestRandomPrograms(t *testing.T) {
	defer batch.SetMinBucket(1)()
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		defer checks.Value.Set(checks.DefValue)
		checks.Value.Set("600")
	}
	rapid.Check(t, func(t *rapid.T) {
		element := rapid.IntRange(-20, 100)
		in := rapid.OneOf(rapid.SliceOfN(element, 30, 60), rapid.SliceOfN(element, 0, 10)).Draw(t, "elements")
		program := drawProgram(t)
		want := run(t, program, start(in, 1, nil))
		for parts := 1; parts <= 5; parts++ {
			for n := 1; n <= 4; n++ {
				got := run(t, program, start(in, parts, workers(n)))
				if a, b := got.printBatch(), want.printModel(); !slices.Equal(a, b) {
					t.Fatalf("%d partitions, %d workers: %v of %v\n got %v\nwant %v", parts, n, program, in, a, b)
				}
			}
		}
	})
}

// value is a batch of one of three types, beside the slice that it should equal.
type value struct {
	ints  *dual[int]
	strs  *dual[string]
	pairs *dual[pair]
}

type dual[T any] struct {
	batch batch.Batch[T]
	model []T
}

func ofInts(b batch.Batch[int], model []int) value       { return value{ints: &dual[int]{b, model}} }
func ofStrs(b batch.Batch[string], model []string) value { return value{strs: &dual[string]{b, model}} }
func ofPairs(b batch.Batch[pair], model []pair) value    { return value{pairs: &dual[pair]{b, model}} }

func start(in []int, parts int, env *batch.Env) value {
	return ofInts(batch.Split(in, parts).With(env), in)
}

func (v value) printBatch() []string {
	switch {
	case v.ints != nil:
		return printed(batch.Collect(v.ints.batch))
	case v.strs != nil:
		return printed(batch.Collect(v.strs.batch))
	default:
		return printed(batch.Collect(v.pairs.batch))
	}
}

func (v value) printModel() []string {
	switch {
	case v.ints != nil:
		return printed(v.ints.model)
	case v.strs != nil:
		return printed(v.strs.model)
	default:
		return printed(v.pairs.model)
	}
}

// oper is an operator with its number, which means something else to each.
type oper struct {
	name string
	n    int
}

func drawProgram(t *rapid.T) []oper {
	kinds := map[string][]string{
		"int": slices.Sorted(maps.Keys(intOps)), "string": slices.Sorted(maps.Keys(strOps)), "pair": slices.Sorted(maps.Keys(pairOps)),
	}
	kind := "int"
	var program []oper
	for range rapid.IntRange(2, 10).Draw(t, "length") {
		seed := rapid.Uint64().Draw(t, "operator") * 0x9e3779b97f4a7c15 >> 20 // small numbers are drawn most, operators should not be
		names := kinds[kind]
		o := oper{names[seed%uint64(len(names))], int(seed / 1000 % 10)}
		program = append(program, o)
		if _, to, changes := strings.Cut(o.name, " to "); changes {
			kind = to
		}
	}
	return program
}

func run(t *rapid.T, program []oper, v value) value {
	for _, o := range program {
		switch {
		case v.ints != nil:
			v = intOps[o.name](t, *v.ints, o.n)
		case v.strs != nil:
			v = strOps[o.name](t, *v.strs, o.n)
		default:
			v = pairOps[o.name](t, *v.pairs, o.n)
		}
	}
	return v
}

var intOps = map[string]func(t *rapid.T, v dual[int], n int) value{
	"map": func(_ *rapid.T, v dual[int], n int) value {
		f := func(x int) int { return (x*7 + n) % 101 }
		return ofInts(batch.Map(v.batch, f), mapped(v.model, f))
	},
	"filter": func(_ *rapid.T, v dual[int], n int) value {
		keep := func(x int) bool { return x%10 != n }
		return ofInts(batch.Filter(v.batch, keep), filtered(v.model, keep))
	},
	"map to string": func(_ *rapid.T, v dual[int], n int) value {
		f := func(x int) string { return strings.Repeat("ab ", max(0, x%3)) + strconv.Itoa(x+n) }
		return ofStrs(batch.Map(v.batch, f), mapped(v.model, f))
	},
	"keyBy to pair": func(_ *rapid.T, v dual[int], n int) value {
		f := func(x int) string { return fmt.Sprint("k", x%(n+2)) }
		return ofPairs(batch.KeyBy(v.batch, f), mapped(v.model, func(x int) pair { return batch.P(f(x), x) }))
	},
	"flatMap": func(_ *rapid.T, v dual[int], n int) value {
		f := func(x int) []int { return slices.Repeat([]int{x, n}, max(0, x%3)) }
		return ofInts(batch.FlatMap(v.batch, func(x int) iter.Seq[int] {
			if x%5 == 0 && len(f(x)) == 0 {
				return nil
			}
			return slices.Values(f(x))
		}), flatMapped(short(v.model, 500), f)).cutAt(500, v)
	},
	"mapPartitions": func(_ *rapid.T, v dual[int], n int) value { // element by element, so it does not depend on the partitions
		return ofInts(batch.MapPartitions(v.batch, func(in iter.Seq[int]) iter.Seq[int] {
			return func(yield func(int) bool) {
				for x := range in {
					if x%7 != n && !yield(x) {
						return
					}
				}
			}
		}), filtered(v.model, func(x int) bool { return x%7 != n }))
	},
	"glom, flattened": func(_ *rapid.T, v dual[int], _ int) value {
		return ofInts(batch.FlatMap(batch.Glom(v.batch), slices.Values[[]int]), v.model)
	},
	"sample of all": func(_ *rapid.T, v dual[int], n int) value {
		return ofInts(batch.Sample(v.batch, 1, uint64(n)), v.model)
	},
	"union with itself, changed": func(_ *rapid.T, v dual[int], n int) value {
		f := func(x int) int { return x - n }
		some := batch.Take(v.batch, 30)
		return ofInts(batch.Union(batch.Map(v.batch, f), some, batch.Map(some, f)),
			slices.Concat(mapped(v.model, f), short(v.model, 30), mapped(short(v.model, 30), f)))
	},
	"union of nothing and it": func(_ *rapid.T, v dual[int], n int) value {
		return ofInts(batch.Union(batch.Batch[int]{}, batch.Of([]int{n}, nil), v.batch), append([]int{n}, v.model...))
	},
	"repartition": func(_ *rapid.T, v dual[int], n int) value { return ofInts(batch.Repartition(v.batch, n), v.model) },
	"store":       func(_ *rapid.T, v dual[int], _ int) value { return ofInts(batch.Store(v.batch), v.model) },
	"another env": func(_ *rapid.T, v dual[int], n int) value { return ofInts(v.batch.With(workers(1+n%4)), v.model) },
	"sortBy": func(_ *rapid.T, v dual[int], n int) value {
		key := func(x int) int { return x % (n + 1) }
		return ofInts(batch.SortBy(v.batch, key), sorted(v.model, func(a, b int) int { return cmp.Compare(key(a), key(b)) }))
	},
	"sortByDescending": func(_ *rapid.T, v dual[int], n int) value {
		key := func(x int) int { return x % (n + 1) }
		return ofInts(batch.SortByDescending(v.batch, key), sorted(v.model, func(a, b int) int { return cmp.Compare(key(b), key(a)) }))
	},
	"sortFunc": func(_ *rapid.T, v dual[int], n int) value {
		compare := func(a, b int) int { return a/(n+1) - b/(n+1) }
		return ofInts(batch.SortFunc(v.batch, compare), sorted(v.model, compare))
	},
	"top": func(_ *rapid.T, v dual[int], n int) value {
		key := func(x int) int { return x % 4 }
		return ofInts(batch.Top(v.batch, n*5, key), short(sorted(v.model, func(a, b int) int { return cmp.Compare(key(b), key(a)) }), n*5))
	},
	"take": func(_ *rapid.T, v dual[int], n int) value {
		return ofInts(batch.Take(v.batch, n*5), short(v.model, n*5))
	},
	"distinct": func(_ *rapid.T, v dual[int], _ int) value {
		return ofInts(batch.Distinct(v.batch), keysOf(v.model, identity[int]))
	},
	"count": func(_ *rapid.T, v dual[int], _ int) value {
		return ofInts(batch.Map(batch.Count(v.batch), func(n int64) int { return int(n) }), []int{len(v.model)})
	},
	"countByValue to pair": func(_ *rapid.T, v dual[int], _ int) value {
		return ofPairs(batch.Map(batch.CountByValue(v.batch), func(p batch.Pair[int, int64]) pair { return batch.P(strconv.Itoa(p.Key), int(p.Value)) }),
			mapped(keysOf(v.model, identity[int]), func(k int) pair {
				return batch.P(strconv.Itoa(k), len(filtered(v.model, func(x int) bool { return x == k })))
			}))
	},
	"sum": func(_ *rapid.T, v dual[int], _ int) value {
		sum := 0
		for _, x := range v.model {
			sum += x
		}
		return ofInts(batch.Sum(v.batch), []int{sum})
	},
	"min and max": func(_ *rapid.T, v dual[int], _ int) value {
		var model []int
		if len(v.model) > 0 {
			model = []int{slices.Min(v.model), slices.Max(v.model)}
		}
		kept := batch.Store(v.batch)
		return ofInts(batch.Union(batch.Min(kept), batch.Max(kept)), model)
	},
	"mean to string": func(_ *rapid.T, v dual[int], _ int) value {
		var model []string
		sum := 0.
		for _, x := range v.model {
			sum += float64(x)
		}
		if len(v.model) > 0 {
			model = []string{fmt.Sprint(sum / float64(len(v.model)))}
		}
		return ofStrs(batch.Map(batch.Mean(v.batch), func(m float64) string { return fmt.Sprint(m) }), model)
	},
	"tryMap": tryMapOp,
}

var errBad = errors.New("bad")

// tryMapOp reads what a TryMap gives in one of all orders. What failed follows
// what is good.
func tryMapOp(t *rapid.T, v dual[int], n int) value {
	const keep = 7
	f := func(x int) (int, error) {
		if x%3 == 1 {
			return 0, errBad
		}
		return x + 1, nil
	}
	ok := func(x int) bool { _, err := f(x); return err == nil }
	goods := mapped(filtered(v.model, ok), func(x int) int { return x + 1 })
	bads := filtered(v.model, func(x int) bool { return !ok(x) })

	good, failed := batch.TryMap(v.batch, f, keep)
	record := func(f batch.Failed[int]) int { return f.Record }
	switch n {
	case 0, 1, 2: // the good, then what failed
		good = batch.Store(good)
		failed.Drain(n == 1)
	case 3, 4: // what failed, then the good
		failed.Drain(true)
	case 5: // a part of the good, then what failed
		good, goods = batch.Take(good, 4), short(goods, 4)
		failed.Drain(false)
	case 6: // a part of the good, then what failed, then all of the good
		batch.Take(good, 4)
		failed.Drain(true)
	case 7: // the good twice
		good, goods = batch.Store(batch.Union(good, batch.Map(good, identity[int]))), slices.Concat(goods, goods)
	case 8: // dropped, and asked for again
		failed.Drain(false)
	case 9: // with operators behind
		good, goods = batch.Store(batch.Filter(batch.Map(good, func(x int) int { return -x }), func(x int) bool { return x%2 == 0 })),
			filtered(mapped(goods, func(x int) int { return -x }), func(x int) bool { return x%2 == 0 })
	}
	if n != 0 && n != 2 && n != 7 && n != 9 { // those have read everything
		failed.Drain(false)
	}
	if c := failed.Count(); c != int64(len(bads)) {
		t.Fatalf("%d failed, want %d", c, len(bads))
	}
	return ofInts(batch.Union(good, batch.Map(failed.Batch(), record)), slices.Concat(goods, short(bads, keep)))
}

var strOps = map[string]func(t *rapid.T, v dual[string], n int) value{
	"map": func(_ *rapid.T, v dual[string], n int) value {
		f := func(s string) string { return strings.TrimSuffix(s, strconv.Itoa(n)) }
		return ofStrs(batch.Map(v.batch, f), mapped(v.model, f))
	},
	"map to int": func(_ *rapid.T, v dual[string], n int) value {
		f := func(s string) int { return len(s) * n }
		return ofInts(batch.Map(v.batch, f), mapped(v.model, f))
	},
	"filter": func(_ *rapid.T, v dual[string], n int) value {
		keep := func(s string) bool { return !strings.HasSuffix(s, strconv.Itoa(n)) }
		return ofStrs(batch.Filter(v.batch, keep), filtered(v.model, keep))
	},
	"flatMap": func(_ *rapid.T, v dual[string], _ int) value {
		return ofStrs(batch.FlatMap(v.batch, strings.FieldsSeq), flatMapped(v.model, strings.Fields))
	},
	"reduce": func(_ *rapid.T, v dual[string], n int) value {
		var model []string
		if len(v.model) > 0 {
			model = []string{strings.Join(v.model, "")}
		}
		return ofStrs(batch.Reduce(v.batch, func(a, b string) string { return a + b }), model)
	},
	"sortFunc": func(_ *rapid.T, v dual[string], _ int) value {
		compare := func(a, b string) int { return cmp.Compare(len(a), len(b)) }
		return ofStrs(batch.SortFunc(v.batch, compare), sorted(v.model, compare))
	},
	"top": func(_ *rapid.T, v dual[string], n int) value {
		return ofStrs(batch.Top(v.batch, n, identity[string]), short(sorted(v.model, func(a, b string) int { return strings.Compare(b, a) }), n))
	},
	"distinct": func(_ *rapid.T, v dual[string], _ int) value {
		return ofStrs(batch.Distinct(v.batch), keysOf(v.model, identity[string]))
	},
	"repartition": func(_ *rapid.T, v dual[string], n int) value { return ofStrs(batch.Repartition(v.batch, n), v.model) },
	"countByValue to pair": func(_ *rapid.T, v dual[string], _ int) value {
		return ofPairs(batch.MapValues(batch.CountByValue(v.batch), func(n int64) int { return int(n) }),
			mapped(keysOf(v.model, identity[string]), func(k string) pair {
				return batch.P(k, len(filtered(v.model, func(s string) bool { return s == k })))
			}))
	},
}

var pairOps = map[string]func(t *rapid.T, v dual[pair], n int) value{
	"mapValues": func(_ *rapid.T, v dual[pair], n int) value {
		return ofPairs(batch.MapValues(v.batch, func(x int) int { return x + n }), mapped(v.model, func(p pair) pair { return batch.P(p.Key, p.Value+n) }))
	},
	"filter": func(_ *rapid.T, v dual[pair], n int) value {
		keep := func(p pair) bool { return p.Value%9 != n }
		return ofPairs(batch.Filter(v.batch, keep), filtered(v.model, keep))
	},
	"flatMapValues": func(_ *rapid.T, v dual[pair], n int) value {
		f := func(x int) []int { return short([]int{x, n}, max(0, x%3)) }
		return ofPairs(batch.FlatMapValues(v.batch, func(x int) iter.Seq[int] { return slices.Values(f(x)) }),
			flatMapped(v.model, func(p pair) []pair {
				return mapped(f(p.Value), func(x int) pair { return batch.P(p.Key, x) })
			}))
	},
	"keys to string": func(_ *rapid.T, v dual[pair], _ int) value {
		return ofStrs(batch.Map(v.batch, batch.ByKey), mapped(v.model, batch.ByKey[string, int]))
	},
	"values to int": func(_ *rapid.T, v dual[pair], _ int) value {
		return ofInts(batch.Map(v.batch, batch.ByValue), mapped(v.model, batch.ByValue[string, int]))
	},
	"sortBy": func(_ *rapid.T, v dual[pair], _ int) value {
		return ofPairs(batch.SortBy(v.batch, batch.ByKey), sorted(v.model, func(a, b pair) int { return strings.Compare(a.Key, b.Key) }))
	},
	"distinct": func(_ *rapid.T, v dual[pair], _ int) value {
		return ofPairs(batch.Distinct(v.batch), keysOf(v.model, identity[pair]))
	},
	"countByKey": func(_ *rapid.T, v dual[pair], _ int) value {
		return ofPairs(batch.MapValues(batch.CountByKey(v.batch), func(n int64) int { return int(n) }),
			perKey(v.model, func(vs []int) int { return len(vs) }))
	},
	"reduceByKey": func(_ *rapid.T, v dual[pair], n int) value { // the digits 1 to 9 one after the other: the order shows
		digit := func(x int) int { return max(x, -x)%9 + 1 }
		written := func(vs []int) int {
			out := 0
			for _, x := range short(vs, 12) {
				out = out*10 + digit(x)
			}
			return out
		}
		numbers := batch.MapValues(v.batch, func(x int) string { return strconv.Itoa(digit(x)) })
		joined := batch.ReduceByKey(numbers, func(a, b string) string { return a + b })
		return ofPairs(batch.MapValues(joined, func(s string) int { x, _ := strconv.Atoi(s[:min(12, len(s))]); return x }), perKey(v.model, written))
	},
	"combineByKey": func(_ *rapid.T, v dual[pair], n int) value {
		type span struct{ first, last int }
		spans := batch.CombineByKey(v.batch, func(x int) span { return span{x, x} },
			func(s span, x int) span { return span{s.first, x} }, func(a, b span) span { return span{a.first, b.last} })
		return ofPairs(batch.MapValues(spans, func(s span) int { return s.first - s.last }),
			perKey(v.model, func(vs []int) int { return vs[0] - vs[len(vs)-1] }))
	},
	"aggregateByKey": func(_ *rapid.T, v dual[pair], n int) value {
		most := func(a, b int) int { return max(a, b) }
		return ofPairs(batch.AggregateByKey(v.batch, func() int { return n }, most, most),
			perKey(v.model, func(vs []int) int { return max(n, slices.Max(vs)) }))
	},
	"groupByKey to string": func(_ *rapid.T, v dual[pair], _ int) value {
		var model []string
		for _, k := range keysOf(v.model, batch.ByKey[string, int]) {
			model = append(model, fmt.Sprint(k, valuesOf(v.model, k)))
		}
		return ofStrs(batch.Map(batch.GroupByKey(v.batch), func(p batch.Pair[string, []int]) string { return fmt.Sprint(p.Key, p.Value) }), model)
	},
	"repartition": func(_ *rapid.T, v dual[pair], n int) value { return ofPairs(batch.Repartition(v.batch, n), v.model) },
	"join to string": func(_ *rapid.T, v dual[pair], n int) value {
		l, r := sides(v, n)
		return ofStrs(batch.Map(batch.Join(l.batch, r.batch), printPair[batch.Both[int, int]]), crossed(l.model, r.model, false, false, func(l, r batch.Opt[int]) any {
			return batch.Both[int, int]{Left: l.Value, Right: r.Value}
		}))
	},
	"leftOuterJoin to string": func(_ *rapid.T, v dual[pair], n int) value {
		l, r := sides(v, n)
		return ofStrs(batch.Map(batch.LeftOuterJoin(l.batch, r.batch), printPair[batch.Both[int, batch.Opt[int]]]), crossed(l.model, r.model, true, false, func(l, r batch.Opt[int]) any {
			return batch.Both[int, batch.Opt[int]]{Left: l.Value, Right: r}
		}))
	},
	"rightOuterJoin to string": func(_ *rapid.T, v dual[pair], n int) value {
		l, r := sides(v, n)
		return ofStrs(batch.Map(batch.RightOuterJoin(l.batch, r.batch), printPair[batch.Both[batch.Opt[int], int]]), crossed(l.model, r.model, false, true, func(l, r batch.Opt[int]) any {
			return batch.Both[batch.Opt[int], int]{Left: l, Right: r.Value}
		}))
	},
	"fullOuterJoin to string": func(_ *rapid.T, v dual[pair], n int) value {
		l, r := sides(v, n)
		return ofStrs(batch.Map(batch.FullOuterJoin(l.batch, r.batch), printPair[batch.Both[batch.Opt[int], batch.Opt[int]]]), crossed(l.model, r.model, true, true, func(l, r batch.Opt[int]) any {
			return batch.Both[batch.Opt[int], batch.Opt[int]]{Left: l, Right: r}
		}))
	},
	"cogroup to string": func(_ *rapid.T, v dual[pair], n int) value {
		l, r := sides(v, n)
		var model []string
		for _, k := range keysOf(slices.Concat(l.model, r.model), batch.ByKey[string, int]) {
			model = append(model, fmt.Sprint(k, valuesOf(l.model, k), valuesOf(r.model, k)))
		}
		return ofStrs(batch.Map(batch.CoGroup(l.batch, r.batch), func(p batch.Pair[string, batch.Grouped[int, int]]) string {
			return fmt.Sprint(p.Key, p.Value.Left, p.Value.Right)
		}), model)
	},
}

// sides makes two sides for a join: the first 20 elements, and some of all with
// keys of which some are new.
func sides(v dual[pair], n int) (left, right dual[pair]) {
	keep := func(p pair) bool { return p.Value%4 == n%4 }
	rekey := func(p pair) pair {
		if p.Value%3 == 0 {
			p.Key += "'"
		}
		return p
	}
	left = dual[pair]{batch.Repartition(batch.Take(v.batch, 20), 1+n%3), short(v.model, 20)}
	right = dual[pair]{batch.Map(batch.Filter(v.batch, keep), rekey), mapped(filtered(v.model, keep), rekey)}
	return left, right
}

// crossed is what a join gives, printed.
func crossed(left, right []pair, keepLeft, keepRight bool, made func(l, r batch.Opt[int]) any) (out []string) {
	for _, k := range keysOf(slices.Concat(left, right), batch.ByKey[string, int]) {
		ls, rs := mapped(valuesOf(left, k), batch.Some[int]), mapped(valuesOf(right, k), batch.Some[int])
		if len(rs) == 0 && keepLeft {
			rs = make([]batch.Opt[int], 1)
		}
		if len(ls) == 0 && keepRight {
			ls = make([]batch.Opt[int], 1)
		}
		for _, l := range ls {
			for _, r := range rs {
				out = append(out, fmt.Sprintf("%s %v", k, made(l, r)))
			}
		}
	}
	return out
}

func printPair[V any](p batch.Pair[string, V]) string { return fmt.Sprintf("%s %v", p.Key, p.Value) }

// cutAt takes as many of the elements before as the model did, so that
// programs that multiply elements stay small.
func (v value) cutAt(n int, before dual[int]) value {
	if len(before.model) <= n {
		return v
	}
	v.ints.batch = batch.Take(v.ints.batch, len(v.ints.model))
	return v
}

// The model.

func mapped[T, U any](in []T, f func(T) U) []U {
	var out []U
	for _, t := range in {
		out = append(out, f(t))
	}
	return out
}

func filtered[T any](in []T, keep func(T) bool) []T {
	var out []T
	for _, t := range in {
		if keep(t) {
			out = append(out, t)
		}
	}
	return out
}

func flatMapped[T, U any](in []T, f func(T) []U) []U { return slices.Concat(mapped(in, f)...) }

func short[T any](in []T, n int) []T { return in[:min(n, len(in))] }

func sorted[T any](in []T, compare func(a, b T) int) []T {
	out := slices.Clone(in)
	slices.SortStableFunc(out, compare)
	return out
}

func keysOf[T any, K comparable](in []T, key func(T) K) []K {
	var out []K
	for _, t := range in {
		if k := key(t); !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

func valuesOf(in []pair, key string) []int {
	return mapped(filtered(in, func(p pair) bool { return p.Key == key }), batch.ByValue[string, int])
}

func perKey(in []pair, f func([]int) int) []pair {
	return mapped(keysOf(in, batch.ByKey[string, int]), func(k string) pair { return batch.P(k, f(valuesOf(in, k))) })
}
