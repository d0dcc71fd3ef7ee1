package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
	"github.com/godstream/godstream/window"
)

func TestRunReturnsEveryFaultWithItsLine(t *testing.T) {
	app := stream.New(stream.Config{Interval: -time.Second, Workers: -1})
	_, _, line, _ := runtime.Caller(0)
	words := stream.From(app, source.Queue([]string{"tea"}))                     // line+1
	stream.Map[string, int](words, nil)                                          // line+2
	stream.Filter(words, nil, stream.Name("long"))                               // line+3
	stream.Filter(words, func(string) bool { return true }, stream.Name("long")) // line+4
	stream.Top(stream.CountByValue(words), -1, stream.ByValue)                   // line+5
	stream.Union(words, stream.Stream[string]{})                                 // line+6
	stream.Union(words, stream.From(streamtest.App(1), source.Queue[string]()))  // line+7
	stream.Map(words, strings.ToUpper, stream.N(3))                              // line+8
	stream.From[string](app, nil)                                                // line+9
	stream.Decode(stream.From(app, history{}), codec.Codec[int]{})               // line+10

	err := app.Run(t.Context())
	require.Error(t, err)
	for offset, want := range map[int]string{
		-1: "Interval is negative: -1s",
		2:  "Map: the function is nil",
		3:  "Filter: the function is nil",
		4:  `filter: the name "long" is taken by a filter declared before`,
		5:  "Top: n is negative: -1",
		6:  "union: a stream is zero",
		7:  "union: a stream belongs to app app, another to app test",
		8:  "map: option N has no effect here, only on [print]",
		9:  "From: the source is nil",
		10: "Decode: ",
	} {
		require.Contains(t, err.Error(), fmt.Sprintf("app_test.go:%d: ", line+offset))
		require.Contains(t, err.Error(), want)
	}
	require.Contains(t, err.Error(), "Workers is negative: -1")
	require.Contains(t, err.Error(), "the program has no output")
	var fault *stream.Fault
	require.ErrorAs(t, err, &fault)
	require.Equal(t, line-1, fault.Line)
	require.Zero(t, app.Stats().Batches)
}

func TestRunTwice(t *testing.T) {
	app := streamtest.App(1)
	streamtest.Collect(stream.From(app, source.Queue([]int{1})))
	streamtest.Run(t, app)
	require.ErrorContains(t, app.Run(t.Context()), "Run has been called before")
}

func TestDeclarationAfterRun(t *testing.T) {
	app := streamtest.App(1)
	s := stream.From(app, source.Queue([]int{1}, []int{2}))
	stream.ForEach(s, func(i int) error {
		if i == 1 {
			stream.Count(s)
		}
		return nil
	})
	require.ErrorContains(t, app.Run(t.Context()), "count: declared after Run")
}

func TestPanicInAFunctionEndsRun(t *testing.T) {
	boom := errors.New("boom")
	fail := func(i int) int {
		if i == 7 {
			panic(boom)
		}
		return i
	}
	type program func(stream.Stream[int])
	tests := map[string]struct {
		declare   program
		op        string
		partition int
	}{
		"map of the same type": {func(s stream.Stream[int]) { stream.Print(stream.Map(s, fail), stream.Writer(io.Discard)) }, "map-1", 2},
		"map of another type": {func(s stream.Stream[int]) {
			stream.Print(stream.Map(s, func(i int) string { return fmt.Sprint(fail(i)) }, stream.Name("text")), stream.Writer(io.Discard))
		}, "text", 2},
		"second of two maps": {func(s stream.Stream[int]) {
			stream.Print(stream.Map(stream.Map(s, func(i int) int { return i }), fail), stream.Writer(io.Discard))
		}, "map-2", 2},
		"flatMap": {func(s stream.Stream[int]) {
			stream.Print(stream.FlatMap(s, func(i int) iter.Seq[int] { return func(yield func(int) bool) { yield(fail(i)) } }), stream.Writer(io.Discard))
		}, "flatMap-1", 2},
		"sort key": {func(s stream.Stream[int]) { stream.Print(stream.SortBy(s, fail), stream.Writer(io.Discard)) }, "sortBy-1", 2},
		"transform": {func(s stream.Stream[int]) {
			stream.Print(stream.Transform(s, func(b batch.Batch[int]) batch.Batch[int] { panic(boom) }), stream.Writer(io.Discard))
		}, "transform-1", -1},
		"map in a transform": {func(s stream.Stream[int]) {
			stream.Print(stream.Transform(s, func(b batch.Batch[int]) batch.Batch[int] { return batch.Map(b, fail) }), stream.Writer(io.Discard))
		}, "transform-1", 2},
		"tryMap that nobody reads": {func(s stream.Stream[int]) {
			_, bad := stream.TryMap(s, func(i int) (int, error) { return fail(i), nil })
			stream.Print(bad, stream.Writer(io.Discard))
		}, "tryMap-1", 2},
		"output": {func(s stream.Stream[int]) { stream.ForEach(s, func(i int) error { fail(i); return nil }) }, "forEach-1", -1},
	}
	for name, test := range tests {
		for _, workers := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/workers=%d", name, workers), func(t *testing.T) {
				app := stream.New(stream.Config{Ticks: stream.Step, Partitions: 3, Workers: workers, Logger: quiet})
				test.declare(stream.From(app, source.Queue([]int{1, 2, 3, 4, 5, 7})))
				err := app.Run(t.Context())
				var p *stream.Panic
				require.ErrorAs(t, err, &p)
				require.Equal(t, test.op, p.Op)
				require.Equal(t, test.partition, p.Partition)
				require.Contains(t, string(p.Stack), "stream_test.TestPanicInAFunctionEndsRun")
				require.ErrorIs(t, err, boom)
				var failed *stream.BatchError
				require.ErrorAs(t, err, &failed)
				require.Equal(t, time.Unix(1, 0).UTC(), failed.Time)
				require.EqualValues(t, 1, app.Stats().Failed)
				require.Zero(t, app.Stats().Batches)
			})
		}
	}
}

