package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/stream"
)

// empty: batches without records in a program with ten operators: what one costs,
// and how long after its tick it is done.
func init() {
	register("empty", "step", empty{}.step)
	register("empty", "live", empty{}.live)
}

type empty struct {
	batches  int
	interval time.Duration
	store    bool
}

// declare makes ten operators and an output.
func (e empty) declare(config stream.Config, done func(at time.Time) error) (*stream.App, error) {
	app := stream.New(config)
	s := stream.From(app, given[int]{count: e.batches, batch: func(int) []int { return nil }, parts: 4})
	for range 6 {
		s = stream.Map(s, func(i int) int { return i + 1 })
	}
	s = stream.Filter(s, func(i int) bool { return i%2 == 0 })
	pairs := stream.KeyBy(s, func(i int) int { return i % 10 })
	sums := stream.SortBy(stream.ReduceByKey(pairs, func(a, b int) int { return a + b }), stream.ByKey)
	stream.ForEachBatch(sums, func(_ context.Context, at stream.BatchInfo, _ batch.Batch[stream.Pair[int, int]]) error {
		return done(at.Time)
	})
	return app, nil
}

func (e empty) step(args []string) (Result, error) {
	if err := flags("empty", args, func(s *flag.FlagSet) {
		s.IntVar(&e.batches, "batches", 50_000, "batches; the first hundred are not measured")
	}); err != nil {
		return Result{}, err
	}
	var m meter
	n := 0
	app, err := e.declare(settings("empty"), func(time.Time) error {
		if n++; n == 100 {
			m.start()
		} else if n > 100 {
			m.lap(1)
		}
		return nil
	})
	if err == nil {
		err = app.Run(context.Background())
	}
	return m.result("godstream", "empty", "", nil), err
}

func (e empty) live(args []string) (Result, error) {
	err := flags("empty", args, func(s *flag.FlagSet) {
		s.IntVar(&e.batches, "batches", 1000, "batches; the first ten are not measured")
		s.DurationVar(&e.interval, "interval", 10*time.Millisecond, "interval")
		s.BoolVar(&e.store, "store", false, "log each batch to a temporary directory")
	})
	if err != nil {
		return Result{}, err
	}
	config := settings("empty")
	config.Ticks, config.Interval = stream.Live, e.interval
	config.Logger = slog.New(slog.DiscardHandler)
	var m meter
	n := 0
	build := func() (*stream.App, error) {
		return e.declare(config, func(at time.Time) error {
			if n++; n == 10 {
				m.start()
			} else if n > 10 {
				m.batch(1, time.Since(at))
			}
			return nil
		})
	}
	var app *stream.App
	if e.store {
		dir, err := os.MkdirTemp("", "bench-empty-")
		if err != nil {
			return Result{}, err
		}
		defer os.RemoveAll(dir)
		app, err = stream.GetOrCreate(checkpoint.Dir(filepath.Join(dir, "checkpoint")), build)
		if err != nil {
			return Result{}, err
		}
	} else if app, err = build(); err != nil {
		return Result{}, err
	}
	if err := app.Run(context.Background()); err != nil {
		return Result{}, err
	}
	return m.result("godstream", "empty", "", map[string]any{"interval_ms": ms(e.interval), "ticks_merged": app.Stats().Merged}), nil
}
