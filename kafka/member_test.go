package kafka_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

func cooperative(c *kafka.Config) { c.Cooperative = true }

// A transaction without the name of a member is one that Kafka does not refuse,
// whoever has the partitions.
func TestNobodyHoldsAfterTheGroupHasGoneOn(t *testing.T) {
	t.Parallel()
	c := fake(t)
	produce(t, producer(t, c.ListenAddrs()), "twitter", 0, "a")
	r := together(t, c.ListenAddrs(), cooperative)
	cutUntil(t, r, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 1 })
	// It joins again with its batch in hand, and is told that it has been away.
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Group: "tweets", Err: kerr.UnknownMemberID})
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: "tweets", Err: kerr.RebalanceInProgress})
	for {
		claim, release, err := r.(source.Sharer).Hold(t.Context())
		if err != nil {
			require.ErrorIs(t, err, source.ErrRevoked)
			break
		}
		release()
		require.NotEmpty(t, claim.Member)
		require.Positive(t, claim.Generation)
	}
}

// Each may have a fetch on its way that waits for records.
func TestManyPartitionsAreGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 60})
	log, logger := newJournal()
	open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Group: "tweets", Shared: true, Client: lively()}, "twitter"), source.Options{Logger: logger})
	log.await(t, "partitions taken")
	begin := time.Now()
	together(t, b.Addrs(), nil)
	log.await(t, "partitions given up")
	require.Less(t, time.Since(begin), 4*time.Second)
}

// Brokers answer what comes by one connection in order, and JoinGroup when all
// members have joined.
func TestCooperativeMemberReadsWhileItJoins(t *testing.T) {
	t.Parallel()
	c := fake(t)
	p := producer(t, c.ListenAddrs())
	produce(t, p, "twitter", 0, "a")
	r := together(t, c.ListenAddrs(), cooperative)
	read(t, r, 1)
	joining, others := make(chan struct{}), make(chan struct{})
	c.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(joining)
		c.SleepControl(func() { <-others })
		return nil, nil, false
	})
	defer close(others)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: "tweets", Err: kerr.RebalanceInProgress})
	<-joining
	produce(t, p, "twitter", 0, "b")
	require.Equal(t, []string{"b"}, values(read(t, r, 1)))
}

func TestOthersMayTakeLongerToJoinThanAnAnswer(t *testing.T) {
	t.Parallel()
	c := fake(t)
	c.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.SleepControl(func() { time.Sleep(time.Second) })
		return nil, nil, false
	})
	config := kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Shared: true, Client: lively()}
	config.Client.Net.ReadTimeout = 500 * time.Millisecond
	log, logger := newJournal()
	open(t, kafka.Source(config, "twitter"), source.Options{Logger: logger})
	log.await(t, "partitions taken")
	require.NotContains(t, log.String(), "can't join the group")
}

// A batch that has nothing of a partition does not keep it from moving, and may be
// done when it is back.
func TestBatchThatHasNothingOfAPartitionCommitsNothingOfIt(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	p := producer(t, b.Addrs())
	for i := range int32(2) {
		produce(t, p, "twitter", i, "a", "b")
	}
	var commits kafka.Commits
	first := together(t, b.Addrs(), func(c *kafka.Config) { c.Cooperative, c.Commits = true, &commits })
	done := func(r source.Reader[kafka.Record], parts []source.Part[kafka.Record]) {
		require.NoError(t, r.Commit(t.Context(), rangesOf(parts)))
	}
	parts := cutUntil(t, first, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 4 })
	require.NoError(t, commits.Commit(t.Context(), rangesOf(parts)))
	done(first, parts)
	inHand, err := first.Cut(t.Context(), source.Request{})
	require.NoError(t, err)
	require.Len(t, inHand.Parts, 2)

	second := together(t, b.Addrs(), cooperative)
	joined(t, b.Addrs(), 2)
	require.NoError(t, commits.Commit(t.Context(), rangesOf(inHand.Parts)), "one of them is not ours any more")
	for i := range int32(2) {
		produce(t, p, "twitter", i, "c")
	}
	parts = cutUntil(t, second, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 1 })
	done(second, parts)
	moved := parts[len(parts)-1].Range
	require.NoError(t, second.Close())
	require.EqualValues(t, 3, committedAt(t, b.Addrs(), "tweets", moved.Partition))
	require.Eventually(t, func() bool { return !heldBack(t, first) }, 30*time.Second, time.Millisecond, "it is back")

	done(first, inHand.Parts)
	require.NoError(t, commits.Commit(t.Context(), rangesOf(inHand.Parts)))
	require.EqualValues(t, 3, committedAt(t, b.Addrs(), "tweets", moved.Partition), "not taken back")
}

