package source_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/godstream/godstream/source"
)

// partly is a partition of which some records are buffered, of one byte each, and
// that ends so many positions after these.
type partly struct {
	buffered int
	beyond   int64
}

func backlog(t require.TestingT, partitions ...partly) *source.Buffer[int] {
	b := source.NewBuffer[int](source.Options{MaxBatchBytes: 1 << 30})
	for _, p := range partitions {
		f := b.Feed("", 0)
		for i := range p.buffered {
			require.NoError(t, f.Put(i, int64(i+1), 1, time.Time{}))
		}
		f.Behind(int64(p.buffered) + p.beyond)
	}
	return b
}

func TestRatesAreSharedByLag(t *testing.T) {
	tests := map[string]struct {
		partitions []partly
		request    source.Request
		want       []int
	}{
		"in proportion":                           {[]partly{{100, 200}, {100, 0}}, source.Request{MaxRecords: 40}, []int{30, 10}},
		"not by what is buffered":                 {[]partly{{100, 0}, {50, 250}}, source.Request{MaxRecords: 40}, []int{10, 30}},
		"what one has not fetched goes to others": {[]partly{{100, 0}, {5, 1000}}, source.Request{MaxRecords: 40}, []int{35, 5}},
		"one record and many":                     {[]partly{{1, 0}, {1000, 1_000_000_000}}, source.Request{MaxRecords: 100}, []int{1, 99}},
		"no more than there is":                   {[]partly{{2, 0}, {3, 0}}, source.Request{MaxRecords: 100}, []int{2, 3}},
		"no lag at all":                           {[]partly{{0, 0}, {0, 0}}, source.Request{MaxRecords: 100}, []int{0, 0}},
		"nothing fetched yet":                     {[]partly{{0, 1000}, {10, 0}}, source.Request{MaxRecords: 5}, []int{0, 5}},
		"no partition":                            {nil, source.Request{MaxRecords: 100}, nil},
		"no overflow": {
			[]partly{{100, math.MaxInt64 - 100}, {100, math.MaxInt64 - 100}, {100, 0}}, source.Request{MaxRecords: math.MaxInt64}, []int{100, 100, 100},
		},
		"nor of what is divided": {
			[]partly{{100, math.MaxInt64 - 100}, {100, math.MaxInt64 - 100}, {100, 0}}, source.Request{MaxRecords: 101}, []int{50, 50, 1},
		},
		"the most of each":                   {[]partly{{100, 900}, {100, 0}}, source.Request{MaxPerPartition: 7}, []int{7, 7}},
		"the most, and others have the rest": {[]partly{{100, 900}, {100, 0}}, source.Request{MaxRecords: 50, MaxPerPartition: 30}, []int{30, 20}},
		"the least":                          {[]partly{{100, 900}, {100, 0}}, source.Request{MaxRecords: 20, MinPerPartition: 8}, []int{12, 8}},
		"the least counts more than the rate": {
			[]partly{{100, 900}, {100, 0}, {2, 0}}, source.Request{MaxRecords: 20, MinPerPartition: 30}, []int{30, 30, 2},
		},
		"and more than the most": {[]partly{{100, 900}, {100, 0}}, source.Request{MaxPerPartition: 20, MinPerPartition: 30}, []int{30, 30}},
		"bytes count more":       {[]partly{{100, 0}, {100, 0}}, source.Request{MaxBytes: 20, MaxRecords: 100, MinPerPartition: 30}, []int{10, 10}},
		"bytes too go by lag":    {[]partly{{100, 200}, {100, 0}}, source.Request{MaxBytes: 40}, []int{30, 10}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := backlog(t, test.partitions...).Cut(t.Context(), test.request)
			require.NoError(t, err)
			require.Equal(t, test.want, lengths(s))
		})
	}
}

