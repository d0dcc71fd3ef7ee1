package kafka_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

// awaitLag waits until the reader says that it is so far behind.
func awaitLag(t *testing.T, r source.Reader[kafka.Record], want int64) {
	t.Helper()
	require.Eventually(t, func() bool { return r.Stats().Lag == want }, 30*time.Second, 10*time.Millisecond, "lag %d", want)
}

func TestLagIsKnownFromTheStart(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	_, err := b.Load(context.Background(), "twitter", strings.NewReader(strings.Repeat("x\n", 1000)))
	require.NoError(t, err)
	live := kafka.Source(kafka.Config{Brokers: b.Addrs()}, "twitter")
	tests := map[string]struct {
		source source.Source[kafka.Record]
		o      source.Options
		want   int64
	}{
		"live":   {live, source.Options{}, 1000},
		"replay": {live, source.Options{Replay: true}, 1000},
		"latest": {kafka.Source(kafka.Config{Brokers: b.Addrs(), Start: kafka.Latest}, "twitter"), source.Options{}, 0},
		"ranges": {kafka.Source(kafka.Config{Brokers: b.Addrs(), Ranges: []kafka.Range{{Topic: "twitter", Partition: 1, From: 100, Until: 110}}}), source.Options{}, 10},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.o.Prefetch, test.o.MaxBatchBytes = 1000, 1000 // a few records
			r := open(t, test.source, test.o)
			require.Equal(t, test.want, r.Stats().Lag)
			for left := test.want; left > 0; {
				s, err := r.Cut(t.Context(), source.Request{Mode: source.Filled, MaxBytes: 1})
				require.NoError(t, err)
				for _, p := range s.Parts {
					left -= int64(len(p.Records))
				}
				require.Equal(t, left, r.Stats().Lag)
			}
		})
	}
}

// While the buffer is full, the client fetches nothing, so it does not tell that
// more arrives.
func TestLagGrowsWhileNothingIsTaken(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	load := func() {
		_, err := b.Load(context.Background(), "twitter", strings.NewReader(strings.Repeat("x\n", 1000)))
		require.NoError(t, err)
	}
	load()
	client := quick()
	client.ChannelBufferSize = 0
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Client: client}, "twitter"), source.Options{Prefetch: 1000, MaxBatchBytes: 1000})
	awaitLag(t, r, 1000)
	load()
	awaitLag(t, r, 2000)
	read(t, r, 100)
	awaitLag(t, r, 1900)
	read(t, r, 1900)
	awaitLag(t, r, 0)
}

// Markers of transactions, aborted records, and those of open transactions are not
// waited for.
func TestLagLeavesOutWhatIsNotSeen(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Client: quick()}, "twitter"), source.Options{})
	transact(t, b.Addrs(), kgo.TryCommit, "twitter", 0, "a")
	require.Equal(t, []string{"a"}, values(read(t, r, 1)))
	awaitLag(t, r, 0)
	transact(t, b.Addrs(), kgo.TryCommit, "twitter", 0, "b")
	transact(t, b.Addrs(), kgo.TryAbort, "twitter", 0, "lost", "lost")
	require.Equal(t, []string{"b"}, values(read(t, r, 1)))
	awaitLag(t, r, 0)

	open := producer(t, b.Addrs(), kgo.TransactionalID("open"))
	require.NoError(t, open.BeginTransaction())
	produce(t, producer(t, b.Addrs()), "twitter", 0, "c")
	require.Equal(t, []string{"c"}, values(read(t, r, 1)))
	produce(t, open, "twitter", 0, "d")
	awaitLag(t, r, 0)
	require.NoError(t, open.EndTransaction(context.Background(), kgo.TryCommit))
	awaitLag(t, r, 2) // with the marker, which is not looked at before all records are taken
	require.Equal(t, []string{"d"}, values(read(t, r, 1)))
	awaitLag(t, r, 0)
}