// committedAt is the offset that a group has committed for a partition of twitter.
func committedAt(t testing.TB, addrs []string, group, partition string) int64 {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(addrs, administrator())
	require.NoError(t, err)
	defer admin.Close()
	found, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{"twitter": {0, 1}})
	require.NoError(t, err)
	for id := range int32(2) {
		if fmt.Sprintf("twitter/%d", id) == partition {
			return found.GetBlock("twitter", id).Offset
		}
	}
	return -1
}

// What is revoked is over: it waits for Close, and takes nothing.
func TestRevokedMemberDoesNotJoinAgain(t *testing.T) {
	t.Parallel()
	for _, cooperative := range []bool{false, true} {
		t.Run(fmt.Sprint("cooperative=", cooperative), func(t *testing.T) {
			t.Parallel()
			b := start(t, map[string]int{"twitter": 2})
			p := producer(t, b.Addrs())
			for i := range int32(2) {
				produce(t, p, "twitter", i, "a")
			}
			set := func(c *kafka.Config) { c.Cooperative = cooperative }
			first := together(t, b.Addrs(), set)
			cutUntil(t, first, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 2 })
			id := memberOf(t, first)
			second := together(t, b.Addrs(), set) // the first gives up something now
			require.Eventually(t, func() bool { return first.Stats().BufferedRecords == 0 && heldBack(t, first) }, 30*time.Second, time.Millisecond)
			remove(t, b.Addrs(), "tweets", id)
			<-first.(source.Sharer).Revoked()
			_, err := first.Cut(t.Context(), source.Request{})
			require.ErrorIs(t, err, source.ErrRevoked)
			cutUntil(t, second, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 2 })
			require.Equal(t, []int{2}, assigned(t, b.Addrs(), "tweets"))
		})
	}
}

func memberOf(t testing.TB, r source.Reader[kafka.Record]) string {
	t.Helper()
	claim, release, err := r.(source.Sharer).Hold(t.Context())
	require.NoError(t, err)
	release()
	return claim.Member
}

// heldBack says whether a partition is being given up: no slice has a part of it.
func heldBack(t testing.TB, r source.Reader[kafka.Record]) bool {
	t.Helper()
	s, err := r.Cut(t.Context(), source.Request{})
	require.NoError(t, err)
	return len(s.Parts) < 2
}

// remove makes the coordinator forget a member of a group.
func remove(t testing.TB, addrs []string, group, id string) {
	t.Helper()
	client, err := sarama.NewClient(addrs, administrator())
	require.NoError(t, err)
	defer client.Close()
	coordinator, err := client.Coordinator(group)
	require.NoError(t, err)
	_, err = coordinator.LeaveGroup(&sarama.LeaveGroupRequest{Version: 3, GroupId: group, Members: []sarama.MemberIdentity{{MemberId: id}}})
	require.NoError(t, err)
}

func TestTopicThatIsGoneKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	c := fake(t, "trends")
	produce(t, producer(t, c.ListenAddrs()), "twitter", 0, "a")
	admin := administer(t, c.ListenAddrs())
	config := kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Shared: true, Pattern: "t.*", Client: lively(), ConnectTimeout: time.Second}
	c.ControlKey(int16(kmsg.SyncGroup), func(kmsg.Request) (kmsg.Response, error, bool) { // when they are distributed
		c.SleepControl(func() { require.NoError(t, admin.DeleteTopic("trends")) })
		return nil, nil, false
	})
	r := open(t, kafka.Source(config), source.Options{})
	require.Equal(t, []string{"a"}, values(read(t, r, 1)))
}
