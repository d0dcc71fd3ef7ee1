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

// Topics that match a pattern are read, those that are made later too.
func TestTopicsOfAPattern(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"tweets.de": 1, "tweets.fr": 2, "more.tweets.de": 1, "__internal": 1})
	load := func(topic, lines string) {
		_, err := b.Load(context.Background(), topic, strings.NewReader(lines))
		require.NoError(t, err)
	}
	load("tweets.de", "a\n")
	load("tweets.fr", "b\nc\n")
	load("more.tweets.de", "no\n")
	client := quick()
	client.Metadata.RefreshFrequency = 20 * time.Millisecond
	log, logger := newJournal()
	src := kafka.Source(kafka.Config{Brokers: b.Addrs(), Pattern: `tweets\..*|new`, Client: client})
	r := open(t, src, source.Options{Logger: logger})
	got := values(read(t, r, 3))
	slices.Sort(got)
	require.Equal(t, []string{"a", "b", "c"}, got)

	require.NoError(t, b.Create("new", 1))
	log.await(t, "new/0")
	load("new", "d\n")
	require.Equal(t, []string{"d"}, values(read(t, r, 1)))

	replayed, _ := all(t, open(t, src, source.Options{Replay: true}))
	require.Len(t, replayed, 4)
}

// Partitions that are assigned are read alone, from offsets that are given.
func TestAssignedPartitions(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"a": 3, "b": 2})
	p := producer(t, b.Addrs())
	for id := range int32(3) {
		produce(t, p, "a", id, fmt.Sprintf("a%d0", id), fmt.Sprintf("a%d1", id), fmt.Sprintf("a%d2", id))
	}
	produce(t, p, "b", 1, "b10")
	src := kafka.Source(kafka.Config{Brokers: b.Addrs(), Assign: map[string][]int32{"a": {2, 0}, "b": {1}},
		Offsets: map[string]map[int32]int64{"a": {2: 1, 1: 7}}})
	require.Equal(t, "kafka a/[2 0], b/[1]", fmt.Sprint(src))
	replayed, _ := all(t, open(t, src, source.Options{Replay: true}))
	got := values(replayed)
	slices.Sort(got)
	require.Equal(t, []string{"a00", "a01", "a02", "a21", "a22", "b10"}, got)

	_, err := kafka.Source(kafka.Config{Brokers: b.Addrs(), Assign: map[string][]int32{"a": {3}}}).Open(t.Context(), source.Options{})
	require.EqualError(t, err, `kafka: Config.Assign has partition 3 of topic "a", which has 3`)
}

// No topic matches at first; the App waits for one.
func TestPatternThatNothingMatchesYet(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"other": 1})
	client := quick()
	client.Metadata.RefreshFrequency = 20 * time.Millisecond
	log, logger := newJournal()
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Pattern: "news?", Client: client}), source.Options{Logger: logger})
	s, err := r.Cut(context.Background(), source.Request{Mode: source.Arrived})
	require.NoError(t, err)
	require.False(t, s.End)
	require.Empty(t, s.Parts)
	require.NoError(t, b.Create("new", 1))
	log.await(t, "new/0")
	_, err = b.Load(context.Background(), "new", strings.NewReader("a\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, values(read(t, r, 1)))
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
