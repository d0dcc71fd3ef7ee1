package stream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/checkpoint/checkpointtest"
	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
	"github.com/godstream/godstream/window"
)

// shown is what a program printed, by output and batch; the last complete output
// of a batch counts.
type shown map[string]map[int64]string

var errCrash = errors.New("crash")

// note declares an output that notes what a stream holds. fail says whether it is
// to fail in a batch.
func note[T any](into shown, name string, s stream.Stream[T], fail func(at int64) bool) {
	if into[name] == nil {
		into[name] = map[int64]string{}
	}
	stream.ForEachBatch(s, func(_ context.Context, at stream.BatchInfo, b batch.Batch[T]) error {
		if fail(at.Time.Unix()) {
			return errCrash
		}
		into[name][at.Time.Unix()] = fmt.Sprint(batch.Collect(b))
		return nil
	}, stream.Name("show "+name))
}

type visits struct {
	Count int
	Words []string
}

// everything declares one of each operator that keeps data.
func everything(app *stream.App, in [][]int, w window.Window, into shown, fail func(output string, at int64) bool) {
	s := stream.Map(stream.From(app, source.Queue(in...)), func(i int) int {
		if fail("compute", int64(i)) {
			panic(errCrash)
		}
		return i
	})
	keyed := stream.KeyBy(s, func(i int) int { return i % 3 })
	text := stream.MapValues(keyed, func(i int) string { return fmt.Sprint(i) })
	failing := func(output string) func(int64) bool { return func(at int64) bool { return fail(output, at) } }
	concat := func(a, b string) string { return a + b }

	note(into, "window", stream.Window(s, w), failing("window"))
	note(into, "count", stream.CountByWindow(s, w), failing("count"))
	note(into, "max", stream.ReduceByWindow(s, func(a, b int) int { return max(a, b) }, w), failing("max"))
	note(into, "values", stream.CountByValueAndWindow(s, w), failing("values"))
	note(into, "concat", stream.ReduceByKeyAndWindow(text, concat, w, stream.Name("concat")), failing("concat"))
	note(into, "inverse", stream.ReduceByKeyAndWindowInverse(text, concat, func(all, oldest string) string { return all[len(oldest):] }, w, stream.Name("inverse")), failing("inverse"))
	groups := stream.GroupByKeyAndWindow(keyed, w)
	note(into, "groups", groups, failing("groups"))
	note(into, "windows on windows", stream.CountByWindow(groups, window.Tumbling(2*w.Slide), stream.Name("outer")), failing("windows on windows"))
	note(into, "states", stream.UpdateStateByKey(text, func(values []string, v stream.Opt[visits]) stream.Opt[visits] {
		if len(values) == 0 && v.Value.Count%4 == 3 {
			return stream.Opt[visits]{}
		}
		words := append([]string{}, v.Value.Words...)
		return stream.Some(visits{v.Value.Count + 1, append(words, values...)})
	}, stream.InitialState([]stream.Pair[int, visits]{stream.P(5, visits{Words: []string{"initial"}})})), failing("states"))
	mapped, snapshots := stream.MapWithState(keyed, func(k int, v stream.Opt[int], s *stream.State[int]) stream.Opt[string] {
		old, _ := s.Get()
		switch {
		case s.TimingOut():
			return stream.Some(fmt.Sprintf("%d timed out at %d", k, old))
		case v.Value == 7:
			if s.Exists() {
				s.Remove()
			}
			return stream.Opt[string]{}
		case v.Value%2 == 0:
			s.Update(old + v.Value)
		}
		return stream.Some(fmt.Sprint(k, old))
	}, stream.Timeout(2*time.Second), stream.InitialState([]stream.Pair[int, int]{stream.P(8, 80)}))
	note(into, "mapped", mapped, failing("mapped"))
	note(into, "snapshots", snapshots, failing("snapshots"))
}

