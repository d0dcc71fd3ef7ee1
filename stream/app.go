package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
	"github.com/godstream/godstream/internal/rate"
	"github.com/godstream/godstream/window"
)

// App is one streaming program: streams are declared on it, then it runs. Many
// Apps may live in one process. Declare from one goroutine, before Run.
type App struct {
	config Config
	plan   plan.Plan

	mu      sync.Mutex
	faults  []error
	started bool
	made    bool // by New

	program   engine.Program
	monitor   engine.Monitor
	stop      atomic.Bool
	sealers   []func(readers []int, needed []bool)
	observers []func(*engine.Batch) // windows that no output has read in this batch
	finishers []func(*engine.Batch)
	forgetter []func()
	resetters []func() // before the program goes on from its checkpoint once more
	failures  []*failureCount

	keepers []keeper
	windows []window.Window
	keepFor time.Duration // after a batch with records, since windows on windows may show it
	emits   bool          // windows may show elements of a batch without records
	durable
	sharing
}

// New makes an App. What is wrong with c is reported by Run.
func New(c Config) *App {
	a := &App{}
	if err := c.check(); err != nil {
		a.reject("New: %w", err)
	}
	a.config, a.made = c, true
	return a
}

// Name is the App's name.
func (a *App) Name() string { return a.config.Name }

// Fault is a mistake in the declaration of a program.
type Fault struct {
	File string // where the program made it
	Line int
	Err  error // what it is
}

func (f *Fault) Error() string { return fmt.Sprintf("%s:%d: %v", f.File, f.Line, f.Err) }

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// Panic is found in the error of Run, with errors.As, if a function of the
// caller panicked.
type Panic = batch.Panic

// BatchError is found in the error of Run, with errors.As, if a batch failed.
type BatchError = engine.BatchError

// Run makes batches and runs all outputs on each until ctx ends, every source
// has ended, or something fails. It can be called once.
//
// The end of ctx stops the program gently: the batch in hand completes, within
// Config.DrainTimeout, its positions are committed, and Run returns nil. What
// had been read and not begun is read again by the next run.
//
// A failed output, a panic in a function of the caller or a source that gives
// up end Run with an error that says where; the batch does not count as done.
// Faults of the program are returned before the first batch, joined into one
// error, each as a [*Fault]. When Run returns, no goroutine of the App is left.
func (a *App) Run(ctx context.Context) error {
	if a == nil || !a.made {
		return errors.New("stream: the App was not made by New")
	}
	if err := a.begin(); err != nil {
		return fmt.Errorf("stream: app %s: %w", a.config.Name, err)
	}
	c := a.config
	run := engine.Config{
		Name: c.Name, Interval: c.Interval, Ticks: c.Ticks, Start: c.Start, MaxPending: c.MaxPending,
		MaxBatchBytes: c.MaxBatchBytes, MaxReplayBatchBytes: c.MaxReplayBatchBytes, MaxGap: c.MaxGap,
		DrainTimeout: c.DrainTimeout, Windows: a.windows, KeepFor: a.keepFor, Emits: a.emits,
		Rates: engine.Rates{Backpressure: c.Backpressure, Initial: c.InitialRate, MaxPerPartition: c.MaxRatePerPartition, MinPerPartition: c.MinRatePerPartition,
			PID: rate.PID{Proportional: c.PID.Proportional, Integral: c.PID.Integral, Derivative: c.PID.Derivative, Min: c.PID.MinRate}},
		Volatile: slices.ContainsFunc(a.sources, keptSource.isVolatile), Retries: c.Retries, RetryBackoff: c.RetryBackoff, Logger: c.Logger,
	}
	c.Logger.Info("started", "app", c.Name, "interval", c.Interval, "workers", c.Workers)
	err := a.recoverAndRun(ctx, run)
	done := a.monitor.Counts()
	c.Logger.Info("ended", "app", c.Name, "batches", done.Done, "records", done.Records, "undone", done.Undone)
	if err != nil {
		return fmt.Errorf("stream: app %s: %w", c.Name, err)
	}
	return nil
}

// begin checks the program and hands it over to the engine.
func (a *App) begin() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.started {
		return errors.New("Run has been called before; make a new App")
	}
	a.started = true
	if len(a.program.Outputs) == 0 {
		a.faults = append(a.faults, errors.New("the program has no output; add one, such as Print or ForEach"))
	}
	if len(a.faults) > 0 {
		return errors.Join(a.faults...)
	}
	readers, needed := a.plan.Readers(), a.plan.Needed()
	for _, seal := range a.sealers {
		seal(readers, needed)
	}
	// what is stored exactly once comes last, when nothing else of the batch can fail
	slices.SortStableFunc(a.program.Outputs, func(x, y engine.Output) int { return cmp.Compare(last(x), last(y)) })
	a.program.Finish = func(b *engine.Batch) error {
		return caught(func() error {
			for _, observe := range a.observers {
				observe(b)
			}
			for _, finish := range a.finishers {
				finish(b)
			}
			a.mu.Lock() // for declarations that came too late
			defer a.mu.Unlock()
			return errors.Join(a.faults...)
		})
	}
	a.program.Forget = func(*engine.Batch) {
		for _, forget := range a.forgetter {
			forget()
		}
	}
	a.monitor.Start()
	return nil
}

func last(o engine.Output) int {
	if o.Exact {
		return 1
	}
	return 0
}

// isLate says whether the App runs already, so that nothing can be declared.
func (a *App) isLate() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.started
}

// Format is how [App.Explain] prints a program.
type Format int

const (
	Text    Format = iota // a line for each operator
	Mermaid               // a flowchart in Mermaid's language
)

// Explain prints the program: its operators by name and who reads whom.
func (a *App) Explain(f Format) string {
	if f == Mermaid {
		return a.plan.Mermaid()
	}
	return a.plan.Text()
}

// reject notes a fault of the program at the line that called this package.
func (a *App) reject(format string, values ...any) {
	if a == nil { // the stream is zero, which is a fault of whoever made it
		return
	}
	f := a.fault(format, values...)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, f)
}

// fault is a fault at the line that called this package.
func (a *App) fault(format string, values ...any) *Fault {
	f := &Fault{Err: fmt.Errorf(format, values...)}
	var callers [32]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for frame, more := frames.Next(); ; frame, more = frames.Next() {
		if !strings.HasPrefix(frame.Function, thisPackage) {
			f.File, f.Line = frame.File, frame.Line
			break
		}
		if !more {
			break
		}
	}
	return f
}

const thisPackage = "github.com/godstream/godstream/stream."

// env is how the operators of a node run.
func (a *App) env(name string) *batch.Env {
	return &batch.Env{Run: engine.Workers(a.config.Workers).Run, Workers: a.config.Workers, Op: name, Stop: &a.stop, Keys: new(atomic.Int64)}
}
