package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// lcg makes the same input on every run and in every language.
type lcg uint64

func (s *lcg) next() uint64 { // Knuth's MMIX constants; the top bits are used
	*s = *s*6364136223846793005 + 1442695040888963407
	return uint64(*s) >> 33
}

// batches makes so many batches of elements.
func batches[T any](count, size int, next func() T) [][]T {
	all := make([][]T, count)
	for i := range all {
		b := make([]T, size)
		for j := range b {
			b[j] = next()
		}
		all[i] = b
	}
	return all
}

// users are so many names of users, in so many digits.
func users(count, digits int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("user%0*d", digits, i)
	}
	return names
}

// given is a source of batches that are there already. It hands out the slices
// themselves, as a loop gets them.
type given[T any] struct {
	count int
	batch func(i int) []T
	parts int // 0: as many as the App says
}

func (g given[T]) Open(_ context.Context, o source.Options) (source.Reader[T], error) {
	r := &givenReader[T]{given: g}
	if r.parts == 0 {
		r.parts = o.Partitions
	}
	return r, nil
}

type givenReader[T any] struct {
	given[T]
	next int
	at   int64
}

func (r *givenReader[T]) Cut(context.Context, source.Request) (source.Slice[T], error) {
	var b []T
	if r.next < r.count {
		b = r.batch(r.next)
		r.next++
	}
	part := source.Part[T]{Range: source.Range{From: r.at, Until: r.at + int64(len(b))}, Records: b}
	r.at = part.Range.Until
	return source.Slice[T]{Parts: []source.Part[T]{part}, Spread: r.parts, End: r.next >= r.count}, nil
}

func (r *givenReader[T]) Next(context.Context) (time.Time, bool, error) {
	return time.Time{}, false, nil
}
func (r *givenReader[T]) Commit(context.Context, []source.Range) error { return nil }
func (r *givenReader[T]) Close() error                                 { return nil }
func (r *givenReader[T]) Stats() source.Stats                          { return source.Stats{} }

// settings are those of an App that takes batch after batch.
func settings(name string) stream.Config {
	return stream.Config{Name: name, Ticks: stream.Step, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
}