// A program that stops or fails after any batch and goes on from its checkpoint,
// with other numbers of partitions and workers, shows what one does that runs
// through.
func TestRecoveryAgainstUninterrupted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 9), 0, 6), 1, 12).Draw(t, "batches")
		w := window.Sliding(time.Duration(rapid.IntRange(1, 5).Draw(t, "length"))*time.Second, time.Duration(rapid.IntRange(1, 3).Draw(t, "slide"))*time.Second)
		want := shown{}
		app := streamtest.App(1)
		everything(app, in, w, want, func(string, int64) bool { return false })
		require.NoError(t, app.Run(t.Context()))

		got, store := shown{}, checkpointtest.NewFaulty(1)
		crashes := rapid.IntRange(0, 4).Draw(t, "crashes")
		for {
			outputs := []string{"window", "states", "mapped", "snapshots", "none"}
			output, failing := rapid.SampledFrom(outputs).Draw(t, "failing output"), rapid.Int64Range(1, 12).Draw(t, "failing batch")
			saveEvery := rapid.SampledFrom([]time.Duration{1, time.Hour}).Draw(t, "save")
			ctx, stop := context.WithCancel(t.Context())
			stopAt := rapid.Int64Range(1, 24).Draw(t, "stop at")
			app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
				app := streamtest.New(stream.Config{Partitions: rapid.IntRange(1, 4).Draw(t, "partitions"), Workers: rapid.IntRange(1, 3).Draw(t, "workers"), SaveEvery: saveEvery})
				everything(app, in, w, got, func(o string, at int64) bool {
					if crashes > 0 && at == stopAt {
						stop()
					}
					return crashes > 0 && o == output && at == failing
				})
				return app, nil
			})
			require.NoError(t, err)
			err = app.Run(ctx)
			stopped := ctx.Err() != nil
			stop()
			if err != nil {
				require.ErrorIs(t, err, errCrash)
				crashes--
				continue
			}
			if stopped && crashes > 0 {
				crashes--
				continue
			}
			break
		}
		require.Equal(t, want, got)
	})
}

// A batch that fails is tried again, from stored elements or from the checkpoint,
// and nothing of the failed attempt shows.
func TestRetriesAgainstUndisturbed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 9), 0, 6), 1, 10).Draw(t, "batches")
		w := window.Sliding(time.Duration(rapid.IntRange(1, 5).Draw(t, "length"))*time.Second, time.Second)
		want, got := shown{}, shown{}
		app := streamtest.App(1)
		everything(app, in, w, want, func(string, int64) bool { return false })
		require.NoError(t, app.Run(t.Context()))

		bad := rapid.SliceOfNDistinct(rapid.IntRange(1, 120), 0, 5, rapid.ID).Draw(t, "calls that fail")
		calls, failures := 0, 0
		app, err := stream.GetOrCreate(checkpointtest.NewFaulty(1), func() (*stream.App, error) {
			app := streamtest.New(stream.Config{Retries: 5, RetryBackoff: 1, Workers: 1, SaveEvery: rapid.SampledFrom([]time.Duration{1, time.Hour}).Draw(t, "save")})
			everything(app, in, w, got, func(output string, _ int64) bool {
				if output != "compute" && output != "values" && output != "snapshots" {
					return false
				}
				if calls++; slices.Contains(bad, calls) {
					failures++
					return true
				}
				return false
			})
			return app, nil
		})
		require.NoError(t, err)
		require.NoError(t, app.Run(t.Context()))
		require.Equal(t, want, got)
		require.EqualValues(t, failures, app.Stats().Retries)
	})
}

func TestRetriesAreLimited(t *testing.T) {
	for _, withStore := range []bool{false, true} {
		attempts := map[string]int{}
		build := func() (*stream.App, error) {
			app := streamtest.New(stream.Config{Retries: 3, RetryBackoff: 1})
			everything(app, [][]int{{1}, {2}}, window.Tumbling(time.Second), shown{}, func(output string, at int64) bool {
				attempts[output]++
				return output == "max" && at == 2
			})
			return app, nil
		}
		app, _ := build()
		if withStore {
			var err error
			app, err = stream.GetOrCreate(checkpointtest.NewFaulty(1), build)
			require.NoError(t, err)
		}
		clear(attempts)
		err := app.Run(t.Context())
		var failed *stream.BatchError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "show max", failed.Output)
		require.ErrorIs(t, err, errCrash)
		require.Equal(t, 1+1+3, attempts["max"])
		require.Equal(t, 2, attempts["window"])
		require.Equal(t, 2, attempts["compute"], "retries have the stored elements")
		require.Equal(t, 1, attempts["values"], "what comes after it")
	}
}

