package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/sink/sinktest"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// textMessages makes messages of lines.
var textMessages = kafka.Values(func(dst []byte, s string) ([]byte, error) { return append(dst, s...), nil })

// stored is everything in a topic, partition by partition.
func stored(addrs []string, topic string) ([]kafka.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := settle(addrs, topic); err != nil {
		return nil, err
	}
	r, err := kafka.Source(kafka.Config{Brokers: addrs, Client: quick()}, topic).Open(ctx, source.Options{Replay: true})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	parts := map[string][]kafka.Record{}
	for end := false; !end; {
		s, err := r.Cut(ctx, source.Request{Mode: source.Filled})
		if err != nil {
			return nil, err
		}
		for _, p := range s.Parts {
			parts[p.Range.Partition] = append(parts[p.Range.Partition], p.Records...)
		}
		end = s.End
	}
	var all []kafka.Record
	for p := range len(parts) {
		all = append(all, parts[topic+"/"+strconv.Itoa(p)]...)
	}
	return all, nil
}

// committed is what has been committed in partition 0 of a topic, as another client
// sees it, and sooner than a Source.
func committed(addrs []string, topic string) (values []string, _ error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(addrs...), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(0)}}))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := settle(addrs, topic); err != nil {
		return nil, err
	}
	all, err := ends(ctx, c, topic, 1)
	if err != nil {
		return nil, err
	}
	for next, end := int64(0), all[0]; next < end; {
		fetched := c.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			return nil, err
		}
		for _, r := range fetched.Records() {
			if r.Offset < end && !r.Attrs.IsControl() {
				values = append(values, string(r.Value))
			}
			next = r.Offset + 1
		}
	}
	return values, nil
}

func TestSinkContract(t *testing.T) {
	for _, transactional := range []bool{false, true} {
		t.Run(fmt.Sprint("transactional=", transactional), func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Place[string] {
				b := start(t, map[string]int{"out": 1})
				return sinktest.Place[string]{
					Sink:   kafka.Sink(kafka.SinkConfig{Brokers: b.Addrs(), Topic: "out", WriteTimeout: time.Second, Transactional: transactional, Client: quick()}, textMessages),
					Atomic: transactional,
					Read:   func() ([]string, error) { return committed(b.Addrs(), "out") },
					Break: func() func() {
						b.Pause()
						return func() { require.NoError(t, b.Resume()) }
					},
				}
			})
		})
	}
}

// openSink opens a sink until the end of the test.
func openSink[T any](t testing.TB, c kafka.SinkConfig, message func(T) (kafka.Message, error)) sink.Writer[T] {
	t.Helper()
	w, err := kafka.Sink(c, message).Open(context.Background(), sink.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w
}

// noon is the batch of a time.
func noon[T any](parts ...[]T) sink.Batch[T] {
	at := time.Date(2024, 5, 1, 12, 0, 0, 123_456_789, time.UTC)
	return sink.Batch[T]{ID: at.Format(time.RFC3339Nano), Time: at, Parts: parts}
}

func TestSinkMessages(t *testing.T) {
	b := start(t, map[string]int{"out": 1})
	own := time.Date(2020, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	messages := []kafka.Message{
		{Key: []byte("k"), Value: []byte("v"), Headers: []kafka.Header{{Key: "h", Value: []byte("1")}, {Key: "h", Value: []byte{}}}},
		{Key: []byte{}, Value: []byte{}, Timestamp: own},
		{Key: []byte("gone")},
		{},
	}
	w := openSink(t, kafka.SinkConfig{Brokers: b.Addrs(), Topic: "out"}, func(m kafka.Message) (kafka.Message, error) { return m, nil })
	require.NoError(t, w.Write(context.Background(), noon(messages)))
	empty := openSink(t, kafka.SinkConfig{Brokers: b.Addrs(), Topic: "out"}, textMessages)
	require.NoError(t, empty.Write(context.Background(), noon([]string{""})))

	got, err := stored(b.Addrs(), "out")
	require.NoError(t, err)
	at := noon[int]().Time.Truncate(time.Millisecond)
	require.Equal(t, []kafka.Record{
		{Topic: "out", Timestamp: at, Key: []byte("k"), Value: []byte("v"), Headers: messages[0].Headers},
		{Topic: "out", Offset: 1, Timestamp: own, Key: []byte{}, Value: []byte{}},
		{Topic: "out", Offset: 2, Timestamp: at, Key: []byte("gone")},
		{Topic: "out", Offset: 3, Timestamp: at},
		{Topic: "out", Offset: 4, Timestamp: at, Value: []byte{}},
	}, got)
}

func TestSinkPartitions(t *testing.T) {
	b := start(t, map[string]int{"out": 3})
	message := func(s string) (kafka.Message, error) {
		key, value, _ := strings.Cut(s, ":")
		m := kafka.Message{Value: []byte(value)}
		if key != "" {
			m.Key = []byte(key)
		}
		return m, nil
	}
	w := openSink(t, kafka.SinkConfig{Brokers: b.Addrs(), Topic: "out"}, message)
	var keyed []string
	kafkas := kgo.StickyKeyPartitioner(nil).ForTopic("out") // what Kafka's own clients do
	want := make([][]string, 3)
	for i := range 30 {
		key, value := fmt.Sprint("key", i), fmt.Sprint("v", i)
		keyed = append(keyed, key+":"+value)
		p := kafkas.Partition(&kgo.Record{Key: []byte(key)}, 3)
		want[p] = append(want[p], value)
	}
	require.NoError(t, w.Write(context.Background(), noon(keyed[:10], keyed[10:30])))
	require.NoError(t, w.Write(context.Background(), noon([]string{":a0", ":a1"}, nil, []string{":c0"}, []string{":d0"}, []string{":e0", ":e1"})))
	want[0] = append(want[0], "a0", "a1", "d0")
	want[1] = append(want[1], "e0", "e1")
	want[2] = append(want[2], "c0")

	got, err := stored(b.Addrs(), "out")
	require.NoError(t, err)
	require.Equal(t, slices.Concat(want...), values(got))

	require.NoError(t, b.Create("turns", 3))
	w = openSink(t, kafka.SinkConfig{Brokers: b.Addrs(), Topic: "turns", Partitioner: sarama.NewRoundRobinPartitioner}, message)
	require.NoError(t, w.Write(context.Background(), noon([]string{":a", ":b", ":c", ":d"})))
	got, err = stored(b.Addrs(), "turns")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "d", "b", "c"}, values(got))
}

