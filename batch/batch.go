package batch

import (
	"iter"
	"slices"
	"sync/atomic"
)

// Batch is a sequence of T in partitions. The zero value is empty. A Batch may
// be read by one goroutine at a time.
type Batch[T any] struct {
	env   *Env
	parts []part[T]
	steps []step[T] // to be applied to the elements of each part, in order
}

// part is one partition: elements that are stored, or a way to make them.
type part[T any] struct {
	stored []T
	seq    iter.Seq[T] // nil if stored
}

// step is a narrow operator that keeps the type: a map or a filter. A run of
// them is a list that one loop walks through, which costs one call for each
// operator and element where wrapped sequences cost two.
type step[T any] struct {
	op      string
	convert func(T) T
	keep    func(T) bool // if convert is nil
}

// Env says how the operators of a batch run. A batch that was made by [Of] has
// none and runs one partition after the other; the batches that a stream hands
// out run on the workers of the App.
type Env struct {
	// Run calls task(0) … task(n-1), some of them at the same time, and returns
	// when all have returned. A panic of a task is a panic of Run.
	Run     func(n int, task func(i int))
	Workers int          // how many tasks run at once
	Op      string       // name of the operator that is to blame for a panic
	Stop    *atomic.Bool // set when the results are no longer wanted

	// Keys is how many keys a partition had at most when the operator last put a
	// batch together by key, so that tables soon have room for as many. It is nil
	// if nobody is to know.
	Keys *atomic.Int64
}

// Of makes a batch of the given partitions. It keeps the slices and never
// changes them.
func Of[T any](partitions ...[]T) Batch[T] {
	b := Batch[T]{parts: make([]part[T], len(partitions))}
	for i, p := range partitions {
		b.parts[i].stored = p
	}
	return b
}

// Split makes a batch of n partitions of equal length out of one slice: partition
// p holds the positions from p*len/n up to (p+1)*len/n. Less than one partition
// counts as one. It keeps the slice and never changes it.
func Split[T any](elements []T, n int) Batch[T] {
	n = max(n, 1)
	b := Batch[T]{parts: make([]part[T], n)}
	for p := range n {
		from, to := p*len(elements)/n, (p+1)*len(elements)/n
		b.parts[p].stored = elements[from:to:to]
	}
	return b
}

// OfSeq makes a batch of partitions that are read each time anew.
func OfSeq[T any](partitions ...iter.Seq[T]) Batch[T] {
	b := Batch[T]{parts: make([]part[T], len(partitions))}
	for i, p := range partitions {
		b.parts[i].seq = p
	}
	return b
}

// With returns the same batch with another environment, for engines.
func (b Batch[T]) With(env *Env) Batch[T] {
	b.env = env
	return b
}

// Partitions is the number of partitions.
func (b Batch[T]) Partitions() int { return len(b.parts) }

// All yields the elements of all partitions, one after the other.
func (b Batch[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		more := true
		for p := range b.parts {
			b.part(p)(func(t T) bool {
				more = yield(t)
				return more
			})
			if !more {
				return
			}
		}
	}
}

// Partition yields the elements of one partition.
func (b Batch[T]) Partition(p int) iter.Seq[T] { return b.part(p) }

// Collect returns the elements in a slice that the caller owns.
func Collect[T any](b Batch[T]) []T { return slices.Concat(b.collect("collect")...) }

// Slices returns the partitions as slices. They belong to the batch: they may be
// kept and appended to, but not changed. No element is copied if the batch is
// stored.
func Slices[T any](b Batch[T]) [][]T { return b.collect("slices") }

// Store runs what is pending and returns a batch whose elements are kept, so
// that it can be read any number of times: Spark's cache.
func Store[T any](b Batch[T]) Batch[T] {
	if b.Stored() {
		return b
	}
	return Of(b.collect("store")...).With(b.env)
}

// Stored says whether the elements are kept: nothing runs when they are read.
func (b Batch[T]) Stored() bool {
	return len(b.steps) == 0 && !slices.ContainsFunc(b.parts, func(p part[T]) bool { return p.seq != nil })
}

