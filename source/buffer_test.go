package source_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/source"
)

var epoch = time.Unix(0, 0).UTC()

func second(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }

// put puts records of these sizes, numbered, without times.
func put(t *testing.T, f *source.Feed[int], sizes ...int) {
	for i, size := range sizes {
		require.NoError(t, f.Put(i, int64(i+1), size, time.Time{}))
	}
}

func repeat(size, n int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

// lengths is how many records each part has.
func lengths[R any](s source.Slice[R]) (n []int) {
	for _, p := range s.Parts {
		n = append(n, len(p.Records))
	}
	return n
}

func arrived(t *testing.T, b *source.Buffer[int], bytes int64) source.Slice[int] {
	s, err := b.Cut(t.Context(), source.Request{MaxBytes: bytes})
	require.NoError(t, err)
	return s
}

func TestBytesAreSharedAmongPartitions(t *testing.T) {
	tests := map[string]struct {
		sizes [][]int
		limit int64
		want  []int
	}{
		"all fits":                         {[][]int{repeat(10, 3), repeat(10, 1)}, 40, []int{3, 1}},
		"in proportion to what is there":   {[][]int{repeat(10, 30), repeat(10, 10)}, 200, []int{15, 5}},
		"nothing in one":                   {[][]int{nil, repeat(10, 30), nil}, 100, []int{0, 10, 0}},
		"what one leaves goes to others":   {[][]int{repeat(10, 10), repeat(90, 10)}, 200, []int{2, 2}},
		"one record although it is larger": {[][]int{repeat(500, 3), repeat(10, 10)}, 100, []int{1, 0}},
		"no more than a large one":         {[][]int{nil, {500}, repeat(10, 10)}, 100, []int{0, 1, 0}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := source.NewBuffer[int](source.Options{})
			for _, sizes := range test.sizes {
				put(t, b.Feed("", 0), sizes...)
			}
			require.Equal(t, test.want, lengths(arrived(t, b, test.limit)))
		})
	}
}

func TestEveryPartitionHasItsTurn(t *testing.T) {
	b := source.NewBuffer[int](source.Options{})
	large := b.Feed("large", 0)
	put(t, large, 90, 90)
	small := []*source.Feed[int]{b.Feed("1", 0), b.Feed("2", 0), b.Feed("3", 0)}
	n := 0
	for cut := range 8 { // those with small records always have many
		for _, f := range small {
			put(t, f, repeat(1, 1000)...)
		}
		s := arrived(t, b, 100)
		n += len(s.Parts[0].Records)
		if cut == 3 {
			require.Equal(t, 1, n, "a large record comes within as many cuts as there are partitions")
		}
	}
	require.Equal(t, 2, n)
}

func TestRecordsOfUnpartitionedSourcesAreSpread(t *testing.T) {
	b := source.NewBuffer[int](source.Options{Partitions: 3})
	b.Spread()
	put(t, b.Feed("a", 0), repeat(1, 7)...)
	put(t, b.Feed("b", 0), 1)
	s := arrived(t, b, 100)
	require.Equal(t, 3, s.Spread)
	require.Equal(t, []int{7, 1}, lengths(s), "ranges are those of the source")
	require.Equal(t, [][]int{{0, 1}, {2, 3, 4}, {5, 6, 0}}, s.Partitions())
	require.Len(t, arrived(t, b, 100).Partitions(), 3)
}

