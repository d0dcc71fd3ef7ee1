package state_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/shape"
	"github.com/godstream/godstream/internal/state"
)

func formats[K comparable, S any](t testing.TB) state.Format[K, S] {
	keys, err := shape.KeyOf[K]()
	require.NoError(t, err)
	values, err := shape.Of[S]()
	require.NoError(t, err)
	return state.Format[K, S]{AppendKey: keys.Append, ReadKey: keys.Decode, AppendState: values.Append, ReadState: values.Decode, Equal: values.Equal}
}

// Parts of any bytes are read or refused, within memory of their size.
func FuzzLoad(f *testing.F) {
	f.Add([]byte{0, 1, 1, 'k', 2}, []byte{1, 1, 'k', 0})
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		s := state.NewStates[string, int](true, true)
		s.Track(formats[string, int](t))
		if s.Load([][]byte{a, b}) == nil {
			_, _, _, _, err := s.Image(true, 1<<20)
			require.NoError(t, err)
		}
		type none = struct{}
		unit := state.NewStates[none, none](false, false)
		unit.Track(formats[none, none](t))
		if unit.Load([][]byte{a, b}) == nil {
			require.LessOrEqual(t, unit.Len(), 1)
		}
		if _, rest, err := state.ReadTime(a); err == nil {
			_, _, _ = state.ReadAll(rest, formats[string, int](t).ReadKey)
		}
	})
}
