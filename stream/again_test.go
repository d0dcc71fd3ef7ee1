package stream_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/checkpoint/checkpointtest"
	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
	"github.com/godstream/godstream/window"
)

// What is dropped is dropped once: not again by a retry, nor by a program that
// still says so when it is started again.
func TestDroppedOnce(t *testing.T) {
	for _, name := range []string{"totals", "numbers"} {
		store, failed := checkpointtest.NewFaulty(1), false
		run := func(batches int, fail int64, opts ...checkpoint.Option) string {
			var out *streamtest.Collected[stream.Pair[int, int]]
			app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
				app := streamtest.New(stream.Config{Retries: 2, RetryBackoff: 1, SaveEvery: 1})
				var in [][]int
				for range batches {
					in = append(in, []int{1})
				}
				s := stream.KeyBy(stream.From(app, source.Queue(in...), stream.Name("numbers")), func(int) int { return 0 })
				out = streamtest.Collect(stream.UpdateStateByKeyFunc(s, func(at time.Time, _ int, v []int, o stream.Opt[int]) stream.Opt[int] {
					if at.Unix() == fail && !failed {
						failed = true
						panic(errCrash)
					}
					return total(v, o)
				}, stream.Name("totals")))
				return app, nil
			}, opts...)
			require.NoError(t, err)
			require.NoError(t, app.Run(t.Context()))
			return fmt.Sprint(out.Batches())
		}
		require.Equal(t, "[[(0, 1)] [(0, 2)]]", run(2, 0))
		if name == "totals" {
			require.Equal(t, "[[(0, 1)] [(0, 2)] [(0, 3)] [(0, 4)]]", run(6, 5, checkpoint.Drop(name)))
			require.Equal(t, "[[(0, 5)]]", run(7, 0, checkpoint.Drop(name)))
			require.Equal(t, "[[(0, 6)]]", run(8, 0))
			require.Equal(t, "[[(0, 1)]]", run(9, 0, checkpoint.Drop(name)), "it was not said in the run before")
		} else { // the queue is read from its start, once
			require.Equal(t, "[[(0, 3)] [(0, 4)] [(0, 5)]]", run(3, 4, checkpoint.Drop(name)))
			require.Equal(t, "[[(0, 6)]]", run(4, 0, checkpoint.Drop(name)))
		}
	}
}

// A timeout may be added and taken away.
func TestTimeoutMayChange(t *testing.T) {
	store := checkpointtest.NewFaulty(1)
	in := [][]stream.Pair[string, int]{words("a", "b"), words("b"), nil, nil, nil, nil, nil}
	run := func(batches int, opts ...stream.Option) string {
		var out *streamtest.Collected[string]
		app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
			app := streamtest.New(stream.Config{SaveEvery: 1})
			mapped, _ := stream.MapWithState(stream.From(app, source.Queue(in[:batches]...)), func(k string, v stream.Opt[int], s *stream.State[int]) stream.Opt[string] {
				if s.TimingOut() {
					return stream.Some(k + " ends")
				}
				n, _ := s.Get()
				s.Update(n + v.Value)
				return stream.Some(fmt.Sprint(k, n+v.Value))
			}, opts...)
			out = streamtest.Collect(mapped)
			return app, nil
		})
		require.NoError(t, err)
		require.NoError(t, app.Run(t.Context()))
		return fmt.Sprint(out.Batches())
	}
	require.Equal(t, "[[a1 b1]]", run(1))
	require.Equal(t, "[[b2] [] [a ends]]", run(4, stream.Timeout(2*time.Second)))
	require.Equal(t, "[[] []]", run(6))
	require.Equal(t, "[[b ends]]", run(7, stream.Timeout(2*time.Second)))
}

func TestUnnamedSourcesAreRefused(t *testing.T) {
	build := func(opts ...stream.Option) func() (*stream.App, error) {
		return func() (*stream.App, error) {
			app := streamtest.App(1)
			ignore(stream.Union(stream.From(app, source.Queue([]int{1})), stream.From(app, source.Queue([]int{2}), opts...)))
			return app, nil
		}
	}
	_, err := stream.GetOrCreate(checkpointtest.NewFaulty(1), build())
	require.ErrorContains(t, err, "again_test.go")
	require.ErrorContains(t, err, "from-1 and from-2 read the same kind of records (int), so that a change of the program could mix up where they are: give each a name with stream.Name")
	_, err = stream.GetOrCreate(checkpointtest.NewFaulty(1), build(stream.Name("other")))
	require.NoError(t, err)
}

// What a source can't give again is in the log when the program stops, also what
// was read and not begun.
func TestStopKeepsWhatCantBeReadAgain(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		store, sent := checkpointtest.NewFaulty(1), 0
		var got []string
		for run := range 2 {
			ctx, stop := context.WithCancel(t.Context())
			began := time.Now()
			app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
				app := stream.New(stream.Config{Interval: time.Second, Logger: quiet})
				s := stream.From(app, volatileHistory{history{feed: func(ctx context.Context, b *source.Buffer[event]) {
					f := b.Feed("a", 0)
					for i := range 3 {
						select {
						case <-time.After(time.Until(began.Add(time.Duration(i)*time.Second + 500*time.Millisecond))):
						case <-ctx.Done():
							return
						}
						sent++
						f.Put(event{value: fmt.Sprint("r", sent)}, int64(sent), 1, time.Time{})
					}
					if run == 1 {
						f.End()
					}
				}}})
				stream.ForEachBatch(s, func(_ context.Context, at stream.BatchInfo, b batch.Batch[event]) error {
					for e := range b.All() {
						got = append(got, e.value)
					}
					if run == 0 && b.Partitions() > 0 && len(got) == 1 {
						time.Sleep(2*time.Second + 100*time.Millisecond)
						stop()
						time.Sleep(100 * time.Millisecond)
					}
					return nil
				})
				return app, nil
			})
			require.NoError(t, err)
			require.Equal(t, []int{0, 2}[run], app.Recovered().Pending)
			require.NoError(t, app.Run(ctx))
			stop()
		}
		require.Equal(t, []string{"r1", "r2", "r3", "r4", "r5", "r6"}, got)
	})
}