// wire is the network between a client and a broker, which a test can break.
type wire struct {
	refused   func()      // called when a connection can't be made
	mute      atomic.Bool // lets no answer through
	swallow   atomic.Bool // breaks a connection where the next answer should come
	swallowed atomic.Int64
	left      atomic.Int64 // answers until trouble
	trouble   func()
}

func (w *wire) Dial(network, addr string) (net.Conn, error) {
	c, err := net.Dial(network, addr)
	if err != nil {
		if w.refused != nil {
			w.refused()
		}
		return nil, err
	}
	return &wireConn{Conn: c, wire: w, closed: make(chan struct{})}, nil
}

type wireConn struct {
	net.Conn
	wire   *wire
	once   sync.Once
	closed chan struct{}
}

func (c *wireConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.wire.left.Add(-1) == 0 {
		c.wire.trouble()
	}
	if c.wire.mute.Load() {
		<-c.closed
		return 0, net.ErrClosed
	}
	if n > 0 && c.wire.swallow.CompareAndSwap(true, false) {
		c.wire.swallowed.Add(1)
		c.Conn.Close()
		return 0, io.EOF
	}
	return n, err
}

func (c *wireConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// through is quick settings by that wire.
func (w *wire) through() *sarama.Config {
	c := quick()
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, w
	return c
}

// TestSinkSendsOnceWhenAnswersAreLost: what Kafka has stored and the client does
// not know of is sent again, and must not be there twice, nor in another order.
func TestSinkSendsOnceWhenAnswersAreLost(t *testing.T) {
	t.Parallel()
	for _, transactional := range []bool{false, true} {
		var w wire
		troubled(t, start(t, map[string]int{"out": 2}), transactional, &w, func() { w.swallow.Store(true) })
		require.EqualValues(t, 4, w.swallowed.Load())
	}
}

func TestSinkWaitsForABrokerThatComesBack(t *testing.T) {
	t.Parallel()
	for _, transactional := range []bool{false, true} {
		b := start(t, map[string]int{"out": 2})
		var refusals atomic.Int64
		troubled(t, b, transactional, &wire{refused: func() {
			if refusals.Add(1)%10 == 0 { // more than the client alone would bear
				_ = b.Resume() // or else the Write fails
			}
		}}, b.Pause)
		require.GreaterOrEqual(t, refusals.Load(), int64(40))
	}
}

// troubled writes four batches, each with trouble in its middle, and checks that
// everything is there once and in order.
func troubled(t *testing.T, b broker, transactional bool, w *wire, trouble func()) {
	c := kafka.SinkConfig{Brokers: b.Addrs(), Topic: "out", WriteTimeout: 15 * time.Second, Transactional: transactional, Client: w.through()}
	out := openSink(t, c, func(s string) (kafka.Message, error) {
		if s[0] == 'a' && strings.HasSuffix(s, "500") {
			trouble()
		}
		return kafka.Message{Value: []byte(s)}, nil
	})
	first, second := numbered("a", 4000), numbered("b", 4000)
	for i := 0; i < 4000; i += 1000 {
		require.NoError(t, out.Write(context.Background(), noon(first[i:i+1000], second[i:i+1000])))
	}
	got, err := stored(b.Addrs(), "out")
	require.NoError(t, err)
	require.Equal(t, append(first, second...), values(got))
}

func TestSinkFailsWhenABrokerStaysAway(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"out": 1})
	client := quick()
	client.Producer.Retry.Backoff = time.Hour // can be cut short, too
	c := kafka.SinkConfig{Brokers: b.Addrs(), Topic: "out", WriteTimeout: 2 * time.Second, Client: client}
	out := openSink(t, c, textMessages)
	b.Pause()
	for range 2 { // with a connection that broke, and without one
		began := time.Now()
		err := out.Write(context.Background(), noon([]string{"a", "b"}))
		require.ErrorContains(t, err, "kafka: write to out: no answer within 2s: dial tcp "+b.Addrs()[0])
		require.Less(t, time.Since(began), 10*time.Second)
	}
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	patient := c
	patient.WriteTimeout = time.Hour
	require.NoError(t, b.Resume())
	other := openSink(t, patient, textMessages)
	b.Pause()
	began := time.Now()
	require.ErrorIs(t, other.Write(ctx, noon([]string{"x"})), why)
	require.Less(t, time.Since(began), 5*time.Second)
	require.NoError(t, other.Write(context.Background(), noon[string](nil, nil)), "there is nothing to write")

	require.NoError(t, b.Resume())
	require.NoError(t, out.Write(context.Background(), noon([]string{"a", "b"})))
	got, err := stored(b.Addrs(), "out")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, values(got))
}

