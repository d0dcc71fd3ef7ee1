package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/godstream/godstream/source"
)

// sharedReader reads those partitions that the group gives it. One goroutine, that
// of run, takes partitions and gives them up.
type sharedReader struct {
	*reader
	topics  func(context.Context) ([]string, error)
	plan    plan // what does not depend on partitions
	cluster string
	member  *member

	claims       map[spot]*claim // of the goroutine of run
	revoked      chan struct{}   // closed when the batch in hand must be given up
	why          error           // then
	storedBySink bool

	dealt struct {
		sync.Mutex
		until map[spot]int64 // up to where batches are done
		news  chan struct{}  // holds one when there is something new
	}
}

// claim is a partition that is ours.
type claim struct {
	part *partition
	end  func()        // ends its goroutine
	done chan struct{} // closed when that has ended
}

func newSharedReader(p *plan, topics func(context.Context) ([]string, error), cluster string) *sharedReader {
	m := newMember(p.session, p.config, p.log)
	p.known = []spot{}
	for _, part := range p.parts {
		p.known = append(p.known, part.spot)
	}
	p.parts = nil
	r := &sharedReader{reader: openReader(p, m), topics: topics, plan: *p, cluster: cluster, member: m,
		claims: map[spot]*claim{}, revoked: make(chan struct{}), storedBySink: p.opts.StoredBySink}
	r.dealt.until, r.dealt.news = map[spot]int64{}, make(chan struct{}, 1)
	r.leave = func() {
		if err := m.leave(); err != nil {
			r.log.Warn("kafka: could not leave the group; others take over after the session timeout", "group", r.config.Group, "error", plain(err).Error())
		}
	}
	r.StayOpen()
	r.Go(r.run)
	r.Go(r.watchLag)
	return r
}

// run takes part in one generation of the group after the other.
func (r *sharedReader) run(life context.Context) error {
	stop := func() {} // ends the heartbeats
	defer func() { stop() }()
	for life.Err() == nil {
		topics, err := r.find(life)
		if err != nil {
			return r.over(life, err)
		}
		d, err := r.member.join(life, topics, r.owned())
		if errors.Is(err, errLost) {
			if err := r.lost(); err != nil {
				return err
			}
			r.member.forget(life)
			continue
		}
		if err != nil {
			return r.over(life, err)
		}
		p := r.member.beat(life)
		stop = sync.OnceFunc(p.stop)
		again, err := r.change(p, d.mine)
		if err == nil && !again {
			err = r.stay(p, d, topics)
		}
		if errors.Is(err, errLost) && !errors.Is(err, source.ErrRevoked) && p.err == nil {
			err = r.lost()
			r.member.forget(life)
		}
		stop()
		if p.err != nil {
			err = p.err
		}
		if err != nil {
			return r.over(life, err)
		}
	}
	return nil
}

// find returns the topics to read. All brokers may be away for a moment, as they may
// while it joins.
func (r *sharedReader) find(life context.Context) (topics []string, err error) {
	away := outage{log: r.log, what: "find the topics of the group", group: r.config.Group}
	for {
		topics, err = r.topics(life)
		if err == nil || life.Err() != nil || !passes(err) {
			away.end(err)
			return topics, err
		}
		away.begin(err)
		select {
		case <-life.Done():
		case <-time.After(retryPause):
		}
	}
}

// over is the error with which run ends: none if the source is being closed.
func (r *sharedReader) over(life context.Context, err error) error {
	var f final
	switch {
	case life.Err() != nil:
		return nil
	case errors.As(err, &f):
		return f.error
	}
	return err
}

func (r *sharedReader) owned() []spot { return slices.Collect(maps.Keys(r.claims)) }

// change gives up the partitions that are no longer ours, and begins to read those
// that are new. Again tells that the group waits for what was given up to be
// distributed.
func (r *sharedReader) change(p *pulse, mine []spot) (again bool, err error) {
	var gone, added []spot
	for at := range r.claims {
		if !slices.Contains(mine, at) {
			gone = append(gone, at)
		}
	}
	for _, at := range mine {
		if r.claims[at] == nil {
			added = append(added, at)
		}
	}
	if len(gone) > 0 {
		if err := r.giveUp(p, gone); err != nil {
			return false, err
		}
	}
	err = r.take(p, added)
	if err != nil && p.ctx.Err() != nil {
		err = context.Cause(p.ctx)
	}
	if errors.Is(err, errRebalance) { // the next generation has other ones
		return true, r.yield(p)
	}
	return len(gone) > 0, err
}

