package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

func TestPartitionsComeInTheOrderOfTopicsAndNumbers(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"b": 12, "a": 11, "c": 1})
	for _, topic := range []string{"a", "b", "c"} {
		_, err := b.Load(context.Background(), topic, strings.NewReader(strings.Join(numbered(topic, 600), "\n")))
		require.NoError(t, err)
	}
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs()}, "b", "c", "a"), source.Options{Replay: true})
	var names []string
	for topic, n := range map[string]int{"b": 12, "c": 1, "a": 11} {
		for p := range n {
			names = append(names, fmt.Sprintf("%s/%d", topic, p))
		}
	}
	s, err := r.Cut(context.Background(), source.Request{Mode: source.Filled, MaxBytes: 1})
	require.NoError(t, err)
	var got []string
	for _, p := range s.Parts {
		got = append(got, p.Range.Partition)
	}
	require.ElementsMatch(t, names, got)
	require.Equal(t, []string{"b/0", "b/1", "b/2"}, got[:3], "numbers count as numbers")
	require.Equal(t, []string{"b/10", "b/11", "c/0", "a/0"}, got[10:14])

	var records []kafka.Record
	for _, p := range s.Parts {
		records = append(records, p.Records...)
	}
	rest, _ := all(t, r)
	next := map[string]int64{}
	for _, record := range append(records, rest...) {
		name := fmt.Sprintf("%s/%d", record.Topic, record.Partition)
		require.Equal(t, next[name], record.Offset, "order within %s", name)
		next[name]++
	}
	require.Len(t, next, 24)
	require.Len(t, append(records, rest...), 1800)
}

func TestPartitionsThatAreAddedLaterAreRead(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	p := producer(t, b.Addrs())
	client := quick()
	client.Metadata.RefreshFrequency = 20 * time.Millisecond
	log, logger := newJournal()
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Start: kafka.Latest, Group: "tweets", Client: client}, "twitter"), source.Options{Logger: logger})

	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 1000
	req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "twitter", Count: 3}}
	resp, err := req.RequestWith(context.Background(), p)
	require.NoError(t, err)
	require.Zero(t, resp.Topics[0].ErrorCode)
	log.await(t, "twitter/2")
	_, err = b.Load(context.Background(), "twitter", strings.NewReader("a\nb\nc\n"))
	require.NoError(t, err)
	got := values(read(t, r, 3))
	slices.Sort(got)
	require.Equal(t, []string{"a", "b", "c"}, got)
	require.NoError(t, r.Commit(context.Background(), []source.Range{{Partition: "twitter/2", Until: 1}}))
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	line := strings.Repeat("x", 1000) + "\n"
	_, err := b.Load(context.Background(), "twitter", strings.NewReader(strings.Repeat(line, 2000)))
	require.NoError(t, err)
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs()}, "twitter"), source.Options{Prefetch: 100_000, MaxBatchBytes: 100_000})
	for range 2000 {
		read(t, r, 1)
		require.LessOrEqual(t, r.Stats().BufferedBytes, int64(200_000+2*1200))
	}
}

func TestCloseWhileTheBufferIsFull(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	_, err := b.Load(context.Background(), "twitter", strings.NewReader(strings.Repeat("some line\n", 50_000)))
	require.NoError(t, err)
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs()}, "twitter"), source.Options{Prefetch: 1000, MaxBatchBytes: 1000})
	_, err = r.Cut(context.Background(), source.Request{Mode: source.Filled}) // full
	require.NoError(t, err)
	begin := time.Now()
	require.NoError(t, r.Close())
	require.Less(t, time.Since(begin), time.Second)
}

func TestManyReadersOfOneSource(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	produce(t, producer(t, b.Addrs()), "twitter", 0, "a", "b")
	s := kafka.Source(kafka.Config{Brokers: b.Addrs()}, "twitter")
	for range 3 {
		r := open(t, s, source.Options{})
		require.Equal(t, []string{"a", "b"}, values(read(t, r, 2)))
	}
}
