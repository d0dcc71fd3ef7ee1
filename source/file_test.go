package source_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/source"
)

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, "1\r\n\n2\n3")
	r := open(t, source.File(path), source.Options{Partitions: 2})
	add(t, path, "33\n4\n") // after it was opened
	s, err := r.Cut(t.Context(), source.Request{Mode: source.Filled})
	require.NoError(t, err)
	require.True(t, s.End)
	require.Equal(t, []string{"1", "", "2", "3"}, texts(s), "up to its size when it was opened")
	require.Equal(t, source.Range{Partition: path, From: 0, Until: 7}, bare(s.Parts[0].Range))
	require.Len(t, s.Partitions(), 2)
	require.Equal(t, "file "+path, source.File(path).(interface{ String() string }).String())

	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write([]byte("1\n2"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	write(t, path+".gz", packed.String())
	require.Equal(t, []string{"1", "2"}, all(t, open(t, source.File(path+".gz"), source.Options{})))
	write(t, path+".gz", packed.String()[:packed.Len()-1])
	require.ErrorContains(t, fails(t, open(t, source.File(path+".gz"), source.Options{})), "source: read "+path+".gz at byte 2: unexpected EOF")
}

func TestFileThatChangesWhileItIsRead(t *testing.T) {
	content := strings.Repeat("0123456\n", 100_000)
	tests := map[string]struct {
		change func(path string) error
		want   string
	}{
		"shrinks": {func(path string) error { return os.Truncate(path, 300_004) }, "at byte 300000: the file has shrunk or was written anew since the start"},
		"breaks":  {nil, "at byte 300000: input/output error"},
		"is written anew": {func(path string) error {
			return os.WriteFile(path, []byte(strings.ReplaceAll(content, "0", "x")), 0o600)
		}, "the file has shrunk or was written anew since the start"},
		"is written anew and differs only in what was read long ago": {func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("x"+content[1:]), 0o600), os.Chtimes(path, second(1), second(1)))
		}, "the file has shrunk or was written anew since the start"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a")
			write(t, path, content)
			src := source.WithOpen(source.File(path), func(path string) (source.RawFile, error) {
				f, err := source.OpenFile(path)
				if err != nil || test.change != nil {
					return f, err
				}
				return breaking{f, 300_004}, nil
			})
			r := open(t, src, source.Options{Prefetch: 1000, MaxBatchBytes: 1000})
			s, err := r.Cut(t.Context(), source.Request{Mode: source.Filled})
			require.NoError(t, err)
			require.NotEmpty(t, texts(s))
			if test.change != nil {
				require.NoError(t, test.change(path))
			}
			err = fails(t, r)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "source: read "+path+" at byte ")
		})
	}
	t.Run("is deleted before its turn", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "a"), content)
		write(t, filepath.Join(dir, "b"), content)
		age(t, filepath.Join(dir, "a"), time.Minute)
		r := open(t, source.Dir(dir, source.Once()), source.Options{Prefetch: 1000, MaxBatchBytes: 1000})
		_, err := r.Cut(t.Context(), source.Request{Mode: source.Filled})
		require.NoError(t, err)
		require.NoError(t, os.Remove(filepath.Join(dir, "b")))
		require.ErrorIs(t, fails(t, r), os.ErrNotExist, "what is not complete must not look so")
	})
}

// seconds says when a line was written, if it begins with a number of seconds.
func seconds(l source.Line) time.Time {
	n, err := strconv.Atoi(strings.Fields(l.Text() + " x")[0])
	if err != nil {
		return time.Time{}
	}
	return second(n)
}

