// Package engine decides when batches run, on how many workers, and what
// becomes of a program when one fails or the program is stopped. It never sees
// an element: of a source it knows how to have a slice cut, of an output that
// it can be run.
//
// Two goroutines do it. One makes batches: it waits for the next tick, has each
// source cut its slice and queues the batch. The other, that of Run itself,
// takes batch after batch from the queue, runs its outputs in order and tells
// the sources what is done. Nothing else changes what they share, a Monitor
// aside, which anyone may read.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godstream/godstream/internal/crashpoint"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/window"
)

// Config is how a program runs. The fields have been checked.
type Config struct {
	Name                string
	Interval            time.Duration
	Ticks               Ticks
	Start               time.Time // what Step counts from
	MaxPending          int
	MaxBatchBytes       int64
	MaxReplayBatchBytes int64
	MaxGap              int
	DrainTimeout        time.Duration
	Retries             int             // of an output that fails
	RetryBackoff        time.Duration   // before the first of them
	Windows             []window.Window // of the program; a tick that they need is not merged
	KeepFor             time.Duration   // no tick is merged so long after a batch with records
	Rates               Rates
	Emits               bool    // windows may show elements of a batch that has no records
	Volatile            bool    // what a source has given can't be read again
	Journal             Journal // nil if nothing is to last
	Resume              Resume
	Logger              *slog.Logger
}

// Program is what runs.
type Program struct {
	Sources []Source
	Outputs []Output
	Finish  func(*Batch) error // after the outputs of a batch, before it counts as done
	Forget  func(*Batch)       // when a batch has ended, done or not
}

// Source is a source without its element type.
type Source interface {
	Name() string
	Open(ctx context.Context) error
	Cut(ctx context.Context, r source.Request) (Slice, error)
	Nothing() Slice // a slice without records
	Next(ctx context.Context) (time.Time, bool, error)
	Commit(ctx context.Context, done []source.Range) error
	Close() error
	Stats() source.Stats

	// Revoked is closed when the batch in hand has to be given up, since other
	// programs read its partitions. It is nil for a source that is not shared.
	Revoked() <-chan struct{}
}

// Slice is what a batch holds of a source. Elements is a source.Slice of the
// type that only package stream knows.
type Slice struct {
	Elements any
	Ranges   []source.Range
	Records  int64
	Bytes    int64
	End      bool
	Moved    bool // the source is further than the run before left it
}

// Output is an effect that a batch has. Open and Close are nil where there is
// nothing to open.
type Output struct {
	Name    string
	Present func(at time.Time) bool // whether it has a batch at a time
	Open    func(ctx context.Context) error
	Do      func(ctx context.Context, b *Batch) error
	Close   func() error

	// Exact outputs store a batch all or nothing, with what tells after a crash
	// whether it is stored. They come last, and one that failed has to be opened
	// again.
	Exact bool

	// Marker tells, after Open, which batch was stored last by an Exact output
	// that stores the number of a batch with it, and the checkpoint that the
	// number is of. It is nil for others.
	Marker func(ctx context.Context) (checkpoint string, number int64, err error)
}

// Batch is one batch on its way.
type Batch struct {
	Seq     int64     // 1, 2, …, going on where the run before ended
	Again   bool      // it was begun by the run before
	Nothing bool      // its records are in another batch, since ticks were merged
	Time    time.Time // end of its interval
	Slices  []Slice   // by source
	Records int64
	Bytes   int64
	Stored  []string // outputs with a Marker that have the batch
	queued  time.Time
}

// BatchError tells which batch failed, and in which output.
type BatchError struct {
	Time   time.Time
	Output string // "" if it was none
	Err    error
}

func (e *BatchError) Error() string {
	where := "batch " + e.Time.UTC().Format(time.RFC3339Nano)
	if e.Output != "" {
		where += ": output " + e.Output
	}
	return where + ": " + e.Err.Error()
}

func (e *BatchError) Unwrap() error { return e.Err }

// ErrDrainTimeout is why a batch was given up that took longer than
// DrainTimeout after the program had been told to stop.
var ErrDrainTimeout = errors.New("the batch in hand was not complete within DrainTimeout")

