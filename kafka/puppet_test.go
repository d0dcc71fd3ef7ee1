package kafka_test

import (
	"errors"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/internal/realkafka"
)

// puppet is a broker, embedded or real, with a topic "twitter" of one partition,
// that loses what it is told to, while readers are held at a distance.
type puppet struct {
	t      testing.TB
	addrs  []string                  // where readers connect
	inside []string                  // where the test does, who is never held
	hold   func() (release func())   // lets no reader fetch anything
	await  func(topic string, n int) // until it has so many partitions
	admin  sarama.ClusterAdmin
}

func startPuppet(t *testing.T) *puppet {
	t.Helper()
	if realkafka.Wanted(t) {
		b := startReal(t, map[string]int{"twitter": 1})
		return &puppet{t: t, addrs: b.Addrs(), inside: b.Direct(), admin: b.admin, await: b.await, hold: func() func() {
			b.Pause()
			return func() { require.NoError(t, b.Resume()) }
		}}
	}
	c := fake(t)
	return &puppet{t: t, addrs: c.ListenAddrs(), inside: c.ListenAddrs(), admin: administer(t, c.ListenAddrs()),
		await: func(string, int) {}, hold: func() func() { return hold(c) }}
}

// hold makes every fetch of records fail until the function that it returns is
// called.
func hold(c *kfake.Cluster) (release func()) {
	held := make(chan struct{})
	c.ControlKey(1, func(kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case <-held:
			c.DropControl()
			return nil, nil, false
		default:
			c.KeepControl()
			return nil, errors.New("held"), true
		}
	})
	return func() { close(held) }
}

// deleteRecords removes what is before an offset of partition 0.
func (p *puppet) deleteRecords(topic string, before int64) {
	p.t.Helper()
	require.NoError(p.t, p.admin.DeleteRecords(topic, map[int32]int64{0: before}))
}

func (p *puppet) deleteTopic(name string) {
	p.t.Helper()
	require.NoError(p.t, p.admin.DeleteTopic(name))
	p.await(name, 0)
}

// createTopic makes a topic with one partition and settings.
func (p *puppet) createTopic(name string, settings map[string]string) {
	p.t.Helper()
	d := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: map[string]*string{}}
	for key, value := range settings {
		d.ConfigEntries[key] = &value
	}
	require.NoError(p.t, p.admin.CreateTopic(name, d, false))
	p.await(name, 1)
}
