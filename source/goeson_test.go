package source_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/source"
)

// positions is what a checkpoint keeps of slices.
type positions []source.Position

func (p *positions) add(ranges []source.Range) {
	for _, r := range ranges {
		*p = slices.DeleteFunc(*p, func(at source.Position) bool { return at.Partition == r.Partition })
		if !r.Over {
			*p = append(*p, source.Position{Partition: r.Partition, Offset: r.Until, Mark: r.Mark})
		}
	}
}

func rangesOf[R any](s source.Slice[R]) (all []source.Range) {
	for _, p := range s.Parts {
		all = append(all, p.Range)
	}
	return all
}

// restarted reads a directory with one reader, lets something happen, and reads it
// with another one that goes on where the first was. It returns what both gave.
func restarted(t *testing.T, src source.Source[source.Line], happens func()) (first, second []string, at positions, stats source.Stats) {
	at = positions{}
	read := func(o source.Options) (got []string) {
		r := open(t, src, o)
		for range 2 {
			s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
			require.NoError(t, err)
			at.add(rangesOf(s))
			got = append(got, texts(s)...)
		}
		stats = r.Stats()
		require.NoError(t, r.Close())
		return got
	}
	first = read(source.Options{})
	happens()
	second = read(source.Options{Positions: at})
	return first, second, at, stats
}

func TestDirGoesOnAfterARestart(t *testing.T) {
	long := strings.Repeat("x", 2000)
	tests := map[string]struct {
		before, meanwhile func(t *testing.T, dir string)
		options           []source.Option
		first, second     []string
		names             []string // of the files whose positions are kept
		stats             source.Stats
	}{
		"nothing": {before: both(writes("a", "1\n2\n"), writes("empty", "")), first: []string{"1", "2"}, names: []string{"a", "empty"}},
		"grown":   {before: writes("a", "1\n2"), meanwhile: adds("a", "2\n3\n"), first: []string{"1"}, second: []string{"22", "3"}, names: []string{"a"}},
		"new":     {before: writes("a", "1\n"), meanwhile: writes("b", "2\n"), first: []string{"1"}, second: []string{"2"}, names: []string{"a", "b"}},
		"rotated": {before: both(writes("log", "1\n2\n"), writes("log.1", "0\n")), meanwhile: both(adds("log", "3\n"), renames("log.1", "log.2"), renames("log", "log.1"), writes("log", "4\n")),
			first: []string{"0", "1", "2"}, second: []string{"3", "4"}, names: []string{"log", "log.1", "log.2"}},
		"changed places": {before: both(writes("a", "1\n"), writes("b", "2\n")), meanwhile: both(renames("a", "c"), renames("b", "a"), renames("c", "b"), adds("b", "3\n")),
			first: []string{"1", "2"}, second: []string{"3"}, names: []string{"a", "b"}},
		"replaced": {before: writes("a", "1\n2\n"), meanwhile: both(writes(".b", "3\n4\n5\n"), renames(".b", "a")),
			first: []string{"1", "2"}, second: []string{"3", "4", "5"}, names: []string{"a"}, stats: source.Stats{Replaced: 1}},
		"written anew": {before: writes("a", "1\n2\n"), meanwhile: writes("a", "3\n4\n5\n"),
			first: []string{"1", "2"}, second: []string{"3", "4", "5"}, names: []string{"a"}, stats: source.Stats{Replaced: 1}},
		"shrunk": {before: writes("a", "1\n2\n3"), meanwhile: writes("a", "4\n"),
			first: []string{"1", "2"}, second: []string{"4"}, names: []string{"a"}, stats: source.Stats{Replaced: 1, Lost: 1}},
		"deleted when it was read":    {before: writes("a", "1\n"), meanwhile: removes("a"), first: []string{"1"}},
		"deleted before it was read":  {before: writes("a", "1\n234"), meanwhile: removes("a"), first: []string{"1"}, stats: source.Stats{Lost: 3}},
		"touched":                     {before: writes("a", "1\n"), meanwhile: ages("a"), first: []string{"1"}, names: []string{"a"}},
		"a line that is too long":     {before: writes("a", "1\n"+long), meanwhile: adds("a", long+"\n2\n"), first: []string{"1"}, second: []string{"2"}, names: []string{"a"}},
		"only left out":               {before: writes("a", long+"\n"), names: []string{"a"}},
		"an end that comes later":     {before: both(writes("a", "1\n2"), ages("a")), meanwhile: adds("a", "\n3\n"), first: []string{"1", "2"}, second: []string{"3"}, names: []string{"a"}},
		"restored from a copy":        {before: both(writes("a", "1\n"), ages("a")), meanwhile: copied("a"), first: []string{"1"}, names: []string{"a"}},
		"NewOnly":                     {options: []source.Option{source.NewOnly()}, before: writes("a", "1\n2"), meanwhile: both(adds("a", "2\n3\n"), writes("b", "4\n")), second: []string{"3", "4"}, names: []string{"a", "b", ""}},
		"NewOnly, with nothing first": {options: []source.Option{source.NewOnly()}, meanwhile: writes("a", "1\n"), second: []string{"1"}, names: []string{"a", ""}},
		"packed": {before: writes("a.gz", string(packed("1\n2\n3"))), meanwhile: both(writes("b.gz", string(packed("4\n"))), renames("a.gz", "c.gz")),
			options: []source.Option{source.Settle(0)}, first: []string{"1", "2", "3"}, second: []string{"4"}, names: []string{"b.gz", "c.gz"}},
	}
	for name, test := range tests {
		inBubble(t, name, func(t *testing.T) {
			dir := t.TempDir()
			if test.before != nil {
				test.before(t, dir)
			}
			src := source.Dir(dir, append(test.options, source.MaxRecord(1000))...)
			first, second, at, stats := restarted(t, src, func() {
				if synctest.Wait(); test.meanwhile != nil {
					test.meanwhile(t, dir)
				}
			})
			require.ElementsMatch(t, test.first, first)
			require.ElementsMatch(t, test.second, second)
			names := []string{}
			for _, p := range at {
				if p.Partition != "" {
					p.Partition = filepath.Base(p.Partition)
				}
				names = append(names, p.Partition)
			}
			require.ElementsMatch(t, test.names, names)
			require.Equal(t, test.stats, stats)
		})
	}
}

