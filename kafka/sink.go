package kafka

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/godstream/godstream/sink"
)

// SinkConfig says which topic of which Kafka cluster to write, and how.
type SinkConfig struct {
	// Brokers are addresses ("host:port") of some brokers of the cluster; the
	// others are found through them. At least one is needed.
	Brokers []string

	// Topic is where the messages go. It must exist.
	Topic string

	// Partitioner chooses the partition of each message; sarama has several. Nil
	// means: by the key as Kafka's own clients do (murmur2), and without a key
	// the partition of the batch, modulo the number of those of the topic. So
	// elements that follow one another in a partition of the stream do so in
	// the topic if they have the same key, or none.
	Partitioner sarama.PartitionerConstructor

	// ConnectTimeout is how long Open tries to reach the cluster. Zero means 15 s.
	ConnectTimeout time.Duration

	// WriteTimeout is how long a batch may take until Kafka has acknowledged all
	// of it. For three quarters of that, what fails is tried again: brokers may
	// go away and come back, and leaders change. Zero means 2 min.
	WriteTimeout time.Duration

	// Transactional shows each batch exactly once to those who read committed
	// records only, as a Source does: a batch is one transaction, which they see
	// as a whole, a moment after it is done. It needs a program with a checkpoint
	// (stream.GetOrCreate) and Kafka 2.5 or later.
	//
	// The transaction also holds the number of the batch, as the offset that the
	// consumer group "godstream.APP.SINK" commits for partition 0 of Topic. APP is
	// the name of the App and SINK that of the output, which should be given with
	// stream.Name, for the next start finds the number by it. A user of Kafka's
	// needs the rights to that group and to the transactional.id "APP/SINK".
	//
	// Kafka forgets the offsets of a group that commits nothing for
	// offsets.retention.minutes (7 days, unless the broker says otherwise). A
	// program that was stopped for longer does not start again, since it can't
	// know what is stored; nor does one with an old copy of its checkpoint. To
	// begin anew, delete the group and the checkpoint.
	//
	// In a program whose source is shared ([Config.Shared]), of the same cluster,
	// no checkpoint is needed: the transaction holds the offsets up to which the
	// batch has read, on behalf of the member of the source's group, so that Kafka
	// refuses it when others have the partitions. The transactional.id is
	// "APP/SINK/MEMBER" then, with a name made up where Config.Member is empty: the
	// last transaction of a copy that was killed keeps others waiting for
	// WriteTimeout (10 s at least), unless that has a Member and is started again.
	//
	// WriteTimeout is the longest that a transaction may last; the broker's
	// transaction.max.timeout.ms (15 min) must not be less. When a program was
	// killed, readers wait so long for its last transaction, or until it starts
	// again.
	Transactional bool

	// TLS encrypts the connections, as [Config.TLS] does.
	TLS *tls.Config

	// SASL logs in, as [Config.SASL] does.
	SASL SASL

	// Client has all other settings of the client: compression,
	// Producer.MaxMessageBytes, Kafka's version; also TLS and SASL, if the fields
	// above are zero. It is copied, not changed. Nil means [Defaults]. What it says
	// about acknowledgements, idempotence, transactions, partitions, flushing and
	// the number of retries does not count; Producer.Retry.Backoff is the shortest
	// pause between two of them. For Transactional, a version below 2.5 means that.
	Client *sarama.Config
}

// String is all fields but what is in Client.
func (c SinkConfig) String() string {
	type fields SinkConfig // has no String
	return fmt.Sprintf("%+v", fields(c))
}

// Message is what an element becomes in a topic. Its bytes must not be changed
// any more.
type Message struct {
	Key       []byte // nil for none
	Value     []byte // nil for a tombstone
	Headers   []Header
	Timestamp time.Time // to the millisecond; zero means that of the batch
}

// Values makes messages that have a value and nothing else, of a function that
// appends an element to dst, such as the Encode of a codec.
func Values[T any](encode func(dst []byte, element T) ([]byte, error)) func(T) (Message, error) {
	if encode == nil {
		return nil
	}
	return func(t T) (m Message, err error) {
		m.Value, err = encode([]byte{}, t) // not nil, for nothing would be a tombstone
		return m, err
	}
}

