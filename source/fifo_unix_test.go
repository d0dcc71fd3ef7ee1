//go:build unix

package source_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/source"
)

func TestPipeInADirectoryIsNotOpened(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600)) // opening it would block
	write(t, filepath.Join(dir, "a"), "1\n")
	require.Equal(t, []string{"1"}, cut(t, open(t, source.Dir(dir), source.Options{})))
	_, err := source.File(filepath.Join(dir, "pipe")).Open(t.Context(), source.Options{})
	require.ErrorContains(t, err, "it is not a regular file but p---------; for a directory there is Dir, for a pipe Func")
}
