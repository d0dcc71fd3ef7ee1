package stream

import (
	"sync/atomic"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
	"github.com/godstream/godstream/source"
)

// Failed is an element for which a function returned an error. It prints as
// where the record is, or what it is, and the reason.
type Failed[T any] = batch.Failed[T]

// Decode turns the bytes of records into values. Records that the codec refuses
// come out on the second stream, each with the reason and its place in the
// source:
//
//	tweets, malformed := stream.Decode(messages, codec.JSON[Tweet]().Check(hasAuthor))
//	stream.Print(malformed, stream.Writer(os.Stderr))
//
// It is [TryMap] with a codec: what is said there holds here.
func Decode[R source.Record, T any](s Stream[R], c codec.Codec[T], opts ...Option) (Stream[T], Stream[Failed[R]]) {
	if err := c.Err(); err != nil {
		s.app.reject("Decode: %w", err)
	}
	return try(s, plan.Node{Op: "decode", Detail: c.Name()}, opts, func(r R) (T, error) { return c.Decode(r.Payload()) })
}

// TryMap gives f of each element where f returns no error. The elements where
// it returns one come out on the second stream, with the error, in order.
//
//	numbers, bad := stream.TryMap(words, strconv.Atoi)
//
// f is called once for each element, whichever streams are read. The second
// stream holds at most as many elements of a batch as [KeepFailures] says; those
// beyond are counted in [App.Stats] and logged. So are all of them if nothing
// reads the second stream.
func TryMap[T, U any](s Stream[T], f func(T) (U, error), opts ...Option) (Stream[U], Stream[Failed[T]]) {
	if f == nil {
		s.app.reject("TryMap: the function is nil")
	}
	return try(s, plan.Node{Op: "tryMap"}, opts, f)
}

func try[T, U any](s Stream[T], n plan.Node, opts []Option, f func(T) (U, error)) (Stream[U], Stream[Failed[T]]) {
	if s.app == nil {
		return Stream[U]{}, Stream[Failed[T]]{}
	}
	var (
		at     int64 // number of the batch that these are of
		tried  batch.Batch[U]
		failed *batch.Failures[T]
		keep   int
	)
	good := add(s.app, n, opts, func(c nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[U] {
		keep = c.keep
		return func(b *engine.Batch, env *batch.Env) batch.Batch[U] {
			if at != b.Seq {
				tried, failed = batch.TryMap(s.read(b).With(env), f, keep)
				at = b.Seq
			}
			return tried
		}
	}, s)
	name := good.Name()
	bad := add(s.app, plan.Node{Op: "failed", Side: true}, []Option{Name(name + "-failed")}, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[Failed[T]] {
		return func(b *engine.Batch, env *batch.Env) batch.Batch[Failed[T]] {
			good.node.run(b)
			failed.Drain(good.node.readers > 0) // who has not read them yet finds them there
			return failed.Batch().With(env)
		}
	}, good)

	count := &failureCount{name: name}
	a := s.app
	a.failures = append(a.failures, count)
	a.finishers = append(a.finishers, func(b *engine.Batch) {
		if at != b.Seq {
			return
		}
		failed.Drain(false)
		n := failed.Count()
		if n == 0 {
			return
		}
		count.total.Add(n)
		switch kept := failed.Batch(); {
		case bad.node.readers == 0:
			a.config.Logger.Warn("records failed and nothing reads the failed stream", "app", a.Name(), "operator", name,
				"batch", b.Time, "records", n, "first", firstOf(kept))
		case n > int64(keep):
			count.beyond.Add(n - int64(keep))
			a.config.Logger.Warn("more records failed than the failed stream keeps", "app", a.Name(), "operator", name,
				"batch", b.Time, "records", n, "kept", keep)
		}
	})
	a.forgetter = append(a.forgetter, func() { at, tried, failed = 0, batch.Batch[U]{}, nil })
	return good, bad
}

func firstOf[T any](b batch.Batch[Failed[T]]) string {
	for f := range b.All() {
		return f.String()
	}
	return "none kept"
}

// failureCount counts what failed in one operator.
type failureCount struct {
	name          string
	total, beyond atomic.Int64
}
