package kafka_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/internal/realkafka"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
)

func TestMain(m *testing.M) {
	parallel := "16" // they wait more than they compute
	if os.Getenv("GODSTREAM_KAFKA") == "real" {
		parallel = "200" // all of them, for they wait for their turn with a broker
	}
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(realkafka.Main(m))
}

// broker is what tests ask of one: of the embedded one or, with GODSTREAM_KAFKA=real,
// of a real one.
type broker interface {
	Addrs() []string
	Create(topic string, partitions int) error
	Load(ctx context.Context, topic string, lines io.Reader, options ...embedded.LoadOption) (embedded.Loaded, error)
	Pause()
	Resume() error
}

// start gives a test a broker with these topics, the number of partitions by name,
// and nothing else, until it ends or asks again.
func start(t testing.TB, topics map[string]int) broker {
	t.Helper()
	if realkafka.Wanted(t) {
		return startReal(t, topics)
	}
	b, err := embedded.Start(embedded.Config{Topics: topics})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

// embeddedOnly skips a test that a real broker would only disturb: one that needs
// a broker that does as it is told, or none.
func embeddedOnly(t testing.TB) {
	t.Helper()
	if realkafka.Wanted(t) {
		t.Skip("says nothing about a real broker; go test without GODSTREAM_KAFKA runs it")
	}
}

// genuine is a real broker, for one test alone.
type genuine struct {
	*realkafka.Link
	t     testing.TB
	admin sarama.ClusterAdmin
}

func startReal(t testing.TB, topics map[string]int) *genuine {
	t.Helper()
	b := &genuine{Link: realkafka.Lend(t), t: t}
	b.admin = administer(t, b.Direct())
	b.clear()
	coordinate(t, b.Direct())
	for topic, partitions := range topics {
		require.NoError(t, b.Create(topic, partitions))
	}
	return b
}

// coordinate waits until a new cluster has coordinators, which it makes when the
// first one asks for them.
func coordinate(t testing.TB, addrs []string) {
	t.Helper()
	c := producer(t, addrs)
	defer c.Close()
	for kind, key := range []string{"a group", "a transactional id"} {
		require.Eventually(t, func() bool {
			ask := kmsg.NewPtrFindCoordinatorRequest()
			ask.CoordinatorKey, ask.CoordinatorKeys, ask.CoordinatorType = key, []string{key}, int8(kind)
			told, err := ask.RequestWith(context.Background(), c)
			return err == nil && len(told.Coordinators) == 1 && told.Coordinators[0].ErrorCode == 0
		}, 30*time.Second, 20*time.Millisecond, "no coordinator of %s", key)
	}
}

// administer connects to a cluster until the end of the test.
func administer(t testing.TB, addrs []string) sarama.ClusterAdmin {
	t.Helper()
	c := kafka.Defaults()
	c.Version = sarama.V2_8_0_0
	c.Metadata.Full = true
	admin, err := sarama.NewClusterAdmin(addrs, c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	return admin
}

// clear removes what the test before has left.
func (b *genuine) clear() {
	b.t.Helper()
	all, err := b.admin.DescribeTopics(nil)
	require.NoError(b.t, err)
	for _, topic := range all {
		if !topic.IsInternal {
			require.NoError(b.t, b.admin.DeleteTopic(topic.Name))
			b.await(topic.Name, 0)
		}
	}
	groups, err := b.admin.ListConsumerGroups()
	require.NoError(b.t, err)
	for group := range groups {
		b.disband(group)
		require.NoError(b.t, b.admin.DeleteConsumerGroup(group))
	}
}

// disband removes members that have not left the group.
func (b *genuine) disband(group string) {
	b.t.Helper()
	known, err := b.admin.DescribeConsumerGroups([]string{group})
	require.NoError(b.t, err)
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = group
	for _, m := range known[0].Members {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID, member.InstanceID = m.MemberId, m.GroupInstanceId
		leave.Members = append(leave.Members, member)
	}
	if len(leave.Members) > 0 {
		c := producer(b.t, b.Direct())
		defer c.Close()
		_, err := leave.RequestWith(context.Background(), c)
		require.NoError(b.t, err)
	}
}

// await waits until the broker knows that a topic has so many partitions, with
// leaders.
func (b *genuine) await(topic string, partitions int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		told, err := b.admin.DescribeTopics([]string{topic})
		if err != nil || len(told) != 1 {
			return false
		}
		led := 0
		for _, p := range told[0].Partitions {
			if p.Err == sarama.ErrNoError && p.Leader > 0 {
				led++
			}
		}
		return led == partitions && (partitions > 0 || told[0].Err == sarama.ErrUnknownTopicOrPartition)
	}, 30*time.Second, 10*time.Millisecond, "topic %s should have %d partitions", topic, partitions)
}

func (b *genuine) Create(topic string, partitions int) error {
	err := b.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1}, false)
	if err == nil {
		b.await(topic, partitions)
	}
	return err
}

// Load stores lines in partitions in turn, also during a Pause, as the embedded
// broker does.
func (b *genuine) Load(ctx context.Context, topic string, lines io.Reader, options ...embedded.LoadOption) (loaded embedded.Loaded, err error) {
	require.Empty(b.t, options)
	told, err := b.admin.DescribeTopics([]string{topic})
	require.NoError(b.t, err)
	all, err := io.ReadAll(lines)
	require.NoError(b.t, err)
	var records []*kgo.Record
	for line := range bytes.Lines(all) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		records = append(records, &kgo.Record{Topic: topic, Partition: int32(len(records) % len(told[0].Partitions)), Value: line})
		loaded.Records++
		loaded.Bytes += int64(len(line))
	}
	c := producer(b.t, b.Direct(), kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(10_000), // many to a batch
		kgo.ProducerBatchMaxBytes(embedded.MaxRecordBytes))
	defer c.Close()
	return loaded, c.ProduceSync(ctx, records...).FirstErr()
}

// settle waits until no transaction is open in a topic. A real broker says that
// one has ended, and only then writes the markers by which readers see that: who
// reads at once may see nothing of it yet. It has at least one partition.
func settle(addrs []string, topic string) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(addrs...))
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		all, err := ends(ctx, c, topic, 0)
		if err != nil {
			return err
		}
		stable, err := ends(ctx, c, topic, 1)
		if err != nil || slices.Equal(all, stable) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a transaction is open in %s: its partitions end at %v, for readers of committed records at %v", topic, all, stable)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ends is where the partitions of a topic end, at an isolation level.
func ends(ctx context.Context, c *kgo.Client, topic string, isolation int8) ([]int64, error) {
	about := kmsg.NewPtrMetadataRequest()
	about.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	known, err := about.RequestWith(ctx, c)
	if err != nil {
		return nil, err
	}
	ask := kmsg.NewPtrListOffsetsRequest()
	ask.IsolationLevel = isolation
	of := kmsg.ListOffsetsRequestTopic{Topic: topic}
	for id := range known.Topics[0].Partitions {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = int32(id), -1 // the end
		of.Partitions = append(of.Partitions, p)
	}
	ask.Topics = append(ask.Topics, of)
	told, err := ask.RequestWith(ctx, c)
	if err != nil {
		return nil, err
	}
	all := make([]int64, len(of.Partitions))
	for _, t := range told.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, err
			}
			all[p.Partition] = p.Offset
		}
	}
	return all, nil
}
