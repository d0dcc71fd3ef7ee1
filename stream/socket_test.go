package stream_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// A batch of a socket that failed has the same lines when the program is started
// again, although the server sends others then.
func TestBatchOfASocketRunsAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer l.Close()
	wait.Go(func() {
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "connection %d, line 1\nconnection %d, line 2\n\xff%d", i, i, i)
			c.Close()
		}
	})
	store := checkpoint.Dir(t.TempDir())
	type run struct {
		at    time.Time
		lines []source.Line
	}
	var failed run
	var again []run
	start := func(fail bool) error {
		app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
			app := stream.New(stream.Config{Ticks: stream.Step, Logger: quiet})
			stream.ForEachBatch(stream.From(app, source.Socket(l.Addr().String(), source.Once())), func(_ context.Context, at stream.BatchInfo, b batch.Batch[source.Line]) error {
				got := run{at.Time, batch.Collect(b)}
				if fail {
					failed = got
					return errCrash
				}
				again = append(again, got)
				return nil
			})
			return app, nil
		})
		require.NoError(t, err)
		return app.Run(t.Context())
	}
	require.ErrorIs(t, start(true), errCrash)
	require.Len(t, failed.lines, 3)
	first := failed
	require.ErrorIs(t, start(true), errCrash)
	require.Equal(t, first, failed, "it fails once more")
	require.NoError(t, start(false))
	require.Equal(t, first, again[0])
	require.Equal(t, "connection 0, line 1", first.lines[0].Text())
	require.Equal(t, "\xff0", first.lines[2].Text())
	require.GreaterOrEqual(t, len(again), 2, "there may be one of the second run, which was read and not begun")
	require.Regexp(t, "connection [12], line 1", again[1].lines[0].Text(), "what the server sends now comes in a batch of its own")
	lines := 0
	for _, run := range again {
		for _, line := range run.lines {
			require.EqualValues(t, lines, line.At, "lines are counted on")
			lines++
		}
	}
}

// What a source can't give again is said once, if there is no checkpoint.
func TestVolatileSourceWithoutACheckpoint(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer l.Close()
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	})
	run := func(app func(log *slog.Logger) (*stream.App, error)) string {
		var log bytes.Buffer
		a, err := app(slog.New(slog.NewTextHandler(&log, nil)))
		require.NoError(t, err)
		require.NoError(t, a.Run(t.Context()))
		return log.String()
	}
	declare := func(log *slog.Logger, sources ...source.Source[source.Line]) *stream.App {
		app := stream.New(stream.Config{Ticks: stream.Step, Logger: log})
		for _, s := range sources {
			ignore(stream.From(app, s))
		}
		return app
	}
	socket := source.Socket(l.Addr().String(), source.Once())
	const lost = "are lost in a crash"
	got := run(func(log *slog.Logger) (*stream.App, error) { return declare(log, socket, socket), nil })
	require.Equal(t, 1, strings.Count(got, lost))
	require.Contains(t, got, `level=INFO msg="records of these sources that are not in a batch that is done are lost in a crash`)
	require.Contains(t, got, `sources="[from-1 from-2]"`)
	require.NotContains(t, run(func(log *slog.Logger) (*stream.App, error) {
		return declare(log, source.Dir(t.TempDir(), source.Once())), nil
	}), lost)
	require.NotContains(t, run(func(log *slog.Logger) (*stream.App, error) {
		return stream.GetOrCreate(checkpoint.Dir(t.TempDir()), func() (*stream.App, error) { return declare(log, socket), nil })
	}), lost)
}
