package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/bubble"
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

// inBubble runs a test whose clock stands still while it does something, so that
// nobody looks at the directory halfway. The clock is long before the files'
// times.
func inBubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { bubble.Test(t, test) })
}

func TestDirFollowsItsFiles(t *testing.T) {
	long := strings.Repeat("x", 2000)
	same := strings.Repeat("same\n", 2000) // more than what is looked at of both ends
	ends := func(first string) []string {
		return append([]string{first}, strings.Fields(same)...)
	}
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
		"a last line, settled, whose end comes later": {steps: []step{
			{writes("a", "1\n2"), []string{"1"}},
			{ages("a"), []string{"2"}},
			{adds("a", "\n"), nil},
			{ages("a"), nil},
			{adds("a", "\n3"), []string{""}},
			{ages("a"), []string{"3"}},
			{adds("a", "\r"), nil},
			{adds("a", "\n4\r"), nil},
			{ages("a"), []string{"4"}},
			{adds("a", "\n5\n"), []string{"5"}},
		}},
		"a last line, settled, that grows too long": {steps: []step{
			{both(writes("a", "1"), ages("a")), []string{"1"}},
			{adds("a", long), nil},
			{adds("a", "\n2\n"), []string{"2"}},
		}, stats: source.Stats{Rejected: 1}},
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
		"a file that was written anew with the same length and end": {steps: []step{
			{writes("a", "old\n"+same), ends("old")},
			{both(writes("a", "new\n"+same), ages("a")), ends("new")},
		}, stats: source.Stats{Replaced: 1}},
		"a file that was changed in its middle": {steps: []step{
			{writes("a", same+"old\n"+same), append(strings.Fields(same), ends("old")...)},
			{both(writes("a", same+"new\n"+same), ages("a")), append(strings.Fields(same), ends("new")...)},
		}, stats: source.Stats{Replaced: 1}},
		"a file that was written anew and is longer, with the same bytes where it ended": {steps: []step{
			{writes("a", "old\n"+same), ends("old")},
			{writes("a", "new\n"+same+"same\n"), append(ends("new"), "same")},
		}, stats: source.Stats{Replaced: 1}},
		"a long file that is only touched": {steps: []step{
			{writes("a", "old\n"+same), ends("old")},
			{ages("a"), nil},
			{adds("a", "new\n"), []string{"new"}},
		}},
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
		"renamed and linked to by two names": {steps: []step{
			{writes("a", "1\n"), []string{"1"}},
			{func(t *testing.T, dir string) {
				require.NoError(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
				renames("a", "c")(t, dir)
			}, []string{"1"}}, // one of them is another file, as two links always are
			{adds("b", "2\n"), []string{"2", "2"}},
		}},
		"names that changed places": {steps: []step{
			{both(writes("a", "1\n"), writes("b", "2\n")), []string{"1", "2"}},
			{both(renames("a", "c"), renames("b", "a"), renames("c", "b"), adds("a", "3\n")), []string{"3"}},
		}},
		"unfinished names": {steps: []step{
			{both(writes(".a", "1\n"), writes("_a", "1\n"), writes("a.tmp", "1\n"), writes("a._COPYING_", "1\n"),
				writes("a.part", "1\n"), writes("a.partial", "1\n"), writes("a.filepart", "1\n")), nil},
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
		inBubble(t, name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "logs")
			require.NoError(t, os.Mkdir(dir, 0o700))
			r := open(t, source.Dir(dir, source.MaxRecord(1000)), source.Options{})
			for i, step := range test.steps {
				synctest.Wait() // for the end of any look
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
	require.Equal(t, source.Range{Partition: path, From: 0, Until: 5}, bare(s.Parts[0].Range))
	require.Equal(t, source.Range{Partition: filepath.Join(dir, "b.log"), From: 0, Until: 2}, bare(s.Parts[1].Range))
	require.Equal(t, path+"@2", s.Parts[0].Records[1].Origin())
	add(t, path, "\n")
	s = next()
	require.Len(t, s.Parts, 1)
	require.Equal(t, source.Range{Partition: path, From: 5, Until: 9}, bare(s.Parts[0].Range))
	write(t, path, "5\n")
	require.Equal(t, source.Range{Partition: path, From: 0, Until: 2}, bare(next().Parts[0].Range), "written anew")
}
