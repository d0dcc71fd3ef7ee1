package kafka_test

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

var _ source.Record = kafka.Record{}

func TestRecordHasAllOfTheMessage(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	p := producer(t, b.Addrs())
	at := time.Date(2024, 5, 1, 12, 0, 0, 987_000_000, time.UTC)
	for _, r := range []*kgo.Record{
		{
			Topic: "twitter", Partition: 1, Key: []byte("k"), Value: []byte("v\n\x00\xff"), Timestamp: at,
			Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "none"}},
		},
		{Topic: "twitter", Partition: 1, Key: []byte{}, Value: nil, Timestamp: at.Add(time.Millisecond)}, // a tombstone
	} {
		require.NoError(t, p.ProduceSync(context.Background(), r).FirstErr())
	}
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs()}, "twitter"), source.Options{})
	got := read(t, r, 2)
	require.Equal(t, kafka.Record{
		Topic: "twitter", Partition: 1, Offset: 0, Timestamp: at, Key: []byte("k"), Value: []byte("v\n\x00\xff"),
		Headers: []kafka.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "none"}},
	}, got[0])
	require.Equal(t, kafka.Record{Topic: "twitter", Partition: 1, Offset: 1, Timestamp: at.Add(time.Millisecond), Key: []byte{}}, got[1])
	require.Equal(t, "twitter/1@1", got[1].Origin())
	require.Equal(t, "v\n\x00\xff", string(got[0].Payload()))
}

func TestRecordsWithoutATime(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	c := producer(t, b.Addrs(), kgo.MaxVersions(kversion.V2_8_0()))
	at := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	produceBatch(t, c, "twitter", -1, -1, at.UnixMilli(), -1, at.UnixMilli()+5)
	produceBatch(t, c, "twitter", at.UnixMilli(), -1, at.UnixMilli()+5) // the first has one
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs()}, "twitter"), source.Options{})
	var got []time.Time
	for _, r := range read(t, r, 8) {
		got = append(got, r.Timestamp)
	}
	require.Equal(t, []time.Time{{}, {}, at, {}, at.Add(5 * time.Millisecond), at, {}, at.Add(5 * time.Millisecond)}, got)
}

// produceBatch stores one batch of records with these timestamps in partition
// 0, which the client would not do.
func produceBatch(t *testing.T, c *kgo.Client, topic string, times ...int64) {
	t.Helper()
	var records []byte
	for i, at := range times {
		body := binary.AppendVarint([]byte{0}, at-times[0])
		body = binary.AppendVarint(body, int64(i))
		body = binary.AppendVarint(body, -1)
		body = append(binary.AppendVarint(body, 1), 'v')
		body = append(body, 0)
		records = append(binary.AppendVarint(records, int64(len(body))), body...)
	}
	batch := kmsg.RecordBatch{
		Magic: 2, LastOffsetDelta: int32(len(times) - 1), FirstTimestamp: times[0], MaxTimestamp: times[len(times)-1],
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(len(times)), Records: records,
	}
	raw := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(8)
	req.Acks = -1
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: raw}}}}
	resp, err := c.SeedBrokers()[0].Request(context.Background(), req)
	require.NoError(t, err)
	require.Zero(t, resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
}
