package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/source"
)

// BatchInfo tells an output which batch it is given.
type BatchInfo struct {
	Time   time.Time // T, the end of the batch's interval
	Ranges []SourceRanges
	number int64
	hold   func(context.Context) ([]sink.Claim, func(), error)
}

// SourceRanges is what a batch holds of one source, by partition: the offset
// ranges of a Kafka source.
type SourceRanges struct {
	Source string // name of the operator
	Ranges []source.Range
}

// ID is the same for a batch whenever it is run again, and sorts as its time
// does: the time in UTC, to the nanosecond.
func (i BatchInfo) ID() string { return i.Time.UTC().Format("2006-01-02T15:04:05.000000000Z") }

// ForEach calls do with each element, one after the other in order. An error of
// do fails the batch, which ends Run with it.
func ForEach[T any](s Stream[T], do func(T) error, opts ...Option) {
	if do == nil {
		s.app.reject("ForEach: the function is nil")
	}
	output(s, plan.Node{Op: "forEach"}, opts, func(nodeConfig) func(context.Context, BatchInfo, batch.Batch[T]) error {
		return func(ctx context.Context, _ BatchInfo, b batch.Batch[T]) error {
			for t := range b.All() {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err := do(t); err != nil {
					return err
				}
			}
			return nil
		}
	})
}

// ForEachBatch calls do with each batch, empty ones included: the general
// output. The elements are stored; do may read them any number of times, in any
// way, until it returns. ctx ends when Config.DrainTimeout is over. An error of
// do fails the batch, which ends Run with it.
//
//	stream.ForEachBatch(counts, func(ctx context.Context, at stream.BatchInfo, b batch.Batch[Count]) error {
//		return db.Replace(ctx, at.ID(), batch.Collect(b))
//	})
func ForEachBatch[T any](s Stream[T], do func(ctx context.Context, at BatchInfo, b batch.Batch[T]) error, opts ...Option) {
	if do == nil {
		s.app.reject("ForEachBatch: the function is nil")
	}
	output(s, plan.Node{Op: "forEachBatch"}, opts, func(nodeConfig) func(context.Context, BatchInfo, batch.Batch[T]) error { return do })
}

// To writes each batch of s, empty ones included, to a sink. What a reader of
// the sink sees of a batch that had to be written again is what its Delivery
// says.
//
//	stream.To(lines, sink.Files(sink.FilesConfig{Dir: "out"}, sink.Text[string]))
func To[T any](s Stream[T], to sink.Sink[T], opts ...Option) {
	if s.app == nil {
		return
	}
	n := plan.Node{Op: "to"}
	if d, ok := to.(fmt.Stringer); ok {
		n.Detail = d.String()
	}
	if to == nil {
		s.app.reject("To: the sink is nil")
	} else if c, ok := to.(interface{ Check() error }); ok {
		if err := c.Check(); err != nil {
			s.app.reject("To: %w", err)
		}
	}
	var w sink.Writer[T]
	exact := to != nil && to.Delivery() == sink.Transactional
	if exact {
		s.app.transactional = append(s.app.transactional, s.app.fault("To: the sink is transactional, which needs a checkpoint: make the program with GetOrCreate"))
		if _, ok := to.(sink.Claiming); !ok && s.app.shared != "" {
			s.app.reject("To: %s is shared, and this transactional sink can't store how far it was read; use one that can, or read all partitions in one program (without Shared)", s.app.shared)
		}
		if len(s.app.transactional) > 1 && s.app.shared != "" {
			s.app.reject("To: a second transactional sink; %s is shared, and how far it was read is stored in the transaction of one sink", s.app.shared)
		}
	}
	o := output(s, n, opts, func(nodeConfig) func(context.Context, BatchInfo, batch.Batch[T]) error {
		return func(ctx context.Context, at BatchInfo, b batch.Batch[T]) error {
			err := w.Write(ctx, sink.Batch[T]{ID: at.ID(), Time: at.Time.UTC(), Number: at.number, Hold: at.hold, Parts: batch.Slices(b)})
			if errors.Is(err, sink.ErrRevoked) {
				err = fmt.Errorf("%w: %w", source.ErrRevoked, err)
			}
			return err
		}
	})
	o.Open = func(ctx context.Context) (err error) {
		w, err = to.Open(ctx, sink.Options{Name: o.Name, App: s.app.Name(), Logger: s.app.config.Logger, Checkpoint: s.app.checkpoint,
			Shared: s.app.shared != "", Member: s.app.member()})
		return err
	}
	o.Exact = exact
	if exact && s.app.shared == "" {
		o.Marker = func(ctx context.Context) (string, int64, error) {
			marked, ok := w.(sink.Marked[T])
			if !ok {
				return "", 0, fmt.Errorf("the sink says that it is transactional, but its writer %T has no Marker", w)
			}
			m, err := marked.Marker(ctx)
			return m.Checkpoint, m.Number, err
		}
	}
	o.Close = func() error { return w.Close() }
}

// output declares an output: do gets each batch of s, computed and stored.
func output[T any](s Stream[T], n plan.Node, opts []Option, do func(nodeConfig) func(context.Context, BatchInfo, batch.Batch[T]) error) *engine.Output {
	if s.app == nil {
		return nil
	}
	a := s.app
	n.Output = true
	c, _, _ := a.declare(n, opts, []input{s})
	if a.isLate() {
		return &engine.Output{}
	}
	run, env := do(c), a.env(c.name)
	whole := *env
	whole.Stop = nil // an output is never shown a part of a batch as if it were all
	period := s.node.period
	var (
		stored int64 // number of the batch of which these are the elements
		held   batch.Batch[T]
	)
	a.forgetter = append(a.forgetter, func() { held, stored = batch.Batch[T]{}, 0 })
	here := func(at time.Time) bool { return a.present(period, at) }
	a.program.Outputs = append(a.program.Outputs, engine.Output{Name: c.name, Present: here, Do: func(ctx context.Context, b *engine.Batch) error {
		if stored != b.Seq { // else it is a retry
			err := caught(func() error {
				held = batch.Store(s.read(b).With(env))
				return nil
			})
			if err != nil {
				return &engine.RestartError{Err: err}
			}
			stored = b.Seq
		}
		if a.stop.Load() {
			return nil // the engine says why it was stopped
		}
		return caught(func() error {
			defer env.Blame(-1)
			return run(ctx, a.info(b), held.With(&whole))
		})
	}})
	return &a.program.Outputs[len(a.program.Outputs)-1]
}

// caught makes an error of a panic.
func caught(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case error:
			err = r
		default:
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

func (a *App) info(b *engine.Batch) BatchInfo {
	i := BatchInfo{Time: b.Time, number: b.Seq, hold: a.holder(b)}
	for n, s := range a.program.Sources {
		i.Ranges = append(i.Ranges, SourceRanges{Source: s.Name(), Ranges: b.Slices[n].Ranges})
	}
	return i
}