const writeTimeout = 2 * time.Minute

// Sink writes each element of a stream as one message:
//
//	stream.To(tweets, kafka.Sink(kafka.SinkConfig{Brokers: brokers, Topic: "tweets"}, kafka.Values(codec.JSON[Tweet]().Encode)))
//	stream.To(counts, kafka.Sink(kafka.SinkConfig{Brokers: brokers, Topic: "counts"}, func(c Count) (kafka.Message, error) {
//		return kafka.Message{Key: []byte(c.Word), Value: strconv.AppendInt(nil, c.N, 10)}, nil
//	}))
//
// A batch is done when all in-sync replicas have all of its messages. It is
// AtLeastOnce: a batch that is written again, after an error or a crash, is sent
// again from its beginning, whatever is there of it. Within one attempt nothing
// comes twice or in another order, also when connections break and leaders
// change. What an element becomes must depend on nothing else, so that the same
// messages are sent again; they have the time of the batch for that reason, too.
// With [SinkConfig.Transactional], each batch is there exactly once.
//
// A message that can't be made, is too large or is refused fails the batch; those
// before it may be there, unless the sink is transactional.
func Sink[T any](c SinkConfig, message func(T) (Message, error)) sink.Sink[T] {
	c.Brokers = slices.Clone(c.Brokers)
	if c.Client != nil {
		client := *c.Client
		c.Client = &client
	}
	c.TLS = c.TLS.Clone()
	return &output[T]{c, message, sync.OnceValue(rand.Text)}
}

type output[T any] struct {
	config  SinkConfig
	message func(T) (Message, error)
	copy    func() string // a name for this copy of a program that shares its source
}

// StoresClaims implements [sink.Claiming].
func (o *output[T]) StoresClaims() {}

// Check returns everything that is wrong with the settings.
func (o *output[T]) Check() error {
	faults := []error{o.config.check()}
	if o.message == nil {
		faults = append(faults, errors.New("kafka: Sink: the function that makes messages is nil"))
	}
	return errors.Join(faults...)
}

func (c SinkConfig) check() error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf("kafka: SinkConfig."+format, args...))
		}
	}
	checkBrokers(c.Brokers, func(format string, args ...any) { fault(true, format, args...) })
	fault(!validTopic(c.Topic), "Topic is %q; the name of one has 1 to 249 of the characters a-z A-Z 0-9 . _ -", c.Topic)
	fault(c.ConnectTimeout < 0, "ConnectTimeout is negative: %v", c.ConnectTimeout)
	fault(c.WriteTimeout < 0, "WriteTimeout is negative: %v", c.WriteTimeout)
	checkSecurity(c.TLS, c.SASL, c.Client, func(format string, args ...any) { fault(true, format, args...) })
	client := c.client(nil)
	err := client.Validate()
	fault(err != nil, "Client: %w", err)
	fault(!client.Version.IsAtLeast(sarama.V0_11_0_0), "Client.Version is %v; the oldest that works is 0.11.0", client.Version)
	return errors.Join(faults...)
}

// defaults fills in the zero fields.
func (c SinkConfig) defaults() SinkConfig {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = writeTimeout
	}
	return c
}

// client is the client's settings with those that the sink relies on. While l
// lives, what went wrong is tried again.
func (c SinkConfig) client(l *link) *sarama.Config {
	c = c.defaults()
	s := *Defaults()
	if c.Client != nil {
		s = *c.Client
	}
	if c.Transactional && !s.Version.IsAtLeast(transactionVersion) {
		s.Version = transactionVersion
	}
	secure(&s, c.TLS, c.SASL)
	s.Net.MaxOpenRequests = 1
	p := &s.Producer
	p.Idempotent, p.RequiredAcks = true, sarama.WaitForAll
	p.Return.Successes, p.Return.Errors = true, true
	p.Transaction.ID = ""
	p.Flush.Bytes, p.Flush.Messages, p.Flush.Frequency = 0, 0, 0
	if p.Partitioner = c.Partitioner; p.Partitioner == nil {
		p.Partitioner = newPartitioner
	}
	// So many attempts that they last until the rush, and are soon over then: what
	// Kafka refuses for a while fails with its reason, not as an answer that is late.
	least := max(p.Retry.Backoff, beforeRush(c.WriteTimeout)/10_000, time.Millisecond)
	grows := p.Retry.BackoffFunc
	p.Retry.Max = 1 + int((beforeRush(c.WriteTimeout)+least-1)/least)
	if c.Transactional {
		p.Retry.Max, least, grows = c.fewRetries(p.Retry.Backoff)
	}
	p.Retry.BackoffFunc = l.pause(least, grows)
	p.Transaction.Retry.BackoffFunc = l.pause(p.Transaction.Retry.Backoff, p.Transaction.Retry.BackoffFunc)
	if c.Transactional {
		c.transactions(&s, l)
	}
	return &s
}

