package source

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBlocksAreFirstInFirstOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q blocks[*int]
		var model []*int
		var taken [][]*int // belong to us, so later calls must leave them alone
		var want [][]*int
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 50).Draw(t, "n") {
					r := new(int)
					q.push(r)
					model = append(model, r)
				}
			},
			"take": func(t *rapid.T) {
				n := rapid.OneOf(rapid.IntRange(0, len(model)), rapid.Just(len(model))).Draw(t, "n")
				taken, want = append(taken, q.take(n)), append(want, model[:n])
				model = model[n:]
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), q.len)
				for i := range want {
					require.Len(t, taken[i], len(want[i]))
					for j, r := range want[i] {
						require.Same(t, r, taken[i][j])
					}
				}
			},
		})
	})
}

// TestBlocksKeepNothing looks that they keep alive what waits, and nothing of
// what was cut.
func TestBlocksKeepNothing(t *testing.T) {
	var q blocks[*[64]byte]
	freed := make(chan int, 1000)
	for i := range 1000 {
		r := new([64]byte)
		runtime.AddCleanup(r, func(i int) { freed <- i }, i)
		q.push(r)
		if i == 300 {
			q.take(100)
		}
	}
	q.take(400)
	seen := map[int]bool{}
	for len(seen) < 500 {
		runtime.GC()
		for more := true; more; {
			select {
			case i := <-freed:
				seen[i] = true
				require.Less(t, i, 500)
			default:
				more = false
			}
		}
	}
	require.Equal(t, 500, q.len)
	runtime.KeepAlive(&q)
}

// TestQuietFeedKeepsNoRoom fills a feed, and cuts it in pieces until it is empty, and
// once more, as an App does at each tick.
func TestQuietFeedKeepsNoRoom(t *testing.T) {
	b := NewBuffer[[128]byte](Options{})
	defer b.Close()
	f := b.Feed("p", 0)
	for i := range int64(10_000) {
		require.NoError(t, f.Put([128]byte{}, i+1, 1, time.Time{}))
	}
	for i, bytes := range []int64{3000, 4000, 2990, 10, 0} {
		s, err := b.Cut(t.Context(), Request{Mode: Arrived, MaxBytes: max(bytes, 1)})
		require.NoError(t, err)
		require.Len(t, s.Parts[0].Records, int(bytes), i)
	}
	require.Empty(t, f.records.list)
	require.Zero(t, cap(f.records.spare))
	require.Zero(t, cap(f.marks))
}

// TestBlocksCopyOnlyParts takes all that is there, as a live program mostly does,
// and then, as a program without a pause does, a third of it: the former moves no
// record, the latter each once.
func TestBlocksCopyOnlyParts(t *testing.T) {
	const records = 1000
	var q blocks[[128]byte]
	cycle := func(take int) float64 {
		return testing.AllocsPerRun(20, func() {
			for range take {
				q.push([128]byte{})
			}
			if got := q.take(take); len(got) != take {
				t.Errorf("%d records, not %d", len(got), take)
			}
		})
	}
	require.LessOrEqual(t, cycle(records), 1., "the block that is handed out")
	for range 2 * records {
		q.push([128]byte{})
	}
	require.LessOrEqual(t, cycle(records), 1.2, "what is handed out; blocks are filled again")
}