func TestReplayMergesFilesByTime(t *testing.T) {
	tests := map[string]struct {
		files   []string // changed in this order, one second after the other, from 100 s on
		options []source.Option
		want    [][]string // batches of 10 s, from the first
	}{
		"by the records' times": {
			[]string{"1 a\n12 a\n31 a\n", "2 b\n11 b\n12 b\n"},
			[]source.Option{source.Time(seconds)},
			[][]string{{"1 a", "2 b"}, {"11 b", "12 b", "12 a"}, {}, {"31 a"}},
		},
		"late records": {
			[]string{"15 a\n3 a\n16 a\n", "1 b\n2 b\n"},
			[]source.Option{source.Time(seconds)},
			[][]string{{"1 b", "2 b"}, {"15 a", "3 a", "16 a"}},
		},
		"records without a time": {
			[]string{"head\n12 a\nat x\n25 a\n", "1 b\nat y\n"},
			[]source.Option{source.Time(seconds)},
			[][]string{{"1 b", "at y"}, {"head", "12 a", "at x"}, {"25 a"}},
		},
		"a file without times": {
			[]string{"head\n", "99 b\n111 b\n"},
			[]source.Option{source.Time(seconds)},
			[][]string{{"99 b"}, {"head"}, {"111 b"}},
		},
		"times of the files": {
			[]string{"5\n", "4\n", "3\n", "", "2\n"},
			nil,
			[][]string{{"5", "4", "3", "2"}},
		},
		"no files": {nil, nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i, content := range test.files {
				path := filepath.Join(dir, string(rune('z'-i)))
				write(t, path, content)
				require.NoError(t, os.Chtimes(path, second(100+i), second(100+i)))
			}
			r := open(t, source.Dir(dir, test.options...), source.Options{Replay: true})
			var got [][]string
			until := map[string]int64{}
			for at := 0; ; {
				next, ok, err := r.Next(t.Context())
				require.NoError(t, err)
				if !ok {
					break
				}
				if at == 0 {
					at = int(next.Unix()) / 10 * 10
				}
				at += 10
				s, err := r.Cut(t.Context(), source.Request{Mode: source.ByTime, Time: second(at), MaxBytes: 1 << 20})
				require.NoError(t, err)
				for _, p := range s.Parts {
					require.Equal(t, until[p.Range.Partition], p.Range.From)
					until[p.Range.Partition] = p.Range.Until
				}
				got = append(got, texts(s))
			}
			require.Len(t, got, len(test.want))
			for i := range got {
				require.ElementsMatch(t, test.want[i], got[i], "batch %d", i)
			}
		})
	}
}

func TestReplayClosesFilesThatItDoesNotNeed(t *testing.T) {
	dir := t.TempDir()
	for i := range 200 { // of two machines, rotated every ten seconds
		var b strings.Builder
		for s := range 10 {
			b.WriteString(strconv.Itoa(i/2*10+s) + " " + name(i) + "\n")
		}
		write(t, filepath.Join(dir, name(i)), b.String())
	}
	opened, most := 0, 0
	src := source.WithOpen(source.Dir(dir, source.Time(seconds)), func(path string) (source.RawFile, error) {
		f, err := source.OpenFile(path)
		opened++
		most = max(most, opened)
		return closing{f, func() { opened-- }}, err
	})
	r := open(t, src, source.Options{Replay: true})
	s, err := r.Cut(t.Context(), source.Request{Mode: source.ByTime, Time: second(1000), MaxBytes: 1 << 20})
	require.NoError(t, err)
	require.Len(t, texts(s), 2000)
	require.Equal(t, 2, most)
	require.Zero(t, opened)
}

// Lines, their places and their ends are those that a plain loop finds.
func FuzzLines(f *testing.F) {
	f.Add([]byte("1\n22\r\n\r\n\r\r\n333"), 2)
	f.Add([]byte("\xff\x00\n\n"), 1)
	f.Add(bytes.Repeat([]byte("0123456789"), 20_000), 100_000)
	f.Add(append(bytes.Repeat([]byte("0123456789"), 15_000), "\r\n1\n"...), 1<<20)
	f.Fuzz(func(t *testing.T, content []byte, most int) {
		if most <= 0 || most > 1<<20 {
			t.Skip()
		}
		path := filepath.Join(t.TempDir(), "a")
		write(t, path, string(content))
		r := open(t, source.File(path, source.MaxRecord(most)), source.Options{})
		type line struct {
			text string
			at   int64
		}
		var got, want []line
		for {
			s, err := r.Cut(t.Context(), source.Request{Mode: source.Filled})
			require.NoError(t, err)
			for _, p := range s.Parts {
				for _, l := range p.Records {
					got = append(got, line{l.Text(), l.At})
				}
			}
			if s.End {
				break
			}
		}
		rejected, at := int64(0), int64(0)
		for _, whole := range bytes.SplitAfter(content, []byte("\n")) {
			if len(whole) == 0 {
				continue
			}
			text := strings.TrimSuffix(strings.TrimSuffix(string(whole), "\n"), "\r")
			if len(text) > most {
				rejected++
			} else {
				want = append(want, line{text, at})
			}
			at += int64(len(whole))
		}
		require.Equal(t, want, got)
		require.Equal(t, rejected, r.Stats().Rejected)
	})
}
