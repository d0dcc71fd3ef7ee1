package engine

import (
	"context"
	"fmt"
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

	Checkpoint string           // tells it from any other
	Stored     map[string]int64 // by output with a Marker: its last batch of these
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

// MarkerError tells that an output has other batches than the checkpoint says.
type MarkerError struct{ Err error }

func (e *MarkerError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *MarkerError) Unwrap() error { return e.Err }

// readMarkers finds out which batches the outputs have that store their numbers.
func (r *run) readMarkers(ctx context.Context) error {
	r.stored = map[string]int64{}
	newest := r.Resume.Batches + int64(len(r.Resume.Pending))
	for _, o := range r.Outputs {
		if o.Marker == nil {
			continue
		}
		checkpoint, number, err := o.Marker(ctx)
		switch least := r.Resume.Stored[o.Name]; {
		case err != nil:
			return fmt.Errorf("output %s: which batch was stored last: %w", o.Name, err)
		case number > 0 && checkpoint != r.Resume.Checkpoint:
			return &MarkerError{fmt.Errorf("output %s: what is there was stored by a program with checkpoint %s, this one's is %s; go on with that checkpoint, or write to another place",
				o.Name, checkpoint, r.Resume.Checkpoint)}
		case number < least:
			return &MarkerError{fmt.Errorf("output %s: batch %d was stored last, but the checkpoint has seen batch %d stored there; this is another place, or an old copy of it",
				o.Name, number, least)}
		case number > newest:
			return &MarkerError{fmt.Errorf("output %s: batch %d was stored last, but the checkpoint knows none after %d; the checkpoint is an old copy",
				o.Name, number, newest)}
		}
		r.stored[o.Name] = number
	}
	return nil
}
