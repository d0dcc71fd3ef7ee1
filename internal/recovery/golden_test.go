package recovery_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata anew; only for a new format version, and into a folder of its own")

// A checkpoint that an earlier release has written goes on as if that had. If this
// fails, the format has changed: give it a new version, read this one too, and say
// so in docs/CHECKPOINT_FORMAT.md.
func TestVersion1IsRead(t *testing.T) {
	want, dir := uninterrupted(t), filepath.Join("testdata", "version1")
	if *update {
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.MkdirAll(dir, 0o777))
		for name, data := range leftBehind(t, want)["many batches run again"].memory {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o666))
		}
	}
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	m := memory{}
	for _, f := range files {
		m[f.Name()], err = os.ReadFile(filepath.Join(dir, f.Name()))
		require.NoError(t, err)
	}
	got := shown{}
	found, err := run(m, got, 0)
	require.NoError(t, err)
	require.Empty(t, found.Damaged)
	require.EqualValues(t, 3, found.Time.Unix())
	require.Equal(t, 13, found.Pending)
	for name := range want {
		for at := range int64(4) {
			delete(want[name], at) // shown by the program that wrote it
		}
	}
	require.Equal(t, want, got)
}
