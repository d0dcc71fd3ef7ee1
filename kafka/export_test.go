package kafka

import (
	"context"
	"hash"
	"time"

	"github.com/IBM/sarama"
)

var FirstVisible = firstVisible

// Pauses is how often a sink tries again, and what it does before.
func Pauses(c SinkConfig) (limit int, pause func(retries, limit int) time.Duration) {
	l := &link{session: &session{dialer: &dialer{life: context.Background()}}}
	l.begin(c.WriteTimeout)
	retry := c.client(l).Producer.Retry
	return retry.Max, retry.BackoffFunc
}

// NewSCRAM is the client's side of SCRAM with a nonce.
func NewSCRAM(h func() hash.Hash, nonce string) sarama.SCRAMClient {
	return &scram{hash: h, nonce: nonce}
}

// Refusal is what is read in an answer to a login.
func Refusal(key, version int16, frame []byte) error {
	d := &dialer{login: login{as: `as "alice" with PLAIN`, secret: "hunter2"}}
	g := &greeting{conn: &conn{addr: "kafka:9093", owner: d}, key: key, version: version}
	return g.refusal(frame)
}
