package kafka

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"
)

// OutOfRangeError tells that a partition does not have the offset to read:
// its first offset is First and the one after its last is End. If Offset is
// below First, the records in between are gone, usually through retention; set
// [Config.OnLost] to go on without them. If it is above End, the topic was
// truncated or made anew, and the position belongs to what was there before.
type OutOfRangeError struct {
	Topic      string
	Partition  int32
	Offset     int64
	First, End int64
}

// Lost is how many offsets are gone.
func (e *OutOfRangeError) Lost() int64 { return max(0, e.First-e.Offset) }

func (e *OutOfRangeError) Error() string {
	at := fmt.Sprintf("kafka: read %s/%d at offset %d: ", e.Topic, e.Partition, e.Offset)
	if e.Offset < e.First {
		return at + fmt.Sprintf("Kafka has only %d to %d, so %d offsets are lost (retention?); to go on without them set Config.OnLost to kafka.SkipToEarliest or kafka.SkipToLatest",
			e.First, e.End, e.Lost())
	}
	return at + fmt.Sprintf("the partition ends at %d (it begins at %d): it was truncated or made anew; begin again with another Group or Start, or a new checkpoint",
		e.End, e.First)
}

// final is an error that trying again does not mend.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// passing is an error that may be over a moment later, though errors of its kind
// are not.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

// line is an error on one line; the client's may have several, and name the
// same twice.
type line struct {
	text string
	err  error
}

func (l line) Error() string { return l.text }
func (l line) Unwrap() error { return l.err }

// plain says what the client's error says, in one line.
func plain(err error) error {
	cause := err
	if inner := errors.Unwrap(err); errors.Is(err, sarama.ErrOutOfBrokers) && inner != nil {
		cause = inner // what happened at each broker says it all
	}
	parts := slices.Compact(strings.Split(cause.Error(), "\n"))
	text := strings.TrimPrefix(strings.Join(parts, "; "), "kafka: ")
	return line{text: text, err: err}
}

// undecodable says whether the client could not make sense of what it got.
func undecodable(err error) bool {
	return errors.As(err, new(sarama.PacketDecodingError)) || errors.Is(err, sarama.ErrDecompressedBatchTooLarge)
}

// transient says whether it may go better a moment later.
func transient(err error) bool {
	var k sarama.KError
	var configuration sarama.ConfigurationError
	switch {
	case errors.As(err, new(passing)):
		return true
	case errors.As(err, &k):
		return slices.Contains([]sarama.KError{
			sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition, sarama.ErrReplicaNotAvailable,
			sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch, sarama.ErrOffsetNotAvailable,
			sarama.ErrOffsetsLoadInProgress, sarama.ErrConsumerCoordinatorNotAvailable,
			sarama.ErrNotCoordinatorForConsumer, sarama.ErrUnstableOffsetCommit, sarama.ErrConcurrentTransactions,
			sarama.ErrRequestTimedOut, sarama.ErrBrokerNotAvailable, sarama.ErrNetworkException, sarama.ErrKafkaStorageError,
		}, k)
	case errors.As(err, &configuration), errors.As(err, new(sarama.PacketEncodingError)), errors.As(err, new(final)),
		errors.Is(err, sarama.ErrOutOfBrokers), errors.Is(err, sarama.ErrClosedClient), errors.Is(err, errShut):
		return false
	}
	return true // the connection broke
}

// passes says whether what has worked before may work again, also in a while.
func passes(err error) bool {
	return transient(err) || errors.Is(err, sarama.ErrOutOfBrokers) || errors.Is(err, sarama.ErrSASLAuthenticationFailed)
}

// errNoAnswer is why Open gives up by itself.
var errNoAnswer = errors.New("no answer")