// take begins to read partitions where the group has committed.
func (r *sharedReader) take(p *pulse, added []spot) error {
	if len(added) == 0 {
		return nil
	}
	for _, at := range added {
		withoutMeter(at.topic)
	}
	if err := r.session.client.RefreshMetadata(topics(added)...); err != nil {
		r.log.Debug("kafka: metadata of new partitions", "error", err) // the next request tells
	}
	begin, err := r.beginnings(p.ctx, added)
	if err != nil {
		return err
	}
	if added = added[:0]; len(begin.parts) == 0 {
		return nil
	}
	r.Lost(begin.lost)
	first := map[spot]int64{} // where the group has nothing, the next owner begins where we do
	for _, part := range begin.parts {
		if slices.Contains(begin.fresh, part.spot) {
			first[part.spot] = part.from
		}
	}
	if len(first) > 0 {
		if err := r.session.try(p.ctx, func() error {
			as, release, err := r.member.hold(p.ctx)
			if err != nil {
				return err
			}
			defer release()
			return r.session.commit(as, first)
		}); err != nil && !errors.As(err, new(missing)) { // those who read see that, too
			return r.member.judge(err)
		}
	}
	for _, part := range begin.parts {
		added = append(added, part.spot)
		r.dealt.Lock()
		r.dealt.until[part.spot] = part.from
		r.dealt.Unlock()
		life, end := context.WithCancel(context.Background())
		c := &claim{part: r.add(part), end: end, done: make(chan struct{})}
		r.claims[part.spot] = c
		r.Go(func(ctx context.Context) error {
			defer close(c.done)
			defer context.AfterFunc(ctx, end)()
			return c.part.run(life)
		})
	}
	r.log.Info("kafka: partitions taken", "group", r.config.Group, "partitions", labels(added))
	return nil
}

// beginnings finds out where partitions begin, without those of topics that are
// gone, for which no other is to wait.
func (r *sharedReader) beginnings(ctx context.Context, added []spot) (begin plan, err error) {
	for {
		begin = r.plan
		for _, at := range added {
			begin.parts = append(begin.parts, part{spot: at, until: never})
		}
		soon, cancel := context.WithTimeoutCause(ctx, r.config.ConnectTimeout, errNoAnswer)
		err = begin.begin(soon)
		late := soon.Err() != nil
		cancel()
		if err == nil || !late || ctx.Err() != nil {
			return begin, err
		}
		r.log.Warn("kafka: can't find where partitions begin, trying again", "partitions", labels(added), "error", plain(err).Error())
		if added, err = r.present(added); err != nil {
			return begin, err
		}
	}
}

// present returns the partitions of topics that are not gone. It is an error if one
// is that was given by its name.
func (r *sharedReader) present(of []spot) ([]spot, error) {
	for _, topic := range topics(of) {
		if !errors.Is(r.session.client.RefreshMetadata(topic), sarama.ErrUnknownTopicOrPartition) {
			continue
		}
		if r.config.Pattern == "" {
			return nil, fmt.Errorf("kafka: topic %q is no longer on %s, it was deleted: %w; make it again, or leave it out", topic, r.session.brokers, sarama.ErrUnknownTopicOrPartition)
		}
		r.log.Warn("kafka: a topic that matched the pattern is gone, going on without it", "topic", topic)
		of = slices.DeleteFunc(slices.Clone(of), func(at spot) bool { return at.topic == topic })
	}
	return of, nil
}

// stay waits until there is a reason to join again, and then gives up what must be
// given up before.
func (r *sharedReader) stay(p *pulse, d distribution, joined []string) error {
	var look <-chan time.Time
	if every := r.session.config.Metadata.RefreshFrequency; every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		look = t.C
	}
	for {
		select {
		case <-p.ctx.Done():
			if err := context.Cause(p.ctx); !errors.Is(err, errRebalance) {
				return err
			}
			return r.yield(p)
		case <-look:
			if r.changed(p.ctx, d, joined) {
				return r.yield(p)
			}
		}
	}
}

// changed says whether there are topics or partitions that nobody has been given.
func (r *sharedReader) changed(ctx context.Context, d distribution, joined []string) bool {
	if now, err := r.topics(ctx); err != nil || !slices.Equal(now, joined) {
		return err == nil
	}
	for topic, n := range d.of {
		ids, err := r.session.client.Partitions(topic)
		if err == nil && len(ids) != n {
			return true
		}
	}
	return false
}

// yield gives up what must be given up before the member joins again: nothing if
// the members cooperate.
func (r *sharedReader) yield(p *pulse) error {
	if r.member.cooperative {
		return nil
	}
	return r.giveUp(p, r.owned())
}

