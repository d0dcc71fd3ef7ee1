package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godstream/godstream/internal/realkafka"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/source"
)

// trio is three real brokers. Replicas are everywhere; two of three must be there.
type trio struct {
	*realkafka.Cluster
	t     *testing.T
	admin sarama.ClusterAdmin
}

// create makes a topic, whose partitions are led by brokers 0, 1, 2 in turn.
func (c *trio) create(topic string, partitions int, settings ...string) {
	c.t.Helper()
	config := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		config[settings[i]] = &settings[i+1]
	}
	assigned := map[int32][]int32{}
	for p := range int32(partitions) {
		assigned[p] = []int32{p%3 + 1, (p+1)%3 + 1, (p+2)%3 + 1} // ids count from 1
	}
	require.NoError(c.t, c.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: -1, ReplicationFactor: -1, ReplicaAssignment: assigned, ConfigEntries: config}, false))
	c.await(topic, partitions, 3)
}

// await waits until each partition has a leader, and as many replicas in sync.
func (c *trio) await(topic string, partitions, inSync int) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		told, err := c.admin.DescribeTopics([]string{topic})
		if err != nil || len(told) != 1 || len(told[0].Partitions) != partitions {
			return false
		}
		for _, p := range told[0].Partitions {
			if p.Leader < 1 || len(p.Isr) < inSync {
				return false
			}
		}
		return true
	}, 60*time.Second, 50*time.Millisecond, "%s does not have %d replicas", topic, inSync)
}

// back starts brokers again and waits until they have all of the topic.
func (c *trio) back(topic string, partitions int, brokers ...int) {
	c.t.Helper()
	for _, i := range brokers {
		c.Restart(i)
	}
	c.await(topic, partitions, 3)
}

// flow produces to all partitions of a topic until it is stopped: "0", "1", … in each.
type flow struct {
	stop   context.CancelFunc
	done   sync.WaitGroup
	stored map[int32]int // how many there are, after stop
}

func (c *trio) flow(topic string, partitions int) *flow {
	ctx, cancel := context.WithCancel(context.Background())
	f := &flow{stop: cancel, stored: map[int32]int{}}
	p := producer(c.t, c.Addrs(), kgo.RequiredAcks(kgo.AllISRAcks()))
	f.done.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			var records []*kgo.Record
			for id := range int32(partitions) {
				records = append(records, &kgo.Record{Topic: topic, Partition: id, Value: fmt.Append(nil, n)})
			}
			if err := p.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
				c.t.Errorf("produce: %v", err)
				return
			}
			for id := range int32(partitions) {
				f.stored[id]++
			}
			<-time.After(2 * time.Millisecond)
		}
	})
	c.t.Cleanup(func() { f.end() })
	return f
}

// end stops the flow and tells how many records each partition has.
func (f *flow) end() map[int32]int {
	f.stop()
	f.done.Wait()
	return f.stored
}

// sequences checks that the values in each partition are 0, 1, 2, … .
type sequences struct {
	t    *testing.T
	r    source.Reader[kafka.Record]
	next map[int32]int
}

// cut takes what comes until f says that it is enough.
func (s *sequences) cut(enough func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for !enough() {
		slice, err := s.r.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 1})
		require.NoError(s.t, err, "so far %v", s.next)
		for _, p := range slice.Parts {
			for _, r := range p.Records {
				require.Equal(s.t, fmt.Sprint(s.next[r.Partition]), string(r.Value), "partition %d", r.Partition)
				s.next[r.Partition]++
			}
		}
	}
}

// more takes n records of each partition.
func (s *sequences) more(n, partitions int) {
	s.t.Helper()
	want := map[int32]int{}
	for id := range int32(partitions) {
		want[id] = s.next[id] + n
	}
	s.cut(func() bool {
		for id, n := range want {
			if s.next[id] < n {
				return false
			}
		}
		return true
	})
}

