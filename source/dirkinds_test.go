package source_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/source"
)

func TestRecursive(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "2017", "01", "11")
	require.NoError(t, os.MkdirAll(deep, 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".hidden"), 0o700))
	write(t, filepath.Join(deep, "a"), "deep\n")
	write(t, filepath.Join(dir, "b"), "top\n")
	write(t, filepath.Join(dir, ".hidden", "c"), "hidden\n")
	require.NoError(t, os.Symlink(dir, filepath.Join(deep, "circle")))
	require.NoError(t, os.Symlink(deep, filepath.Join(dir, "again")))
	require.Equal(t, []string{"top"}, all(t, open(t, source.Dir(dir, source.Once()), source.Options{})))
	require.ElementsMatch(t, []string{"deep", "top"}, all(t, open(t, source.Dir(dir, source.Once(), source.Recursive()), source.Options{})))

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	require.ElementsMatch(t, []string{"deep", "top"}, all(t, open(t, source.Dir(link, source.Once(), source.Recursive()), source.Options{})), "the directory itself may be a link")
}

func TestDirectoryWithManyFilesIsRenamed(t *testing.T) {
	const files = 1000
	dir := t.TempDir()
	sub := filepath.Join(dir, "a")
	require.NoError(t, os.Mkdir(sub, 0o700))
	for i := range files {
		write(t, filepath.Join(sub, name(i)), "1\n")
	}
	r := open(t, source.Dir(dir, source.Recursive()), source.Options{})
	require.Len(t, cut(t, r), files)
	require.NoError(t, os.Rename(sub, filepath.Join(dir, "b")))
	require.Empty(t, cut(t, r))
	write(t, filepath.Join(dir, "b", "new"), "2\n")
	require.Equal(t, []string{"2"}, cut(t, r))
	require.Equal(t, source.Stats{}, r.Stats())
}

func TestPatternOfDirectories(t *testing.T) {
	dir := t.TempDir()
	for _, host := range []string{"web-1", "web-2", "db-1"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, host), 0o700))
		write(t, filepath.Join(dir, host, "log"), host+"\n")
	}
	write(t, filepath.Join(dir, "web-3"), "a file\n")
	r := open(t, source.Dir(filepath.Join(dir, "web-*")), source.Options{})
	require.ElementsMatch(t, []string{"web-1", "web-2"}, cut(t, r))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "web-4"), 0o700))
	write(t, filepath.Join(dir, "web-4", "log"), "web-4\n")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "web-1")))
	require.Equal(t, []string{"web-4"}, cut(t, r))

	missing := filepath.Join(dir, "missing", "*")
	r = open(t, source.Dir(missing), source.Options{})
	require.Empty(t, cut(t, r))
	require.Positive(t, r.Stats().Retries, "it may come")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "missing", "a"), 0o700))
	write(t, filepath.Join(dir, "missing", "a", "log"), "1\n")
	require.Equal(t, []string{"1"}, cut(t, r))

	odd := filepath.Join(dir, "a[1]")
	require.NoError(t, os.MkdirAll(odd, 0o700))
	write(t, filepath.Join(odd, "log"), "odd\n")
	r = open(t, source.Dir(odd), source.Options{})
	require.Equal(t, []string{"odd"}, cut(t, r), "a directory that has such a name")
	require.NoError(t, os.Rename(odd, odd+"-away"))
	require.Empty(t, cut(t, r))
	require.NoError(t, os.Rename(odd+"-away", odd))
	require.Empty(t, cut(t, r), "it was read")
}

