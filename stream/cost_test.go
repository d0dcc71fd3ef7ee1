//go:build unix && !race

package stream_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/checkpoint/checkpointtest"
	"github.com/godstream/godstream/internal/cost"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
)

// A save after a hundredth of a million keys have changed writes at most two
// hundredths of what a save of all of them does, with at most four fsyncs.
func TestSaveCost(t *testing.T) {
	programs := map[string]func(s stream.Stream[stream.Pair[int64, int64]]){
		"mapWithState": func(s stream.Stream[stream.Pair[int64, int64]]) {
			mapped, _ := stream.MapWithState(s, touch)
			ignore(mapped)
		},
		"updateStateByKey": func(s stream.Stream[stream.Pair[int64, int64]]) { ignore(stream.UpdateStateByKey(s, sum64)) },
	}
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			const keys = 1_000_000
			store := checkpointtest.NewFaulty(1)
			app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
				app := streamtest.New(stream.Config{SaveEvery: 1})
				program(stream.From(app, source.Queue(numbers(0, keys), numbers(0, 1), numbers(500_000, keys/100))))
				return app, nil
			})
			require.NoError(t, err)
			require.NoError(t, app.Run(t.Context()))

			sizes := saveSizes(t, store)
			all, some := slices.Max(sizes), sizes[len(sizes)-1]
			t.Logf("all %d bytes, 1%% %d bytes", all, some)
			require.Greater(t, all, 2*keys)
			require.LessOrEqual(t, some, all/50+4096)

			trace := store.Trace()
			begin := 0
			for i, step := range trace {
				if strings.HasPrefix(step, "create") { // of the last save
					begin = i
				}
			}
			syncs := 0
			for _, step := range trace[begin:] {
				if strings.HasPrefix(step, "sync") {
					syncs++
				}
			}
			require.Positive(t, syncs, "steps %v", trace[begin:])
			require.LessOrEqual(t, syncs, 4)
		})
	}
}

// saveSizes is how long the saves are, oldest first.
func saveSizes(t *testing.T, store checkpoint.Store) (sizes []int) {
	s, err := store.Open(t.Context())
	require.NoError(t, err)
	defer s.Close()
	names, err := s.List(t.Context())
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasPrefix(name, "save-") {
			data, err := s.Get(t.Context(), name)
			require.NoError(t, err)
			sizes = append(sizes, len(data))
		}
	}
	return sizes
}

// The work of updateStateByKey is that of the keys, that of mapWithState is that
// of the pairs, whatever the number of keys: ten times as many cost about ten
// times and about as much. What a cache does not hold costs more, at most twice.
func TestStateCost(t *testing.T) {
	const rounds, pairs = 20, 10_000
	program := func(keys int, declare func(s stream.Stream[stream.Pair[int64, int64]])) time.Duration {
		least := time.Hour
		for range 3 {
			in := [][]stream.Pair[int64, int64]{numbers(0, keys)}
			for i := range rounds {
				in = append(in, numbers(i*977%(keys-pairs+1), pairs))
			}
			app := streamtest.App(1)
			s := stream.From(app, source.Queue(in...))
			declare(s)
			var first, last time.Duration
			stream.ForEachBatch(s, func(context.Context, stream.BatchInfo, batch.Batch[stream.Pair[int64, int64]]) error {
				if last = cost.Used(); first == 0 {
					first = last
				}
				return nil
			})
			require.NoError(t, app.Run(t.Context()))
			least = min(least, (last-first)/rounds)
		}
		return least
	}
	update := func(s stream.Stream[stream.Pair[int64, int64]]) { ignore(stream.UpdateStateByKey(s, sum64)) }
	mapped := func(s stream.Stream[stream.Pair[int64, int64]]) {
		mapped, _ := stream.MapWithState(s, touch)
		ignore(mapped)
	}
	few, many := program(50_000, update), program(500_000, update)
	t.Logf("updateStateByKey: a batch with 50,000 keys %v, with 500,000 %v", few, many)
	require.LessOrEqual(t, many, 20*few)
	few, many = program(50_000, mapped), program(500_000, mapped)
	t.Logf("mapWithState: 10,000 pairs with 50,000 keys %v, with 500,000 %v", few, many)
	require.LessOrEqual(t, many, 2*few+time.Millisecond)
}
