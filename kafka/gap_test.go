package kafka_test

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/kafka"
)

// A look ahead passes over what the client passes over, and over nothing else.
func TestFirstVisible(t *testing.T) {
	t.Parallel()
	batch := func(producer, first int64, deltas ...int64) *sarama.RecordBatch {
		b := &sarama.RecordBatch{FirstOffset: first, ProducerID: producer, IsTransactional: producer >= 0}
		for _, d := range deltas {
			b.Records = append(b.Records, &sarama.Record{OffsetDelta: d})
			b.LastOffsetDelta = int32(d)
		}
		return b
	}
	marker := func(producer, at int64, kind byte) *sarama.RecordBatch { // 0 aborts, 1 commits
		b := batch(producer, at, 0)
		b.Control, b.Records[0].Key = true, []byte{0, 0, 0, kind}
		return b
	}
	compacted := func(b *sarama.RecordBatch, last int32) *sarama.RecordBatch { b.LastOffsetDelta = last; return b }
	type tx = sarama.AbortedTransaction
	tests := map[string]struct {
		batches []*sarama.RecordBatch
		aborted []*tx
		from    int64
		want    int64
		seen    bool
	}{
		"nothing":                    {from: 7, want: 7},
		"a record":                   {batches: []*sarama.RecordBatch{batch(-1, 7, 0, 1)}, from: 7, want: 7, seen: true},
		"the second of a batch":      {batches: []*sarama.RecordBatch{batch(-1, 7, 0, 1)}, from: 8, want: 8, seen: true},
		"a batch without its last":   {batches: []*sarama.RecordBatch{compacted(batch(-1, 7, 0, 1), 4)}, from: 9, want: 12},
		"behind a hole in a batch":   {batches: []*sarama.RecordBatch{batch(-1, 7, 0, 4)}, from: 8, want: 11, seen: true},
		"a marker":                   {batches: []*sarama.RecordBatch{marker(1, 7, 1)}, from: 7, want: 8},
		"of a committed transaction": {batches: []*sarama.RecordBatch{batch(1, 7, 0), marker(1, 8, 1)}, from: 7, want: 7, seen: true},
		"of an aborted one":          {batches: []*sarama.RecordBatch{batch(1, 7, 0), marker(1, 8, 0)}, aborted: []*tx{{ProducerID: 1, FirstOffset: 7}}, from: 7, want: 9},
		"of one that began before":   {batches: []*sarama.RecordBatch{batch(1, 7, 0), marker(1, 8, 0)}, aborted: []*tx{{ProducerID: 1, FirstOffset: 2}}, from: 7, want: 9},
		"committed after aborted": {
			batches: []*sarama.RecordBatch{batch(1, 7, 0), marker(1, 8, 0), batch(1, 9, 0), marker(1, 10, 1)},
			aborted: []*tx{{ProducerID: 1, FirstOffset: 7}}, from: 7, want: 9, seen: true,
		},
		"aborted again": {
			batches: []*sarama.RecordBatch{batch(1, 7, 0), marker(1, 8, 0), batch(1, 9, 0), marker(1, 10, 0)},
			aborted: []*tx{{ProducerID: 1, FirstOffset: 9}, {ProducerID: 1, FirstOffset: 7}}, from: 7, want: 11,
		},
		"another producer's, in between": {
			batches: []*sarama.RecordBatch{batch(1, 7, 0), batch(2, 8, 0), marker(1, 9, 0)},
			aborted: []*tx{{ProducerID: 1, FirstOffset: 7}}, from: 7, want: 8, seen: true,
		},
		"without a transaction, of that producer": {
			batches: []*sarama.RecordBatch{batch(1, 7, 0), batch(-1, 8, 0), marker(1, 9, 0)},
			aborted: []*tx{{ProducerID: 1, FirstOffset: 7}}, from: 7, want: 8, seen: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			block := &sarama.FetchResponseBlock{AbortedTransactions: test.aborted}
			for _, b := range test.batches {
				block.RecordsSet = append(block.RecordsSet, &sarama.Records{RecordBatch: b})
			}
			at, seen := kafka.FirstVisible(block, test.from, sarama.ReadCommitted)
			require.Equal(t, test.want, at)
			require.Equal(t, test.seen, seen)
		})
	}
}
