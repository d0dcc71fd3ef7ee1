package shape_test

import (
	"bytes"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/shape"
)

// FuzzDecode: no bytes make decoding panic or allocate much more than they are,
// and what they decode to has these bytes again.
func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		f.Add(g.value.bytes(f))
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte(strings.Repeat("\x05", 40)))
	subjects := []func(*testing.T, []byte){
		decodes[int64](f), decodes[uint16](f), decodes[string](f), decodes[[]byte](f), decodes[[]bool](f), decodes[Visit](f), decodes[Flat](f),
		decodes[[][]string](f), decodes[map[string]map[int8][]float32](f), decodes[map[float64]struct{}](f), decodes[map[struct{}][]struct{}](f),
		decodes[[]*[300]int16](f), decodes[[][0]int](f), decodes[Pair[complex64, Opt[[]Visit]]](f),
	}
	// Marshalers may take several bytes for one value.
	loose := []func([]byte) error{decoder[time.Time](f), decoder[map[time.Time]*big.Int](f), decoder[Deep](f)}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, decode := range subjects {
			decode(t, data)
		}
		for _, decode := range loose {
			_ = decode(data)
		}
	})
}

func decodes[T any](t testing.TB) func(*testing.T, []byte) {
	f := of[T](t)
	return func(t *testing.T, data []byte) {
		var v T
		var rest []byte
		var err error
		if n := grows(func() { v, rest, err = f.Decode(data) }); n > 1<<16+1<<10*uint64(len(data)) {
			t.Fatalf("%d bytes made %s allocate %d", len(data), f.Shape(), n)
		}
		if err != nil {
			require.Equal(t, data, rest)
			return
		}
		again, err := f.Append(nil, v)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data[:len(data)-len(rest)], again), "%s: %x became %x", f.Shape(), data, again)
		w, _, err := f.Decode(again)
		require.NoError(t, err)
		require.True(t, f.Equal(v, w))
	}
}

// FuzzReading: no stored shape makes Reading panic, nor do bytes read with it.
// Shapes that are understood are written the same way again.
func FuzzReading(f *testing.F) {
	for _, g := range golden {
		f.Add(g.shape, g.value.bytes(f))
	}
	f.Add("struct{Page string; Old map[string][]*int8; Count int32}", []byte("\x01a\x02\x01k\x03\x00\x01\x07\x0e"))
	f.Add("struct{Old [1000000000][1000000000][1000000000]struct{A struct{}; B bool}}", []byte{1})
	f.Add("struct{Old [1000000000][1000000000]struct{}}", []byte{1})
	f.Add("struct{Old map[struct{}]struct{}}", []byte("\xff\xff\xff\x7f"))
	f.Add("struct{Old [][0]int}", []byte("\xff\xff\x3f\x7f"))
	f.Add(strings.Repeat("[]", 1000), []byte{})
	f.Add(strings.Repeat("struct{A ", 1000), []byte{})
	f.Fuzz(func(t *testing.T, stored string, data []byte) {
		if parsed, err := shape.Parsed(stored); err == nil {
			require.Equal(t, stored, parsed)
		}
		for _, accept := range []bool{false, true} {
			reader[int64](t, stored, accept, data)
			reader[Visit](t, stored, accept, data)
			reader[struct{}](t, stored, accept, data)
			reader[Deep](t, stored, accept, data)
			reader[map[string]Visit](t, stored, accept, data)
			reader[[]Opt[int64]](t, stored, accept, data)
		}
	})
}

func reader[T any](t *testing.T, stored string, accept bool, data []byte) {
	f := of[T](t)
	read, err := f.Reading(stored, accept)
	if err != nil {
		return
	}
	v, _, err := read(data)
	if err != nil {
		return
	}
	if again, err := f.Append(nil, v); err == nil { // two keys of a map can be one time in two zones
		_, rest, err := f.Decode(again)
		require.NoError(t, err)
		require.Empty(t, rest)
	}
}
