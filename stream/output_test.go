package stream_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func contextOf(t any) context.Context {
	if c, ok := t.(interface{ Context() context.Context }); ok {
		return c.Context()
	}
	return context.Background()
}

// writes keeps each Write by itself.
type writes []string

func (w *writes) Write(b []byte) (int, error) {
	*w = append(*w, string(b))
	return len(b), nil
}

func TestPrintIsPySparksLayout(t *testing.T) {
	var got writes
	app := stream.New(stream.Config{Ticks: stream.Step, Start: time.Date(2017, 1, 11, 15, 33, 0, 0, time.UTC), Interval: time.Minute, Logger: quiet})
	s := stream.From(app, source.Queue([]stream.Pair[string, int]{stream.P("rmoff", 3), stream.P("a b", 1)}, nil, []stream.Pair[string, int]{{}, {}, {}}))
	stream.Print(s, stream.Writer(&got), stream.N(2), stream.Location(time.UTC))
	require.NoError(t, app.Run(t.Context()))
	line := "-------------------------------------------\n"
	require.Equal(t, writes{
		line + "Time: 2017-01-11 15:34:00\n" + line + "(rmoff, 3)\n(a b, 1)\n\n",
		line + "Time: 2017-01-11 15:35:00\n" + line + "\n",
		line + "Time: 2017-01-11 15:36:00\n" + line + "(, 0)\n(, 0)\n...\n\n",
	}, got)
}

