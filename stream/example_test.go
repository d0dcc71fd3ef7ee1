package stream_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

func ExampleCountByValue() {
	app := stream.New(stream.Config{Interval: 10 * time.Millisecond, Logger: quiet})
	lines := stream.From(app, source.Queue([]string{"tea rye", "tea"}))
	words := stream.FlatMap(lines, strings.FieldsSeq)
	stream.ForEach(stream.CountByValue(words), func(p stream.Pair[string, int64]) error {
		_, err := fmt.Println(p.Key, p.Value)
		return err
	})
	if err := app.Run(context.Background()); err != nil { // returns when the queue is empty
		fmt.Println(err)
	}
	// Output:
	// tea 2
	// rye 1
}

// show prints the batches of streams, a line each.
func show[T any](name string, s stream.Stream[T]) {
	stream.ForEachBatch(s, func(_ context.Context, _ stream.BatchInfo, b batch.Batch[T]) error {
		_, err := fmt.Println(name, batch.Collect(b))
		return err
	})
}

func run(app *stream.App) {
	if err := app.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
}

// Operators that look at one element at a time, or at one partition.
func Example_elements() {
	app := stream.New(stream.Config{Ticks: stream.Step, Partitions: 2, Logger: quiet})
	s := stream.From(app, source.Queue([]int{3, 1, 2, 3}))
	show("map", stream.Map(s, func(i int) string { return strings.Repeat("*", i) }))
	show("filter", stream.Filter(s, func(i int) bool { return i > 1 }))
	show("union", stream.Union(s, s))
	show("distinct", stream.Distinct(s))
	show("glom", stream.Glom(s))
	show("repartition", stream.Glom(stream.Repartition(s, 3)))
	run(app)
	// Output:
	// map [*** * ** ***]
	// filter [3 2 3]
	// union [3 1 2 3 3 1 2 3]
	// distinct [3 1 2]
	// glom [[3 1] [2 3]]
	// repartition [[3] [1] [2 3]]
}

// Operators that make one element of a batch. The second batch is empty.
func Example_reduce() {
	app := stream.New(stream.Config{Ticks: stream.Step, Logger: quiet})
	s := stream.From(app, source.Queue([]int{3, 1, 2}, nil))
	show("count", stream.Count(s))
	show("reduce", stream.Reduce(s, func(a, b int) int { return a * b }))
	show("sum", stream.Sum(s))
	show("min", stream.Min(s))
	show("max", stream.Max(s))
	show("mean", stream.Mean(s))
	run(app)
	// Output:
	// count [3]
	// reduce [6]
	// sum [6]
	// min [1]
	// max [3]
	// mean [2]
	// count [0]
	// reduce []
	// sum [0]
	// min []
	// max []
	// mean []
}

// Operators that sort, or keep the first few.
func Example_sort() {
	app := stream.New(stream.Config{Ticks: stream.Step, Logger: quiet})
	s := stream.From(app, source.Queue([]stream.Pair[string, int]{stream.P("tea", 2), stream.P("rye", 1), stream.P("ink", 2)}))
	show("by key", stream.SortBy(s, stream.ByKey))
	show("by value", stream.SortBy(s, stream.ByValue))
	show("descending", stream.SortBy(s, stream.ByValue, stream.Descending()))
	show("top", stream.Top(s, 1, stream.ByValue))
	show("take", stream.Take(s, 2))
	run(app)
	// Output:
	// by key [(ink, 2) (rye, 1) (tea, 2)]
	// by value [(rye, 1) (tea, 2) (ink, 2)]
	// descending [(tea, 2) (ink, 2) (rye, 1)]
	// top [(tea, 2)]
	// take [(tea, 2) (rye, 1)]
}

// Operators on keyed streams.
func Example_byKey() {
	app := stream.New(stream.Config{Ticks: stream.Step, Logger: quiet})
	words := stream.From(app, source.Queue([]string{"tea", "rye", "ten"}))
	lengths := stream.Map(words, func(w string) stream.Pair[string, int] { return stream.P(w, len(w)) })
	first := stream.KeyBy(words, func(w string) string { return w[:1] })
	show("keyBy", first)
	show("mapValues", stream.MapValues(lengths, strconv.Itoa))
	show("countByKey", stream.CountByKey(first))
	show("reduceByKey", stream.ReduceByKey(first, func(a, b string) string { return a + "+" + b }))
	show("groupByKey", stream.GroupByKey(first))
	show("aggregateByKey", stream.AggregateByKey(first, func() int { return 0 },
		func(n int, w string) int { return n + len(w) }, func(a, b int) int { return a + b }))
	run(app)
	// Output:
	// keyBy [(t, tea) (r, rye) (t, ten)]
	// mapValues [(tea, 3) (rye, 3) (ten, 3)]
	// countByKey [(t, 2) (r, 1)]
	// reduceByKey [(t, tea+ten) (r, rye)]
	// groupByKey [(t, [tea ten]) (r, [rye])]
	// aggregateByKey [(t, 6) (r, 3)]
}

