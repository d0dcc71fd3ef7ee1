package kafka_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godstream/godstream/internal/realkafka"
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

// Compaction leaves holes in batches and batches without a record, and takes
// markers of transactions away. Wherever a range begins and ends, it does end.
func TestRangesEndInACompactedPartition(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		transactional bool
		end           int64
		want          map[int64]string // by offset
	}{
		"records": {
			end: 9, want: map[int64]string{0: "z of 1", 4: "a of 2", 5: "c of 2", 6: "b of 3", 8: "d of 3"},
		},
		"transactions, one of which was aborted": {
			transactional: true, end: 15, want: map[int64]string{0: "z of 1", 8: "a of 2", 9: "c of 2", 11: "b of 3", 13: "d of 3"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addrs := compacted(t, test.transactional, test.end)
			for from := range test.end {
				t.Run(fmt.Sprint("from=", from), func(t *testing.T) {
					t.Parallel()
					for until := from; until <= test.end; until++ {
						want := map[int64]string{}
						for offset, value := range test.want {
							if from <= offset && offset < until {
								want[offset] = value
							}
						}
						got, end := rangeOf(t, addrs, from, until)
						require.Equal(t, want, got, "until %d", until)
						require.Equal(t, source.Range{Partition: "twitter/0", From: from, Until: until}, end)
					}
				})
			}
		})
	}
}

// rangeOf reads a range of twitter/0: the values by offset, and the range that it was.
func rangeOf(t testing.TB, addrs []string, from, until int64) (map[int64]string, source.Range) {
	t.Helper()
	c := kafka.Config{Brokers: addrs, Ranges: []kafka.Range{{Topic: "twitter", From: from, Until: until}}}
	r, err := kafka.Source(c).Open(context.Background(), source.Options{})
	require.NoError(t, err)
	defer r.Close()
	records, ranges := all(t, r)
	got := map[int64]string{}
	for _, r := range records {
		got[r.Offset] = string(r.Value)
	}
	return got, ranges["twitter/0"]
}

// compacted gives a broker whose topic twitter had three batches of records, each a
// transaction if that is asked for, with an aborted one in between, and was
// compacted up to an offset.
func compacted(t *testing.T, transactional bool, end int64) (addrs []string) {
	t.Helper()
	settings := map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": "0"}
	var b *puppet
	compact := func() {}
	if realkafka.Wanted(t) {
		b = startPuppet(t)
		b.deleteTopic("twitter")
		// Each batch has a segment, for the last one is not compacted.
		maps.Copy(settings, map[string]string{"segment.ms": "1", "min.cleanable.dirty.ratio": "0.001", "delete.retention.ms": "0"})
	} else {
		c, err := kfake.NewCluster(kfake.NumBrokers(1))
		require.NoError(t, err)
		t.Cleanup(c.Close)
		b = &puppet{t: t, addrs: c.ListenAddrs(), await: func(string, int) {}, admin: administer(t, c.ListenAddrs())}
		compact = c.Compact
	}
	b.createTopic("twitter", settings)
	at := time.Now().Add(-time.Hour)
	store := func(how kgo.TransactionEndTry, batch string, keys ...string) {
		var options []kgo.Opt
		if transactional {
			options = append(options, kgo.TransactionalID(fmt.Sprint("txn-", transactions.Add(1))))
		}
		p := producer(t, b.addrs, append(options, kgo.ProducerLinger(5*time.Millisecond))...)
		defer p.Close()
		if transactional {
			require.NoError(t, p.BeginTransaction())
		}
		at = at.Add(time.Minute)
		var records []*kgo.Record
		for _, k := range keys {
			records = append(records, &kgo.Record{Topic: "twitter", Key: []byte(k), Value: []byte(k + " of " + batch), Timestamp: at})
		}
		require.NoError(t, p.ProduceSync(context.Background(), records...).FirstErr())
		if transactional {
			require.NoError(t, p.EndTransaction(context.Background(), how))
			require.NoError(t, settle(b.addrs, "twitter"))
		}
	}
	store(kgo.TryCommit, "1", "z", "a", "b", "c")
	if transactional {
		store(kgo.TryAbort, "none", "a", "x")
	}
	store(kgo.TryCommit, "2", "a", "c")
	store(kgo.TryCommit, "3", "b", "d", "d")
	at = time.Now().Add(30 * time.Minute)
	store(kgo.TryCommit, "4", "e") // begins a new segment
	compact()
	for began := time.Now(); ; {
		got, _ := rangeOf(t, b.addrs, 0, end)
		if len(got) == 5 {
			return b.addrs
		}
		require.Less(t, time.Since(began), 20*time.Second, "it is not compacted: %v", got)
		<-time.After(50 * time.Millisecond)
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
