package source_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/source"
)

// step is something that happens in a directory, and what the next batch has.
type step struct {
	do   func(t *testing.T, dir string)
	want []string
}

func writes(name, content string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { write(t, filepath.Join(dir, name), content) }
}

func adds(name, content string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { add(t, filepath.Join(dir, name), content) }
}

func ages(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { age(t, filepath.Join(dir, name), time.Minute) }
}

func renames(from, to string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		require.NoError(t, os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)))
	}
}

func removes(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, name))) }
}

func both(all ...func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for _, do := range all {
			do(t, dir)
		}
	}
}

// bubble runs a test whose clock stands still while it does something, so that
// nobody looks at the directory halfway. The clock is long before the files'
// times.
func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestDirFollowsItsFiles(t *testing.T) {
	long := strings.Repeat("x", 2000)
	tests := map[string]struct {
		steps []step
		stats source.Stats // but for what is buffered
	}{
		"files that come": {steps: []step{
			{nil, nil},
			{writes("a", "1\n2\n"), []string{"1", "2"}},
			{nil, nil},
			{writes("b", "3\n"), []string{"3"}},
		}},
		"changed first, first": {steps: []step{
			{both(writes("a", "later\n"), writes("b", "first\n"), writes("c", "second\n"), ages("b"), ages("c")), []string{"first", "second", "later"}},
		}},
		"a file that grows": {steps: []step{
			{writes("a", "1\n2"), []string{"1"}},
			{adds("a", "2"), nil},
			{adds("a", "2\n3\n4"), []string{"222", "3"}},
			{adds("a", "\n"), []string{"4"}},
		}},
		"an end of a line that comes in two parts": {steps: []step{
			{writes("a", "1\r\n2\r"), []string{"1"}},
			{adds("a", "\n3\n\n"), []string{"2", "3", ""}},
			{adds("a", "\r\n\r\r\n"), []string{"", "\r"}},
		}},
		"a last line without an end, settled": {steps: []step{
			{writes("a", "1\n2"), []string{"1"}},
			{ages("a"), []string{"2"}},
			{nil, nil},
			{adds("a", "3\n"), []string{"3"}},
		}},
		"any bytes": {steps: []step{
			{writes("a", "\x00\xff\xfe\n\xe2\x28\xa1\n"), []string{"\x00\xff\xfe", "\xe2\x28\xa1"}},
		}},
		"a line that is too long": {steps: []step{
			{writes("a", "1\n"+long+"\n2\n"), []string{"1", "2"}},
		}, stats: source.Stats{Rejected: 1}},
		"a line without an end": {steps: []step{
			{writes("a", "1\n"+long), []string{"1"}},
			{adds("a", long), nil},
			{adds("a", long+"\n2\n"), []string{"2"}},
		}, stats: source.Stats{Rejected: 1}},
		"a file that shrinks before it was read to its end": {steps: []step{
			{writes("a", "1\n2\n"), []string{"1", "2"}},
			{both(writes("a", "3"), adds("a", "\n")), []string{"3"}},
			{writes("a", ""), nil},
			{adds("a", "4\n5\n"), []string{"4", "5"}},
		}, stats: source.Stats{Replaced: 2}},
		"only touched": {steps: []step{
			{writes("a", "1\n"), []string{"1"}},
			{ages("a"), nil},
		}},
		"a file that shrinks": {steps: []step{
			{writes("a", "1\n2\n3"), []string{"1", "2"}},
			{writes("a", "4\n"), []string{"4"}},
		}, stats: source.Stats{Replaced: 1, Lost: 1}},
		"a file that was emptied and has grown since": {steps: []step{
			{writes("a", "1\n2\n"), []string{"1", "2"}},
			{writes("a", "3\n4\n5\n"), []string{"3", "4", "5"}},
		}, stats: source.Stats{Replaced: 1}},
		"another file in its place": {steps: []step{
			{writes("a", "1\n2\n"), []string{"1", "2"}},
			{both(writes(".b", "3\n4\n5\n"), renames(".b", "a")), []string{"3", "4", "5"}},
		}, stats: source.Stats{Replaced: 1}},
		"deleted and made again": {steps: []step{ // often with the same inode
			{writes("a", "1\n2\n"), []string{"1", "2"}},
			{both(removes("a"), writes("a", "3\n4\n5\n")), []string{"3", "4", "5"}},
		}, stats: source.Stats{Replaced: 1}},
		"deleted, and another made": {steps: []step{
			{writes("a", "1\n2\n"), []string{"1", "2"}},
			{both(removes("a"), writes("b", "3\n4\n5\n")), []string{"3", "4", "5"}},
		}, stats: source.Stats{Replaced: -1}}, // or not: it depends on the inode
		"deleted and back later": {steps: []step{
			{writes("a", "1\n"), []string{"1"}},
			{removes("a"), nil},
			{writes("a", "1\n"), []string{"1"}},
		}},
		"deleted before its last line was complete": {steps: []step{
			{writes("a", "1\n234"), []string{"1"}},
			{removes("a"), nil},
		}, stats: source.Stats{Lost: 3}},
		"rotated logs": {steps: []step{
			{writes("log", "1\n2\n3"), []string{"1", "2"}},
			{both(adds("log", "3\n4\n"), renames("log", "log.1"), writes("log", "5\n")), []string{"33", "4", "5"}},
			{both(adds("log.1", "6\n"), renames("log.1", "log.2"), renames("log", "log.1"), writes("log", "7\n")), []string{"6", "7"}},
			{removes("log.2"), nil},
		}},
		"names that changed places": {steps: []step{
			{both(writes("a", "1\n"), writes("b", "2\n")), []string{"1", "2"}},
			{both(renames("a", "c"), renames("b", "a"), renames("c", "b"), adds("a", "3\n")), []string{"3"}},
		}},
		"unfinished names": {steps: []step{
			{both(writes(".a", "1\n"), writes("_a", "1\n"), writes("a.tmp", "1\n"), writes("a._COPYING_", "1\n")), nil},
			{renames("a._COPYING_", "a"), []string{"1"}},
		}},
		"what is no file": {steps: []step{
			{func(t *testing.T, dir string) {
				require.NoError(t, os.Mkdir(filepath.Join(dir, "a.log"), 0o700))
				write(t, filepath.Join(dir, "a.log", "inside"), "1\n")
				require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), filepath.Join(dir, "dangling")))
				require.NoError(t, os.Symlink(dir, filepath.Join(dir, "circle")))
			}, nil},
		}},
		"a symbolic link to a file": {steps: []step{
			{func(t *testing.T, dir string) {
				elsewhere := filepath.Join(t.TempDir(), "file")
				write(t, elsewhere, "1\n")
				require.NoError(t, os.Symlink(elsewhere, filepath.Join(dir, "link")))
			}, []string{"1"}},
			{adds("link", "2\n"), []string{"2"}},
		}},
		"a link that leads to itself": {steps: []step{
			{func(t *testing.T, dir string) {
				require.NoError(t, os.Symlink(filepath.Join(dir, "self"), filepath.Join(dir, "self")))
				write(t, filepath.Join(dir, "a"), "1\n")
			}, []string{"1"}},
		}, stats: source.Stats{Retries: -1}},
		"the directory goes and comes back": {steps: []step{
			{writes("a", "1\n2"), []string{"1"}},
			{func(t *testing.T, dir string) { require.NoError(t, os.Rename(dir, dir+"-away")) }, nil},
			{func(t *testing.T, dir string) { require.NoError(t, os.Rename(dir+"-away", dir)) }, nil},
			{adds("a", "\n"), []string{"2"}},
		}, stats: source.Stats{Retries: -1}},
	}
	for name, test := range tests {
		bubble(t, name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "logs")
			require.NoError(t, os.Mkdir(dir, 0o700))
			r := open(t, source.Dir(dir, source.MaxRecord(1000)), source.Options{})
			for i, step := range test.steps {
				if step.do != nil {
					step.do(t, dir)
				}
				require.ElementsMatch(t, step.want, cut(t, r), "step %d", i)
			}
			got := r.Stats()
			if test.stats.Retries < 0 {
				require.Positive(t, got.Retries)
				got.Retries = -1
			}
			if test.stats.Replaced < 0 {
				got.Replaced = -1
			}
			require.Equal(t, test.stats, got)
		})
	}
}

