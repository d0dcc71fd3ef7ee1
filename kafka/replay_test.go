package kafka_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

func TestReplayEndsWhereThePartitionEnds(t *testing.T) {
	t.Parallel()
	const commit, abort = kgo.TryCommit, kgo.TryAbort
	tests := map[string]struct {
		fill  func(t *testing.T, plain *kgo.Client, addrs []string) // topic "twitter", partition 0
		want  []string
		until int64
	}{
		"empty": {
			fill: func(*testing.T, *kgo.Client, []string) {},
			want: []string{}, until: 0,
		},
		"records": {
			fill: func(t *testing.T, plain *kgo.Client, _ []string) { produce(t, plain, "twitter", 0, "a", "b") },
			want: []string{"a", "b"}, until: 2,
		},
		"committed transaction, whose marker is last": {
			fill: func(t *testing.T, _ *kgo.Client, addrs []string) { transact(t, addrs, commit, "twitter", 0, "a", "b") },
			want: []string{"a", "b"}, until: 3,
		},
		"aborted transaction last": {
			fill: func(t *testing.T, plain *kgo.Client, addrs []string) {
				produce(t, plain, "twitter", 0, "a")
				transact(t, addrs, abort, "twitter", 0, "b", "c")
			},
			want: []string{"a"}, until: 4,
		},
		"nothing but an aborted transaction": {
			fill: func(t *testing.T, _ *kgo.Client, addrs []string) { transact(t, addrs, abort, "twitter", 0, "a", "b") },
			want: []string{}, until: 3,
		},
		"aborted and committed in turn": {
			fill: func(t *testing.T, plain *kgo.Client, addrs []string) {
				transact(t, addrs, abort, "twitter", 0, "a")
				transact(t, addrs, commit, "twitter", 0, "b")
				produce(t, plain, "twitter", 0, "c")
				transact(t, addrs, abort, "twitter", 0, "d")
				transact(t, addrs, abort, "twitter", 0, "e")
			},
			want: []string{"b", "c"}, until: 9,
		},
		"open transaction, and records behind it": {
			fill: func(t *testing.T, plain *kgo.Client, addrs []string) {
				produce(t, plain, "twitter", 0, "a")
				txn := producer(t, addrs, kgo.TransactionalID("open"))
				require.NoError(t, txn.BeginTransaction())
				produce(t, txn, "twitter", 0, "b")
				produce(t, plain, "twitter", 0, "c")
				t.Cleanup(func() { _ = txn.EndTransaction(context.Background(), abort) })
			},
			want: []string{"a"}, until: 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, map[string]int{"twitter": 1})
			test.fill(t, producer(t, b.Addrs()), b.Addrs())
			config := kafka.Config{Brokers: b.Addrs(), Group: "replay"}
			r := open(t, kafka.Source(config, "twitter"), source.Options{Replay: true})
			got, ranges := all(t, r)
			require.Equal(t, test.want, values(got))
			end := source.Range{Partition: "twitter/0", Until: test.until}
			require.Equal(t, map[string]source.Range{"twitter/0": end}, ranges)

			// A finished replay that is started again ends at once.
			require.NoError(t, r.Commit(context.Background(), []source.Range{end}))
			require.NoError(t, r.Close())
			again, ranges := all(t, open(t, kafka.Source(config, "twitter"), source.Options{Replay: true}))
			require.Empty(t, again)
			require.Equal(t, test.until, ranges["twitter/0"].From)
			require.Equal(t, test.until, ranges["twitter/0"].Until)
		})
	}
}

func TestReplayDoesNotReadWhatArrivesMeanwhile(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	p := producer(t, b.Addrs())
	produce(t, p, "twitter", 0, "a")
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs()}, "twitter"), source.Options{Replay: true})
	produce(t, p, "twitter", 0, "b")
	got, _ := all(t, r)
	require.Equal(t, []string{"a"}, values(got))
}