// Run opens the sources and runs batches until ctx ends, all sources have
// ended, or something fails. The end of ctx lets the batch in hand complete.
// stop is set when it may no longer. All goroutines have returned when Run does.
func Run(ctx context.Context, c Config, p Program, m *Monitor, stop *atomic.Bool) (err error) {
	var opened []resource
	defer func() {
		for _, o := range slices.Backward(opened) {
			if e := guard(o.close); e != nil {
				err = errors.Join(err, fmt.Errorf("close %s: %w", o.name, e))
			}
		}
	}()
	for _, o := range p.resources() {
		if err := guard(func() error { return o.open(ctx) }); ended(ctx, err) {
			return nil // stopped before it began
		} else if err != nil {
			return fmt.Errorf("open %s: %w", o.name, err)
		}
		opened = append(opened, o)
	}

	r := &run{limits: newLimits(c, len(p.Sources)), Config: c, Program: p, monitor: m, stop: stop, seq: c.Resume.Batches, prev: c.Resume.last(), filled: c.Resume.Filled,
		queue: make(chan *Batch, c.MaxPending), slots: make(chan struct{}, c.MaxPending)}
	if err := guard(func() error { return r.readMarkers(ctx) }); ended(ctx, err) {
		return nil
	} else if err != nil {
		return err
	}
	defer r.watch()()
	ticking, stopTicks := context.WithCancel(ctx)
	made := make(chan error, 1)
	go func() {
		err := errGoexit
		defer func() {
			close(r.queue)
			made <- err
		}()
		if err = guard(func() error { return r.makeBatches(ticking) }); ended(ticking, err) {
			err = nil // it was stopped
		}
	}()
	defer func() { // also when a function of the user ends this goroutine
		stopTicks()
		for b := range r.queue { // what was cut and not begun is read again next time
			m.leaveUndone()
			if e := r.leave(ctx, b); e != nil && err == nil {
				err = e
			}
		}
		err = errors.Join(err, <-made)
	}()
	return r.runBatches(ctx)
}

// resource is what is open while a program runs.
type resource struct {
	name  string
	open  func(context.Context) error
	close func() error
}

// resources are the sinks, then the sources.
func (p Program) resources() (all []resource) {
	for _, o := range p.Outputs {
		if o.Open != nil {
			all = append(all, resource{o.Name, o.Open, o.Close})
		}
	}
	for _, s := range p.Sources {
		all = append(all, resource{s.Name(), s.Open, s.Close})
	}
	return all
}

// ended says whether err only tells that ctx has ended.
func ended(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
}

// guard makes an error of a panic in a source or sink.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

type run struct {
	Config
	Program
	monitor *Monitor
	stop    *atomic.Bool
	queue   chan *Batch
	slots   chan struct{} // one for each batch that is queued or being cut

	revoked context.Context // until a source that is shared gives the batch in hand up

	limits []*limit         // by source
	stored map[string]int64 // number of the last batch that an output with a Marker has

	// Of the goroutine that makes batches:
	seq    int64       // of the last one
	prev   time.Time   // of the last one
	filled []time.Time // of those with records that a window may still show
}

// runBatches runs what is queued, one batch after the other.
func (r *run) runBatches(ctx context.Context) error {
	for {
		if ctx.Err() != nil { // rather than what select would choose
			return r.end(ctx)
		}
		select {
		case <-ctx.Done():
			return r.end(ctx)
		case <-r.revoked.Done():
			return source.ErrRevoked
		case b, ok := <-r.queue:
			if !ok {
				return r.end(ctx)
			}
			<-r.slots
			if err := r.runBatch(ctx, b); err != nil {
				return err
			}
		}
	}
}

// end saves what the batches that ran have changed.
func (r *run) end(ctx context.Context) error {
	if r.Journal == nil {
		return nil
	}
	saving, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), r.DrainTimeout, errSaveTimeout)
	defer cancel()
	if err := guard(func() error { return r.Journal.End(saving) }); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// leave notes a batch that was cut and not begun, if its records could not be
// read again.
func (r *run) leave(ctx context.Context, b *Batch) error {
	if r.Journal == nil || !r.Volatile || b.Again {
		return nil
	}
	logging, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), r.DrainTimeout, errSaveTimeout)
	defer cancel()
	if e := guard(func() error { return r.Journal.Log(logging, b) }); e != nil {
		r.Logger.Error("records that were read are lost", "app", r.Name, "batch", b.Time, "records", b.Records, "reason", e)
		return fmt.Errorf("log the batches that were not begun: %w", e)
	}
	return nil
}

var errSaveTimeout = errors.New("the checkpoint was not written within DrainTimeout; what it lacks is computed again from the log")