// collect computes each partition; the slices must not be changed, since they
// are the stored ones where there are any. An append makes a new one.
func (b Batch[T]) collect(op string) [][]T {
	out := make([][]T, len(b.parts))
	b.eachPart(op, func(p int, in iter.Seq[T]) {
		if b.parts[p].seq == nil && len(b.steps) == 0 {
			out[p] = slices.Clip(b.parts[p].stored)
			return
		}
		var elements []T
		in(func(t T) bool {
			elements = append(elements, t)
			return true
		})
		out[p] = slices.Clip(elements)
	})
	return out
}

// eachPart runs do for every partition, on the workers. A panic in do itself
// is blamed on the operator, one in an operator before it is not.
func (b Batch[T]) eachPart(op string, do func(p int, in iter.Seq[T])) {
	b.env.run(len(b.parts), func(p int) {
		defer b.env.blame(op, p)
		do(p, b.part(p))
	})
}

// part is partition p with the steps applied.
func (b Batch[T]) part(p int) iter.Seq[T] {
	switch in := b.parts[p]; {
	case len(b.steps) > 0 && in.seq == nil:
		return stepSlice(in.stored, b.steps, b.env, p)
	case len(b.steps) > 0:
		return stepSeq(in.seq, b.steps, p)
	case in.seq == nil:
		return each(in.stored, b.env)
	default:
		return in.seq
	}
}

// chunk is after how many stored elements a partition looks whether to stop.
const chunk = 1024

// each yields stored elements.
func each[T any](elements []T, env *Env) iter.Seq[T] {
	return func(yield func(T) bool) {
		for rest := elements; len(rest) > 0 && !env.stopped(); {
			some := rest[:min(chunk, len(rest))]
			rest = rest[len(some):]
			for _, t := range some {
				if !yield(t) {
					return
				}
			}
		}
	}
}

func stepSlice[T any](elements []T, steps []step[T], env *Env, p int) iter.Seq[T] {
	return func(yield func(T) bool) {
		at := -1 // which step's function is running
		defer blameStep(steps, &at, p)
		for rest := elements; len(rest) > 0 && !env.stopped(); {
			some := rest[:min(chunk, len(rest))]
			rest = rest[len(some):]
			if !stepChunk(some, steps, &at, yield) {
				return
			}
		}
	}
}

func stepChunk[T any](elements []T, steps []step[T], at *int, yield func(T) bool) bool {
next:
	for _, t := range elements {
		for i := range steps {
			*at = i
			if s := &steps[i]; s.convert != nil {
				t = s.convert(t)
			} else if !s.keep(t) {
				continue next
			}
		}
		*at = -1
		if !yield(t) {
			return false
		}
	}
	*at = -1
	return true
}

func stepSeq[T any](in iter.Seq[T], steps []step[T], p int) iter.Seq[T] {
	return func(yield func(T) bool) {
		at := -1
		defer blameStep(steps, &at, p)
		in(func(t T) bool {
			for i := range steps {
				at = i
				if s := &steps[i]; s.convert != nil {
					t = s.convert(t)
				} else if !s.keep(t) {
					at = -1
					return true
				}
			}
			at = -1
			return yield(t)
		})
	}
}

// narrow applies a lazy operator to every partition.
func narrow[T, U any](b Batch[T], f func(p int, in iter.Seq[T]) iter.Seq[U]) Batch[U] {
	out := Batch[U]{env: b.env, parts: make([]part[U], len(b.parts))}
	for p := range b.parts {
		out.parts[p].seq = f(p, b.part(p))
	}
	return out
}

// step adds an operator that keeps the type.
func (b Batch[T]) step(s step[T]) Batch[T] {
	b.steps = append(slices.Clip(b.steps), s)
	return b
}

func (e *Env) run(n int, task func(i int)) {
	if e == nil || e.Run == nil || n == 1 {
		for i := range n {
			task(i)
		}
		return
	}
	e.Run(n, task)
}

func (e *Env) workers() int {
	if e == nil {
		return 1
	}
	return max(e.Workers, 1)
}

func (e *Env) stopped() bool { return e != nil && e.Stop != nil && e.Stop.Load() }

// op is the name of the operator that the batch belongs to, or the given one
// for a batch that belongs to none.
func (e *Env) op(name string) string {
	if e == nil || e.Op == "" {
		return name
	}
	return e.Op
}
