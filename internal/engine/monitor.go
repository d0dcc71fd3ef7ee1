package engine

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/godstream/godstream/source"
)

// Monitor counts what a program does, for anyone to read at any time.
type Monitor struct {
	mu     sync.Mutex
	counts Counts
}

// Counts is what has happened so far.
type Counts struct {
	Started        time.Time
	Done, Failed   int64 // batches
	Pending        int   // batches that are cut and wait
	Running        bool
	Merged, Full   int64 // ticks merged into later ones; slices that MaxBatchBytes cut short
	Retries        int64 // of outputs and of failed batches
	Revoked        int64 // batches given up, since other programs have their partitions
	Undone         int64 // batches that were cut and not begun when the program stopped
	Records, Bytes int64 // in done batches
	Last           BatchCounts
	Error          error     // of the batch that failed
	Rates          []float64 // by source: records a second that may be taken; 0 is no bound
}

// BatchCounts is how the last batch that ended went.
type BatchCounts struct {
	Time       time.Time
	Records    int64
	Bytes      int64
	Scheduling time.Duration // from queued to begun
	Processing time.Duration // from begun to ended
}

// Start notes that the program begins.
func (m *Monitor) Start() { m.change(func(c *Counts) { c.Started = time.Now() }) }

// Restart notes that the program goes on from where it was saved, after a batch
// has failed.
func (m *Monitor) Restart() { m.change(func(c *Counts) { c.Retries++; c.Pending, c.Undone = 0, 0 }) }

// Reopen notes that it does so because its partitions were revoked.
func (m *Monitor) Reopen() { m.change(func(c *Counts) { c.Pending, c.Undone = 0, 0 }) }

// Counts returns a copy.
func (m *Monitor) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.counts
	c.Rates = slices.Clone(c.Rates)
	return c
}

func (m *Monitor) change(f func(*Counts)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.counts)
}

func (m *Monitor) queue(*Batch) { m.change(func(c *Counts) { c.Pending++ }) }
func (m *Monitor) merge(n int)  { m.change(func(c *Counts) { c.Merged += int64(n) }) }
func (m *Monitor) limit(source int, rate float64) {
	m.change(func(c *Counts) {
		for len(c.Rates) <= source {
			c.Rates = append(c.Rates, 0)
		}
		c.Rates[source] = rate
	})
}
func (m *Monitor) retry()       { m.change(func(c *Counts) { c.Retries++ }) }
func (m *Monitor) full()        { m.change(func(c *Counts) { c.Full++ }) }
func (m *Monitor) leaveUndone() { m.change(func(c *Counts) { c.Pending--; c.Undone++ }) }
func (m *Monitor) begin(*Batch) { m.change(func(c *Counts) { c.Pending--; c.Running = true }) }
func (m *Monitor) end(b *Batch, began time.Time, err error) {
	m.change(func(c *Counts) {
		c.Running = false
		c.Last = BatchCounts{Time: b.Time, Records: b.Records, Bytes: b.Bytes, Scheduling: began.Sub(b.queued), Processing: time.Since(began)}
		if errors.Is(err, source.ErrRevoked) {
			c.Revoked++
			return
		}
		if err != nil {
			c.Failed++
			c.Error = err
			return
		}
		c.Done++
		c.Records += b.Records
		c.Bytes += b.Bytes
	})
}
