package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Queue gives one of the batches at each tick and ends after the last: for
// tests, examples and input that a program has already. Each batch is split
// into the App's number of partitions, in order. The records have no times, so
// a Queue can't be replayed by record time; step through it instead.
func Queue[T any](batches ...[]T) Source[T] {
	return queue[T](batches)
}

type queue[T any] [][]T

func (q queue[T]) String() string { return fmt.Sprintf("queue of %d batches", len(q)) }

func (q queue[T]) Open(_ context.Context, o Options) (Reader[T], error) {
	if o.Replay {
		return nil, errors.New("source: a queue has no record times to replay by; use stream.Step as the App's Ticks")
	}
	return &queueReader[T]{batches: q, parts: o.Defaults().Partitions}, nil
}

type queueReader[T any] struct {
	batches [][]T
	parts   int
	given   int64 // elements of earlier batches
	next    int
}

func (r *queueReader[T]) Cut(context.Context, Request) (Slice[T], error) {
	var batch []T
	if r.next < len(r.batches) {
		batch = slices.Clone(r.batches[r.next]) // the batch owns its records, the caller its slice
		r.next++
	}
	from := r.given
	r.given += int64(len(batch))
	part := Part[T]{Range: Range{From: from, Until: r.given}, Records: batch}
	return Slice[T]{Parts: []Part[T]{part}, Spread: r.parts, End: r.next >= len(r.batches)}, nil
}

func (r *queueReader[T]) Next(context.Context) (time.Time, bool, error) {
	return time.Time{}, false, errors.New("source: a queue has no record times")
}

func (r *queueReader[T]) Commit(context.Context, []Range) error { return nil }
func (r *queueReader[T]) Close() error                          { return nil }
func (r *queueReader[T]) Stats() Stats                          { return Stats{} }
