package kafka_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"math/big"
	"net"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/godstream/godstream/internal/realkafka"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

// refusing is an address where nothing listens.
func refusing(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// silent accepts connections, tells about the first, and says nothing.
func silent(t *testing.T) (addr string, connected chan struct{}) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	connected = make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				for _, c := range conns {
					c.Close()
				}
				return
			}
			if conns = append(conns, c); len(conns) == 1 {
				close(connected)
			}
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), connected
}

// blackHole is a dialer whose packets are answered by nobody.
type blackHole struct {
	dialing chan struct{}
	only    string // the address where it is so; empty: all
}

func (b blackHole) Dial(network, addr string) (net.Conn, error) {
	return b.DialContext(context.Background(), network, addr)
}

func (b blackHole) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if b.only != "" && b.only != addr {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	select {
	case b.dialing <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("i/o timeout")}
}

func TestUnreachableBrokerIsNamedInTime(t *testing.T) {
	t.Parallel()
	embeddedOnly(t)
	hole := kafka.Defaults()
	hole.Net.Proxy.Enable, hole.Net.Proxy.Dialer = true, blackHole{}
	mute, _ := silent(t)
	closing, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { closing.Close() })
	go func() {
		for {
			c, err := closing.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	tests := map[string]struct {
		addr   string
		client *sarama.Config
		want   string
	}{
		"nothing listens":     {addr: refusing(t), want: "connection refused"},
		"packets vanish":      {addr: "192.0.2.1:9092", client: hole, want: "no answer within 300ms: dial tcp: i/o timeout"},
		"accepted and mute":   {addr: mute, want: "no answer within 300ms"},
		"accepted and closed": {addr: closing.Addr().String(), want: "closed the connection; does it expect TLS?"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			_, err := kafka.Source(kafka.Config{Brokers: []string{test.addr}, Client: test.client, ConnectTimeout: 300 * time.Millisecond}, "twitter").
				Open(context.Background(), source.Options{})
			require.ErrorContains(t, err, "kafka: connect to "+test.addr+": ")
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, time.Since(begin), 2*time.Second)
			t.Log(err)
		})
	}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	t.Parallel()
	embeddedOnly(t)
	why := errors.New("changed my mind")
	hole := blackHole{dialing: make(chan struct{}, 1)}
	client := kafka.Defaults()
	client.Net.Proxy.Enable, client.Net.Proxy.Dialer = true, hole
	mute, connected := silent(t)
	tests := map[string]struct {
		config  kafka.Config
		waiting chan struct{} // by then Open waits
	}{
		"while it connects":            {config: kafka.Config{Brokers: []string{"192.0.2.1:9092"}, Client: client}, waiting: hole.dialing},
		"while it waits for an answer": {config: kafka.Config{Brokers: []string{mute}}, waiting: connected},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(context.Background())
			result := make(chan error)
			go func() {
				_, err := kafka.Source(test.config, "twitter").Open(ctx, source.Options{})
				result <- err
			}()
			<-test.waiting
			begin := time.Now()
			cancel(why)
			err := <-result
			require.ErrorIs(t, err, why)
			require.ErrorContains(t, err, "kafka: connect to "+test.config.Brokers[0])
			require.Less(t, time.Since(begin), time.Second)
		})
	}
	t.Run("before it begins", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(why)
		_, err := kafka.Source(kafka.Config{Brokers: []string{mute}}, "twitter").Open(ctx, source.Options{})
		require.ErrorIs(t, err, why)
	})
}

func TestOneBrokerOfSeveralIsEnough(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	produce(t, producer(t, b.Addrs()), "twitter", 0, "a")
	mute, _ := silent(t)
	client := quick()
	client.Net.Proxy.Enable, client.Net.Proxy.Dialer = true, blackHole{only: "192.0.2.1:9092"}
	// The client tries them in any order.
	brokers := append([]string{refusing(t), mute, "192.0.2.1:9092", mute, "192.0.2.1:9092"}, b.Addrs()...)
	r := open(t, kafka.Source(kafka.Config{Brokers: brokers, Client: client, ConnectTimeout: 3 * time.Second}, "twitter"), source.Options{})
	require.Equal(t, []string{"a"}, values(read(t, r, 1)))
}