func TestDirectoryOfAPatternThatCantBeReadForAWhile(t *testing.T) {
	tests := map[string]struct{ pattern, breaks string }{
		"the directory itself":     {"web-*/in", "web-1/in"},
		"one that is matched":      {"web-*", "web-1"},
		"one that leads to it":     {"web-*/in", "web-1"},
		"in the midst":             {"w*/in/*", "web-1/in"},
		"where the pattern begins": {"*/in", "."},
	}
	for name, test := range tests {
		inBubble(t, name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "logs")
			in := filepath.Join(dir, "web-1", "in")
			sub := filepath.Join(in, "sub")
			require.NoError(t, os.MkdirAll(sub, 0o700))
			for _, d := range []string{in, sub, filepath.Join(dir, "web-1")} {
				write(t, filepath.Join(d, "log"), "1\n")
			}
			log, logger := newJournal()
			src := filepath.Join(dir, filepath.FromSlash(test.pattern))
			r := open(t, source.Dir(src), source.Options{Logger: logger})
			require.Equal(t, []string{"1"}, cut(t, r))
			require.Zero(t, r.Stats())
			synctest.Wait() // for the end of any look

			path := filepath.Join(dir, filepath.FromSlash(test.breaks))
			require.NoError(t, os.Rename(path, path+"-away"))
			require.NoError(t, os.Symlink(path, path)) // leads to itself
			require.Empty(t, cut(t, r))
			require.Positive(t, r.Stats().Retries)
			require.Contains(t, log.String(), "can't look at files, trying again")
			once, err := source.Dir(src, source.Once()).Open(t.Context(), source.Options{})
			require.Error(t, err, "what is not complete must not look so")
			require.Nil(t, once)

			synctest.Wait()
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Rename(path+"-away", path))
			require.Empty(t, cut(t, r), "it was read")
			require.Zero(t, r.Stats().Lost+r.Stats().Replaced)
		})
	}
}

func TestMatch(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.log"), "1\n")
	write(t, filepath.Join(dir, ".b.log"), "2\n")
	write(t, filepath.Join(dir, "c.txt"), "3\n")
	r := open(t, source.Dir(dir, source.Match(func(path string) bool {
		require.Equal(t, dir, filepath.Dir(path))
		return strings.HasSuffix(path, ".log")
	})), source.Options{})
	require.ElementsMatch(t, []string{"1", "2"}, cut(t, r))

	r = open(t, source.Dir(dir, source.Match(func(string) bool { panic("boom") })), source.Options{})
	require.ErrorContains(t, fails(t, r), "panic: boom")
}

func TestNewOnly(t *testing.T) {
	packed := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write([]byte(text))
		w.Close()
		return b.String()
	}
	tests := map[string]struct {
		name, old, added string
		want             []string
	}{
		"a line that has begun":              {"a", "old\nbegin of a line", " and its end\n1\n", []string{"1"}},
		"an end of a line":                   {"a", "old\n", "1\n", []string{"1"}},
		"an empty file":                      {"a", "", "1\n", []string{"1"}},
		"a line that has begun, packed":      {"a.gz", packed("old\nbegin of a line"), packed(" and its end\n1\n"), []string{"1"}},
		"an end of a line, packed":           {"a.gz", packed("old\n"), packed("1\n"), []string{"1"}},
		"an empty packed file":               {"a.gz", "", packed("1\n"), []string{"1"}},
		"a packed file that is not complete": {"a.gz", packed("1\n")[:5], packed("1\n")[5:], []string{"1"}},
	}
	for name, test := range tests {
		for _, refused := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/can't be opened at first=%v", name, refused), func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, test.name)
				write(t, path, test.old)
				var refuse atomic.Bool
				refuse.Store(refused)
				src := source.WithOpen(source.Dir(dir, source.NewOnly()), func(path string) (source.RawFile, error) {
					if refuse.Load() {
						return nil, errors.New("permission denied")
					}
					return source.OpenFile(path)
				})
				r := open(t, src, source.Options{})
				require.Empty(t, cut(t, r))
				refuse.Store(false)
				require.Empty(t, cut(t, r))
				add(t, path, test.added)
				require.Equal(t, test.want, cut(t, r))
			})
		}
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "old\n")
	write(t, filepath.Join(dir, "b"), "old\nbegin of a line")
	write(t, filepath.Join(dir, "empty"), "")
	r := open(t, source.Dir(dir, source.NewOnly()), source.Options{})
	require.Empty(t, cut(t, r))
	add(t, filepath.Join(dir, "a"), "1\n")
	add(t, filepath.Join(dir, "b"), " and its end\n2\n")
	add(t, filepath.Join(dir, "empty"), "3\n")
	write(t, filepath.Join(dir, "c"), "4\n")
	require.ElementsMatch(t, []string{"1", "2", "3", "4"}, cut(t, r))
	require.Equal(t, source.Stats{}, r.Stats())
}