func TestMorePartitionsThanTheRateAllows(t *testing.T) {
	var many []partly
	for range 1000 {
		many = append(many, partly{3, 1_000_000})
	}
	many[0].beyond = 0
	many[999].buffered = 0
	b := backlog(t, many...)
	got := make([]int, len(many))
	for cut := 1; cut <= 100; cut++ {
		s, err := b.Cut(t.Context(), source.Request{MaxRecords: 10})
		require.NoError(t, err)
		n := 0
		for i, k := range lengths(s) {
			got[i] += k
			n += k
		}
		require.Equal(t, 10, n)
	}
	require.Equal(t, 2, got[0], "a thousand records of 999 partitions")
	for i, n := range got[1:999] {
		require.Equal(t, 1, n, "partition %d", i+1)
	}
}

// Whatever the partitions have and however far they are behind, what is cut adds up
// to the rate, and none waits for longer than it takes to give one of each.
func TestSharesAddUpAndStarveNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) partly {
			beyond := rapid.OneOf(rapid.Int64Range(0, 10), rapid.Int64Range(0, math.MaxInt64-100)).Draw(t, "beyond")
			return partly{rapid.IntRange(0, 40).Draw(t, "buffered"), beyond}
		}), 1, 30).Draw(t, "partitions")
		q := source.Request{
			MaxRecords:      rapid.Int64Range(1, 50).Draw(t, "records"),
			MaxPerPartition: rapid.Int64Range(0, 20).Draw(t, "most"),
			MinPerPartition: rapid.Int64Range(0, 5).Draw(t, "least"),
		}
		b := backlog(t, partitions...)
		left, waited := make([]int, len(partitions)), make([]int, len(partitions))
		for i, p := range partitions {
			left[i] = p.buffered
		}
		for {
			var floor, roof, all int64
			for _, n := range left {
				most := int64(n)
				if q.MaxPerPartition > 0 {
					most = min(most, max(q.MaxPerPartition, q.MinPerPartition))
				}
				floor, roof, all = floor+min(int64(n), q.MinPerPartition), roof+most, all+int64(n)
			}
			if all == 0 {
				return
			}
			s, err := b.Cut(t.Context(), q)
			require.NoError(t, err)
			var got int64
			for i, n := range lengths(s) {
				waited[i]++
				if n > 0 || left[i] == 0 {
					waited[i] = 0
				}
				if q.MaxPerPartition > 0 && int64(n) > max(q.MaxPerPartition, q.MinPerPartition) {
					t.Fatalf("partition %d gave %d", i, n)
				}
				if cuts := (len(partitions)-1)/int(q.MaxRecords) + 1; waited[i] > cuts {
					t.Fatalf("partition %d has given nothing for %d cuts", i, waited[i])
				}
				left[i] -= n
				got += int64(n)
			}
			if want := max(floor, min(q.MaxRecords, roof)); got != want {
				t.Fatalf("%d records, want %d: %s", got, want, fmt.Sprint(lengths(s), left))
			}
		}
	})
}

func TestLag(t *testing.T) {
	b := source.NewBuffer[int](source.Options{})
	known, unknown := b.Feed("known", 5), b.Feed("unknown", 0)
	require.Zero(t, b.Stats().Lag)
	known.Behind(105)
	require.EqualValues(t, 100, b.Stats().Lag)
	require.NoError(t, known.Put(1, 9, 1, time.Time{})) // after a gap
	require.EqualValues(t, 1+96, b.Stats().Lag)
	require.NoError(t, unknown.Put(1, 1, 1, time.Time{}))
	require.EqualValues(t, 1+96+1, b.Stats().Lag)
	arrived(t, b, 100)
	require.EqualValues(t, 96, b.Stats().Lag)
	known.Behind(7) // it was made anew, perhaps
	require.Zero(t, b.Stats().Lag)
	known.Behind(math.MaxInt64)
	unknown.Behind(math.MaxInt64)
	require.EqualValues(t, math.MaxInt64, b.Stats().Lag)
}
