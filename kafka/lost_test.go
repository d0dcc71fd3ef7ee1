package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/internal/realkafka"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

// fake starts a broker whose records can be deleted and whose answers replaced.
func fake(t *testing.T, more ...string) *kfake.Cluster {
	t.Helper()
	embeddedOnly(t)
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, append(more, "twitter")...))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestOffsetsGoneBeforeOpen(t *testing.T) {
	t.Parallel()
	b := startPuppet(t)
	produce(t, producer(t, b.addrs), "twitter", 0, numbered("a", 8)...)
	commit(t, b.addrs, "behind", source.Range{Partition: "twitter/0", Until: 2})
	commit(t, b.addrs, "ahead", source.Range{Partition: "twitter/0", Until: 100})
	b.deleteRecords("twitter", 5)
	rest := numbered("a", 8)[5:]

	tests := map[string]struct {
		config kafka.Config
		want   []string
		lost   int64
		err    *kafka.OutOfRangeError
	}{
		"fails":                  {config: kafka.Config{Group: "behind"}, err: &kafka.OutOfRangeError{Topic: "twitter", Offset: 2, First: 5, End: 8}},
		"skips to the earliest":  {config: kafka.Config{Group: "behind", OnLost: kafka.SkipToEarliest}, want: rest, lost: 3},
		"skips to the latest":    {config: kafka.Config{Group: "behind", OnLost: kafka.SkipToLatest}, want: []string{}, lost: 6},
		"nothing was asked for":  {config: kafka.Config{Start: kafka.Earliest}, want: rest},
		"beyond the end: fails":  {config: kafka.Config{Group: "ahead"}, err: &kafka.OutOfRangeError{Topic: "twitter", Offset: 100, First: 5, End: 8}},
		"beyond the end: begins": {config: kafka.Config{Group: "ahead", OnLost: kafka.SkipToEarliest}, want: rest},
		"range: fails": {
			config: kafka.Config{Ranges: []kafka.Range{{Topic: "twitter", From: 3, Until: 6}}},
			err:    &kafka.OutOfRangeError{Topic: "twitter", Offset: 3, First: 5, End: 8},
		},
		"range: reads what is left": {
			config: kafka.Config{OnLost: kafka.SkipToEarliest, Ranges: []kafka.Range{{Topic: "twitter", From: 3, Until: 6}}},
			want:   []string{"a5"}, lost: 2,
		},
		"range: nothing is left": {
			config: kafka.Config{OnLost: kafka.SkipToLatest, Ranges: []kafka.Range{{Topic: "twitter", From: 1, Until: 3}}},
			want:   []string{}, lost: 2,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			log, logger := newJournal()
			test.config.Brokers = b.addrs
			topics := []string{"twitter"}
			if len(test.config.Ranges) > 0 {
				topics = nil
			}
			o := source.Options{Replay: true, Logger: logger}
			s := kafka.Source(test.config, topics...)
			if test.err != nil {
				_, err := s.Open(context.Background(), o)
				var got *kafka.OutOfRangeError
				require.ErrorAs(t, err, &got)
				require.Equal(t, test.err, got)
				require.ErrorContains(t, err, "kafka: read twitter/0 at offset ")
				return
			}
			r := open(t, s, o)
			got, _ := all(t, r)
			require.Equal(t, test.want, values(got))
			require.Equal(t, test.lost, r.Stats().Lost)
			if test.lost > 0 {
				require.Contains(t, log.String(), "offsets are gone")
			}
		})
	}
}

func TestOffsetsGoneWhileReading(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		policy kafka.Lost
		want   []string
		lost   int64
		fails  bool
	}{
		"fails":                 {policy: kafka.Fail, fails: true},
		"skips to the earliest": {policy: kafka.SkipToEarliest, want: []string{"b3", "b4", "c"}, lost: 3},
		"skips to the latest":   {policy: kafka.SkipToLatest, want: []string{"c"}, lost: 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startPuppet(t)
			p := producer(t, b.inside)
			produce(t, p, "twitter", 0, "a0", "a1")
			log, logger := newJournal()
			r := open(t, kafka.Source(kafka.Config{Brokers: b.addrs, Client: quick(), OnLost: test.policy}, "twitter"), source.Options{Logger: logger})
			read(t, r, 2)

			release := b.hold()
			log.await(t, "can't read")
			produce(t, p, "twitter", 0, numbered("b", 5)...)
			b.deleteRecords("twitter", 5)
			release()
			if test.fails {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				_, err := r.Cut(ctx, source.Request{Mode: source.Filled})
				var gone *kafka.OutOfRangeError
				require.ErrorAs(t, err, &gone)
				require.Equal(t, kafka.OutOfRangeError{Topic: "twitter", Offset: 2, First: 5, End: 7}, *gone)
				require.EqualValues(t, 3, gone.Lost())
				require.Equal(t, "kafka: read twitter/0 at offset 2: Kafka has only 5 to 7, so 3 offsets are lost (retention?); to go on without them set Config.OnLost to kafka.SkipToEarliest or kafka.SkipToLatest", err.Error())
				return
			}
			log.await(t, "offsets are gone")
			produce(t, p, "twitter", 0, "c")
			require.Equal(t, test.want, values(read(t, r, len(test.want))))
			require.Equal(t, test.lost, r.Stats().Lost)
		})
	}
}

