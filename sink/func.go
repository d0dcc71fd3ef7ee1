package sink

import (
	"context"
	"errors"
)

// Func makes a sink of a function, which is called as [Writer].Write is: with
// one batch at a time, empty ones included, and with the same one again after
// an error or a crash. Only its author knows what a reader sees then, so that
// has to be said: AtLeastOnce if write adds the elements to what is there,
// Idempotent if it replaces by Batch.ID what it may have written before.
//
//	sink.Func(sink.Idempotent, func(ctx context.Context, b sink.Batch[Count]) error {
//		return db.Replace(ctx, b.ID, b.Parts)
//	})
//
// For what has to be opened and closed, implement [Sink].
func Func[T any](d Delivery, write func(ctx context.Context, b Batch[T]) error) Sink[T] {
	return function[T]{d, write}
}

type function[T any] struct {
	delivery Delivery
	write    func(context.Context, Batch[T]) error
}

func (f function[T]) Check() error {
	if f.write == nil {
		return errors.New("sink: Func: the function is nil")
	}
	return nil
}

func (f function[T]) String() string { return "function" }

func (f function[T]) Open(context.Context, Options) (Writer[T], error) { return f, f.Check() }

func (f function[T]) Delivery() Delivery { return f.delivery }

func (f function[T]) Write(ctx context.Context, b Batch[T]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return f.write(ctx, b)
}

func (f function[T]) Close() error { return nil }
