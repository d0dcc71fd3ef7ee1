package stream_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
)

func replay(t require.TestingT, c stream.Config, sources ...history) (got map[int][]string, err error) {
	c.Ticks, c.Logger = stream.Replay, quiet
	app := stream.New(c)
	var all []stream.Stream[string]
	for _, h := range sources {
		all = append(all, values(stream.From(app, h)))
	}
	out := streamtest.Collect(stream.Union(all...))
	err = app.Run(contextOf(t))
	got = map[int][]string{}
	for i, at := range out.Times() {
		require.NotContains(t, got, int(at.Unix()))
		got[int(at.Unix())] = out.Batch(i)
	}
	return got, err
}

func TestReplayCutsByRecordTime(t *testing.T) {
	tests := map[string]struct {
		sources []history
		want    map[int][]string // by batch time in seconds; the interval is 10 s
	}{
		"nothing at all":         {sources: []history{{parts: [][]event{{}}}}, want: map[int][]string{}},
		"a single record":        {sources: []history{{parts: [][]event{{{"a", 15}}}}}, want: map[int][]string{20: {"a"}}},
		"on the boundary":        {sources: []history{{parts: [][]event{{{"a", 10}, {"b", 19.999}, {"c", 20}}}}}, want: map[int][]string{20: {"a", "b"}, 30: {"c"}}},
		"empty batches between":  {sources: []history{{parts: [][]event{{{"a", 1}, {"b", 35}}}}}, want: map[int][]string{10: {"a"}, 20: nil, 30: nil, 40: {"b"}}},
		"late record stays":      {sources: []history{{parts: [][]event{{{"a", 1}, {"b", 25}, {"c", 3}, {"d", 26}}}}}, want: map[int][]string{10: {"a"}, 20: nil, 30: {"b", "c", "d"}}},
		"no time: that before":   {sources: []history{{parts: [][]event{{{"a", 1}, {"b", 25}, {"c", -1}, {"d", 31}}}}}, want: map[int][]string{10: {"a"}, 20: nil, 30: {"b", "c"}, 40: {"d"}}},
		"no time at the start":   {sources: []history{{parts: [][]event{{{"a", -1}, {"b", -1}, {"c", 25}}}}}, want: map[int][]string{30: {"a", "b", "c"}}},
		"no time at all":         {sources: []history{{parts: [][]event{{{"a", -1}, {"b", -1}}}}}, want: map[int][]string{10: {"a", "b"}}},
		"empty partition":        {sources: []history{{parts: [][]event{{}, {{"a", 25}}, {}}}}, want: map[int][]string{30: {"a"}}},
		"partitions by the side": {sources: []history{{parts: [][]event{{{"a", 1}, {"b", 25}}, {{"c", 15}}}}}, want: map[int][]string{10: {"a"}, 20: {"c"}, 30: {"b"}}},
		"two sources":            {sources: []history{{parts: [][]event{{{"a", 11}}}}, {parts: [][]event{{{"b", 1}, {"c", 12}}}}}, want: map[int][]string{10: {"b"}, 20: {"a", "c"}}},
		"one of two is empty":    {sources: []history{{parts: [][]event{{}}}, {parts: [][]event{{{"b", 1}}}}}, want: map[int][]string{10: {"b"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := replay(t, stream.Config{Interval: 10 * time.Second}, test.sources...)
			require.NoError(t, err)
			require.Len(t, got, len(test.want))
			for at, want := range test.want {
				require.Contains(t, got, at)
				streamtest.Equal(t, got[at], want)
			}
		})
	}
}

// The batches of a replay are those of a naive model, however little is
// buffered.
func TestReplayAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.IntRange(1, 7).Draw(t, "interval")) * time.Second
		prefetch := rapid.Int64Range(1, 50).Draw(t, "prefetch")
		var h history
		for p := range rapid.IntRange(1, 4).Draw(t, "partitions") {
			var events []event
			for i := range rapid.IntRange(0, 30).Draw(t, "events") {
				events = append(events, event{fmt.Sprintf("%d.%d", p, i), rapid.Float64Range(0, 60).Draw(t, "at")})
			}
			h.parts = append(h.parts, events)
		}
		want := map[int][]string{}
		first, last := time.Duration(1<<62), time.Duration(0)
		of := func(e event) time.Duration { // time of the batch of an event
			return time.Duration(int64(e.at*1000))*time.Millisecond/interval*interval + interval
		}
		for _, events := range h.parts {
			var batch time.Duration
			for _, e := range events {
				batch = max(batch, of(e))
				first, last = min(first, of(events[0])), max(last, batch)
			}
		}
		for at := first; at <= last; at += interval {
			want[int(at/time.Second)] = nil
		}
		for _, events := range h.parts {
			var batch time.Duration
			for _, e := range events {
				batch = max(batch, of(e), first)
				want[int(batch/time.Second)] = append(want[int(batch/time.Second)], e.value)
			}
		}
		got, err := replay(t, stream.Config{Interval: interval, Prefetch: prefetch}, h)
		require.NoError(t, err)
		require.Len(t, got, len(want))
		for at := range want {
			require.Contains(t, got, at)
			require.Equal(t, fmt.Sprint(want[at]), fmt.Sprint(got[at]))
		}
	})
}

func TestReplayStopsAtAGap(t *testing.T) {
	h := history{parts: [][]event{{{"a", 1}, {"b", float64(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).Unix())}}}}
	got, err := replay(t, stream.Config{Interval: 10 * time.Second}, h)
	require.ErrorContains(t, err, "lie between batch 1970-01-01T00:00:10Z and the next record, of 2100-01-01T00:00:00Z, but MaxGap is 100000; correct that record's time or raise MaxGap")
	require.Equal(t, map[int][]string{10: {"a"}}, got)

	edge := history{parts: [][]event{{{"a", 1}, {"b", 41}}}}
	_, err = replay(t, stream.Config{Interval: 10 * time.Second, MaxGap: 3}, edge)
	require.NoError(t, err)
	_, err = replay(t, stream.Config{Interval: 10 * time.Second, MaxGap: 2}, edge)
	require.ErrorContains(t, err, "3 batches without a record")
}

func TestReplayWithTimesFarAway(t *testing.T) {
	for _, year := range []int{1971, 2300, 99999} {
		at := time.Date(year, 1, 1, 0, 0, 5, 0, time.UTC)
		got, err := replay(t, stream.Config{Interval: 10 * time.Second}, history{parts: [][]event{{{"a", float64(at.Unix())}}}})
		require.NoError(t, err)
		require.Equal(t, map[int][]string{int(at.Unix()) + 5: {"a"}}, got)
	}
}

func TestReplayBatchThatOutgrowsItsLimit(t *testing.T) {
	h := history{parts: [][]event{{{"12345", 1}, {"12345", 2}, {"12345", 3}}}}
	_, err := replay(t, stream.Config{MaxReplayBatchBytes: 12, Interval: 10 * time.Second}, h)
	require.ErrorContains(t, err, "source from-1: batch 1970-01-01T00:00:10Z: 15 bytes so far are more than the 12 that one batch of a replay may hold")
	_, err = replay(t, stream.Config{MaxReplayBatchBytes: 15, Interval: 10 * time.Second}, h)
	require.NoError(t, err)
}