// Operators on two keyed streams.
func Example_join() {
	app := stream.New(stream.Config{Ticks: stream.Step, Logger: quiet})
	prices := stream.From(app, source.Queue([]stream.Pair[string, int]{stream.P("tea", 3), stream.P("rye", 5)}))
	stock := stream.From(app, source.Queue([]stream.Pair[string, string]{stream.P("tea", "shelf"), stream.P("ink", "cellar")}))
	show("join", stream.Join(prices, stock))
	show("left", stream.LeftOuterJoin(prices, stock))
	show("right", stream.RightOuterJoin(prices, stock))
	show("full", stream.FullOuterJoin(prices, stock))
	show("cogroup", stream.CoGroup(prices, stock))
	run(app)
	// Output:
	// join [(tea, {3 shelf})]
	// left [(tea, {3 shelf}) (rye, {5 none})]
	// right [(tea, {3 shelf}) (ink, {none cellar})]
	// full [(tea, {3 shelf}) (rye, {5 none}) (ink, {none cellar})]
	// cogroup [(tea, {[3] [shelf]}) (rye, {[5] []}) (ink, {[] [cellar]})]
}

// Transform has the whole batch at hand.
func ExampleTransform() {
	app := stream.New(stream.Config{Ticks: stream.Step, Logger: quiet})
	s := stream.From(app, source.Queue([]float64{1, 2, 5}))
	show("shares", stream.Transform(s, func(b batch.Batch[float64]) batch.Batch[string] {
		total := 0.0
		for sum := range batch.Sum(b).All() {
			total = sum
		}
		return batch.Map(b, func(f float64) string { return fmt.Sprintf("%.0f%%", 100*f/total) })
	}))
	run(app)
	// Output: shares [12% 25% 62%]
}

// What fails comes out on a stream of its own.
func ExampleTryMap() {
	app := stream.New(stream.Config{Ticks: stream.Step, Logger: quiet})
	numbers, bad := stream.TryMap(stream.From(app, source.Queue([]string{"1", "two", "3"})), strconv.Atoi)
	show("numbers", numbers)
	show("bad", bad)
	run(app)
	fmt.Println("failed:", app.Stats().Operators[0].Failed)
	// Output:
	// numbers [1 3]
	// bad [two: strconv.Atoi: parsing "two": invalid syntax]
	// failed: 1
}

// message is a record: bytes, and where they came from.
type message struct {
	text   string
	number int
}

func (m message) Payload() []byte { return []byte(m.text) }
func (m message) Origin() string  { return fmt.Sprintf("queue@%d", m.number) }

func ExampleDecode() {
	type point struct{ X, Y int }
	app := stream.New(stream.Config{Ticks: stream.Step, Logger: quiet})
	messages := stream.From(app, source.Queue([]message{{`{"x":1,"y":2}`, 0}, {`null`, 1}, {`{"x":3}`, 2}}))
	points, malformed := stream.Decode(messages, codec.JSON[point]())
	show("points", points)
	show("malformed", stream.Map(malformed, func(f stream.Failed[message]) string { return f.Record.Origin() }))
	run(app)
	// Output:
	// points [{1 2} {3 0}]
	// malformed [queue@1]
}

func ExamplePrint() {
	app := stream.New(stream.Config{Ticks: stream.Step, Interval: time.Minute, Logger: quiet, Start: time.Date(2017, 1, 11, 15, 33, 0, 0, time.UTC)})
	s := stream.From(app, source.Queue([]string{"tea", "rye", "ink"}))
	stream.Print(stream.CountByValue(s), stream.N(2), stream.Location(time.UTC), stream.Writer(os.Stdout))
	run(app)
	// Output:
	// -------------------------------------------
	// Time: 2017-01-11 15:34:00
	// -------------------------------------------
	// (tea, 1)
	// (rye, 1)
	// ...
}

// A sink is given batch after batch, with an ID that stays the same if one has
// to be written again.
func ExampleTo() {
	app := stream.New(stream.Config{Ticks: stream.Step, Partitions: 2, Logger: quiet})
	stream.To(stream.From(app, source.Queue([]int{1, 2}, []int{3})), sink.Func(sink.AtLeastOnce, func(_ context.Context, b sink.Batch[int]) error {
		_, err := fmt.Println(b.ID, b.Parts)
		return err
	}))
	run(app)
	// Output:
	// 1970-01-01T00:00:01.000000000Z [[1] [2]]
	// 1970-01-01T00:00:02.000000000Z [[] [3]]
}

func ExampleSlice() {
	app := stream.New(stream.Config{Ticks: stream.Step, Logger: quiet})
	s := stream.From(app, source.Queue([]string{"a"}, []string{"b"}, []string{"c"}))
	stream.Remember(s, time.Minute)
	run(app)
	from, to := time.Unix(2, 0), time.Unix(3, 0)
	batches, err := stream.Slice(s, from, to)
	for _, b := range batches {
		fmt.Println(b.Time.Unix(), batch.Collect(b.Batch))
	}
	fmt.Println(err)
	// Output:
	// 2 [b]
	// 3 [c]
	// <nil>
}

func ExampleApp_Explain() {
	app := stream.New(stream.Config{Ticks: stream.Step, Logger: quiet})
	words := stream.FlatMap(stream.From(app, source.Queue([]string{"tea"})), strings.FieldsSeq, stream.Name("words"))
	stream.Print(stream.Count(words))
	stream.Print(stream.Top(stream.CountByValue(words), 5, stream.ByValue))
	fmt.Print(app.Explain(stream.Text))
	// Output:
	// from-1          from: queue of 1 batches
	// words           flatMap of from-1  [stored: 2 readers]
	// count-1         count of words
	// print-1         print of count-1
	// countByValue-1  countByValue of words
	// top-1           top of countByValue-1
	// print-2         print of top-1
}
