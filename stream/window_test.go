package stream_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
	"github.com/godstream/godstream/window"
)

// Spark's own expectations (WindowOperationsSuite), on batches of one second
// that are aligned to the epoch.
func TestWindowOfSpark(t *testing.T) {
	in := [][]int{{0}, {1}, {2}, {3}, {4}, {5}, nil, nil, nil}
	tests := map[string]struct {
		window window.Window
		want   map[int][]int // by second
	}{
		"slide of one":             {window.Sliding(2*time.Second, time.Second), map[int][]int{1: {0}, 2: {0, 1}, 3: {1, 2}, 4: {2, 3}, 5: {3, 4}, 6: {4, 5}, 7: {5}, 8: nil, 9: nil}},
		"larger window":            {window.Sliding(4*time.Second, 2*time.Second), map[int][]int{2: {0, 1}, 4: {0, 1, 2, 3}, 6: {2, 3, 4, 5}, 8: {4, 5}}},
		"slide larger than window": {window.Sliding(2*time.Second, 3*time.Second), map[int][]int{3: {1, 2}, 6: {4, 5}, 9: nil}},
		"tumbling":                 {window.Tumbling(3 * time.Second), map[int][]int{3: {0, 1, 2}, 6: {3, 4, 5}, 9: nil}},
		"longer than all":          {window.Sliding(time.Minute, 4*time.Second), map[int][]int{4: {0, 1, 2, 3}, 8: {0, 1, 2, 3, 4, 5}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			app := streamtest.App(2)
			out := streamtest.Collect(stream.Window(stream.From(app, source.Queue(in...)), test.window))
			streamtest.Run(t, app)
			got := map[int][]int{}
			for i, at := range out.Times() {
				got[int(at.Unix())] = out.Batch(i)
			}
			require.Equal(t, test.want, got)
		})
	}
}

// Windowed operators are the plain ones on what the window covers.
func TestWindowedOperatorsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 9), 0, 12), 1, 14).Draw(t, "batches")
		length, slide := rapid.IntRange(1, 6).Draw(t, "length"), rapid.IntRange(1, 6).Draw(t, "slide")
		factor := rapid.IntRange(1, 2).Draw(t, "period of the stream") // of a window before it
		start := rapid.IntRange(0, 20).Draw(t, "start")
		app := streamtest.New(stream.Config{Partitions: rapid.IntRange(1, 4).Draw(t, "partitions"), Workers: rapid.IntRange(1, 3).Draw(t, "workers"),
			Start: time.Unix(int64(start), 0)})
		s := stream.Window(stream.From(app, source.Queue(in...)), window.Tumbling(time.Duration(factor)*time.Second))
		w := window.Sliding(time.Duration(length*factor)*time.Second, time.Duration(slide*factor)*time.Second)
		keyed := stream.KeyBy(s, func(i int) int { return i % 3 })

		windows := streamtest.Collect(stream.Window(s, w))
		counts := streamtest.Collect(stream.CountByWindow(s, w))
		most := streamtest.Collect(stream.ReduceByWindow(s, func(a, b int) int { return max(a, b) }, w))
		byValue := streamtest.Collect(stream.CountByValueAndWindow(s, w))
		text := stream.MapValues(keyed, func(i int) string { return fmt.Sprint(i) })
		joined := streamtest.Collect(stream.ReduceByKeyAndWindow(text, func(a, b string) string { return a + b }, w))
		inverse := func(all, oldest string) string { return all[len(oldest):] }
		inversely := streamtest.Collect(stream.ReduceByKeyAndWindowInverse(text, func(a, b string) string { return a + b }, inverse, w))
		groups := streamtest.Collect(stream.GroupByKeyAndWindow(keyed, w))
		require.NoError(t, app.Run(t.Context()))

		n := 0
		for i := range in {
			at := start + i + 1
			if at%(slide*factor) != 0 {
				continue
			}
			var covered []int
			for j := range in {
				before := start + j + 1                         // time of the batch
				pane := (before + factor - 1) / factor * factor // of the window before
				if pane <= at && pane > at-length*factor {
					covered = append(covered, in[j]...)
				}
			}
			require.Equal(t, int64(at), windows.Times()[n].Unix())
			require.Equal(t, fmt.Sprint(covered), fmt.Sprint(windows.Batch(n)))
			require.Equal(t, []int64{int64(len(covered))}, counts.Batch(n))
			if len(covered) == 0 {
				require.Empty(t, most.Batch(n))
			} else {
				require.Equal(t, []int{slices.Max(covered)}, most.Batch(n))
			}
			keys, values := grouped(naiveMap(covered, func(i int) pair { return stream.P(i, i) }))
			require.Equal(t, fmt.Sprint(naiveMap(keys, func(k int) pair { return stream.P(k, len(values[k])) })), fmt.Sprint(byValue.Batch(n)))
			keys, values = grouped(naiveMap(covered, func(i int) pair { return stream.P(i%3, i) }))
			require.Equal(t, fmt.Sprint(naiveMap(keys, func(k int) stream.Pair[int, []int] { return stream.P(k, values[k]) })), fmt.Sprint(groups.Batch(n)))
			require.Equal(t, joined.Batch(n), inversely.Batch(n))
			require.Equal(t, fmt.Sprint(naiveMap(keys, func(k int) stream.Pair[int, string] {
				all := ""
				for _, v := range values[k] {
					all += fmt.Sprint(v)
				}
				return stream.P(k, all)
			})), fmt.Sprint(joined.Batch(n)))
			n++
		}
		require.Len(t, windows.Batches(), n, "no window in between")
	})
}

