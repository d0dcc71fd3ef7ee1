package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// lively is settings under which members of a group notice soon what happens.
func lively() *sarama.Config {
	c := quick()
	c.Consumer.Group.Heartbeat.Interval = 50 * time.Millisecond
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	return c
}

// together opens a source that shares topic "twitter" in group "tweets".
func together(t testing.TB, addrs []string, change func(*kafka.Config)) source.Reader[kafka.Record] {
	t.Helper()
	c := kafka.Config{Brokers: addrs, Group: "tweets", Shared: true, Client: lively()}
	if change != nil {
		change(&c)
	}
	return open(t, kafka.Source(c, "twitter"), source.Options{})
}

// cutUntil cuts until the slices have been what is asked for.
func cutUntil(t testing.TB, r source.Reader[kafka.Record], enough func([]source.Part[kafka.Record]) bool) (parts []source.Part[kafka.Record]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for !enough(parts) {
		s, err := r.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 1})
		require.NoError(t, err)
		parts = append(parts, s.Parts...)
	}
	return parts
}

func recordsOf(parts []source.Part[kafka.Record]) (all []string) {
	for _, p := range parts {
		all = append(all, values(p.Records)...)
	}
	return all
}

func rangesOf(parts []source.Part[kafka.Record]) (all []source.Range) {
	for _, p := range parts {
		all = append(all, p.Range)
	}
	return all
}

func TestPartitionsAreSharedAndMove(t *testing.T) {
	for _, cooperative := range []bool{false, true} {
		t.Run(fmt.Sprint("cooperative=", cooperative), func(t *testing.T) {
			t.Parallel()
			b := start(t, map[string]int{"twitter": 4})
			p := producer(t, b.Addrs())
			for i := range int32(4) {
				produce(t, p, "twitter", i, fmt.Sprint("a", i))
			}
			set := func(c *kafka.Config) { c.Cooperative = cooperative }
			first := together(t, b.Addrs(), set)
			parts := cutUntil(t, first, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 4 })
			require.ElementsMatch(t, numbered("a", 4), recordsOf(parts))
			require.NoError(t, first.Commit(t.Context(), rangesOf(parts)))

			second := together(t, b.Addrs(), set)
			var mu sync.Mutex
			var got []string
			of := map[string]int{} // who has read it
			var readers sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for who, r := range []source.Reader[kafka.Record]{first, second} {
				readers.Go(func() {
					for {
						s, err := r.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 1})
						if err != nil {
							return
						}
						mu.Lock()
						for _, v := range recordsOf(s.Parts) {
							got = append(got, v)
							of[v] = who
						}
						if len(got) == 8 {
							cancel()
						}
						mu.Unlock()
						_ = r.Commit(ctx, rangesOf(s.Parts))
					}
				})
			}
			// Once the second has two of them, the first has the others.
			require.Eventually(t, func() bool { return len(assigned(t, b.Addrs(), "tweets")) == 2 }, 30*time.Second, 10*time.Millisecond)
			for i := range int32(4) {
				produce(t, p, "twitter", i, fmt.Sprint("b", i), fmt.Sprint("c", i))
			}
			readers.Wait()
			require.ElementsMatch(t, append(numbered("b", 4), numbered("c", 4)...), got, "each once")
			who := map[int]int{}
			for _, w := range of {
				who[w]++
			}
			require.Equal(t, map[int]int{0: 4, 1: 4}, who)
		})
	}
}

// assigned is how many partitions each member of a stable group has that has any.
func assigned(t testing.TB, addrs []string, group string) (n []int) {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(addrs, administrator())
	require.NoError(t, err)
	defer admin.Close()
	groups, err := admin.DescribeConsumerGroups([]string{group})
	require.NoError(t, err)
	if groups[0].State != "Stable" {
		return nil
	}
	for _, m := range groups[0].Members {
		a, err := m.GetMemberAssignment()
		require.NoError(t, err)
		of := 0
		for _, ids := range a.Topics {
			of += len(ids)
		}
		if of > 0 {
			n = append(n, of)
		}
	}
	return n
}

// joined waits until as many members have partitions.
func joined(t testing.TB, addrs []string, members int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(assigned(t, addrs, "tweets")) == members }, 30*time.Second, 10*time.Millisecond)
}

