package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	fullBatch     = 512 << 10 // bytes after which a batch is sent
	batchOverhead = 1 << 10   // bytes of a batch with one record, but for its value

	// segment is after how many bytes the broker begins a new piece of memory.
	// It doubles a piece as it grows: sixteen batches fill one to the brim.
	segment = 15*fullBatch + fullBatch/2
)

// noTime is the timestamp of a record that has none.
const noTime = -1

// castagnoli is the polynomial of the checksum of a record batch.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordBatch collects records in the format that brokers store (version 2).
type recordBatch struct {
	first, last int64 // timestamps in ms: of the first record, the largest
	count       int32
	records     []byte
	encoded     []byte
}

// add appends a record that has no key and no headers.
func (b *recordBatch) add(value []byte, at int64) {
	if b.count == 0 {
		b.first, b.last = at, at
	}
	b.last = max(b.last, at)
	var head [32]byte
	h := append(head[:0], 0) // attributes
	h = binary.AppendVarint(h, at-b.first)
	h = binary.AppendVarint(h, int64(b.count))
	h = binary.AppendVarint(h, -1) // no key
	h = binary.AppendVarint(h, int64(len(value)))
	b.records = binary.AppendVarint(b.records, int64(len(h)+len(value)+1))
	b.records = append(b.records, h...)
	b.records = append(b.records, value...)
	b.records = append(b.records, 0) // no headers
	b.count++
}

// encode gives the batch as bytes, which the next call overwrites, and empties it.
func (b *recordBatch) encode() []byte {
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1,
		Magic:                2,
		LastOffsetDelta:      b.count - 1,
		FirstTimestamp:       b.first,
		MaxTimestamp:         b.last,
		ProducerID:           -1,
		ProducerEpoch:        -1,
		FirstSequence:        -1,
		NumRecords:           b.count,
		Records:              b.records,
	}
	out := batch.AppendTo(b.encoded[:0])
	binary.BigEndian.PutUint32(out[8:], uint32(len(out)-12))
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[21:], castagnoli))
	b.encoded, b.records, b.count = out, b.records[:0], 0
	return out
}

// producer sends batches over one connection, one after the other.
type producer struct {
	conn    net.Conn
	format  *kmsg.RequestFormatter
	request []byte
	number  int32
}

// send stores a batch and returns when it is there.
func (p *producer) send(topic string, partition int32, batch []byte) error {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(8) // the last one that is easy to frame
	req.Acks = -1
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = partition, batch
	of := kmsg.NewProduceRequestTopic()
	of.Topic, of.Partitions = topic, append(of.Partitions, part)
	req.Topics = append(req.Topics, of)

	p.number++
	p.request = p.format.AppendRequest(p.request[:0], req, p.number)
	if _, err := p.conn.Write(p.request); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(p.conn, size[:]); err != nil {
		return err
	}
	answer := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(p.conn, answer); err != nil {
		return err
	}
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(req.GetVersion())
	if err := resp.ReadFrom(answer[4:]); err != nil { // after the request's number
		return err
	}
	for _, t := range resp.Topics {
		for _, part := range t.Partitions {
			if err := kerr.ErrorForCode(part.ErrorCode); err != nil {
				return fmt.Errorf("store in %s/%d: %w", topic, partition, err)
			}
		}
	}
	return nil
}

// producer connects to the broker. When ctx ends, its connection breaks.
func (b *Broker) producer(ctx context.Context) (*producer, func(), error) {
	c, err := b.listener.dial()
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	return &producer{conn: c, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID("embedded"))}, func() { stop(); c.Close() }, nil
}
