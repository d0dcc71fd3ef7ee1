package realkafka_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/internal/realkafka"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(realkafka.Main(m)) }

// create makes a topic with a name that begins with one.
func create(t *testing.T, brokers []string, name string, replicas int16) string {
	t.Helper()
	client := kafka.Defaults()
	client.Metadata.Full = true
	admin, err := sarama.NewClusterAdmin(brokers, client)
	require.NoError(t, err)
	defer admin.Close()
	topic := fmt.Sprintf("%s-%d", name, time.Now().UnixNano())
	require.NoError(t, admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: replicas}, false))
	return topic
}

// write writes lines as batch 1, by a sink that is opened for it.
func write(t *testing.T, c kafka.SinkConfig, lines ...string) {
	t.Helper()
	w, err := kafka.Sink(c, kafka.Values(func(dst []byte, s string) ([]byte, error) { return append(dst, s...), nil })).
		Open(t.Context(), sink.Options{App: c.Topic, Name: "lines", Checkpoint: "1f3a"})
	require.NoError(t, err)
	require.NoError(t, w.Write(t.Context(), sink.Batch[string]{Time: time.Now(), Number: 1, Parts: [][]string{lines}}))
	require.NoError(t, w.Close())
}

// read reads n lines of a topic, waiting for them: what a transaction has written
// is seen a moment after it has ended.
func read(t *testing.T, brokers []string, topic string, n int) (lines []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := kafka.Source(kafka.Config{Brokers: brokers, Start: kafka.Earliest}, topic).Open(ctx, source.Options{})
	require.NoError(t, err)
	defer r.Close()
	for len(lines) < n {
		s, err := r.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 1})
		require.NoError(t, err)
		for _, p := range s.Parts {
			for _, r := range p.Records {
				lines = append(lines, string(r.Value))
			}
		}
	}
	return lines
}

// TestWhatIsWrittenIsRead runs without having been asked for, where that costs little.
func TestWhatIsWrittenIsRead(t *testing.T) {
	realkafka.NeedOrHave(t)
	brokers := realkafka.Shared(t)
	for _, transactional := range []bool{false, true} {
		topic := create(t, brokers, "lines", 1)
		write(t, kafka.SinkConfig{Brokers: brokers, Topic: topic, Transactional: transactional}, "tea", "rye", "tea")
		require.Equal(t, []string{"tea", "rye", "tea"}, read(t, brokers, topic, 3), "transactional: %v", transactional)
	}
}

func TestABrokerOfThreeEndsAndComesBack(t *testing.T) {
	realkafka.Need(t)
	c := realkafka.Start(t, realkafka.Config{Brokers: 3})
	brokers := c.Addrs()
	require.Len(t, brokers, 3)
	topic := create(t, brokers, "lines", 3)
	write(t, kafka.SinkConfig{Brokers: brokers, Topic: topic}, "tea")

	for _, end := range []func(int){c.Kill, c.Stop} {
		end(1)
		_, err := net.Dial("tcp", brokers[1])
		require.Error(t, err, "it is gone")
		write(t, kafka.SinkConfig{Brokers: brokers, Topic: topic}, "rye")
		c.Restart(1)
		conn, err := net.Dial("tcp", brokers[1])
		require.NoError(t, err, "it is back at its address")
		require.NoError(t, conn.Close())
	}
	require.Equal(t, []string{"tea", "rye", "rye"}, read(t, brokers, topic, 3))
}

func TestListenersAndProperties(t *testing.T) {
	realkafka.Need(t)
	c := realkafka.Start(t, realkafka.Config{
		Listeners: map[string]string{"LOCKED": "SASL_PLAINTEXT"},
		Properties: map[string]string{
			"listener.name.locked.sasl.enabled.mechanisms": "PLAIN",
			"listener.name.locked.plain.sasl.jaas.config":  `org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="hunter2";`,
			"auto.create.topics.enable":                    "false",
		},
	})
	topic := create(t, c.Addrs(), "lines", 1)
	client := kafka.Defaults()
	client.Net.SASL.Enable, client.Net.SASL.User, client.Net.SASL.Password = true, "alice", "hunter2"
	write(t, kafka.SinkConfig{Brokers: c.AddrsOf("LOCKED"), Topic: topic, Client: client}, "tea")
	require.Equal(t, []string{"tea"}, read(t, c.Addrs(), topic, 1))

	stranger := *client
	stranger.Net.SASL.Password = "hunter3"
	_, err := kafka.Source(kafka.Config{Brokers: c.AddrsOf("LOCKED"), Client: &stranger, ConnectTimeout: 5 * time.Second}, topic).Open(t.Context(), source.Options{})
	require.ErrorContains(t, err, "Authentication failed")
}

// failing is a test that notes how it ended.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper()           {}
func (f *failing) Fatal(args ...any) { f.said = fmt.Sprint(args...); panic(f) }

func TestABrokerThatCannotStartShowsItsLog(t *testing.T) {
	realkafka.Need(t)
	f := &failing{TB: t}
	require.PanicsWithValue(t, f, func() {
		realkafka.Start(f, realkafka.Config{Properties: map[string]string{"num.io.threads": "many"}})
	})
	require.Contains(t, f.said, "realkafka: broker 1 has ended:\n")
	require.Contains(t, f.said, "Invalid value many for configuration num.io.threads")
}