// TestThreeRealBrokers loses brokers one after the other, while records flow.
func TestThreeRealBrokers(t *testing.T) { // not parallel: brokers start slowly when many do
	realkafka.Need(t)
	c := &trio{Cluster: realkafka.Start(t, realkafka.Config{Brokers: 3}), t: t}
	c.admin = administer(t, c.Addrs())
	coordinate(t, c.Addrs())
	t.Run("reading", func(t *testing.T) { readWhileBrokersGo(t, c) })
	t.Run("writing", func(t *testing.T) { writeWhileBrokersGo(t, c) })
	t.Run("transactions", func(t *testing.T) { transactWhileBrokersGo(t, c) })
	t.Run("too few replicas", func(t *testing.T) { writeWithTooFewReplicas(t, c) })
}

// Nothing is lost and nothing comes twice; an outage is logged when it begins and
// when it is over.
func readWhileBrokersGo(t *testing.T, all *trio) {
	c := &trio{all.Cluster, t, all.admin}
	c.create("read", 3)
	f := c.flow("read", 3)
	log, logger := newJournal()
	config := kafka.Config{Brokers: c.Addrs(), Group: "readers", Client: quick()}
	r := open(t, kafka.Source(config, "read"), source.Options{Logger: logger})
	s := &sequences{t, r, map[int32]int{}}
	s.more(20, 3)

	c.Kill(0)
	log.await(t, "can't read")
	s.more(200, 3) // also of the partition that it led
	log.await(t, "reading again")
	c.back("read", 3, 0)
	s.more(20, 3)

	c.Stop(1)
	s.more(200, 3)
	c.back("read", 3, 1)

	// Leaders move, to where the topic's first replicas are.
	_, err := c.admin.ElectLeaders(sarama.PreferredElection, map[string][]int32{"read": {0, 1, 2}})
	require.NoError(t, err)
	s.more(50, 3)

	stored := f.end()
	s.cut(func() bool {
		for id, n := range stored {
			if s.next[id] < n {
				return false
			}
		}
		return true
	})
	require.Equal(t, stored, s.next)
	require.Zero(t, r.Stats().Lost)
	require.Positive(t, r.Stats().Retries)
	require.Equal(t, strings.Count(log.String(), "can't read"), strings.Count(log.String(), "reading again"), log)
	t.Log(log)
}

// Messages are there once and in order, whoever leads.
func writeWhileBrokersGo(t *testing.T, all *trio) {
	c := &trio{all.Cluster, t, all.admin}
	c.create("write", 3)
	var away int
	out := openSink(t, kafka.SinkConfig{Brokers: c.Addrs(), Topic: "write", Client: quick()}, func(s string) (kafka.Message, error) {
		if s == "a500" {
			c.Kill(away)
		}
		return kafka.Message{Value: []byte(s)}, nil
	})
	want := make([][]string, 3)
	for away = range 2 { // leaders of partitions 0 and 1
		parts := [][]string{numbered("a", 1000), numbered("b", 1000), numbered("c", 1000)}
		require.NoError(t, out.Write(context.Background(), noon(parts...)))
		c.back("write", 3, away)
		for p := range parts {
			want[p] = append(want[p], parts[p]...)
		}
	}
	requireStored(t, c.Addrs(), "write", append(append(want[0], want[1]...), want[2]...)...)
}

// A batch is there once, also if the coordinator of its transaction goes.
func transactWhileBrokersGo(t *testing.T, all *trio) {
	c := &trio{all.Cluster, t, all.admin}
	c.create("exact", 3)
	coordinator := func() int {
		b, err := c.admin.Coordinator("godstream.app.counts") // it keeps the numbers of batches
		require.NoError(t, err)
		return int(b.ID()) - 1
	}
	away := -1
	config := exactly(c.Addrs(), "exact")
	config.WriteTimeout = time.Minute
	message := func(s string) (kafka.Message, error) {
		if away < 0 && s == "b2.0.500" {
			away = coordinator()
			c.Kill(away)
		}
		return kafka.Message{Value: []byte(s)}, nil
	}
	w, number := openExact(t, config, message)
	require.Zero(t, number)
	want := make([][]string, 3)
	for n := int64(1); n <= 3; n++ {
		parts := make([][]string, 3)
		for p := range parts {
			parts[p] = numbered(fmt.Sprintf("b%d.%d.", n, p), 1000)
			want[p] = append(want[p], parts[p]...)
		}
		if err := w.Write(context.Background(), numberedBatch(n, parts...)); err != nil {
			t.Log(err) // then the marker tells whether it is there
			w, number = openExact(t, config, message)
			if number < n {
				require.Equal(t, n-1, number)
				require.NoError(t, w.Write(context.Background(), numberedBatch(n, parts...)))
			}
		}
	}
	require.GreaterOrEqual(t, away, 0)
	c.back("exact", 3, away)
	_, number = openExact(t, config, message)
	require.EqualValues(t, 3, number)
	requireStored(t, c.Addrs(), "exact", append(append(want[0], want[1]...), want[2]...)...)
}