func TestReadingGoesOnAfterOpensContext(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	ctx, cancel := context.WithCancel(context.Background())
	r, err := kafka.Source(kafka.Config{Brokers: b.Addrs()}, "twitter").Open(ctx, source.Options{})
	require.NoError(t, err)
	defer r.Close()
	cancel()
	produce(t, producer(t, b.Addrs()), "twitter", 0, "a")
	require.Equal(t, []string{"a"}, values(read(t, r, 1)))
}

func TestMissingTopicsAreNamedAndNotCreated(t *testing.T) {
	t.Parallel()
	addrs := func() []string {
		if realkafka.Wanted(t) { // it creates topics that one asks for, unless told otherwise
			return startReal(t, map[string]int{"twitter": 2}).Addrs()
		}
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation(), kfake.SeedTopics(2, "twitter"))
		require.NoError(t, err)
		t.Cleanup(c.Close)
		return c.ListenAddrs()
	}()
	_, err := kafka.Source(kafka.Config{Brokers: addrs, Client: quick()}, "twitter", "twiter", "nws").Open(context.Background(), source.Options{})
	require.ErrorContains(t, err, `topic "twiter" does not exist on `+addrs[0])
	require.ErrorContains(t, err, `topic "nws" does not exist`)
	require.NotContains(t, err.Error(), `"twitter"`)
	topics, err := administer(t, addrs).ListTopics()
	require.NoError(t, err)
	require.NotContains(t, topics, "twiter")

	_, err = kafka.Source(kafka.Config{Brokers: addrs, Client: quick(), Ranges: []kafka.Range{{Topic: "twitter", Partition: 7}}}).
		Open(context.Background(), source.Options{})
	require.ErrorContains(t, err, `range twitter/7[0,0): topic "twitter" has 2 partitions`)
}

func TestFaultySettingsDoNotOpen(t *testing.T) {
	t.Parallel()
	_, err := kafka.Source(kafka.Config{}).Open(context.Background(), source.Options{})
	require.ErrorContains(t, err, "Config.Brokers is empty")
}

func TestTLSAndSASLThroughTheClient(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	root, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	embeddedOnly(t)
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "twitter"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "alice", "hunter2"),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	p := producer(t, c.ListenAddrs(), kgo.DialTLSConfig(&tls.Config{RootCAs: roots}), kgo.SASL(plain.Auth{User: "alice", Pass: "hunter2"}.AsMechanism()))
	produce(t, p, "twitter", 0, "a")

	client := kafka.Defaults()
	client.Net.TLS.Enable, client.Net.TLS.Config = true, &tls.Config{RootCAs: roots}
	client.Net.SASL.Enable, client.Net.SASL.User, client.Net.SASL.Password = true, "alice", "hunter2"
	config := kafka.Config{Brokers: c.ListenAddrs(), Group: "tweets", Client: client}
	r := open(t, kafka.Source(config, "twitter"), source.Options{})
	require.Equal(t, []string{"a"}, values(read(t, r, 1)))
	require.NoError(t, r.Commit(context.Background(), []source.Range{{Partition: "twitter/0", Until: 1}}))
	require.NoError(t, r.Close())
	_, ranges := all(t, open(t, kafka.Source(config, "twitter"), source.Options{Replay: true}))
	require.EqualValues(t, 1, ranges["twitter/0"].From, "committed over TLS")

	wrong := *client
	wrong.Net.SASL.Password = "hunter3"
	_, err = kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Client: &wrong, ConnectTimeout: time.Second}, "twitter").Open(context.Background(), source.Options{})
	require.ErrorContains(t, err, "kafka: ")
	require.NotContains(t, err.Error(), "hunter3")
	t.Log(err)

	_, err = kafka.Source(kafka.Config{Brokers: c.ListenAddrs(), Client: quick(), ConnectTimeout: time.Second}, "twitter").Open(context.Background(), source.Options{})
	require.ErrorContains(t, err, "kafka: connect to ")
	t.Log(err)
}
