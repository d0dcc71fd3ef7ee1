package recovery_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/internal/recovery"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/window"
)

func TestMain(m *testing.M) {
	recovery.Small()
	goleak.VerifyTestMain(m)
}

// soak makes tests take every step and every byte: make soak.
var soak = os.Getenv("SOAK") != ""

// each is how many of n cases are left out between two that are tried, so that
// there are about want.
func each(n, want int) int {
	if soak {
		return 1
	}
	return max(1, n/want)
}

// volatile is a queue whose records can't be read again.
type volatile struct{ source.Source[int] }

func (volatile) AppendRecord(dst []byte, r int) ([]byte, error) { return fmt.Append(dst, r), nil }

func (volatile) DecodeRecord(data []byte) (r int, err error) {
	_, err = fmt.Sscan(string(data), &r)
	return r, err
}

const batches = 24

func numbers(seed int) (in [][]int) {
	for i := range batches {
		var b []int
		for k := range (i*7 + seed) % 5 {
			b = append(b, (i*i+k*3+seed)%10)
		}
		in = append(in, b)
	}
	return in
}

// shown is what a program printed, by output and batch time; the last complete
// output of a batch counts.
type shown map[string]map[int64]string

// program is one with windows, states and a source of which records are written
// ahead. after is called after each batch.
func program(into shown, saveEvery time.Duration, after func(batch int64) error) func() (*stream.App, error) {
	return func() (*stream.App, error) {
		app := stream.New(stream.Config{Name: "test", Ticks: stream.Step, Partitions: 2, Workers: 2, SaveEvery: saveEvery, Logger: slog.New(slog.DiscardHandler)})
		s := stream.From(app, source.Queue(numbers(1)...), stream.Name("queue"))
		v := stream.From(app, source.Source[int](volatile{source.Queue(numbers(4)...)}), stream.Name("volatile"))
		w := window.Sliding(4*time.Second, 2*time.Second)
		keyed := stream.KeyBy(stream.Union(s, v), func(i int) int { return i % 4 })
		text := stream.MapValues(keyed, func(i int) string { return fmt.Sprint(i) })
		note(into, "window", stream.Window(v, w))
		note(into, "count", stream.CountByWindow(s, w))
		note(into, "concat", stream.ReduceByKeyAndWindow(text, func(a, b string) string { return a + b }, w))
		note(into, "states", stream.UpdateStateByKey(text, func(values []string, v stream.Opt[string]) stream.Opt[string] {
			if len(values) == 0 && len(v.Value)%3 == 1 {
				return stream.Opt[string]{}
			}
			all := v.Value + fmt.Sprint(values)
			return stream.Some(all[max(0, len(all)-20):])
		}))
		mapped, snapshots := stream.MapWithState(stream.KeyBy(v, func(i int) int { return i }), func(k int, v stream.Opt[int], s *stream.State[int]) stream.Opt[string] {
			old, _ := s.Get()
			switch {
			case s.TimingOut():
				return stream.Some(fmt.Sprint(k, " ended at ", old))
			case old > 30:
				s.Remove()
			default:
				s.Update(old + v.Value)
			}
			return stream.Some(fmt.Sprint(k, old))
		}, stream.Timeout(3*time.Second))
		note(into, "mapped", mapped)
		note(into, "snapshots", snapshots)
		stream.ForEachBatch(s, func(_ context.Context, at stream.BatchInfo, _ batch.Batch[int]) error {
			return after(at.Time.Unix())
		}, stream.Name("after"))
		return app, nil
	}
}

func note[T any](into shown, name string, s stream.Stream[T]) {
	if into[name] == nil {
		into[name] = map[int64]string{}
	}
	stream.ForEachBatch(s, func(_ context.Context, at stream.BatchInfo, b batch.Batch[T]) error {
		into[name][at.Time.Unix()] = fmt.Sprint(batch.Collect(b))
		return nil
	}, stream.Name("show "+name))
}

// uninterrupted is what the program shows that runs through.
func uninterrupted(t *testing.T) shown {
	t.Helper()
	want := shown{}
	app, err := program(want, 1, func(int64) error { return nil })()
	require.NoError(t, err)
	require.NoError(t, app.Run(t.Context()))
	require.Len(t, want["mapped"], batches)
	return want
}

// run goes on from a store, until the end or a batch.
func run(store checkpoint.Store, into shown, until int64) (stream.Recovered, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	app, err := stream.GetOrCreate(store, program(into, 1, func(at int64) error {
		if at == until {
			cancel()
		}
		return nil
	}))
	if err != nil {
		return stream.Recovered{}, err
	}
	err = app.Run(ctx)
	return app.Recovered(), err
}

// memory is a store of which a test can change the bytes.
type memory map[string][]byte

func (m memory) Open(context.Context) (checkpoint.Session, error) { return m, nil }
func (m memory) Close() error                                     { return nil }

func (m memory) Put(_ context.Context, name string, data []byte) error {
	m[name] = bytes.Clone(data)
	return nil
}

func (m memory) Get(_ context.Context, name string) ([]byte, error) {
	data, ok := m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(data), nil
}

func (m memory) List(context.Context) ([]string, error) { return slices.Sorted(maps.Keys(m)), nil }

func (m memory) Delete(_ context.Context, name string) error {
	delete(m, name)
	return nil
}

func (m memory) Append(_ context.Context, name string, data []byte) error {
	m[name] = append(bytes.Clone(m[name]), data...)
	return nil
}

// copied is what another store has.
func copied(t *testing.T, store checkpoint.Store) memory {
	t.Helper()
	s, err := store.Open(t.Context())
	require.NoError(t, err)
	names, err := s.List(t.Context())
	require.NoError(t, err)
	m := memory{}
	for _, name := range names {
		m[name], err = s.Get(t.Context(), name)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	return m
}

func (m shown) clone() shown {
	c := shown{}
	for name, at := range m {
		c[name] = maps.Clone(at)
	}
	return c
}
