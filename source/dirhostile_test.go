package source_test

import (
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

	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/source"
)

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

	write(t, filepath.Join(dir, "third-bad"), content)
	breakAt = 100_000
	require.Len(t, cut(t, r), 12_500)
	breakAt = 0
	write(t, filepath.Join(dir, "third-bad"), strings.ReplaceAll(content, "0", "x"))
	require.Len(t, cut(t, r), 20_000, "not only what comes after the place of the error")
	require.EqualValues(t, 2, r.Stats().Replaced)
}

func TestFileThatIsWrittenAnewWhileARecordWaitsForRoom(t *testing.T) {
	const old = 100_000
	numbered := func(prefix string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%s%07d\n", prefix, i)
		}
		return b.String()
	}
	for name, n := range map[string]int{"longer": old + 20_000, "as long as before": old, "shorter, but longer than what was read": old - 20_000, "shorter": 10} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a")
			write(t, path, numbered("o", old))
			r := open(t, source.Dir(dir), source.Options{Prefetch: 500_000, MaxBatchBytes: 500_000})
			seen := map[string]int{}
			take := func() {
				for _, text := range cut(t, r) {
					require.Len(t, text, 8, "a whole line")
					seen[text[:1]]++
				}
			}
			for seen["o"] < old/4 {
				take()
			}
			write(t, path, numbered("n", n))
			eventually(t, "all that is there now", func() bool { take(); return seen["n"] >= n })
			require.Equal(t, n, seen["n"])
			require.Less(t, seen["o"], old)
			require.Equal(t, source.Stats{Replaced: 1, Lost: int64(old-seen["o"]) * 9}, r.Stats())
		})
	}
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

func TestSlowFileSystemHoldsNoBatchUpForEver(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a"), "1\n")
		stuck := make(chan struct{})
		r := open(t, source.WithOpen(source.Dir(dir), func(path string) (source.RawFile, error) {
			if filepath.Base(path) == "b" {
				<-stuck
			}
			return source.OpenFile(path)
		}), source.Options{})
		require.Equal(t, []string{"1"}, cut(t, r))
		write(t, filepath.Join(dir, "b"), "2\n")
		begin := time.Now()
		require.Empty(t, cut(t, r))
		require.Equal(t, 10*time.Second, time.Since(begin))
		close(stuck)
		require.Equal(t, []string{"2"}, cut(t, r))
	})
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

func TestDirectoryThatGoesInTheMiddleOfALook(t *testing.T) {
	inBubble(t, "between its names and its files", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "logs")
		require.NoError(t, os.Mkdir(dir, 0o700))
		write(t, filepath.Join(dir, "a"), "1\n2")
		goes := false
		r := open(t, source.Dir(dir, source.Match(func(string) bool {
			if goes {
				goes = false
				require.NoError(t, os.Rename(dir, dir+"-away"))
			}
			return true
		})), source.Options{})
		require.Equal(t, []string{"1"}, cut(t, r))
		synctest.Wait()
		goes = true
		require.Empty(t, cut(t, r))
		synctest.Wait()
		require.False(t, goes)
		require.NoError(t, os.Rename(dir+"-away", dir))
		require.Empty(t, cut(t, r), "it was read")
		require.Zero(t, r.Stats().Lost)
	})
}

func TestFilesThatAreRenamedAllTheTime(t *testing.T) {
	for _, pattern := range []string{"logs", "log*"} {
		inBubble(t, pattern, func(t *testing.T) {
			base := t.TempDir()
			dir := filepath.Join(base, "logs")
			require.NoError(t, os.Mkdir(dir, 0o700))
			write(t, filepath.Join(dir, "a"), "1\n")
			write(t, filepath.Join(dir, "b-0"), "2\n")
			write(t, filepath.Join(dir, "c"), "3\n")
			restless, n := false, 1
			r := open(t, source.Dir(filepath.Join(base, pattern), source.Match(func(path string) bool {
				if restless && filepath.Base(path) == "c" { // after b was found
					renames(fmt.Sprintf("b-%d", n), fmt.Sprintf("b-%d", n+1))(t, dir)
					n++
				}
				return true
			})), source.Options{})
			require.ElementsMatch(t, []string{"1", "2", "3"}, cut(t, r))
			synctest.Wait()
			renames("b-0", "b-1")(t, dir)
			restless = true
			require.Empty(t, cut(t, r))
			synctest.Wait()
			restless = false
			require.Empty(t, cut(t, r), "all was read")
			require.Equal(t, source.Stats{Retries: 1}, r.Stats())
		})
	}
}