// offsetOf is the offset that a group has committed for partition 0 of twitter.
func offsetOf(t testing.TB, addrs []string, group string) int64 {
	t.Helper()
	admin, err := sarama.NewClusterAdmin(addrs, administrator())
	require.NoError(t, err)
	defer admin.Close()
	found, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{"twitter": {0}})
	if errors.Is(err, sarama.ErrGroupIDNotFound) {
		return -1
	}
	require.NoError(t, err)
	return found.GetBlock("twitter", 0).Offset
}

func TestBatchInHandIsCompletedBeforeAPartitionIsGivenUp(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	p := producer(t, b.Addrs())
	produce(t, p, "twitter", 0, "a", "b")
	first := together(t, b.Addrs(), nil)
	parts := cutUntil(t, first, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 2 })
	produce(t, p, "twitter", 0, "c")

	log, logger := newJournal()
	second := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Group: "tweets", Shared: true, Client: lively()}, "twitter"), source.Options{Logger: logger})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // many heartbeats
	defer cancel()
	_, err := second.Cut(ctx, source.Request{Mode: source.Filled})
	require.ErrorIs(t, err, context.DeadlineExceeded, "nothing is given to another while a batch is in hand")
	require.NotContains(t, log.String(), "partitions taken")

	require.NoError(t, first.Commit(t.Context(), rangesOf(parts)))
	require.NoError(t, first.Close())
	rest := cutUntil(t, second, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) > 0 })
	require.Equal(t, []string{"c"}, recordsOf(rest))
	log.await(t, "partitions taken")
}

func TestBatchThatOutlastsTheRebalanceIsRevoked(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	produce(t, producer(t, b.Addrs()), "twitter", 0, "a", "b")
	short := func(c *kafka.Config) { c.Client.Consumer.Group.Rebalance.Timeout = 500 * time.Millisecond }
	first := together(t, b.Addrs(), short)
	cutUntil(t, first, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 2 })
	require.NotNil(t, first.(source.Sharer).Revoked())

	second := together(t, b.Addrs(), short)
	select {
	case <-first.(source.Sharer).Revoked():
	case <-time.After(30 * time.Second):
		t.Fatal("not revoked")
	}
	_, err := first.Cut(t.Context(), source.Request{})
	require.ErrorIs(t, err, source.ErrRevoked)
	require.ErrorContains(t, err, `kafka: group "tweets": source: partitions have gone to another program while a batch of them was in hand: `)
	_, _, err = first.(source.Sharer).Hold(t.Context())
	require.ErrorIs(t, err, source.ErrRevoked)
	require.NoError(t, first.Close())
	again := cutUntil(t, second, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 2 })
	require.Equal(t, []string{"a", "b"}, recordsOf(again), "the new owner reads them again")
}

func TestMemberThatWasThoughtDeadIsRevoked(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	produce(t, producer(t, b.Addrs()), "twitter", 0, "a")
	for _, inHand := range []bool{false, true} {
		log, logger := newJournal()
		c := kafka.Config{Brokers: b.Addrs(), Group: "tweets", Shared: true, Client: lively()}
		r := open(t, kafka.Source(c, "twitter"), source.Options{Logger: logger})
		parts := cutUntil(t, r, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 1 })
		if !inHand {
			require.NoError(t, r.Commit(t.Context(), rangesOf(parts)))
			require.Eventually(t, func() bool { return offsetOf(t, b.Addrs(), "tweets") == 1 }, 30*time.Second, 10*time.Millisecond)
		}
		kick(t, b.Addrs(), "tweets")
		if !inHand {
			log.await(t, "joining again")
			produce(t, producer(t, b.Addrs()), "twitter", 0, "b")
			parts = cutUntil(t, r, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 1 })
			require.Equal(t, []string{"b"}, recordsOf(parts))
		} else {
			<-r.(source.Sharer).Revoked()
			_, err := r.Cut(t.Context(), source.Request{})
			require.ErrorIs(t, err, source.ErrRevoked)
		}
		require.NoError(t, r.Close())
	}
}

// kick makes the coordinator forget the members of a group.
func kick(t testing.TB, addrs []string, group string) {
	t.Helper()
	client, err := sarama.NewClient(addrs, administrator())
	require.NoError(t, err)
	defer client.Close()
	admin, err := sarama.NewClusterAdminFromClient(client)
	require.NoError(t, err)
	groups, err := admin.DescribeConsumerGroups([]string{group})
	require.NoError(t, err)
	coordinator, err := client.Coordinator(group)
	require.NoError(t, err)
	for id := range groups[0].Members {
		_, err := coordinator.LeaveGroup(&sarama.LeaveGroupRequest{Version: 3, GroupId: group, Members: []sarama.MemberIdentity{{MemberId: id}}})
		require.NoError(t, err)
	}
}

