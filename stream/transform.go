package stream

import (
	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
)

// Transform gives what f makes of each batch, with the operators of package
// batch or without. f is called once for each batch, by one goroutine; it may
// read its argument any number of times.
//
//	sorted := stream.Transform(words, func(b batch.Batch[string]) batch.Batch[string] {
//		return batch.SortFunc(b, strings.Compare)
//	})
func Transform[T, U any](s Stream[T], f func(batch.Batch[T]) batch.Batch[U], opts ...Option) Stream[U] {
	if f == nil {
		s.app.reject("Transform: the function is nil")
	}
	return lift(s, "transform", opts, func(b batch.Batch[T]) batch.Batch[U] { return f(batch.Store(b)) })
}

// Transform2 gives what f makes of the batches of two streams of the same time.
// It is [Transform] otherwise.
func Transform2[A, B, U any](a Stream[A], b Stream[B], f func(batch.Batch[A], batch.Batch[B]) batch.Batch[U], opts ...Option) Stream[U] {
	if f == nil {
		appOf(a, b).reject("Transform2: the function is nil")
	}
	return add(appOf(a, b), plan.Node{Op: "transform"}, opts, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[U] {
		return func(at *engine.Batch, env *batch.Env) batch.Batch[U] {
			return f(stored(a, at, env), stored(b, at, env)).With(env)
		}
	}, a, b)
}

// Transform3 gives what f makes of the batches of three streams of the same
// time. It is [Transform] otherwise.
func Transform3[A, B, C, U any](a Stream[A], b Stream[B], c Stream[C], f func(batch.Batch[A], batch.Batch[B], batch.Batch[C]) batch.Batch[U], opts ...Option) Stream[U] {
	if f == nil {
		appOf(a, b, c).reject("Transform3: the function is nil")
	}
	return add(appOf(a, b, c), plan.Node{Op: "transform"}, opts, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[U] {
		return func(at *engine.Batch, env *batch.Env) batch.Batch[U] {
			return f(stored(a, at, env), stored(b, at, env), stored(c, at, env)).With(env)
		}
	}, a, b, c)
}

// TransformN gives what f makes of the batches of streams of one type of the
// same time, in the order of the streams, of which there is at least one. It is
// [Transform] otherwise.
func TransformN[T, U any](streams []Stream[T], f func([]batch.Batch[T]) batch.Batch[U], opts ...Option) Stream[U] {
	inputs := untyped(streams)
	if f == nil {
		appOf(inputs...).reject("TransformN: the function is nil")
	}
	return add(appOf(inputs...), plan.Node{Op: "transform"}, opts, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[U] {
		return func(at *engine.Batch, env *batch.Env) batch.Batch[U] {
			batches := make([]batch.Batch[T], len(streams))
			for i, s := range streams {
				batches[i] = stored(s, at, env)
			}
			return f(batches).With(env)
		}
	}, inputs...)
}

// stored is a stream's batch for a function that may read it several times.
func stored[T any](s Stream[T], at *engine.Batch, env *batch.Env) batch.Batch[T] {
	return batch.Store(s.read(at).With(env))
}
