package kafka

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

// gapFetch is how many bytes one look ahead fetches at most, but for a single
// larger batch.
const gapFetch = 1 << 20

// visible looks at what the broker has from offset from on, up to until. It
// returns the offset of the first record that a reader gets to see and true, or
// false and the offset up to which there surely is none: what is there is
// markers of transactions, records of aborted ones, and holes that compaction
// left. The client passes over all of these without a word.
func (s *session) visible(p spot, from, until int64) (int64, bool, error) {
	for from < until {
		block, err := s.fetch(p, from, gapFetch)
		if err != nil {
			return from, false, err
		}
		next, seen := firstVisible(block, from, s.config.Consumer.IsolationLevel)
		if seen {
			return next, true, nil
		}
		if next == from { // nothing came
			end := block.LastStableOffset
			if s.config.Consumer.IsolationLevel == sarama.ReadUncommitted {
				end = block.HighWaterMarkOffset
			}
			if end < until {
				return from, false, nil // a new leader may not know yet how far it may give
			}
			return until, false, nil
		}
		from = next
	}
	return until, false, nil
}

// fetch asks the partition's leader once, without waiting for more to arrive.
func (s *session) fetch(p spot, from int64, size int32) (*sarama.FetchResponseBlock, error) {
	leader, err := s.client.Leader(p.topic, p.id)
	if err != nil {
		return nil, fmt.Errorf("find the leader: %w", plain(err))
	}
	req := &sarama.FetchRequest{
		Version:      4, // with isolation levels
		MinBytes:     1,
		MaxBytes:     size,
		Isolation:    s.config.Consumer.IsolationLevel,
		SessionEpoch: -1, // no session
	}
	switch {
	case s.config.Version.IsAtLeast(sarama.V2_3_0_0):
		req.Version, req.RackID = 11, s.config.RackID
	case s.config.Version.IsAtLeast(sarama.V2_1_0_0):
		req.Version = 10 // with zstd
	}
	req.AddBlock(p.topic, p.id, from, size, -1)
	side := s.side(leader.Addr())
	resp, err := side.Fetch(req)
	if err != nil {
		_ = side.Close()
		return nil, plain(err)
	}
	block := resp.GetBlock(p.topic, p.id)
	if block == nil {
		return nil, plain(sarama.ErrIncompleteResponse)
	}
	if block.Err != sarama.ErrNoError {
		return nil, block.Err
	}
	return block, nil
}

// firstVisible returns the offset of the first record at from or later that a
// reader gets to see and true, or false and the offset after all that is there.
func firstVisible(block *sarama.FetchResponseBlock, from int64, isolation sarama.IsolationLevel) (int64, bool) {
	next := from
	begun := slices.SortedFunc(slices.Values(block.AbortedTransactions), func(a, b *sarama.AbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	aborted := map[int64]bool{} // producers in an aborted transaction, where we are
	for _, set := range block.RecordsSet {
		if set.MsgSet != nil { // a format older than transactions
			if slices.ContainsFunc(set.MsgSet.Messages, func(m *sarama.MessageBlock) bool { return m.Offset >= from }) {
				return from, true
			}
			continue
		}
		b := set.RecordBatch
		if b == nil || b.PartialTrailingRecord {
			break
		}
		for len(begun) > 0 && begun[0].FirstOffset <= b.LastOffset() {
			aborted[begun[0].ProducerID] = true
			begun = begun[1:]
		}
		switch {
		case b.Control:
			if isAbort(b) {
				delete(aborted, b.ProducerID)
			}
		case isolation == sarama.ReadCommitted && b.IsTransactional && aborted[b.ProducerID]:
		default:
			for _, r := range b.Records {
				if offset := b.FirstOffset + r.OffsetDelta; offset >= from {
					return offset, true
				}
			}
		}
		next = max(next, b.LastOffset()+1)
	}
	return next, false
}

// isAbort says whether a batch of control records ends an aborted transaction.
func isAbort(b *sarama.RecordBatch) bool {
	return len(b.Records) > 0 && len(b.Records[0].Key) >= 4 && binary.BigEndian.Uint16(b.Records[0].Key[2:]) == 0
}
