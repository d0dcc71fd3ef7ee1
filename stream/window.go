package stream

import (
	"slices"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
	"github.com/godstream/godstream/internal/state"
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
	type pane struct {
		at       time.Time
		elements batch.Batch[T]
	}
	var panes []pane // oldest first
	var keep *panesKeeper[T]
	var c nodeConfig
	out := windowed(s, "window", w, opts, &c, func(at time.Time, in batch.Batch[T]) {
		panes = slices.DeleteFunc(panes, func(p pane) bool { return !w.Covers(at, p.at) })
		stored := batch.Store(in)
		panes = append(panes, pane{at, stored})
		keep.leave(at.Add(-w.Length))
		keep.enter(at, batch.Slices(stored))
	}, func() batch.Batch[T] {
		covered := make([]batch.Batch[T], len(panes))
		for i, p := range panes {
			covered[i] = p.elements
		}
		return batch.Union(covered...)
	})
	if s.app == nil {
		return out
	}
	keep = keepPanes(s.app, out.node.id, out.Name(), "window", c, formOf[T](c), func() int { return len(panes) }, func(at time.Time, elements []T) {
		panes = append(panes, pane{at, batch.Of(elements)})
	}, func() { panes = nil })
	return out
}

// CountByWindow gives exactly one number at each slide: how many elements the
// window covers, 0 included. It keeps a number for each batch.
func CountByWindow[T any](s Stream[T], w window.Window, opts ...Option) Stream[int64] {
	total := int64(0)
	type pane struct {
		at time.Time
		n  int64
	}
	var panes []pane
	var keep *panesKeeper[int64]
	var c nodeConfig
	out := windowed(s, "countByWindow", w, opts, &c, func(at time.Time, in batch.Batch[T]) {
		keep.leave(at.Add(-w.Length))
		for len(panes) > 0 && !w.Covers(at, panes[0].at) {
			total -= panes[0].n
			panes = panes[1:]
		}
		for n := range batch.Count(in).All() {
			if n > 0 {
				total += n
				panes = append(panes, pane{at, n})
				keep.enter(at, [][]int64{{n}})
			}
		}
	}, func() batch.Batch[int64] { return batch.Of([]int64{total}) })
	if s.app == nil {
		return out
	}
	keep = keepPanes(s.app, out.node.id, out.Name(), "countByWindow", c, formOf[int64](c), func() int { return len(panes) }, func(at time.Time, n []int64) {
		for _, n := range n {
			total += n
			panes = append(panes, pane{at, n})
		}
	}, func() { panes, total = nil, 0 })
	return out
}

// ReduceByWindow combines all elements that the window covers into one, oldest
// first but grouped in any way, so combine must be associative; it must not
// change its arguments. A window without elements gives an empty batch. It keeps
// an element for each batch, and combines two or three at each slide.
func ReduceByWindow[T any](s Stream[T], combine func(a, b T) T, w window.Window, opts ...Option) Stream[T] {
	if combine == nil {
		s.app.reject("ReduceByWindow: combine is nil")
	}
	type unit = struct{}
	return Map(byKeyAndWindow(s, "reduceByWindow", w, opts, func(b batch.Batch[T]) batch.Batch[Pair[unit, T]] {
		return batch.Map(batch.Reduce(b, combine), func(t T) Pair[unit, T] { return P(unit{}, t) })
	}, combine, nil), batch.ByValue)
}

// CountByValueAndWindow counts how often each element occurs in what the window
// covers, in the order in which they first appear there. An element that no
// longer occurs is gone.
//
//	top := stream.Top(stream.CountByValueAndWindow(authors, lastMinute), 5, stream.ByValue)
//
// It keeps the counts of each batch. The work at a slide is that of counting what
// enters and leaves, and of giving the result.
func CountByValueAndWindow[T comparable](s Stream[T], w window.Window, opts ...Option) Stream[Pair[T, int64]] {
	return byKeyAndWindow(s, "countByValueAndWindow", w, opts, batch.CountByValue[T],
		func(a, b int64) int64 { return a + b }, func(a, b int64) int64 { return a - b })
}

// ReduceByKeyAndWindow combines the values that each key has in what the window
// covers, oldest first but grouped in any way, so combine must be associative; it
// must not change its arguments. Keys come out in the order in which they first
// appear there; one without values is gone, so no filter function is needed for
// that.
//
// It keeps a value for each key and batch. The work at a slide is that of the
// keys that enter and leave, and of giving the result: each value is combined
// twice on the way through the window, however long that is.
func ReduceByKeyAndWindow[K comparable, V any](s Stream[Pair[K, V]], combine func(a, b V) V, w window.Window, opts ...Option) Stream[Pair[K, V]] {
	if combine == nil {
		s.app.reject("ReduceByKeyAndWindow: combine is nil")
	}
	return byKeyAndWindow(s, "reduceByKeyAndWindow", w, opts, func(b batch.Batch[Pair[K, V]]) batch.Batch[Pair[K, V]] {
		return batch.ReduceByKey(b, combine)
	}, combine, nil)
}

