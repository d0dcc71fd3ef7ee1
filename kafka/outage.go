package kafka

import (
	"errors"
	"log/slog"
	"sync"
	"time"
)

// reminder is how often an outage that lasts is logged again.
const reminder = time.Minute

// outages logs when reading began to fail and when it works again, once for
// all partitions that fail together.
type outages struct {
	log *slog.Logger

	mu       sync.Mutex
	down     map[spot]bool
	since    time.Time
	told     time.Time
	refused  bool // that we were refused was told
	failures int
}

// begin notes that p could not be read on from an offset.
func (o *outages) begin(p spot, offset int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.failures++
	refused := errors.As(err, new(refusal))
	switch {
	case len(o.down) == 0:
		o.down = map[spot]bool{}
		o.since, o.told, o.refused, o.failures = now, now, refused, 1
		o.log.Warn("kafka: can't read, trying again", "partition", p.String(), "offset", offset, "error", plain(err).Error())
	case now.Sub(o.told) >= reminder, refused && !o.refused:
		o.told, o.refused = now, o.refused || refused
		o.log.Warn("kafka: still can't read, trying again", "partition", p.String(), "offset", offset,
			"for", now.Sub(o.since).Round(time.Second), "failures", o.failures, "error", plain(err).Error())
	}
	o.down[p] = true
}

// end notes that p can be read again.
func (o *outages) end(p spot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.down[p] {
		return
	}
	delete(o.down, p)
	if len(o.down) == 0 {
		o.log.Info("kafka: reading again", "after", time.Since(o.since).Round(time.Millisecond), "failures", o.failures)
	}
}
