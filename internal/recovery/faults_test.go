package recovery_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/checkpoint/checkpointtest"
)

// trace is the steps of a program that stops in between and goes on.
func trace(t *testing.T, want shown) []string {
	t.Helper()
	store, got := checkpointtest.NewFaulty(0), shown{}
	_, err := run(store, got, batches/2)
	require.NoError(t, err)
	_, err = run(store, got, 0)
	require.NoError(t, err)
	require.Equal(t, want, got)
	steps := store.Trace()
	removed := 0
	for _, s := range steps {
		if strings.HasPrefix(s, "remove ") {
			removed++
		}
	}
	require.Greater(t, removed, 8, "files are to be deleted on the way")
	return steps
}

// twice runs the program as trace does, and returns the error that ended it.
func twice(store *checkpointtest.Faulty, got shown) error {
	if _, err := run(store, got, batches/2); err != nil {
		return err
	}
	_, err := run(store, got, 0)
	return err
}

// A program whose disk fails at any step ends with an error that says so, and goes
// on afterwards as if nothing had been, also when the power is cut in between.
func TestFailureAtEachStep(t *testing.T) {
	want := uninterrupted(t)
	steps := trace(t, want)
	for _, reason := range []error{syscall.ENOSPC, syscall.EIO, syscall.EACCES} {
		for _, lasts := range []bool{false, true} {
			for n := 1; n <= len(steps); n += each(len(steps), 50) {
				at := fmt.Sprintf("%v at step %d of %d, %s, lasts %t", reason, n, len(steps), steps[n-1], lasts)
				store, got := checkpointtest.NewFaulty(uint64(n)), shown{}
				if lasts {
					store.FailFrom(n, reason)
				} else {
					store.FailAt(n, reason)
				}
				err := twice(store, got)
				if err == nil {
					require.Equal(t, want, got, at)
					require.True(t, strings.HasPrefix(steps[n-1], "sync /") && reason == syscall.EACCES || strings.HasPrefix(steps[n-1], "close "), "nobody was told of %s", at)
					continue
				}
				require.ErrorIs(t, err, reason, at)
				require.Regexp(t, `checkpoint: [a-z]+ /.*: `+reason.Error(), err.Error(), at)
				store.FailFrom(0, nil)
				if n%2 == 0 {
					store.CutAt(store.Steps() + 1)
					store = store.Restart()
				}
				found, err := run(store, got, 0)
				require.NoError(t, err, at)
				require.Equal(t, want, got, at)
				require.Empty(t, found.Damaged, at)
			}
		}
	}
}

func TestKilledAtEachStep(t *testing.T) {
	stopAtEachStep(t, (*checkpointtest.Faulty).KillAt)
}

func TestPowerCutAtEachStep(t *testing.T) {
	stopAtEachStep(t, (*checkpointtest.Faulty).CutAt)
}

// The next start is stopped too, at a step that moves on.
func stopAtEachStep(t *testing.T, stopAt func(*checkpointtest.Faulty, int)) {
	t.Helper()
	want := uninterrupted(t)
	steps := trace(t, want)
	for n := 1; n <= len(steps); n += each(len(steps), 150) {
		at := fmt.Sprintf("step %d of %d, %s", n, len(steps), steps[n-1])
		store, got := checkpointtest.NewFaulty(uint64(n)), shown{}
		stopAt(store, n)
		if err := twice(store, got); err != nil { // the last step is that of closing
			require.ErrorIs(t, err, checkpointtest.ErrStopped, at)
		}
		store = store.Restart()
		stopAt(store, n%61+1)
		if found, err := run(store, got, 0); err != nil {
			require.ErrorIs(t, err, checkpointtest.ErrStopped, at)
			require.Empty(t, found.Damaged, at)
		}
		found, err := run(store.Restart(), got, 0)
		require.NoError(t, err, at)
		require.Equal(t, want, got, at)
		require.Empty(t, found.Damaged, "a crash damages nothing: %s", at)
	}
}