// giveUp stops reading partitions, and waits until everything that was cut of them
// is done and committed. If that takes longer than the group waits, what is in hand
// is revoked.
func (r *sharedReader) giveUp(p *pulse, gone []spot) error {
	if len(gone) == 0 {
		return nil
	}
	limit := r.session.config.Consumer.Group.Rebalance.Timeout
	late := time.NewTimer(limit)
	defer late.Stop()
	for cut := r.drop(gone); !r.dealtWith(cut); {
		select {
		case <-r.dealt.news:
		case <-p.lost:
			if p.err != nil { // nobody is to go on
				return p.err
			}
			r.forget(gone)
			return r.revoke(errLost)
		case <-p.life.Done():
			return context.Cause(p.life)
		case <-late.C:
			r.forget(gone)
			return r.revoke(fmt.Errorf("it took longer than Client.Consumer.Group.Rebalance.Timeout, %v", limit))
		}
	}
	flushing, cancel := context.WithTimeout(p.life, limit)
	defer cancel()
	err := r.commits.flush(flushing)
	if p.life.Err() != nil { // Close commits what is left
		return context.Cause(p.life)
	}
	if err != nil {
		r.log.Warn("kafka: could not commit the last offsets of partitions that are given up; their next reader reads from the ones before", "group", r.config.Group, "partitions", labels(gone))
	}
	r.forget(gone)
	r.log.Info("kafka: partitions given up", "group", r.config.Group, "partitions", labels(gone))
	return nil
}

// drop stops reading partitions. It returns up to where they were cut.
func (r *sharedReader) drop(gone []spot) (cut map[spot]int64) {
	cut = map[spot]int64{}
	for _, at := range gone { // all of them before waiting, for each may have a fetch on its way
		r.claims[at].end()
		cut[at] = r.claims[at].part.feed.Drop()
	}
	for _, at := range gone {
		<-r.claims[at].done
		delete(r.claims, at)
		r.outages.end(at)
	}
	return cut
}

// dealtWith says whether batches with everything that was cut are done.
func (r *sharedReader) dealtWith(cut map[spot]int64) bool {
	r.dealt.Lock()
	defer r.dealt.Unlock()
	for at, until := range cut {
		if r.dealt.until[at] < until {
			return false
		}
	}
	return true
}

// lost is what becomes of what we have when the group has gone on without us.
func (r *sharedReader) lost() error {
	all := r.owned()
	cut := r.drop(all)
	r.forget(all)
	if !r.dealtWith(cut) {
		return r.revoke(errLost)
	}
	if len(all) > 0 {
		r.log.Warn("kafka: the group has gone on without this program; joining again", "group", r.config.Group)
	}
	return nil
}

// revoke gives the batch in hand up.
func (r *sharedReader) revoke(why error) error {
	r.why = fmt.Errorf("kafka: group %q: %w: %w", r.config.Group, source.ErrRevoked, why)
	close(r.revoked)
	return r.why
}

// Cut implements [source.Reader].
func (r *sharedReader) Cut(ctx context.Context, q source.Request) (source.Slice[Record], error) {
	s, err := r.Buffer.Cut(ctx, q)
	select {
	case <-r.revoked:
		return source.Slice[Record]{}, r.why
	default:
		return s, err
	}
}

// Revoked implements [source.Sharer].
func (r *sharedReader) Revoked() <-chan struct{} { return r.revoked }

// Hold implements [source.Sharer].
func (r *sharedReader) Hold(ctx context.Context) (source.Claim, func(), error) {
	as, release, err := r.member.hold(ctx)
	if err != nil {
		return source.Claim{}, nil, err
	}
	select {
	case <-r.revoked: // and then the member is forgotten
		release()
		return source.Claim{}, nil, source.ErrRevoked
	default:
	}
	c := source.Claim{System: system(r.cluster), Group: as.group, Member: as.id, Generation: as.generation}
	if as.instance != nil {
		c.Instance = *as.instance
	}
	return c, release, nil
}

// system is what the claims of a cluster's groups have as their place.
func system(cluster string) string { return "kafka " + cluster }

// Commit implements [source.Reader].
func (r *sharedReader) Commit(ctx context.Context, done []source.Range) error {
	done = slices.DeleteFunc(slices.Clone(done), r.isGone) // the batch had nothing of these
	if !r.storedBySink {
		if err := r.reader.Commit(ctx, done); err != nil {
			return err
		}
	}
	offsets, err := r.offsets(done)
	if err != nil {
		return err
	}
	r.dealt.Lock()
	maps.Copy(r.dealt.until, offsets)
	r.dealt.Unlock()
	select {
	case r.dealt.news <- struct{}{}:
	default:
	}
	return nil
}

// isGone says whether the partition has been given up.
func (r *sharedReader) isGone(of source.Range) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.parts[of.Partition]
	return !known
}

// forget makes nothing count any more that is told of partitions: others have them.
func (r *sharedReader) forget(gone []spot) {
	r.mu.Lock()
	for _, at := range gone {
		delete(r.parts, at.String())
	}
	r.mu.Unlock()
	r.commits.drop(gone)
}

func labels(of []spot) (names []string) {
	for _, p := range of {
		names = append(names, p.String())
	}
	slices.Sort(names)
	return names
}