func TestReplayEndsInACompactedPartition(t *testing.T) {
	t.Parallel()
	embeddedOnly(t)
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, c.CreateTopic("twitter", 1, map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": "0"}))
	p := producer(t, c.ListenAddrs())
	keyed := func(keys ...string) (batch []*kgo.Record) {
		for _, k := range keys {
			batch = append(batch, &kgo.Record{Topic: "twitter", Key: []byte(k), Value: []byte("of " + k), Timestamp: time.Now().Add(-time.Hour)})
		}
		return batch
	}
	for _, batch := range [][]*kgo.Record{keyed("a", "b", "c"), keyed("a", "c"), keyed("b", "d", "d")} {
		require.NoError(t, p.ProduceSync(context.Background(), batch...).FirstErr())
	}
	c.Compact()

	addrs := c.ListenAddrs()
	all := func(r kafka.Range) ([]string, source.Range) {
		t.Helper()
		r.Topic = "twitter"
		got, ranges := all(t, open(t, kafka.Source(kafka.Config{Brokers: addrs, Ranges: []kafka.Range{r}}), source.Options{}))
		return values(got), ranges["twitter/0"]
	}
	whole, _ := all(kafka.Range{Until: 8})
	require.Less(t, len(whole), 8, "something was compacted")
	for from := range int64(8) { // wherever one begins and ends, it does end
		t.Run(fmt.Sprint("from=", from), func(t *testing.T) {
			t.Parallel()
			for until := from; until <= 8; until++ {
				got, end := all(kafka.Range{From: from, Until: until})
				require.Subset(t, whole, got)
				require.Equal(t, source.Range{Partition: "twitter/0", From: from, Until: until}, end)
			}
		})
	}
}

func TestRangesEndInGaps(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	plain, addrs := producer(t, b.Addrs()), b.Addrs()
	transact(t, addrs, kgo.TryCommit, "twitter", 0, "0", "1") // and its marker, 2
	transact(t, addrs, kgo.TryAbort, "twitter", 0, "3", "4")  // 5
	produce(t, plain, "twitter", 0, "6")
	transact(t, addrs, kgo.TryAbort, "twitter", 0, "7") // 8
	visible := map[int64]bool{0: true, 1: true, 6: true}
	for from := range int64(9) {
		t.Run(fmt.Sprint("from=", from), func(t *testing.T) {
			t.Parallel()
			for until := from; until <= 9; until++ {
				want := []string{}
				for o := from; o < until; o++ {
					if visible[o] {
						want = append(want, fmt.Sprint(o))
					}
				}
				r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Ranges: []kafka.Range{{Topic: "twitter", From: from, Until: until}}}), source.Options{})
				got, ranges := all(t, r)
				require.Equal(t, want, values(got), "until %d", until)
				require.Equal(t, source.Range{Partition: "twitter/0", From: from, Until: until}, ranges["twitter/0"])
				require.NoError(t, r.Close())
			}
		})
	}
}

func TestUncommittedRecordsOnRequest(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	transact(t, b.Addrs(), kgo.TryAbort, "twitter", 0, "a")
	client := kafka.Defaults() // its isolation level does not count
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), ReadUncommitted: true, Client: client}, "twitter"), source.Options{Replay: true})
	got, ranges := all(t, r)
	require.Equal(t, []string{"a"}, values(got))
	require.EqualValues(t, 2, ranges["twitter/0"].Until, "the marker is no record")
}

func TestReplayByRecordTime(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	p := producer(t, b.Addrs())
	noon := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	for i := range 10 {
		require.NoError(t, p.ProduceSync(context.Background(), &kgo.Record{
			Topic: "twitter", Partition: int32(i % 2), Value: fmt.Append(nil, i), Timestamp: noon.Add(time.Duration(i) * time.Second),
		}).FirstErr())
	}
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs()}, "twitter"), source.Options{Replay: true})
	ctx := context.Background()
	at, ok, err := r.Next(ctx)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, noon, at)
	var got [][]string
	for at := noon.Add(4 * time.Second); ; at = at.Add(4 * time.Second) {
		s, err := r.Cut(ctx, source.Request{Mode: source.ByTime, Time: at})
		require.NoError(t, err)
		for _, part := range s.Parts {
			got = append(got, values(part.Records))
		}
		if s.End {
			break
		}
	}
	require.Equal(t, [][]string{{"0", "2"}, {"1", "3"}, {"4", "6"}, {"5", "7"}, {"8"}, {"9"}}, got)
}
