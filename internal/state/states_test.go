package state_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

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