// Whatever is put, cut and ended in whatever order is in exactly one slice.
func TestNothingIsLostOrDoubled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type op struct{ size, gap, at int }
		feeds := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) op {
			return op{rapid.IntRange(0, 50).Draw(t, "size"), rapid.IntRange(0, 2).Draw(t, "gap"), rapid.IntRange(0, 60).Draw(t, "at")}
		}), 0, 40), 1, 5).Draw(t, "feeds")
		replay := rapid.Bool().Draw(t, "replay")
		b := source.NewBuffer[int](source.Options{Replay: replay, Prefetch: rapid.Int64Range(1, 300).Draw(t, "prefetch"), MaxBatchBytes: 100})
		want := make([]int, len(feeds))
		for p, ops := range feeds {
			f := b.Feed(fmt.Sprint(p), 7)
			want[p] = len(ops)
			b.Go(func(context.Context) error {
				until := int64(7)
				var together []source.Item[int]
				for i, op := range ops {
					until += int64(op.gap)
					if len(together) == 0 {
						f.Skip(until)
					}
					until++
					together = append(together, source.Item[int]{Record: i, Until: until, Size: op.size, Time: second(1 + op.at)})
					if len(together) > p || i == len(ops)-1 {
						if err := f.PutAll(together); err != nil {
							return err
						}
						clear(together) // it keeps nothing of it
						together = together[:0]
					}
				}
				f.Skip(until + 3)
				f.End()
				return nil
			})
		}
		got, until := make([]int, len(feeds)), make([]int64, len(feeds))
		for i := range until {
			until[i] = 7
		}
		for at := 1; ; at++ {
			q := source.Request{Mode: source.ByTime, Time: second(at), MaxBytes: 1 << 30}
			if !replay {
				q = source.Request{Mode: rapid.SampledFrom([]source.Mode{source.Arrived, source.Filled}).Draw(t, "mode"), MaxBytes: rapid.Int64Range(1, 200).Draw(t, "bytes")}
			}
			s, err := b.Cut(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			records, bytes := 0, int64(0)
			for p, part := range s.Parts {
				if part.Range.From != until[p] {
					t.Fatalf("partition %d goes on at %d, not %d", p, part.Range.From, until[p])
				}
				until[p] = part.Range.Until
				for _, i := range part.Records {
					if i != got[p] {
						t.Fatalf("partition %d: record %d, want %d", p, i, got[p])
					}
					got[p]++
				}
				records += len(part.Records)
				bytes += part.Bytes
			}
			if !replay && bytes > q.MaxBytes && records > 1 {
				t.Fatalf("%d records of %d bytes, more than %d", records, bytes, q.MaxBytes)
			}
			if q.Mode == source.Filled && records == 0 && !s.End {
				t.Fatal("a filled slice is empty")
			}
			if s.End {
				break
			}
			runtime.Gosched()
		}
		for p := range want {
			if got[p] != want[p] {
				t.Fatalf("partition %d: %d records, want %d", p, got[p], want[p])
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhatIsBufferedIsBounded(t *testing.T) {
	fill := func(b *source.Buffer[int], f *source.Feed[int], size int) {
		b.Go(func(context.Context) error {
			for i := 0; ; i += 7 {
				if err := f.Put(i, int64(i+1), size, time.Time{}); err != nil {
					return err
				}
				var more []source.Item[int]
				for k := range 6 {
					more = append(more, source.Item[int]{Record: i + k, Until: int64(i + k + 2), Size: size})
				}
				if err := f.PutAll(more); err != nil {
					return err
				}
			}
		})
	}
	tests := map[string]struct {
		replay     bool
		fast, idle int // partitions
		want       int64
	}{
		"live":                               {false, 1, 0, 200},
		"replay":                             {true, 1, 0, 100},
		"an idle one leaves the half":        {false, 1, 1, 150},
		"all of many":                        {false, 5, 0, 200},
		"half of many":                       {false, 2, 2, 150},
		"more partitions than bytes, nearly": {false, 50, 0, 200},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				b := source.NewBuffer[int](source.Options{Replay: test.replay, Prefetch: 100, MaxBatchBytes: 100})
				var idle *source.Feed[int]
				for range test.idle {
					idle = b.Feed("idle", 0)
				}
				var fast []*source.Feed[int] // all known before the first is filled
				for range test.fast {
					fast = append(fast, b.Feed("fast", 0))
				}
				for _, f := range fast {
					fill(b, f, 1)
				}
				synctest.Wait()
				require.Equal(t, test.want, b.Stats().BufferedBytes)
				require.EqualValues(t, test.want, b.Stats().BufferedRecords)
				if idle != nil {
					put(t, idle, 1) // is not kept from being read
				}
				require.NoError(t, b.Close())
			})
		})
	}
	t.Run("a record that is larger than all", func(t *testing.T) {
		bubble.Test(t, func(t *testing.T) {
			b := source.NewBuffer[int](source.Options{Prefetch: 100, MaxBatchBytes: 100})
			fill(b, b.Feed("", 0), 1000)
			synctest.Wait()
			require.EqualValues(t, 1, b.Stats().BufferedRecords)
			require.NoError(t, b.Close())
		})
	})
	t.Run("records without a size", func(t *testing.T) {
		bubble.Test(t, func(t *testing.T) {
			b := source.NewBuffer[int](source.Options{Prefetch: 100, MaxBatchBytes: 100})
			fill(b, b.Feed("", 0), 0)
			synctest.Wait()
			require.EqualValues(t, 200, b.Stats().BufferedRecords)
			require.NoError(t, b.Close())
		})
	})
}