// copied makes another file with the same content and time.
func copied(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		require.NoError(t, err)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		write(t, path+".tmp", string(data))
		require.NoError(t, os.Chtimes(path+".tmp", info.ModTime(), info.ModTime()))
		require.NoError(t, os.Rename(path+".tmp", path))
	}
}

func packed(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

// A slice of files is given again as it was: with lines that had no end, after
// lines that were left out, of files that have other names now.
func TestExactSlicesOfADirectory(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		src := source.Dir(dir, source.MaxRecord(1000))
		r := open(t, src, source.Options{Partitions: 2})
		var all []source.Slice[source.Line]
		look := func() {
			s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
			require.NoError(t, err)
			all = append(all, s)
			synctest.Wait()
		}
		long := strings.Repeat("x", 2000)
		for _, do := range []func(*testing.T, string){
			writes("a", "1\n2"), ages("a"), adds("a", "\n3"), ages("a"), adds("a", "x\n"+long), adds("a", long+"\n4\n"),
			both(writes("b.gz", string(packed("5\n6"))), ages("b.gz")), renames("a", "c"), adds("c", "7\n8"), ages("c"), adds("c", "9\n"),
		} {
			do(t, dir)
			look()
		}
		var want []string
		for _, s := range all {
			want = append(want, texts(s)...)
		}
		require.Equal(t, []string{"1", "2", "3", "x", "4", "5", "6", "7", "8", "9"}, want)
		renames("c", "d")(t, dir)
		for done := range all {
			at := positions{}
			for _, s := range all[:done] {
				at.add(rangesOf(s))
			}
			again := open(t, src, source.Options{Partitions: 2, Positions: at})
			for _, s := range all[done:] {
				got, err := again.Cut(t.Context(), source.Request{Mode: source.Exact, Ranges: rangesOf(s)})
				require.NoError(t, err)
				require.Equal(t, texts(s), texts(got))
				require.Equal(t, rangesOf(s), rangesOf(got))
			}
			require.Empty(t, cut(t, again), "there is nothing else")
			require.Zero(t, again.Stats())
		}
	})
}

// All that was read at several looks, as one slice.
func TestExactSliceOfManyLooks(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		src := source.Dir(dir)
		r := open(t, src, source.Options{})
		for i := range 5 {
			path := filepath.Join(dir, "a")
			if i == 0 {
				write(t, path, "")
			}
			add(t, path, fmt.Sprint(i))
			age(t, path, time.Minute)
			time.Sleep(2 * time.Second) // of the bubble: it looks by itself
		}
		s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
		require.NoError(t, err)
		require.Equal(t, []string{"0", "1", "2", "3", "4"}, texts(s))
		again := open(t, src, source.Options{Positions: []source.Position{{Partition: filepath.Join(dir, "a")}}})
		got, err := again.Cut(t.Context(), source.Request{Mode: source.Exact, Ranges: rangesOf(s)})
		require.NoError(t, err)
		require.Equal(t, s.Parts, got.Parts)
		require.Empty(t, cut(t, again))
	})
}