func TestPrintTimeWithFraction(t *testing.T) {
	var got writes
	app := stream.New(stream.Config{Ticks: stream.Step, Interval: 1500 * time.Millisecond, Logger: quiet})
	stream.Print(stream.From(app, source.Queue([]int{1}, []int{2})), stream.Writer(&got), stream.Location(time.FixedZone("", 3600)))
	require.NoError(t, app.Run(t.Context()))
	require.Contains(t, got[0], "Time: 1970-01-01 01:00:01.500000\n")
	require.Contains(t, got[1], "Time: 1970-01-01 01:00:03\n")
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestPrintThatCannotWriteFailsTheBatch(t *testing.T) {
	app := streamtest.App(1)
	stream.Print(stream.From(app, source.Queue([]int{1})), stream.Writer(fullDisk{}))
	require.ErrorContains(t, app.Run(t.Context()), "output print-1: disk full")
}

// Whatever is read of a TryMap, and in whatever order, each element is tried
// once and nothing is lost.
func TestTryMapInEveryOrderOfReading(t *testing.T) {
	in := []string{"1", "x", "2", "y", "z", "3"}
	for _, reads := range []string{"good", "bad", "good bad", "bad good", "good good bad", "bad good good", "take bad", "bad take", "union", "union bad", "take"} {
		for partitions := 1; partitions <= 4; partitions++ {
			t.Run(fmt.Sprintf("%s/partitions=%d", reads, partitions), func(t *testing.T) {
				app := streamtest.App(partitions)
				tried := make(chan string, 100)
				good, bad := stream.TryMap(stream.From(app, source.Queue(in, nil, in)), func(s string) (int, error) {
					tried <- s
					return strconv.Atoi(s)
				})
				text := func(s stream.Stream[stream.Failed[string]]) stream.Stream[string] {
					return stream.Map(s, func(f stream.Failed[string]) string { return f.Record })
				}
				var goods []*streamtest.Collected[int]
				var bads []*streamtest.Collected[string]
				var taken *streamtest.Collected[int]
				var both *streamtest.Collected[string]
				for _, read := range strings.Fields(reads) {
					switch read {
					case "good":
						goods = append(goods, streamtest.Collect(good))
					case "bad":
						bads = append(bads, streamtest.Collect(text(bad)))
					case "take":
						taken = streamtest.Collect(stream.Take(good, 1))
					case "union":
						both = streamtest.Collect(stream.Union(text(bad), stream.Map(good, strconv.Itoa)))
					}
				}
				streamtest.Run(t, app)
				require.Len(t, tried, 2*len(in))
				for _, g := range goods {
					require.Equal(t, [][]int{{1, 2, 3}, nil, {1, 2, 3}}, g.Batches())
				}
				for _, b := range bads {
					require.Equal(t, [][]string{{"x", "y", "z"}, nil, {"x", "y", "z"}}, b.Batches())
				}
				if taken != nil {
					require.Equal(t, [][]int{{1}, nil, {1}}, taken.Batches())
				}
				if both != nil {
					require.Equal(t, []string{"x", "y", "z", "1", "2", "3"}, both.Batch(0))
				}
				require.Equal(t, []stream.OperatorStats{{Name: "tryMap-1", Failed: 6}}, app.Stats().Operators)
			})
		}
	}
}

func TestFailuresThatNobodyReadsAreLogged(t *testing.T) {
	var log bytes.Buffer
	app := stream.New(stream.Config{Ticks: stream.Step, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	good, _ := stream.TryMap(stream.From(app, source.Queue([]string{"1", "x", "y"})), strconv.Atoi)
	streamtest.Collect(good)
	require.NoError(t, app.Run(t.Context()))
	require.Contains(t, log.String(), `records failed and nothing reads the failed stream" app=app operator=tryMap-1 batch=1970-01-01T00:00:01.000Z records=2 first="x: strconv.Atoi: parsing \"x\": invalid syntax"`)
}

func TestFailuresBeyondTheLimitAreCounted(t *testing.T) {
	for partitions := 1; partitions <= 3; partitions++ {
		var log bytes.Buffer
		app := stream.New(stream.Config{Ticks: stream.Step, Partitions: partitions, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		good, bad := stream.TryMap(stream.From(app, source.Queue([]string{"a", "b", "1", "c", "d"})), strconv.Atoi, stream.KeepFailures(3))
		got, kept := streamtest.Collect(good), streamtest.Collect(stream.Map(bad, func(f stream.Failed[string]) string { return f.Record }))
		require.NoError(t, app.Run(t.Context()))
		require.Equal(t, []int{1}, got.Batch(0))
		require.Equal(t, []string{"a", "b", "c"}, kept.Batch(0))
		require.Equal(t, []stream.OperatorStats{{Name: "tryMap-1", Failed: 4, Dropped: 1}}, app.Stats().Operators)
		require.Contains(t, log.String(), "more records failed than the failed stream keeps")
	}
}

func TestDecodeTellsWhereARecordIs(t *testing.T) {
	app := stream.New(stream.Config{Ticks: stream.Replay, Logger: quiet})
	type author struct{ Name string }
	hasName := func(a author) error {
		if a.Name == "" {
			return errors.New("no name")
		}
		return nil
	}
	s := stream.From(app, history{parts: [][]event{{{`{"name":"x"}`, 1}, {`{}`, 1}, {`null`, 1}, {`{"name":"y`, 1}, {"\"\xff\"", 1}, {`[]`, 1}, {`{"name":"z"} {}`, 1}}}})
	good, bad := stream.Decode(s, codec.JSON[author]().Check(hasName))
	var reasons writes
	names := streamtest.Collect(stream.Map(good, func(a author) string { return a.Name }))
	stream.Print(bad, stream.Writer(&reasons))
	require.NoError(t, app.Run(t.Context()))
	require.Equal(t, []string{"x"}, names.Batch(0))
	lines := strings.Split(reasons[0], "\n")[3:]
	require.Len(t, lines, 8)
	for i, want := range []string{"test@{}: no name", "test@null: ", `test@{"name":"y: `, "test@\"\xff\": ", "test@[]: ", `test@{"name":"z"} {}: `} {
		require.True(t, strings.HasPrefix(lines[i], want), "%q", lines[i])
		require.Greater(t, len(lines[i]), len(want)-1)
	}
}

// A node with several readers runs its function once for each element.
func TestSharedNodesRunOnce(t *testing.T) {
	app := streamtest.App(3)
	calls := make(chan int, 100)
	m := stream.Map(stream.From(app, source.Queue([]int{1, 2, 3, 4})), func(i int) int { calls <- i; return i })
	a, b := streamtest.Collect(stream.Count(m)), streamtest.Collect(stream.Union(m, m))
	c := streamtest.Collect(stream.Transform(stream.Map(m, func(i int) int { calls <- i; return i }), func(b batch.Batch[int]) batch.Batch[int] {
		return batch.Union(b, b, b)
	}))
	streamtest.Run(t, app)
	require.Len(t, calls, 8)
	require.Equal(t, []int64{4}, a.Batch(0))
	require.Equal(t, []int{1, 2, 3, 4, 1, 2, 3, 4}, b.Batch(0))
	require.Len(t, c.Batch(0), 12)
}

func TestExplain(t *testing.T) {
	app := streamtest.App(1)
	lines := stream.From(app, source.Queue([]string{"tea"}), stream.Name("lines"))
	words := stream.FlatMap(lines, strings.FieldsSeq)
	counts := stream.CountByValue(words)
	stream.Print(stream.Top(counts, 5, stream.ByValue), stream.Name("top \"5\""))
	stream.Print(stream.Union(stream.Map(words, strings.ToUpper), stream.Map(words, strings.ToLower)))
	stream.SortBy(counts, stream.ByKey)
	numbers, bad := stream.TryMap(words, strconv.Atoi, stream.Name("numbers"))
	stream.Print(numbers)
	stream.Print(bad)
	golden(t, "explain.txt", app.Explain(stream.Text))
	golden(t, "explain.mmd", app.Explain(stream.Mermaid))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestStats(t *testing.T) {
	app := streamtest.App(2)
	require.Zero(t, app.Stats().Batches)
	h := stream.From(app, history{parts: [][]event{{{"abc", 1}, {"de", 2}}}})
	var during stream.Stats
	stream.ForEach(h, func(event) error { during = app.Stats(); return nil })
	streamtest.Run(t, app)
	require.True(t, during.Running)
	s := app.Stats()
	require.EqualValues(t, 1, s.Batches)
	require.EqualValues(t, 2, s.Records)
	require.EqualValues(t, 5, s.Bytes)
	require.EqualValues(t, 2, s.Last.Records)
	require.Equal(t, time.Unix(1, 0).UTC(), s.Last.Time)
	require.Equal(t, "from-1", s.Sources[0].Name)
	require.GreaterOrEqual(t, s.Last.TotalDelay(), s.Last.ProcessingDelay)
}
