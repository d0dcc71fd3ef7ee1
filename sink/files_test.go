package sink_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/sink/sinktest"
)

// contents is every file below dir that a reader sees, by path.
func contents(dir string) (map[string]string, error) {
	seen := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // renamed meanwhile, so it was hidden
			return nil
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.HasSuffix(path, ".gz") {
			b, err = gunzip(b)
		}
		name, _ := filepath.Rel(dir, path)
		seen[filepath.ToSlash(name)] = string(b)
		return err
	})
	return seen, err
}

func gunzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// lines are the elements that a reader sees, by folder and part.
func lines(dir string) ([]string, error) {
	seen, err := contents(dir)
	var all []string
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		all = append(all, strings.Fields(seen[name])...)
	}
	return all, err
}

func TestFiles(t *testing.T) {
	for name, config := range map[string]sink.FilesConfig{
		"plain":                 {},
		"prefix, suffix, gzip":  {Prefix: "tweets", Suffix: "txt", Gzip: true},
		"without empty batches": {SkipEmpty: true},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Place[string] {
				config.Dir = filepath.Join(t.TempDir(), "new", "out")
				full := &brokenDisk{Disk: sink.RealDisk}
				return sinktest.Place[string]{
					Sink:   sink.OnDisk(sink.Files(config, sink.Text[string]), full),
					Read:   func() ([]string, error) { return lines(config.Dir) },
					Atomic: true,
					Break: func() func() {
						full.fail("write", "part-00000")
						return full.mend
					},
				}
			})
		})
	}
}

// write opens a sink, writes batches and closes it.
func write[T any](t *testing.T, s sink.Sink[T], batches ...sink.Batch[T]) {
	t.Helper()
	w, err := s.Open(context.Background(), sink.Options{})
	require.NoError(t, err)
	for _, b := range batches {
		require.NoError(t, w.Write(context.Background(), b))
	}
	require.NoError(t, w.Close())
}

// noon is the batch of a time, with these partitions.
func noon[T any](parts ...[]T) sink.Batch[T] {
	at := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	return sink.Batch[T]{ID: at.Format(time.RFC3339Nano), Time: at, Parts: parts}
}

func TestFilesLayout(t *testing.T) {
	type pair struct {
		Word string
		N    int
	}
	batch := noon([]pair{{"tea", 3}, {"a\nb", 1}}, nil, []pair{{"é", 0}})
	tests := map[string]struct {
		config sink.FilesConfig
		encode func([]byte, pair) ([]byte, error)
		want   map[string]string
	}{
		"text": {encode: sink.Text[pair], want: map[string]string{
			"1714564800000/part-00000": "{tea 3}\n{a\nb 1}\n", "1714564800000/part-00001": "", "1714564800000/part-00002": "{é 0}\n",
		}},
		"json": {config: sink.FilesConfig{Prefix: "p"}, encode: codec.JSON[pair]().Encode, want: map[string]string{
			"p-1714564800000/part-00000": `{"Word":"tea","N":3}` + "\n" + `{"Word":"a\nb","N":1}` + "\n",
			"p-1714564800000/part-00001": "", "p-1714564800000/part-00002": `{"Word":"é","N":0}` + "\n",
		}},
		"gzip": {config: sink.FilesConfig{Suffix: "s", Gzip: true}, encode: sink.Text[pair], want: map[string]string{
			"1714564800000.s/part-00000.gz": "{tea 3}\n{a\nb 1}\n", "1714564800000.s/part-00001.gz": "", "1714564800000.s/part-00002.gz": "{é 0}\n",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.config.Dir = t.TempDir()
			write(t, sink.Files(test.config, test.encode), batch)
			got, err := contents(test.config.Dir)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestFilesEmptyBatches(t *testing.T) {
	dir := t.TempDir()
	none, parts := noon[int](), noon([]int{}, nil)
	parts.Time = parts.Time.Add(time.Second)

	write(t, sink.Files(sink.FilesConfig{Dir: dir, SkipEmpty: true}, sink.Text[int]), none, parts)
	require.Empty(t, names(t, dir))

	write(t, sink.Files(sink.FilesConfig{Dir: dir}, sink.Text[int]), none, parts)
	require.Equal(t, []string{"1714564800000", "1714564801000", "1714564801000/part-00000", "1714564801000/part-00001"}, names(t, dir))
}

// names is everything below dir, what is hidden too.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if name, _ := filepath.Rel(dir, path); name != "." {
			all = append(all, filepath.ToSlash(name))
		}
		return err
	}))
	return all
}

func TestFilesKeepsAFolderThatIsThereAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	s := sink.Files(sink.FilesConfig{Dir: dir}, sink.Text[int])
	write(t, s, noon([]int{1, 2}))

	var log bytes.Buffer
	w, err := s.Open(context.Background(), sink.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, w.Write(context.Background(), noon([]int{3}, []int{4})))
	}
	require.NoError(t, w.Close())
	got, err := contents(dir)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"1714564800000/part-00000": "1\n2\n"}, got)
	require.Equal(t, 1, strings.Count(log.String(), "sink: kept the folder"), "once is enough:\n%s", &log)
}

func TestFilesRemovesOnlyItsOwnLeftovers(t *testing.T) {
	dir := t.TempDir()
	own := []string{".tweets-1714564800000.txt.tmp", ".tweets-17.txt.tmp"}
	others := []string{".tweets-1714564800000.tmp", ".users-1714564800000.txt.tmp", ".1714564800000.tmp", ".tweets-old.txt.tmp",
		".tweets-.txt.tmp", "tweets-1714564800000.txt.tmp", "tweets-1714564799000.txt", ".git"}
	for _, name := range append(own, others...) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "part-00000"), []byte("x"), 0o666))
	}
	write(t, sink.Files(sink.FilesConfig{Dir: dir, Prefix: "tweets", Suffix: "txt"}, sink.Text[int]))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	var got []string
	for _, d := range left {
		got = append(got, d.Name())
	}
	require.ElementsMatch(t, others, got)
}

func TestFilesThatTwoWouldWrite(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s := sink.Files(sink.FilesConfig{Dir: "out", Prefix: "a"}, sink.Text[int])
	w, err := s.Open(context.Background(), sink.Options{Name: "to-1"})
	require.NoError(t, err)

	same := sink.Files(sink.FilesConfig{Dir: filepath.Join(dir, "out"), Prefix: "a"}, sink.Text[string])
	_, err = same.Open(context.Background(), sink.Options{Name: "to-2"})
	require.ErrorContains(t, err, filepath.Join("out", "a-*")+" is written by output to-1 already; set another Dir, Prefix or Suffix")

	require.NoError(t, os.Symlink("out", "link"))
	half := filepath.Join("out", ".a-1714564800000.tmp") // being written
	require.NoError(t, os.Mkdir(half, 0o777))
	_, err = sink.Files(sink.FilesConfig{Dir: "link", Prefix: "a"}, sink.Text[int]).Open(context.Background(), sink.Options{Name: "to-3"})
	require.ErrorContains(t, err, filepath.Join("out", "a-*")+" is written by output to-1 already", "by another name")
	require.DirExists(t, half)

	write(t, sink.Files(sink.FilesConfig{Dir: "out", Prefix: "b"}, sink.Text[int]))
	require.NoError(t, w.Close())
	write(t, same)
}

