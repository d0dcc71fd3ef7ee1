package stream_test

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
	"github.com/godstream/godstream/window"
)

// Keys that come once leave nothing behind: after a million of them, memory and
// the folder of the checkpoint are what they were after a tenth.
func TestMillionShortLivedKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for some seconds")
	}
	const batches, keys = 500, 2000
	dir := t.TempDir()
	app, err := stream.GetOrCreate(checkpoint.Dir(dir), func() (*stream.App, error) {
		app := streamtest.New(stream.Config{SaveEvery: 1, Partitions: 1})
		var in [][]stream.Pair[int64, int64]
		for range batches {
			in = append(in, []stream.Pair[int64, int64]{})
		}
		s := stream.Transform(stream.From(app, source.Queue(in...)), fresh(keys))
		mapped, _ := stream.MapWithState(s, touch, stream.Timeout(3*time.Second))
		ignore(mapped)
		ignore(stream.UpdateStateByKey(s, func(values []int64, old stream.Opt[int64]) stream.Opt[int64] {
			return stream.Opt[int64]{Value: old.Value + 1, OK: old.Value < 3}
		}))
		ignore(stream.ReduceByKeyAndWindow(s, func(a, b int64) int64 { return a + b }, window.Sliding(4*time.Second, time.Second)))
		type size struct {
			heap uint64
			disk int64
		}
		var early, late size
		done := 0
		stream.ForEachBatch(s, func(context.Context, stream.BatchInfo, batch.Batch[stream.Pair[int64, int64]]) error {
			done++
			var most size
			if done%50 == 0 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = size{m.HeapAlloc, folderSize(t, dir)}
			}
			if into := &early; done > 50 {
				if done > 250 {
					into = &late
				}
				into.heap, into.disk = max(into.heap, most.heap), max(into.disk, most.disk)
			}
			if done == batches {
				t.Logf("at most, batches 51 to 250: %d KiB of heap, %d KiB of disk; 251 to 500: %d, %d", early.heap>>10, early.disk>>10, late.heap>>10, late.disk>>10)
				require.LessOrEqual(t, late.heap, early.heap+early.heap/4+1<<20)
				require.LessOrEqual(t, late.disk, early.disk+early.disk/4+1<<20)
			}
			return nil
		})
		return app, nil
	})
	require.NoError(t, err)
	require.NoError(t, app.Run(t.Context()))
}

// fresh gives keys that have never been there.
func fresh(n int) func(batch.Batch[stream.Pair[int64, int64]]) batch.Batch[stream.Pair[int64, int64]] {
	next := 0
	return func(batch.Batch[stream.Pair[int64, int64]]) batch.Batch[stream.Pair[int64, int64]] {
		next += n
		return batch.Of(numbers(next, n))
	}
}

func folderSize(t *testing.T, dir string) (n int64) {
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		n += info.Size()
	}
	return n
}

// numbers is so many pairs, a key each, from a first one on.
func numbers(first, n int) []stream.Pair[int64, int64] {
	out := make([]stream.Pair[int64, int64], n)
	for i := range out {
		out[i] = stream.P(int64(first+i), int64(1))
	}
	return out
}

func sum64(values []int64, state stream.Opt[int64]) stream.Opt[int64] {
	for _, v := range values {
		state.Value += v
	}
	return stream.Some(state.Value)
}

func touch(k int64, v stream.Opt[int64], s *stream.State[int64]) stream.Opt[int64] {
	if n, _ := s.Get(); !s.TimingOut() {
		s.Update(n + v.Value)
	}
	return stream.Opt[int64]{}
}

// ignore declares an output that computes a stream.
func ignore[T any](s stream.Stream[T]) {
	stream.ForEachBatch(s, func(context.Context, stream.BatchInfo, batch.Batch[T]) error { return nil })
}