func TestSharedPartitionsThatAreAddedLater(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	p := producer(t, b.Addrs())
	set := func(c *kafka.Config) { c.Client.Metadata.RefreshFrequency = 50 * time.Millisecond }
	r := together(t, b.Addrs(), set)
	joined(t, b.Addrs(), 1)
	admin, err := sarama.NewClusterAdmin(b.Addrs(), administrator())
	require.NoError(t, err)
	defer admin.Close()
	require.NoError(t, admin.CreatePartitions("twitter", 3, nil, false))
	require.Eventually(t, func() bool { return slices.Equal(assigned(t, b.Addrs(), "tweets"), []int{3}) }, 30*time.Second, 10*time.Millisecond)
	for i := range int32(3) {
		produce(t, p, "twitter", i, fmt.Sprint("a", i))
	}
	parts := cutUntil(t, r, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 3 })
	require.ElementsMatch(t, numbered("a", 3), recordsOf(parts))
}

// A named member has its partitions again when it comes back soon.
func TestNamedMemberKeepsItsPartitions(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	name := func(name string) func(*kafka.Config) { return func(c *kafka.Config) { c.Member = name } }
	one := together(t, b.Addrs(), name("one"))
	together(t, b.Addrs(), name("two"))
	joined(t, b.Addrs(), 2)
	require.NoError(t, one.Close())
	require.Len(t, assigned(t, b.Addrs(), "tweets"), 2, "nothing moves")
	together(t, b.Addrs(), name("one"))
	joined(t, b.Addrs(), 2)
}

func TestTwoMembersOfOneName(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	name := func(c *kafka.Config) { c.Member = "one" }
	one := together(t, b.Addrs(), name)
	joined(t, b.Addrs(), 1)
	together(t, b.Addrs(), name)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var err error
	for err == nil {
		_, err = one.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 1})
	}
	require.ErrorContains(t, err, `kafka: group "tweets": another program has joined with Config.Member "one" since; give each copy a name of its own`)
}

func TestCommitsByHand(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	produce(t, producer(t, b.Addrs()), "twitter", 0, "a", "b", "c")
	var commits kafka.Commits
	require.ErrorContains(t, commits.Commit(t.Context(), nil), "the source is not open")
	config := kafka.Config{Brokers: b.Addrs(), Group: "tweets", Commits: &commits, Client: quick()}
	r := open(t, kafka.Source(config, "twitter"), source.Options{})
	read(t, r, 3)
	to := func(until int64) []source.Range { return []source.Range{{Partition: "twitter/0", Until: until}} }
	require.NoError(t, r.Commit(t.Context(), to(3)))
	require.EqualValues(t, -1, offsetOf(t, b.Addrs(), "tweets"), "the App does not commit")

	require.NoError(t, commits.Commit(t.Context(), to(1)))
	require.EqualValues(t, 1, offsetOf(t, b.Addrs(), "tweets"))
	done := make(chan error, 1)
	commits.CommitAsync(to(2), func(err error) { done <- err })
	require.NoError(t, <-done)
	require.EqualValues(t, 2, offsetOf(t, b.Addrs(), "tweets"))
	commits.CommitAsync([]source.Range{{Partition: "other/0", Until: 1}}, func(err error) { done <- err })
	require.ErrorContains(t, <-done, "this source does not read the partition")

	commits.CommitAsync(to(3), func(error) { panic("in the user's function") })
	require.NoError(t, r.Close(), "what is pending is stored")
	require.EqualValues(t, 3, offsetOf(t, b.Addrs(), "tweets"))
	require.ErrorContains(t, commits.Commit(t.Context(), to(3)), "the source is not open")
}

func TestCommitByHandThatIsNotStored(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	var commits kafka.Commits
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Group: "tweets", Commits: &commits, Client: quick()}, "twitter"), source.Options{})
	b.Pause()
	done := make(chan error, 1)
	commits.CommitAsync([]source.Range{{Partition: "twitter/0", Until: 0}}, func(err error) { done <- err })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, commits.Commit(ctx, []source.Range{{Partition: "twitter/0", Until: 0}}), context.Canceled)
	require.NoError(t, r.Close())
	require.Error(t, <-done)
}

