package recovery_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/recovery"
	"github.com/godstream/godstream/stream"
)

// A generation begins with an image that several saves have made; until it is
// complete, the generation before goes on, and beside each there is one checkpoint
// that has no file in common with the newest.
func TestGenerationsBeginBitByBit(t *testing.T) {
	m, generations, making := memory{}, map[int64]bool{}, 0
	app, err := stream.GetOrCreate(m, program(shown{}, 1, func(int64) error {
		names := saves(m)
		newest, err := recovery.ReadManifest(names[0], m[names[0]])
		require.NoError(t, err)
		for _, o := range newest.Operators {
			if len(o.Image) > 0 {
				making++
				break
			}
		}
		generations[newest.Generation] = true
		if newest.Number == 1 {
			return nil
		}
		own := files(newest)
		require.NotContains(t, own, newest.Generation-1)
		for name := range m {
			if !strings.HasPrefix(name, "save-") {
				continue
			}
			other, err := recovery.ReadManifest(name, m[name])
			require.NoError(t, err)
			apart := true
			for f := range files(other) {
				_, there := m[recovery.SaveName(f)]
				apart = apart && there && !own[f]
			}
			if apart {
				return nil
			}
		}
		require.Equal(t, newest.Generation, int64(1), "no checkpoint is apart from %d", newest.Number)
		return nil
	}))
	require.NoError(t, err)
	require.NoError(t, app.Run(t.Context()))
	t.Logf("%d generations, %d saves on the way to one", len(generations), making)
	require.Greater(t, len(generations), 2)
	require.Greater(t, making, len(generations))
}

// files is the numbers of the saves that a checkpoint needs.
func files(m recovery.Manifest) map[int64]bool {
	needed := map[int64]bool{m.Number: true}
	for _, o := range m.Operators {
		for _, p := range o.Parts {
			needed[p.Save] = true
		}
	}
	return needed
}

// A program that never runs as long as an image takes begins its generations when it
// starts, so its files do not become ever more.
func TestGenerationsOfShortRuns(t *testing.T) {
	m, got, generations := memory{}, shown{}, map[int64]bool{}
	for until := int64(1); until <= batches; until++ {
		_, err := run(m, got, until)
		require.NoError(t, err)
		names := saves(m)
		newest, err := recovery.ReadManifest(names[0], m[names[0]])
		require.NoError(t, err)
		require.Equal(t, until, newest.Done)
		generations[newest.Generation] = true
		require.Less(t, len(names), 20, "run %d", until)
	}
	require.Equal(t, uninterrupted(t), got)
	t.Logf("%d generations", len(generations))
	require.Greater(t, len(generations), 3)
}
