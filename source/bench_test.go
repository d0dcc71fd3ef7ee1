package source_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/source"
)

// BenchmarkBuffer is the cost of an element from Put to the slice it is in.
func BenchmarkBuffer(b *testing.B) {
	for _, mode := range []source.Mode{source.Filled, source.ByTime} {
		for _, feeds := range []int{1, 8} {
			b.Run(fmt.Sprintf("mode=%d/partitions=%d", mode, feeds), func(b *testing.B) {
				b.ReportAllocs()
				start := time.Unix(0, 0)
				buf := source.NewBuffer[int64](source.Options{Replay: mode == source.ByTime, Prefetch: 1 << 20, MaxBatchBytes: 1 << 20})
				for p := range feeds {
					f := buf.Feed(fmt.Sprint(p), 0)
					go func() {
						for i := range int64(b.N / feeds) {
							if f.Put(i, i+1, 100, start.Add(time.Duration(i)*time.Millisecond)) != nil {
								return
							}
						}
						f.End()
					}()
				}
				for at := start.Add(time.Minute); ; at = at.Add(time.Minute) {
					s, err := buf.Cut(context.Background(), source.Request{Mode: mode, Time: at, MaxBytes: 1 << 40})
					if err != nil {
						b.Fatal(err)
					}
					if s.End {
						return
					}
				}
			})
		}
	}
}

// BenchmarkFile is the cost of a line of 100 bytes from the file to a slice.
func BenchmarkFile(b *testing.B) {
	path := filepath.Join(b.TempDir(), "lines")
	line := strings.Repeat("0123456789", 10)[:99] + "\n"
	if err := os.WriteFile(path, []byte(strings.Repeat(line, b.N)), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(100)
	b.ReportAllocs()
	b.ResetTimer()
	r, err := source.File(path).Open(context.Background(), source.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for {
		s, err := r.Cut(context.Background(), source.Request{Mode: source.Filled})
		if err != nil {
			b.Fatal(err)
		}
		if s.End {
			break
		}
	}
	r.Close()
}

// A directory gets another name, with all that is in it.
func BenchmarkDirIsRenamed(b *testing.B) {
	for _, files := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			dir := b.TempDir()
			names := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
			require.NoError(b, os.Mkdir(names[0], 0o700))
			for i := range files {
				write(b, filepath.Join(names[0], name(i)), "1\n")
			}
			r := open(b, source.Dir(dir, source.Recursive()), source.Options{})
			require.Len(b, cut(b, r), files)
			b.ResetTimer()
			for b.Loop() {
				require.NoError(b, os.Rename(names[0], names[1]))
				names[0], names[1] = names[1], names[0]
				require.Empty(b, cut(b, r))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*files), "ns/file")
		})
	}
}
