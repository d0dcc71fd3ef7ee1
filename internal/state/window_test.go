package state_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/state"
)

type keyed = batch.Pair[int, string]

// A window of any length, with keys and panes that come and go, is what a loop
// over its panes gives: values oldest first, keys in order of first appearance.
func TestWindowAgainstModel(t *testing.T) {
	join := func(a, b string) string { return a + b }
	tests := map[string]func(all, oldest string) string{
		"without inverse": nil,
		"with inverse": func(all, oldest string) string {
			if !strings.HasPrefix(all, oldest) {
				panic(fmt.Sprintf("%q does not begin with %q", all, oldest))
			}
			return all[len(oldest):]
		},
	}
	for name, inverse := range tests {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			w := state.NewWindow[int](join, inverse)
			keys := rapid.SampledFrom([]int{1, 3, 40}).Draw(t, "keys")
			var panes [][]keyed
			begin, value := 0, 0
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				begin = min(len(panes), begin+rapid.IntRange(0, 3).Draw(t, "leave"))
				w.Leave(at(begin - 1))
				for range rapid.IntRange(0, 3).Draw(t, "enter") {
					var pane []keyed
					for _, k := range rapid.SliceOfNDistinct(rapid.IntRange(0, keys-1), 0, keys, rapid.ID).Draw(t, "pane") {
						pane = append(pane, batch.P(k, fmt.Sprintf("%d.", value)))
						value++
					}
					w.Enter(at(len(panes)), pane)
					panes = append(panes, pane)
				}
				require.Equal(t, naiveWindow(panes[begin:]), w.Pairs())
				require.Equal(t, w.Len(), len(w.Pairs()))
			}
		}))
	}
}

func at(pane int) time.Time { return time.Unix(int64(pane), 0) }

func naiveWindow(panes [][]keyed) []keyed {
	out := []keyed{}
	for _, pane := range panes {
		for _, p := range pane {
			if i := slices.IndexFunc(out, func(o keyed) bool { return o.Key == p.Key }); i >= 0 {
				out[i].Value += p.Value
			} else {
				out = append(out, p)
			}
		}
	}
	return out
}

// Keys that have left are gone from memory.
func TestWindowForgets(t *testing.T) {
	w := state.NewWindow[int](func(a, b int) int { return a + b }, nil)
	for i := range 1000 {
		w.Leave(at(i - 3))
		pane := []batch.Pair[int, int]{{Key: -1, Value: 1}}
		for k := range 1000 {
			pane = append(pane, batch.P(1000*i+k, k))
		}
		w.Enter(at(i), pane)
	}
	require.Equal(t, 3001, w.Len())
	require.Equal(t, 3, w.Panes())
	require.LessOrEqual(t, state.Numbers(w), 4100)
	w.Leave(at(1000))
	require.Zero(t, w.Len())
	require.Zero(t, state.Numbers(w))
	require.Empty(t, w.Pairs())
}

// A table is a map that knows the order of insertion.
func TestTableAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := state.NewTable[int, int]()
		reuse := rapid.Bool().Draw(t, "reuse")
		model := map[int]int{}
		var order []int
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				from := rapid.IntRange(0, 5000).Draw(t, "first")
				for k := from; k < from+rapid.SampledFrom([]int{1, 10, 2000}).Draw(t, "keys"); k++ {
					n, fresh := table.At(k)
					_, known := model[k]
					require.Equal(t, !known, fresh)
					*table.Value(n) = k * 3
					if !known {
						order = append(order, k)
					}
					model[k] = k * 3
				}
			},
			"remove": func(t *rapid.T) {
				from := rapid.IntRange(0, 5000).Draw(t, "first")
				for k := from; k < from+rapid.SampledFrom([]int{1, 10, 4000}).Draw(t, "keys"); k++ {
					if n, ok := table.Get(k); ok {
						table.Remove(n, reuse)
					}
					delete(model, k)
				}
				order = slices.DeleteFunc(order, func(k int) bool { _, ok := model[k]; return !ok })
			},
			"compact": func(t *rapid.T) { table.Compact() },
			"": func(t *rapid.T) {
				require.Equal(t, len(model), table.Len())
				var keys []int
				for n := range table.Numbers() {
					if n := uint32(n); table.Live(n) {
						keys = append(keys, table.Key(n))
						require.Equal(t, model[table.Key(n)], *table.Value(n))
						found, ok := table.Get(table.Key(n))
						require.True(t, ok && found == n)
					}
				}
				for ask := range slices.Chunk(slices.Concat(keys, []int{-1, 6000}, keys), state.Together) {
					numbers := make([]uint32, len(ask))
					table.Find(ask, numbers)
					for i, k := range ask {
						n, ok := table.Get(k)
						require.Equal(t, ok, numbers[i] > 0)
						require.True(t, !ok || numbers[i] == n+1)
					}
				}
				if reuse {
					slices.Sort(keys)
					order := slices.Sorted(slices.Values(order))
					require.True(t, slices.Equal(order, keys))
				} else {
					require.True(t, slices.Equal(order, keys))
				}
				_, ok := table.Get(-1)
				require.False(t, ok)
			},
		})
	})
}
