package checkpointtest_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/checkpoint/checkpointtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFaultyContract(t *testing.T) {
	checkpointtest.Run(t, func(testing.TB) checkpoint.Store { return checkpointtest.NewFaulty(1) })
}

// TestFaultyContractAfterRestart runs it on what a loss of power has left.
func TestFaultyContractAfterRestart(t *testing.T) {
	checkpointtest.Run(t, func(testing.TB) checkpoint.Store {
		f := checkpointtest.NewFaulty(1)
		f.CutAt(4)
		_, err := f.Open(context.Background())
		require.ErrorIs(t, err, checkpointtest.ErrStopped)
		return f.Restart()
	})
}

func TestFaultyFails(t *testing.T) {
	ctx := context.Background()
	f := checkpointtest.NewFaulty(1)
	require.Equal(t, "simulated directory", f.String())
	s, err := f.Open(ctx)
	require.NoError(t, err)
	before := f.Steps()
	require.Len(t, f.Trace(), before)

	f.FailAt(before+3, syscall.EIO) // after stat and create
	require.EqualError(t, s.Put(ctx, "a", []byte("data")), "checkpoint: write /checkpoint/a: input/output error")
	require.Contains(t, f.Trace()[before+2], "write /checkpoint/.a.tmp")
	require.NoError(t, s.Put(ctx, "a", []byte("data")), "one step has failed")

	f.FailFrom(0, syscall.ENOSPC)
	for range 3 {
		require.ErrorIs(t, s.Put(ctx, "b", nil), syscall.ENOSPC)
	}
	f.FailFrom(0, nil)
	require.NoError(t, s.Put(ctx, "b", nil))

	next := f.Restart()
	require.ErrorIs(t, s.Put(ctx, "c", nil), checkpointtest.ErrStopped, "the old process is gone")
	_, err = f.Open(ctx)
	require.ErrorIs(t, err, checkpointtest.ErrStopped)
	require.Zero(t, next.Steps())
	s, err = next.Open(ctx)
	require.NoError(t, err, "its lock is free")
	names, err := s.List(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names)
}

// TestFaultyLeavesDifferentThings sees that seeds matter, and that one seed leaves
// the same each time.
func TestFaultyLeavesDifferentThings(t *testing.T) {
	ctx := context.Background()
	left := func(seed uint64, cut bool) string {
		f := checkpointtest.NewFaulty(seed)
		s, err := f.Open(ctx)
		require.NoError(t, err)
		require.NoError(t, s.Append(ctx, "log", []byte("safe ")))
		if n := f.Steps() + 2; cut { // the fsync
			f.CutAt(n)
		} else {
			f.KillAt(n)
		}
		require.ErrorIs(t, s.Append(ctx, "log", []byte("12345")), checkpointtest.ErrStopped)
		s, err = f.Restart().Open(ctx)
		require.NoError(t, err)
		got, err := s.Get(ctx, "log")
		require.NoError(t, err)
		return fmt.Sprintf("%q", got)
	}
	seen := map[string]bool{}
	for seed := range uint64(200) {
		got := left(seed, true)
		require.Equal(t, got, left(seed, true))
		require.Equal(t, `"safe 12345"`, left(seed, false), "what was written outlives the process")
		seen[got] = true
	}
	for _, want := range []string{`"safe "`, `"safe 12"`, `"safe 12345"`, `"safe 123\x00"`, `"safe \x00\x00\x00"`} {
		require.Contains(t, seen, want)
	}
}
