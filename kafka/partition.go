package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/godstream/godstream/source"
)

const (
	leastPause = 10 * time.Millisecond // before another attempt, whatever the client's settings say

	together = 128 // records that are moved into the buffer at once

	lookPause = 150 * time.Millisecond // first time without a record after which a bounded partition looks ahead
	lookLimit = time.Second            // longest time between such looks
)

// partition moves the records of a partition into the buffer. Its fields belong
// to the goroutine of run.
type partition struct {
	spot
	owner *reader
	life  context.Context // until Close
	feed  *source.Feed[Record]
	next  int64 // offset to read
	until int64 // offset at which to end

	end   atomic.Int64 // of the partition, as far as is known
	heard atomic.Int64 // when that was told

	over atomic.Bool // the topic is gone

	items []source.Item[Record] // that are moved together

	down    bool      // an error came after the last record
	why     error     // the last one
	tries   int       // how often reading was begun since
	failed  time.Time // when it came
	ahead   time.Time // since when Kafka says that it ends before next
	missing time.Time // since when it says that there is no such partition
}

// run reads until the end, Close, or an error that trying again does not mend,
// which it returns.
func (p *partition) run(life context.Context) error {
	p.life, p.items = life, make([]source.Item[Record], 0, together)
	p.advance(p.next) // there may be nothing to read
	for p.next < p.until {
		err := p.read()
		switch {
		case life.Err() != nil, errors.Is(err, source.ErrClosed):
			return nil
		case err == nil:
			continue
		case !errors.As(err, new(final)):
			err = p.fail(err)
		}
		switch {
		case errors.Is(err, errOver):
			p.over.Store(true)
			p.feed.Over()
			return nil
		case err != nil:
			return errors.Unwrap(err)
		}
		pause, err := p.again()
		if err != nil {
			return err
		}
		select {
		case <-life.Done():
			return nil
		case <-time.After(pause):
		}
	}
	p.up()
	return nil
}

// again is how long to wait before reading is begun anew, as the client waits
// between its attempts, or why to give up.
func (p *partition) again() (time.Duration, error) {
	retry := p.owner.session.config.Consumer.Retry
	if p.tries++; retry.Max > 0 && p.tries >= retry.Max {
		return 0, p.gaveUp()
	}
	pause := retry.Backoff
	if retry.BackoffFunc != nil {
		pause = retry.BackoffFunc(p.tries)
	}
	return max(pause, leastPause), nil
}

func (p *partition) gaveUp() error {
	err := fmt.Errorf("kafka: read %v at offset %d: gave up after Client.Consumer.Retry.Max attempts, %d; set it to 0, no limit",
		p.spot, p.next, p.owner.session.config.Consumer.Retry.Max)
	if p.why != nil {
		err = fmt.Errorf("%w: %w", err, plain(p.owner.session.told(p.why)))
	}
	return err
}

// advance goes on at an offset, and ends the partition if that is its end:
// at once, for the consumer may take a moment to stop.
func (p *partition) advance(to int64) {
	p.next = to
	if p.next >= p.until {
		p.feed.End()
	}
}

// read reads with one of the client's consumers, which mends broken connections
// by itself. It returns nil at the end, when there is another place to go on,
// and on Close.
func (p *partition) read() error {
	pc, err := p.owner.consumer.ConsumePartition(p.topic, p.id, p.next)
	if errors.Is(err, sarama.ErrOffsetOutOfRange) {
		return p.outOfRange()
	}
	if err != nil {
		return err
	}
	p.ahead = time.Time{}
	defer pc.Close() // what it has to tell comes too late
	look := looker{p: p, tick: time.NewTicker(lookPause), at: p.next}
	defer look.tick.Stop()
	messages, failures := pc.Messages(), pc.Errors()
	var last error
	for {
		look.rest()
		select {
		case m, ok := <-messages:
			if !ok {
				return p.stopped(last, failures)
			}
			if err := p.take(m, messages); err != nil || p.next >= p.until {
				return err
			}
			p.fetched(pc.HighWaterMarkOffset())
			p.up()
		case e, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			last = e.Err
			if err := p.told(e.Err); err != nil {
				return err
			}
		case <-look.tick.C:
			if look.ahead(); p.next >= p.until {
				return nil
			}
		case <-p.life.Done():
			return nil
		}
	}
}

