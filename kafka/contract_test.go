package kafka_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/source/sourcetest"
)

// fill stores records in a partition of topic "twitter" and returns the offset at
// which it ends.
type fill func(t testing.TB, addrs []string, partition int32, records []sourcetest.Record) int64

// Not parallel to others, since the suite looks at which goroutines are left.
func TestSourceKeepsTheContract(t *testing.T) {
	tests := map[string]struct {
		fill       fill
		partitions int
		ranges     bool // instead of a topic, which does not end
	}{
		"topic with one partition":         {fill: fillPlain, partitions: 1},
		"topic with three":                 {fill: fillPlain, partitions: 3},
		"topic with gaps":                  {fill: fillInTransactions, partitions: 2},
		"ranges of three partitions":       {fill: fillPlain, partitions: 3, ranges: true},
		"ranges with gaps, one at the end": {fill: fillInTransactions, partitions: 2, ranges: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var addrs []string // of the last one
			h := sourcetest.Harness[kafka.Record]{
				Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[kafka.Record] {
					b := start(t, map[string]int{"twitter": len(parts)})
					addrs = b.Addrs()
					var ranges []kafka.Range
					for p, records := range parts {
						end := test.fill(t, b.Addrs(), int32(p), records)
						ranges = append(ranges, kafka.Range{Topic: "twitter", Partition: int32(p), Until: end})
					}
					if test.ranges {
						return kafka.Source(kafka.Config{Brokers: b.Addrs(), Ranges: ranges})
					}
					// From the start, whatever a reader before has committed.
					return kafka.Source(kafka.Config{Brokers: b.Addrs(), Group: "tweets", Start: kafka.Earliest}, "twitter")
				},
				Value:      func(r kafka.Record) string { return string(r.Value) },
				Partitions: test.partitions,
				Ends:       test.ranges,
			}
			if test.ranges {
				h.NoGrow = "the ranges are fixed"
			} else {
				h.Grow = func(t testing.TB, more [][]sourcetest.Record) {
					for p, records := range more {
						test.fill(t, addrs, int32(p), records)
					}
				}
			}
			sourcetest.Run(t, h)
		})
	}
}

func TestRangesOfASliceGiveItsRecordsAgain(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	n := 0
	for p := range int32(2) {
		var records []sourcetest.Record
		for i, value := range numbered(fmt.Sprintf("partition %d, record ", p), 40) {
			records = append(records, sourcetest.Record{Value: value, Time: time.Date(2024, 5, 1, 12, 0, i, 0, time.UTC)})
		}
		fillInTransactions(t, b.Addrs(), p, records)
		n += len(records)
	}
	live := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs()}, "twitter"), source.Options{})
	for size := int64(1); n > 0; size += 300 {
		s, err := live.Cut(t.Context(), source.Request{Mode: source.Filled, MaxBytes: min(size, 200*int64(n))})
		require.NoError(t, err)
		config := kafka.Config{Brokers: b.Addrs()}
		want, ranges := map[string][]kafka.Record{}, map[string]source.Range{}
		for p, part := range s.Parts {
			config.Ranges = append(config.Ranges, kafka.Range{Topic: "twitter", Partition: int32(p), From: part.Range.From, Until: part.Range.Until})
			ranges[part.Range.Partition] = part.Range
			for _, r := range part.Records {
				want[part.Range.Partition] = append(want[part.Range.Partition], r)
				n--
			}
		}
		again := open(t, kafka.Source(config), source.Options{})
		records, same := all(t, again)
		require.NoError(t, again.Close())
		got := map[string][]kafka.Record{}
		for _, r := range records {
			name := fmt.Sprintf("%s/%d", r.Topic, r.Partition)
			got[name] = append(got[name], r)
		}
		require.Equal(t, want, got)
		require.Equal(t, ranges, same)
	}
}

// fillPlain stores records and returns the offset after the last.
func fillPlain(t testing.TB, addrs []string, partition int32, records []sourcetest.Record) int64 {
	p := producer(t, addrs, kgo.ProducerLinger(5*time.Millisecond)) // many to a batch
	produceAt(t, p, partition, records)
	return int64(len(records))
}

// fillInTransactions stores records so that offsets have gaps between and after
// them: markers of transactions, and records of those that were aborted.
func fillInTransactions(t testing.TB, addrs []string, partition int32, records []sourcetest.Record) (end int64) {
	half := len(records) / 2
	for _, part := range []struct {
		records []sourcetest.Record
		end     kgo.TransactionEndTry
	}{
		{[]sourcetest.Record{{Value: "aborted first", Time: time.Unix(0, 0)}}, kgo.TryAbort},
		{records[:half], kgo.TryCommit},
		{[]sourcetest.Record{{Value: "aborted between", Time: time.Unix(0, 0)}}, kgo.TryAbort},
		{records[half:], kgo.TryCommit},
		{[]sourcetest.Record{{Value: "aborted last", Time: time.Unix(0, 0)}}, kgo.TryAbort},
	} {
		if len(part.records) == 0 {
			continue // such a transaction would leave no marker
		}
		c := producer(t, addrs, kgo.TransactionalID(fmt.Sprint("txn-", transactions.Add(1))), kgo.ProducerLinger(5*time.Millisecond))
		require.NoError(t, c.BeginTransaction())
		produceAt(t, c, partition, part.records)
		require.NoError(t, c.EndTransaction(context.Background(), part.end))
		c.Close()
		end += int64(len(part.records)) + 1
	}
	require.NoError(t, settle(addrs, "twitter"))
	return end
}

// produceAt stores records with their times.
func produceAt(t testing.TB, c *kgo.Client, partition int32, records []sourcetest.Record) {
	var messages []*kgo.Record
	for _, r := range records {
		at := r.Time
		if at.IsZero() {
			at = time.UnixMilli(-1) // that is how Kafka writes "none"
		}
		messages = append(messages, &kgo.Record{Topic: "twitter", Partition: partition, Value: []byte(r.Value), Timestamp: at})
	}
	require.NoError(t, c.ProduceSync(context.Background(), messages...).FirstErr())
}
