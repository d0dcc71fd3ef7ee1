package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"github.com/godstream/godstream/source"
)

// Source reads the topics, all their partitions, those that are added later
// included; or what Config.Pattern, Assign or Ranges say. See [Config] for where it begins; it goes on for ever, except in a
// replay by record time, which ends where each partition ended when the App
// started, and with Config.Ranges.
func Source(c Config, topics ...string) source.Source[Record] {
	return &input{config: c.clone(), topics: slices.Clone(topics)}
}

type input struct {
	config Config
	topics []string
}

// Check returns everything that is wrong with the settings.
func (in *input) Check() error { return in.config.check(in.topics) }

// String names what is read: "kafka twitter, news".
func (in *input) String() string {
	names := slices.Clone(in.topics)
	if in.config.Pattern != "" {
		names = append(names, "/"+in.config.Pattern+"/")
	}
	for _, topic := range slices.Sorted(maps.Keys(in.config.Assign)) {
		names = append(names, fmt.Sprintf("%s/%v", topic, in.config.Assign[topic]))
	}
	for i, r := range in.config.Ranges {
		if i == 3 && len(in.config.Ranges) > 4 {
			names = append(names, fmt.Sprintf("%d more ranges", len(in.config.Ranges)-3))
			break
		}
		names = append(names, r.String())
	}
	return "kafka " + strings.Join(names, ", ")
}

// Open implements [source.Source].
func (in *input) Open(ctx context.Context, o source.Options) (source.Reader[Record], error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	if in.config.Shared && o.Replay {
		return nil, errors.New("kafka: Config.Shared: a replay by record time reads all partitions; leave Shared out")
	}
	c := in.config.defaults().paced(o.Interval)
	ctx, cancel := context.WithTimeoutCause(ctx, c.ConnectTimeout, errNoAnswer)
	defer cancel()
	s, err := connect(ctx, c)
	if err != nil {
		return nil, err
	}
	o = o.Defaults()
	warnOpenly(c.client(), o.Logger.With("source", o.Name))
	p := &plan{config: c, session: s, replay: o.Replay, opts: o, log: o.Logger.With("source", o.Name)}
	topics := in.topics
	if len(c.Assign) > 0 {
		topics = slices.Sorted(maps.Keys(c.Assign))
	}
	if find := in.names(s); find != nil {
		topics, err = find(ctx)
	}
	switch {
	case err != nil:
	case c.Shared:
		err = p.find(ctx, topics) // they exist; the group says which are ours
	default:
		err = p.make(ctx, topics)
	}
	var cluster string
	if err == nil && c.Shared {
		cluster, err = s.cluster(ctx, topics[:min(1, len(topics))]...)
	}
	if err == nil && !s.settle() {
		err = s.explain(ctx, ctx.Err())
	}
	if err != nil {
		s.close()
		return nil, err
	}
	if c.Shared {
		return newSharedReader(p, in.names(s), cluster), nil
	}
	return newReader(p, in.names(s)), nil
}

// Shared implements [source.Shared].
func (in *input) Shared() (member string, shared bool) {
	return in.config.client().Consumer.Group.InstanceId, in.config.Shared
}

// names returns what finds the topics to read; it is nil if there are only
// ranges.
func (in *input) names(s *session) func(context.Context) ([]string, error) {
	switch {
	case in.config.Pattern != "":
		whole := regexp.MustCompile("^(?:" + in.config.Pattern + ")$") // has been checked
		return func(ctx context.Context) ([]string, error) { return s.topics(ctx, whole) }
	case len(in.topics) > 0:
		return func(context.Context) ([]string, error) { return in.topics, nil }
	}
	return nil
}

// never is the end of a partition that has none.
const never = math.MaxInt64

// plan finds out what is to be read.
type plan struct {
	config  Config
	session *session
	replay  bool
	opts    source.Options
	log     *slog.Logger

	parts []part
	lost  int64  // offsets that should have been read and are gone
	fresh []spot // where the group has committed nothing
	known []spot // if shared, what was there when the source was opened
}

// part is the offsets [from, until) of a partition.
type part struct {
	spot
	from, until int64
	end         int64 // of the partition now; 0 if that is not known
}

func (p *plan) make(ctx context.Context, topics []string) error {
	if err := p.find(ctx, topics); err != nil {
		return err
	}
	return p.begin(ctx)
}