func TestFilledGivesWhatThereIsWhenNoMoreFits(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		b := source.NewBuffer[int](source.Options{Prefetch: 10, MaxBatchBytes: 100})
		b.Feed("idle for ever", 0)
		f := b.Feed("busy", 0)
		b.Go(func(context.Context) error { return f.Put(0, 1, 1, time.Time{}) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := b.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 100})
		require.ErrorIs(t, err, context.DeadlineExceeded, "there was room for more")
		b.Go(func(context.Context) error {
			for i := range 1000 {
				if err := f.Put(1+i, int64(2+i), 1, time.Time{}); err != nil {
					return err
				}
			}
			return nil
		})
		s, err := b.Cut(t.Context(), source.Request{Mode: source.Filled, MaxBytes: 100})
		require.NoError(t, err)
		require.Equal(t, []int{0, 82}, lengths(s), "three quarters of 110, all that one of two may hold")
		require.NoError(t, b.Close())
	})
}

func TestReplayWithoutTimesThatOutgrowsTheBuffer(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		b := source.NewBuffer[int](source.Options{Name: "from-1", Replay: true, Prefetch: 50})
		f := b.Feed("old", 0)
		b.Go(func(context.Context) error {
			for i := range 100 {
				if err := f.Put(i, int64(i+1), 1, time.Time{}); err != nil {
					return err
				}
			}
			return f.Put(100, 101, 1, second(1))
		})
		_, _, err := b.Next(t.Context())
		require.EqualError(t, err, `source from-1: the first 50 records of partition "old" (50 bytes, all that may be read ahead) have no time, so they belong to no batch of a replay; give records times, or raise Prefetch if later ones have them`)
		require.NoError(t, b.Close())
	})
}

func TestBatchOfAReplayMayBeLargerThanTheBuffer(t *testing.T) {
	b := source.NewBuffer[int](source.Options{Name: "from-1", Replay: true, Prefetch: 50})
	f := b.Feed("", 0)
	b.Go(func(context.Context) error {
		defer f.End()
		for i := range 1000 {
			if err := f.Put(i, int64(i+1), 1, second(i/900)); err != nil {
				return err
			}
		}
		return nil
	})
	s, err := b.Cut(t.Context(), source.Request{Mode: source.ByTime, Time: second(1), MaxBytes: 900})
	require.NoError(t, err)
	require.Equal(t, []int{900}, lengths(s))
	_, err = b.Cut(t.Context(), source.Request{Mode: source.ByTime, Time: second(2), MaxBytes: 99})
	var large *source.TooLargeError
	require.ErrorAs(t, err, &large)
	require.Equal(t, second(2), large.Time)
	require.NoError(t, b.Close())
}

