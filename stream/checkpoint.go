package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/recovery"
	"github.com/godstream/godstream/source"
)

// durable is what an App with a checkpoint has.
type durable struct {
	store  checkpoint.Store // nil without one
	drop   []string
	accept []string
	report Recovered

	checkpoint    string   // tells it from any other
	transactional []*Fault // outputs that need one
	sources       []keptSource
}

// keptSource is a source whose position is kept.
type keptSource interface {
	Name() string
	encode(engine.Slice) ([]byte, error)
	goOn(at []source.Position, again [][]byte)
	isVolatile() bool
	isNamed() bool
	records() string  // their type
	declared() *Fault // where
	isShared() (member string, shared bool)
	hold(context.Context) (source.Claim, func(), error)
}

// Recovered is what [GetOrCreate] found in a store.
type Recovered struct {
	// Time is the batch time up to which everything is in the checkpoint, zero
	// if there was none.
	Time time.Time
	// Pending is how many batches were begun after that. They run again first,
	// with the records that they had.
	Pending int

	Kept    []string // operators and sources that go on with what they kept
	New     []string // those that begin empty
	Dropped []string // what checkpoint.Drop gives up

	// Damaged is the files of the store that can't be used, and why. If there
	// are any, an older checkpoint may have been taken, and more batches run
	// again; the results are the same.
	Damaged []string
}

// GetOrCreate returns the program that build makes, to go on from what store
// has, or to begin if that is empty. It keeps there what is needed after a crash:
// the positions of the sources, the ranges of each batch before it runs, and
// what windows and state keep. Functions are never kept: build is called each
// time, and the program may have changed.
//
//	app, err := stream.GetOrCreate(checkpoint.Dir("checkpoint"), build)
//	if err != nil {
//		return err
//	}
//	return app.Run(ctx)
//
// What is kept is found by the name of its operator. Operators without state may
// come and go, functions may change, and structs that are kept may get new fields,
// which are zero then. An operator with state that is gone, or whose types have
// changed otherwise, is an error that says what can be done; checkpoint.Drop and
// checkpoint.AcceptLoss are given as opts. [App.Recovered] tells what was found.
//
// Batches that were begun and are not known to be done run again with the same
// records, so functions must depend on nothing but elements and batch times, and
// outputs see a batch again, under the same ID.
//
// A store is for one program at a time. GetOrCreate and Run fail with
// checkpoint.ErrLocked while another has it, and with checkpoint.ErrCorrupt if
// nothing in it can be read.
func GetOrCreate(store checkpoint.Store, build func() (*App, error), opts ...checkpoint.Option) (*App, error) {
	if store == nil || build == nil {
		return nil, errors.New("stream: GetOrCreate: the store or the function is nil")
	}
	a, err := build()
	if err != nil {
		return nil, err
	}
	if a == nil || !a.made {
		return nil, errors.New("stream: GetOrCreate: the function returned no App of New")
	}
	if a.shared != "" {
		return nil, fmt.Errorf("stream: app %s: %s is shared, and its group keeps how far it was read; a checkpoint would say something else: make the program with New, or leave Shared out", a.config.Name, a.shared)
	}
	a.store = store
	a.drop, a.accept = checkpoint.Names(opts)
	if err := a.checkKept(); err != nil {
		return nil, fmt.Errorf("stream: app %s: %w", a.config.Name, err)
	}
	ctx := context.Background()
	s, err := store.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("stream: app %s: %w", a.config.Name, err)
	}
	_, err = a.open(ctx, s)
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, fmt.Errorf("stream: app %s: restore %s: %w", a.config.Name, describe(store), err)
	}
	return a, nil
}

// Recovered tells what [GetOrCreate] found, or Run when it went on from the
// checkpoint once more. Any goroutine may call it.
func (a *App) Recovered() Recovered {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.report
}

func describe(store checkpoint.Store) string {
	if s, ok := store.(fmt.Stringer); ok {
		return s.String()
	}
	return "checkpoint"
}