type volatileHistory struct{ history }

func (volatileHistory) AppendRecord(dst []byte, e event) ([]byte, error) {
	return append(dst, e.value...), nil
}
func (volatileHistory) DecodeRecord(d []byte) (event, error) { return event{value: string(d)}, nil }

// A window shows what comes of a batch without records, also when ticks are merged.
func TestWindowsShowWhatABatchWithoutRecordsGives(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		app := stream.New(stream.Config{Interval: time.Second, MaxPending: 1, Logger: quiet})
		began := time.Now()
		s := stream.From(app, history{feed: func(ctx context.Context, b *source.Buffer[event]) {
			f := b.Feed("a", 0)
			for i, at := range []time.Duration{500 * time.Millisecond, 29500 * time.Millisecond} {
				select {
				case <-time.After(time.Until(began.Add(at))):
				case <-ctx.Done():
					return
				}
				f.Put(event{value: "x"}, int64(i+1), 1, time.Time{})
			}
			f.End()
		}})
		closed, _ := stream.MapWithState(stream.KeyBy(s, func(e event) string { return e.value }), func(k string, _ stream.Opt[event], s *stream.State[int]) stream.Opt[string] {
			if s.TimingOut() {
				return stream.Some(fmt.Sprintf("%s closed at %d", k, s.Time().Sub(began)/time.Second))
			}
			s.Update(1)
			return stream.Opt[string]{}
		}, stream.Timeout(10*time.Second))
		stream.ForEachBatch(closed, func(_ context.Context, at stream.BatchInfo, _ batch.Batch[string]) error {
			if at.Time.Sub(began) == 13*time.Second {
				time.Sleep(9 * time.Second)
			}
			return nil
		})
		out := streamtest.Collect(stream.Window(closed, window.Tumbling(5*time.Second)))
		require.NoError(t, app.Run(t.Context()))
		shown := map[time.Duration]string{}
		for i, at := range out.Times() {
			if len(out.Batch(i)) > 0 {
				shown[at.Sub(began)/time.Second] = fmt.Sprint(out.Batch(i))
			}
		}
		require.Equal(t, map[time.Duration]string{15: "[x closed at 12]"}, shown)
		require.Positive(t, app.Stats().Merged)
	})
}

// What is remembered of batches that run again is what came last.
func TestRememberedBatchesRunAgain(t *testing.T) {
	failed := false
	var s stream.Stream[int]
	app, err := stream.GetOrCreate(checkpointtest.NewFaulty(1), func() (*stream.App, error) {
		app := streamtest.New(stream.Config{Retries: 2, RetryBackoff: 1, SaveEvery: time.Hour})
		s = stream.From(app, source.Queue([]int{1}, []int{2}, []int{3}, []int{4}))
		stream.Remember(s, time.Hour)
		ignore(stream.Map(s, func(i int) int {
			if i == 3 && !failed {
				failed = true
				panic(errCrash)
			}
			return i
		}))
		return app, nil
	})
	require.NoError(t, err)
	require.NoError(t, app.Run(t.Context()))
	all, err := stream.Slice(s, time.Unix(0, 0), time.Unix(100, 0))
	require.NoError(t, err)
	var times []int64
	for _, b := range all {
		times = append(times, b.Time.Unix())
	}
	require.Equal(t, []int64{1, 2, 3, 4}, times)
	require.Zero(t, app.Stats().Undone)
}

// State that no output reads any more would not go on.
func TestStateThatIsNotReadIsRefused(t *testing.T) {
	store := checkpointtest.NewFaulty(1)
	build := func(read bool) func() (*stream.App, error) {
		return func() (*stream.App, error) {
			app := streamtest.App(1)
			s := stream.From(app, source.Queue(words("a")))
			states := stream.UpdateStateByKey(s, total, stream.Name("totals"))
			if read {
				ignore(states)
			}
			ignore(s)
			return app, nil
		}
	}
	app, err := stream.GetOrCreate(store, build(true))
	require.NoError(t, err)
	require.NoError(t, app.Run(t.Context()))
	_, err = stream.GetOrCreate(store, build(false))
	require.ErrorContains(t, err, `no output reads operator "totals", so what it kept would not go on; let an output read it, or give the data up with checkpoint.Drop("totals")`)
	_, err = stream.GetOrCreate(store, build(false), checkpoint.Drop("totals"))
	require.NoError(t, err)
}

func TestDeclaredWhileItRuns(t *testing.T) {
	app := streamtest.App(1)
	s := stream.From(app, source.Queue([]int{1}, []int{2}))
	stream.ForEachBatch(s, func(context.Context, stream.BatchInfo, batch.Batch[int]) error {
		stream.Print(stream.From(app, source.Queue([]int{5})))
		return nil
	})
	ignore(s)
	err := app.Run(t.Context())
	require.ErrorContains(t, err, "from: declared after Run; declare the whole program before")
	require.ErrorContains(t, err, "print: declared after Run")
	require.Len(t, app.Stats().Sources, 1)
}
