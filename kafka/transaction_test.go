package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/checkpoint/checkpointtest"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// exactly is settings of a sink that writes to a topic in transactions.
func exactly(addrs []string, topic string) kafka.SinkConfig {
	return kafka.SinkConfig{Brokers: addrs, Topic: topic, Transactional: true, WriteTimeout: 10 * time.Second, Client: quick()}
}

// counts is what a program "app" tells its output "counts".
var counts = sink.Options{App: "app", Name: "counts", Checkpoint: "1f3a"}

// openExact opens a sink until the end of the test, and asks what is stored.
func openExact(t testing.TB, c kafka.SinkConfig, message func(string) (kafka.Message, error)) (sink.Writer[string], int64) {
	t.Helper()
	w, err := kafka.Sink(c, message).Open(context.Background(), counts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	m, err := w.(sink.Marked[string]).Marker(context.Background())
	require.NoError(t, err)
	if m.Number > 0 {
		require.Equal(t, counts.Checkpoint, m.Checkpoint)
	}
	return w, m.Number
}

// numberedBatch is the batch with a number.
func numberedBatch(number int64, parts ...[]string) sink.Batch[string] {
	b := noon(parts...)
	b.Number = number
	return b
}

// requireStored checks what a reader of committed records sees.
func requireStored(t testing.TB, addrs []string, topic string, want ...string) {
	t.Helper()
	got, err := stored(addrs, topic)
	require.NoError(t, err)
	require.Equal(t, want, values(got))
}

// TestTransactionOutlastsTrouble has a cluster say of each request that it is not
// ready, several times.
func TestTransactionOutlastsTrouble(t *testing.T) {
	t.Parallel()
	tests := map[string]kfake.Fault{
		"the last transaction is not ended, before the first": {Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.ConcurrentTransactions},
		"the coordinator loads, before the first":             {Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.CoordinatorLoadInProgress},
		"the coordinator is not known yet":                    {Keys: []kmsg.Key{kmsg.FindCoordinator}, Err: kerr.CoordinatorNotAvailable, Count: 2},
		"the marker may change yet":                           {Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.UnstableOffsetCommit},
		"the last transaction is not ended":                   {Keys: []kmsg.Key{kmsg.AddPartitionsToTxn}, Err: kerr.ConcurrentTransactions},
		"the coordinator has moved":                           {Keys: []kmsg.Key{kmsg.AddPartitionsToTxn}, Err: kerr.NotCoordinator},
		"the coordinator has moved, before the marker":        {Keys: []kmsg.Key{kmsg.AddOffsetsToTxn}, Err: kerr.NotCoordinator},
		"the group's coordinator has moved":                   {Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.NotCoordinator},
		"the group's coordinator loads":                       {Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.CoordinatorLoadInProgress},
		"the coordinator has moved, before the commit":        {Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.NotCoordinator},
		"the coordinator loads, before the commit":            {Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.CoordinatorLoadInProgress},
		"the leader has moved":                                {Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			if fault.Count == 0 {
				fault.Count = 6 // more than the client tries in a row
			}
			h := c.Fault(fault)
			w, number := openExact(t, exactly(c.ListenAddrs(), "twitter"), textMessages)
			require.Zero(t, number)
			require.NoError(t, w.Write(context.Background(), numberedBatch(1, []string{"a", "b"})))
			require.NoError(t, w.Write(context.Background(), numberedBatch(2, []string{"c"})))
			require.EqualValues(t, fault.Count, h.Hits())
			require.NoError(t, w.Close())
			_, number = openExact(t, exactly(c.ListenAddrs(), "twitter"), textMessages)
			require.EqualValues(t, 2, number)
			requireStored(t, c.ListenAddrs(), "twitter", "a", "b", "c")
		})
	}
}