// checkKept says which operators can't be kept.
func (a *App) checkKept() error {
	var faults []error
	at := func(place *Fault, format string, values ...any) {
		faults = append(faults, &Fault{File: place.File, Line: place.Line, Err: fmt.Errorf(format, values...)})
	}
	for i, s := range a.sources {
		for _, other := range a.sources[:i] {
			if !s.isNamed() && !other.isNamed() && s.records() == other.records() {
				at(s.declared(), "%s and %s read the same kind of records (%s), so that a change of the program could mix up where they are: give each a name with stream.Name",
					other.Name(), s.Name(), s.records())
				break
			}
		}
	}
	for i, k := range a.keepers {
		if k.fault != nil {
			at(k.place, "%s %s can't be kept in a checkpoint: %w", k.Kind, k.Name, k.fault)
		}
		for _, other := range a.keepers[:i] {
			if !k.named && !other.named && k.Kind == other.Kind && slices.Equal(k.Shapes, other.Shapes) {
				at(k.place, "%s and %s keep the same kind of data (%s), so that a change of the program could mix them up: give each a name with stream.Name",
					other.Name, k.Name, strings.Join(k.Shapes, ", "))
				break
			}
		}
	}
	return errors.Join(faults...)
}

// open reads the checkpoint.
func (a *App) open(ctx context.Context, s checkpoint.Session) (*recovery.Journal, error) {
	c := a.config
	var keepers []recovery.Keeper
	var unread []string
	for needed, i := a.plan.Needed(), 0; i < len(a.keepers); i++ {
		if k := a.keepers[i]; needed[k.node] {
			keepers = append(keepers, k.Keeper)
		} else {
			unread = append(unread, k.Name)
		}
	}
	var names []string
	for _, s := range a.sources {
		names = append(names, s.Name())
	}
	var sinks []string
	for _, o := range a.program.Outputs {
		if o.Exact {
			sinks = append(sinks, o.Name)
		}
	}
	j, err := recovery.Open(ctx, s, recovery.Config{App: c.Name, Interval: c.Interval, SaveEvery: c.SaveEvery, Sources: names, Sinks: sinks,
		Drop: a.drop, Accept: a.accept, Unread: unread, Logger: c.Logger}, keepers)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.report = Recovered{Time: j.Time, Pending: len(j.Pending), Kept: j.Kept, New: j.New, Dropped: j.Dropped, Damaged: j.Damaged}
	return j, nil
}

// recoverAndRun goes on from the checkpoint or what the group of a shared source
// has, if there is one, and once more if a batch fails and Config.Retries allows it.
func (a *App) recoverAndRun(ctx context.Context, run engine.Config) error {
	if a.store == nil && a.shared == "" {
		if len(a.transactional) > 0 {
			return a.transactional[0]
		}
		a.warnVolatile()
		return engine.Run(ctx, run, a.program, &a.monitor, &a.stop)
	}
	retry, last := 0, time.Time{}
	var cause *BatchError // of the retries
	for {
		a.stop.Store(false)
		var err error
		if a.store != nil {
			err = a.runFromStore(ctx, run)
		} else {
			err = engine.Run(ctx, run, a.program, &a.monitor, &a.stop)
		}
		var failed *BatchError
		switch {
		case a.revoked(ctx, err):
			continue
		case ctx.Err() != nil && errors.Is(err, source.ErrRevoked):
			return nil // nothing of it is left to be done here
		case err == nil || ctx.Err() != nil:
			return err
		case errors.As(err, &failed):
			if failed.Time.After(last) { // further than the time before
				retry, last = 0, failed.Time
			}
			cause = failed
		case cause == nil || errors.Is(err, checkpoint.ErrLocked) || errors.Is(err, checkpoint.ErrCorrupt) || errors.As(err, new(*engine.MarkerError)):
			return err
		default: // what the program needs is not there yet
			failed, err = cause, fmt.Errorf("%w (when going on after: %w)", err, cause)
		}
		if retry >= run.Retries {
			return err
		}
		if failed.Output != "" && !errors.As(err, new(*engine.RestartError)) {
			return err // an output that has been tried as often
		}
		wait := engine.Backoff(run.RetryBackoff, retry)
		retry++
		a.config.Logger.Error("a batch failed; going on from what was saved", "app", a.Name(), "batch", failed.Time, "reason", err, "attempt", retry, "of", run.Retries, "in", wait)
		if !engine.Wait(ctx, wait) {
			return err
		}
		a.monitor.Restart()
		for _, reset := range a.resetters {
			reset()
		}
	}
}