// ReduceByKeyAndWindowInverse is [ReduceByKeyAndWindow] for values that can be
// taken out again: inverse(combine(a, b), a) must be b. It is a little faster
// than that, but for values that are not exact: what is taken out of a
// floating-point sum leaves its rounding errors behind as long as the key has
// other values in the window.
//
//	stream.ReduceByKeyAndWindowInverse(sales, add, subtract, lastHour)
func ReduceByKeyAndWindowInverse[K comparable, V any](s Stream[Pair[K, V]], combine, inverse func(a, b V) V, w window.Window, opts ...Option) Stream[Pair[K, V]] {
	if combine == nil || inverse == nil {
		s.app.reject("ReduceByKeyAndWindowInverse: combine or inverse is nil")
	}
	return byKeyAndWindow(s, "reduceByKeyAndWindow", w, opts, func(b batch.Batch[Pair[K, V]]) batch.Batch[Pair[K, V]] {
		return batch.ReduceByKey(b, combine)
	}, combine, inverse)
}

// GroupByKeyAndWindow gives all values that each key has in what the window
// covers, oldest first. Keys come out in the order in which they first appear
// there. The slices belong to the batch: they may be kept and appended to, but
// not changed. It keeps every value in memory; see [GroupByKey] for the cheaper
// ways.
func GroupByKeyAndWindow[K comparable, V any](s Stream[Pair[K, V]], w window.Window, opts ...Option) Stream[Pair[K, []V]] {
	// What is appended lies behind what has been given out, and what leaves is
	// cut off in front, so that each value is copied now and then only.
	return MapValues(byKeyAndWindow(s, "groupByKeyAndWindow", w, opts, batch.GroupByKey[K, V],
		func(all, newer []V) []V { return append(all, newer...) },
		func(all, oldest []V) []V { return all[len(oldest):] }), slices.Clip[[]V])
}

// byKeyAndWindow declares an operator on a window that keeps a value of each key
// and batch.
func byKeyAndWindow[T any, K comparable, V any](s Stream[T], op string, w window.Window, opts []Option,
	pane func(batch.Batch[T]) batch.Batch[Pair[K, V]], combine, inverse func(a, b V) V) Stream[Pair[K, V]] {
	kept, partitions := state.NewWindow[K](combine, inverse), 1
	var keep *panesKeeper[Pair[K, V]]
	var c nodeConfig
	out := windowed(s, op, w, opts, &c, func(at time.Time, in batch.Batch[T]) {
		reduced := batch.Slices(pane(in))
		keep.leave(at.Add(-w.Length))
		keep.enter(at, reduced)
		kept.Leave(at.Add(-w.Length))
		kept.Enter(at, reduced...)
		partitions = len(reduced)
	}, func() batch.Batch[Pair[K, V]] { return batch.Split(kept.Pairs(), partitions) })
	if s.app == nil {
		return out
	}
	keep = keepPanes(s.app, out.node.id, out.Name(), op, c, formOfPairs[K, V](c), kept.Len,
		func(at time.Time, pairs []Pair[K, V]) { kept.Enter(at, pairs) }, kept.Reset)
	return out
}

// windowed declares an operator on a window. It shows every batch of s to enter
// that a window will cover, and at each slide it gives what result returns, which
// is called after enter.
func windowed[T, U any](s Stream[T], op string, w window.Window, opts []Option, c *nodeConfig,
	enter func(at time.Time, in batch.Batch[T]), result func() batch.Batch[U]) Stream[U] {
	if s.app == nil {
		return Stream[U]{}
	}
	if err := w.Check(s.node.period); err != nil {
		s.app.reject("%s of %s: %w", op, s.Name(), err)
		w = window.Tumbling(s.node.period)
	}
	seen := int64(0) // number of the last batch that was entered
	observe := func(b *engine.Batch, env *batch.Env) {
		if seen != b.Seq {
			enter(b.Time, s.read(b).With(env))
			seen = b.Seq
		}
	}
	out := add(s.app, plan.Node{Op: op, Detail: w.String()}, opts, func(conf nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[U] {
		*c = conf
		return func(b *engine.Batch, env *batch.Env) batch.Batch[U] {
			observe(b, env)
			return result().With(env)
		}
	}, s)
	s.app.resetters = append(s.app.resetters, func() { seen = 0 })
	parent := s.node.period
	out.node.period = w.Slide
	out.node.reach = s.node.reach + w.Length
	s.app.emits = s.app.emits || s.node.emits
	if s.node.reach == 0 {
		s.app.windows = append(s.app.windows, w)
	} else { // which ticks a window on windows needs is not worth the arithmetic
		s.app.keepFor = max(s.app.keepFor, out.node.reach)
	}
	needed := false
	s.app.sealers = append(s.app.sealers, func(_ []int, all []bool) { needed = all[out.node.id] })
	s.app.observers = append(s.app.observers, func(b *engine.Batch) {
		if needed && s.app.present(parent, b.Time) && w.Covers(engine.Ceil(b.Time, w.Slide), b.Time) {
			defer out.node.env.Blame(-1)
			observe(b, out.node.env)
		}
	})
	return out
}