func TestFilesCheck(t *testing.T) {
	check := func(s any) error { return s.(interface{ Check() error }).Check() }
	require.NoError(t, check(sink.Files(sink.FilesConfig{Dir: "out", Suffix: "."}, sink.Text[int])))
	require.EqualError(t, check(sink.Files(sink.FilesConfig{Dir: "out", Prefix: "a-"}, sink.Text[int])),
		`sink: FilesConfig.Prefix is "a-"; a "-" at its end would be taken for the sign of the time`)

	s := sink.Files[float64](sink.FilesConfig{Prefix: "../a", Suffix: `b\c`}, nil)
	_, err := s.Open(context.Background(), sink.Options{})
	require.Equal(t, check(s), err)
	require.EqualError(t, err, `sink: Files: the function encode is nil; for lines of text give sink.Text[float64]
sink: FilesConfig.Dir is empty
sink: FilesConfig.Prefix is "../a"; folders belong into Dir
sink: FilesConfig.Suffix is "b\\c"; folders belong into Dir
sink: FilesConfig.Prefix is "../a"; names that begin with a dot are passed over by readers`)
	require.Equal(t, "files "+filepath.Join("out", "a-*.b"), sink.Files(sink.FilesConfig{Dir: "out", Prefix: "a", Suffix: "b"}, sink.Text[int]).(interface{ String() string }).String())
}

func TestFilesBatchThatCanNotBeWritten(t *testing.T) {
	dir := t.TempDir()
	w, err := sink.Files(sink.FilesConfig{Dir: dir}, func(dst []byte, f float64) ([]byte, error) {
		b, err := json.Marshal(f)
		return append(dst, b...), err
	}).Open(context.Background(), sink.Options{})
	require.NoError(t, err)

	inf := 1 / func() float64 { return 0 }()
	err = w.Write(context.Background(), noon([]float64{1}, []float64{2, inf}))
	require.EqualError(t, err, "sink: write "+filepath.Join(dir, ".1714564800000.tmp", "part-00001")+": encode element 1: json: unsupported value: +Inf")
	require.ErrorAs(t, err, new(*json.UnsupportedValueError))
	require.Empty(t, names(t, dir))

	odd := noon([]float64{1})
	odd.Time = odd.Time.Add(time.Microsecond)
	require.ErrorContains(t, w.Write(context.Background(), odd), "is not a whole number of milliseconds")
	require.Empty(t, names(t, dir))

	ctx, cancel := context.WithCancelCause(context.Background())
	many, n := make([]float64, 10_000), 0
	w, err = sink.Files(sink.FilesConfig{Dir: filepath.Join(dir, "other")}, func(dst []byte, f float64) ([]byte, error) {
		if n++; n == 5000 {
			cancel(errors.New("why"))
		}
		return dst, nil
	}).Open(context.Background(), sink.Options{})
	require.NoError(t, err)
	require.EqualError(t, w.Write(ctx, noon(many)), "why")
	require.Equal(t, 5000, n, "it gives up in the middle")
	require.Equal(t, []string{"other"}, names(t, dir))
	require.NoError(t, w.Write(context.Background(), noon(many)))
}

// Copies of a program have batches of the same times, with other elements.
func TestFilesOfCopies(t *testing.T) {
	dir := t.TempDir()
	to := sink.Files(sink.FilesConfig{Dir: dir, Prefix: "out"}, sink.Text[string])
	_, err := to.Open(t.Context(), sink.Options{Name: "to", Shared: true})
	require.EqualError(t, err, "sink: Files: the program shares its source with others, whose batches have the same times: name each of them (kafka.Config.Member); that becomes part of its folders' names")
	at := time.UnixMilli(1000)
	for _, member := range []string{"a", "b/1"} {
		w, err := to.Open(t.Context(), sink.Options{Name: "to", Shared: true, Member: member})
		require.NoError(t, err)
		require.NoError(t, w.Write(t.Context(), sink.Batch[string]{ID: "1000", Time: at, Parts: [][]string{{member}}}))
		defer w.Close()
	}
	for member, folder := range map[string]string{"a": "out-a-1000", "b/1": "out-b%2F1-1000"} {
		text, err := os.ReadFile(filepath.Join(dir, folder, "part-00000"))
		require.NoError(t, err)
		require.Equal(t, member+"\n", string(text))
	}
}
