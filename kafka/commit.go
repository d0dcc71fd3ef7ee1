package kafka

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

// commitPause is the time after which a commit that did not succeed is tried
// again.
const commitPause = time.Second

// committer stores offsets for the group, one request at a time; what is given
// to it meanwhile goes into the next one.
type committer struct {
	session *session
	group   string
	log     *slog.Logger

	mu      sync.Mutex
	pending map[spot]int64
	news    chan struct{} // holds one when there is something pending
	stop    chan struct{}
	done    chan struct{}
}

func newCommitter(s *session, group string, log *slog.Logger) *committer {
	c := &committer{
		session: s, group: group, log: log, pending: map[spot]int64{},
		news: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go c.run()
	return c
}

// add takes offsets to commit. It does not wait.
func (c *committer) add(offsets map[spot]int64) {
	c.mu.Lock()
	maps.Copy(c.pending, offsets)
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

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
	offsets := c.pending
	c.pending = map[spot]int64{}
	c.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	err := c.session.commit(c.group, offsets)
	if err != nil {
		c.mu.Lock()
		maps.Copy(offsets, c.pending)
		c.pending = offsets
		c.mu.Unlock()
	}
	return err
}