func TestSinkTriesAgainForMostOfItsTime(t *testing.T) {
	tests := map[string]struct {
		backoff time.Duration
		grows   func(int, int) time.Duration
		timeout time.Duration
	}{
		"as usual":                    {100 * time.Millisecond, nil, 2 * time.Minute},
		"a long time":                 {100 * time.Millisecond, nil, 10 * time.Hour},
		"short pauses":                {time.Millisecond, nil, 10 * time.Hour},
		"no pauses":                   {0, nil, time.Hour},
		"a pause that fits in once":   {45 * time.Second, nil, time.Minute},
		"a pause that is too long":    {time.Hour, nil, time.Minute},
		"pauses that do not fit":      {7 * time.Second, nil, time.Minute},
		"pauses of a function":        {100 * time.Millisecond, func(int, int) time.Duration { return time.Millisecond }, time.Hour},
		"pauses of one that grow":     {100 * time.Millisecond, func(n, _ int) time.Duration { return time.Duration(n) * time.Second }, time.Hour},
		"as short a time as there is": {100 * time.Millisecond, nil, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				client := kafka.Defaults()
				client.Producer.Retry.Backoff, client.Producer.Retry.BackoffFunc = test.backoff, test.grows
				for _, transactional := range []bool{false, true} {
					limit, pause := kafka.Pauses(kafka.SinkConfig{WriteTimeout: test.timeout, Transactional: transactional, Client: client})
					require.LessOrEqual(t, limit, 10_001)
					begin := time.Now()
					for i := range limit {
						require.Zero(t, pause(i, limit))
					}
					require.Equal(t, test.timeout/4*3, time.Since(begin))
				}
			})
		})
	}
}

func TestSinkFailsWhenABrokerIsMute(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"out": 1})
	var w wire
	out := openSink(t, kafka.SinkConfig{Brokers: b.Addrs(), Topic: "out", WriteTimeout: 500 * time.Millisecond, Client: w.through()}, textMessages)
	w.mute.Store(true)
	for range 2 {
		began := time.Now()
		require.ErrorContains(t, out.Write(context.Background(), noon([]string{"a"})), "no answer within 500ms")
		require.Less(t, time.Since(began), 5*time.Second)
	}
	w.mute.Store(false)
	require.NoError(t, out.Write(context.Background(), noon([]string{"a"})))
}