// runBatch runs the outputs of a batch and tells the sources that it is done.
func (r *run) runBatch(ctx context.Context, b *Batch) error {
	working, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	giveUp := func(why error) {
		r.stop.Store(true) // before an output can return, which would seem to have failed by itself
		cancel(why)
	}
	unwatch := after(ctx, func() {
		late := time.NewTimer(r.DrainTimeout)
		defer late.Stop()
		select {
		case <-late.C:
			giveUp(ErrDrainTimeout)
		case <-working.Done():
		}
	})
	defer unwatch()
	defer after(r.revoked, func() { giveUp(source.ErrRevoked) })()
	defer cancel(nil)

	defer r.Forget(b)
	r.monitor.begin(b)
	began := time.Now()
	if b.Again {
		r.Logger.Info("a batch that was begun before runs again; outputs see it once more", "app", r.Name, "batch", b.Time, "records", b.Records)
	}
	crashpoint.At("batch.begun")
	err := r.logged(working, b)
	if err == nil {
		crashpoint.At("batch.logged")
		err = r.outputs(ctx, working, b)
	}
	if err == nil {
		crashpoint.At("batch.done")
		err = r.saved(working, b)
	}
	r.monitor.end(b, began, err)
	if err != nil {
		return err
	}
	if r.Rates.Backpressure && !b.Again && !b.Nothing {
		for i, l := range r.limits {
			l.learn(b.Slices[i].Records, time.Since(began), began.Sub(b.queued))
			r.monitor.limit(i, l.rate())
		}
	}
	crashpoint.At("batch.saved")
	r.Logger.Debug("batch done", "app", r.Name, "time", b.Time, "records", b.Records, "bytes", b.Bytes,
		"waited", began.Sub(b.queued), "took", time.Since(began))
	for i, s := range r.Sources {
		if err := guard(func() error { return s.Commit(working, b.Slices[i].Ranges) }); err != nil {
			r.Logger.Warn("positions not committed; a restart may read these records again", "app", r.Name, "source", s.Name(), "batch", b.Time, "reason", err)
		}
	}
	crashpoint.At("batch.committed")
	return nil
}

// after calls f when ctx has ended, unless stop is called before, which waits for
// f if it has begun.
func after(ctx context.Context, f func()) (stop func()) {
	done := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(done)
		f()
	})
	return func() {
		if !cancel() {
			<-done
		}
	}
}

// watch makes revoked end when a source says so, until stop is called.
func (r *run) watch() (stop func()) {
	revoked, end := context.WithCancel(context.Background())
	r.revoked = revoked
	over := make(chan struct{})
	var watching sync.WaitGroup
	for _, s := range r.Sources {
		if c := s.Revoked(); c != nil {
			watching.Go(func() {
				select {
				case <-c:
					end()
				case <-over:
				}
			})
		}
	}
	return func() {
		close(over)
		watching.Wait()
		end()
	}
}

// logged makes sure that the batch will be the same one after a crash.
func (r *run) logged(ctx context.Context, b *Batch) error {
	if r.Journal == nil || b.Again {
		return nil
	}
	if err := guard(func() error { return r.Journal.Log(ctx, b) }); err != nil {
		return &BatchError{Time: b.Time, Err: fmt.Errorf("log: %w", err)}
	}
	return nil
}

// saved tells the journal that the batch is done.
func (r *run) saved(ctx context.Context, b *Batch) error {
	if r.Journal == nil {
		return nil
	}
	if err := guard(func() error { return r.Journal.Done(ctx, b) }); err != nil {
		return &BatchError{Time: b.Time, Err: fmt.Errorf("checkpoint: %w", err)}
	}
	return nil
}

func (r *run) outputs(stop, ctx context.Context, b *Batch) error {
	for _, o := range r.Outputs {
		if !o.Present(b.Time) {
			continue
		}
		if o.Marker != nil {
			b.Stored = append(b.Stored, o.Name)
			if b.Seq <= r.stored[o.Name] {
				r.Logger.Info("the batch is stored already", "app", r.Name, "output", o.Name, "batch", b.Time)
				continue
			}
		}
		crashpoint.At("output.begun")
		if err := r.output(stop, ctx, o, b); err != nil {
			return &BatchError{Time: b.Time, Output: o.Name, Err: err}
		}
		crashpoint.At("output.done")
	}
	if err := r.whole(r.Finish(b)); err != nil {
		return &BatchError{Time: b.Time, Err: err}
	}
	return nil
}

// output runs an output, again if it fails, until stop ends or the batch is given
// up.
func (r *run) output(stop, ctx context.Context, o Output, b *Batch) error {
	for attempt := 0; ; attempt++ {
		err := r.whole(o.Do(ctx, b))
		if err != nil && o.Exact {
			return &RestartError{err}
		}
		if err == nil || attempt >= r.Retries || errors.As(err, new(*RestartError)) || stop.Err() != nil || ctx.Err() != nil {
			return err
		}
		wait := Backoff(r.RetryBackoff, attempt)
		r.monitor.retry()
		r.Logger.Warn("an output failed; trying again", "app", r.Name, "output", o.Name, "batch", b.Time, "reason", err, "attempt", attempt+1, "of", r.Retries, "in", wait)
		if !waitBoth(stop, ctx, wait) {
			return r.whole(err)
		}
	}
}

