package engine

import (
	"context"
	"time"

	"github.com/godstream/godstream/source"
)

// Journal keeps what a program needs to go on after a crash. Run calls it from
// one goroutine.
type Journal interface {
	// Log notes a batch before it runs; it lasts when Log returns.
	Log(ctx context.Context, b *Batch) error
	// Done notes that a batch is done, and may save what operators keep.
	Done(ctx context.Context, b *Batch) error
	// End saves the rest when the program stops and all batches that ran are done.
	End(ctx context.Context) error
}

// Resume is where a program goes on that has run before.
type Resume struct {
	Batches int64     // that are done
	Time    time.Time // of the last of them; zero if there was none
	Pending []Pending // begun and not done, oldest first
	Filled  []time.Time
}

// Pending is a batch that was begun and is run again, with what it held of each
// source.
type Pending struct {
	Time   time.Time
	Ranges [][]source.Range
}

// last is the time of the last batch that was begun, zero if there was none.
func (r Resume) last() time.Time {
	if n := len(r.Pending); n > 0 {
		return r.Pending[n-1].Time
	}
	return r.Time
}