func TestSinkOpenFails(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"out": 1})
	open := func(c kafka.SinkConfig) error {
		c.Client = quick()
		_, err := kafka.Sink(c, textMessages).Open(context.Background(), sink.Options{})
		return err
	}
	require.EqualError(t, open(kafka.SinkConfig{Brokers: b.Addrs(), Topic: "ouch"}),
		`kafka: topic "ouch" does not exist on `+b.Addrs()[0]+`; create it first, or mend the name`)
	b.Pause()
	began := time.Now()
	require.ErrorContains(t, open(kafka.SinkConfig{Brokers: b.Addrs(), Topic: "out"}), "kafka: connect to "+b.Addrs()[0])
	require.Less(t, time.Since(began), 5*time.Second, "a broker that refuses need not be waited for")
}

func TestSinkMessageThatCanNotBeSent(t *testing.T) {
	b := start(t, map[string]int{"out": 1})
	all := func() []kafka.Record {
		got, err := stored(b.Addrs(), "out")
		require.NoError(t, err)
		return got
	}
	before := 0
	client := quick()
	client.Producer.MaxMessageBytes = 10_000
	out := openSink(t, kafka.SinkConfig{Brokers: b.Addrs(), Topic: "out", Client: client}, func(s string) (kafka.Message, error) {
		switch s {
		case "bad":
			return kafka.Message{}, io.ErrUnexpectedEOF
		case "worse":
			for len(all()) == before { // until there is a message that the sink has no answer for
			}
			panic(s)
		}
		return kafka.Message{Value: []byte(s)}, nil
	})
	large := strings.Repeat("x", 20_000)
	err := out.Write(context.Background(), noon([]string{"a"}, []string{"b", large}))
	require.ErrorContains(t, err, "kafka: write element 1 of partition 1 to out: the message has 20036 bytes, and Client.Producer.MaxMessageBytes is 10000; raise that")

	err = out.Write(context.Background(), noon([]string{"a", "bad"}))
	require.EqualError(t, err, "kafka: write element 1 of partition 0 to out: unexpected EOF")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)

	before = len(all())
	require.PanicsWithValue(t, "worse", func() { _ = out.Write(context.Background(), noon([]string{"a", "worse"})) })
	b.Pause()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, out.Write(ctx, noon([]string{"b"})), context.DeadlineExceeded, "answers to what was on its way then must not count now")
	require.NoError(t, b.Resume())

	limit(t, b, "out", 5000)
	err = out.Write(context.Background(), noon([]string{large[:8000]}))
	require.ErrorIs(t, err, sarama.ErrMessageSizeTooLarge)
	require.ErrorContains(t, err, "kafka: write to out/0: ")
	require.ErrorContains(t, err, "raise max.message.bytes of the topic, or lower Client.Producer.MaxMessageBytes to it (that is 10000")

	require.NoError(t, out.Write(context.Background(), noon([]string{"after"})))
	got := all()
	require.Equal(t, "after", string(got[len(got)-1].Value))
	for _, r := range got {
		require.Contains(t, []string{"a", "b", "after"}, string(r.Value))
	}
}

func TestSinkWhoseTopicIsDeleted(t *testing.T) {
	b := start(t, map[string]int{"out": 1})
	out := openSink(t, kafka.SinkConfig{Brokers: b.Addrs(), Topic: "out", WriteTimeout: 300 * time.Millisecond, Client: quick()}, textMessages)
	require.NoError(t, out.Write(context.Background(), noon([]string{"a"})))
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr("out")
	req.TopicNames, req.Topics = []string{"out"}, append(req.Topics, topic)
	resp, err := req.RequestWith(context.Background(), producer(t, b.Addrs()))
	require.NoError(t, err)
	require.Zero(t, resp.Topics[0].ErrorCode)
	require.ErrorIs(t, out.Write(context.Background(), noon([]string{"b"})), sarama.ErrUnknownTopicOrPartition)
	require.ErrorContains(t, out.Write(context.Background(), noon([]string{"b"})), `topic "out" does not exist`)
	require.NoError(t, b.Create("out", 1))
	require.NoError(t, out.Write(context.Background(), noon([]string{"b"})))
}

// limit sets the size that a topic takes.
func limit(t *testing.T, b broker, topic string, bytes int) {
	t.Helper()
	c := producer(t, b.Addrs())
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	of := kmsg.NewIncrementalAlterConfigsRequestResource()
	of.ResourceType, of.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	set := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	value := strconv.Itoa(bytes)
	set.Name, set.Value = "max.message.bytes", &value
	of.Configs = append(of.Configs, set)
	req.Resources = append(req.Resources, of)
	resp, err := req.RequestWith(context.Background(), c)
	require.NoError(t, err)
	require.Zero(t, resp.Resources[0].ErrorCode)
}

