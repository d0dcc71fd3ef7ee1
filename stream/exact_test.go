package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/checkpoint/checkpointtest"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/sink/sinktest"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
	"github.com/godstream/godstream/window"
)

// ledger is a transactional sink: what is in it and the marker change together.
type ledger[T any] struct {
	entries []string
	marker  sink.Marker
	fail    func(number int64) (before, after bool) // it was stored; the answer is an error
	writers int
}

func (l *ledger[T]) Delivery() sink.Delivery { return sink.Transactional }

func (l *ledger[T]) Open(_ context.Context, o sink.Options) (sink.Writer[T], error) {
	l.writers++
	return &bookkeeper[T]{l, o, l.writers}, nil
}

type bookkeeper[T any] struct {
	*ledger[T]
	o      sink.Options
	writer int
}

func (w *bookkeeper[T]) Marker(context.Context) (sink.Marker, error) { return w.marker, nil }
func (w *bookkeeper[T]) Close() error                                { return nil }

func (w *bookkeeper[T]) Write(ctx context.Context, b sink.Batch[T]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if w.writer != w.writers {
		return errors.New("fenced")
	}
	before, after := w.fail(b.Number)
	if before {
		return errCrash
	}
	w.entries = append(w.entries, fmt.Sprint(b.Time.Unix(), b.Parts))
	w.marker = sink.Marker{Checkpoint: w.o.Checkpoint, Number: b.Number}
	if after {
		return errCrash
	}
	return nil
}

// The ledger keeps the contract, so that the tests below say something.
func TestLedger(t *testing.T) {
	sinktest.Run(t, func(*testing.T) sinktest.Place[string] {
		broken := false
		l := &ledger[string]{fail: func(n int64) (before, after bool) { return broken && n%2 == 0, broken && n%2 == 1 }}
		return sinktest.Place[string]{
			Sink: l,
			Read: func() (ids []string, _ error) {
				for _, entry := range l.entries {
					_, parts, _ := strings.Cut(entry, " ")
					ids = append(ids, strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(parts))...)
				}
				return ids, nil
			},
			Break: func() func() {
				broken = true
				return func() { broken = false }
			},
		}
	})
}

// Each batch is in a transactional sink once, whether it fails before or after
// the batch is stored, in process or with a restart.
func TestTransactionalSinkHasEachBatchOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 9), 0, 4), 1, 10).Draw(t, "batches")
		bad := rapid.SliceOfNDistinct(rapid.IntRange(1, 25), 0, 6, rapid.ID).Draw(t, "calls that fail")
		retries := rapid.IntRange(0, 1).Draw(t, "retries")
		calls := 0
		fail := func() bool { calls++; return slices.Contains(bad, calls) }
		totals := &ledger[stream.Pair[int, int]]{fail: func(int64) (bool, bool) { f := fail(); return f && calls%2 == 0, f && calls%2 == 1 }}
		windows := &ledger[int64]{fail: func(int64) (bool, bool) { return fail(), fail() }}
		store := checkpointtest.NewFaulty(1)
		for {
			app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
				app := streamtest.New(stream.Config{Partitions: 1, Retries: retries, RetryBackoff: 1, SaveEvery: rapid.SampledFrom([]time.Duration{1, time.Hour}).Draw(t, "save")})
				s := stream.From(app, source.Queue(in...))
				stream.To(stream.CountByWindow(s, window.Sliding(4*time.Second, 2*time.Second)), windows)
				stream.To(stream.UpdateStateByKey(stream.KeyBy(s, func(i int) int { return i % 3 }), total), totals)
				stream.ForEach(s, func(int) error { // runs before them
					if fail() {
						return errCrash
					}
					return nil
				})
				return app, nil
			})
			require.NoError(t, err)
			err = app.Run(t.Context())
			if err == nil {
				break
			}
			require.ErrorIs(t, err, errCrash)
		}
		app := streamtest.App(1)
		s := stream.From(app, source.Queue(in...))
		wantWindows := streamtest.Collect(stream.CountByWindow(s, window.Sliding(4*time.Second, 2*time.Second)))
		wantTotals := streamtest.Collect(stream.UpdateStateByKey(stream.KeyBy(s, func(i int) int { return i % 3 }), total))
		require.NoError(t, app.Run(t.Context()))
		require.Equal(t, entries(wantWindows), windows.entries)
		require.Equal(t, entries(wantTotals), totals.entries)
	})
}

func entries[T any](c *streamtest.Collected[T]) (all []string) {
	for i, at := range c.Times() {
		all = append(all, fmt.Sprint(at.Unix(), [][]T{c.Batch(i)}))
	}
	return all
}

// A transactional sink of another checkpoint, or one that is older or newer than
// it should be, ends the program before anything is written.
func TestTransactionalSinkThatDoesNotFit(t *testing.T) {
	never := func(int64) (bool, bool) { return false, false }
	tests := map[string]struct {
		change func(l *ledger[int], store *checkpointtest.Faulty)
		want   string
	}{
		"another checkpoint": {func(l *ledger[int], _ *checkpointtest.Faulty) { l.marker.Checkpoint = "other" },
			"output to-1: what is there was stored by a program with checkpoint other"},
		"an older copy of the place": {func(l *ledger[int], _ *checkpointtest.Faulty) { l.marker.Number = 1 },
			"batch 1 was stored last, but the checkpoint has seen batch 2 stored there"},
		"an older copy of the checkpoint": {func(l *ledger[int], _ *checkpointtest.Faulty) { l.marker.Number = 3 },
			"batch 3 was stored last, but the checkpoint knows none after 2"},
		"an empty place": {func(l *ledger[int], _ *checkpointtest.Faulty) { l.marker = sink.Marker{} },
			"batch 0 was stored last, but the checkpoint has seen batch 2 stored there"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, store := &ledger[int]{fail: never}, checkpointtest.NewFaulty(1)
			run := func(batches ...[]int) error {
				app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
					app := streamtest.App(1)
					stream.To(stream.From(app, source.Queue(batches...)), l)
					return app, nil
				})
				require.NoError(t, err)
				return app.Run(t.Context())
			}
			require.NoError(t, run([]int{1}, []int{2}))
			require.NoError(t, run([]int{1}, []int{2}))
			test.change(l, store)
			require.ErrorContains(t, run([]int{1}, []int{2}, []int{3}), test.want)
			require.Len(t, l.entries, 2)
		})
	}
}