func TestSettle(t *testing.T) {
	bubble.Test(t, func(t *testing.T) { // whose clock is long before the files' times
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a"), "1\n2")
		r := open(t, source.Dir(dir), source.Options{})
		require.Equal(t, []string{"1"}, cut(t, r))
		time.Sleep(9 * time.Second)
		require.Empty(t, cut(t, r))
		add(t, filepath.Join(dir, "a"), "2")
		require.Empty(t, cut(t, r))
		time.Sleep(9 * time.Second)
		require.Empty(t, cut(t, r))
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"22"}, cut(t, r))

		write(t, filepath.Join(dir, "b.gz"), "plain text")
		require.Empty(t, cut(t, r))
		require.Zero(t, r.Stats().Rejected, "it may be incomplete")
		time.Sleep(10 * time.Second)
		require.Empty(t, cut(t, r))
		require.EqualValues(t, 1, r.Stats().Rejected)
		require.NoError(t, r.Close())
	})
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "1\n2")
	require.Equal(t, []string{"1", "2"}, cut(t, open(t, source.Dir(dir, source.Settle(0)), source.Options{})))
}

func TestPackedFiles(t *testing.T) {
	packed := func(texts ...string) string {
		var b bytes.Buffer
		for _, text := range texts {
			w := gzip.NewWriter(&b)
			w.Write([]byte(text))
			w.Close()
		}
		return b.String()
	}
	random := strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz\n", 100)
	whole := packed(random)
	unpacked := strings.Split(strings.TrimSuffix(random, "\n"), "\n")
	tests := map[string]struct {
		steps []step
		stats source.Stats
	}{
		"renamed when it is complete": {steps: []step{
			{both(writes("a.gz.part", whole), renames("a.gz.part", "a.gz")), unpacked},
			{nil, nil},
		}},
		"renamed after it was read as if it were not packed": {steps: []step{
			{writes("a", whole+"\n"), strings.Split(strings.ReplaceAll(whole, "\r\n", "\n"), "\n")},
			{both(renames("a", "a.gz"), ages("a.gz")), unpacked},
		}, stats: source.Stats{Rejected: 1}}, // for the newline
		"renamed to a name of one that is not packed": {steps: []step{
			{writes("a.gz", whole), unpacked},
			{renames("a.gz", "a.gz.done"), nil},
			{ages("a.gz.done"), nil},
			{adds("a.gz.done", packed("1\n")), []string{"1"}},
			{renames("a.gz.done", "a.gz"), nil},
		}},
		"at once":      {steps: []step{{writes("a.gz", packed("1\n2\n")), []string{"1", "2"}}}},
		"several":      {steps: []step{{writes("a.gz", packed("1\n2", "3\n")), []string{"1", "23"}}}},
		"one is added": {steps: []step{{writes("a.gz", packed("1\n2")), []string{"1"}}, {adds("a.gz", packed("3\n4\n")), []string{"23", "4"}}}},
		"empty":        {steps: []step{{writes("a.gz", ""), nil}, {adds("a.gz", packed("1\n")), []string{"1"}}}},
		"slowly written": {steps: []step{
			{writes("a.gz", whole[:5]), nil},
			{adds("a.gz", whole[5:]), unpacked},
		}},
		"not packed at all": {steps: []step{
			{writes("a.gz", "plain text\n"), nil},
			{ages("a.gz"), nil},
			{nil, nil},
		}, stats: source.Stats{Rejected: 1}},
		"damaged": {steps: []step{
			{both(writes("a.gz", whole[:len(whole)-8]+"12345678"), ages("a.gz")), unpacked},
			{nil, nil},
		}, stats: source.Stats{Rejected: 1}},
	}
	for name, test := range tests {
		inBubble(t, name, func(t *testing.T) {
			dir := t.TempDir()
			r := open(t, source.Dir(dir), source.Options{})
			for i, step := range test.steps {
				synctest.Wait()
				if step.do != nil {
					step.do(t, dir)
				}
				require.ElementsMatch(t, step.want, cut(t, r), "step %d", i)
			}
			require.Equal(t, test.stats, r.Stats())
		})
	}
}