// A topic that wants more replicas than there are can't be written, and that is said.
func writeWithTooFewReplicas(t *testing.T, all *trio) {
	c := &trio{all.Cluster, t, all.admin}
	c.create("few", 1, "min.insync.replicas", "3")
	out := openSink(t, kafka.SinkConfig{Brokers: c.Addrs(), Topic: "few", WriteTimeout: 15 * time.Second, Client: quick()}, textMessages)
	require.NoError(t, out.Write(context.Background(), noon([]string{"a"})))
	c.Kill(2)
	began := time.Now()
	err := out.Write(context.Background(), noon([]string{"b"}))
	t.Log(err)
	require.ErrorIs(t, err, sarama.ErrNotEnoughReplicas)
	require.EqualError(t, err, "kafka: write to few/0: kafka server: Messages are rejected since there are fewer in-sync replicas than required")
	require.Less(t, time.Since(began), 20*time.Second)
	c.back("few", 1, 2)
	require.NoError(t, out.Write(context.Background(), noon([]string{"b"})))
	got, err := stored(c.Addrs(), "few")
	require.NoError(t, err)
	// It may be there twice: the leader took it before it missed the replica.
	require.Equal(t, []string{"a", "b"}, slices.Compact(values(got)))
}

// TestRealBrokerRestarts kills the only broker: nobody is there meanwhile.
func TestRealBrokerRestarts(t *testing.T) {
	realkafka.Need(t)
	c := realkafka.Start(t, realkafka.Config{})
	admin := administer(t, c.Addrs())
	coordinate(t, c.Addrs())
	for _, topic := range []string{"twitter", "counts"} {
		require.NoError(t, admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	}
	p := producer(t, c.Addrs())
	produce(t, p, "twitter", 0, "a", "b")
	config := kafka.Config{Brokers: c.Addrs(), Group: "tweets", Client: quick()}
	log, logger := newJournal()
	r := open(t, kafka.Source(config, "twitter"), source.Options{Logger: logger})
	read(t, r, 2)
	to := exactly(c.Addrs(), "counts")
	to.WriteTimeout = time.Minute
	w, _ := openExact(t, to, textMessages)
	require.NoError(t, w.Write(context.Background(), numberedBatch(1, []string{"one"})))

	c.Kill(0)
	log.await(t, "can't read")
	require.NoError(t, r.Commit(context.Background(), []source.Range{{Partition: "twitter/0", Until: 1}}))
	log.await(t, "can't commit")
	var written sync.WaitGroup
	var failed error
	written.Go(func() { failed = w.Write(context.Background(), numberedBatch(2, []string{"two"})) })
	c.Restart(0)
	produce(t, p, "twitter", 0, "c")
	require.Equal(t, []string{"c"}, values(read(t, r, 1)))
	log.await(t, "reading again")
	log.await(t, "committing offsets again")
	written.Wait()
	if failed != nil { // then the marker tells
		t.Log(failed)
		var m sink.Marker
		w, m.Number = openExact(t, to, textMessages)
		if m.Number == 1 {
			require.NoError(t, w.Write(context.Background(), numberedBatch(2, []string{"two"})))
		}
	}
	requireStored(t, c.Addrs(), "counts", "one", "two")
	require.NoError(t, r.Close())
	_, ranges := all(t, open(t, kafka.Source(config, "twitter"), source.Options{Replay: true}))
	require.EqualValues(t, 1, ranges["twitter/0"].From)
	t.Log(log)
}
