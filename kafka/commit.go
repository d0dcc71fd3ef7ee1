package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// commitPause is the time after which a commit that did not succeed is tried
// again.
const commitPause = time.Second

// committer stores offsets for the group, one request at a time; what is given
// to it meanwhile goes into the next one.
type committer struct {
	session *session
	group   string
	member  *member // nil if the source is not shared
	log     *slog.Logger

	mu      sync.Mutex
	pending map[spot]int64
	waiting []waiter      // to be told when what is pending is stored
	missing time.Time     // since when Kafka does not know a partition
	busy    bool          // a request is on its way
	gone    []spot        // partitions that were dropped meanwhile
	idle    chan struct{} // closed when nothing is pending or on its way; nil if nobody waits for that
	news    chan struct{} // holds one when there is something pending
	stop    chan struct{}
	done    chan struct{}
}

// waiter is told what became of offsets.
type waiter struct {
	of   map[spot]int64
	then func(error)
}

func newCommitter(s *session, group string, m *member, log *slog.Logger) *committer {
	c := &committer{
		session: s, group: group, member: m, log: log, pending: map[spot]int64{},
		news: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go c.run()
	return c
}

// add takes offsets to commit. It does not wait; if then is not nil, it is called
// when they are stored, or will not be.
func (c *committer) add(offsets map[spot]int64, then func(error)) {
	c.mu.Lock()
	maps.Copy(c.pending, offsets)
	if then != nil {
		c.waiting = append(c.waiting, waiter{offsets, then})
	}
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// flush waits until all is stored that was added.
func (c *committer) flush(ctx context.Context) error {
	c.mu.Lock()
	if len(c.pending) == 0 && len(c.waiting) == 0 && !c.busy {
		c.mu.Unlock()
		return nil
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drop gives up what is pending of partitions that are no longer ours: to commit it
// later would take back what others have committed since.
func (c *committer) drop(gone []spot) {
	c.mu.Lock()
	var late []waiter
	for _, p := range gone {
		if _, ok := c.pending[p]; !ok {
			continue
		}
		delete(c.pending, p)
		c.waiting = without(c.waiting, p, &late)
	}
	if c.busy {
		c.gone = append(c.gone, gone...)
	}
	c.mu.Unlock()
	c.tell(late, errGone)
}

var errGone = errors.New("kafka: commit: another program of the group has the partition by now")

// close sends what is pending, and waits for that.
func (c *committer) close() {
	close(c.stop)
	<-c.done
}

func (c *committer) run() {
	defer close(c.done)
	var since time.Time // when committing began to fail
	var again <-chan time.Time
	for {
		last := false
		select {
		case <-c.news:
		case <-again:
		case <-c.stop:
			last = true
		}
		again = nil
		err := c.send()
		if err != nil && last {
			err = c.send() // the connection may have been an old one
		}
		switch {
		case err != nil && last:
			c.giveUp(plain(err))
			c.log.Warn("kafka: could not commit the last offsets; a start without a checkpoint reads from the ones before", "group", c.group, "error", plain(err).Error())
		case err != nil && since.IsZero():
			since = time.Now()
			c.log.Warn("kafka: can't commit offsets, trying again", "group", c.group, "error", plain(err).Error())
			fallthrough
		case err != nil:
			again = time.After(commitPause)
		case !since.IsZero():
			c.log.Info("kafka: committing offsets again", "group", c.group, "after", time.Since(since).Round(time.Millisecond))
			since = time.Time{}
		}
		if last {
			return
		}
	}
}

// send commits what is pending; what could not be sent is pending again,
// unless there is something newer.
func (c *committer) send() error {
	c.mu.Lock()
	nothing := len(c.pending) == 0 && len(c.waiting) == 0
	c.mu.Unlock()
	if nothing {
		return nil
	}
	as := groupMember{group: c.group, generation: sarama.GroupGenerationUndefined}
	if c.member != nil { // it may be joining, which ends with the dialer at the latest
		now, release, err := c.member.hold(c.session.dialer.life)
		if err != nil {
			return err
		}
		defer release()
		as = now
	}
	c.mu.Lock()
	offsets, waiting := c.pending, c.waiting
	c.pending, c.waiting = map[spot]int64{}, nil
	c.busy = true
	c.mu.Unlock()
	var err error
	if len(offsets) > 0 {
		err = c.session.told(c.session.commit(as, offsets))
	}
	return c.settle(offsets, waiting, err)
}

// settle deals with the answer to a request. It returns why what is left of it is
// pending again.
func (c *committer) settle(offsets map[spot]int64, waiting []waiter, err error) error {
	var stored, late, lost []waiter
	if err == nil {
		stored = waiting
	}
	c.mu.Lock()
	m, partly := errors.AsType[missing](err)
	if partly { // the others are stored
		maps.DeleteFunc(offsets, func(p spot, _ int64) bool { return !slices.Contains(m.of, p) })
		stored, waiting = waiting, nil
		for _, p := range m.of {
			stored = without(stored, p, &waiting)
		}
	}
	switch {
	case !partly:
		c.missing = time.Time{}
	case c.missing.IsZero():
		c.missing = time.Now() // it may be a broker that has just started
	case time.Since(c.missing) >= c.session.timeout: // topics are gone, and Kafka keeps no offsets of them
		clear(offsets)
		lost, waiting, c.missing, err = waiting, nil, time.Time{}, nil
	}
	if err != nil {
		for _, p := range c.gone {
			delete(offsets, p)
			waiting = without(waiting, p, &late)
		}
		maps.Copy(offsets, c.pending)
		c.pending, c.waiting = offsets, append(waiting, c.waiting...)
	}
	c.busy, c.gone = false, nil
	if c.idle != nil && len(c.pending) == 0 && len(c.waiting) == 0 {
		close(c.idle)
		c.idle = nil
	}
	c.mu.Unlock()
	c.tell(stored, nil)
	c.tell(late, errGone)
	if len(lost) > 0 {
		c.tell(lost, fmt.Errorf("kafka: commit: the topic is gone: %w", m))
	}
	return err
}

// without takes those who wait for an offset of p out, and adds them to late.
func without(waiting []waiter, p spot, late *[]waiter) []waiter {
	return slices.DeleteFunc(waiting, func(w waiter) bool {
		_, ok := w.of[p]
		if ok {
			*late = append(*late, w)
		}
		return ok
	})
}

// giveUp tells those who wait that nothing more is stored.
func (c *committer) giveUp(err error) {
	c.mu.Lock()
	waiting := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	c.tell(waiting, err)
}

// tell calls functions of the user's.
func (c *committer) tell(waiting []waiter, err error) {
	for _, w := range waiting {
		func() {
			defer func() {
				if p := recover(); p != nil {
					c.log.Error("kafka: the function given to CommitAsync panicked", "group", c.group, "panic", p)
				}
			}()
			w.then(err)
		}()
	}
}
