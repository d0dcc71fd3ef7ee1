package kafka_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
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

func TestOpenOutlastsTroubleThatPasses(t *testing.T) {
	t.Parallel()
	tests := map[string]kfake.Fault{
		"a leader is elected":        {Keys: []kmsg.Key{kmsg.Metadata}, Topic: "twitter", Err: kerr.LeaderNotAvailable},
		"the leader has moved":       {Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "twitter", Err: kerr.NotLeaderForPartition, Count: 2},
		"the leader is not told yet": {Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "twitter", Err: kerr.UnknownTopicOrPartition, Count: 2},
		"the coordinator loads":      {Keys: []kmsg.Key{kmsg.OffsetFetch}, Group: "tweets", Err: kerr.CoordinatorLoadInProgress, Count: 2},
		"the coordinator has moved":  {Keys: []kmsg.Key{kmsg.OffsetFetch}, Group: "tweets", Err: kerr.NotCoordinator},
		"a transaction is not ended": {Keys: []kmsg.Key{kmsg.OffsetFetch}, Group: "tweets", Err: kerr.UnstableOffsetCommit},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			produce(t, producer(t, c.ListenAddrs()), "twitter", 0, "a", "b")
			commit(t, c.ListenAddrs(), "tweets", source.Range{Partition: "twitter/0", Until: 1})
			h := c.Fault(fault)
			r := open(t, kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Client: quick()}, "twitter"), source.Options{})
			require.NoError(t, h.Wait(context.Background(), 1))
			require.Equal(t, []string{"b"}, values(read(t, r, 1)))
		})
	}
}

func TestOpenTellsOfTroubleThatStays(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault kfake.Fault
		want  string
	}{
		"the topic is not for us": {
			fault: kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "twitter", Err: kerr.TopicAuthorizationFailed},
			want:  `kafka: topic "twitter": this user may not read it`,
		},
		"the group is not for us": {
			fault: kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Group: "tweets", Err: kerr.GroupAuthorizationFailed},
			want:  `kafka: ask for the offsets of group "tweets": `,
		},
		"no leader": {
			fault: kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "twitter", Err: kerr.LeaderNotAvailable},
			want:  "(for 2s)",
		},
		"never the leader": {
			fault: kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "twitter", Err: kerr.NotLeaderForPartition},
			want:  "kafka: ask for the offsets of twitter/0: ",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			test.fault.Count = -1
			c.Fault(test.fault)
			begin := time.Now()
			_, err := kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Client: quick(), ConnectTimeout: 2 * time.Second}, "twitter").
				Open(context.Background(), source.Options{})
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, time.Since(begin), 10*time.Second)
			t.Log(err)
		})
	}
}

func TestTroubleWhileReading(t *testing.T) {
	t.Parallel()
	asked := map[kmsg.Request]bool{}
	tests := map[string]kfake.Fault{
		"a fetch fails": {Keys: []kmsg.Key{kmsg.Fetch}, Topic: "twitter", Err: kerr.KafkaStorageError},
		"it can't even begin": {Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "twitter", Err: kerr.KafkaStorageError, Count: 3, When: func(r kmsg.Request) bool {
			asked[r] = true
			return len(asked) > 2 // not while it opens
		}},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			produce(t, producer(t, c.ListenAddrs()), "twitter", 0, "a")
			c.Fault(fault)
			log, logger := newJournal()
			r := open(t, kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Client: quick()}, "twitter"), source.Options{Logger: logger})
			require.Equal(t, []string{"a"}, values(read(t, r, 1)))
			log.await(t, "can't read")
			log.await(t, "reading again")
			require.Positive(t, r.Stats().Retries)
		})
	}
}

// The client's limit and pauses count for what the source does by itself, too.
func TestSourceGivesUpWithTheClientsSettings(t *testing.T) {
	t.Parallel()
	c := fake(t)
	produce(t, producer(t, c.ListenAddrs()), "twitter", 0, "a")
	asked := map[kmsg.Request]bool{}
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "twitter", Err: kerr.KafkaStorageError, Count: -1, When: func(r kmsg.Request) bool {
		asked[r] = true
		return len(asked) > 2 // not while it opens
	}})
	client := quick()
	client.Consumer.Retry.Max = 4
	var pauses []int
	client.Consumer.Retry.BackoffFunc = func(retries int) time.Duration {
		pauses = append(pauses, retries)
		return time.Millisecond
	}
	r := open(t, kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Client: client}, "twitter"), source.Options{})
	err := cutError(t, r)
	require.ErrorContains(t, err, "kafka: read twitter/0 at offset 0: gave up after Client.Consumer.Retry.Max attempts, 4; set it to 0, no limit: ")
	require.ErrorIs(t, err, sarama.ErrKafkaStorageError)
	require.Equal(t, []int{1, 2, 3}, pauses)
}

func TestCommitsThatAreRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  *kerr.Error
		want string
	}{
		"the coordinator has moved":     {err: kerr.NotCoordinator, want: "can't commit"},
		"others read with that group":   {err: kerr.UnknownMemberID, want: "the group has members"},
		"a rebalance of others goes on": {err: kerr.IllegalGeneration, want: "the group has members"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: "tweets", Err: test.err})
			log, logger := newJournal()
			r := open(t, kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets"}, "twitter"), source.Options{Logger: logger})
			require.NoError(t, r.Commit(context.Background(), []source.Range{{Partition: "twitter/0", Until: 0}}))
			log.await(t, test.want)
			log.await(t, "committing offsets again")
		})
	}
}

// gone makes the next lookup of a coordinator name a broker that is not there any
// more, as others do until they notice.
func gone(t *testing.T, c *kfake.Cluster) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().(*net.TCPAddr)
	require.NoError(t, l.Close())
	c.ControlKey(int16(kmsg.FindCoordinator), func(r kmsg.Request) (kmsg.Response, error, bool) {
		answer := r.ResponseKind().(*kmsg.FindCoordinatorResponse)
		answer.NodeID, answer.Host, answer.Port = 9, at.IP.String(), int32(at.Port)
		return answer, nil, true
	})
}

// A coordinator that is gone is looked for among those that are there.
func TestCoordinatorThatIsGone(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, c *kfake.Cluster){
		"when it is asked where to begin": func(t *testing.T, c *kfake.Cluster) {
			commit(t, c.ListenAddrs(), "tweets", source.Range{Partition: "twitter/0", Until: 1})
			gone(t, c)
			r := open(t, kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Client: quick()}, "twitter"), source.Options{})
			require.Equal(t, []string{"b"}, values(read(t, r, 1)))
		},
		"when it is told how far": func(t *testing.T, c *kfake.Cluster) {
			log, logger := newJournal()
			r := open(t, kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Start: kafka.Earliest, Client: quick()}, "twitter"), source.Options{Logger: logger})
			gone(t, c)
			require.NoError(t, r.Commit(context.Background(), []source.Range{{Partition: "twitter/0", Until: 1}}))
			log.await(t, "can't commit")
			log.await(t, "committing offsets again")
		},
		"when it is asked which batch is stored": func(t *testing.T, c *kfake.Cluster) {
			gone(t, c)
			w, _ := openExact(t, exactly(c.ListenAddrs(), "twitter"), textMessages)
			require.NoError(t, w.Write(context.Background(), numberedBatch(1, []string{"c"})))
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			produce(t, producer(t, c.ListenAddrs()), "twitter", 0, "a", "b")
			test(t, c)
		})
	}
}

// stubborn is a dialer that can't be interrupted.
type stubborn struct {
	calls atomic.Int64
	block chan struct{} // nil: does not block
	began chan struct{}
}

func (s *stubborn) Dial(network, addr string) (net.Conn, error) {
	if s.calls.Add(1) == 1 && s.block != nil {
		close(s.began)
		<-s.block
	}
	return net.Dial(network, addr)
}

func TestDialerOfTheUsers(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	produce(t, producer(t, b.Addrs()), "twitter", 0, "a")
	client := kafka.Defaults()
	dialer := &stubborn{}
	client.Net.Proxy.Enable, client.Net.Proxy.Dialer = true, dialer
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Client: client}, "twitter"), source.Options{})
	require.Equal(t, []string{"a"}, values(read(t, r, 1)))
	require.Positive(t, dialer.calls.Load())

	dialer = &stubborn{block: make(chan struct{}), began: make(chan struct{})}
	client.Net.Proxy.Dialer = dialer
	why := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(context.Background())
	result := make(chan error)
	go func() {
		_, err := kafka.Source(kafka.Config{Brokers: b.Addrs(), Client: client}, "twitter").Open(ctx, source.Options{})
		result <- err
	}()
	<-dialer.began
	cancel(why)
	require.ErrorIs(t, <-result, why)
	close(dialer.block) // what it makes too late is closed
}