func TestExactSliceOfFilesThatHaveChanged(t *testing.T) {
	tests := map[string]func(*testing.T, string){
		"gone":         removes("a"),
		"shrunk":       writes("a", "1\n"),
		"written anew": writes("a", "3\n4\n5\n"),
		"replaced":     both(writes(".b", "3\n4\n5\n"), renames(".b", "a")),
		"a directory": both(removes("a"), func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
		}),
	}
	for name, happens := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writes("a", "1\n2\n")(t, dir)
			src := source.Dir(dir)
			r := open(t, src, source.Options{})
			s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
			require.NoError(t, err)
			require.NoError(t, r.Close())
			happens(t, dir)
			again := open(t, src, source.Options{Name: "logs", Positions: []source.Position{{Partition: s.Parts[0].Range.Partition}}})
			_, err = again.Cut(t.Context(), source.Request{Mode: source.Exact, Ranges: rangesOf(s)})
			require.ErrorContains(t, err, "bytes 0 to 4 of "+filepath.Join(dir, "a")+", which belong to a batch that is run again: the file is gone or was changed; put the file back as it was, or read everything anew with checkpoint.Drop(\"logs\")")
		})
	}
}

func TestMarksThatCantBeRead(t *testing.T) {
	dir := t.TempDir()
	writes("a", "1\n2\n")(t, dir)
	src := source.Dir(dir)
	for _, p := range []source.Position{
		{Partition: "a", Offset: 2, Mark: "x"},
		{Partition: "a", Offset: 2, Mark: "1 " + strings.Repeat("0 ", 13)},
		{Partition: "a", Offset: 2, Mark: "1 0 0 -5 0 0 0 0 0 0 0 0 0 0"},
		{Partition: "a", Offset: 2, Mark: "1 0 0 5 0 0 0 0 0 0 0 0 0 0 9 3"},
		{Partition: "a", Offset: -2, Mark: "1 0 0 5 0 0 0 0 0 0 0 0 0 0"},
		{Partition: "a", Offset: 2, Mark: "2 0 0 5 0 0 0 0 0 0 0 0 0 0"},
	} {
		_, err := src.Open(t.Context(), source.Options{Positions: []source.Position{p}})
		require.ErrorContains(t, err, "the mark \""+p.Mark+"\" in the checkpoint can't be read", p)
	}
	r := open(t, src, source.Options{Positions: []source.Position{{Partition: "a", Offset: 2}}})
	_, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
	require.ErrorContains(t, err, "the mark \"\" in the checkpoint can't be read", "there is none")
}

// With Once, what was written anew is read from the start, and it ends with an
// error if something is gone that was not read to its end.
func TestOnceGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	writes("a", strings.Repeat("0123456\n", 1000))(t, dir)
	writes("b", "1\n")(t, dir)
	src := source.Dir(dir, source.Once())
	r := open(t, src, source.Options{})
	s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived, MaxBytes: 1})
	for err == nil && len(texts(s)) == 0 {
		s, err = r.Cut(t.Context(), source.Request{Mode: source.Filled, MaxBytes: 1})
	}
	require.NoError(t, err)
	require.NoError(t, r.Close())
	at := positions{}
	at.add(rangesOf(s))
	again := open(t, src, source.Options{Positions: at})
	require.Len(t, all(t, again), 1000)
	writes("a", strings.Repeat("x", 9000)+"\n")(t, dir)
	again = open(t, src, source.Options{Positions: at})
	require.Len(t, all(t, again), 2)
	require.Equal(t, source.Stats{Replaced: 1, Lost: 7992}, again.Stats())
	removes("a")(t, dir)
	_, err = open(t, src, source.Options{Positions: at}).Cut(t.Context(), source.Request{Mode: source.Filled})
	require.ErrorContains(t, err, filepath.Join(dir, "a")+" is gone, of which 7992 bytes were not read")
}