func TestRangesAreBytesOfFiles(t *testing.T) {
	dir := t.TempDir()
	r := open(t, source.Dir(dir), source.Options{Partitions: 2})
	path := filepath.Join(dir, "access.log")
	next := func() source.Slice[source.Line] {
		s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
		require.NoError(t, err)
		require.Equal(t, 2, s.Spread)
		return s
	}
	require.Empty(t, next().Parts)
	write(t, path, "1\n22\n333")
	write(t, filepath.Join(dir, "b.log"), "4\n")
	age(t, path, time.Second)
	s := next()
	require.Equal(t, source.Range{Partition: path, From: 0, Until: 5}, s.Parts[0].Range)
	require.Equal(t, source.Range{Partition: filepath.Join(dir, "b.log"), From: 0, Until: 2}, s.Parts[1].Range)
	require.Equal(t, path+"@2", s.Parts[0].Records[1].Origin())
	add(t, path, "\n")
	s = next()
	require.Len(t, s.Parts, 1)
	require.Equal(t, source.Range{Partition: path, From: 5, Until: 9}, s.Parts[0].Range)
	write(t, path, "5\n")
	require.Equal(t, source.Range{Partition: path, From: 0, Until: 2}, next().Parts[0].Range, "written anew")
}

// Logs that are rotated all the time, while they are looked at all the time.
func TestRotationInTheMiddleOfALook(t *testing.T) {
	const lines, generations = 1000, 5
	dir := t.TempDir()
	path := func(generation int) string { return filepath.Join(dir, fmt.Sprintf("log.%d", generation)) }
	r := open(t, source.Dir(dir), source.Options{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range lines {
			f, err := os.OpenFile(path(0), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err == nil {
				fmt.Fprintf(f, "line %d\n", i)
				f.Close()
			}
			if i%5 == 4 && i < lines-1 {
				if _, err := os.Stat(path(generations)); err == nil {
					os.Rename(path(generations), filepath.Join(dir, fmt.Sprintf("old.%d", i)))
				}
				for g := generations; g > 0; g-- {
					os.Rename(path(g-1), path(g))
				}
			}
		}
	}()
	got := map[string]int{}
	for end := false; !end; {
		select {
		case <-done:
			end = true // after this cut
		default:
		}
		for _, text := range cut(t, r) {
			got[text]++
		}
	}
	for i := range lines {
		require.Equal(t, 1, got[fmt.Sprintf("line %d", i)], "line %d", i)
	}
	require.Zero(t, r.Stats().Replaced)
	require.Zero(t, r.Stats().Lost)
}

func TestFilesThatCantBeRead(t *testing.T) {
	dir := t.TempDir()
	log, logger := newJournal()
	var refuse error
	var breakAt int64
	src := source.WithOpen(source.Dir(dir), func(path string) (source.RawFile, error) {
		f, err := source.OpenFile(path)
		if strings.HasSuffix(path, "bad") {
			if refuse != nil {
				return nil, refuse
			}
			if breakAt > 0 {
				return breaking{f, breakAt}, nil
			}
		}
		return f, err
	})
	content := strings.Repeat("0123456\n", 20_000)
	write(t, filepath.Join(dir, "bad"), content)
	write(t, filepath.Join(dir, "good"), "1\n")
	refuse = errors.New("permission denied")
	r := open(t, src, source.Options{Logger: logger})
	require.Equal(t, []string{"1"}, cut(t, r))
	require.Empty(t, cut(t, r))
	retries := r.Stats().Retries
	require.GreaterOrEqual(t, retries, int64(2), "at every look")
	require.Equal(t, 1, count(log.String(), "permission denied"), "logged once a minute")
	require.Contains(t, log.String(), filepath.Join(dir, "bad"))

	refuse, breakAt = nil, 100_000
	n := len(cut(t, r))
	require.Equal(t, 12_500, n, "what comes before the error")
	require.Greater(t, r.Stats().Retries, retries)
	add(t, filepath.Join(dir, "bad"), "end\n")
	breakAt = 0
	rest := cut(t, r)
	require.Equal(t, 7501, len(rest))
	require.Equal(t, "end", rest[7500])
	require.Empty(t, cut(t, r))

	write(t, filepath.Join(dir, "another-bad"), content)
	breakAt = 100_000
	require.Len(t, cut(t, r), 12_500)
	breakAt = 0
	write(t, filepath.Join(dir, "another-bad"), "anew\n")
	require.Equal(t, []string{"anew"}, cut(t, r))
	require.EqualValues(t, 1, r.Stats().Replaced)
}

// breaking is a file of which only a part can be read.
type breaking struct {
	source.RawFile
	at int64
}

func (b breaking) Read(p []byte) (int, error) {
	at, err := b.Seek(0, 1)
	if err != nil {
		return 0, err
	}
	if at >= b.at {
		return 0, errors.New("input/output error")
	}
	return b.RawFile.Read(p[:min(int64(len(p)), b.at-at)])
}

func TestTenThousandFilesAtOnce(t *testing.T) {
	const files = 10_000
	dir := t.TempDir()
	for i := range files {
		write(t, filepath.Join(dir, name(i)), fmt.Sprintf("%d\nsecond line\n", i))
	}
	open_, most := 0, 0
	src := source.WithOpen(source.Dir(dir), func(path string) (source.RawFile, error) {
		f, err := source.OpenFile(path)
		open_++
		most = max(most, open_)
		return closing{f, func() { open_-- }}, err
	})
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := open(t, src, source.Options{Prefetch: 64 << 10, MaxBatchBytes: 64 << 10})
	seen := map[string]bool{}
	for batches := 0; len(seen) < files+1; batches++ {
		s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived, MaxBytes: 64 << 10})
		require.NoError(t, err)
		require.LessOrEqual(t, r.Stats().BufferedBytes, int64(128<<10+200))
		bytes := int64(0)
		for _, p := range s.Parts {
			bytes += p.Bytes
		}
		require.LessOrEqual(t, bytes, int64(64<<10))
		for _, text := range texts(s) {
			require.False(t, seen[text] && text != "second line", text)
			seen[text] = true
		}
	}
	require.Empty(t, cut(t, r))
	require.Equal(t, 1, most, "one file is open at a time")

	for i := range files {
		require.NoError(t, os.Remove(filepath.Join(dir, name(i))))
	}
	seen = nil
	require.Empty(t, cut(t, r))
	require.Empty(t, cut(t, r))
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(1<<20), "what is known of files that are gone is forgotten")
}