type source0 struct{ source.Source[int] }

func (source0) Open(context.Context, source.Options) (source.Reader[int], error) { panic("no luck") }

func TestPanicInASourceEndsRun(t *testing.T) {
	app := streamtest.App(1)
	streamtest.Collect(stream.From(app, source.Source[int](source0{})))
	require.ErrorContains(t, app.Run(t.Context()), "open from-1: panic: no luck")
}

func TestFailedOutputEndsRun(t *testing.T) {
	full := errors.New("disk full")
	app := streamtest.App(1)
	s := stream.From(app, source.Queue([]int{1}, []int{2}, []int{3}))
	var seen []int
	stream.ForEach(s, func(i int) error {
		seen = append(seen, i)
		if i == 2 {
			return full
		}
		return nil
	}, stream.Name("store"))
	err := app.Run(t.Context())
	require.ErrorIs(t, err, full)
	require.EqualError(t, err, "stream: app test: batch 1970-01-01T00:00:02Z: output store: disk full")
	require.Equal(t, []int{1, 2}, seen)
	require.EqualValues(t, 1, app.Stats().Batches)
}

// A function that ends its goroutine must not pass for one that returned.
func TestGoexitInAWorkerEndsRun(t *testing.T) {
	app := stream.New(stream.Config{Ticks: stream.Step, Partitions: 4, Workers: 2, Logger: quiet})
	s := stream.From(app, source.Queue([]int{1, 2, 3, 4}))
	done := make(chan error)
	stream.Print(stream.Map(s, func(i int) int {
		runtime.Goexit()
		return i
	}), stream.Writer(io.Discard))
	go func() {
		defer close(done)
		done <- app.Run(context.Background())
	}()
	if err, returned := <-done; returned { // else Goexit ended Run's own goroutine
		require.ErrorContains(t, err, "runtime.Goexit")
	}
}

func TestEndOfContextLetsTheBatchInHandComplete(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		app := stream.New(stream.Config{Interval: time.Second, Logger: quiet})
		var committed []source.Range
		s := stream.From(app, history{parts: [][]event{{{value: "a"}, {value: "b"}}}, commit: func(r []source.Range) { committed = append(committed, r...) },
			feed: func(ctx context.Context, b *source.Buffer[event]) { b.Feed("open", 0); <-ctx.Done() }})
		var seen []string
		stream.ForEachBatch(values(s), func(out context.Context, _ stream.BatchInfo, b batch.Batch[string]) error {
			cancel()
			time.Sleep(5 * time.Second) // of the test's clock: the work goes on after the end of ctx
			seen = batch.Collect(b)
			return out.Err()
		})
		require.NoError(t, app.Run(ctx))
		require.Equal(t, []string{"a", "b"}, seen)
		require.Contains(t, committed, source.Range{Partition: "a", From: 0, Until: 2})
		require.EqualValues(t, 1, app.Stats().Batches)
	})
}

func TestDrainTimeoutGivesTheBatchUp(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		app := stream.New(stream.Config{Interval: time.Second, DrainTimeout: 3 * time.Second, Logger: quiet})
		committed := false
		s := stream.From(app, history{parts: [][]event{{{value: "a"}}}, commit: func([]source.Range) { committed = true }})
		began := time.Now()
		stream.ForEachBatch(values(s), func(out context.Context, _ stream.BatchInfo, _ batch.Batch[string]) error {
			cancel()
			<-out.Done()
			return nil // what an output says after its time does not count
		})
		require.ErrorContains(t, app.Run(ctx), "the batch in hand was not complete within DrainTimeout")
		require.Equal(t, 4*time.Second, time.Since(began), "one interval and DrainTimeout")
		require.False(t, committed)
	})
}

func TestEndedContextStopsAnIdleProgram(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		app := stream.New(stream.Config{Interval: time.Minute, Logger: quiet})
		s := stream.From(app, history{feed: func(ctx context.Context, b *source.Buffer[event]) { b.Feed("idle", 0); <-ctx.Done() }})
		var times []time.Time
		stream.ForEachBatch(s, func(_ context.Context, at stream.BatchInfo, b batch.Batch[event]) error {
			times = append(times, at.Time)
			return nil
		})
		began := time.Now()
		require.NoError(t, app.Run(ctx))
		require.Equal(t, 90*time.Second, time.Since(began))
		require.NotEmpty(t, times, "idle sources still make batches")
		for _, at := range times {
			require.Zero(t, at.Unix()%60)
		}
	})
}