func TestStreamsOfDifferentPeriodsAreNotCombined(t *testing.T) {
	app := stream.New(stream.Config{Interval: 5 * time.Second, Logger: quiet})
	s := stream.From(app, source.Queue([]int{1}), stream.Name("numbers"))
	w := stream.Window(s, window.Sliding(time.Minute, 10*time.Second), stream.Name("minute"))
	stream.Print(stream.Union(s, w))
	stream.Print(stream.Window(s, window.Sliding(7*time.Second, 5*time.Second)))
	stream.Print(stream.CountByWindow(w, window.Sliding(time.Minute, 5*time.Second)))
	stream.Print(stream.CountByWindow(s, window.Sliding(0, -5*time.Second)))
	err := app.Run(t.Context())
	require.ErrorContains(t, err, "union: numbers has a batch every 5s, minute every 10s; combine streams of one period")
	require.ErrorContains(t, err, "window of numbers: the window's length, 7s, is not a multiple of 5s, the time between the batches of its stream")
	require.ErrorContains(t, err, "countByWindow of minute: the window's slide, 5s, is not a multiple of 10s")
	require.ErrorContains(t, err, "countByWindow of numbers: the window's length is not positive: 0s")
}

// While a program is behind, a tick whose windows show what no later one does is
// run, without new records; others are merged.
func TestTicksThatWindowsNeedAreNotMerged(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		app := stream.New(stream.Config{Interval: time.Second, MaxPending: 1, Logger: quiet})
		began := time.Now()
		s := stream.From(app, history{feed: func(ctx context.Context, b *source.Buffer[event]) {
			f := b.Feed("a", 0)
			for i := range 12 {
				select {
				case <-time.After(time.Until(began.Add(time.Duration(i)*time.Second + 500*time.Millisecond))):
				case <-ctx.Done():
					return
				}
				f.Put(event{value: "x"}, int64(i+1), 1, time.Time{})
			}
			f.End()
		}})
		stream.ForEachBatch(s, func(_ context.Context, at stream.BatchInfo, _ batch.Batch[event]) error {
			if at.Time.Sub(began) == time.Second {
				time.Sleep(6 * time.Second)
			}
			return nil
		})
		sliding := streamtest.Collect(stream.CountByWindow(s, window.Sliding(8*time.Second, time.Second)))
		tumbling := streamtest.Collect(stream.CountByWindow(s, window.Tumbling(4*time.Second)))
		two := streamtest.Collect(stream.CountByWindow(s, window.Tumbling(2*time.Second)))
		require.NoError(t, app.Run(t.Context()))
		require.Equal(t, []string{"1:1", "2:2", "4:2", "7:7", "8:8", "9:8", "10:8", "11:9", "12:10"}, counts(began, sliding))
		require.Equal(t, []string{"4:2", "8:6", "12:4"}, counts(began, tumbling))
		require.Equal(t, []string{"2:2", "4:0", "8:6", "10:2", "12:2"}, counts(began, two))
		require.EqualValues(t, 3, app.Stats().Merged)
	})
}