// begin finds out where the partitions begin and end.
func (p *plan) begin(ctx context.Context) error {
	if len(p.parts) == 0 {
		return nil // no topic matches yet
	}
	of := make([]spot, len(p.parts))
	for i, part := range p.parts {
		of[i] = part.spot
	}
	isolation := p.session.config.Consumer.IsolationLevel
	first, err := p.offsets(ctx, sarama.OffsetOldest, isolation, of)
	if err != nil {
		return err
	}
	end, err := p.offsets(ctx, sarama.OffsetNewest, isolation, of)
	if err != nil {
		return err
	}
	if len(p.config.Ranges) == 0 {
		if err := p.start(ctx, of, first, end); err != nil {
			return err
		}
	}
	p.readOn(first)
	var faults []error
	for i := range p.parts {
		part := &p.parts[i]
		part.end = end[part.spot]
		if err := p.fit(ctx, part, first[part.spot], end[part.spot]); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// offsets asks for offsets of partitions that exist, which a broker that leads them
// may not know yet.
func (p *plan) offsets(ctx context.Context, at int64, isolation sarama.IsolationLevel, of []spot) (map[spot]int64, error) {
	return p.session.offsets(ctx, at, isolation, of, sarama.ErrUnknownTopicOrPartition)
}

// find fills in the partitions of the topics or ranges.
func (p *plan) find(ctx context.Context, names []string) error {
	for _, r := range p.config.Ranges {
		p.parts = append(p.parts, part{spot: spot{r.Topic, r.Partition}, from: r.From, until: r.Until})
		if !slices.Contains(names, r.Topic) {
			names = append(names, r.Topic)
		}
	}
	var faults []error
	for _, topic := range names {
		ids, err := p.session.partitions(ctx, topic)
		if err != nil && !errors.As(err, new(final)) {
			return err
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if len(p.config.Ranges) == 0 {
			for _, id := range slices.Sorted(slices.Values(p.config.Assign[topic])) {
				if !slices.Contains(ids, id) {
					faults = append(faults, fmt.Errorf("kafka: Config.Assign has partition %d of topic %q, which has %d", id, topic, len(ids)))
				}
			}
			if assigned := p.config.Assign[topic]; len(assigned) > 0 {
				ids = slices.Sorted(slices.Values(assigned))
			}
			for _, id := range ids {
				p.parts = append(p.parts, part{spot: spot{topic, id}, until: never})
			}
			continue
		}
		for _, r := range p.config.Ranges {
			if r.Topic == topic && !slices.Contains(ids, r.Partition) {
				faults = append(faults, fmt.Errorf("kafka: range %v: topic %q has %d partitions", r, topic, len(ids)))
			}
		}
	}
	return errors.Join(faults...)
}

// start fills in where each partition begins.
func (p *plan) start(ctx context.Context, of []spot, first, end map[spot]int64) error {
	from := first
	switch c := p.config; {
	case !c.Since.IsZero():
		since, err := p.offsets(ctx, c.Since.UnixMilli(), p.session.config.Consumer.IsolationLevel, of)
		if err != nil {
			return err
		}
		from = since
	case c.Start == Latest, c.Start == CommittedOrLatest && c.Group == "":
		from = end
	case c.Start != Earliest && c.Group != "":
		committed, err := p.session.committed(ctx, c.Group, of, c.Shared)
		if err != nil {
			return err
		}
		from = map[spot]int64{}
		for at, c := range committed {
			from[at] = c.offset
		}
	}
	for i := range p.parts {
		part := &p.parts[i]
		offset, ok := from[part.spot]
		given, isGiven := p.config.Offsets[part.topic][part.id]
		if !ok {
			p.fresh = append(p.fresh, part.spot)
		}
		switch {
		case isGiven:
			part.from = given
		case ok && offset >= 0:
			part.from = offset
		case p.config.Since.IsZero() && p.config.Start == Committed, // nothing is committed
			p.known != nil && !slices.Contains(p.known, part.spot): // it was added since
			part.from = first[part.spot]
		default: // that, or nothing is as young
			part.from = end[part.spot]
		}
	}
	return nil
}

// readOn makes the partitions go on where a checkpoint says; those that it does
// not know have been added since and are read from their first record on.
func (p *plan) readOn(first map[spot]int64) {
	if len(p.opts.Positions) == 0 {
		return
	}
	for i := range p.parts {
		part := &p.parts[i]
		if at, ok := p.opts.Position(part.String()); ok {
			part.from = at.Offset
		} else if len(p.config.Ranges) == 0 {
			part.from = first[part.spot]
			p.log.Info("kafka: a partition was added to the topic", "partition", part.String())
		}
	}
}

// fit makes part fit to what there is, or says that it does not; in a replay it
// ends where the partition ends now.
func (p *plan) fit(ctx context.Context, part *part, first, end int64) error {
	if err := p.fitStart(ctx, part, first, end); err != nil {
		return err
	}
	if p.replay && len(p.config.Ranges) == 0 {
		part.until = max(part.from, end)
	}
	return nil
}

func (p *plan) fitStart(ctx context.Context, part *part, first, end int64) error {
	exact := len(p.config.Ranges) > 0
	if exact && part.until > end {
		return fmt.Errorf("kafka: range %s/%d[%d,%d): the partition ends at %d, transactions that are open left out", part.topic, part.id, part.from, part.until, end)
	}
	if part.from > end {
		// It may have been committed by one that reads uncommitted records too.
		all, err := p.offsets(ctx, sarama.OffsetNewest, sarama.ReadUncommitted, []spot{part.spot})
		if err != nil {
			return err
		}
		end = all[part.spot]
	}
	if first <= part.from && part.from <= end || exact && part.from == part.until {
		return nil
	}
	gone := &OutOfRangeError{Topic: part.topic, Partition: part.id, Offset: part.from, First: first, End: end}
	if p.config.OnLost == Fail {
		return gone
	}
	to := first
	if p.config.OnLost == SkipToLatest && !exact {
		to = end
	}
	to = min(to, part.until)
	lost := max(0, to-part.from)
	p.log.Warn("kafka: offsets are gone, going on without them", "partition", part.String(), "from", part.from, "to", to, "lost", lost)
	p.lost += lost
	part.from = to
	return nil
}
