package engine

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/godstream/godstream/source"
)

// Ticks is where batch times come from.
type Ticks int

const (
	// WallClock makes a batch at each multiple of the interval.
	WallClock Ticks = iota
	// RecordTime makes the batches of the intervals that the records' times
	// span, as fast as they can be run.
	RecordTime
	// Step makes a batch after the other without waiting for any time.
	Step
)

// makeBatches cuts and queues batches until the sources have ended or ctx has.
func (r *run) makeBatches(ctx context.Context) error {
	for i, p := range r.Resume.Pending {
		if _, err := r.slot(ctx); err != nil {
			return err
		}
		end, err := r.cutAgain(ctx, p)
		if err != nil || end && i == len(r.Resume.Pending)-1 {
			return err
		}
	}
	switch r.Ticks {
	case RecordTime:
		return r.byRecordTime(ctx)
	case Step:
		return r.step(ctx)
	default:
		return r.byWallClock(ctx)
	}
}

// After is the first multiple of the interval since the epoch that is greater
// than t: the time of the batch to which something at t belongs.
func After(t time.Time, interval time.Duration) time.Time {
	return Floor(t, interval).Add(interval)
}

// Floor is the last multiple of the interval since the epoch that is not
// greater than t.
func Floor(t time.Time, interval time.Duration) time.Time {
	d := int64(interval)
	seconds := t.Unix() % d
	if seconds < 0 {
		seconds += d
	}
	hi, lo := bits.Mul64(uint64(seconds), uint64(time.Second)) // years of nanoseconds do not fit into 64 bits
	lo, carry := bits.Add64(lo, uint64(t.Nanosecond()), 0)
	since := bits.Rem64(hi+carry, lo, uint64(d))
	return t.Round(0).UTC().Add(-time.Duration(since))
}

// Ceil is the first multiple of the interval since the epoch that is not less
// than t.
func Ceil(t time.Time, interval time.Duration) time.Time {
	if floor := Floor(t, interval); floor.Before(t) {
		return floor.Add(interval)
	}
	return t
}

// slot waits for room for one more pending batch and says whether it had to.
func (r *run) slot(ctx context.Context) (waited bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	select {
	case r.slots <- struct{}{}:
		return false, nil
	default:
	}
	select {
	case r.slots <- struct{}{}:
		return true, nil
	case <-ctx.Done():
		return true, context.Cause(ctx)
	}
}

