package source

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"time"
	"unsafe"
)

// Func gives the elements of an iterator, and ends when it does: for what a
// program computes, polls or receives by itself.
//
//	numbers := source.Func(func(ctx context.Context, from int64) iter.Seq2[int, error] {
//		return func(yield func(int, error) bool) {
//			for i := int(from); ctx.Err() == nil && yield(i, nil); i++ {
//			}
//		}
//	})
//
// f is called once each time an App is run. The iterator is to begin with
// element number from, counted from 0; that is 0 unless a checkpoint says
// otherwise. It runs in a goroutine of its own, ahead of the batches; while the
// program falls behind, its calls of yield take longer. It must return soon when
// ctx ends.
//
// An error that it yields, or a panic, ends the App, with the number of the
// element; elements before it that are in no batch yet are not processed.
//
// Options: [Time], without which a Func can't be replayed, and [Size].
func Func[T any](f func(ctx context.Context, from int64) iter.Seq2[T, error], opts ...Option) Source[T] {
	s := &function[T]{settings: configure("Func", settings{}, opts), f: f}
	s.at = typed[func(T) time.Time](&s.settings, "Time", s.time)
	s.bytes = typed[func(T) int](&s.settings, "Size", s.size)
	if f == nil {
		s.fault("the function is nil")
	}
	return s
}

type function[T any] struct {
	settings
	f     func(context.Context, int64) iter.Seq2[T, error]
	at    func(T) time.Time
	bytes func(T) int
}

func (s *function[T]) String() string { return "function" }

// Open implements [Source].
func (s *function[T]) Open(ctx context.Context, o Options) (Reader[T], error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if o.Replay && s.at == nil {
		return nil, fmt.Errorf("source: a Func can't be replayed without the option Time")
	}
	b := NewBuffer[T](o)
	b.Spread()
	at, _ := o.Position("")
	n := at.Offset
	feed := b.Feed("", n)
	b.Go(func(ctx context.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("source: function: element %d: panic: %v\n%s", n, p, debug.Stack())
			}
		}()
		for v, err := range s.f(ctx, n) {
			if err != nil {
				return fmt.Errorf("source: function: element %d: %w", n, err)
			}
			var at time.Time
			if o.Replay {
				at = s.at(v)
			}
			size := 64 + int(unsafe.Sizeof(v))
			if s.bytes != nil {
				size = s.bytes(v)
			}
			n++
			if err := feed.Put(v, n, size, at); err != nil {
				return err
			}
		}
		feed.End()
		return nil
	})
	return b, nil
}