// TestSinkTellsWhyKafkaRefuses uses a broker that only answers as it is told.
func TestSinkTellsWhyKafkaRefuses(t *testing.T) {
	reasons := map[string]sarama.KError{"for a while": sarama.ErrNotEnoughReplicas, "for good": sarama.ErrTopicAuthorizationFailed}
	for name, reason := range reasons {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := sarama.NewMockBroker(t, 1)
			defer b.Close()
			keys := []sarama.ApiVersionsResponseKey{{ApiKey: 0, MinVersion: 3, MaxVersion: 7}, {ApiKey: 3, MaxVersion: 5}, {ApiKey: 22, MaxVersion: 1}}
			b.SetHandlerByMap(map[string]sarama.MockResponse{
				"ApiVersionsRequest":    sarama.NewMockApiVersionsResponse(t).SetApiKeys(keys),
				"MetadataRequest":       sarama.NewMockMetadataResponse(t).SetBroker(b.Addr(), b.BrokerID()).SetLeader("out", 0, b.BrokerID()),
				"InitProducerIDRequest": sarama.NewMockInitProducerIDResponse(t),
				"ProduceRequest":        sarama.NewMockProduceResponse(t).SetError("out", 0, reason),
			})
			out := openSink(t, kafka.SinkConfig{Brokers: []string{b.Addr()}, Topic: "out", WriteTimeout: 2 * time.Second, Client: quick()}, textMessages)
			began := time.Now()
			err := out.Write(context.Background(), noon([]string{"a"}))
			require.ErrorIs(t, err, reason)
			require.ErrorContains(t, err, "kafka: write to out/0: ")
			require.Less(t, time.Since(began), 5*time.Second)
		})
	}
}

func TestSinkCheck(t *testing.T) {
	check := func(s any) error { return s.(interface{ Check() error }).Check() }
	require.NoError(t, check(kafka.Sink(kafka.SinkConfig{Brokers: []string{"a:1"}, Topic: "out"}, textMessages)))
	require.Equal(t, "kafka out", kafka.Sink(kafka.SinkConfig{Topic: "out"}, textMessages).(fmt.Stringer).String())

	require.EqualError(t, check(kafka.Sink(kafka.SinkConfig{WriteTimeout: -1, ConnectTimeout: -2}, kafka.Values[int](nil))),
		`kafka: SinkConfig.Brokers is empty; give the address of a broker, such as localhost:9092
kafka: SinkConfig.Topic is ""; the name of one has 1 to 249 of the characters a-z A-Z 0-9 . _ -
kafka: SinkConfig.ConnectTimeout is negative: -2ns
kafka: SinkConfig.WriteTimeout is negative: -1ns
kafka: Sink: the function that makes messages is nil`)

	old := kafka.Defaults()
	old.Version = sarama.V0_10_2_0
	old.Producer.RequiredAcks = sarama.NoResponse // does not count
	err := check(kafka.Sink(kafka.SinkConfig{Brokers: []string{"localhost"}, Topic: "out", Client: old}, textMessages))
	require.ErrorContains(t, err, `kafka: SinkConfig.Brokers has "localhost", which is not host:port`)
	require.ErrorContains(t, err, "Client")
	require.Equal(t, sarama.NoResponse, old.Producer.RequiredAcks, "the user's settings are not changed")
}

// The counts of words go to one topic, by key, and are read back.
func ExampleSink() {
	broker, err := embedded.Start(embedded.Config{Topics: map[string]int{"counts": 1}})
	if err != nil {
		log.Fatal(err)
	}
	defer broker.Close()

	app := stream.New(stream.Config{Ticks: stream.Step})
	words := stream.From(app, source.Queue([]string{"tea", "rye", "tea"}))
	to := kafka.SinkConfig{Brokers: broker.Addrs(), Topic: "counts"}
	stream.To(stream.CountByValue(words), kafka.Sink(to, func(p stream.Pair[string, int64]) (kafka.Message, error) {
		return kafka.Message{Key: []byte(p.Key), Value: strconv.AppendInt(nil, p.Value, 10)}, nil
	}))
	if err := app.Run(context.Background()); err != nil {
		log.Fatal(err)
	}

	back := stream.New(stream.Config{Ticks: stream.Replay})
	counts := stream.From(back, kafka.Source(kafka.Config{Brokers: broker.Addrs()}, "counts"))
	stream.ForEach(counts, func(r kafka.Record) error {
		_, err := fmt.Println(r.Timestamp.Format(time.RFC3339), string(r.Key), string(r.Value))
		return err
	})
	if err := back.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1970-01-01T00:00:01Z tea 2
	// 1970-01-01T00:00:01Z rye 1
}
