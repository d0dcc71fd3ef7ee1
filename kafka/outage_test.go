package kafka_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

func TestBrokerGoesAwayAndReturns(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 3})
	ctx := context.Background()
	log, logger := newJournal()
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Client: quick()}, "twitter"), source.Options{Name: "in", Logger: logger})
	_, err := b.Load(ctx, "twitter", strings.NewReader("a0\na1\na2\n"))
	require.NoError(t, err)
	got := values(read(t, r, 3))

	b.Pause()
	log.await(t, "can't read")
	_, err = b.Load(ctx, "twitter", strings.NewReader("b0\nb1\nb2\n"))
	require.NoError(t, err)
	require.NoError(t, b.Resume())
	got = append(got, values(read(t, r, 3))...)

	require.ElementsMatch(t, []string{"a0", "a1", "a2", "b0", "b1", "b2"}, got, "nothing is lost, nothing is doubled")
	log.await(t, "reading again")
	require.Equal(t, 1, strings.Count(log.String(), "can't read"), "one outage of three partitions:\n%s", log)
	require.Equal(t, 1, strings.Count(log.String(), "reading again"), log)
	require.Contains(t, log.String(), "source=in")
	require.Contains(t, log.String(), "after=")
	require.Positive(t, r.Stats().Retries)
	require.Zero(t, r.Stats().Lost)
}

func TestReturnOfABrokerWithoutNewRecords(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	log, logger := newJournal()
	open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Client: quick()}, "twitter"), source.Options{Logger: logger})
	b.Pause()
	log.await(t, "can't read")
	require.NoError(t, b.Resume())
	log.await(t, "reading again")
}

func TestManyOutagesLoseNothing(t *testing.T) {
	t.Parallel()
	const n = 4000
	b := start(t, map[string]int{"twitter": 4})
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "%06d %s\n", i, strings.Repeat("x", 1000))
	}
	_, err := b.Load(context.Background(), "twitter", strings.NewReader(lines.String()))
	require.NoError(t, err)
	client := quick()
	client.Consumer.Fetch.Default = 20_000 // many fetches
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Client: client}, "twitter"),
		source.Options{Replay: true, Prefetch: 50_000})

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	next := map[string]int64{}
	got, paused := 0, 0
	for {
		s, err := r.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 1 + random.Int64N(50_000)})
		require.NoError(t, err)
		for _, p := range s.Parts {
			require.Equal(t, next[p.Range.Partition], p.Range.From)
			for _, record := range p.Records {
				require.Equal(t, next[p.Range.Partition], record.Offset)
				require.Equal(t, fmt.Sprintf("%06d", record.Offset*4+int64(record.Partition)), string(record.Value[:6]))
				next[p.Range.Partition]++
				got++
			}
			require.Equal(t, next[p.Range.Partition], p.Range.Until)
		}
		if s.End {
			break
		}
		if paused < 8 && random.IntN(8) == 0 {
			paused++
			b.Pause()
			require.NoError(t, b.Resume())
		}
	}
	require.Equal(t, n, got)
	require.Positive(t, paused)
}

func TestLeaderMoves(t *testing.T) {
	t.Parallel()
	embeddedOnly(t)
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(1, "twitter"))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	p := producer(t, c.ListenAddrs())
	r := open(t, kafka.Source(kafka.Config{Brokers: c.ListenAddrs()[:1], Client: quick()}, "twitter"), source.Options{})
	var want, got []string
	for i := range 6 {
		produce(t, p, "twitter", 0, fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
		got = append(got, values(read(t, r, 1))...)
		require.NoError(t, c.MoveTopicPartition("twitter", 0, int32(i%3)))
	}
	require.Equal(t, want, got)
}

func TestClientThatGivesUpFailsTheSource(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	client := quick()
	client.Consumer.Retry.Max, client.Consumer.Retry.Backoff = 3, 200*time.Millisecond
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Client: client}, "twitter"), source.Options{})
	produce(t, producer(t, b.Addrs()), "twitter", 0, "a")
	read(t, r, 1)
	b.Pause()
	began := time.Now()
	err := cutError(t, r)
	require.ErrorContains(t, err, "kafka: read twitter/0 at offset 1: gave up after Client.Consumer.Retry.Max attempts, 3; set it to 0, no limit: dial tcp "+b.Addrs()[0])
	require.GreaterOrEqual(t, time.Since(began), 3*client.Consumer.Retry.Backoff)
}

func TestCommitsSurviveAnOutage(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	produce(t, producer(t, b.Addrs()), "twitter", 0, "a", "b", "c")
	config := kafka.Config{Brokers: b.Addrs(), Group: "tweets", Client: quick()}
	log, logger := newJournal()
	r := open(t, kafka.Source(config, "twitter"), source.Options{Logger: logger})
	read(t, r, 3)
	b.Pause()
	require.NoError(t, r.Commit(context.Background(), []source.Range{{Partition: "twitter/0", Until: 2}}))
	log.await(t, "can't commit")
	require.NoError(t, b.Resume())
	log.await(t, "committing offsets again")
	require.NoError(t, r.Close())
	_, ranges := all(t, open(t, kafka.Source(config, "twitter"), source.Options{Replay: true}))
	require.EqualValues(t, 2, ranges["twitter/0"].From)
}

func TestCloseWithoutTheBrokerIsBounded(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	log, logger := newJournal()
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Group: "tweets"}, "twitter"), source.Options{Logger: logger})
	b.Pause()
	require.NoError(t, r.Commit(context.Background(), []source.Range{{Partition: "twitter/0", Until: 0}}))
	begin := time.Now()
	require.NoError(t, r.Close())
	require.Less(t, time.Since(begin), 5*time.Second)
	require.Contains(t, log.String(), "could not commit the last offsets")
}

// muting is a dialer on whose connections nothing arrives any more once it is
// told so.
type muting struct{ mute atomic.Bool }

func (m *muting) Dial(network, addr string) (net.Conn, error) {
	c, err := net.Dial(network, addr)
	return mutingConn{c, m}, err
}

type mutingConn struct {
	net.Conn
	*muting
}

func (c mutingConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.mute.Load() {
			return n, err
		}
	}
}

func TestCloseWhileABrokerIsMute(t *testing.T) {
	t.Parallel()
	for _, commits := range []bool{false, true} {
		t.Run(fmt.Sprint("commits=", commits), func(t *testing.T) {
			t.Parallel()
			b := start(t, map[string]int{"twitter": 1})
			produce(t, producer(t, b.Addrs()), "twitter", 0, "a")
			client, dialer := quick(), &muting{}
			client.Net.Proxy.Enable, client.Net.Proxy.Dialer = true, dialer
			log, logger := newJournal()
			config := kafka.Config{Brokers: b.Addrs(), Group: "tweets", Client: client, CloseTimeout: 200 * time.Millisecond}
			r := open(t, kafka.Source(config, "twitter"), source.Options{Logger: logger})
			read(t, r, 1)
			dialer.mute.Store(true)
			if commits {
				require.NoError(t, r.Commit(context.Background(), []source.Range{{Partition: "twitter/0", Until: 1}}))
			}
			begin := time.Now()
			require.NoError(t, r.Close())
			require.Less(t, time.Since(begin), 2*time.Second)
			require.Equal(t, commits, strings.Contains(log.String(), "could not commit the last offsets"), log)
		})
	}
}
