// Package streamtest runs streams in tests: it gives them batches and gets
// batches, without a clock and without waiting.
//
//	got := streamtest.Batch(t, []string{"tea", "rye", "tea"}, 2, func(s stream.Stream[string]) stream.Stream[stream.Pair[string, int64]] {
//		return stream.CountByValue(s)
//	})
//	streamtest.Equal(t, got, []stream.Pair[string, int64]{stream.P("tea", int64(2)), stream.P("rye", int64(1))})
//
// A program with several inputs or outputs is declared on an App of its own
// and run by [Run]:
//
//	app := streamtest.App(2)
//	sales := stream.From(app, source.Queue(monday, tuesday))
//	totals := streamtest.Collect(stream.ReduceByKey(sales, add))
//	streamtest.Run(t, app)
//	streamtest.Equal(t, totals.Batch(1), want)
//
// Batches come at the times from one second after the Unix epoch on, one second
// apart.
package streamtest

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// App makes an App that takes a batch of each source after the other, in the
// given number of partitions, and ends when all sources have. It logs nothing.
func App(partitions int) *stream.App { return New(stream.Config{Partitions: partitions}) }

// New makes an App like [App] with settings of one's own; Ticks is Step.
func New(c stream.Config) *stream.App {
	c.Ticks = stream.Step
	c.Name = cmp.Or(c.Name, "test")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return stream.New(c)
}

// Run runs an App until its sources have ended. Anything else fails the test.
func Run(t testing.TB, app *stream.App) {
	t.Helper()
	if err := app.Run(context.Background()); err != nil {
		t.Fatalf("run: %v", err)
	}
}

// Batch gives f one batch in the given number of partitions and returns the
// elements of what comes out.
func Batch[T, U any](t testing.TB, in []T, partitions int, f func(stream.Stream[T]) stream.Stream[U]) []U {
	t.Helper()
	return Batches(t, [][]T{in}, partitions, f)[0]
}

// Batches gives f the batches in turn and returns those that come out.
func Batches[T, U any](t testing.TB, in [][]T, partitions int, f func(stream.Stream[T]) stream.Stream[U]) [][]U {
	t.Helper()
	app := App(partitions)
	out := Collect(f(stream.From(app, source.Queue(in...))))
	Run(t, app)
	return out.Batches()
}

// Collected is what a stream held, batch by batch.
type Collected[T any] struct {
	batches [][]T
	times   []time.Time
}

// Collect declares an output that keeps every batch. Read it after [Run].
func Collect[T any](s stream.Stream[T]) *Collected[T] {
	c := &Collected[T]{}
	stream.ForEachBatch(s, func(_ context.Context, at stream.BatchInfo, b batch.Batch[T]) error {
		c.batches = append(c.batches, batch.Collect(b))
		c.times = append(c.times, at.Time)
		return nil
	})
	return c
}

// Batches returns all batches, in order.
func (c *Collected[T]) Batches() [][]T { return c.batches }

// Batch returns batch i, counted from 0, or nil if there is none.
func (c *Collected[T]) Batch(i int) []T {
	if i < 0 || i >= len(c.batches) {
		return nil
	}
	return c.batches[i]
}

// Times returns the times of the batches.
func (c *Collected[T]) Times() []time.Time { return c.times }

// Equal fails the test unless got has the elements of want in the same order.
// No elements are equal to no elements, whether a slice is nil or not.
func Equal[T any](t testing.TB, got, want []T) {
	t.Helper()
	if len(got) == 0 && len(want) == 0 || reflect.DeepEqual(got, want) {
		return
	}
	t.Fatalf("got  %s\nwant %s", list(got), list(want))
}

// SameElements fails the test unless got has the elements of want, each as many
// times, in any order.
func SameElements[T any](t testing.TB, got, want []T) {
	t.Helper()
	missing := append([]T(nil), want...)
	var extra []T
next:
	for _, g := range got {
		for i, w := range missing {
			if reflect.DeepEqual(g, w) {
				missing = append(missing[:i], missing[i+1:]...)
				continue next
			}
		}
		extra = append(extra, g)
	}
	if len(missing) > 0 || len(extra) > 0 {
		t.Fatalf("missing %s\nextra %s\ngot %s", list(missing), list(extra), list(got))
	}
}

func list[T any](elements []T) string {
	if len(elements) > 50 {
		return fmt.Sprintf("%v… (%d elements)", elements[:50], len(elements))
	}
	return fmt.Sprintf("%v", elements)
}