func FuzzMark(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "a")
	write(f, path, "1\n2\n")
	f.Add("1 fe00 9c9c17 5 1795392460804794511 5 b938dae4 36fad9241cea5c82 36fad9241cea5c82 4 0 0 0 0", int64(0), int64(4))
	f.Add("1 0 0 4 0 4 0 0 0 3ff 0 0 0 0 1 2", int64(0), int64(4))
	f.Fuzz(func(t *testing.T, mark string, from, until int64) {
		r, err := source.Dir(dir, source.Once()).Open(t.Context(), source.Options{Positions: []source.Position{{Partition: path, Offset: from, Mark: mark}}})
		if err != nil {
			return
		}
		defer r.Close()
		_, _ = r.Cut(t.Context(), source.Request{Mode: source.Exact, Ranges: []source.Range{{Partition: path, From: from, Until: until, Mark: mark}}})
		_, _, _ = r.Next(t.Context())
	})
}

// Lines of a packed file whose end is damaged or still being written come again.
func TestPackedFileWithoutAnEndIsReadAgain(t *testing.T) {
	whole := pack("1\n2\n3\n")
	for name, data := range map[string][]byte{
		"whole":            whole,
		"trailing garbage": append(slices.Clip(whole), "garbage and some more"...),
		"trailing zeros":   append(slices.Clip(whole), make([]byte, 512)...),
		"no trailer":       whole[:len(whole)-8],
		"half a trailer":   whole[:len(whole)-4],
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.gz"), data, 0o600))
			src := source.Dir(dir)
			first, err := open(t, src, source.Options{}).Cut(t.Context(), source.Request{Mode: source.Arrived})
			require.NoError(t, err)
			again, err := open(t, src, source.Options{Positions: []source.Position{}}).Cut(t.Context(), source.Request{Mode: source.Exact, Ranges: rangesOf(first)})
			require.NoError(t, err)
			require.Equal(t, []string{"1", "2", "3"}, texts(first))
			require.Equal(t, texts(first), texts(again))
		})
	}
}

// A packed file that goes before it was read to its end is missed.
func TestPackedFileThatGoesIsMissed(t *testing.T) {
	var b strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&b, "line %d %x\n", i, i*7919%256)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a.gz")
	for _, once := range []bool{true, false} {
		require.NoError(t, os.WriteFile(path, pack(b.String()), 0o600))
		src := source.Dir(dir)
		if once {
			src = source.Dir(dir, source.Once())
		}
		s, err := open(t, src, source.Options{MaxBatchBytes: 1 << 20, Prefetch: 1 << 16}).Cut(t.Context(), source.Request{Mode: source.Filled, MaxBytes: 1 << 20})
		require.NoError(t, err)
		require.Less(t, len(texts(s)), 20000)
		at := positions{}
		at.add(rangesOf(s))
		require.NoError(t, os.Remove(path))
		r := open(t, src, source.Options{Positions: at})
		if once {
			_, err = r.Cut(t.Context(), source.Request{Mode: source.Filled})
			require.ErrorContains(t, err, "is gone")
		} else {
			_, err = r.Cut(t.Context(), source.Request{Mode: source.Arrived})
			require.NoError(t, err)
			require.Positive(t, r.Stats().Lost)
		}
	}
}

// A file whose place was taken while the program was down is another one when it
// comes back, although others are still looked for.
func TestFileThatComesBackHasNoPosition(t *testing.T) {
	dir := t.TempDir()
	p := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.Mkdir(p("sub"), 0o700))
	require.NoError(t, os.WriteFile(p("a"), []byte("1\n"), 0o600))
	require.NoError(t, os.WriteFile(p("sub/b"), []byte("2\n"), 0o600))
	src := source.Dir(dir, source.Recursive())
	at := positions{}
	read := func(r source.Reader[source.Line]) (all []string) {
		for range 2 {
			s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
			require.NoError(t, err)
			at.add(rangesOf(s))
			all = append(all, texts(s)...)
		}
		return all
	}
	require.Equal(t, []string{"1", "2"}, read(open(t, src, source.Options{})))
	outside, away := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "sub")
	require.NoError(t, os.Rename(p("a"), outside))
	require.NoError(t, os.WriteFile(p("a"), []byte("new 1\nnew 2\n"), 0o600))
	require.NoError(t, os.Rename(p("sub"), away))
	if os.Symlink("sub", p("sub")) != nil { // it can't be looked at
		t.Skip("no symbolic links here")
	}
	r := open(t, src, source.Options{Positions: at})
	require.Equal(t, []string{"new 1", "new 2"}, read(r))
	require.NoError(t, os.Rename(outside, p("a.1")))
	require.Equal(t, []string{"1"}, read(r), "its position was given up")
	require.NoError(t, os.Remove(p("sub")))
	require.NoError(t, os.Rename(away, p("sub")))
	require.Empty(t, read(open(t, src, source.Options{Positions: at})), "everything was read")
}

func pack(lines string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(lines))
	w.Close()
	return b.Bytes()
}