// What a program does that shares its source: every record is once in the topic
// "copy", whatever members come and go.
func TestSharedExactlyOnce(t *testing.T) {
	t.Parallel()
	const n = 600
	b := start(t, map[string]int{"twitter": 6, "copy": 3})
	copies := func(ctx context.Context, slow time.Duration) error {
		app := stream.New(stream.Config{Name: "copies", Interval: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
		client := lively()
		in := stream.From(app, kafka.Source(kafka.Config{Brokers: b.Addrs(), Group: "tweets", Shared: true, Client: client}, "twitter"))
		out := stream.Map(in, func(r kafka.Record) string {
			busy(slow)
			return string(r.Value)
		})
		stream.To(out, kafka.Sink(kafka.SinkConfig{Brokers: b.Addrs(), Topic: "copy", Transactional: true}, func(s string) (kafka.Message, error) {
			return kafka.Message{Key: []byte(s), Value: []byte(s)}, nil
		}), stream.Name("copy"))
		return app.Run(ctx)
	}
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	begin := func() context.CancelFunc {
		of, stop := context.WithCancel(ctx)
		running.Go(func() {
			if err := copies(of, 100*time.Microsecond); err != nil {
				t.Error(err)
			}
		})
		return stop
	}
	p := producer(t, b.Addrs())
	values := numbered("v", n)
	first := begin()
	begin()
	for i, v := range values {
		produce(t, p, "twitter", int32(i%6), v)
		switch i {
		case n / 3:
			begin()
		case n / 2:
			first()
		}
	}
	seen := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs()}, "copy"), source.Options{})
	got := recordsOf(cutUntil(t, seen, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) >= n }))
	stop()
	running.Wait()
	all, _ := all(t, open(t, kafka.Source(kafka.Config{Brokers: b.Addrs()}, "copy"), source.Options{Replay: true}))
	require.Len(t, all, n)
	require.ElementsMatch(t, values, got)
}

// busy computes for a time.
func busy(d time.Duration) {
	for until := time.Now().Add(d); time.Now().Before(until); {
	}
}

func administrator() *sarama.Config {
	c := kafka.Defaults()
	c.Metadata.Full = true
	return c
}

func TestMemberFindsTopicsWhenAnAnswerDoesNotCome(t *testing.T) {
	t.Parallel()
	c := fake(t)
	log, logger := newJournal()
	config := kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Shared: true, Pattern: "twit.*", Client: lively()}
	config.Client.Metadata.RefreshFrequency = time.Hour
	config.Client.Net.ReadTimeout = time.Second
	open(t, kafka.Source(config), source.Options{Logger: logger})
	log.await(t, "partitions taken")
	c.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if req.(*kmsg.MetadataRequest).Topics != nil { // all of them are asked for
			c.KeepControl()
			return nil, nil, false
		}
		return nil, nil, true // and no answer
	})
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: "tweets", Err: kerr.RebalanceInProgress})
	log.await(t, "partitions given up")
	require.Eventually(t, func() bool { return strings.Count(log.String(), "partitions taken") == 2 }, 10*time.Second, 10*time.Millisecond)
}

func TestPatternThatMatchesNoTopicYet(t *testing.T) {
	t.Parallel()
	c := fake(t)
	config := kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Shared: true, Pattern: "later.*", Client: lively()}
	config.Client.Metadata.RefreshFrequency = 100 * time.Millisecond
	config.Client.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRoundRobin()}
	r := open(t, kafka.Source(config), source.Options{})
	var claim source.Claim
	for claim.Member == "" || claim.Generation < 1 {
		as, release, err := r.(source.Sharer).Hold(t.Context())
		require.NoError(t, err)
		release()
		claim = as
		_, err = r.Cut(t.Context(), source.Request{})
		require.NoError(t, err)
	}
	require.NotEqual(t, "kafka ", claim.System, "a sink compares it with its own")
	require.NoError(t, administer(t, c.ListenAddrs()).CreateTopic("later", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	produce(t, producer(t, c.ListenAddrs()), "later", 0, "a")
	require.Equal(t, []string{"a"}, values(read(t, r, 1)))
}

// What is given up with a commit on its way, for which nobody waits any longer, may
// not be stored.
func TestCommitByHandThatIsRefusedIsNotSaidToBeStored(t *testing.T) {
	t.Parallel()
	c := fake(t)
	produce(t, producer(t, c.ListenAddrs()), "twitter", 0, "a")
	var commits kafka.Commits
	log, logger := newJournal()
	config := kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Shared: true, Commits: &commits, Client: lively()}
	config.Client.Consumer.Group.Rebalance.Timeout = time.Second
	r := open(t, kafka.Source(config, "twitter"), source.Options{Logger: logger})
	parts := cutUntil(t, r, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 1 })
	under, late := make(chan struct{}), make(chan struct{})
	c.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		close(under)
		c.SleepControl(func() { <-late })
		return nil, nil, true // and no answer
	})
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: "tweets", Err: kerr.RebalanceInProgress})
	require.Eventually(t, func() bool { // it is being given up
		s, err := r.Cut(t.Context(), source.Request{})
		return err == nil && len(s.Parts) == 0
	}, 30*time.Second, time.Millisecond)
	done := make(chan error, 1)
	commits.CommitAsync(rangesOf(parts), func(err error) { done <- err })
	<-under
	require.NoError(t, r.Commit(t.Context(), rangesOf(parts)))
	log.await(t, "partitions given up")
	close(late)
	require.ErrorContains(t, <-done, "another program of the group has the partition by now")
	require.EqualValues(t, 0, offsetOf(t, c.ListenAddrs(), "tweets"))
}