// take moves a message, and those behind it that are there, into the buffer.
func (p *partition) take(m *sarama.ConsumerMessage, rest <-chan *sarama.ConsumerMessage) error {
	defer clear(p.items[:cap(p.items)]) // whatever they keep alive
	for n := len(rest); ; n-- {
		if m.Offset >= p.next && m.Offset < p.until { // a new consumer may begin too early
			r, size := record(m)
			p.items = append(p.items, source.Item[Record]{Record: r, Until: m.Offset + 1, Size: size, Time: r.Timestamp})
			p.next = m.Offset + 1
		}
		end := m.Offset >= p.until-1
		if n == 0 || end || len(p.items) == cap(p.items) {
			if err := p.feed.PutAll(p.items); err != nil {
				return err // Close has begun
			}
			p.items = p.items[:0]
		}
		switch {
		case end: // only a gap may be left before it
			p.skip(p.until)
			return nil
		case n == 0:
			return nil
		}
		m = <-rest
	}
}

// skip goes on behind offsets that hold no record to read.
func (p *partition) skip(to int64) {
	p.feed.Skip(to)
	p.advance(to)
}

// told handles what the consumer tells; it goes on by itself.
func (p *partition) told(err error) error {
	switch {
	case errors.Is(err, sarama.ErrOffsetOutOfRange), errors.Is(err, sarama.ErrConsumerRetriesExhausted):
		return nil // it stops, and then we see
	case errors.Is(err, sarama.ErrMessageTooLarge): // it passes over it
		return final{fmt.Errorf("kafka: read %v after offset %d: %w (%d bytes); raise it or set it to 0, no limit",
			p.spot, p.next-1, plain(err), p.owner.session.config.Consumer.Fetch.Max)}
	case undecodable(err):
		// One fetch is for all partitions of a broker: look whether it is ours.
		if _, err := p.owner.session.fetch(p.spot, p.next, p.owner.session.config.Consumer.Fetch.Default); undecodable(err) {
			return final{fmt.Errorf("kafka: read %v at offset %d: the client can't decode what Kafka has there or soon after: %w; to go on behind it set Config.Offsets",
				p.spot, p.next, plain(err))}
		}
	}
	return p.fail(err)
}

// stopped says what is to be done after the consumer has stopped by itself.
func (p *partition) stopped(last error, rest <-chan *sarama.ConsumerError) error {
	if rest != nil {
		for e := range rest {
			last = e.Err
		}
	}
	switch {
	case errors.Is(last, sarama.ErrOffsetOutOfRange):
		return p.outOfRange()
	case errors.Is(last, sarama.ErrConsumerRetriesExhausted):
		return final{p.gaveUp()}
	case last == nil:
		last = errors.New("the client stopped reading")
	}
	return fmt.Errorf("read %v at offset %d: %w", p.spot, p.next, last)
}

// errOver tells that the topic is gone, and that this is no reason to stop.
var errOver = errors.New("the topic is gone")

// fail notes an error that does not stop us, or returns one that does.
func (p *partition) fail(err error) error {
	if err := p.gone(err); err != nil {
		return err
	}
	p.owner.Retried()
	p.owner.outages.begin(p.spot, p.next, p.owner.session.told(err))
	p.down, p.failed, p.why = true, time.Now(), err
	return nil
}