// counts is what came out at which second.
func counts(began time.Time, out *streamtest.Collected[int64]) (all []string) {
	for i, at := range out.Times() {
		all = append(all, fmt.Sprintf("%d:%d", at.Sub(began)/time.Second, out.Batch(i)[0]))
	}
	return all
}

func TestPanicWhileAWindowFills(t *testing.T) {
	defer goleak.VerifyNone(t)
	app := streamtest.App(1)
	s := stream.Map(stream.From(app, source.Queue([]int{1})), func(int) int { panic("no") })
	stream.Print(stream.CountByWindow(s, window.Tumbling(2*time.Second)))
	var p *stream.Panic
	require.ErrorAs(t, app.Run(t.Context()), &p)
	require.Equal(t, "map-1", p.Op)
}

// Windows are joined and transformed as batches are; all at the slide.
func TestJoinOfWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batches := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 9), 0, 3), 1, 8)
		left, right := batches.Draw(t, "left"), batches.Draw(t, "right")
		length, slide := rapid.IntRange(1, 4).Draw(t, "length"), rapid.IntRange(1, 3).Draw(t, "slide")
		w := window.Sliding(time.Duration(length)*time.Second, time.Duration(slide)*time.Second)
		app := streamtest.New(stream.Config{Partitions: rapid.IntRange(1, 3).Draw(t, "partitions")})
		mod := func(i int) int { return i % 3 }
		a := stream.KeyBy(stream.Window(stream.From(app, source.Queue(left...)), w), mod)
		b := stream.KeyBy(stream.Window(stream.From(app, source.Queue(right...)), w), mod)
		joined := streamtest.Collect(stream.Join(a, b))
		counted := streamtest.Collect(stream.Transform2(a, b, func(x, y batch.Batch[pair]) batch.Batch[int64] {
			return batch.Union(batch.Count(x), batch.Count(y))
		}))
		require.NoError(t, app.Run(t.Context()))

		covered := func(all [][]int, at int) (out []int) {
			for i := max(0, at-length); i < min(at, len(all)); i++ {
				out = append(out, all[i]...)
			}
			return out
		}
		n := 0
		for at := slide; at <= max(len(left), len(right)); at += slide {
			l, r := covered(left, at), covered(right, at)
			var want []stream.Pair[int, stream.Both[int, int]]
			keys, ofLeft := grouped(naiveMap(l, func(i int) pair { return stream.P(mod(i), i) }))
			_, ofRight := grouped(naiveMap(r, func(i int) pair { return stream.P(mod(i), i) }))
			for _, k := range keys {
				for _, x := range ofLeft[k] {
					for _, y := range ofRight[k] {
						want = append(want, stream.P(k, stream.Both[int, int]{Left: x, Right: y}))
					}
				}
			}
			require.Equal(t, int64(at), joined.Times()[n].Unix())
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(joined.Batch(n)))
			require.Equal(t, []int64{int64(len(l)), int64(len(r))}, counted.Batch(n))
			n++
		}
		require.Len(t, joined.Batches(), n)
	})
}
