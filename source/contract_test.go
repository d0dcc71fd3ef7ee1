package source_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// times looks up when records were made.
func times(parts [][]sourcetest.Record) map[string]time.Time {
	at := map[string]time.Time{}
	for _, records := range parts {
		for _, r := range records {
			at[r.Value] = r.Time
		}
	}
	return at
}

func lineTime(parts [][]sourcetest.Record) source.Option {
	at := times(parts)
	return source.Time(func(l source.Line) time.Time { return timeOf(at, l.Text()) })
}

func blobTime(parts [][]sourcetest.Record) source.Option {
	at := times(parts)
	return source.Time(func(b source.Blob) time.Time { return timeOf(at, blobValue(b)) })
}

// timeOf looks up when a record was made; those that were added have the last time.
func timeOf(at map[string]time.Time, value string) (last time.Time) {
	if t, ok := at[value]; ok {
		return t
	}
	for _, t := range at {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// grow adds records to the files of fill.
func grow(dir *string, format func([]sourcetest.Record) []byte) func(testing.TB, [][]sourcetest.Record) {
	return func(t testing.TB, more [][]sourcetest.Record) {
		for p, records := range more {
			add(t, filepath.Join(*dir, fmt.Sprintf("part-%d.txt", p)), string(format(records)))
		}
	}
}

func blobValue(b source.Blob) string { return strings.TrimRight(string(b.Data), " ") }

// text is records as lines.
func text(records []sourcetest.Record) []byte {
	var b bytes.Buffer
	for _, r := range records {
		fmt.Fprintln(&b, r.Value)
	}
	return b.Bytes()
}

// fill writes a file for each part; the last line of each has no end.
func fill(t testing.TB, dir string, parts [][]sourcetest.Record, format func([]sourcetest.Record) []byte) {
	for p, records := range parts {
		write(t, filepath.Join(dir, fmt.Sprintf("part-%d.txt", p)), string(format(records)))
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

func TestQueueKeepsTheContract(t *testing.T) {
	sourcetest.Run(t, sourcetest.Harness[string]{
		Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[string] {
			var batches [][]string
			for batch := range slices.Chunk(parts[0], 7) {
				var values []string
				for _, r := range batch {
					values = append(values, r.Value)
				}
				batches = append(batches, values)
			}
			return source.Queue(batches...)
		},
		Value: func(s string) string { return s },
		Ends:  true,
		// Cut gives up when ctx ends, where it waits.
		Skip:     map[string]string{"Context": "a queue never waits"},
		NoReplay: "a queue has no times",
		NoGrow:   "a queue is a value",
	})
}

func TestFuncKeepsTheContract(t *testing.T) {
	var all []sourcetest.Record
	var at map[string]time.Time
	sourcetest.Run(t, sourcetest.Harness[string]{
		Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[string] {
			all, at = parts[0], times(parts)
			return source.Func(func(ctx context.Context, from int64) iter.Seq2[string, error] {
				return func(yield func(string, error) bool) {
					for _, r := range all[from:] {
						if !yield(r.Value, nil) {
							return
						}
					}
				}
			}, source.Time(func(s string) time.Time { return at[s] }), source.Size(func(s string) int { return len(s) }))
		},
		Value: func(s string) string { return s },
		Ends:  true,
		Grow: func(_ testing.TB, more [][]sourcetest.Record) {
			all = slices.Concat(all, more[0])
			maps.Copy(at, times(more))
		},
	})
}

func TestFileKeepsTheContract(t *testing.T) {
	var dir string
	sourcetest.Run(t, sourcetest.Harness[source.Line]{
		Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[source.Line] {
			dir = t.TempDir()
			fill(t, dir, parts, text)
			return source.File(filepath.Join(dir, "part-0.txt"), lineTime(parts))
		},
		Value: source.Line.Text,
		Ends:  true,
		Grow:  grow(&dir, text),
	})
}

func TestDirKeepsTheContract(t *testing.T) {
	for name, options := range map[string][]source.Option{"live": nil, "once": {source.Once()}, "files moved in": {source.Settle(0)}} {
		t.Run(name, func(t *testing.T) {
			var dir string
			sourcetest.Run(t, sourcetest.Harness[source.Line]{
				Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[source.Line] {
					dir = t.TempDir()
					fill(t, dir, parts, text)
					return source.Dir(dir, append([]source.Option{lineTime(parts)}, options...)...)
				},
				Value:      source.Line.Text,
				Partitions: 5,
				Ends:       name == "once",
				Grow:       grow(&dir, text),
			})
		})
	}
}

func TestDirRecordsKeepsTheContract(t *testing.T) {
	const length = 60
	format := func(records []sourcetest.Record) []byte {
		var b bytes.Buffer
		for _, r := range records {
			fmt.Fprintf(&b, "%-*s", length, r.Value)
		}
		return b.Bytes()
	}
	var dir string
	sourcetest.Run(t, sourcetest.Harness[source.Blob]{
		Grow: grow(&dir, format),
		Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[source.Blob] {
			dir = t.TempDir()
			fill(t, dir, parts, format)
			return source.DirRecords(dir, length, blobTime(parts))
		},
		Value:      blobValue,
		Partitions: 3,
	})
}

func TestDirFilesKeepsTheContract(t *testing.T) {
	var dir string
	files := 0
	grow := func(t testing.TB, parts [][]sourcetest.Record) {
		for _, r := range parts[0] {
			path, at := filepath.Join(dir, fmt.Sprintf("%06d", files)), time.Date(2020, 1, 1, 0, 0, files, 0, time.UTC)
			write(t, path, r.Value)
			require.NoError(t, os.Chtimes(path, at, at))
			files++
		}
	}
	sourcetest.Run(t, sourcetest.Harness[source.Blob]{
		Grow: grow,
		Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[source.Blob] {
			dir, files = t.TempDir(), 0
			grow(t, parts)
			return source.DirFiles(dir, blobTime(parts))
		},
		Value: blobValue,
		Skip:  map[string]string{"ByTime": "files are merged by time, so none is late", "Untimed": "a file without a time has that of its change"},
	})
}

func TestSocketKeepsTheContract(t *testing.T) {
	for name, options := range map[string][]source.Option{"live": nil, "once": {source.Once()}} {
		t.Run(name, func(t *testing.T) {
			h := sourcetest.Harness[source.Line]{
				Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[source.Line] {
					addr := serve(t, func(c net.Conn) {
						c.Write(text(parts[0]))
						if name == "live" {
							io.Copy(io.Discard, c) // until the other side closes
						}
					})
					return source.Socket(addr, append([]source.Option{lineTime(parts)}, options...)...)
				},
				Value:  source.Line.Text,
				Ends:   name == "once",
				NoGrow: "a socket gives everything to each connection",
			}
			if name == "live" {
				h.NoReplay = "it does not end"
			}
			sourcetest.Run(t, h)
		})
	}
}

// serve calls handle for each connection, which it closes afterwards, until the
// end of the test.
func serve(t testing.TB, handle func(net.Conn)) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		cancel()
		wait.Wait()
	})
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer context.AfterFunc(ctx, func() { c.Close() })()
				defer c.Close()
				handle(c)
			})
		}
	})
	return l.Addr().String()
}