// A retry goes on while what the program needs is not there.
func TestTransactionalSinkThatIsAwayForAWhile(t *testing.T) {
	for retries, want := range map[int]int{5: 3, 2: 1} {
		l := &ledger[int]{}
		writes := 0
		l.fail = func(int64) (bool, bool) { writes++; return writes == 2, false }
		app, err := stream.GetOrCreate(checkpointtest.NewFaulty(1), func() (*stream.App, error) {
			app := streamtest.New(stream.Config{Partitions: 1, Retries: retries, RetryBackoff: 1})
			stream.To(stream.From(app, source.Queue([]int{1}, []int{2}, []int{3})), away{l, map[int]bool{2: true, 3: true, 4: true}, new(int)})
			return app, nil
		})
		require.NoError(t, err)
		err = app.Run(t.Context())
		require.Len(t, l.entries, want)
		if want == 3 {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "the place is away")
		require.ErrorIs(t, err, errCrash, "what it was about")
	}
}

// away is a ledger that can't be opened some of the times.
type away struct {
	*ledger[int]
	at    map[int]bool
	opens *int
}

func (a away) Open(ctx context.Context, o sink.Options) (sink.Writer[int], error) {
	if *a.opens++; a.at[*a.opens] {
		return nil, errors.New("the place is away")
	}
	return a.ledger.Open(ctx, o)
}

func TestTransactionalSinkNeedsACheckpoint(t *testing.T) {
	app := streamtest.App(1)
	stream.To(stream.From(app, source.Queue([]int{1})), &ledger[int]{})
	require.ErrorContains(t, app.Run(t.Context()), "exact_test.go")
	app = streamtest.App(1)
	stream.To(stream.From(app, source.Queue([]int{1})), &ledger[int]{})
	require.ErrorContains(t, app.Run(t.Context()), "To: the sink is transactional, which needs a checkpoint: make the program with GetOrCreate")
}

// A Marker that panics is an error of Run.
func TestMarkerThatPanics(t *testing.T) {
	app, err := stream.GetOrCreate(checkpointtest.NewFaulty(1), func() (*stream.App, error) {
		app := streamtest.App(1)
		stream.To(stream.From(app, source.Queue([]int{1})), confused{&ledger[int]{}})
		return app, nil
	})
	require.NoError(t, err)
	require.ErrorContains(t, app.Run(t.Context()), "panic: which one?")
}

type confused struct{ *ledger[int] }

func (c confused) Open(context.Context, sink.Options) (sink.Writer[int], error) {
	return confusedWriter{&bookkeeper[int]{ledger: c.ledger}}, nil
}

type confusedWriter struct{ *bookkeeper[int] }

func (confusedWriter) Marker(context.Context) (sink.Marker, error) { panic("which one?") }

// An output that has another name has no marker there, and would store a batch
// again that was begun.
func TestTransactionalSinkThatIsRenamed(t *testing.T) {
	for name, kill := range map[string]int64{"after the first batch": 1, "later": 3} {
		t.Run(name, func(t *testing.T) {
			store := checkpointtest.NewFaulty(1)
			l := &ledger[int]{fail: func(number int64) (bool, bool) { return false, number == kill }}
			try := func(opts []checkpoint.Option, names ...string) error {
				app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
					app := streamtest.New(stream.Config{Partitions: 1, SaveEvery: 1})
					in := stream.From(app, source.Queue([]int{1}, []int{2}, []int{3}))
					for _, name := range names {
						stream.To(in, l, stream.Name(name))
					}
					stream.ForEach(in, func(int) error { return nil })
					return app, nil
				}, opts...)
				if err != nil {
					return err
				}
				return app.Run(t.Context())
			}
			require.ErrorIs(t, try(nil, "old"), errCrash)
			stored := slices.Clone(l.entries)
			require.Len(t, stored, int(kill), "the last one is stored, and its answer was lost")
			require.ErrorContains(t, try(nil, "new"), `the transactional output "old" is gone and "new" is new; if that is the same one, give it its name back with stream.Name, or it may store a batch twice; if it is another, give the one that is gone up with checkpoint.Drop("old")`)
			require.Equal(t, stored, l.entries, "nothing was written")
			l.fail = func(int64) (bool, bool) { return false, false }
			require.NoError(t, try(nil, "old"))
			require.Len(t, l.entries, 3)

			l.marker = sink.Marker{} // the new one's
			require.NoError(t, try([]checkpoint.Option{checkpoint.Drop("old")}, "new"))
			require.NoError(t, try(nil), "one that is gone, and none that is new")

			l.marker = sink.Marker{}
			drop := []checkpoint.Option{checkpoint.Drop("new")}
			require.NoError(t, try(drop, "old"), "and back")
			l.marker = sink.Marker{}
			require.NoError(t, try(drop, "old", "new"), "it is dropped once")
			require.NoError(t, try(drop, "old"))
			require.NoError(t, try(drop, "old", "other"), "and when it is gone again")
		})
	}
}