// byWallClock makes a batch at each tick. While MaxPending batches wait, it
// makes none; the ticks that pass meanwhile are merged into the last of them, and
// so are those that passed while the program did not run. A tick whose windows
// show what no later one does runs all the same, before that and without records.
func (r *run) byWallClock(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	at, late := After(time.Now(), r.Interval), false
	var needed []time.Time // ticks that have passed and must run
	if !r.prev.IsZero() {
		at, late = After(r.prev, r.Interval), true
	}
	for {
		for wait := time.Until(at); wait > 0; wait = time.Until(at) { // again if the clock was set back
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		waited, err := r.slot(ctx)
		if err != nil {
			return err
		}
		last := Floor(time.Now(), r.Interval)
		if len(needed) == 0 && (waited || late) && last.After(at) {
			needed = r.needed(at, last)
		}
		if len(needed) > 0 || (waited || late) && last.After(at) {
			run := last
			if len(needed) > 0 {
				run = needed[0]
			}
			if merged := int(run.Sub(at) / r.Interval); merged > 0 {
				r.monitor.merge(merged)
				r.Logger.Warn("behind schedule; ticks merged", "app", r.Name, "ticks", merged, "batch", run)
			}
			at = run
			if len(needed) > 0 {
				needed = needed[1:]
				r.cutNothing(at)
				at, late = at.Add(r.Interval), true
				continue
			}
		}
		late = false
		end, err := r.cut(ctx, at, source.Request{Mode: source.Arrived, MaxBytes: r.Share(r.MaxBatchBytes)})
		if err != nil || end {
			return err
		}
		at = at.Add(r.Interval)
	}
}

// needed is the ticks from one on and before another that must run, oldest first:
// those at which a window shows a batch that no later tick that runs shows.
func (r *run) needed(from, before time.Time) (ticks []time.Time) {
	if len(r.filled) == 0 {
		return nil
	}
	newest := r.filled[len(r.filled)-1]
	for at := from; at.Before(before) && at.Before(newest.Add(r.KeepFor)); at = at.Add(r.Interval) {
		ticks = append(ticks, at)
	}
	for _, w := range r.Windows {
		later := Ceil(before, w.Slide) // the next one that runs in any case
		end := newest.Add(w.Length)    // from here on it shows nothing
		if before.Before(end) {
			end = before
		}
		for at := Ceil(end, w.Slide).Add(-w.Slide); !at.Before(from); at = at.Add(-w.Slide) {
			gone := later.Add(-w.Length) // what is not later than this, the next one does not show
			if at.Before(gone) {
				gone = at
			}
			i, _ := slices.BinarySearchFunc(r.filled, at.Add(-w.Length+1), time.Time.Compare)
			if i < len(r.filled) && !r.filled[i].After(gone) {
				later = at
				ticks = append(ticks, at)
			}
		}
	}
	slices.SortFunc(ticks, time.Time.Compare)
	return slices.CompactFunc(ticks, time.Time.Equal)
}

// fill notes that a batch has what windows may show.
func (r *run) fill(b *Batch) {
	longest := r.KeepFor
	for _, w := range r.Windows {
		longest = max(longest, w.Length)
	}
	r.filled = slices.DeleteFunc(r.filled, func(t time.Time) bool { return !t.After(b.Time.Add(-longest)) })
	if longest > 0 && (b.Records > 0 || r.Emits && !b.Nothing) {
		r.filled = append(r.filled, b.Time)
	}
}

// byRecordTime makes the batches from that of the first record to that of the
// last, empty ones between them included.
func (r *run) byRecordTime(ctx context.Context) error {
	first, ok, err := r.next(ctx)
	if err != nil || !ok {
		return err
	}
	at := After(first, r.Interval)
	if !r.prev.IsZero() {
		if err := r.gap(r.prev, first); err != nil {
			return err
		}
		at = After(r.prev, r.Interval)
	}
	for ; ; at = at.Add(r.Interval) {
		if _, err := r.slot(ctx); err != nil {
			return err
		}
		end, err := r.cut(ctx, at, source.Request{Mode: source.ByTime, MaxBytes: r.Share(r.MaxReplayBatchBytes)})
		if err != nil || end {
			return err
		}
		next, ok, err := r.next(ctx)
		if err != nil || !ok {
			return err
		}
		if err := r.gap(at, next); err != nil {
			return err
		}
	}
}

// gap checks how many empty batches lie between one and that of the next record.
func (r *run) gap(at, next time.Time) error {
	if empty := (After(next, r.Interval).Sub(at) - 1) / r.Interval; empty > time.Duration(r.MaxGap) {
		return fmt.Errorf("replay: %d batches without a record lie between batch %s and the next record, of %s, but MaxGap is %d; correct that record's time or raise MaxGap",
			empty, at.Format(time.RFC3339Nano), next.UTC().Format(time.RFC3339Nano), r.MaxGap)
	}
	return nil
}

// next is the smallest time of a record that is not in a batch yet.
func (r *run) next(ctx context.Context) (first time.Time, ok bool, err error) {
	for _, s := range r.Sources {
		at, more, err := s.Next(ctx)
		if err != nil {
			return first, false, fmt.Errorf("read %s: %w", s.Name(), err)
		}
		if more && (!ok || at.Before(first)) {
			first, ok = at, true
		}
	}
	return first, ok, nil
}

// step makes a batch after the other, from the one after Start on.
func (r *run) step(ctx context.Context) error {
	at := After(r.Start, r.Interval)
	if !r.prev.IsZero() {
		at = After(r.prev, r.Interval)
	}
	for ; ; at = at.Add(r.Interval) {
		if _, err := r.slot(ctx); err != nil {
			return err
		}
		end, err := r.cut(ctx, at, source.Request{Mode: source.Filled, MaxBytes: r.Share(r.MaxBatchBytes)})
		if err != nil || end {
			return err
		}
	}
}

// Share is what of so many bytes that a batch may hold is each source's.
func (p Program) Share(bytes int64) int64 { return max(1, bytes/int64(max(1, len(p.Sources)))) }