// TestTransactionTellsOfTroubleThatStays: with the reason, and soon if it is for good.
func TestTransactionTellsOfTroubleThatStays(t *testing.T) {
	t.Parallel()
	const whose = `another program with the same App and sink name is running, and has taken over the transactional.id "app/counts"`
	tests := map[string]struct {
		fault kfake.Fault
		want  string
		late  bool // the sink hopes until its time is over
	}{
		"no right to the transactional.id":  {kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.TransactionalIDAuthorizationFailed}, `this user may not write with the transactional.id "app/counts"`, false},
		"no right to look for it":           {kfake.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, TxnID: "app/counts", Err: kerr.TransactionalIDAuthorizationFailed}, `this user may not write with the transactional.id "app/counts"`, false},
		"no right to read the group":        {kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.GroupAuthorizationFailed}, `this user may not use the consumer group "godstream.app.counts"`, false},
		"no right to commit for the group":  {kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.GroupAuthorizationFailed}, `this user may not use the consumer group "godstream.app.counts"`, false},
		"no right to add the group":         {kfake.Fault{Keys: []kmsg.Key{kmsg.AddOffsetsToTxn}, Err: kerr.GroupAuthorizationFailed}, `this user may not use the consumer group "godstream.app.counts"`, false},
		"no right to the topic":             {kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed}, "kafka: write to twitter/0: ", false},
		"no right to add the topic":         {kfake.Fault{Keys: []kmsg.Key{kmsg.AddPartitionsToTxn}, Err: kerr.TopicAuthorizationFailed}, "kafka: write to twitter/0: ", false},
		"too long a transaction":            {kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.InvalidTransactionTimeout}, "WriteTimeout is 1m0s, and Kafka's transaction.max.timeout.ms allows no transaction that long", false},
		"fenced before the first partition": {kfake.Fault{Keys: []kmsg.Key{kmsg.AddPartitionsToTxn}, Err: kerr.ProducerFenced}, whose, false},
		"fenced at the records":             {kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidProducerEpoch}, whose, false},
		"fenced at the group":               {kfake.Fault{Keys: []kmsg.Key{kmsg.AddOffsetsToTxn}, Err: kerr.ProducerFenced}, whose, false},
		"fenced at the marker":              {kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.InvalidProducerEpoch}, whose, false},
		"fenced at the commit":              {kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ProducerFenced}, whose, false},
		"always loading, at the start":      {kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.CoordinatorLoadInProgress}, "loading", true},
		"never the leader":                  {kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition}, "kafka: write to twitter/0: ", true},
		"always another transaction":        {kfake.Fault{Keys: []kmsg.Key{kmsg.AddPartitionsToTxn}, Err: kerr.ConcurrentTransactions}, "transaction", true},
		"never the coordinator":             {kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.NotCoordinator}, "kafka: write to twitter: commit the transaction: ", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			test.fault.Count = -1
			c.Fault(test.fault)
			config := exactly(c.ListenAddrs(), "twitter")
			config.WriteTimeout, config.ConnectTimeout = 5*time.Second, 2*time.Second
			if !test.late {
				config.WriteTimeout = time.Minute
			}
			began := time.Now()
			err := func() error {
				w, err := kafka.Sink(config, textMessages).Open(context.Background(), counts)
				if err != nil {
					return err
				}
				defer w.Close()
				return w.Write(context.Background(), numberedBatch(1, []string{"a", "b"}))
			}()
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, time.Since(began), 15*time.Second)
			t.Log(time.Since(began), err)
		})
	}
}

// TestTransactionWhereAnswersAreLost loses each of the answers that a batch needs,
// with the connection or for good. What is not known then, the marker tells.
func TestTransactionWhereAnswersAreLost(t *testing.T) {
	for _, mute := range []bool{false, true} {
		t.Run(fmt.Sprint("for good=", mute), func(t *testing.T) {
			t.Parallel()
			lost(t, start(t, map[string]int{"out": 1}).Addrs(), "out", mute)
		})
	}
}

