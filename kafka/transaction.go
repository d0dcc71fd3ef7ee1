package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/godstream/godstream/sink"
)

// transactionVersion is the first with offset requests that wait for
// transactions to end.
var transactionVersion = sarama.V2_5_0_0

// abortTimeout is how long a failed Write tries to end its transaction, for which
// readers would wait otherwise.
const abortTimeout = 2 * time.Second

// transactions sets what the client is told about transactions. A request is
// tried a few times in a row; that is repeated where the request comes from, which
// knows the reason then.
func (c SinkConfig) transactions(s *sarama.Config, l *link) {
	t := &s.Producer.Transaction
	if l != nil {
		t.ID = l.id
	}
	// Not less than the client's own timeouts, so that it is never the broker who
	// ends a transaction that the sink still works on.
	t.Timeout = min(max(c.WriteTimeout, 10*time.Second), math.MaxInt32*time.Millisecond)
	t.Retry.Max = 3
	t.Retry.BackoffFunc = l.pause(10*time.Millisecond, func(retries, _ int) time.Duration { return 10 * time.Millisecond << retries })
}

// fewRetries is how often messages are sent again and after which pauses, which
// last until the rush. When a transaction is lost, the client tries them again all
// the same, so there can't be many attempts, as there are otherwise.
func (c SinkConfig) fewRetries(backoff time.Duration) (limit int, least time.Duration, grows func(int, int) time.Duration) {
	const growth, all = 1.3, 1800 // the sum of growth^n is more
	least = max(backoff, beforeRush(c.WriteTimeout)/all, time.Millisecond)
	return 24, least, func(retries, _ int) time.Duration {
		return time.Duration(float64(least) * math.Pow(growth, float64(retries)))
	}
}

// exact is the [sink.Marked] of a transactional sink.
type exact[T any] struct {
	writer[T]
	group      string // whose offset is the number of a batch
	checkpoint string

	shared bool   // the positions of the program's sources are stored instead
	system string // where those must be, for a transaction is of one cluster
}

var errClosed = errors.New("kafka: a Write has failed; the sink must be opened again")

func openExact[T any](ctx context.Context, w writer[T], o sink.Options) (sink.Writer[T], error) {
	e := &exact[T]{writer: w, group: "godstream." + o.App + "." + o.Name, checkpoint: o.Checkpoint, shared: o.Shared}
	e.id, e.ready = o.App+"/"+o.Name, e.mine
	if o.Shared { // the group of the source fences, so the name must only be another one in each copy
		e.id += "/" + cmp.Or(o.Member, w.copy())
		e.ready = func(ctx context.Context, s *session) error {
			cluster, err := s.cluster(ctx, e.config.Topic)
			e.system = system(cluster)
			return err
		}
	}
	if err := e.connect(ctx, e.config.ConnectTimeout); err != nil {
		return nil, e.explain(err)
	}
	return e, nil
}

// mine looks at the marker before the producer begins, which ends any other with
// the same name: one that was not meant must not be harmed.
func (e *exact[T]) mine(ctx context.Context, s *session) error {
	m, err := e.marker(ctx, s, false)
	if err != nil || m.Number == 0 || m.Checkpoint == e.checkpoint {
		return err
	}
	return fmt.Errorf("kafka: topic %s: what is there of %s was stored by a program with checkpoint %s, this one's is %s; go on with that checkpoint, or give the App or the output another name; to begin anew, delete the consumer group %q",
		e.config.Topic, e.id, m.Checkpoint, e.checkpoint, e.group)
}

// Marker implements [sink.Marked].
func (e *exact[T]) Marker(ctx context.Context) (sink.Marker, error) {
	if e.link == nil {
		return sink.Marker{}, errClosed
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.config.ConnectTimeout, errNoAnswer)
	defer cancel()
	s := e.link.session
	defer context.AfterFunc(ctx, s.dialer.shut)()
	m, err := e.marker(ctx, s, true)
	return m, e.explain(err)
}

func (e *exact[T]) marker(ctx context.Context, s *session, stable bool) (sink.Marker, error) {
	at := spot{e.config.Topic, 0}
	found, err := s.committed(ctx, e.group, []spot{at}, stable)
	if errors.As(err, new(sarama.PacketEncodingError)) {
		err = fmt.Errorf("%w; a transactional sink needs Kafka %v or later", err, transactionVersion)
	}
	return sink.Marker{Checkpoint: found[at].note, Number: found[at].offset}, err
}