// Time takes records away as deleting them does. The embedded broker keeps them.
func TestRetention(t *testing.T) {
	t.Parallel()
	realkafka.Need(t)
	b := startPuppet(t)
	produce(t, producer(t, b.addrs), "twitter", 0, numbered("a", 8)...)
	commit(t, b.addrs, "behind", source.Range{Partition: "twitter/0", Until: 2})
	config := kafka.Config{Brokers: b.addrs, Group: "behind"}
	age := "1"
	require.NoError(t, b.admin.IncrementalAlterConfig(sarama.TopicResource, "twitter",
		map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &age}}, false))
	var err error
	for began := time.Now(); err == nil; {
		require.Less(t, time.Since(began), 20*time.Second, "nothing expires")
		<-time.After(50 * time.Millisecond)
		var r source.Reader[kafka.Record]
		if r, err = kafka.Source(config, "twitter").Open(context.Background(), source.Options{}); err == nil {
			require.NoError(t, r.Close())
		}
	}
	require.EqualError(t, err, "kafka: read twitter/0 at offset 2: Kafka has only 8 to 8, so 6 offsets are lost (retention?); to go on without them set Config.OnLost to kafka.SkipToEarliest or kafka.SkipToLatest")

	config.OnLost = kafka.SkipToEarliest
	log, logger := newJournal()
	r := open(t, kafka.Source(config, "twitter"), source.Options{Logger: logger})
	require.EqualValues(t, 6, r.Stats().Lost)
	require.Contains(t, log.String(), "lost=6")
}

func TestTopicThatIsMadeAnewStops(t *testing.T) {
	t.Parallel()
	b := startPuppet(t)
	produce(t, producer(t, b.inside), "twitter", 0, numbered("a", 5)...)
	log, logger := newJournal()
	r := open(t, kafka.Source(kafka.Config{Brokers: b.addrs, Client: quick(), OnLost: kafka.SkipToEarliest, ConnectTimeout: time.Second}, "twitter"),
		source.Options{Logger: logger})
	read(t, r, 5)
	release := b.hold()
	log.await(t, "can't read")
	b.deleteTopic("twitter")
	b.createTopic("twitter", nil)
	release()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := r.Cut(ctx, source.Request{Mode: source.Filled})
	var gone *kafka.OutOfRangeError
	require.ErrorAs(t, err, &gone)
	require.Equal(t, kafka.OutOfRangeError{Topic: "twitter", Offset: 5}, *gone)
	require.Zero(t, gone.Lost())
	require.ErrorContains(t, err, "kafka: read twitter/0 at offset 5: the partition ends at 0")
}

func TestRecordThatTheClientWouldPassOverStops(t *testing.T) {
	t.Parallel()
	c := fake(t)
	client := quick()
	client.Consumer.Fetch.Default, client.Consumer.Fetch.Max = 50, 50
	c.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) { // as old brokers do: part of a batch
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		part := kmsg.NewFetchResponseTopicPartition()
		part.HighWatermark, part.LastStableOffset = 1, 1
		part.RecordBatches = append(make([]byte, 8), 0, 0, 100, 0, 0, 0, 0, 0, 2)
		resp.Topics = []kmsg.FetchResponseTopic{{Topic: "twitter", Partitions: []kmsg.FetchResponseTopicPartition{part}}}
		return resp, nil, true
	})
	r := open(t, kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Client: client}, "twitter"), source.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := r.Cut(ctx, source.Request{Mode: source.Filled})
	require.ErrorContains(t, err, "kafka: read twitter/0 after offset -1: message is larger than Consumer.Fetch.Max (50 bytes)")
}
