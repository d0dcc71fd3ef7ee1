package stream

import (
	"time"

	"github.com/godstream/godstream/source"
)

// Stats is what an App has done so far.
type Stats struct {
	Started time.Time // zero before Run

	Batches        int64 // done
	Failed         int64 // as often as a batch was given up: the one that ended Run, and those that were run again
	Pending        int   // cut and waiting
	Running        bool  // a batch is being computed
	Merged         int64 // ticks merged into later ones, because MaxPending batches waited
	Full           int64 // slices of a source that MaxBatchBytes cut short
	Retries        int64 // of outputs, and of batches from the checkpoint
	Undone         int64 // batches that were cut and not begun when Run was stopped
	Revoked        int64 // batches that were given up since other programs, which share a source, have their partitions
	Records, Bytes int64 // in done batches
	LastError      error // of the batch that failed

	Last      LastBatch
	Sources   []SourceStats   // in order of declaration
	Operators []OperatorStats // those that can fail on an element, in order of declaration
}

// LastBatch is the batch that ended last.
type LastBatch struct {
	Time            time.Time
	Records, Bytes  int64
	SchedulingDelay time.Duration // it waited for the batch before it
	ProcessingDelay time.Duration // its outputs took
}

// TotalDelay is how long the batch was on its way, from its tick on.
func (l LastBatch) TotalDelay() time.Duration { return l.SchedulingDelay + l.ProcessingDelay }

// SourceStats is a source's own account.
type SourceStats struct {
	Name string
	Rate float64 // records a second that Backpressure allows; 0 is no bound
	source.Stats
}

// OperatorStats counts the elements that failed in a TryMap or Decode.
type OperatorStats struct {
	Name    string
	Failed  int64 // in all batches
	Dropped int64 // of these, beyond what KeepFailures kept for the failed stream
}

// Stats returns what has happened so far. Any goroutine may call it at any time.
func (a *App) Stats() Stats {
	c := a.monitor.Counts()
	s := Stats{
		Started: c.Started, Batches: c.Done, Failed: c.Failed, Pending: c.Pending, Running: c.Running,
		Merged: c.Merged, Full: c.Full, Retries: c.Retries, Undone: c.Undone, Revoked: c.Revoked, Records: c.Records, Bytes: c.Bytes, LastError: c.Error,
		Last: LastBatch{Time: c.Last.Time, Records: c.Last.Records, Bytes: c.Last.Bytes,
			SchedulingDelay: c.Last.Scheduling, ProcessingDelay: c.Last.Processing},
	}
	for i, src := range a.program.Sources {
		of := SourceStats{Name: src.Name(), Stats: src.Stats()}
		if i < len(c.Rates) {
			of.Rate = c.Rates[i]
		}
		s.Sources = append(s.Sources, of)
	}
	for _, f := range a.failures {
		s.Operators = append(s.Operators, OperatorStats{Name: f.name, Failed: f.total.Load(), Dropped: f.beyond.Load()})
	}
	return s
}