// newPartitioner is what a nil SinkConfig.Partitioner means.
func newPartitioner(topic string) sarama.Partitioner {
	return partitioner{sarama.NewMurmur2Partitioner(topic)}
}

type partitioner struct{ byKey sarama.Partitioner }

func (p partitioner) Partition(m *sarama.ProducerMessage, n int32) (int32, error) {
	if m.Key == nil {
		return m.Partition % n, nil
	}
	return p.byKey.Partition(m, n)
}

func (partitioner) RequiresConsistency() bool { return true }

// String names what is written: "kafka counts".
func (o *output[T]) String() string { return "kafka " + o.config.Topic }

// Delivery implements [sink.Sink].
func (o *output[T]) Delivery() sink.Delivery {
	if o.config.Transactional {
		return sink.Transactional
	}
	return sink.AtLeastOnce
}

// Open implements [sink.Sink].
func (o *output[T]) Open(ctx context.Context, so sink.Options) (sink.Writer[T], error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	w := writer[T]{output: output[T]{o.config.defaults(), o.message, o.copy}}
	warnOpenly(w.config.client(nil), so.Defaults().Logger.With("sink", so.Name))
	ctx, cancel := context.WithTimeoutCause(ctx, w.config.ConnectTimeout, errNoAnswer)
	defer cancel()
	if w.config.Transactional {
		return openExact(ctx, w, so)
	}
	if err := w.connect(ctx, w.config.ConnectTimeout); err != nil {
		return nil, err
	}
	return &w, nil
}

// writer writes batches, one at a time.
type writer[T any] struct {
	output[T]
	id    string                                // of transactions, "" without
	ready func(context.Context, *session) error // before a producer is made, or nil
	link  *link                                 // nil after a failure
}

// connect makes a link to write by.
func (w *writer[T]) connect(ctx context.Context, timeout time.Duration) error {
	l := &link{id: w.id}
	l.begin(timeout)
	s, err := connect(ctx, Config{Brokers: w.config.Brokers, ConnectTimeout: timeout, Client: w.config.client(l)})
	if err != nil {
		return err
	}
	l.session = s
	_, err = s.partitions(ctx, w.config.Topic)
	if err == nil && w.ready != nil {
		err = w.ready(ctx, s)
	}
	if err == nil {
		err = s.try(ctx, func() (err error) {
			if l.producer, err = sarama.NewAsyncProducerFromClient(patient{s.client, l, sync.OnceValue(nobody)}); err != nil {
				err = fmt.Errorf("kafka: begin to write to %s: %w", w.config.Topic, plain(err))
			}
			return err
		})
	}
	if err == nil && !s.settle() {
		err = s.explain(ctx, ctx.Err())
	}
	if err != nil {
		l.close()
		return err
	}
	w.link = l
	return nil
}

// link is a connection to a cluster and the producer that uses it.
type link struct {
	id       string // of transactions, "" without
	session  *session
	producer sarama.AsyncProducer
	onTheWay int                   // messages that were sent and not answered
	rush     atomic.Int64          // when pauses end, in ns since the epoch
	trouble  atomic.Pointer[error] // that the batch in hand had last
}