// waitBoth is Wait until one of two ends.
func waitBoth(a, b context.Context, d time.Duration) bool {
	both, cancel := context.WithCancel(a)
	defer cancel()
	defer context.AfterFunc(b, cancel)()
	return Wait(both, d)
}

// RestartError tells that to run an output once more is of no use: what it was to
// be given could not be computed, or it is not known what it has stored. The
// program has to go on from its checkpoint.
type RestartError struct{ Err error }

func (e *RestartError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *RestartError) Unwrap() error { return e.Err }

// Backoff is how long to wait before a retry, counted from 0: each time twice as
// long, up to a minute or the first wait.
func Backoff(first time.Duration, retry int) time.Duration {
	wait := first
	for range retry {
		if wait >= time.Minute {
			break
		}
		wait = min(2*wait, time.Minute)
	}
	return wait
}

// Wait waits, and says whether that was not cut short by the end of ctx.
func Wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// whole adds to the error of a step that it may have seen only a part of the
// batch, since time was over.
func (r *run) whole(err error) error {
	why := ErrDrainTimeout
	if r.revoked.Err() != nil {
		why = source.ErrRevoked
	}
	if r.stop.Load() && !errors.Is(err, why) {
		return errors.Join(why, err)
	}
	return err
}

// cut makes the batch of a tick. The caller holds a slot for it.
func (r *run) cut(ctx context.Context, at time.Time, q source.Request) (end bool, err error) {
	b := r.batch(at)
	q.Time = at
	end = true
	moved := false
	for i, s := range r.Sources {
		q := r.limits[i].bound(q, r.Config)
		slice, err := s.Cut(ctx, q)
		if err != nil {
			return false, fmt.Errorf("read %s for batch %s: %w", s.Name(), at.UTC().Format(time.RFC3339Nano), err)
		}
		b.add(i, slice)
		end, moved = end && slice.End, moved || slice.Moved
		if left := s.Stats(); q.Mode == source.Arrived && q.MaxRecords == 0 && q.MaxPerPartition == 0 && left.BufferedRecords > 0 && slice.Bytes > 0 && slice.Bytes+left.BufferedBytes > q.MaxBytes {
			r.monitor.full()
			r.Logger.Warn("batch is full; the rest comes in later ones", "app", r.Name, "source", s.Name(), "batch", at,
				"bytes", slice.Bytes, "waiting", left.BufferedBytes, "lag", left.Lag, "way out", "raise MaxBatchBytes or shorten Interval")
		}
	}
	if end && !moved && r.seq == r.Resume.Batches+int64(len(r.Resume.Pending))+1 && !r.prev.IsZero() {
		return true, nil // the run before has had everything
	}
	r.send(b)
	return end, nil
}

// cutAgain makes the batch again that was begun before a crash.
func (r *run) cutAgain(ctx context.Context, p Pending) (end bool, err error) {
	b := r.batch(p.Time)
	b.Again = true
	end = true
	for i, s := range r.Sources {
		slice, err := s.Cut(ctx, source.Request{Time: p.Time, Mode: source.Exact, Ranges: p.Ranges[i]})
		if err != nil {
			return false, fmt.Errorf("read %s again for batch %s, which was begun and is not done: %w", s.Name(), p.Time.UTC().Format(time.RFC3339Nano), err)
		}
		b.add(i, slice)
		end = end && slice.End
	}
	r.send(b)
	return end, nil
}

// cutNothing makes a batch without records.
func (r *run) cutNothing(at time.Time) {
	b := r.batch(at)
	b.Nothing = true
	for i, s := range r.Sources {
		b.add(i, s.Nothing())
	}
	r.send(b)
}

func (r *run) batch(at time.Time) *Batch {
	r.seq++
	return &Batch{Seq: r.seq, Time: at, Slices: make([]Slice, len(r.Sources))}
}

func (b *Batch) add(i int, s Slice) {
	b.Slices[i] = s
	b.Records += s.Records
	b.Bytes += s.Bytes
}

// send queues a batch. There is room, for the caller holds a slot.
func (r *run) send(b *Batch) {
	r.prev = b.Time
	r.fill(b)
	crashpoint.At("batch.cut")
	b.queued = time.Now()
	r.monitor.queue(b)
	r.queue <- b
}
