package batch_test

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/godstream/godstream/batch"
)

func Example() {
	lines := batch.Of([]string{"tea rye tea", "ale"}, []string{"rye tea"}) // two partitions
	words := batch.FlatMap(lines, strings.FieldsSeq)
	fmt.Println(batch.Collect(batch.Top(batch.CountByValue(words), 2, batch.ByValue)))
	// Output: [(tea, 3) (rye, 2)]
}

// Operators that look at one element at a time.
func Example_elements() {
	words := batch.Of([]string{"tea", "barley", "rye"})
	show := func(name string, elements any) { fmt.Printf("%-14s %v\n", name, elements) }

	show("Map", batch.Collect(batch.Map(words, strings.ToUpper)))
	show("Filter", batch.Collect(batch.Filter(words, func(w string) bool { return len(w) == 3 })))
	show("FlatMap", batch.Collect(batch.FlatMap(words, func(w string) iter.Seq[string] { return strings.SplitSeq(w, "") })))
	show("KeyBy", batch.Collect(batch.KeyBy(words, func(w string) int { return len(w) })))
	show("Take", batch.Collect(batch.Take(words, 2)))
	show("Union", batch.Collect(batch.Union(words, batch.Of([]string{"ale"}))))

	stock := batch.Of([]batch.Pair[string, int]{{"tea", 2}, {"rye", 1}})
	show("MapValues", batch.Collect(batch.MapValues(stock, func(n int) int { return 10 * n })))
	show("FlatMapValues", batch.Collect(batch.FlatMapValues(stock, func(n int) iter.Seq[int] {
		return slices.Values([]int{n, n})
	})))
	// Output:
	// Map            [TEA BARLEY RYE]
	// Filter         [tea rye]
	// FlatMap        [t e a b a r l e y r y e]
	// KeyBy          [(3, tea) (6, barley) (3, rye)]
	// Take           [tea barley]
	// Union          [tea barley rye ale]
	// MapValues      [(tea, 20) (rye, 10)]
	// FlatMapValues  [(tea, 2) (tea, 2) (rye, 1) (rye, 1)]
}

// Operators on where partitions begin and end.
func Example_partitions() {
	numbers := batch.Split([]int{1, 2, 3, 4, 5}, 2)
	fmt.Println(batch.Collect(batch.Glom(numbers)))
	fmt.Println(batch.Collect(batch.Glom(batch.Repartition(numbers, 3))))
	fmt.Println(batch.Collect(batch.MapPartitions(numbers, func(in iter.Seq[int]) iter.Seq[int] {
		return func(yield func(int) bool) {
			sum := 0
			for n := range in {
				sum += n
			}
			yield(sum)
		}
	})))
	// Output:
	// [[1 2] [3 4 5]]
	// [[1] [2 3] [4 5]]
	// [3 12]
}

// Operators that make one of all values of a key.
func Example_byKey() {
	sales := batch.Of([]batch.Pair[string, int]{{"tea", 3}, {"rye", 1}, {"tea", 4}})
	show := func(name string, elements any) { fmt.Printf("%-14s %v\n", name, elements) }

	show("CountByKey", batch.Collect(batch.CountByKey(sales)))
	show("ReduceByKey", batch.Collect(batch.ReduceByKey(sales, func(a, b int) int { return a + b })))
	show("GroupByKey", batch.Collect(batch.GroupByKey(sales)))

	type mean struct{ sum, n int }
	means := batch.CombineByKey(sales,
		func(v int) mean { return mean{v, 1} },
		func(m mean, v int) mean { return mean{m.sum + v, m.n + 1} },
		func(a, b mean) mean { return mean{a.sum + b.sum, a.n + b.n} })
	show("CombineByKey", batch.Collect(batch.MapValues(means, func(m mean) float64 { return float64(m.sum) / float64(m.n) })))
	show("AggregateByKey", batch.Collect(batch.AggregateByKey(sales,
		func() int { return 100 }, // for every key and partition
		func(least, v int) int { return min(least, v) },
		func(a, b int) int { return min(a, b) })))

	words := batch.Of([]string{"tea", "rye", "tea"})
	show("CountByValue", batch.Collect(batch.CountByValue(words)))
	show("Distinct", batch.Collect(batch.Distinct(words)))
	// Output:
	// CountByKey     [(tea, 2) (rye, 1)]
	// ReduceByKey    [(tea, 7) (rye, 1)]
	// GroupByKey     [(tea, [3 4]) (rye, [1])]
	// CombineByKey   [(tea, 3.5) (rye, 1)]
	// AggregateByKey [(tea, 3) (rye, 1)]
	// CountByValue   [(tea, 2) (rye, 1)]
	// Distinct       [tea rye]
}