// begin notes that something is to be done within a time.
func (l *link) begin(timeout time.Duration) {
	l.rush.Store(time.Now().Add(beforeRush(timeout)).UnixNano())
	l.trouble.Store(nil)
	if l.session != nil {
		l.session.dialer.forget()
	}
}

// beforeRush is how much of a time is spent with pauses between attempts.
func beforeRush(timeout time.Duration) time.Duration { return timeout / 4 * 3 }

// pause makes the time between two attempts end with the link: it waits by
// itself and leaves the producer, which can't be woken, nothing to wait for.
func (l *link) pause(least time.Duration, grows func(retries, limit int) time.Duration) func(int, int) time.Duration {
	return func(retries, limit int) time.Duration {
		if l.lost() {
			l.session.dialer.shut() // all attempts are in vain
		}
		wait := least
		if grows != nil {
			wait = max(wait, grows(retries, limit))
		}
		select {
		case <-time.After(min(wait, time.Until(time.Unix(0, l.rush.Load())))):
		case <-l.session.dialer.life.Done():
		}
		return 0
	}
}

// close ends the link, and gives up what has not been acknowledged.
func (l *link) close() {
	l.session.dialer.shut()
	if l.producer != nil {
		l.producer.AsyncClose()
		var drained sync.WaitGroup
		drained.Go(func() {
			for range l.producer.Successes() {
			}
		})
		for range l.producer.Errors() {
		}
		drained.Wait()
	}
	l.session.close()
}

// patient is the client that the producer sees. The producer gives a message up
// when it can't find the leader of its partition at the first attempt, and then
// waits for ten seconds in a goroutine that nothing ends. So here that succeeds,
// however long it takes; after the end of life it gives a leader that refuses
// everything for good.
type patient struct {
	sarama.Client
	link   *link
	nobody func() *sarama.Broker
}

func (c patient) RefreshMetadata(topics ...string) error {
	for life := c.link.session.dialer.life; life.Err() == nil; {
		err := c.Client.RefreshMetadata(topics...)
		if err == nil {
			break
		}
		err = c.link.session.told(err)
		c.link.trouble.Store(&err)
		select {
		case <-time.After(retryPause):
		case <-life.Done():
		}
	}
	return nil
}

func (c patient) Leader(topic string, partition int32) (*sarama.Broker, error) {
	for c.link.session.dialer.life.Err() == nil {
		if leader, err := c.Client.Leader(topic, partition); err == nil {
			return leader, nil
		}
		_ = c.RefreshMetadata(topic) // takes its time
	}
	return c.nobody(), nil
}

// nobody is a broker to which nothing can be sent.
func nobody() *sarama.Broker {
	c := *Defaults()
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, nowhere{}
	b := sarama.NewBroker("nobody:1")
	_ = b.Open(&c) // what is sent tells
	return b
}

type nowhere struct{}

// Dial fails with the one error after which the producer does not try again.
func (nowhere) Dial(string, string) (net.Conn, error) {
	return nil, sarama.PacketEncodingError{Info: errShut.Error()}
}

func (w *writer[T]) Close() error {
	if w.link != nil {
		w.link.close()
		w.link = nil
	}
	return nil
}

func (w *writer[T]) Write(ctx context.Context, b sink.Batch[T]) error {
	return w.attempt(ctx, func(ctx context.Context) error {
		if b.Len() == 0 {
			return nil
		}
		if err := w.reconnect(ctx); err != nil {
			return err
		}
		return w.send(ctx, b)
	})
}

// attempt does what makes up a Write, within WriteTimeout.
func (w *writer[T]) attempt(ctx context.Context, do func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, w.config.WriteTimeout, errNoAnswer)
	defer cancel()
	done := false
	defer func() { // also if the user's function panics
		if !done { // what is on its way must not arrive after a second attempt has begun
			_ = w.Close()
		}
	}()
	err := do(ctx)
	done = err == nil
	return err
}

