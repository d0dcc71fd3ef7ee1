package stream_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
	"github.com/godstream/godstream/window"
)

func words(all ...string) (out []stream.Pair[string, int]) {
	for _, w := range all {
		out = append(out, stream.P(w, 1))
	}
	return out
}

func total(values []int, state stream.Opt[int]) stream.Opt[int] {
	for _, v := range values {
		state.Value += v
	}
	return stream.Some(state.Value)
}

// Spark's own expectations of updateStateByKey (BasicOperationsSuite).
func TestUpdateStateByKeyOfSpark(t *testing.T) {
	in := [][]stream.Pair[string, int]{words("a"), words("a", "b"), words("a", "b", "c"), words("a", "b"), words("a"), nil}
	running := func(s stream.Stream[stream.Pair[string, int]], opts ...stream.Option) stream.Stream[stream.Pair[string, int]] {
		return stream.UpdateStateByKey(s, total, opts...)
	}
	tests := map[string]struct {
		program func(s stream.Stream[stream.Pair[string, int]]) stream.Stream[stream.Pair[string, int]]
		want    string
	}{
		"running counts": {func(s stream.Stream[stream.Pair[string, int]]) stream.Stream[stream.Pair[string, int]] {
			return running(s)
		},
			"[[(a, 1)] [(a, 2) (b, 1)] [(a, 3) (b, 2) (c, 1)] [(a, 4) (b, 3) (c, 1)] [(a, 5) (b, 3) (c, 1)] [(a, 5) (b, 3) (c, 1)]]"},
		"initial states take part from the first batch on": {func(s stream.Stream[stream.Pair[string, int]]) stream.Stream[stream.Pair[string, int]] {
			return running(s, stream.InitialState([]stream.Pair[string, int]{stream.P("z", 5), stream.P("a", 1)}))
		}, "[[(z, 5) (a, 2)] [(z, 5) (a, 3) (b, 1)] [(z, 5) (a, 4) (b, 2) (c, 1)] [(z, 5) (a, 5) (b, 3) (c, 1)] [(z, 5) (a, 6) (b, 3) (c, 1)] [(z, 5) (a, 6) (b, 3) (c, 1)]]"},
		"a key without values is forgotten": {func(s stream.Stream[stream.Pair[string, int]]) stream.Stream[stream.Pair[string, int]] {
			return stream.UpdateStateByKey(s, func(values []int, state stream.Opt[int]) stream.Opt[int] {
				if len(values) == 0 {
					return stream.Opt[int]{}
				}
				return total(values, state)
			})
		}, "[[(a, 1)] [(a, 2) (b, 1)] [(a, 3) (b, 2) (c, 1)] [(a, 4) (b, 3)] [(a, 5)] []]"},
		"with time and key": {func(s stream.Stream[stream.Pair[string, int]]) stream.Stream[stream.Pair[string, int]] {
			return stream.UpdateStateByKeyFunc(s, func(at time.Time, k string, values []int, state stream.Opt[int]) stream.Opt[int] {
				if k == "b" {
					return stream.Opt[int]{}
				}
				return stream.Some(10*int(at.Unix()) + len(values))
			})
		}, "[[(a, 11)] [(a, 21)] [(a, 31) (c, 31)] [(a, 41) (c, 40)] [(a, 51) (c, 50)] [(a, 60) (c, 60)]]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for partitions := 1; partitions <= 3; partitions++ {
				got := streamtest.Batches(t, in, partitions, test.program)
				require.Equal(t, test.want, fmt.Sprint(got))
			}
		})
	}
}