// Write implements [sink.Marked].
func (e *exact[T]) Write(ctx context.Context, b sink.Batch[T]) error {
	return e.explain(e.attempt(ctx, func(ctx context.Context) error {
		if e.link == nil {
			return errClosed
		}
		if idle, err := e.idle(ctx, b); idle || err != nil {
			return err
		}
		complete := false
		defer func() {
			if !complete && ctx.Err() == nil {
				e.abort(ctx)
			}
		}()
		release := func() {}
		defer func() { release() }()
		err := e.begin()
		if err == nil && !e.shared {
			err = e.number(b.Number)
		}
		if err == nil {
			err = e.send(ctx, b)
		}
		if err == nil && e.shared {
			release, err = e.claim(ctx, b)
		}
		if errors.Is(err, sarama.ErrTransactionNotReady) && e.link.lost() && e.link.drain(ctx) {
			err = e.commit(ctx) // can't: it tells what happened before
		}
		if err == nil && ctx.Err() != nil {
			err = e.late(ctx, e.link.trouble.Load())
		}
		if err != nil {
			return err
		}
		complete = true
		err = e.commit(ctx)
		complete = !e.refuses(err) // else nobody knows
		return err
	}))
}

// refuses says whether Kafka has refused what a batch of a shared source has read,
// since other programs have the partitions.
func (e *exact[T]) refuses(err error) bool {
	return e.shared && (errors.Is(err, sarama.ErrIllegalGeneration) || errors.Is(err, sarama.ErrUnknownMemberId) ||
		errors.Is(err, sarama.ErrFencedInstancedId) || errors.Is(err, sarama.ErrRebalanceInProgress))
}

// idle says whether a batch of a shared source has nothing to store.
func (e *exact[T]) idle(ctx context.Context, b sink.Batch[T]) (bool, error) {
	if !e.shared || b.Len() > 0 {
		return false, nil
	}
	claims, release, err := e.hold(ctx, b)
	if err != nil {
		return false, err
	}
	release()
	return !slices.ContainsFunc(claims, func(c sink.Claim) bool { return len(c.Next) > 0 }), nil
}

// begin begins the transaction of a batch.
func (e *exact[T]) begin() error { return e.fault("begin a transaction", e.link.producer.BeginTxn()) }

func (e *exact[T]) fault(doing string, err error) error {
	if err != nil {
		err = fmt.Errorf("kafka: write to %s: %s: %w", e.config.Topic, doing, plain(e.link.session.told(err)))
	}
	return err
}

// number puts the number of a batch into its transaction.
func (e *exact[T]) number(n int64) error {
	return e.fault("begin a transaction", e.link.producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{
		e.config.Topic: {{Offset: n, LeaderEpoch: -1, Metadata: &e.checkpoint}},
	}, e.group))
}

func (e *exact[T]) hold(ctx context.Context, b sink.Batch[T]) ([]sink.Claim, func(), error) {
	claims, release, err := b.Hold(ctx)
	if errors.Is(err, errNoAnswer) {
		err = fmt.Errorf("kafka: write to %s: the group of the source has not distributed its partitions within WriteTimeout, %v; that should be longer than Client.Consumer.Group.Rebalance.Timeout: %w", e.config.Topic, e.config.WriteTimeout, err)
	}
	return claims, release, err
}

// claim puts how far the sources are read into the transaction. What it returns
// must be called when that has ended.
func (e *exact[T]) claim(ctx context.Context, b sink.Batch[T]) (release func(), err error) {
	claims, release, err := e.hold(ctx, b)
	if err != nil {
		return func() {}, err
	}
	for _, c := range claims {
		if c.System != e.system {
			return release, fmt.Errorf("kafka: write to %s: it is on the cluster %q, but what is shared is read from %q, and how far it was read has to be stored in the same transaction; write to that cluster, or read without Shared", e.config.Topic, e.system, c.System)
		}
		as := &sarama.ConsumerGroupMetadata{GroupID: c.Group, GenerationID: c.Generation, MemberID: c.Member}
		if c.Instance != "" {
			as.GroupInstanceID = &c.Instance
		}
		offsets := map[string][]*sarama.PartitionOffsetMetadata{}
		for name, next := range c.Next {
			at, err := parseSpot(name)
			if err != nil {
				return release, err
			}
			offsets[at.topic] = append(offsets[at.topic], &sarama.PartitionOffsetMetadata{Partition: at.id, Offset: next, LeaderEpoch: -1})
		}
		if len(offsets) == 0 {
			continue
		}
		if err := e.fault("add positions to the transaction", e.link.producer.AddOffsetsToTxnWithGroupMetadata(offsets, as)); err != nil {
			return release, err
		}
	}
	return release, nil
}