func lost(t *testing.T, addrs []string, topic string, mute bool) {
	var want []string
	limit, unknown, batch := time.Second, 0, int64(0)
	for answers := int64(1); answers <= 6; answers++ { // a batch needs five
		var wire wire
		c := exactly(addrs, topic)
		c.Client = wire.through()
		if mute {
			c.WriteTimeout = limit
		}
		w, number := openExact(t, c, textMessages)
		require.Equal(t, batch, number)
		batch++
		elements := numbered(fmt.Sprint("b", batch, "."), 20)
		want = append(want, elements...)
		wire.trouble = func() { wire.mute.Store(mute); wire.swallow.Store(!mute) }
		wire.left.Store(answers)
		err := w.Write(context.Background(), numberedBatch(batch, elements))
		if !mute {
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		if err != nil {
			w, number = openExact(t, exactly(addrs, topic), textMessages)
			if number == batch {
				unknown++
			} else {
				require.Equal(t, batch-1, number)
				require.NoError(t, w.Write(context.Background(), numberedBatch(batch, elements)))
			}
			require.NoError(t, w.Close())
		}
		requireStored(t, addrs, topic, want...)
		if mute && answers == 6 && unknown == 0 { // busy machines need longer
			limit, answers = 2*limit, 0
			require.Less(t, limit, 30*time.Second, "no batch was stored whose Write failed")
		}
	}
}

// TestTransactionWhileCoordinatorsMove has a cluster whose leaders and coordinators
// change in the middle of each batch.
func TestTransactionWhileCoordinatorsMove(t *testing.T) {
	t.Parallel()
	embeddedOnly(t)
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(1, "out"))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	w, _ := openExact(t, exactly(c.ListenAddrs(), "out"), func(s string) (kafka.Message, error) {
		if strings.HasSuffix(s, ".500") {
			c.RehashCoordinators()
			c.ShufflePartitionLeaders()
		}
		return kafka.Message{Value: []byte(s)}, nil
	})
	var want []string
	for n := int64(1); n <= 5; n++ {
		elements := numbered(fmt.Sprint("b", n, "."), 1000)
		want = append(want, elements...)
		require.NoError(t, w.Write(context.Background(), numberedBatch(n, elements)))
	}
	_, number := openExact(t, exactly(c.ListenAddrs(), "out"), textMessages)
	require.EqualValues(t, 5, number)
	requireStored(t, c.ListenAddrs(), "out", want...)
}

// TestTransactionOfAZombie: a writer that goes on after another one was opened,
// whenever that happens, stores nothing and is told why.
func TestTransactionOfAZombie(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"before a batch", "z0", "z1500", "z2999"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			replaced(t, start(t, map[string]int{"out": 1}).Addrs(), "out", at)
		})
	}
}

// replaced opens a sink a second time, at an element of the first.
func replaced(t *testing.T, addrs []string, topic, at string) {
	var other sink.Writer[string]
	replace := func() { other, _ = openExact(t, exactly(addrs, topic), textMessages) }
	zombie, _ := openExact(t, exactly(addrs, topic), func(s string) (kafka.Message, error) {
		if s == at {
			replace()
		}
		return kafka.Message{Value: []byte(s)}, nil
	})
	require.NoError(t, zombie.Write(context.Background(), numberedBatch(1, []string{"a"})))
	if at == "before a batch" {
		replace()
	}
	began := time.Now()
	err := zombie.Write(context.Background(), numberedBatch(2, numbered("z", 3000)))
	require.ErrorContains(t, err, "kafka: write to "+topic+`: another program with the same App and sink name is running, and has taken over the transactional.id "app/counts"`)
	require.Less(t, time.Since(began), 9*time.Second)
	require.ErrorContains(t, zombie.Write(context.Background(), numberedBatch(2)), "a Write has failed")

	require.NoError(t, other.Write(context.Background(), numberedBatch(2, []string{"b"})))
	_, number := openExact(t, exactly(addrs, topic), textMessages)
	require.EqualValues(t, 2, number)
	requireStored(t, addrs, topic, "a", "b")
}

// TestTransactionOfAnotherCheckpoint: a program that was started by mistake must
// not harm the one that runs.
func TestTransactionOfAnotherCheckpoint(t *testing.T) {
	b := start(t, map[string]int{"out": 1})
	w, _ := openExact(t, exactly(b.Addrs(), "out"), textMessages)
	require.NoError(t, w.Write(context.Background(), numberedBatch(1, []string{"a"})))
	other := counts
	other.Checkpoint = "5e6b"
	_, err := kafka.Sink(exactly(b.Addrs(), "out"), textMessages).Open(context.Background(), other)
	require.EqualError(t, err, `kafka: topic out: what is there of app/counts was stored by a program with checkpoint 1f3a, this one's is 5e6b; `+
		`go on with that checkpoint, or give the App or the output another name; to begin anew, delete the consumer group "godstream.app.counts"`)
	require.NoError(t, w.Write(context.Background(), numberedBatch(2, []string{"b"})))

	other.Name = "others" // has a marker of its own
	w, err = kafka.Sink(exactly(b.Addrs(), "out"), textMessages).Open(context.Background(), other)
	require.NoError(t, err)
	m, err := w.(sink.Marked[string]).Marker(context.Background())
	require.NoError(t, err)
	require.Zero(t, m)
	require.NoError(t, w.Close())
	requireStored(t, b.Addrs(), "out", "a", "b")
}

