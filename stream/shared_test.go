package stream_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint/checkpointtest"
	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/window"
)

// pool is a source that is shared: what it has is given to whoever opens it, from
// where it was committed.
type pool struct {
	mu     sync.Mutex
	values []int
	done   int64
	opened []*swimmer
}

func (p *pool) Shared() (string, bool) { return "me", true }
func (p *pool) String() string         { return "pool" }

func (p *pool) Open(_ context.Context, o source.Options) (source.Reader[int], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &swimmer{Buffer: source.NewBuffer[int](o), pool: p, revoked: make(chan struct{}), stored: o.StoredBySink}
	s.StayOpen()
	feed, from := s.Feed("pool", p.done), p.done
	s.Go(func(context.Context) error {
		for i, v := range p.values[from:] {
			if err := feed.Put(v, from+int64(i)+1, 1, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
	p.opened = append(p.opened, s)
	return s, nil
}

type swimmer struct {
	*source.Buffer[int]
	holds   int
	pool    *pool
	revoked chan struct{}
	stored  bool
}

func (s *swimmer) Revoked() <-chan struct{} { return s.revoked }

func (s *swimmer) Hold(context.Context) (source.Claim, func(), error) {
	s.holds++
	select {
	case <-s.revoked:
		return source.Claim{}, nil, source.ErrRevoked
	default:
		return source.Claim{System: "pool", Group: "swimmers", Member: "one", Generation: 3}, func() {}, nil
	}
}

func (s *swimmer) Commit(_ context.Context, done []source.Range) error {
	if !s.stored {
		s.pool.commit(done[0].Until)
	}
	return nil
}

func (p *pool) commit(until int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = until
}

// towel is a transactional sink for programs that share a source.
type towel struct {
	pool   *pool
	opts   sink.Options
	batch  []sink.Claim
	stored []int
	fail   func() error
}

func (w *towel) StoresClaims()           {}
func (w *towel) Delivery() sink.Delivery { return sink.Transactional }
func (w *towel) Close() error            { return nil }

func (w *towel) Open(_ context.Context, o sink.Options) (sink.Writer[int], error) {
	w.opts = o
	return w, nil
}

func (w *towel) Write(ctx context.Context, b sink.Batch[int]) error {
	claims, release, err := b.Hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := w.fail(); err != nil {
		return err
	}
	w.stored = append(w.stored, slices.Concat(b.Parts...)...)
	for _, c := range claims {
		w.batch = claims
		w.pool.commit(c.Next["pool"])
	}
	return nil
}

func TestWhatASharedProgramCanNotDo(t *testing.T) {
	app := stream.New(stream.Config{Logger: quiet})
	in := stream.From(app, &pool{}, stream.Name("in"))
	alone := stream.From(app, source.Queue([]int{1}))
	keyed := stream.KeyBy(in, func(i int) int { return i })
	w := window.Sliding(2*time.Second, time.Second)
	add := func(a, b int) int { return a + b }
	sum := func(values []int, old stream.Opt[int]) stream.Opt[int] { return stream.Some(old.Value + len(values)) }
	stream.Print(stream.CountByValue(in))
	stream.Print(stream.ReduceByKey(keyed, add))
	stream.Print(stream.GroupByKey(keyed))
	stream.Print(stream.Distinct(in))
	stream.Print(stream.Join(keyed, stream.KeyBy(alone, func(i int) int { return i })))
	stream.Print(stream.CountByWindow(in, w))
	stream.Print(stream.ReduceByKeyAndWindow(keyed, add, w))
	stream.Print(stream.UpdateStateByKey(keyed, sum))
	stream.Print(stream.Count(in))           // of this copy
	stream.Print(stream.CountByValue(alone)) // it reads all of that
	stream.To(in, &ledger[int]{})
	stream.To(in, &towel{})
	stream.To(in, &towel{})
	err := app.Run(t.Context())
	var faults []string
	for _, fault := range err.(interface{ Unwrap() error }).Unwrap().(interface{ Unwrap() []error }).Unwrap() {
		faults = append(faults, fault.(*stream.Fault).Err.Error())
	}
	refused := func(op string) string {
		return op + ": in is shared, so each copy of the program sees some partitions only, and what belongs together may be in several of them: read all partitions in one program (without Shared) to group by key, join, use windows or keep state"
	}
	second := "To: a second transactional sink; in is shared, and how far it was read is stored in the transaction of one sink"
	require.Equal(t, []string{
		refused("countByValue"), refused("reduceByKey"), refused("groupByKey"), refused("distinct"), refused("join"),
		refused("countByWindow"), refused("reduceByKeyAndWindow"), refused("updateStateByKey"),
		"To: in is shared, and this transactional sink can't store how far it was read; use one that can, or read all partitions in one program (without Shared)",
		second, second,
	}, faults)

	_, err = stream.GetOrCreate(checkpointtest.NewFaulty(1), func() (*stream.App, error) {
		app := stream.New(stream.Config{Logger: quiet})
		stream.Print(stream.From(app, &pool{}))
		return app, nil
	})
	require.ErrorContains(t, err, "from-1 is shared, and its group keeps how far it was read; a checkpoint would say something else: make the program with New, or leave Shared out")

	app = stream.New(stream.Config{Logger: quiet, Ticks: stream.Replay})
	stream.Print(stream.From(app, &pool{}))
	require.ErrorContains(t, app.Run(t.Context()), "is shared, and a replay reads all partitions")
}

func TestBatchThatIsRevoked(t *testing.T) {
	for _, where := range []string{"while an output runs", "by a sink", "in between"} {
		t.Run(where, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				p := &pool{values: []int{1, 2, 3}}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				app := stream.New(stream.Config{Logger: quiet, Interval: time.Second})
				in := stream.From(app, p, stream.Name("in"))
				runs := 0
				stream.ForEachBatch(in, func(ctx context.Context, _ stream.BatchInfo, b batch.Batch[int]) error {
					if runs++; runs == 1 && where == "while an output runs" {
						close(p.opened[0].revoked)
						<-ctx.Done()
						require.ErrorIs(t, context.Cause(ctx), source.ErrRevoked)
						return context.Cause(ctx)
					}
					return nil
				})
				refused := false
				out := &towel{pool: p, fail: func() error {
					if !refused && where == "by a sink" {
						refused = true
						return errors.Join(sink.ErrRevoked, errors.New("illegal generation"))
					}
					return nil
				}}
				stream.To(in, out, stream.Name("out"))
				done := make(chan error, 1)
				go func() { done <- app.Run(ctx) }()
				if where == "in between" {
					synctest.Wait()
					close(p.opened[0].revoked)
				}
				time.Sleep(5 * time.Second)
				stop()
				require.NoError(t, <-done)
				require.Equal(t, []int{1, 2, 3}, out.stored, "once, by who reads the partition then")
				require.Len(t, p.opened, 2, "opened anew")
				require.True(t, out.opts.Shared)
				require.Equal(t, "me", out.opts.Member)
				require.Equal(t, []sink.Claim{{System: "pool", Group: "swimmers", Member: "one", Generation: 3, Next: map[string]int64{"pool": 3}}}, out.batch)
				stats := app.Stats()
				require.Zero(t, stats.Failed)
				if where == "in between" {
					require.Zero(t, stats.Revoked)
				} else {
					require.EqualValues(t, 1, stats.Revoked)
				}
			})
		})
	}
}

// Who holds waits while partitions are distributed, which may take minutes.
func TestBatchThatHasNothingOfASharedSourceHoldsNothing(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p := &pool{values: []int{1, 2, 3}}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		app := stream.New(stream.Config{Logger: quiet, Interval: time.Second})
		stream.To(stream.From(app, p), &towel{pool: p, fail: func() error { return nil }}, stream.Name("out"))
		done := make(chan error, 1)
		go func() { done <- app.Run(ctx) }()
		time.Sleep(5500 * time.Millisecond)
		stop()
		require.NoError(t, <-done)
		require.Greater(t, app.Stats().Batches, int64(3))
		require.Equal(t, 1, p.opened[0].holds)
	})
}

// An output that is slow, or fails, is not run again for a batch that others have
// by then.
func TestBatchThatIsRevokedIsNotTriedAgain(t *testing.T) {
	for _, when := range []string{"running", "waiting"} {
		t.Run(when, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				p := &pool{values: []int{1, 2, 3}}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				app := stream.New(stream.Config{Logger: quiet, Interval: time.Second, Retries: 3, RetryBackoff: time.Minute})
				runs := []int{}
				stream.ForEachBatch(stream.From(app, p), func(_ context.Context, _ stream.BatchInfo, b batch.Batch[int]) error {
					if len(slices.Collect(b.All())) == 0 {
						return nil
					}
					runs = append(runs, len(p.opened))
					if len(runs) > 1 {
						return nil
					}
					if when == "running" {
						close(p.opened[0].revoked)
					} else {
						time.AfterFunc(time.Second, func() { close(p.opened[0].revoked) })
					}
					return errors.New("no room")
				})
				done := make(chan error, 1)
				go func() { done <- app.Run(ctx) }()
				time.Sleep(10 * time.Second)
				stop()
				require.NoError(t, <-done)
				require.Equal(t, []int{1, 2}, runs, "the second time by who has the partition then")
			})
		})
	}
}