func (a *App) runFromStore(ctx context.Context, run engine.Config) (err error) {
	s, err := a.store.Open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := a.resume(ctx, s, &run); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			return nil // stopped before it began
		}
		return fmt.Errorf("restore %s: %w", describe(a.store), err)
	}
	return engine.Run(ctx, run, a.program, &a.monitor, &a.stop)
}

// warnVolatile says what a checkpoint would be good for.
func (a *App) warnVolatile() {
	var names []string
	for _, s := range a.sources {
		if s.isVolatile() {
			names = append(names, s.Name())
		}
	}
	if len(names) > 0 {
		a.config.Logger.Info("records of these sources that are not in a batch that is done are lost in a crash; with stream.GetOrCreate, a batch that was begun runs again",
			"app", a.Name(), "sources", names)
	}
}

// resume gives operators and sources what they kept.
func (a *App) resume(ctx context.Context, s checkpoint.Session, run *engine.Config) error {
	j, err := a.open(ctx, s)
	if err != nil {
		return err
	}
	for _, k := range a.keepers {
		k.track()
	}
	if err := j.Load(); err != nil {
		return err
	}
	log := a.config.Logger
	if !j.Fresh {
		log.Info("recovered", "app", a.Name(), "store", describe(a.store), "batch", j.Time, "again", len(j.Pending),
			"kept", j.Kept, "new", j.New, "dropped", j.Dropped)
	}
	for _, d := range j.Damaged {
		log.Error("a file of the checkpoint is damaged; the newest checkpoint that is whole was used, and all is written anew", "app", a.Name(), "store", describe(a.store), "file", d)
	}
	a.checkpoint = j.ID()
	run.Resume = engine.Resume{Batches: j.Batches, Time: j.Time, Checkpoint: j.ID(), Stored: j.Stored()}
	for _, k := range a.keepers {
		if k.filled != nil {
			run.Resume.Filled = append(run.Resume.Filled, k.filled()...)
		}
	}
	slices.SortFunc(run.Resume.Filled, time.Time.Compare)
	again := make([][][]byte, len(a.sources))
	for _, e := range j.Pending {
		p := engine.Pending{Time: e.Time}
		for i, src := range a.sources {
			from, _ := e.Of(src.Name())
			p.Ranges = append(p.Ranges, from.Ranges)
			if src.isVolatile() && len(from.Ranges) > 0 {
				again[i] = append(again[i], from.Records)
			}
		}
		run.Resume.Pending = append(run.Resume.Pending, p)
	}
	for i, src := range a.sources {
		src.goOn(j.Positions(src.Name(), src.isVolatile()), again[i])
	}
	run.Journal = &journal{j, a.sources}
	return j.Begin(ctx)
}

// journal notes batches as the engine sees them.
type journal struct {
	*recovery.Journal
	sources []keptSource
}

func (j *journal) entry(b *engine.Batch) recovery.Entry {
	e := recovery.Entry{Batch: b.Seq, Time: b.Time.UTC()}
	for i, s := range j.sources {
		e.Sources = append(e.Sources, recovery.SourceEntry{Name: s.Name(), Ranges: b.Slices[i].Ranges})
	}
	return e
}

func (j *journal) Log(ctx context.Context, b *engine.Batch) (err error) {
	e := j.entry(b)
	for i, s := range j.sources {
		if e.Sources[i].Records, err = s.encode(b.Slices[i]); err != nil {
			return err
		}
	}
	return j.Journal.Log(ctx, e)
}

func (j *journal) Done(ctx context.Context, b *engine.Batch) error {
	return j.Journal.Done(ctx, j.entry(b), b.Stored)
}
