package state_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/internal/state"
)

// However long keys are touched, no more times are kept than there are keys, and
// each key's own is among them.
func TestStatesForgetTimes(t *testing.T) {
	const keys, batches = 100, 20_000
	s := state.NewStates[int, int](true, true)
	for b := range batches {
		s.Set(b%keys, b, at(b))
		if b%7 == 0 {
			n, _, _ := s.Get(b * 13 % keys)
			s.Touch(n, at(b))
		}
	}
	require.LessOrEqual(t, state.Times(s), 2*keys+1025)
	last := map[int]int{} // batch in which a key was touched last
	for b := range batches {
		last[b%keys] = b
		if k := b * 13 % keys; b%7 == 0 && k <= b {
			last[k] = b
		}
	}
	for b := batches - 2*keys; b < batches; b++ {
		old := 0
		for _, l := range last {
			if l < b {
				old++
			}
		}
		require.Len(t, s.Before(at(b)), old)
	}
}

// A key that is not equal to itself is never found, whatever is looked up beside
// it.
func TestFindNaN(t *testing.T) {
	table := state.NewTable[float64, int]()
	table.At(math.NaN())
	one, _ := table.At(1)
	numbers := make([]uint32, 3)
	table.Find([]float64{math.NaN(), 1, 2}, numbers)
	require.Equal(t, []uint32{0, one + 1, 0}, numbers)
}

// What is saved is what there is, in the same order and with the same times of
// touches: by the parts of a generation, and by an image that is made while keys
// come, go and change, once it is complete.
func TestStatesSaved(t *testing.T) {
	format := formats[int, string](t)
	rapid.Check(t, func(t *rapid.T) {
		s := state.NewStates[int, string](true, true)
		s.Track(format)
		s.Begin()
		var chain, image [][]byte // the image is nil if none is being made
		now := 0
		add := func(to *[][]byte, part []byte) {
			if part != nil {
				*to = append(*to, part)
			}
		}
		same := func(t *rapid.T, parts [][]byte) {
			loaded := state.NewStates[int, string](true, true)
			loaded.Track(format)
			require.NoError(t, loaded.Load(parts))
			require.Equal(t, shows(s), shows(loaded))
			for limit := now - 3; limit <= now+1; limit++ {
				require.Equal(t, keysOf(s, s.Before(at(limit))), keysOf(loaded, loaded.Before(at(limit))))
			}
		}
		keys := func(t *rapid.T) (from, until int) {
			from = rapid.IntRange(0, 4000).Draw(t, "first")
			return from, from + rapid.SampledFrom([]int{1, 5, 1500}).Draw(t, "keys")
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				now++
				from, until := keys(t)
				for k := from; k < until; k++ {
					s.Set(k, fmt.Sprint(now, k), at(now))
				}
			},
			"touch": func(t *rapid.T) {
				now++
				if n, _, ok := s.Get(rapid.IntRange(0, 5500).Draw(t, "key")); ok {
					s.Touch(n, at(now))
				}
			},
			"remove": func(t *rapid.T) {
				from, until := keys(t)
				for k := from; k < until; k++ {
					if n, _, ok := s.Get(k); ok {
						s.Remove(n)
					}
				}
				s.Compact()
			},
			"remove most": func(t *rapid.T) {
				for k := range 5500 {
					if n, _, ok := s.Get(k); ok && k%9 > 0 {
						s.Remove(n)
					}
				}
				s.Compact()
			},
			"save": func(t *rapid.T) {
				if image == nil {
					part, err := s.Save()
					require.NoError(t, err)
					add(&chain, part)
					same(t, chain)
					return
				}
				both, rest, more, complete, err := s.Image(len(image) == 0, rapid.SampledFrom([]int{1, 100, 20_000}).Draw(t, "room"))
				require.NoError(t, err)
				add(&chain, both)
				add(&chain, rest)
				same(t, chain)
				add(&image, both)
				add(&image, more)
				if complete {
					same(t, image)
					chain, image = image, nil
				}
			},
			"begin an image": func(*rapid.T) { image = [][]byte{} },
		})
	})
}

func shows(s *state.States[int, string]) (all []string) {
	for p := range s.Parts(1)[0] {
		all = append(all, p.String())
	}
	return all
}

func keysOf(s *state.States[int, string], numbers []uint32) (keys []int) {
	for _, n := range numbers {
		k, _ := s.State(n)
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// What a part has room for follows the part before, which may have had another kind
// of states.
func TestLongStateBeforeShortOnes(t *testing.T) {
	s := state.NewStates[int, string](true, true)
	s.Track(formats[int, string](t))
	s.Begin()
	s.Set(0, strings.Repeat("x", 1<<20), at(1))
	_, err := s.Save()
	require.NoError(t, err)
	const keys = 10_000
	for k := range keys {
		s.Set(k+1, "", at(2))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	part, err := s.Save()
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Less(t, len(part), 100*keys)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(10<<20))
}

// An operator that has no room in a save leaves no trace in it.
func TestImageWithoutRoom(t *testing.T) {
	s := state.NewStates[int, string](true, true)
	s.Track(formats[int, string](t))
	s.Begin()
	s.Set(1, "a", at(1))
	_, err := s.Save()
	require.NoError(t, err)
	both, rest, image, complete, err := s.Image(true, -1)
	require.NoError(t, err)
	require.False(t, complete)
	require.Nil(t, both)
	require.Nil(t, rest)
	require.Nil(t, image)
	_, _, image, complete, err = s.Image(false, 1)
	require.NoError(t, err)
	require.True(t, complete)
	require.NotNil(t, image)
}