// TestTransactionThatIsGivenUp: readers do not wait for it, nor for the next start.
func TestTransactionThatIsGivenUp(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"out": 1})
	plain := producer(t, b.Addrs())
	failing := func(s string) (kafka.Message, error) {
		switch s {
		case "bad":
			return kafka.Message{}, errors.New("bad")
		case "worse":
			panic("worse")
		}
		return kafka.Message{Value: []byte(s)}, nil
	}
	var want []string
	for i, last := range []string{"bad", "worse", strings.Repeat("x", 2_000_000)} {
		w, _ := openExact(t, exactly(b.Addrs(), "out"), failing)
		write := func() error {
			return w.Write(context.Background(), numberedBatch(1, append(numbered("a", 3000), last)))
		}
		if last == "worse" {
			require.PanicsWithValue(t, last, func() { _ = write() })
		} else {
			require.Error(t, write())
		}
		behind := fmt.Sprint("behind", i)
		produce(t, plain, "out", 0, behind)
		want = append(want, behind)
		requireStored(t, b.Addrs(), "out", want...)
	}
	_, number := openExact(t, exactly(b.Addrs(), "out"), textMessages)
	require.Zero(t, number)
}

// TestTransactionThatTakesTooLong fails with that reason, and is not committed.
func TestTransactionThatTakesTooLong(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"out": 1})
	c := exactly(b.Addrs(), "out")
	c.WriteTimeout = 500 * time.Millisecond
	w, _ := openExact(t, c, func(s string) (kafka.Message, error) {
		<-time.After(c.WriteTimeout) // the user's function is slow
		return kafka.Message{Value: []byte(s)}, nil
	})
	require.ErrorContains(t, w.Write(context.Background(), numberedBatch(1, []string{"a"})), "kafka: write to out: the transaction would outlast its timeout, WriteTimeout, 500ms; raise that, or make batches smaller")
	_, number := openExact(t, exactly(b.Addrs(), "out"), textMessages)
	require.Zero(t, number)
	requireStored(t, b.Addrs(), "out", []string{}...)
}

var errCrash = errors.New("crash")

// crashing is a sink whose Writes fail before or after the batch is stored.
type crashing[T any] struct {
	sink.Sink[T]
	fail func() (before, after bool)
}

type crashingWriter[T any] struct {
	sink.Marked[T]
	fail func() (before, after bool)
}

func (c crashing[T]) Open(ctx context.Context, o sink.Options) (sink.Writer[T], error) {
	w, err := c.Sink.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return crashingWriter[T]{w.(sink.Marked[T]), c.fail}, nil
}

func (w crashingWriter[T]) Write(ctx context.Context, b sink.Batch[T]) error {
	before, after := w.fail()
	if before {
		return errCrash
	}
	if err := w.Marked.Write(ctx, b); err != nil {
		return err
	}
	if after {
		return errCrash
	}
	return nil
}

// TestExactlyOnce runs a program from Kafka to Kafka that keeps totals, and fails
// in random Writes, before and after the batch is stored. A reader finds each total
// once, and right.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 4 {
		exactlyOnce(t, rng, start(t, map[string]int{"in": 2, "out": 2}).Addrs(), "in", "out")
	}
}

