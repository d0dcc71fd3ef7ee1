package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
)

// Remember keeps the batches of s for the given time after their own, so that
// [Slice] can be asked for them while the program runs and after it. It costs
// memory for all of their elements. A stream is remembered once; the batch at T
// is kept until one later than T+d is done.
func Remember[T any](s Stream[T], d time.Duration, opts ...Option) {
	if s.app == nil {
		return
	}
	if d <= 0 {
		s.app.reject("Remember: the time is not positive: %v", d)
	}
	if s.node.memory != nil {
		s.app.reject("Remember: %s is remembered already", s.Name())
	}
	m := &memory[T]{keep: d, interval: s.app.config.Interval}
	s.node.memory = m
	output(s, plan.Node{Op: "remember", Detail: d.String()}, opts, func(nodeConfig) func(context.Context, BatchInfo, batch.Batch[T]) error {
		return func(_ context.Context, at BatchInfo, b batch.Batch[T]) error {
			m.add(TimedBatch[T]{Time: at.Time, Batch: batch.Store(b).With(nil)})
			return nil
		}
	})
}

// TimedBatch is a batch and its time.
type TimedBatch[T any] struct {
	Time  time.Time
	Batch batch.Batch[T]
}

// Slice returns the batches of s from one time to another, both included, that
// have been computed and are remembered, oldest first: see [Remember]. The
// times are rounded down to batch times. Any goroutine may call it.
func Slice[T any](s Stream[T], from, to time.Time) ([]TimedBatch[T], error) {
	if s.app == nil || s.node.memory == nil {
		return nil, fmt.Errorf("stream: slice of %q: the stream is not remembered; declare how long with Remember", s.Name())
	}
	return s.node.memory.slice(from, to), nil
}

type memory[T any] struct {
	keep, interval time.Duration

	mu      sync.Mutex
	batches []TimedBatch[T] // oldest first
}

func (m *memory[T]) add(b TimedBatch[T]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.batches = slices.DeleteFunc(m.batches, func(old TimedBatch[T]) bool {
		return old.Time.Add(m.keep).Before(b.Time) || !old.Time.Before(b.Time) // the batch is run again
	})
	m.batches = append(m.batches, b)
}

func (m *memory[T]) slice(from, to time.Time) []TimedBatch[T] {
	from, to = engine.Floor(from, m.interval), engine.Floor(to, m.interval)
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []TimedBatch[T]
	for _, b := range m.batches {
		if !b.Time.Before(from) && !b.Time.After(to) {
			found = append(found, b)
		}
	}
	return found
}