// Operators that make one of all elements. Count and Sum give 0 of nothing, the
// others nothing.
func Example_reduce() {
	for _, numbers := range []batch.Batch[int]{batch.Of([]int{3, 1, 4}), batch.Of[int]()} {
		fmt.Println(
			batch.Collect(batch.Count(numbers)), batch.Collect(batch.Sum(numbers)),
			batch.Collect(batch.Min(numbers)), batch.Collect(batch.Max(numbers)), batch.Collect(batch.Mean(numbers)),
			batch.Collect(batch.Reduce(numbers, func(a, b int) int { return a * b })))
	}
	// Output:
	// [3] [8] [1] [4] [2.6666666666666665] [12]
	// [0] [0] [] [] [] []
}

func Example_sort() {
	counts := batch.Of([]batch.Pair[string, int]{{"tea", 2}, {"rye", 1}, {"ale", 2}})
	fmt.Println(batch.Collect(batch.SortBy(counts, batch.ByKey)))
	fmt.Println(batch.Collect(batch.SortByDescending(counts, batch.ByValue)))
	fmt.Println(batch.Collect(batch.SortFunc(counts, func(a, b batch.Pair[string, int]) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Key, b.Key))
	})))
	fmt.Println(batch.Collect(batch.Top(counts, 1, batch.ByValue)))
	// Output:
	// [(ale, 2) (rye, 1) (tea, 2)]
	// [(tea, 2) (ale, 2) (rye, 1)]
	// [(ale, 2) (tea, 2) (rye, 1)]
	// [(tea, 2)]
}

func Example_join() {
	price := batch.Of([]batch.Pair[string, int]{{"tea", 5}, {"rye", 2}})
	stock := batch.Of([]batch.Pair[string, string]{{"tea", "A1"}, {"ale", "B2"}, {"tea", "A7"}})
	fmt.Println(batch.Collect(batch.Join(price, stock)))
	fmt.Println(batch.Collect(batch.LeftOuterJoin(price, stock)))
	fmt.Println(batch.Collect(batch.RightOuterJoin(price, stock)))
	fmt.Println(batch.Collect(batch.FullOuterJoin(price, stock)))
	fmt.Println(batch.Collect(batch.CoGroup(price, stock)))
	// Output:
	// [(tea, {5 A1}) (tea, {5 A7})]
	// [(tea, {5 A1}) (tea, {5 A7}) (rye, {2 none})]
	// [(tea, {5 A1}) (tea, {5 A7}) (ale, {none B2})]
	// [(tea, {5 A1}) (tea, {5 A7}) (rye, {2 none}) (ale, {none B2})]
	// [(tea, {[5] [A1 A7]}) (rye, {[2] []}) (ale, {[] [B2]})]
}

func ExampleTryMap() {
	words := batch.Of([]string{"1", "two", "3"})
	numbers, failed := batch.TryMap(words, strconv.Atoi, 10)
	fmt.Println(batch.Collect(numbers))
	for f := range failed.Batch().All() {
		fmt.Println(f)
	}
	// Output:
	// [1 3]
	// two: strconv.Atoi: parsing "two": invalid syntax
}

// A batch that is read twice computes twice, unless it is stored.
func ExampleStore() {
	double := func(n int) int {
		fmt.Print("double ", n, "; ")
		return 2 * n
	}
	doubled := batch.Store(batch.Map(batch.Of([]int{1, 2}), double))
	fmt.Println(batch.Collect(batch.Count(doubled)), batch.Collect(doubled))
	// Output: double 1; double 2; [2] [2 4]
}

// Everything that is read one element at a time can be ranged over.
func ExampleBatch_All() {
	for n := range batch.Map(batch.Of([]int{1, 2}, []int{3}), strconv.Itoa).All() {
		fmt.Print(n, " ")
	}
	// Output: 1 2 3
}

func ExampleSample() {
	some := batch.Sample(batch.Of([]int{1, 2, 3, 4, 5, 6, 7, 8}), 0.5, 3)
	fmt.Println(slices.Equal(batch.Collect(some), batch.Collect(some)))
	// Output: true
}