func TestDirFiles(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	r := open(t, source.DirFiles(dir, source.MaxRecord(100)), source.Options{})
	write(t, path("a"), "half")
	require.Empty(t, cut(t, r), "it may be incomplete")
	add(t, path("a"), " and half")
	require.Empty(t, cut(t, r))
	age(t, path("a"), time.Minute)
	require.Equal(t, []string{"half and half"}, cut(t, r))
	require.Empty(t, cut(t, r))
	require.Zero(t, r.Stats())

	write(t, path("b"), "")
	write(t, path("c"), strings.Repeat("x", 101))
	write(t, path("d"), strings.Repeat("x", 100))
	age(t, path("b"), time.Minute)
	age(t, path("c"), time.Minute)
	age(t, path("d"), time.Minute)
	require.ElementsMatch(t, []string{"", strings.Repeat("x", 100)}, cut(t, r))
	require.Empty(t, cut(t, r))
	require.Equal(t, source.Stats{Rejected: 1}, r.Stats())

	write(t, path("a"), "other")
	require.Empty(t, cut(t, r))
	age(t, path("a"), time.Minute)
	s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
	require.NoError(t, err)
	require.Equal(t, []string{"other"}, texts(s))
	require.Equal(t, source.Range{Partition: path("a"), From: 0, Until: 5}, bare(s.Parts[0].Range))
	require.Equal(t, path("a")+"@0", s.Parts[0].Records[0].Origin())
	add(t, path("a"), " and more")
	age(t, path("a"), time.Hour)
	require.Equal(t, []string{"other and more"}, cut(t, r))
	require.Equal(t, source.Stats{Rejected: 1, Replaced: 2}, r.Stats())
}

func TestDirRecords(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	r := open(t, source.DirRecords(dir, 3), source.Options{})
	write(t, path, "aaabb")
	require.Equal(t, []string{"aaa"}, cut(t, r))
	age(t, path, time.Minute)
	require.Empty(t, cut(t, r))
	require.EqualValues(t, 1, r.Stats().Rejected, "reported when it seems to be complete")
	add(t, path, "b\n\n\nd")
	s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
	require.NoError(t, err)
	require.Equal(t, []string{"bbb", "\n\n\n"}, texts(s), "but read if it goes on")
	require.Equal(t, source.Range{Partition: path, From: 3, Until: 9}, bare(s.Parts[0].Range))
	require.Equal(t, path+"@6", s.Parts[0].Records[1].Origin())

	write(t, path, "aaabb")
	r = open(t, source.DirRecords(dir, 3, source.NewOnly()), source.Options{})
	require.Empty(t, cut(t, r))
	add(t, path, "bccc")
	require.Equal(t, []string{"bbb", "ccc"}, cut(t, r))
}

func TestDirThatCantBeOpened(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "1\n")
	tests := map[string]struct {
		source source.Source[source.Line]
		want   string
	}{
		"no directory":        {source.Dir(filepath.Join(dir, "missing")), "no such file or directory"},
		"a file":              {source.Dir(filepath.Join(dir, "file")), "it is not a directory; for one file there is File"},
		"no file":             {source.File(filepath.Join(dir, "missing")), "no such file or directory"},
		"a directory":         {source.File(dir), "it is not a regular file but d---------; for a directory there is Dir"},
		"no path":             {source.Dir(""), "source: Dir: the path is empty"},
		"a pattern":           {source.Dir("[a"), `source: Dir: path "[a": syntax error in pattern`},
		"negative":            {source.Dir(dir, source.Settle(-1)), "source: Dir: Settle is negative: -1ns"},
		"no length":           {source.Dir(dir, source.MaxRecord(0)), "source: Dir: MaxRecord is not positive: 0"},
		"nothing left":        {source.Dir(dir, source.Once(), source.NewOnly()), "options Once and NewOnly together leave out everything"},
		"wrong option":        {source.File(dir, source.Recursive()), "source: File: option Recursive has no effect here, only on [Dir DirFiles DirRecords]"},
		"zero option":         {source.File(dir, source.Option{}), "an Option is zero"},
		"time of other types": {source.Dir(dir, source.Time(func(string) time.Time { return time.Time{} })), "option Time has a func(string) time.Time; the records of this source need a func(source.Line) time.Time"},
		"no function":         {source.Dir(dir, source.Match(nil)), "Match: the function is nil"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := test.source.Open(t.Context(), source.Options{})
			require.ErrorContains(t, err, test.want)
		})
	}
	_, err := source.DirRecords(dir, 0).Open(t.Context(), source.Options{})
	require.ErrorContains(t, err, "the length of a record is not positive: 0")
	_, err = source.Dir(dir, source.NewOnly()).Open(t.Context(), source.Options{Replay: true})
	require.ErrorContains(t, err, "NewOnly leaves out all that a replay reads")
}
