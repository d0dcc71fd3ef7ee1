package crashtest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godstream/godstream/internal/realkafka"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
	"github.com/godstream/godstream/stream"
)

// copies is a program whose copies share what they read; each writes what it has
// read, in transactions.
func copies(broker string, cooperative bool) *stream.App {
	app := stream.New(stream.Config{Name: "copies", Interval: 50 * time.Millisecond})
	client := kafka.Defaults()
	client.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	client.Consumer.Group.Session.Timeout = 6 * time.Second // the least that brokers allow
	in := stream.From(app, kafka.Source(kafka.Config{Brokers: []string{broker}, Group: "copies", Shared: true, Cooperative: cooperative, Client: client}, "numbers"))
	out := kafka.Sink(kafka.SinkConfig{Brokers: []string{broker}, Topic: "copies", Transactional: true, WriteTimeout: 10 * time.Second}, func(r kafka.Record) (kafka.Message, error) {
		return kafka.Message{Key: r.Value, Value: []byte(r.Origin())}, nil
	})
	stream.To(in, out, stream.Name("copies"))
	return app
}

// Members of a group come and go while records arrive: one is killed, one is added,
// one is stopped gently. Each record is in one transaction that was committed.
func TestMembersThatComeAndGo(t *testing.T) {
	broker, err := embedded.Start(embedded.Config{Topics: map[string]int{"numbers": 6, "copies": 3}})
	require.NoError(t, err)
	t.Cleanup(broker.Close)
	membersComeAndGo(t, broker.Addrs()[0], "shared")
}

func TestMembersThatComeAndGoOnKafka(t *testing.T) {
	realkafka.Need(t)
	for _, protocol := range []string{"shared", "cooperative"} {
		t.Run(protocol, func(t *testing.T) { onKafka(t, protocol) })
	}
}

func onKafka(t *testing.T, protocol string) {
	cluster := realkafka.Start(t, realkafka.Config{Properties: map[string]string{"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500"}})
	config := kafka.Defaults()
	config.Metadata.Full = true
	admin, err := sarama.NewClusterAdmin(cluster.Addrs(), config)
	require.NoError(t, err)
	for topic, n := range map[string]int32{"numbers": 6, "copies": 3} {
		require.NoError(t, admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: n, ReplicationFactor: 1}, false))
	}
	require.NoError(t, admin.Close())
	membersComeAndGo(t, cluster.Addrs()[0], protocol)
}

func membersComeAndGo(t *testing.T, broker, protocol string) {
	t.Setenv("CRASHTEST_BROKER", broker)
	const n = 6000
	p, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer p.Close()
	begin := func() *process {
		m := start(t, t.TempDir(), settings{source: protocol}, "")
		m.until(t, began)
		return m
	}
	end := func(m *process, s syscall.Signal) {
		killed, _ := m.end(t, 0, s)
		require.Equal(t, s == syscall.SIGKILL, killed)
	}
	_, _, rng := howOften(t, 1)
	between := func(from, until int) int { return from + rng.IntN(until-from) }
	added, killed, stopped := between(n/8, 3*n/8), between(3*n/8, 5*n/8), between(5*n/8, 7*n/8)
	first, second := begin(), begin()
	third := first
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for i := range n {
		if i%4 == 0 {
			<-pace.C
		}
		p.Produce(t.Context(), &kgo.Record{Topic: "numbers", Partition: int32(i % 6), Value: []byte(strconv.Itoa(i))}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
		switch i {
		case added:
			third = begin()
		case killed:
			end(first, syscall.SIGKILL)
		case stopped:
			end(second, syscall.SIGTERM)
			second = begin()
		}
	}
	require.NoError(t, p.Flush(t.Context()))
	reader, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics("copies"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.NoError(t, err)
	defer reader.Close()
	limit, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := map[string][]string{} // where each number was read
	for len(seen) < n {
		fetched := reader.PollFetches(limit)
		require.NoError(t, limit.Err(), "%d of %d records are there", len(seen), n)
		fetched.EachRecord(func(r *kgo.Record) { seen[string(r.Key)] = append(seen[string(r.Key)], string(r.Value)) })
	}
	end(second, syscall.SIGTERM)
	end(third, syscall.SIGTERM)
	// What else they have written comes before this.
	last, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer last.Close()
	for i := range int32(3) {
		require.NoError(t, last.ProduceSync(t.Context(), &kgo.Record{Topic: "copies", Partition: i, Key: []byte("end")}).FirstErr())
	}
	for len(seen["end"]) < 3 {
		fetched := reader.PollFetches(limit)
		require.NoError(t, limit.Err())
		fetched.EachRecord(func(r *kgo.Record) { seen[string(r.Key)] = append(seen[string(r.Key)], string(r.Value)) })
	}
	delete(seen, "end")
	require.Len(t, seen, n)
	var twice []string
	for number, places := range seen {
		if len(places) != 1 {
			twice = append(twice, fmt.Sprint(number, " from ", strings.Join(places, ", ")))
		}
	}
	slices.Sort(twice)
	require.Empty(t, twice)
}
