package sink

import (
	"context"
	"reflect"
	"slices"
	"sync"
)

// Collect keeps every batch in memory, for tests and demonstrations:
//
//	counts := sink.Collect[Count]()
//	stream.To(s, counts)
//	err := app.Run(ctx)
//	for _, b := range counts.Batches() {
//
// A batch that is written again counts once, as it was at first. After a restart
// it is known by the names of App and output, its ID and its elements, compared as
// by [reflect.DeepEqual]. So two Apps of one name, or two runs, have both their
// batches here, unless the elements are the same.
func Collect[T any]() *Collection[T] { return &Collection[T]{seen: map[batchKey][]Batch[T]{}} }

// Collection is a sink that [Collect] makes. It may be opened several times, by
// several Apps, and read while they run.
type Collection[T any] struct {
	mu      sync.Mutex
	seen    map[batchKey][]Batch[T]
	batches []Batch[T]
}

// batchKey tells batches apart, those of different outputs too.
type batchKey struct{ app, output, id string }

// Batches returns the batches so far, in the order in which they were written.
// The slice belongs to the caller, the elements must not be changed.
func (c *Collection[T]) Batches() []Batch[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.batches)
}

func (c *Collection[T]) String() string { return "memory" }

// Open implements [Sink].
func (c *Collection[T]) Open(_ context.Context, o Options) (Writer[T], error) {
	return collector[T]{c, o, map[string]bool{}}, nil
}

// Delivery implements [Sink]: it is Idempotent.
func (c *Collection[T]) Delivery() Delivery { return Idempotent }

type collector[T any] struct {
	to      *Collection[T]
	o       Options
	written map[string]bool // IDs of batches
}

func (w collector[T]) Write(ctx context.Context, b Batch[T]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if w.written[b.ID] {
		return nil
	}
	w.written[b.ID] = true
	kept := b
	kept.Parts = make([][]T, len(b.Parts))
	for i, p := range b.Parts {
		kept.Parts[i] = slices.Clone(p)
	}
	w.to.mu.Lock()
	defer w.to.mu.Unlock()
	key := batchKey{w.o.App, w.o.Name, b.ID}
	if !slices.ContainsFunc(w.to.seen[key], func(b Batch[T]) bool {
		return reflect.DeepEqual(slices.Concat(b.Parts...), slices.Concat(kept.Parts...))
	}) {
		w.to.seen[key] = append(w.to.seen[key], kept)
		w.to.batches = append(w.to.batches, kept)
	}
	return nil
}

func (w collector[T]) Close() error { return nil }