func TestEndOfContextLosesNothing(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		b := source.NewBuffer[int](source.Options{Replay: true})
		f := b.Feed("", 0)
		require.NoError(t, f.Put(1, 1, 1, second(1)))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("enough"))
		defer cancel()
		_, err := b.Cut(ctx, source.Request{Mode: source.ByTime, Time: second(5), MaxBytes: 100}) // the end of that batch is not known yet
		require.EqualError(t, err, "enough")
		require.NoError(t, f.Put(2, 2, 1, second(2)))
		f.End()
		s, err := b.Cut(t.Context(), source.Request{Mode: source.ByTime, Time: second(5), MaxBytes: 100})
		require.NoError(t, err)
		require.Equal(t, []int{1, 2}, s.Parts[0].Records)
		require.Equal(t, source.Range{From: 0, Until: 2}, s.Parts[0].Range)
		require.True(t, s.End)
	})
}

func TestGoroutineThatFails(t *testing.T) {
	boom := errors.New("boom")
	tests := map[string]struct {
		fill func(ctx context.Context) error
		want string
	}{
		"error":  {func(context.Context) error { return boom }, "boom"},
		"panic":  {func(context.Context) error { panic(boom) }, "panic: boom\n"},
		"goexit": {func(context.Context) error { runtime.Goexit(); return nil }, "runtime.Goexit"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := source.NewBuffer[int](source.Options{Replay: true})
			b.Feed("", 0)
			b.Go(test.fill)
			_, err := b.Cut(t.Context(), source.Request{Mode: source.Filled})
			require.ErrorContains(t, err, test.want)
			_, _, err = b.Next(t.Context())
			require.ErrorContains(t, err, test.want)
			require.NoError(t, b.Close())
		})
	}
}

func TestCloseWaits(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		b := source.NewBuffer[int](source.Options{})
		b.Go(func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Hour) // of the test's clock
			return nil
		})
		begin := time.Now()
		require.NoError(t, b.Close())
		require.Equal(t, time.Hour, time.Since(begin))
	})
}

func TestErrorsAfterCloseAreNone(t *testing.T) {
	b := source.NewBuffer[int](source.Options{})
	f := b.Feed("", 0)
	b.Go(func(ctx context.Context) error {
		<-ctx.Done()
		return f.Put(1, 1, 1, time.Time{})
	})
	require.NoError(t, b.Close())
	require.ErrorIs(t, f.Put(1, 1, 1, time.Time{}), source.ErrClosed)
	_, err := b.Cut(t.Context(), source.Request{Mode: source.Filled})
	require.ErrorIs(t, err, source.ErrClosed)
	_, err = b.Cut(t.Context(), source.Request{Mode: source.Arrived})
	require.NoError(t, err)
}