type closing struct {
	source.RawFile
	closed func()
}

func (c closing) Close() error {
	c.closed()
	return c.RawFile.Close()
}

func TestFilesAreClosed(t *testing.T) {
	dir := t.TempDir()
	opened := 0
	r := open(t, source.WithOpen(source.Dir(dir), func(path string) (source.RawFile, error) {
		f, err := source.OpenFile(path)
		opened++
		return closing{f, func() { opened-- }}, err
	}), source.Options{})
	for i := range 3 {
		write(t, filepath.Join(dir, "a"), strings.Repeat(fmt.Sprintln(i), i+1)) // another one each time
		require.Len(t, cut(t, r), i+1)
	}
	require.EqualValues(t, 2, r.Stats().Replaced)
	require.NoError(t, r.Close())
	require.Zero(t, opened)
}

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

	odd := filepath.Join(dir, "a[1]")
	require.NoError(t, os.MkdirAll(odd, 0o700))
	write(t, filepath.Join(odd, "log"), "odd\n")
	require.Equal(t, []string{"odd"}, cut(t, open(t, source.Dir(odd), source.Options{})), "a directory that has such a name")
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
	synctest.Test(t, func(t *testing.T) { // whose clock is long before the files' times
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

func TestNamesThatWouldMislead(t *testing.T) {
	dir := t.TempDir()
	log, logger := newJournal()
	bad := filepath.Join(dir, "a\nlevel=ERROR msg=forged\x1b[2J")
	write(t, bad, "1\n"+strings.Repeat("x", 2000)+"\n")
	r := open(t, source.Dir(dir, source.MaxRecord(1000)), source.Options{Logger: logger})
	s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
	require.NoError(t, err)
	require.Equal(t, bad, s.Parts[0].Range.Partition)
	require.Equal(t, fmt.Sprintf("%q@0", bad), s.Parts[0].Records[0].Origin())
	require.NotContains(t, log.String(), "\nlevel=ERROR")
	require.Contains(t, log.String(), "longer than MaxRecord")
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
	tests := map[string]struct {
		steps []step
		stats source.Stats
	}{
		"at once":      {steps: []step{{writes("a.gz", packed("1\n2\n")), []string{"1", "2"}}}},
		"several":      {steps: []step{{writes("a.gz", packed("1\n2", "3\n")), []string{"1", "23"}}}},
		"one is added": {steps: []step{{writes("a.gz", packed("1\n2")), []string{"1"}}, {adds("a.gz", packed("3\n4\n")), []string{"23", "4"}}}},
		"empty":        {steps: []step{{writes("a.gz", ""), nil}, {adds("a.gz", packed("1\n")), []string{"1"}}}},
		"slowly written": {steps: []step{
			{writes("a.gz", whole[:5]), nil},
			{adds("a.gz", whole[5:]), strings.Split(strings.TrimSuffix(random, "\n"), "\n")},
		}},
		"not packed at all": {steps: []step{
			{writes("a.gz", "plain text\n"), nil},
			{ages("a.gz"), nil},
			{nil, nil},
		}, stats: source.Stats{Rejected: 1}},
		"damaged": {steps: []step{
			{both(writes("a.gz", whole[:len(whole)-8]+"12345678"), ages("a.gz")), strings.Split(strings.TrimSuffix(random, "\n"), "\n")},
			{nil, nil},
		}, stats: source.Stats{Rejected: 1}},
	}
	for name, test := range tests {
		bubble(t, name, func(t *testing.T) {
			dir := t.TempDir()
			r := open(t, source.Dir(dir), source.Options{})
			for i, step := range test.steps {
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
	require.Equal(t, source.Range{Partition: path("a"), From: 0, Until: 5}, s.Parts[0].Range)
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
	require.Equal(t, source.Range{Partition: path, From: 3, Until: 9}, s.Parts[0].Range)
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
