package stream

import (
	"slices"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
	"github.com/godstream/godstream/window"
)

// Window gives, at each multiple of the window's slide, the elements of all
// batches that the window covers, oldest first. At other times the stream has
// no batch, and nothing that follows from it runs. Windows need no checkpoint.
//
//	lastMinute := stream.Window(lines, window.Sliding(time.Minute, 5*time.Second))
//
// It keeps the elements that the window covers in memory. To count or reduce
// them, the other windowed operators keep less.
func Window[T any](s Stream[T], w window.Window, opts ...Option) Stream[T] {
	return windowed(s, "window", w, opts, batch.Store[T], func(env *batch.Env, panes []batch.Batch[T]) batch.Batch[T] {
		return batch.Union(panes...)
	})
}

// CountByWindow gives exactly one number at each slide: how many elements the
// window covers, 0 included. It keeps a number for each batch.
func CountByWindow[T any](s Stream[T], w window.Window, opts ...Option) Stream[int64] {
	return windowed(s, "countByWindow", w, opts, batch.Count[T], func(env *batch.Env, panes []batch.Batch[int64]) batch.Batch[int64] {
		return batch.Sum(batch.Union(panes...).With(env))
	})
}

// ReduceByWindow combines all elements that the window covers into one, oldest
// first but grouped in any way, so combine must be associative. A window
// without elements gives an empty batch. It keeps an element for each batch.
func ReduceByWindow[T any](s Stream[T], combine func(a, b T) T, w window.Window, opts ...Option) Stream[T] {
	if combine == nil {
		s.app.reject("ReduceByWindow: combine is nil")
	}
	reduce := func(b batch.Batch[T]) batch.Batch[T] { return batch.Reduce(b, combine) }
	return windowed(s, "reduceByWindow", w, opts, reduce, func(env *batch.Env, panes []batch.Batch[T]) batch.Batch[T] {
		return reduce(batch.Union(panes...).With(env))
	})
}

// CountByValueAndWindow counts how often each element occurs in what the window
// covers, in the order in which they first appear there. An element that no
// longer occurs is gone.
//
//	top := stream.Top(stream.CountByValueAndWindow(authors, lastMinute), 5, stream.ByValue)
//
// It keeps the counts of each batch, and merges all of them at each slide.
func CountByValueAndWindow[T comparable](s Stream[T], w window.Window, opts ...Option) Stream[Pair[T, int64]] {
	return windowed(s, "countByValueAndWindow", w, opts, batch.CountByValue[T], func(env *batch.Env, panes []batch.Batch[Pair[T, int64]]) batch.Batch[Pair[T, int64]] {
		return batch.ReduceByKey(batch.Union(panes...).With(env), func(a, b int64) int64 { return a + b })
	})
}

// ReduceByKeyAndWindow combines the values that each key has in what the window
// covers, oldest first but grouped in any way, so combine must be associative.
// Keys come out in the order in which they first appear there; one without
// values is gone. It keeps a value for each key and batch, and merges all of
// them at each slide.
func ReduceByKeyAndWindow[K comparable, V any](s Stream[Pair[K, V]], combine func(a, b V) V, w window.Window, opts ...Option) Stream[Pair[K, V]] {
	if combine == nil {
		s.app.reject("ReduceByKeyAndWindow: combine is nil")
	}
	reduce := func(b batch.Batch[Pair[K, V]]) batch.Batch[Pair[K, V]] { return batch.ReduceByKey(b, combine) }
	return windowed(s, "reduceByKeyAndWindow", w, opts, reduce, func(env *batch.Env, panes []batch.Batch[Pair[K, V]]) batch.Batch[Pair[K, V]] {
		return reduce(batch.Union(panes...).With(env))
	})
}

// GroupByKeyAndWindow gives all values that each key has in what the window
// covers, oldest first. Keys come out in the order in which they first appear
// there. It keeps every value in memory; see [GroupByKey] for the cheaper ways.
func GroupByKeyAndWindow[K comparable, V any](s Stream[Pair[K, V]], w window.Window, opts ...Option) Stream[Pair[K, []V]] {
	return windowed(s, "groupByKeyAndWindow", w, opts, batch.Store[Pair[K, V]], func(env *batch.Env, panes []batch.Batch[Pair[K, V]]) batch.Batch[Pair[K, []V]] {
		return batch.GroupByKey(batch.Union(panes...).With(env))
	})
}

// windowed declares an operator on a window: of each batch of s it keeps what
// pane makes of it, and at each slide it gives what merge makes of those that
// the window covers, oldest first.
func windowed[T, P, U any](s Stream[T], op string, w window.Window, opts []Option,
	pane func(batch.Batch[T]) batch.Batch[P], merge func(env *batch.Env, panes []batch.Batch[P]) batch.Batch[U]) Stream[U] {
	if s.app == nil {
		return Stream[U]{}
	}
	if err := w.Check(s.node.period); err != nil {
		s.app.reject("%s of %s: %w", op, s.Name(), err)
	}
	type timed struct {
		at   time.Time
		pane batch.Batch[P]
	}
	var (
		panes []timed // those that the window of the last batch covers, oldest first
		seen  int64   // number of the last batch that has a pane
	)
	observe := func(b *engine.Batch, env *batch.Env) {
		if seen == b.Seq {
			return
		}
		panes = slices.DeleteFunc(panes, func(p timed) bool { return !w.Covers(b.Time, p.at) })
		panes = append(panes, timed{b.Time, pane(s.read(b).With(env))})
		seen = b.Seq
	}
	out := add(s.app, plan.Node{Op: op, Detail: w.String()}, opts, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[U] {
		return func(b *engine.Batch, env *batch.Env) batch.Batch[U] {
			observe(b, env)
			covered := make([]batch.Batch[P], len(panes))
			for i, p := range panes {
				covered[i] = p.pane
			}
			return merge(env, covered).With(env)
		}
	}, s)
	parent := s.node.period
	out.node.period = max(w.Slide, parent) // a slide that is wrong has been rejected
	needed := false
	s.app.sealers = append(s.app.sealers, func(_ []int, all []bool) { needed = all[out.node.id] })
	s.app.observers = append(s.app.observers, func(b *engine.Batch) {
		if needed && present(parent, b.Time) {
			defer out.node.env.Blame(-1)
			observe(b, out.node.env)
		}
	})
	return out
}