// A finished program that is started again ends at once.
func TestFinishedProgramEndsAtOnce(t *testing.T) {
	store, into := checkpoint.Dir(t.TempDir()), shown{}
	for range 3 {
		app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
			app := streamtest.App(1)
			everything(app, [][]int{{1}, {2}}, window.Tumbling(time.Second), into, func(_ string, at int64) bool { return at > 2 })
			return app, nil
		})
		require.NoError(t, err)
		require.NoError(t, app.Run(t.Context()))
	}
	require.Len(t, into["count"], 2)
}

// A function that panics every time is tried so often, from the checkpoint.
func TestPanicsAreRetriedFromTheCheckpoint(t *testing.T) {
	calls := 0
	app, err := stream.GetOrCreate(checkpointtest.NewFaulty(1), func() (*stream.App, error) {
		app := streamtest.New(stream.Config{Retries: 3, RetryBackoff: 1, SaveEvery: 1})
		everything(app, [][]int{{1}, {2}, {3}}, window.Tumbling(time.Second), shown{}, func(output string, i int64) bool {
			if output == "compute" && i == 2 {
				calls++
				return true
			}
			return false
		})
		return app, nil
	})
	require.NoError(t, err)
	err = app.Run(t.Context())
	require.ErrorIs(t, err, errCrash)
	require.Equal(t, 4, calls)
	require.EqualValues(t, 3, app.Stats().Retries)
	require.EqualValues(t, 1, app.Stats().Batches)
}

// A batch that is given up since it takes too long after the stop is not in the
// checkpoint; it runs again next time, with the same records.
func TestStopThatTakesTooLongLosesNothing(t *testing.T) {
	in := [][]int{{1, 2}, {3}, {4, 5}, {6}}
	want := shown{}
	app := streamtest.App(1)
	everything(app, in, window.Sliding(3*time.Second, time.Second), want, func(string, int64) bool { return false })
	require.NoError(t, app.Run(t.Context()))

	bubble.Test(t, func(t *testing.T) {
		got, store := shown{}, checkpointtest.NewFaulty(1)
		for run := range 3 {
			ctx, stop := context.WithCancel(t.Context())
			app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
				app := streamtest.New(stream.Config{DrainTimeout: time.Minute})
				everything(app, in, window.Sliding(3*time.Second, time.Second), got, func(output string, at int64) bool {
					if output == "states" && run < 2 && at == int64(run+2) {
						stop()
						time.Sleep(time.Hour) // of the test's clock
					}
					return false
				})
				return app, nil
			})
			require.NoError(t, err)
			require.Equal(t, []int{0, 2, 3}[run], app.Recovered().Pending)
			err = app.Run(ctx)
			stop()
			if run < 2 {
				require.ErrorContains(t, err, "was not complete within DrainTimeout")
			} else {
				require.NoError(t, err)
			}
		}
		require.Equal(t, want, got)
	})
}

// stopping is a store that ends a context when it is read.
type stopping struct {
	checkpoint.Store
	stop func()
}

func (s stopping) Open(ctx context.Context) (checkpoint.Session, error) {
	opened, err := s.Store.Open(ctx)
	return stoppingSession{opened, s.stop}, err
}

type stoppingSession struct {
	checkpoint.Session
	stop func()
}

func (s stoppingSession) Get(ctx context.Context, name string) ([]byte, error) {
	s.stop()
	return s.Session.Get(ctx, name)
}

func TestStoppedWhileTheCheckpointIsRead(t *testing.T) {
	dir, into := checkpoint.Dir(t.TempDir()), shown{}
	ctx, stop := context.WithCancelCause(t.Context())
	running := false
	stopIt := func() {
		if running { // GetOrCreate reads it too
			stop(errors.New("told to stop"))
		}
	}
	for i, store := range []checkpoint.Store{dir, stopping{dir, stopIt}} {
		app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
			app := streamtest.App(1)
			everything(app, [][]int{{1}, {2}, {3}}, window.Tumbling(time.Second), into, func(_ string, at int64) bool { return i == 0 && at == 2 })
			return app, nil
		})
		require.NoError(t, err)
		running = i == 1
		if err = app.Run(ctx); i == 0 {
			require.ErrorIs(t, err, errCrash)
		} else {
			require.NoError(t, err)
		}
	}
	require.Len(t, into["count"], 1)
}