// A call that waits goes on as soon as what it waits for is there.
func TestWaitingCallsAreWoken(t *testing.T) {
	at := func(f *source.Feed[int], times ...int) {
		for i, s := range times {
			var at time.Time
			if s >= 0 {
				at = second(s)
			}
			f.Put(i, int64(i+1), 10, at)
		}
	}
	byTime := func(r source.Reader[int]) (any, error) {
		s, err := r.Cut(context.Background(), source.Request{Mode: source.ByTime, Time: second(10), MaxBytes: 1000})
		return lengths(s), err
	}
	filled := func(r source.Reader[int]) (any, error) {
		s, err := r.Cut(context.Background(), source.Request{Mode: source.Filled, MaxBytes: 25})
		return lengths(s), err
	}
	next := func(r source.Reader[int]) (any, error) {
		at, _, err := r.Next(context.Background())
		return int(at.Unix()), err
	}
	tests := map[string]struct {
		before, after func(a, b *source.Feed[int])
		call          func(source.Reader[int]) (any, error)
		want          any
	}{
		"enough bytes": {
			func(a, b *source.Feed[int]) { at(a, 1) },
			func(a, b *source.Feed[int]) { at(b, 1, 1) },
			filled, []int{1, 1},
		},
		"the end of all": {
			func(a, b *source.Feed[int]) { at(a, 1); a.End() },
			func(a, b *source.Feed[int]) { b.End() },
			filled, []int{1, 0},
		},
		"a later record in each": {
			func(a, b *source.Feed[int]) { at(a, 1, 10) },
			func(a, b *source.Feed[int]) { at(b, 2, 3, 11) },
			byTime, []int{1, 2},
		},
		"a time after records without": {
			func(a, b *source.Feed[int]) { at(a, 10); at(b, -1, -1) },
			func(a, b *source.Feed[int]) { at(b, 10) },
			byTime, []int{0, 0},
		},
		"the end after records without a time": {
			func(a, b *source.Feed[int]) { at(a, 10); at(b, -1, -1) },
			func(a, b *source.Feed[int]) { b.End() },
			byTime, []int{0, 2},
		},
		"the first time of each": {
			func(a, b *source.Feed[int]) { at(a, 7) },
			func(a, b *source.Feed[int]) { at(b, -1, -1, 5) },
			next, 5,
		},
		"nothing in one": {
			func(a, b *source.Feed[int]) { at(a, 7) },
			func(a, b *source.Feed[int]) { b.End() },
			next, 7,
		},
	}
	for name, test := range tests {
		inBubble(t, name, func(t *testing.T) {
			b := source.NewBuffer[int](source.Options{Replay: true})
			one, two := b.Feed("a", 0), b.Feed("b", 0)
			test.before(one, two)
			var got any
			go func() {
				var err error
				got, err = test.call(b)
				require.NoError(t, err)
			}()
			synctest.Wait()
			require.Nil(t, got, "it has to wait")
			test.after(one, two)
			synctest.Wait()
			require.Equal(t, test.want, got)
		})
	}
}

func TestTimesThatBeginInALaterBatch(t *testing.T) {
	b := source.NewBuffer[int](source.Options{})
	f := b.Feed("", 0)
	put(t, f, 1, 1)
	require.Equal(t, []int{2}, lengths(arrived(t, b, 100)))
	put(t, f, 1)
	require.NoError(t, f.Put(3, 4, 1, second(1)))
	require.Equal(t, []int{2}, lengths(arrived(t, b, 100)))
}

func TestPartitionThatIsGone(t *testing.T) {
	b := source.NewBuffer[int](source.Options{Replay: true})
	b.StayOpen()
	gone, stays := b.Feed("gone", 0), b.Feed("stays", 0)
	put(t, gone, 1, 1, 1)
	put(t, stays, 1)
	gone.Behind(10)
	gone.Over()
	require.EqualValues(t, 4, b.Stats().Lag, "what is gone is not waited for")
	s := arrived(t, b, 2)
	require.Equal(t, []string{"gone", "stays"}, []string{s.Parts[0].Range.Partition, s.Parts[1].Range.Partition})
	require.False(t, s.Parts[0].Range.Over, "not all of it is cut")
	s = arrived(t, b, 10)
	require.Equal(t, source.Range{Partition: "gone", From: s.Parts[0].Range.From, Until: 3, Over: true}, s.Parts[0].Range)
	require.False(t, s.Parts[1].Range.Over)
	require.ErrorIs(t, gone.Put(1, 4, 1, time.Time{}), source.ErrClosed)
	s = arrived(t, b, 10)
	require.Equal(t, []int{0}, lengths(s))
	require.Equal(t, "stays", s.Parts[0].Range.Partition)

	// A slice that was begun before a crash is cut again without it, if it was empty.
	again := source.NewBuffer[int](source.Options{})
	put(t, again.Feed("stays", 0), 1)
	s, err := again.Cut(t.Context(), source.Request{Mode: source.Exact, Ranges: []source.Range{{Partition: "stays", Until: 1}, {Partition: "gone", From: 3, Until: 3, Over: true}}})
	require.NoError(t, err)
	require.Equal(t, []int{1}, lengths(s))
}
