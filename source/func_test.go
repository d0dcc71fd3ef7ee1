package source_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/source"
)

// numbers gives 0, 1, … and then what end does.
func numbers(n int, end func(yield func(int, error) bool)) source.Source[int] {
	return source.Func(func(ctx context.Context, from int64) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := int(from); i < n; i++ {
				if !yield(i, nil) {
					return
				}
			}
			end(yield)
		}
	})
}

func TestFuncThatFails(t *testing.T) {
	boom := errors.New("boom")
	tests := map[string]struct {
		source source.Source[int]
		want   string
	}{
		"error":       {numbers(3, func(yield func(int, error) bool) { yield(0, boom) }), "source: function: element 3: boom"},
		"panic":       {numbers(3, func(func(int, error) bool) { panic(boom) }), "source: function: element 3: panic: boom\n"},
		"goexit":      {numbers(3, func(func(int, error) bool) { runtime.Goexit() }), "runtime.Goexit ended the goroutine that reads"},
		"no iterator": {source.Func(func(context.Context, int64) iter.Seq2[int, error] { return nil }), "source: function: element 0: panic: "},
		"size": {source.Func(func(context.Context, int64) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) { yield(1, nil) }
		},
			source.Size(func(int) int { panic(boom) })), "source: function: element 0: panic: boom"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, fails(t, open(t, test.source, source.Options{})), test.want)
		})
	}
}

func TestFuncThatCantBeOpened(t *testing.T) {
	one := func(context.Context, int64) iter.Seq2[int, error] { return func(func(int, error) bool) {} }
	_, err := source.Func[int](nil).Open(t.Context(), source.Options{})
	require.ErrorContains(t, err, "source: Func: the function is nil")
	_, err = source.Func(one).Open(t.Context(), source.Options{Replay: true})
	require.ErrorContains(t, err, "a Func can't be replayed without the option Time")
	_, err = source.Func(one, source.Size(func(string) int { return 1 })).Open(t.Context(), source.Options{})
	require.ErrorContains(t, err, "option Size has a func(string) int; the records of this source need a func(int) int")
}

func TestFuncIsHeldBack(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		made := 0
		src := source.Func(func(ctx context.Context, _ int64) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for ; yield(made, nil); made++ {
				}
			}
		}, source.Size(func(int) int { return 10 }))
		r, err := src.Open(t.Context(), source.Options{Prefetch: 100, MaxBatchBytes: 100})
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 20, made)
		s, err := r.Cut(t.Context(), source.Request{MaxBytes: 50})
		require.NoError(t, err)
		require.Equal(t, []int{0, 1, 2, 3, 4}, s.Parts[0].Records)
		synctest.Wait()
		require.Equal(t, 25, made)
		require.NoError(t, r.Close())
	})
}

func TestFuncThatWaitsEndsWithItsContext(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		src := source.Func(func(ctx context.Context, _ int64) iter.Seq2[time.Time, error] {
			return func(yield func(time.Time, error) bool) {
				for {
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Minute):
						if !yield(time.Now(), nil) {
							return
						}
					}
				}
			}
		})
		r, err := src.Open(t.Context(), source.Options{})
		require.NoError(t, err)
		time.Sleep(150 * time.Second) // of the test's clock
		s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
		require.NoError(t, err)
		require.Len(t, s.Parts[0].Records, 2)
		require.False(t, s.End)
		require.NoError(t, r.Close())
	})
}
