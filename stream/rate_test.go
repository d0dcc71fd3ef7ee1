package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// A program that takes 2 ms for a record settles at 500 records a second although
// 1000 arrive, and goes back to what arrives when it has become faster.
func TestBackpressure(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		app := stream.New(stream.Config{Interval: time.Second, Backpressure: true, MaxPending: 1, Prefetch: 1000, MaxBatchBytes: 10_000, Logger: quiet})
		fed := 0
		s := stream.From(app, history{feed: func(ctx context.Context, b *source.Buffer[event]) {
			f := b.Feed("a", 0)
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
				fed++
				if f.Put(event{value: "x"}, int64(fed), 1, time.Time{}) != nil {
					return
				}
			}
		}})
		cost := 2 * time.Millisecond
		var sizes []int
		var took []time.Duration
		stream.ForEachBatch(s, func(_ context.Context, _ stream.BatchInfo, b batch.Batch[event]) error {
			n := len(batch.Collect(b))
			time.Sleep(time.Duration(n) * cost)
			sizes, took = append(sizes, n), append(took, time.Duration(n)*cost)
			switch len(sizes) {
			case 60:
				cost = 100 * time.Microsecond
			case 120:
				stop()
			}
			return nil
		})
		require.NoError(t, app.Run(ctx))
		for _, d := range took[20:60] {
			require.InDelta(t, 1, d.Seconds(), 0.2, "batches take about the interval")
		}
		for _, n := range sizes[100:] {
			require.InDelta(t, 1000, n, 10, "all that arrives")
		}
		require.Positive(t, app.Stats().Sources[0].Rate)
		require.LessOrEqual(t, app.Stats().Sources[0].BufferedBytes, int64(11_000), "bytes of records of one byte")
	})
}

// Rates bound each partition, and none is starved.
func TestRatesByPartition(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		app := stream.New(stream.Config{Interval: 2 * time.Second, InitialRate: 60, Backpressure: true, MaxRatePerPartition: 45, MinRatePerPartition: 3, Logger: quiet})
		s := stream.From(app, history{feed: func(_ context.Context, b *source.Buffer[event]) {
			for name, n := range map[string]int{"large": 1000, "middle": 100, "small": 5, "least": 2} {
				f := b.Feed(name, 0)
				for i := range n {
					f.Put(event{value: name}, int64(i+1), 1, time.Time{})
				}
				f.End()
			}
		}})
		first := map[string]int{}
		total := 0
		stream.ForEachBatch(s, func(_ context.Context, _ stream.BatchInfo, b batch.Batch[event]) error {
			for e := range b.All() {
				if total == 0 {
					first[e.value]++
				}
			}
			total += len(batch.Collect(b))
			return nil
		})
		require.NoError(t, app.Run(t.Context()))
		require.Equal(t, map[string]int{"large": 90, "middle": 25, "small": 3, "least": 2}, first, "of 120: 108 and at most 90; what is left; at least 3; all")
		require.Equal(t, 1107, total)
	})
}