// commit makes the transaction last. When it fails, nobody knows whether it did.
func (e *exact[T]) commit(ctx context.Context) error {
	var why *error
	for {
		err := e.link.finish(ctx, e.link.producer.CommitTxn)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return e.late(ctx, why)
		case e.link.lost() || e.link.rushed():
			return fmt.Errorf("kafka: write to %s: commit the transaction: %w", e.config.Topic, plain(err))
		}
		why = &err
	}
}

// abort takes back what was sent. If it fails, the next Open does it, or Kafka
// when the transaction has lasted too long.
func (e *exact[T]) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	if e.link.drain(ctx) { // the client must not be told to abort before
		_ = e.link.finish(ctx, e.link.producer.AbortTxn)
	}
}

// drain waits for the answers to what was sent, unless ctx ends.
func (l *link) drain(ctx context.Context) bool {
	for l.onTheWay > 0 {
		select {
		case <-l.producer.Successes():
		case <-l.producer.Errors():
		case <-ctx.Done():
			return false
		}
		l.onTheWay--
	}
	return true
}

// finish ends the transaction; the end of ctx ends the link first.
func (l *link) finish(ctx context.Context, end func() error) error {
	defer context.AfterFunc(ctx, l.session.dialer.shut)()
	return l.session.told(end())
}

// lost says whether the transaction can't be committed any more.
func (l *link) lost() bool {
	return l.producer != nil && l.producer.TxnStatus()&sarama.ProducerTxnFlagInError != 0
}

// rushed says whether there are no pauses between attempts any more.
func (l *link) rushed() bool { return time.Now().UnixNano() >= l.rush.Load() }

// explain tells an error of Kafka's that is about transactions so that the user
// knows what to do.
func (e *exact[T]) explain(err error) error {
	say := func(format string, args ...any) error {
		return line{"kafka: write to " + e.config.Topic + ": " + fmt.Sprintf(format, args...), err}
	}
	switch {
	case e.refuses(err):
		return fmt.Errorf("%w: %w", sink.ErrRevoked, err)
	case errors.Is(err, sarama.ErrProducerFenced), errors.Is(err, sarama.ErrInvalidProducerEpoch), errors.Is(err, sarama.ErrInvalidTxnState):
		return say("another program with the same App and sink name is running, and has taken over the transactional.id %q; give the App or the output another name (it may also be that this program stood still for longer than WriteTimeout, %v)", e.id, e.config.WriteTimeout)
	case errors.Is(err, sarama.ErrTransactionalIDAuthorizationFailed):
		return say("this user may not write with the transactional.id %q (operations Write and Describe)", e.id)
	case errors.Is(err, sarama.ErrGroupAuthorizationFailed):
		return say("this user may not use the consumer group %q (operation Read), where the number of the last batch is kept", e.group)
	case errors.Is(err, sarama.ErrInvalidTransactionTimeout):
		return say("WriteTimeout is %v, and Kafka's transaction.max.timeout.ms allows no transaction that long", e.config.WriteTimeout)
	}
	return err
}

// TransactionCoordinator of a link that has ended is nobody, once and for all.
func (c patient) TransactionCoordinator(id string) (*sarama.Broker, error) {
	if c.link.session.dialer.life.Err() != nil {
		return nil, sarama.PacketEncodingError{Info: errShut.Error()}
	}
	return c.Client.TransactionCoordinator(id)
}

// Coordinator is like TransactionCoordinator, of a group.
func (c patient) Coordinator(group string) (*sarama.Broker, error) {
	if c.link.session.dialer.life.Err() != nil {
		return nil, sarama.PacketEncodingError{Info: errShut.Error()}
	}
	return c.Client.Coordinator(group)
}
