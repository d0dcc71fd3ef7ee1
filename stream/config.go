package stream

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/godstream/godstream/internal/engine"
)

// Ticks is where the times of batches come from.
type Ticks = engine.Ticks

const (
	// Live makes a batch at each multiple of the interval, of what has arrived.
	Live = engine.WallClock
	// Replay makes the batches of the intervals that the times of the records
	// span, as fast as they can be computed. The sources fix their ends when
	// they are opened, and Run returns after the last record.
	Replay = engine.RecordTime
	// Step makes one batch after the other without waiting: for tests, and for
	// input that is there already.
	Step = engine.Step
)

// Config is what an [App] is made with. The zero value of a field means its
// default.
type Config struct {
	// Name names the App in logs and errors. The default is "app".
	Name string

	// Interval is the time between batches. Batch time T is a multiple of it
	// since the Unix epoch and ends the interval [T-Interval, T). The default is
	// one second.
	Interval time.Duration

	// Ticks says where batch times come from. The default is Live.
	Ticks Ticks

	// Start is the time after which the first batch of Ticks Step comes. The
	// default is the Unix epoch.
	Start time.Time

	// Workers is how many partitions are computed at the same time. The default
	// is the number of processors that Go may use.
	Workers int

	// Partitions is into how many partitions a source splits its batches that
	// has none of its own; a Kafka source has those of its topics. The default
	// is Workers.
	Partitions int

	// MaxPending is how many batches may wait for the one being computed; while
	// so many do, no further batch is made, and sources hold their records
	// back. The default is 2.
	MaxPending int

	// MaxBatchBytes is how much one batch may hold that is not a replay's, all
	// sources together; what is left comes in later batches. The default is 64
	// MiB, and 8 MiB with Ticks Step, where batches follow each other without a
	// pause: so much stays in the processor's cache from the client to the
	// output. Raise it if each batch has costs of its own, such as a transaction
	// or an update of all keys.
	MaxBatchBytes int64

	// Prefetch is how many bytes each source may read ahead of the batch that
	// is being filled. The default is 16 MiB.
	Prefetch int64

	// MaxReplayBatchBytes is how much one batch of a replay may hold, all
	// sources together. Since a replay's batches are cut by time alone, one that
	// holds more ends the program. The default is 1 GiB.
	MaxReplayBatchBytes int64

	// MaxGap is how many empty batches a replay may have in a row. A longer gap
	// ends the program with an error, for it probably is a wrong record time.
	// The default is 100,000.
	MaxGap int

	// DrainTimeout is how long the batch in hand may go on after the context of
	// Run has ended. The default is ten intervals, at least ten seconds.
	DrainTimeout time.Duration

	// Backpressure makes a live program that falls behind take fewer records of
	// each source in a batch: as many as it was able to process in an interval,
	// by Spark's estimator (PID), shared among the partitions in proportion to how
	// far each is behind. Without it, MaxBatchBytes alone bounds a batch.
	Backpressure bool

	// InitialRate is how many records a second are taken of each source until
	// Backpressure knows better. The default is no bound.
	InitialRate float64

	// MaxRatePerPartition is how many records a second a live batch takes of each
	// partition at most, with Backpressure or without. The default is no bound.
	MaxRatePerPartition float64

	// MinRatePerPartition is how many records each partition may give in a batch
	// whatever the rates say. The default is one, but partitions take turns when the
	// rates allow fewer records than there are partitions: none is starved.
	MinRatePerPartition int64

	// PID has the weights of Backpressure. The zero value means [DefaultPID].
	PID PID

	// Retries is how often an output that fails is run again with the elements it
	// had, before its batch fails. With a checkpoint, a batch that fails otherwise
	// is run again as often, from what was saved last. The default is 0: the first
	// failure ends Run.
	Retries int

	// RetryBackoff is how long to wait before the first retry; each further one
	// waits twice as long, up to a minute. The default is one second.
	RetryBackoff time.Duration

	// SaveEvery is how often a program with a checkpoint saves what its operators
	// keep; after a crash, the batches since then run again. The last one is saved
	// too. The default is ten seconds.
	SaveEvery time.Duration

	// Logger gets what the operator of a program should know. Batches are
	// logged at level Debug. The default is slog.Default().
	Logger *slog.Logger
}

