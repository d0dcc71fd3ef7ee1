package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/godstream/godstream/source"
)

// reader reads partitions, each with a goroutine of its own.
type reader struct {
	*source.Buffer[Record] // Cut, Next, Stats

	config   Config
	session  *session
	consumer sarama.Consumer
	commits  *committer // nil without a group
	outages  *outages
	log      *slog.Logger
	leave    func() // the group, or nil

	once sync.Once

	mu    sync.Mutex
	parts map[string]*partition // by name
}

// openReader makes a reader that reads nothing yet.
func openReader(p *plan, m *member) *reader {
	r := &reader{
		Buffer:  source.NewBuffer[Record](p.opts),
		config:  p.config,
		session: p.session,
		outages: &outages{log: p.log},
		log:     p.log,
		parts:   map[string]*partition{},
	}
	r.consumer, _ = sarama.NewConsumerFromClient(p.session.client) // fails if the client is closed
	r.Lost(p.lost)
	if p.config.Group != "" {
		r.commits = newCommitter(p.session, p.config.Group, m, p.log)
	}
	if p.config.Commits != nil {
		p.config.Commits.bind(r)
	}
	return r
}

func newReader(p *plan, topics func(context.Context) ([]string, error)) *reader {
	r := openReader(p, nil)
	parts := make([]*partition, len(p.parts)) // all known before the first is read: they share the buffer
	for i, part := range p.parts {
		parts[i] = r.add(part)
	}
	for _, part := range parts {
		r.Go(part.run)
	}
	if !p.replay && len(p.config.Ranges) == 0 {
		r.Go(r.watchLag)
	}
	if refresh := r.session.config.Metadata.RefreshFrequency; topics != nil && !p.replay && refresh > 0 {
		r.StayOpen()
		r.Go(func(life context.Context) error {
			r.watch(life, topics, refresh)
			return nil
		})
	}
	return r
}

// add makes a partition that is to be read.
func (r *reader) add(p part) *partition {
	r.mu.Lock()
	defer r.mu.Unlock()
	part := &partition{
		spot:  p.spot,
		owner: r,
		feed:  r.Feed(p.String(), p.from),
		next:  p.from,
		until: p.until,
	}
	part.behind(p.end)
	r.parts[p.String()] = part
	return part
}

// watch begins to read topics and partitions that are added, from their first
// record on. The client looks for them every now and then.
func (r *reader) watch(life context.Context, topics func(context.Context) ([]string, error), every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-life.Done():
			return
		case <-tick.C:
		}
		names, err := topics(life)
		if err != nil {
			continue // next time
		}
		for _, topic := range names {
			withoutMeter(topic)
			ids, err := r.session.client.Partitions(topic)
			if err != nil {
				continue // those who read see it too
			}
			for _, id := range slices.Sorted(slices.Values(ids)) {
				r.discover(life, spot{topic, id})
			}
		}
	}
}

// discover begins to read p if it is new.
func (r *reader) discover(life context.Context, p spot) {
	r.mu.Lock()
	known := r.parts[p.String()]
	r.mu.Unlock()
	if known != nil && !known.over.Load() {
		return
	}
	first, err := r.session.offsets(life, sarama.OffsetOldest, sarama.ReadUncommitted, []spot{p})
	if err != nil {
		return // next time
	}
	r.log.Info("kafka: a partition was added to the topic", "partition", p.String())
	r.Go(r.add(part{spot: p, from: first[p], until: never}).run)
}

// Commit implements [source.Reader]: it stores the offsets for the group, a
// moment later, unless the user does so.
func (r *reader) Commit(_ context.Context, done []source.Range) error {
	if r.commits == nil || r.config.Commits != nil {
		return nil
	}
	offsets, err := r.offsets(done)
	if err == nil {
		r.commits.add(offsets, nil)
	}
	return err
}

// offsets are those up to which ranges go.
func (r *reader) offsets(done []source.Range) (map[spot]int64, error) {
	offsets := make(map[spot]int64, len(done))
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range done {
		if r.config.Shared && d.From == d.Until {
			continue // nothing is new, and the partition may be another program's, or have been
		}
		p, ok := r.parts[d.Partition]
		if !ok {
			return nil, fmt.Errorf("kafka: commit %s at offset %d: this source does not read the partition", d.Partition, d.Until)
		}
		if !p.over.Load() { // Kafka keeps no offsets of what is gone
			offsets[p.spot] = d.Until
		}
	}
	return offsets, nil
}

// Close implements [source.Reader].
func (r *reader) Close() error {
	r.once.Do(func() {
		if r.config.Commits != nil {
			r.config.Commits.unbind(r)
		}
		r.Shut()
		if r.commits != nil {
			giveUp := time.AfterFunc(r.config.CloseTimeout, r.session.dialer.shut)
			r.commits.close()
			if r.leave != nil {
				r.leave()
			}
			giveUp.Stop()
		}
		r.session.dialer.shut() // fetches that wait for records end now
		_ = r.Buffer.Close()    // waits for those who read
		r.consumer.Close()      // has nothing to tell
		r.session.close()
	})
	return nil
}
