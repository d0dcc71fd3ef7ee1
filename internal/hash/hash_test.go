package hash_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/internal/hash"
)

func TestManyIsOfForEach(t *testing.T) {
	same(t, []string{"", "a", "user0000001", "user0000002", string(make([]byte, 100))})
	same(t, []int64{0, 1, -1, 1 << 62})
	same(t, []struct{ a, b int8 }{{}, {1, 2}, {2, 1}})
}

func same[K comparable](t *testing.T, keys []K) {
	hashes := make([]uint64, len(keys)+1)
	hash.Many[K]()(keys, hashes)
	for i, k := range keys {
		require.Equal(t, hash.Of[K]()(k), hashes[i])
	}
	require.Zero(t, hashes[len(keys)])
}
