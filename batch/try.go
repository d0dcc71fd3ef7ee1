package batch

import (
	"fmt"
	"iter"
	"sync/atomic"
)

// Failed is an element for which a function returned an error.
type Failed[T any] struct {
	Record T
	Reason error
}

// String says where the record is, if it can tell, else what it is, and why it
// failed.
func (f Failed[T]) String() string {
	if at, ok := any(f.Record).(interface{ Origin() string }); ok {
		return at.Origin() + ": " + f.Reason.Error()
	}
	return fmt.Sprintf("%v: %v", f.Record, f.Reason)
}

// Failures collects what failed in a [TryMap] while its good elements are read.
type Failures[T any] struct {
	env   *Env
	keep  int
	parts []failures[T]
	drain func(p int, keep bool) // tries partition p, and may keep what is good
}

type failures[T any] struct {
	tried atomic.Bool // set by the reading that notes what fails; a union with itself reads a partition twice at once
	list  []Failed[T]
	count int64
}

// TryMap gives f of each element where f returns no error. The elements where
// it does are found in the Failures, the first keep of the sequence at most;
// the others are only counted. f is called once for each element, whatever is
// read first and however little of it; only if the good elements are read twice
// is it called again, and what fails then is not counted again.
func TryMap[T, U any](b Batch[T], f func(T) (U, error), keep int) (Batch[U], *Failures[T]) {
	failed := &Failures[T]{env: b.env, keep: max(keep, 0), parts: make([]failures[T], len(b.parts))}
	early := make([][]U, len(b.parts)) // good elements of partitions that were drained before they were read; else nil
	try := func(p int, in iter.Seq[T], yield func(U) bool) {
		busy, more := 0, true
		defer b.env.blameBusy("tryMap", p, &busy)
		mine := &failed.parts[p]
		again := mine.tried.Swap(true)
		in(func(t T) bool {
			busy = 1
			u, err := f(t)
			busy = 0
			switch {
			case err == nil:
				more = more && yield(u)
			case !again:
				mine.count++
				if len(mine.list) < failed.keep {
					mine.list = append(mine.list, Failed[T]{Record: t, Reason: err})
				}
			}
			return more || !again // the first time, all elements are tried
		})
	}
	good := narrow(b, func(p int, in iter.Seq[T]) iter.Seq[U] {
		return func(yield func(U) bool) {
			if early[p] != nil {
				each(early[p], b.env)(yield)
				return
			}
			try(p, in, yield)
		}
	})
	failed.drain = func(p int, keep bool) {
		if keep {
			early[p] = []U{}
		}
		try(p, b.part(p), func(u U) bool {
			if keep {
				early[p] = append(early[p], u)
			}
			return keep
		})
	}
	return good, failed
}

// Drain tries the elements of the partitions that nobody has read yet. With
// keep, the good ones among them are there for who reads them later.
func (f *Failures[T]) Drain(keep bool) {
	f.env.run(len(f.parts), func(p int) {
		if !f.parts[p].tried.Load() {
			f.drain(p, keep)
		}
	})
}

// Count is how many elements have failed so far.
func (f *Failures[T]) Count() int64 {
	var n int64
	for i := range f.parts {
		n += f.parts[i].count
	}
	return n
}

// Batch gives the failed elements that were kept, in order. Call Drain before,
// or read all good elements.
func (f *Failures[T]) Batch() Batch[Failed[T]] {
	out := Batch[Failed[T]]{env: f.env, parts: make([]part[Failed[T]], len(f.parts))}
	left := f.keep
	for p := range f.parts {
		n := min(left, len(f.parts[p].list))
		out.parts[p].stored = f.parts[p].list[:n:n]
		left -= n
	}
	return out
}
