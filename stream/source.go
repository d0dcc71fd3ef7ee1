package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
	"github.com/godstream/godstream/source"
)

// From makes a stream of a source's records. In each batch it has the
// partitions of the source.
func From[R any](a *App, src source.Source[R], opts ...Option) Stream[R] {
	if a == nil || !a.made {
		return Stream[R]{} // Run says so
	}
	n := plan.Node{Op: "from"}
	if d, ok := src.(fmt.Stringer); ok {
		n.Detail = d.String()
	}
	if src == nil {
		a.reject("From: the source is nil")
	} else if c, ok := src.(interface{ Check() error }); ok {
		if err := c.Check(); err != nil {
			a.reject("From: %w", err)
		}
	}
	place := len(a.program.Sources)
	s := add(a, n, opts, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[R] {
		return func(b *engine.Batch, env *batch.Env) batch.Batch[R] {
			return batch.Of(b.Slices[place].Elements.(source.Slice[R]).Partitions()...).With(env)
		}
	})
	a.program.Sources = append(a.program.Sources, &opened[R]{app: a, name: s.Name(), source: src})
	return s
}

// opened is a source without its type, as the engine sees it.
type opened[R any] struct {
	app    *App
	name   string
	source source.Source[R]

	mu     sync.Mutex // Stats may be called while the source is being opened or closed
	reader source.Reader[R]
}

func (o *opened[R]) Name() string { return o.name }

func (o *opened[R]) Open(ctx context.Context) error {
	c := o.app.config
	r, err := o.source.Open(ctx, source.Options{
		Name: o.name, App: c.Name, Replay: c.Ticks == Replay, Partitions: c.Partitions, Prefetch: c.Prefetch,
		MaxBatchBytes: o.app.program.Share(c.MaxBatchBytes), Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reader = r
	return nil
}

func (o *opened[R]) Cut(ctx context.Context, r source.Request) (engine.Slice, error) {
	slice, err := o.reader.Cut(ctx, r)
	if err != nil {
		return engine.Slice{}, err
	}
	out := engine.Slice{Elements: slice, End: slice.End, Ranges: make([]source.Range, len(slice.Parts))}
	for p, part := range slice.Parts {
		out.Ranges[p] = part.Range
		out.Records += int64(len(part.Records))
		out.Bytes += part.Bytes
	}
	return out, nil
}

func (o *opened[R]) Commit(ctx context.Context, done []source.Range) error {
	return o.reader.Commit(ctx, done)
}

func (o *opened[R]) Next(ctx context.Context) (time.Time, bool, error) { return o.reader.Next(ctx) }

func (o *opened[R]) Close() error { return o.reader.Close() }

func (o *opened[R]) Stats() source.Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reader == nil {
		return source.Stats{}
	}
	return o.reader.Stats()
}
