package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
	"github.com/godstream/godstream/internal/state"
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
	named := false
	s := add(a, n, opts, func(c nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[R] {
		named = c.named
		return func(b *engine.Batch, env *batch.Env) batch.Batch[R] {
			return batch.Of(b.Slices[place].Elements.(source.Slice[R]).Partitions()...).With(env)
		}
	})
	if a.isLate() {
		return s
	}
	o := &opened[R]{app: a, name: s.Name(), source: src, named: named, place: a.fault("")}
	o.volatile, _ = src.(source.Volatile[R])
	if shared, ok := src.(source.Shared[R]); ok {
		o.member, o.shared = shared.Shared()
		if o.shared {
			s.node.shared = o.name
			a.share(o.name)
		}
	}
	a.program.Sources = append(a.program.Sources, o)
	a.sources = append(a.sources, o)
	return s
}

// opened is a source without its type, as the engine sees it.
type opened[R any] struct {
	app    *App
	name   string
	source source.Source[R]
	named  bool   // by the user
	place  *Fault // where it was declared

	member    string // of the programs that share the source
	shared    bool
	volatile  source.Volatile[R] // nil if the source can give its records again
	positions []source.Position  // where it goes on
	again     [][]byte           // the records of batches that are run again, if it is volatile

	mu     sync.Mutex // Stats may be called while the source is being opened or closed
	reader source.Reader[R]
}

func (o *opened[R]) Name() string { return o.name }

func (o *opened[R]) Open(ctx context.Context) error {
	c := o.app.config
	interval := c.Interval
	if c.Ticks != Live {
		interval = 0
	}
	r, err := o.source.Open(ctx, source.Options{
		Interval: interval,
		Name:     o.name, App: c.Name, StoredBySink: o.shared && len(o.app.transactional) > 0, Replay: c.Ticks == Replay, Partitions: c.Partitions, Prefetch: c.Prefetch,
		MaxBatchBytes: o.app.program.Share(c.MaxBatchBytes), Positions: o.positions, Logger: c.Logger,
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
	var slice source.Slice[R]
	exact := r.Mode == source.Exact
	var err error
	switch {
	case exact && len(r.Ranges) == 0: // it was not there, or had nothing
		return o.Nothing(), nil
	case exact && o.volatile != nil:
		slice, err = o.decode(r.Ranges)
	default:
		slice, err = o.reader.Cut(ctx, r)
	}
	if err != nil {
		return engine.Slice{}, err
	}
	out := sliced(slice)
	known := make(map[string]source.Position, len(o.positions))
	for _, p := range o.positions {
		known[p.Partition] = p
	}
	for _, r := range out.Ranges {
		out.Moved = out.Moved || r.From != r.Until || r.Over || r.Mark != known[r.Partition].Mark
		if exact {
			known[r.Partition] = source.Position{Partition: r.Partition, Offset: r.Until, Mark: r.Mark}
		}
	}
	o.positions = nil // only of use until the first slice that is new
	if exact {
		o.positions = slices.Collect(maps.Values(known))
	}
	return out, nil
}

func (o *opened[R]) Nothing() engine.Slice { return sliced(source.Slice[R]{}) }

// sliced forgets the type of a slice.
func sliced[R any](slice source.Slice[R]) engine.Slice {
	out := engine.Slice{Elements: slice, End: slice.End, Ranges: make([]source.Range, len(slice.Parts))}
	for p, part := range slice.Parts {
		out.Ranges[p] = part.Range
		out.Records += int64(len(part.Records))
		out.Bytes += part.Bytes
	}
	return out
}

// encode makes bytes of the records of a slice, if they can't be read again: how
// many partitions they are spread over and, for each part, the number of records
// and each record with its length.
func (o *opened[R]) encode(s engine.Slice) (bytes []byte, err error) {
	if o.volatile == nil {
		return nil, nil
	}
	slice := s.Elements.(source.Slice[R])
	bytes = binary.AppendUvarint([]byte{}, uint64(slice.Spread))
	var record []byte
	for _, part := range slice.Parts {
		bytes, err = state.AppendAll(bytes, [][]R{part.Records}, func(dst []byte, r R) ([]byte, error) {
			if record, err = o.volatile.AppendRecord(record[:0], r); err != nil {
				return nil, err
			}
			return append(binary.AppendUvarint(dst, uint64(len(record))), record...), nil
		})
		if err != nil {
			return nil, fmt.Errorf("write a record of %s ahead: %w", o.name, err)
		}
	}
	return bytes, nil
}

// decode makes the slice again that was written ahead.
func (o *opened[R]) decode(ranges []source.Range) (slice source.Slice[R], err error) {
	if len(o.again) == 0 {
		return slice, errors.New("its records are not in the log")
	}
	data := o.again[0]
	o.again = o.again[1:]
	spread, n := binary.Uvarint(data)
	if n <= 0 {
		return slice, errors.New("its records in the log are cut off")
	}
	data, slice.Spread = data[n:], int(spread)
	for _, r := range ranges {
		part := source.Part[R]{Range: r}
		part.Records, data, err = state.ReadAll(data, func(data []byte) (r R, rest []byte, err error) {
			size, n := binary.Uvarint(data)
			if n <= 0 || size > uint64(len(data)-n) {
				return r, nil, errors.New("it is cut off")
			}
			part.Bytes += int64(size)
			r, err = o.volatile.DecodeRecord(data[n : n+int(size)])
			return r, data[n+int(size):], err
		})
		if err != nil {
			return slice, fmt.Errorf("its records in the log: %w", err)
		}
		slice.Parts = append(slice.Parts, part)
	}
	return slice, nil
}

func (o *opened[R]) goOn(at []source.Position, again [][]byte) { o.positions, o.again = at, again }
func (o *opened[R]) isNamed() bool                             { return o.named }
func (o *opened[R]) declared() *Fault                          { return o.place }
func (o *opened[R]) records() string                           { return fmt.Sprintf("%T", *new(R)) }
func (o *opened[R]) isVolatile() bool                          { return o.volatile != nil }

func (o *opened[R]) Commit(ctx context.Context, done []source.Range) error {
	return o.reader.Commit(ctx, done)
}

func (o *opened[R]) Next(ctx context.Context) (time.Time, bool, error) { return o.reader.Next(ctx) }

func (o *opened[R]) Close() error { return o.reader.Close() }

// Revoked is nil if the source is not shared.
func (o *opened[R]) Revoked() <-chan struct{} {
	if s, ok := o.reader.(source.Sharer); ok && o.shared {
		return s.Revoked()
	}
	return nil
}

func (o *opened[R]) hold(ctx context.Context) (source.Claim, func(), error) {
	s, ok := o.reader.(source.Sharer)
	if !ok {
		return source.Claim{}, nil, fmt.Errorf("source %s says that it is shared, but its reader %T has no Hold", o.name, o.reader)
	}
	return s.Hold(ctx)
}

func (o *opened[R]) isShared() (member string, shared bool) { return o.member, o.shared }

func (o *opened[R]) Stats() source.Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reader == nil {
		return source.Stats{}
	}
	return o.reader.Stats()
}