// What a state may do, with Spark's rules (MapWithStateSuite).
func TestMapWithState(t *testing.T) {
	type pair = stream.Pair[string, int]
	type op = func(k string, v stream.Opt[int], s *stream.State[int]) stream.Opt[string]
	count := func(k string, v stream.Opt[int], s *stream.State[int]) stream.Opt[string] {
		if s.TimingOut() {
			n, _ := s.Get()
			return stream.Some(fmt.Sprintf("%s ends at %d", k, n))
		}
		n, _ := s.Get()
		s.Update(n + v.Value)
		return stream.Some(fmt.Sprint(k, n+v.Value))
	}
	in := [][]pair{words("a"), words("a", "b", "a"), nil, words("b"), nil, nil, nil}
	tests := map[string]struct {
		f            op
		opts         []stream.Option
		mapped, kept string
	}{
		"once for each pair, in order": {count, nil, "[[a1] [a2 b1 a3] [] [b2] [] [] []]",
			"[[(a, 1)] [(a, 3) (b, 1)] [(a, 3) (b, 1)] [(a, 3) (b, 2)] [(a, 3) (b, 2)] [(a, 3) (b, 2)] [(a, 3) (b, 2)]]"},
		"a call that does nothing makes no state": {func(k string, v stream.Opt[int], s *stream.State[int]) stream.Opt[string] {
			return stream.Opt[string]{}
		},
			nil, "[[] [] [] [] [] [] []]", "[[] [] [] [] [] [] []]"},
		"times out in the first batch after the limit": {count, []stream.Option{stream.Timeout(2 * time.Second)},
			"[[a1] [a2 b1 a3] [] [b2] [a ends at 3] [] [b ends at 2]]",
			"[[(a, 1)] [(a, 3) (b, 1)] [(a, 3) (b, 1)] [(a, 3) (b, 2)] [(b, 2)] [(b, 2)] []]"},
		"initial states time out too": {count, []stream.Option{stream.Timeout(time.Second), stream.InitialState([]pair{{Key: "z", Value: 9}})},
			"[[a1] [a2 b1 a3] [z ends at 9] [b2 a ends at 3] [] [b ends at 2] []]",
			"[[(z, 9) (a, 1)] [(z, 9) (a, 3) (b, 1)] [(a, 3) (b, 1)] [(b, 2)] [(b, 2)] [] []]"},
		"removed": {func(k string, v stream.Opt[int], s *stream.State[int]) stream.Opt[string] {
			if s.Exists() {
				s.Remove()
				_, ok := s.Get()
				return stream.Some(fmt.Sprint(k, " gone ", ok))
			}
			s.Update(1)
			return stream.Some(k)
		}, nil, "[[a] [a gone false b a] [] [b gone false] [] [] []]",
			"[[(a, 1)] [(b, 1) (a, 1)] [(b, 1) (a, 1)] [(a, 1)] [(a, 1)] [(a, 1)] [(a, 1)]]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for partitions := 1; partitions <= 3; partitions++ {
				app := streamtest.App(partitions)
				mapped, states := stream.MapWithState(stream.From(app, source.Queue(in...)), test.f, test.opts...)
				all, kept := streamtest.Collect(mapped), streamtest.Collect(states)
				streamtest.Run(t, app)
				require.Equal(t, test.mapped, fmt.Sprint(all.Batches()))
				require.Equal(t, test.kept, fmt.Sprint(kept.Batches()))
			}
		})
	}
}

func TestStateThatIsGoneCantBeUpdated(t *testing.T) {
	tests := map[string]func(s *stream.State[int]){
		"update after remove": func(s *stream.State[int]) { s.Update(1); s.Remove(); s.Update(2) },
		"remove twice":        func(s *stream.State[int]) { s.Remove(); s.Remove() },
		"update at timeout": func(s *stream.State[int]) {
			if s.Update(1); s.TimingOut() {
				s.Update(2)
			}
		},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			app := streamtest.App(1)
			mapped, _ := stream.MapWithState(stream.From(app, source.Queue(words("a"), nil, nil)), func(_ string, _ stream.Opt[int], s *stream.State[int]) stream.Opt[int] {
				f(s)
				return stream.Opt[int]{}
			}, stream.Timeout(time.Second))
			stream.Print(mapped)
			var p *stream.Panic
			require.ErrorAs(t, app.Run(t.Context()), &p)
			require.Equal(t, "mapWithState-1", p.Op)
			require.ErrorContains(t, p, "has been removed or is timing out")
		})
	}
}

