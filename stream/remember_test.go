package stream_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
)

func TestSliceOfARememberedStream(t *testing.T) {
	app := streamtest.App(2)
	in := stream.From(app, source.Queue([]int{1}, []int{2, 2}, nil, []int{4}, []int{5}))
	stream.Remember(in, 2*time.Second)
	other := stream.Count(in)
	streamtest.Collect(other)
	streamtest.Run(t, app)

	at := func(seconds float64) time.Time { return time.UnixMilli(int64(seconds * 1000)) }
	slice := func(from, to float64) map[int64][]int {
		found, err := stream.Slice(in, at(from), at(to))
		require.NoError(t, err)
		got := map[int64][]int{}
		last := time.Time{}
		for _, b := range found {
			require.True(t, b.Time.After(last), "oldest first")
			last = b.Time
			got[b.Time.Unix()] = batch.Collect(b.Batch)
		}
		return got
	}
	require.Equal(t, map[int64][]int{3: nil, 4: {4}, 5: {5}}, slice(0, 100), "two seconds before the last")
	require.Equal(t, map[int64][]int{3: nil, 4: {4}}, slice(3, 4), "both ends included")
	require.Equal(t, map[int64][]int{3: nil, 4: {4}}, slice(3.9, 4.9), "ends rounded down")
	require.Empty(t, slice(6, 9))
	require.Empty(t, slice(5, 4))

	_, err := stream.Slice(other, at(0), at(9))
	require.ErrorContains(t, err, `slice of "count-1": the stream is not remembered`)
	_, err = stream.Slice(stream.Stream[int]{}, at(0), at(9))
	require.Error(t, err)
}

func TestRememberFaults(t *testing.T) {
	app := streamtest.App(1)
	in := stream.From(app, source.Queue([]int{1}))
	stream.Remember(in, time.Second)
	stream.Remember(in, -time.Second)
	err := app.Run(t.Context())
	require.ErrorContains(t, err, "the time is not positive: -1s")
	require.ErrorContains(t, err, "from-1 is remembered already")
}
