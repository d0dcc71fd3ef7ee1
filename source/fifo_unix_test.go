//go:build unix

package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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

// A file is listed, and a pipe is in its place when its turn comes.
func TestPipeInThePlaceOfAFile(t *testing.T) {
	tests := map[string]struct {
		options []source.Option
		mode    source.Mode
	}{
		"live": {mode: source.Arrived},
		"once": {[]source.Option{source.Once()}, source.Filled},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			content := strings.Repeat("0123456\n", 10_000)
			write(t, filepath.Join(dir, "a"), content)
			age(t, filepath.Join(dir, "a"), time.Minute)
			pipe := filepath.Join(dir, "b")
			write(t, pipe, "1\n")
			r, err := source.Dir(dir, test.options...).Open(t.Context(), source.Options{Prefetch: 10_000, MaxBatchBytes: 10_000})
			require.NoError(t, err)
			s, err := r.Cut(t.Context(), source.Request{Mode: test.mode})
			require.NoError(t, err)
			require.NotEmpty(t, texts(s))
			require.NoError(t, os.Remove(pipe))
			require.NoError(t, syscall.Mkfifo(pipe, 0o600))

			done := make(chan error, 1)
			go func() {
				for n := len(texts(s)); n < 10_000; n += len(texts(s)) {
					if s, err = r.Cut(t.Context(), source.Request{Mode: test.mode}); err != nil {
						break
					}
				}
				if err == nil {
					_, err = r.Cut(t.Context(), source.Request{Mode: test.mode})
				}
				r.Close()
				done <- err
			}()
			select {
			case err := <-done:
				if test.options == nil {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, "another file has taken its place")
				}
			case <-time.After(30 * time.Second):
				release, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
				require.NoError(t, err)
				require.NoError(t, release.Close())
				<-done
				t.Fatal("opening the pipe blocks")
			}
		})
	}
}