// PID is the weights of the estimator of Config.Backpressure: of how much slower
// the last batch was than the rate, of what waits, and of how that changes.
type PID struct {
	Proportional, Integral, Derivative float64
	MinRate                            float64 // records a second, of each source
}

// DefaultPID is Spark's default weights.
var DefaultPID = PID{Proportional: 1, Integral: 0.2, Derivative: 0, MinRate: 100}

// check fills in the defaults and says what is wrong with the rest.
func (c *Config) check() error {
	var faults []error
	fault := func(wrong bool, format string, values ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf("Config."+format, values...))
		}
	}
	fault(c.Interval < 0, "Interval is negative: %v", c.Interval)
	fault(c.Ticks < Live || c.Ticks > Step, "Ticks is unknown: %d", c.Ticks)
	fault(c.Workers < 0, "Workers is negative: %d", c.Workers)
	fault(c.Partitions < 0, "Partitions is negative: %d", c.Partitions)
	fault(c.MaxPending < 0, "MaxPending is negative: %d", c.MaxPending)
	fault(c.MaxBatchBytes < 0, "MaxBatchBytes is negative: %d", c.MaxBatchBytes)
	fault(c.Prefetch < 0, "Prefetch is negative: %d", c.Prefetch)
	fault(c.MaxReplayBatchBytes < 0, "MaxReplayBatchBytes is negative: %d", c.MaxReplayBatchBytes)
	fault(c.MaxGap < 0, "MaxGap is negative: %d", c.MaxGap)
	fault(!(c.InitialRate >= 0), "InitialRate is negative: %v", c.InitialRate)
	fault(!(c.MaxRatePerPartition >= 0), "MaxRatePerPartition is negative: %v", c.MaxRatePerPartition)
	fault(c.MinRatePerPartition < 0, "MinRatePerPartition is negative: %d", c.MinRatePerPartition)
	fault(!(c.PID.Proportional >= 0 && c.PID.Integral >= 0 && c.PID.Derivative >= 0 && c.PID.MinRate >= 0), "PID has a negative field: %+v", c.PID)
	fault(c.Retries < 0, "Retries is negative: %d", c.Retries)
	fault(c.RetryBackoff < 0, "RetryBackoff is negative: %v", c.RetryBackoff)
	fault(c.SaveEvery < 0, "SaveEvery is negative: %v", c.SaveEvery)
	fault(c.DrainTimeout < 0, "DrainTimeout is negative: %v", c.DrainTimeout)

	c.Name = cmp.Or(c.Name, "app")
	c.Interval = cmp.Or(c.Interval, time.Second)
	c.Workers = cmp.Or(c.Workers, runtime.GOMAXPROCS(0))
	c.Partitions = cmp.Or(c.Partitions, c.Workers)
	c.MaxPending = cmp.Or(c.MaxPending, 2)
	if c.MaxBatchBytes == 0 && c.Ticks == Step {
		c.MaxBatchBytes = 8 << 20
	}
	c.MaxBatchBytes = cmp.Or(c.MaxBatchBytes, 64<<20)
	c.Prefetch = cmp.Or(c.Prefetch, 16<<20)
	c.MaxReplayBatchBytes = cmp.Or(c.MaxReplayBatchBytes, 1<<30)
	c.MaxGap = cmp.Or(c.MaxGap, 100_000)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, max(10*c.Interval, 10*time.Second))
	c.PID = cmp.Or(c.PID, DefaultPID)
	c.RetryBackoff = cmp.Or(c.RetryBackoff, time.Second)
	c.SaveEvery = cmp.Or(c.SaveEvery, 10*time.Second)
	if c.Start.IsZero() {
		c.Start = time.Unix(0, 0).UTC()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return errors.Join(faults...)
}