// State goes on in every batch, also when its only reader skips some.
func TestStateGoesOnWhenItIsNotRead(t *testing.T) {
	app := streamtest.App(1)
	states := stream.UpdateStateByKey(stream.From(app, source.Queue(words("a"), words("a"), words("a"), words("a"))), total)
	out := streamtest.Collect(stream.Window(states, window.Sliding(time.Second, 4*time.Second)))
	streamtest.Run(t, app)
	require.Equal(t, "[[(a, 4)]]", fmt.Sprint(out.Batches()))
}

func TestStateOptionsAreChecked(t *testing.T) {
	app := stream.New(stream.Config{Logger: quiet})
	s := stream.From(app, source.Queue(words("a")))
	stream.Print(stream.UpdateStateByKey(s, total, stream.InitialState([]stream.Pair[string, string]{{Key: "a"}})))
	stream.Print(stream.UpdateStateByKey(s, total, stream.Timeout(time.Second)))
	mapped, _ := stream.MapWithState(s, func(string, stream.Opt[int], *stream.State[int]) stream.Opt[int] { return stream.Opt[int]{} }, stream.Timeout(0))
	stream.Print(mapped)
	var update func([]int, stream.Opt[int]) stream.Opt[int]
	stream.Print(stream.UpdateStateByKey(s, update))
	err := app.Run(t.Context())
	require.ErrorContains(t, err, "UpdateStateByKey: InitialState has []batch.Pair[string,string], the operator keeps []batch.Pair[string,int]")
	require.ErrorContains(t, err, "updateStateByKey: option Timeout has no effect here, only on [mapWithState]")
	require.ErrorContains(t, err, "mapWithState: Timeout is not positive")
	require.ErrorContains(t, err, "UpdateStateByKey: update is nil")
}

// Random batches against a map and a list of keys, for any partitions and workers.
func TestStateAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pair {
			return pair{Key: rapid.IntRange(0, 6).Draw(t, "key"), Value: rapid.IntRange(0, 9).Draw(t, "value")}
		}), 0, 10), 1, 10).Draw(t, "batches")
		update := func(values []int, old stream.Opt[int]) stream.Opt[int] {
			n := fold(old.Or(5), values)
			return stream.Opt[int]{Value: n, OK: n%4 != 0}
		}
		app := streamtest.New(stream.Config{Partitions: rapid.IntRange(1, 5).Draw(t, "partitions"), Workers: rapid.IntRange(1, 4).Draw(t, "workers")})
		out := streamtest.Collect(stream.UpdateStateByKey(stream.From(app, source.Queue(in...)), update))
		require.NoError(t, app.Run(t.Context()))

		var order []int
		states := map[int]int{}
		for n, b := range in {
			keys, values := grouped(b)
			for _, k := range keys {
				if !slices.Contains(order, k) {
					order = append(order, k)
				}
			}
			want := []pair{}
			order = slices.DeleteFunc(order, func(k int) bool {
				old, ok := states[k]
				s, keep := update(values[k], stream.Opt[int]{Value: old, OK: ok}).Get()
				delete(states, k)
				if keep {
					states[k] = s
					want = append(want, stream.P(k, s))
				}
				return !keep
			})
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(out.Batch(n)))
		}
	})
}

func TestPanicWhileStateIsUpdated(t *testing.T) {
	app := streamtest.App(2)
	stream.Print(stream.UpdateStateByKey(stream.From(app, source.Queue(words("a"), words("a"))), func(_ []int, s stream.Opt[int]) stream.Opt[int] {
		if s.OK {
			panic(errors.New("no"))
		}
		return stream.Some(1)
	}, stream.Name("totals")))
	var p *stream.Panic
	require.ErrorAs(t, app.Run(t.Context()), &p)
	require.Equal(t, "totals", p.Op)
}
