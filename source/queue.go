package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	r := &queueReader[T]{batches: q, parts: o.Defaults().Partitions}
	if at, ok := o.Position(""); ok && at.Mark != "" {
		r.given = at.Offset
		next, err := strconv.Atoi(at.Mark)
		if r.next = next; err != nil || next < 0 || next > len(q) {
			return nil, fmt.Errorf("source: the checkpoint is after %q batches of a queue, which has %d", at.Mark, len(q))
		}
	}
	return r, nil
}

type queueReader[T any] struct {
	batches [][]T
	parts   int
	given   int64 // elements of earlier batches
	next    int
}

// Cut gives the next batch, which is what an Exact request asks for too.

func (r *queueReader[T]) Cut(_ context.Context, q Request) (Slice[T], error) {
	var batch []T
	if r.next < len(r.batches) {
		batch = slices.Clone(r.batches[r.next]) // the batch owns its records, the caller its slice
		r.next++
	}
	from := r.given
	r.given += int64(len(batch))
	part := Part[T]{Range: Range{From: from, Until: r.given, Mark: strconv.Itoa(r.next)}, Records: batch}
	if q.Mode == Exact && (len(q.Ranges) != 1 || q.Ranges[0] != part.Range) {
		return Slice[T]{}, fmt.Errorf("source: queue: the batch to be run again is %v, the queue has %v", q.Ranges, part.Range)
	}
	return Slice[T]{Parts: []Part[T]{part}, Spread: r.parts, End: r.next >= len(r.batches)}, nil
}

func (r *queueReader[T]) Next(context.Context) (time.Time, bool, error) {
	return time.Time{}, false, errors.New("source: a queue has no record times")
}

func (r *queueReader[T]) Commit(context.Context, []Range) error { return nil }
func (r *queueReader[T]) Close() error                          { return nil }
func (r *queueReader[T]) Stats() Stats                          { return Stats{} }
