package kafka

import (
	"strconv"
	"time"

	"github.com/IBM/sarama"
)

// Record is one message. Its bytes belong to the batch and must not be
// changed. They are part of what one fetch brought, which stays in memory as
// long as any of its records does: clone what outlives the batch.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time // in UTC; zero if the message has none
	Key       []byte    // nil if the message has none
	Value     []byte    // nil for a tombstone
	Headers   []Header
}

// Header is a name and a value that travel with a message. Names may repeat.
type Header struct {
	Key   string
	Value []byte
}

// Payload is the message's value.
func (r Record) Payload() []byte { return r.Value }

// Origin is the place of the message: "twitter/0@812".
func (r Record) Origin() string {
	b := append([]byte(r.Topic), '/')
	b = strconv.AppendInt(b, int64(r.Partition), 10)
	b = append(b, '@')
	return string(strconv.AppendInt(b, r.Offset, 10))
}

// overhead is about what a record takes in memory besides its bytes.
const overhead = 200

// record converts m, and says about how many bytes it keeps alive.
func record(m *sarama.ConsumerMessage) (r Record, size int) {
	r = Record{
		Topic:     m.Topic,
		Partition: m.Partition,
		Offset:    m.Offset,
		Timestamp: timestamp(m.Timestamp),
		Key:       m.Key,
		Value:     m.Value,
	}
	size = overhead + len(m.Key) + len(m.Value)
	if len(m.Headers) > 0 {
		r.Headers = make([]Header, len(m.Headers))
		for i, h := range m.Headers {
			r.Headers[i] = Header{Key: string(h.Key), Value: h.Value}
			size += overhead/4 + len(h.Key) + len(h.Value)
		}
	}
	return r, size
}

// timestamp is the zero time for a message without one. Kafka writes that as -1,
// alone or as the difference to the first message of a batch, to which the client
// adds differences; but it makes the zero time of a first message without a
// time. Then a later time lies less than 292 years, what a difference can be,
// after that.
func timestamp(t time.Time) time.Time {
	switch {
	case t.Unix() > 0:
		return t.UTC()
	case t.IsZero():
		return t
	case t.Year() < 1000:
		return time.UnixMilli(t.Sub(time.Time{}).Milliseconds() - 1).UTC()
	case t.Before(time.Unix(0, 0)):
		return time.Time{}
	}
	return t.UTC()
}
