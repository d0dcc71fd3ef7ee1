package kafka_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

// quick is settings under which a test need not wait long for a second attempt.
func quick() *sarama.Config {
	c := kafka.Defaults()
	c.Consumer.Retry.Backoff = 20 * time.Millisecond
	c.Metadata.Retry.Backoff = 20 * time.Millisecond
	return c
}

// producer connects to the broker. The options come last.
func producer(t testing.TB, addrs []string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(1000), kgo.ProducerLinger(0),
		kgo.MetadataMinAge(20 * time.Millisecond), // a topic may just have been made
	}, options...)...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// produce stores values in a partition.
func produce(t testing.TB, c *kgo.Client, topic string, partition int32, values ...string) {
	t.Helper()
	for _, v := range values {
		require.NoError(t, c.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)}).FirstErr())
	}
}

// transactions counts them, for each has a producer of its own: the broker does
// not take all that one producer sends after an aborted transaction.
var transactions atomic.Int64

// transact stores values in a transaction, and ends it.
func transact(t testing.TB, addrs []string, end kgo.TransactionEndTry, topic string, partition int32, values ...string) {
	t.Helper()
	c := producer(t, addrs, kgo.TransactionalID(fmt.Sprint("txn-", transactions.Add(1))))
	defer c.Close()
	require.NoError(t, c.BeginTransaction())
	produce(t, c, topic, partition, values...)
	require.NoError(t, c.EndTransaction(context.Background(), end))
	require.NoError(t, settle(addrs, topic))
}

// open opens a source until the end of the test.
func open(t testing.TB, s source.Source[kafka.Record], o source.Options) source.Reader[kafka.Record] {
	t.Helper()
	r, err := s.Open(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// read takes n records, waiting for them.
func read(t testing.TB, r source.Reader[kafka.Record], n int) []kafka.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var got []kafka.Record
	for len(got) < n {
		s, err := r.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 1}) // one record
		require.NoError(t, err, "after %d of %d records", len(got), n)
		for _, p := range s.Parts {
			got = append(got, p.Records...)
		}
		require.False(t, s.End && len(got) < n, "ended after %d of %d records", len(got), n)
	}
	return got
}

// all takes everything until the end, and the range that each partition had.
func all(t testing.TB, r source.Reader[kafka.Record]) ([]kafka.Record, map[string]source.Range) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var got []kafka.Record
	ranges := map[string]source.Range{}
	for {
		s, err := r.Cut(ctx, source.Request{Mode: source.Filled})
		require.NoError(t, err, "after %d records", len(got))
		for _, p := range s.Parts {
			got = append(got, p.Records...)
			whole, again := ranges[p.Range.Partition]
			if again {
				require.Equal(t, whole.Until, p.Range.From, "slices of %s must follow one another", p.Range.Partition)
				p.Range.From = whole.From
			}
			ranges[p.Range.Partition] = p.Range
		}
		if s.End {
			return got, ranges
		}
	}
}

// values are the values of records.
func values(records []kafka.Record) []string {
	got := []string{}
	for _, r := range records {
		got = append(got, string(r.Value))
	}
	return got
}

// numbered is "a0", "a1", ….
func numbered(prefix string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(prefix, i))
	}
	return out
}

// journal collects what is logged, and tells when something is.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func newJournal() (*journal, *slog.Logger) {
	j := &journal{news: make(chan struct{}, 1)}
	return j, slog.New(slog.NewTextHandler(j, nil))
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case j.news <- struct{}{}:
	default:
	}
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// wait waits until something is logged, but not for longer than that.
func (j *journal) wait(limit time.Duration) {
	select {
	case <-j.news:
	case <-time.After(limit):
	}
}

// await waits until text was logged.
func (j *journal) await(t testing.TB, text string) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for !strings.Contains(j.String(), text) {
		select {
		case <-j.news:
		case <-limit:
			t.Fatalf("not logged: %q; only:\n%s", text, j.String())
		}
	}
}

// quietly logs nothing.
var quietly = slog.New(slog.DiscardHandler)
