package stream_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/checkpoint/checkpointtest"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
	"github.com/godstream/godstream/window"
)

// filesProgram reads with a live or bounded source of files until it has all that
// there is, and fails or stops on the way.
type filesProgram struct {
	store  checkpoint.Store
	source func() source.Source[source.Line]
	once   bool
	lines  map[int64][]string // by batch; its last complete output counts
	totals map[int64]string   // what a window and a state show
}

// run runs it until an output fails, which it does in the batch after so many, or
// all lines are there. It says whether they are.
func (p *filesProgram) run(t require.TestingT, want, failAfter int) bool {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	batches := 0
	app, err := stream.GetOrCreate(p.store, func() (*stream.App, error) {
		c := stream.Config{Name: "files", Interval: time.Millisecond, SaveEvery: time.Hour, MaxBatchBytes: 1000, Prefetch: 2000, Logger: quiet}
		if failAfter%2 == 0 {
			c.SaveEvery = 1
		}
		if p.once {
			c.Ticks = stream.Step
		}
		app := stream.New(c)
		lines := stream.Map(stream.From(app, p.source()), source.Line.Text)
		count := func(values []string, n stream.Opt[int]) stream.Opt[int] { return stream.Some(n.Value + len(values)) }
		keyed := stream.KeyBy(lines, func(string) string { return "all" })
		totals := stream.UpdateStateByKey(keyed, count)
		counts := stream.CountByWindow(lines, window.Sliding(3*c.Interval, c.Interval))
		stream.ForEachBatch(lines, func(_ context.Context, at stream.BatchInfo, b batch.Batch[string]) error {
			if batches++; batches > failAfter {
				delete(p.lines, at.Time.UnixMilli())
				return errCrash
			}
			p.lines[at.Time.UnixMilli()] = batch.Collect(b)
			return nil
		})
		show := func(_ context.Context, at stream.BatchInfo, b batch.Batch[stream.Pair[string, int]]) error {
			p.totals[at.Time.UnixMilli()] = fmt.Sprint(batch.Collect(b))
			return nil
		}
		stream.ForEachBatch(totals, show)
		stream.ForEachBatch(counts, func(context.Context, stream.BatchInfo, batch.Batch[int64]) error {
			if p.all() >= want && !p.once {
				stop()
			}
			return nil
		})
		return app, nil
	})
	require.NoError(t, err)
	if err := app.Run(ctx); err != nil {
		require.ErrorIs(t, err, errCrash)
		return false
	}
	require.False(t, ctx.Err() == context.DeadlineExceeded, "%d of %d lines came", p.all(), want)
	return true
}

func (p *filesProgram) all() (n int) {
	for _, lines := range p.lines {
		n += len(lines)
	}
	return n
}

// check checks that each line is in one batch, and what was computed of them.
func (p *filesProgram) check(t require.TestingT, written int) {
	seen, n := map[string]int{}, 0
	for _, at := range slices.Sorted(maps.Keys(p.lines)) {
		for _, line := range p.lines[at] {
			seen[line]++
		}
		if n += len(p.lines[at]); n > 0 {
			require.Equal(t, fmt.Sprintf("[(all, %d)]", n), p.totals[at], "batch %d", at)
		}
	}
	for i := range written {
		require.Equal(t, 1, seen[fmt.Sprintf("line %d", i)], "line %d of %d", i, written)
	}
	require.Len(t, seen, written)
}

// Each line of a directory is in one batch, wherever the program is interrupted and
// whatever happens to the files while it is down: they grow, are rotated, come.
func TestEachLineOfFilesIsInOneBatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "files")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		p := &filesProgram{store: checkpointtest.NewFaulty(1), lines: map[int64][]string{}, totals: map[int64]string{}}
		logs := filepath.Join(dir, "logs")
		require.NoError(t, os.Mkdir(logs, 0o700))
		p.once = rapid.Bool().Draw(t, "once")
		p.source = func() source.Source[source.Line] {
			if p.once {
				return source.Dir(logs, source.Once())
			}
			return source.Dir(logs)
		}
		written, files := 0, 0
		path := func(i int) string { return filepath.Join(logs, fmt.Sprintf("log.%d", i)) }
		appendTo := func(path string, n int) {
			var b strings.Builder
			for range n {
				fmt.Fprintf(&b, "line %d\n", written)
				written++
			}
			f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			require.NoError(t, err)
			_, err = f.WriteString(b.String())
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
		for range rapid.IntRange(1, 5).Draw(t, "runs") {
			for range rapid.IntRange(0, 4).Draw(t, "changes") {
				n := rapid.IntRange(0, 20).Draw(t, "lines")
				switch rapid.SampledFrom([]string{"grow", "rotate", "add", "swap"}).Draw(t, "change") {
				case "grow":
					appendTo(path(0), n)
				case "rotate":
					for i := 8; i >= 0; i-- {
						_ = os.Rename(path(i), path(i+1))
					}
					appendTo(path(0), n)
				case "add":
					files++
					appendTo(filepath.Join(logs, fmt.Sprintf("other.%d", files)), n)
				case "swap":
					if os.Rename(path(0), path(100)) == nil {
						_ = os.Rename(path(1), path(0))
						_ = os.Rename(path(100), path(1))
					}
				}
			}
			p.run(t, written, rapid.IntRange(1, 20).Draw(t, "fail after"))
		}
		for !p.run(t, written, 1000) {
		}
		p.check(t, written)
	})
}

// What is known of files that are gone is forgotten: a directory with names that
// change all the time ends with a small checkpoint.
func TestFilesThatAreGoneLeaveTheCheckpoint(t *testing.T) {
	store, logs := checkpointtest.NewFaulty(1), t.TempDir()
	name := func(kind string, i int) string { return filepath.Join(logs, fmt.Sprint(kind, i)) }
	var early int
	for i := range 200 {
		require.NoError(t, os.WriteFile(name("log.", i), fmt.Appendf(nil, "line %d\n", i), 0o600))
		if i > 1 {
			require.NoError(t, os.Remove(name("old.", i-2)))
		}
		if i > 0 {
			require.NoError(t, os.Rename(name("log.", i-1), name("old.", i-1)))
		}
		app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
			app := streamtest.App(1)
			ignore(stream.From(app, source.Dir(logs, source.Once())))
			return app, nil
		})
		require.NoError(t, err)
		require.NoError(t, app.Run(t.Context()))
		switch {
		case i == 20:
			early = newestSave(t, store)
		case i > 20:
			require.InDelta(t, early, newestSave(t, store), 1000, "round %d", i)
		}
	}
}

// newestSave is how many bytes the newest save has.
func newestSave(t *testing.T, store checkpoint.Store) int {
	s, err := store.Open(t.Context())
	require.NoError(t, err)
	defer s.Close()
	names, err := s.List(t.Context())
	require.NoError(t, err)
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, "save-") })
	data, err := s.Get(t.Context(), names[len(names)-1])
	require.NoError(t, err)
	return len(data)
}