// Nobody looks for topics all the time, and what is in one by then is new.
func TestSharedTopicThatIsAddedLaterIsReadFromItsFirstRecord(t *testing.T) {
	t.Parallel()
	c := fake(t)
	p := producer(t, c.ListenAddrs())
	produce(t, p, "twitter", 0, "old")
	log, logger := newJournal()
	config := kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Shared: true, Pattern: "twitter.*", Start: kafka.CommittedOrLatest, Client: lively()}
	config.Client.Metadata.RefreshFrequency = time.Second
	r := open(t, kafka.Source(config), source.Options{Logger: logger})
	log.await(t, "partitions taken")
	require.NoError(t, administer(t, c.ListenAddrs()).CreateTopic("twitter2", &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	produce(t, p, "twitter2", 0, "a")
	log.await(t, "twitter2/0")
	produce(t, p, "twitter2", 0, "b")
	require.Equal(t, []string{"a", "b"}, values(read(t, r, 2)))
}

// Others may take as long as Rebalance.Timeout until they have joined, too.
func TestMemberThatCooperatesIsClosedWhileItJoins(t *testing.T) {
	t.Parallel()
	c := fake(t)
	produce(t, producer(t, c.ListenAddrs()), "twitter", 0, "a")
	log, logger := newJournal()
	config := kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Shared: true, Cooperative: true, Client: lively()}
	r := open(t, kafka.Source(config, "twitter"), source.Options{Logger: logger})
	parts := cutUntil(t, r, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 1 })
	joining, others := make(chan struct{}), make(chan struct{})
	c.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(joining)
		c.SleepControl(func() { <-others })
		return nil, nil, false
	})
	defer close(others)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: "tweets", Err: kerr.RebalanceInProgress})
	<-joining
	require.NoError(t, r.Commit(t.Context(), rangesOf(parts)))
	require.NoError(t, r.Close())
	require.NotContains(t, log.String(), "could not")
	require.EqualValues(t, 1, offsetOf(t, c.ListenAddrs(), "tweets"))
}

// What can't be stored keeps the group waiting no longer than it may be a broker
// that has just started, which does not know its topics yet.
func TestTopicThatIsGoneKeepsNoPartitionFromMoving(t *testing.T) {
	t.Parallel()
	c := fake(t, "trends")
	p := producer(t, c.ListenAddrs())
	produce(t, p, "twitter", 0, "a")
	produce(t, p, "trends", 0, "x")
	log, logger := newJournal()
	config := kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Shared: true, Pattern: "t.*", ConnectTimeout: time.Second, Client: lively()}
	r := open(t, kafka.Source(config), source.Options{Logger: logger})
	parts := cutUntil(t, r, func(p []source.Part[kafka.Record]) bool { return len(recordsOf(p)) == 2 })
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Topic: "trends", Err: kerr.UnknownTopicOrPartition, Count: -1})
	require.NoError(t, r.Commit(t.Context(), rangesOf(parts)))
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: "tweets", Err: kerr.RebalanceInProgress})
	begin := time.Now()
	log.await(t, "partitions given up")
	require.Less(t, time.Since(begin), 20*time.Second, "not Rebalance.Timeout")
	require.NotContains(t, log.String(), "could not commit")
	require.EqualValues(t, 1, offsetOf(t, c.ListenAddrs(), "tweets"))
}