// gone decides what to do when Kafka says that there is no such partition. A
// broker that has just started may say so for a moment; if it stays so for as long
// as Open may take, it is true.
func (p *partition) gone(err error) error {
	if !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		p.missing = time.Time{}
		return nil
	}
	if p.missing.IsZero() {
		p.missing = time.Now()
	}
	r := p.owner
	waited := time.Since(p.missing)
	switch {
	case waited < r.config.ConnectTimeout:
		return nil
	case r.config.Pattern == "":
		return final{fmt.Errorf("kafka: read %v at offset %d: topic %q is no longer on %s (for %v), it was deleted: %w; make it again and begin with a new Group or checkpoint, or leave it out",
			p.spot, p.next, p.topic, r.session.brokers, waited.Round(100*time.Millisecond), sarama.ErrUnknownTopicOrPartition)}
	case r.config.Shared:
		return nil // the group takes it from us
	}
	lost := max(0, p.end.Load()-p.next)
	r.log.Warn("kafka: a topic that matched the pattern is gone, going on without it", "partition", p.String(), "offset", p.next, "lost", lost)
	r.Lost(lost)
	r.outages.end(p.spot)
	return final{errOver}
}

// up notes that the partition can be read.
func (p *partition) up() {
	p.missing, p.tries = time.Time{}, 0
	if p.down {
		p.down, p.why = false, nil
		p.owner.outages.end(p.spot)
	}
}

// outOfRange decides how to go on when Kafka does not have the next offset.
func (p *partition) outOfRange() error {
	r := p.owner
	first, err := r.session.offsets(p.life, sarama.OffsetOldest, sarama.ReadUncommitted, []spot{p.spot})
	if err != nil {
		return err
	}
	end, err := r.session.offsets(p.life, sarama.OffsetNewest, sarama.ReadUncommitted, []spot{p.spot})
	if err != nil {
		return err
	}
	gone := &OutOfRangeError{Topic: p.topic, Partition: p.id, Offset: p.next, First: first[p.spot], End: end[p.spot]}
	switch {
	case p.next > gone.End:
		// A new leader may not know for a moment how far it may give. If it
		// stays so for as long as Open may take, it is true, and we can't go
		// back, for there were such offsets already.
		if p.ahead.IsZero() {
			p.ahead = time.Now()
		}
		if time.Since(p.ahead) < r.config.ConnectTimeout {
			return gone
		}
		return final{gone}
	case p.next >= gone.First: // it is there after all
		return fmt.Errorf("read %v at offset %d: %w", p.spot, p.next, sarama.ErrOffsetOutOfRange)
	case r.config.OnLost == Fail:
		return final{gone}
	}
	to := gone.First
	if r.config.OnLost == SkipToLatest && len(r.config.Ranges) == 0 {
		to = gone.End
	}
	to = min(to, p.until)
	r.log.Warn("kafka: offsets are gone, going on without them", "partition", p.String(), "from", p.next, "to", to, "lost", to-p.next)
	r.Lost(to - p.next)
	p.skip(to)
	return nil
}

// looker looks ahead while no records come: to see whether there is one before
// the end, which the client does not tell, and whether a broker is back that
// has no new records.
type looker struct {
	p    *partition
	tick *time.Ticker

	at    int64 // p.next at the last tick
	pause time.Duration
	next  time.Time // no look before
	idle  bool      // the ticker is stopped
}

// rest stops the ticker while there is nothing to look for.
func (l *looker) rest() {
	if idle := l.p.until == never && !l.p.down; idle != l.idle {
		l.idle = idle
		if idle {
			l.tick.Stop()
		} else {
			l.tick.Reset(lookPause)
		}
	}
}

// ahead is called at each tick. It moves p.next over a gap before the end.
func (l *looker) ahead() {
	p := l.p
	now := time.Now()
	if p.next != l.at {
		l.at, l.pause = p.next, 0
		return
	}
	// An outage that ends in between is over only if the client, which tries
	// again less often, had no trouble either.
	quiet := !p.down || now.Sub(p.failed) > p.owner.session.config.Consumer.Retry.Backoff+lookLimit
	if now.Before(l.next) || !quiet {
		return
	}
	l.pause = min(max(2*l.pause, lookPause), lookLimit)
	l.next = now.Add(l.pause)
	until := p.until
	if until == never {
		until = p.next + 1 // one look
	}
	to, seen, err := p.owner.session.visible(p.spot, p.next, until)
	if err != nil {
		return // the client will see it too
	}
	p.up()
	if p.until != never && to >= p.until || !seen && p.until != never {
		p.skip(min(to, p.until))
	}
}