func exactlyOnce(t *testing.T, rng *rand.Rand, addrs []string, from, to string) {
	p := producer(t, addrs)
	totals := map[string]int{}
	var want []string // each total when its batch is done
	for second := range 12 {
		seen := map[string]bool{}
		for range rng.IntN(5) {
			n := rng.IntN(100)
			key := strconv.Itoa(n % 3)
			totals[key] += n
			seen[key] = true
			at := time.Unix(1_700_000_000+int64(second), 0)
			require.NoError(t, p.ProduceSync(context.Background(), &kgo.Record{Topic: from, Partition: int32(n % 2), Value: []byte(strconv.Itoa(n)), Timestamp: at}).FirstErr())
		}
		for key := range seen {
			want = append(want, fmt.Sprint(second, " ", key, " ", totals[key]))
		}
	}
	calls, retries, fails := 0, rng.IntN(2), 0
	fail := func() (before, after bool) {
		calls++
		before, after = rng.IntN(5) == 0, rng.IntN(5) == 0
		if calls > 40 { // enough
			before, after = false, false
		}
		if before || after {
			fails++
		}
		return before, after
	}
	message := func(c stream.Pair[string, int]) (kafka.Message, error) {
		return kafka.Message{Key: []byte(c.Key), Value: []byte(strconv.Itoa(c.Value))}, nil
	}
	store := checkpointtest.NewFaulty(1)
	for restarts := 0; ; restarts++ {
		app, err := stream.GetOrCreate(store, func() (*stream.App, error) {
			app := stream.New(stream.Config{Name: "totals", Interval: time.Second, Ticks: stream.Replay, Partitions: 1 + rng.IntN(3),
				Retries: retries, RetryBackoff: 1, SaveEvery: []time.Duration{1, time.Hour}[rng.IntN(2)], Logger: slog.New(slog.DiscardHandler)})
			in := stream.Map(stream.From(app, kafka.Source(kafka.Config{Brokers: addrs, Client: quick()}, from)), func(r kafka.Record) int {
				n, _ := strconv.Atoi(string(r.Value))
				return n
			})
			keyed := stream.KeyBy(in, func(n int) string { return strconv.Itoa(n % 3) })
			sums, _ := stream.MapWithState(stream.ReduceByKey(keyed, func(a, b int) int { return a + b }),
				func(key string, n stream.Opt[int], s *stream.State[int]) stream.Opt[stream.Pair[string, int]] {
					total, _ := s.Get()
					total += n.Value
					s.Update(total)
					return stream.Some(stream.P(key, total))
				})
			out := kafka.Sink(exactly(addrs, to), message)
			stream.To(sums, sink.Sink[stream.Pair[string, int]](crashing[stream.Pair[string, int]]{out, fail}), stream.Name("totals"))
			return app, nil
		})
		require.NoError(t, err)
		err = app.Run(context.Background())
		if err == nil {
			t.Logf("%d failures, %d restarts", fails, restarts)
			break
		}
		require.ErrorIs(t, err, errCrash)
	}
	records, err := stored(addrs, to)
	require.NoError(t, err)
	var got []string
	for _, r := range records {
		second := r.Timestamp.Unix() - 1_700_000_000 - 1 // the batch has the time of its end
		got = append(got, fmt.Sprint(second, " ", string(r.Key), " ", string(r.Value)))
	}
	slices.Sort(want)
	slices.Sort(got)
	require.Equal(t, want, got)
}

// The input goes through two programs with one checkpoint: the second goes on where
// the first was stopped, and each total is in the topic once.
func ExampleSinkConfig_transactional() {
	broker, err := embedded.Start(embedded.Config{Topics: map[string]int{"totals": 1}})
	if err != nil {
		log.Fatal(err)
	}
	defer broker.Close()
	dir, err := os.MkdirTemp("", "totals")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	sold := [][]int{{3, 4}, {5}, {1, 1}}
	for _, batches := range [][][]int{sold[:2], sold} {
		app, err := stream.GetOrCreate(checkpoint.Dir(dir), func() (*stream.App, error) {
			app := stream.New(stream.Config{Name: "shop", Ticks: stream.Step, Logger: slog.New(slog.DiscardHandler)})
			tea := stream.KeyBy(stream.From(app, source.Queue(batches...)), func(int) string { return "tea" })
			totals := stream.UpdateStateByKey(tea, func(sold []int, total stream.Opt[int]) stream.Opt[int] {
				for _, n := range sold {
					total.Value += n
				}
				return stream.Some(total.Value)
			})
			to := kafka.SinkConfig{Brokers: broker.Addrs(), Topic: "totals", Transactional: true}
			stream.To(totals, kafka.Sink(to, func(p stream.Pair[string, int]) (kafka.Message, error) {
				return kafka.Message{Key: []byte(p.Key), Value: strconv.AppendInt(nil, int64(p.Value), 10)}, nil
			}), stream.Name("totals"))
			return app, nil
		})
		if err != nil {
			log.Fatal(err)
		}
		if err := app.Run(context.Background()); err != nil {
			log.Fatal(err)
		}
	}

	back := stream.New(stream.Config{Ticks: stream.Replay, Logger: slog.New(slog.DiscardHandler)})
	stream.ForEach(stream.From(back, kafka.Source(kafka.Config{Brokers: broker.Addrs()}, "totals")), func(r kafka.Record) error {
		_, err := fmt.Println(string(r.Key), string(r.Value))
		return err
	})
	if err := back.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// tea 7
	// tea 12
	// tea 14
}
