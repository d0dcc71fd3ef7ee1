package embedded

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// MaxRecordBytes is how long a record may be.
const MaxRecordBytes = 32 << 20

// Config says how to start a [Broker]. The zero value is ready to use.
type Config struct {
	// Topics are created at the start: the number of partitions by name.
	// [Broker.Create] and [Broker.Load] create others later.
	Topics map[string]int

	// Port is where the broker listens on 127.0.0.1. Zero picks a free one.
	Port int
}

// Broker is a running Kafka broker.
type Broker struct {
	cluster  *kfake.Cluster
	listener *listener

	mu     sync.RWMutex // a closed cluster must not be asked anything
	closed bool
}

// Start starts a broker.
func Start(c Config) (*Broker, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b := &Broker{}
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.DefaultNumPartitions(1),
		kfake.ListenFn(func(network, address string) (_ net.Listener, err error) {
			b.listener, err = listen(network, address)
			return b.listener, err
		}),
		kfake.BrokerConfigs(map[string]string{
			"message.max.bytes": strconv.Itoa(MaxRecordBytes + batchOverhead),
			"log.retention.ms":  "-1", // recorded history is older than any retention
			"log.segment.bytes": strconv.Itoa(segment),
		}),
	}
	if c.Port != 0 {
		options = append(options, kfake.Ports(c.Port))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		return nil, fmt.Errorf("embedded: start the broker on port %d: %w", c.Port, err)
	}
	b.cluster = cluster
	for _, topic := range slices.Sorted(maps.Keys(c.Topics)) {
		if err := b.Create(topic, c.Topics[topic]); err != nil {
			b.Close()
			return nil, err
		}
	}
	return b, nil
}

func (c Config) check() error {
	var faults []error
	if c.Port < 0 || c.Port > math.MaxUint16 {
		faults = append(faults, fmt.Errorf("embedded: Config.Port is %d, which is no port", c.Port))
	}
	for _, topic := range slices.Sorted(maps.Keys(c.Topics)) {
		if n := c.Topics[topic]; n < 1 {
			faults = append(faults, fmt.Errorf("embedded: Config.Topics gives %q %d partitions; the least is 1", topic, n))
		}
	}
	return errors.Join(faults...)
}

// Addrs is where the broker listens: what goes into kafka.Config.Brokers.
func (b *Broker) Addrs() []string {
	return []string{b.listener.Addr().String()}
}

// Create makes a topic.
func (b *Broker) Create(topic string, partitions int) error {
	if partitions < 1 || partitions > math.MaxInt32 {
		return fmt.Errorf("embedded: create topic %q: %d partitions; the least is 1", topic, partitions)
	}
	return b.use(func() error {
		if err := b.create(topic, partitions); err != nil {
			return fmt.Errorf("embedded: create topic %q: %w", topic, err)
		}
		return nil
	})
}

// topicName is what Kafka accepts, but for "." and "..".
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (b *Broker) create(topic string, partitions int) error {
	if !topicName.MatchString(topic) || topic == "." || topic == ".." {
		return errors.New("a name has 1 to 249 of the characters a-z A-Z 0-9 . _ -")
	}
	return b.cluster.CreateTopic(topic, int32(partitions), nil)
}

// Pause makes the broker vanish from the network, as if its machine had
// stopped: connections break and new ones are refused. Its data stays, and
// Load works on.
func (b *Broker) Pause() { b.listener.pause() }

// Resume ends a Pause, at the same address.
func (b *Broker) Resume() error {
	if err := b.listener.resume(); err != nil {
		return fmt.Errorf("embedded: listen again: %w", err)
	}
	return nil
}

// Close stops the broker, forgets its data and waits until every connection
// has ended. Closing again does nothing.
func (b *Broker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	b.cluster.Close()
	b.listener.wait()
}

// use runs f while the broker is kept from closing.
func (b *Broker) use(f func() error) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return errors.New("embedded: the broker is closed")
	}
	return f()
}
