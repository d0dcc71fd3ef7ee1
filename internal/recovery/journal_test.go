package recovery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/internal/recovery"
	"github.com/godstream/godstream/source"
)

func open(t *testing.T, s checkpoint.Session, drop []string, sources ...string) *recovery.Journal {
	t.Helper()
	j, err := recovery.Open(t.Context(), s, recovery.Config{App: "test", SaveEvery: time.Hour, Sources: sources, Drop: drop, Logger: slog.New(slog.DiscardHandler)}, nil)
	require.NoError(t, err)
	return j
}

func entry(batch int64, sources ...string) recovery.Entry {
	e := recovery.Entry{Batch: batch, Time: time.Unix(batch, 0).UTC()}
	for _, name := range sources {
		e.Sources = append(e.Sources, recovery.SourceEntry{Name: name, Records: []byte(name),
			Ranges: []source.Range{{Partition: "p", From: batch * 10, Until: batch*10 + 10}}})
	}
	return e
}

func numbersOf(entries []recovery.Entry) (numbers []int64) {
	for _, e := range entries {
		numbers = append(numbers, e.Batch)
	}
	return numbers
}

// crashed is a store of a program that crashed when batches 2 to 4 were begun and
// not saved.
func crashed(t *testing.T) memory {
	t.Helper()
	m := memory{}
	j := open(t, m, nil, "a", "b")
	require.NoError(t, j.Begin(t.Context()))
	for n := int64(1); n <= 4; n++ {
		require.NoError(t, j.Log(t.Context(), entry(n, "a", "b")))
		if n == 1 {
			require.NoError(t, j.Done(t.Context(), entry(n, "a", "b"), nil))
			require.NoError(t, j.End(t.Context()))
		}
	}
	return m
}

// Batches that were begun are those that run again, however often the program
// crashes before they are done.
func TestBegunBatchesOutliveManyCrashes(t *testing.T) {
	m := crashed(t)
	for range 20 {
		j := open(t, m, nil, "a", "b")
		require.Equal(t, []int64{2, 3, 4}, numbersOf(j.Pending))
		require.Equal(t, "b", string(j.Pending[2].Sources[1].Records))
		require.Equal(t, []source.Position{{Partition: "p", Offset: 20}}, j.Positions("a", false))
		require.Equal(t, []source.Position{{Partition: "p", Offset: 50}}, j.Positions("a", true))
		require.NoError(t, j.Begin(t.Context()))
	}
	j := open(t, m, nil, "a", "b")
	require.NoError(t, j.Begin(t.Context()))
	require.NoError(t, j.Done(t.Context(), entry(2, "a", "b"), nil))
	require.NoError(t, j.End(t.Context()))
	require.Equal(t, []int64{3, 4}, numbersOf(open(t, m, nil, "a", "b").Pending))
	require.Less(t, len(m), 12, "files are deleted")
}

// What a source that is given up had in a batch is given up for good.
func TestDroppedSourceStaysDropped(t *testing.T) {
	m := crashed(t)
	j := open(t, m, []string{"b"}, "a")
	require.Equal(t, []string{"b"}, j.Dropped)
	require.NoError(t, j.Begin(t.Context()))
	j = open(t, m, nil, "a", "b")
	require.Equal(t, []string{"b"}, j.New)
	require.Equal(t, []int64{2, 3, 4}, numbersOf(j.Pending))
	for _, e := range j.Pending {
		_, ok := e.Of("b")
		require.False(t, ok)
	}
	require.Nil(t, j.Positions("b", true))
}

// brokenSession fails once.
type brokenSession struct {
	memory
	err error
}

func (b *brokenSession) Append(ctx context.Context, name string, data []byte) error {
	if err := b.err; err != nil {
		b.err = nil
		_ = b.memory.Append(ctx, name, data[:len(data)/2])
		return err
	}
	return b.memory.Append(ctx, name, data)
}

// After a failure nothing more is written: neither behind half an entry nor what a
// save that failed has taken from the operators.
func TestNothingIsWrittenAfterAFailure(t *testing.T) {
	s := &brokenSession{memory: memory{}}
	j := open(t, s, nil, "a")
	require.NoError(t, j.Begin(t.Context()))
	require.NoError(t, j.Log(t.Context(), entry(1, "a")))
	require.NoError(t, j.Done(t.Context(), entry(1, "a"), nil))
	s.err = errors.New("full")
	require.ErrorIs(t, j.Log(t.Context(), entry(2, "a")), j.Failed())
	before := maps.Clone(s.memory)
	require.ErrorContains(t, j.Log(t.Context(), entry(2, "a")), "after an earlier failure: full")
	require.ErrorContains(t, j.End(t.Context()), "after an earlier failure: full")
	require.Equal(t, before, s.memory)
	require.Equal(t, []int64{1}, numbersOf(open(t, s, nil, "a").Pending))
}

// Files that a crash has brought back, or not yet deleted, are no damage, and other
// files are left alone.
func TestLeftoversAreNoDamage(t *testing.T) {
	m := crashed(t)
	all := maps.Clone(m)
	for range 30 {
		j := open(t, m, nil, "a", "b")
		require.Empty(t, j.Damaged)
		require.NoError(t, j.Begin(t.Context()))
		maps.Copy(all, m)
	}
	maps.Copy(m, all)
	m["save-notes"], m["notes"] = []byte("1"), []byte("2")
	m["log-000000000099"] = bytes.Repeat([]byte{0}, 36) // was begun, and the power was cut
	j := open(t, m, nil, "a", "b")
	require.Empty(t, j.Damaged)
	require.Equal(t, []int64{2, 3, 4}, numbersOf(j.Pending))
	require.NoError(t, j.Begin(t.Context()))
	require.Contains(t, m, "save-notes")
	require.Contains(t, m, "notes")
	require.NotContains(t, m, "log-000000000099")
	require.Less(t, len(m), 14, "what was left over is deleted")
	for name := range m {
		require.False(t, strings.HasPrefix(name, "save-000000000001"), name)
	}
}

// The log has every field of a range.
func TestLogKeepsRangesWhole(t *testing.T) {
	m, want := memory{}, source.Range{Partition: "\xff/p", From: 1, Until: 2, Mark: "m\xfe", Over: true}
	require.Equal(t, 5, reflect.TypeFor[source.Range]().NumField(), "fields of a range; those of the log are in recovery.span")
	j := open(t, m, nil, "a")
	require.NoError(t, j.Begin(t.Context()))
	e := recovery.Entry{Batch: 1, Time: time.Unix(1, 0).UTC(), Sources: []recovery.SourceEntry{{Name: "a", Ranges: []source.Range{want}}}}
	require.NoError(t, j.Log(t.Context(), e))
	again := open(t, m, nil, "a")
	require.Equal(t, []source.Range{want}, again.Pending[0].Sources[0].Ranges)
}
