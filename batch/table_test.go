package batch_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/batch"
)

// An operator that remembers how many keys there were makes room for as many at
// once, but only for a batch that has more than a few.
func TestTablesHaveRoomForWhatIsExpected(t *testing.T) {
	numbers := make([]int, 20_000)
	for i := range numbers {
		numbers[i] = i % 10_000
	}
	env := &batch.Env{Keys: new(atomic.Int64)}
	count := func(numbers []int) (bytes uint64) {
		b := batch.Split(numbers, 2).With(env)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		counts := batch.Collect(batch.CountByValue(b))
		runtime.ReadMemStats(&after)
		require.Len(t, counts, min(len(numbers), 10_000))
		require.Equal(t, batch.P(0, int64(max(1, len(numbers)/10_000))), counts[0])
		return after.TotalAlloc - before.TotalAlloc
	}
	first, second, few, again := count(numbers), count(numbers), count(numbers[:3]), count(numbers)
	require.Less(t, second, first*2/3)
	require.Less(t, few, first/20)
	require.Greater(t, again, second) // the last batch had few
}
