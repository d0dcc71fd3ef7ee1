package kafka_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

// cutError is the error with which a source stops.
func cutError(t *testing.T, r source.Reader[kafka.Record]) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		s, err := r.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 1})
		if err != nil {
			require.NoError(t, ctx.Err(), "it goes on")
			t.Log(err)
			require.NotContains(t, err.Error(), "\n")
			return err
		}
		require.False(t, s.End)
	}
}

func TestTopicThatIsDeletedStops(t *testing.T) {
	t.Parallel()
	tests := map[string]func(c *kafka.Config) (topics []string){
		"by name": func(*kafka.Config) []string { return []string{"twitter", "other"} },
		"assigned": func(c *kafka.Config) []string {
			c.Assign = map[string][]int32{"twitter": {0}, "other": {0}}
			return nil
		},
	}
	for name, of := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startPuppet(t)
			b.createTopic("other", nil)
			produce(t, producer(t, b.addrs), "twitter", 0, numbered("a", 5)...)
			client := quick()
			client.Metadata.Retry.Max = 0
			config := kafka.Config{Brokers: b.addrs, Client: client, ConnectTimeout: time.Second}
			topics := of(&config)
			log, logger := newJournal()
			r := open(t, kafka.Source(config, topics...), source.Options{Logger: logger})
			read(t, r, 5)
			b.deleteTopic("twitter")
			log.await(t, "can't read")
			began := time.Now()
			err := cutError(t, r)
			require.ErrorContains(t, err, `kafka: read twitter/0 at offset 5: topic "twitter" is no longer on `+b.addrs[0])
			require.ErrorContains(t, err, "it was deleted")
			require.Less(t, time.Since(began), 5*time.Second)
		})
	}
}

// A broker that has just started may not know the topic yet.
func TestTopicThatIsUnknownForAMoment(t *testing.T) {
	t.Parallel()
	c := fake(t)
	p := producer(t, c.ListenAddrs())
	produce(t, p, "twitter", 0, "a")
	log, logger := newJournal()
	client := quick()
	client.Metadata.Retry.Max = 0
	r := open(t, kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Client: client}, "twitter"), source.Options{Logger: logger})
	read(t, r, 1)
	h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "twitter", Err: kerr.UnknownTopicOrPartition, Count: 3})
	reopen := hold(c)
	log.await(t, "can't read")
	require.NoError(t, h.Wait(context.Background(), 3))
	reopen()
	produce(t, p, "twitter", 0, "b")
	require.Equal(t, []string{"b"}, values(read(t, r, 1)))
}

// Of topics that match a pattern some come and some go.
func TestTopicOfAPatternThatIsDeletedIsLeftOut(t *testing.T) {
	t.Parallel()
	b := startPuppet(t)
	b.createTopic("tweets.old", nil)
	b.createTopic("tweets.new", nil)
	p := producer(t, b.addrs)
	produce(t, p, "tweets.old", 0, "a", "b", "c", "d")
	produce(t, p, "tweets.new", 0, "e")
	client := quick()
	client.Metadata.RefreshFrequency, client.Metadata.Retry.Max = 50*time.Millisecond, 0
	log, logger := newJournal()
	config := kafka.Config{Brokers: b.addrs, Pattern: `tweets\..*`, Group: "tweets", Client: client, ConnectTimeout: 500 * time.Millisecond}
	r := open(t, kafka.Source(config), source.Options{Logger: logger, Prefetch: 1, MaxBatchBytes: 1}) // takes one of each ahead, and the client more
	read(t, r, 2)
	b.deleteTopic("tweets.old")
	rest := 0
	over := source.Range{}
	for over.Partition == "" {
		s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
		require.NoError(t, err)
		for _, part := range s.Parts {
			rest += len(part.Records)
			if part.Range.Over {
				over = part.Range
			}
		}
		if over.Partition == "" {
			log.wait(50 * time.Millisecond)
		}
	}
	require.Equal(t, "tweets.old/0", over.Partition)
	require.EqualValues(t, 4, over.Until)
	require.Equal(t, 3, rest, "what was fetched before comes out")
	require.Contains(t, log.String(), "going on without it")
	require.Contains(t, log.String(), "partition=tweets.old/0")
	require.NoError(t, r.Commit(t.Context(), []source.Range{over}))
	s, err := r.Cut(t.Context(), source.Request{Mode: source.Arrived})
	require.NoError(t, err)
	require.Len(t, s.Parts, 1)
	require.Equal(t, "tweets.new/0", s.Parts[0].Range.Partition)

	produce(t, p, "tweets.new", 0, "f")
	require.Equal(t, []string{"f"}, values(read(t, r, 1)), "the others are read on")
	b.createTopic("tweets.old", nil)
	produce(t, producer(t, b.addrs), "tweets.old", 0, "g")
	require.Equal(t, []string{"g"}, values(read(t, r, 1)), "another one of that name")
}

// rawBatch is a batch of records as brokers store it, with one record.
func rawBatch(attributes int16, records []byte) []byte {
	b := (&kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, Attributes: attributes, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: 1, Records: records}).AppendTo(nil)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

func TestRecordsThatTheClientCanNotDecodeStop(t *testing.T) {
	t.Parallel()
	broken := rawBatch(0, []byte{0, 0})
	broken[len(broken)-1]++
	tests := map[string]struct {
		batch []byte
		want  string
	}{
		"an unknown compression": {rawBatch(7, []byte("something new")), "invalid compression specified (7)"},
		"a wrong checksum":       {broken, "CRC didn't match"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			require.NoError(t, c.CreateTopic("other", 1, nil))
			p := producer(t, c.ListenAddrs())
			produce(t, p, "twitter", 0, "a")
			produce(t, p, "other", 0, "b")
			r := open(t, kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Client: quick()}, "other", "twitter"), source.Options{})
			read(t, r, 2)
			c.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				var other bool
				for _, topic := range req.(*kmsg.FetchRequest).Topics {
					other = other || topic.Topic == "other"
				}
				resp := req.ResponseKind().(*kmsg.FetchResponse)
				if other && len(req.(*kmsg.FetchRequest).Topics) == 1 {
					return nil, nil, false
				}
				part := kmsg.NewFetchResponseTopicPartition()
				part.HighWatermark, part.LastStableOffset = 2, 2
				part.RecordBatches = test.batch
				resp.Topics = []kmsg.FetchResponseTopic{{Topic: "twitter", Partitions: []kmsg.FetchResponseTopicPartition{part}}}
				return resp, nil, true
			})
			err := cutError(t, r)
			require.ErrorContains(t, err, "kafka: read twitter/0 at offset 1: the client can't decode")
			require.ErrorContains(t, err, test.want)
		})
	}
}

// A record may be larger than all that bounds fetches and buffers.
func TestRecordThatIsLargerThanAFetch(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	large := strings.Repeat("x", 18<<20)
	_, err := b.Load(context.Background(), "twitter", strings.NewReader("a\n"+large+"\nb\n"))
	require.NoError(t, err)
	client := quick()
	require.Less(t, client.Consumer.Fetch.MaxBytes, int32(len(large)))
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Client: client}, "twitter"), source.Options{Prefetch: 1 << 20, MaxBatchBytes: 1 << 20})
	got := read(t, r, 3)
	require.Equal(t, "a", string(got[0].Value))
	require.True(t, bytes.Equal([]byte(large), got[1].Value))
	require.Equal(t, "b", string(got[2].Value))
}
