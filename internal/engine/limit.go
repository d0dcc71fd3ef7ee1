package engine

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/godstream/godstream/internal/rate"
	"github.com/godstream/godstream/source"
)

// Rates bounds how many records a live batch takes of each source.
type Rates struct {
	Backpressure    bool    // by how fast batches are processed
	Initial         float64 // records a second, before anything is known; 0 is no bound
	MaxPerPartition float64 // records a second; 0 is no bound
	MinPerPartition int64   // records a batch; 0 is one, in turn if the rates are lower
	PID             rate.PID
}

// limit is how many records a second may be taken of one source. The goroutine
// that runs batches sets it, the one that makes them reads it.
type limit struct {
	pid     rate.PID
	records atomic.Uint64 // a second; bits of a float64, 0 for no bound
}

func newLimits(c Config, sources int) []*limit {
	all := make([]*limit, sources)
	for i := range all {
		l := &limit{pid: c.Rates.PID}
		l.pid.Interval = c.Interval
		if c.Rates.Backpressure {
			l.records.Store(math.Float64bits(c.Rates.Initial))
		}
		all[i] = l
	}
	return all
}

func (l *limit) rate() float64 { return math.Float64frombits(l.records.Load()) }

// learn takes in how a batch went.
func (l *limit) learn(records int64, processing, scheduling time.Duration) {
	if r, ok := l.pid.Next(time.Now(), records, processing, scheduling); ok {
		l.records.Store(math.Float64bits(r))
	}
}

// bound adds to a request how many records it may take.
func (l *limit) bound(q source.Request, c Config) source.Request {
	if q.Mode != source.Arrived {
		return q
	}
	seconds := c.Interval.Seconds()
	if r := l.rate(); r > 0 {
		q.MaxRecords = whole(r * seconds)
	}
	if c.Rates.MaxPerPartition > 0 {
		q.MaxPerPartition = whole(c.Rates.MaxPerPartition * seconds)
	}
	q.MinPerPartition = c.Rates.MinPerPartition
	return q
}

// whole is the number of records that n is, at least one.
func whole(n float64) int64 {
	if n >= math.MaxInt64 {
		return math.MaxInt64
	}
	return max(1, int64(n))
}