func TestTicksAreMergedWhenBehind(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		app := stream.New(stream.Config{Interval: time.Second, MaxPending: 2, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		began := time.Now() // a whole second
		s := stream.From(app, history{feed: func(ctx context.Context, b *source.Buffer[event]) {
			f := b.Feed("a", 0)
			for i := range 20 { // one in the middle of each second
				select {
				case <-time.After(time.Until(began.Add(time.Duration(i)*time.Second + 500*time.Millisecond))):
				case <-ctx.Done():
					return
				}
				f.Put(event{value: fmt.Sprint(i)}, int64(i+1), 1, time.Time{})
			}
			f.End()
		}})
		got := map[int][]string{}
		stream.ForEachBatch(values(s), func(_ context.Context, at stream.BatchInfo, b batch.Batch[string]) error {
			second := int(at.Time.Sub(began) / time.Second)
			got[second] = batch.Collect(b)
			if second == 1 {
				time.Sleep(10 * time.Second) // falls behind
			}
			return nil
		})
		require.NoError(t, app.Run(t.Context()))
		require.Equal(t, []string{"0"}, got[1])
		require.Equal(t, []string{"1"}, got[2])
		require.Equal(t, []string{"2"}, got[3])
		for second := 4; second <= 10; second++ {
			require.NotContains(t, got, second, "merged into the last tick before there was room")
		}
		require.Equal(t, []string{"3", "4", "5", "6", "7", "8", "9", "10"}, got[11])
		require.Equal(t, []string{"11"}, got[12])
		require.EqualValues(t, 7, app.Stats().Merged)
		require.Contains(t, log.String(), "behind schedule; ticks merged")
		var all int
		for _, values := range got {
			all += len(values)
		}
		require.Equal(t, 20, all, "nothing is lost")
	})
}

func TestLiveBatchesAreBounded(t *testing.T) {
	app := stream.New(stream.Config{Interval: 5 * time.Millisecond, MaxBatchBytes: 10, Prefetch: 4, Logger: quiet})
	var events []event
	for i := range 26 {
		events = append(events, event{value: strings.Repeat(string(rune('a'+i)), 3)})
	}
	events[7].value = "a record that is longer than a batch may be"
	got := streamtest.Collect(values(stream.From(app, history{parts: [][]event{events}})))
	require.NoError(t, app.Run(t.Context()))
	var all []string
	for _, b := range got.Batches() {
		require.True(t, len(b) <= 3 || len(b) == 1, "%v", b)
		all = append(all, b...)
	}
	for i, e := range events {
		require.Equal(t, e.value, all[i])
	}
	require.Positive(t, app.Stats().Full)
}

func TestAppThatNewDidNotMake(t *testing.T) {
	var none *stream.App
	require.ErrorContains(t, none.Run(t.Context()), "was not made by New")
	var zero stream.App
	stream.Print(stream.Window(stream.From(&zero, source.Queue([]int{1})), window.Tumbling(time.Second)))
	require.ErrorContains(t, zero.Run(t.Context()), "was not made by New")
	require.Empty(t, zero.Explain(stream.Text))
}

// An error of a source that wraps context.Canceled is no stop of the program.
func TestSourceThatFailsWithACanceledContext(t *testing.T) {
	app := stream.New(stream.Config{Interval: time.Millisecond, Logger: quiet})
	s := stream.From(app, history{feed: func(_ context.Context, b *source.Buffer[event]) {
		b.Feed("a", 0)
		b.Fail(fmt.Errorf("fetch: %w", context.Canceled))
	}})
	streamtest.Collect(s)
	require.ErrorContains(t, app.Run(t.Context()), "fetch: context canceled")
}

// Stepping through a source that is fetched ahead fills each batch, whoever of
// its partitions has much and whoever nothing.
func TestStepFillsBatchesOfASkewedSource(t *testing.T) {
	app := stream.New(stream.Config{Ticks: stream.Step, MaxBatchBytes: 40, Prefetch: 10, Logger: quiet})
	many := make([]event, 1000)
	for i := range many {
		many[i] = event{value: fmt.Sprint(i % 10)}
	}
	idle := make(chan struct{})
	s := stream.From(app, history{parts: [][]event{many}, feed: func(_ context.Context, b *source.Buffer[event]) {
		f := b.Feed("idle", 0)
		<-idle
		f.End()
	}})
	total := 0
	stream.ForEachBatch(s, func(_ context.Context, _ stream.BatchInfo, b batch.Batch[event]) error {
		before := total
		if total += len(batch.Collect(b)); before < 900 && total >= 900 { // then the rest comes, though it fills no batch
			close(idle)
		}
		return nil
	})
	require.NoError(t, app.Run(t.Context()))
	require.Equal(t, len(many), total)
	require.Less(t, app.Stats().Batches, int64(200), "no batches without a reason")
}
