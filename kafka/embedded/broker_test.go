package embedded_test

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/kafka/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, c embedded.Config) *embedded.Broker {
	t.Helper()
	b, err := embedded.Start(c)
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b
}

func TestTopicsHaveTheirPartitions(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{Topics: map[string]int{"twitter": 3}})
	require.NoError(t, b.Create("news", 2))
	require.ErrorContains(t, b.Create("news", 2), `embedded: create topic "news": `)
	require.ErrorContains(t, b.Create("none", 0), "0 partitions")
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer c.Close()
	for topic, n := range map[string]int32{"twitter": 3, "news": 2} {
		require.NoError(t, c.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Partition: n - 1}).FirstErr())
		require.Error(t, c.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Partition: n}).FirstErr())
	}
}

func TestStartRefusesFaultySettings(t *testing.T) {
	t.Parallel()
	_, err := embedded.Start(embedded.Config{Port: -1, Topics: map[string]int{"twitter": 0}})
	require.ErrorContains(t, err, "Config.Port is -1")
	require.ErrorContains(t, err, `Config.Topics gives "twitter" 0 partitions`)
	_, err = embedded.Start(embedded.Config{Topics: map[string]int{"not/a topic": 1}})
	require.ErrorContains(t, err, `"not/a topic"`)
}

func TestPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	_, err = embedded.Start(embedded.Config{Port: port})
	require.ErrorContains(t, err, "embedded: start the broker on port ")
	require.NoError(t, l.Close())
	require.Equal(t, []string{l.Addr().String()}, start(t, embedded.Config{Port: port}).Addrs())
}

func TestPauseBreaksConnectionsAndKeepsData(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{})
	load := func(text string) {
		t.Helper()
		_, err := b.Load(context.Background(), "twitter", strings.NewReader(text))
		require.NoError(t, err)
	}
	load("a\nb\n")
	require.Len(t, stored(t, b, "twitter", 2), 2)
	conn, err := net.Dial("tcp", b.Addrs()[0])
	require.NoError(t, err)
	defer conn.Close()

	b.Pause()
	b.Pause() // does nothing
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection breaks")
	_, err = net.Dial("tcp", b.Addrs()[0])
	require.Error(t, err)
	load("c\n")

	require.NoError(t, b.Resume())
	require.NoError(t, b.Resume()) // does nothing
	require.Equal(t, []string{"a", "b", "c"}, values(stored(t, b, "twitter", 3)))
}

func TestNothingWorksAfterClose(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{})
	b.Close()
	b.Close()
	_, err := net.Dial("tcp", b.Addrs()[0])
	require.Error(t, err)
	require.ErrorContains(t, b.Create("twitter", 1), "the broker is closed")
	_, err = b.Load(context.Background(), "twitter", strings.NewReader("a"))
	require.ErrorContains(t, err, "the broker is closed")
	require.Error(t, b.Resume())
	b.Pause()
}

func TestCloseEndsALoad(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{})
	read := make(chan struct{})
	n := 0
	endless := readerFunc(func(p []byte) (int, error) {
		if n++; n == 3 {
			close(read)
		}
		return copy(p, strings.Repeat("some line\n", len(p)/10)), nil
	})
	result := make(chan error)
	go func() {
		_, err := b.Load(context.Background(), "twitter", endless)
		result <- err
	}()
	<-read
	b.Close()
	require.ErrorContains(t, <-result, `embedded: load topic "twitter": line `)
}

func TestCloseWithClientsConnected(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{Topics: map[string]int{"twitter": 1}})
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.ConsumeTopics("twitter"))
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Ping(context.Background()))
	b.Close()
}