// reconnect makes a link if there is none, waiting for brokers that are away.
func (w *writer[T]) reconnect(ctx context.Context) error {
	var why *error
	for w.link == nil {
		err := w.connect(ctx, w.config.WriteTimeout)
		switch {
		case err == nil:
		case ctx.Err() != nil && why != nil:
			return w.late(ctx, why)
		case ctx.Err() != nil || !errors.Is(err, sarama.ErrOutOfBrokers):
			return err
		default:
			why = &err
			select {
			case <-time.After(retryPause):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// send sends the messages of a batch and waits until all are acknowledged.
func (w *writer[T]) send(ctx context.Context, b sink.Batch[T]) error {
	link, producer := w.link, w.link.producer
	link.begin(w.config.WriteTimeout)
	// step sends m, or handles one answer.
	step := func(to chan<- *sarama.ProducerMessage, m *sarama.ProducerMessage) (sent bool, err error) {
		select {
		case to <- m:
			link.onTheWay++
			return true, nil
		case <-producer.Successes():
			link.onTheWay--
		case e := <-producer.Errors():
			link.onTheWay--
			return false, w.refused(e)
		case <-ctx.Done():
			return false, w.late(ctx, link.trouble.Load())
		}
		return false, nil
	}
	for p, elements := range b.Parts {
		for i, t := range elements {
			m, err := w.encode(t, b.Time, p)
			if err != nil {
				return fmt.Errorf("kafka: write element %d of partition %d to %s: %w", i, p, w.config.Topic, err)
			}
			for sent := false; !sent; {
				if sent, err = step(producer.Input(), m); err != nil {
					return err
				}
			}
		}
	}
	for link.onTheWay > 0 {
		if _, err := step(nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// encode makes the message of an element in a partition of a batch.
func (w *writer[T]) encode(t T, at time.Time, partition int) (*sarama.ProducerMessage, error) {
	m, err := w.message(t)
	if err != nil {
		return nil, err
	}
	p := &sarama.ProducerMessage{Topic: w.config.Topic, Partition: int32(partition), Timestamp: m.Timestamp}
	if m.Key != nil {
		p.Key = sarama.ByteEncoder(m.Key)
	}
	if m.Value != nil {
		p.Value = sarama.ByteEncoder(m.Value)
	}
	for _, h := range m.Headers {
		p.Headers = append(p.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
	}
	if p.Timestamp.IsZero() {
		p.Timestamp = at
	}
	if size, limit := p.ByteSize(2), w.link.session.config.Producer.MaxMessageBytes; size > limit {
		return nil, fmt.Errorf("the message has %d bytes, and Client.Producer.MaxMessageBytes is %d; raise that, and max.message.bytes of the topic if it is lower", size, limit)
	}
	return p, nil
}

// refused explains why a message was not stored.
func (w *writer[T]) refused(e *sarama.ProducerError) error {
	if errors.Is(e.Err, sarama.ErrMessageSizeTooLarge) {
		return fmt.Errorf("kafka: write to %v: %w; raise max.message.bytes of the topic, or lower Client.Producer.MaxMessageBytes to it (that is %d, and as much is sent at once)",
			spot{e.Msg.Topic, e.Msg.Partition}, plain(e.Err), w.link.session.config.Producer.MaxMessageBytes)
	}
	return fmt.Errorf("kafka: write to %v: %w", spot{e.Msg.Topic, e.Msg.Partition}, plain(w.link.session.told(e.Err)))
}

// late explains why a batch was given up. Why is what went wrong last, or nil.
func (w *writer[T]) late(ctx context.Context, why *error) error {
	if cause := context.Cause(ctx); cause != errNoAnswer {
		return fmt.Errorf("kafka: write to %s: %w", w.config.Topic, cause)
	}
	if why == nil && w.link != nil {
		if last := w.link.session.dialer.failure(); last != nil {
			why = &last
		}
	}
	err := fmt.Errorf("kafka: write to %s: %w within %v", w.config.Topic, errNoAnswer, w.config.WriteTimeout)
	if w.id != "" {
		err = fmt.Errorf("kafka: write to %s: the transaction would outlast its timeout, WriteTimeout, %v", w.config.Topic, w.config.WriteTimeout)
	}
	switch {
	case why != nil:
		err = fmt.Errorf("%w: %w", err, plain(*why))
	case w.id != "":
		err = fmt.Errorf("%w; raise that, or make batches smaller", err)
	}
	return err
}
