package sink

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Sink describes where batches of T go. It is a value without resources: one
// Sink may be opened by several Apps.
//
// A Sink that also has a method Check() error is asked, when it is given to
// stream.To, whether its settings make sense. One with a method
// String() string is described by it in plans, logs and errors.
type Sink[T any] interface {
	// Open makes ready to write, within a bounded time, or gives up when ctx
	// ends. What it starts goes on until Close, whatever becomes of ctx.
	Open(ctx context.Context, o Options) (Writer[T], error)

	// Delivery says what a reader sees of a batch that is written again.
	Delivery() Delivery
}

// Writer is one opened sink. Its methods are called by one goroutine at a time.
type Writer[T any] interface {
	// Write makes a batch last and returns nil only when it is safe. Batches
	// come in the order of their times; after a restart, the first ones may be
	// some that were written before. After an error, the same batch may be
	// written again; the batch is not done until one Write has returned nil. It
	// gives up when ctx ends, with the cause. The elements must not be changed,
	// nor used after it has returned.
	Write(ctx context.Context, b Batch[T]) error

	// Close waits for every goroutine of the writer. Nothing is left to be
	// written, for Write has seen to that. The last Write may have failed.
	Close() error
}

// Delivery is how often a batch is seen that was written more than once, after
// a failure or a crash.
type Delivery int

const (
	// AtLeastOnce shows it once or more.
	AtLeastOnce Delivery = iota
	// Idempotent shows it once, since it knows the batch by its ID. A program
	// without a checkpoint that is started again cuts its batches anew, under
	// other IDs.
	Idempotent
	// Transactional shows it exactly once: the sink stores the number of a batch
	// with its elements, all or nothing, so that a program that was killed finds
	// out which batches are stored. It needs a program with a checkpoint, and its
	// Writer is a [Marked]; or one whose sources are shared, if it is [Claiming].
	Transactional
)

func (d Delivery) String() string {
	switch d {
	case Idempotent:
		return "idempotent"
	case Transactional:
		return "transactional"
	default:
		return "at least once"
	}
}

// Marked is the Writer of a Transactional sink. Its Write stores a Marker of the
// batch in the transaction of the elements. When Write has returned an error, also
// if it is not known whether the batch was stored, nothing follows but Close; the
// sink is opened again then, and its Marker tells.
//
// Open ends what a Writer before it left unfinished, so that this one can't store
// anything any more, whatever becomes of its process.
type Marked[T any] interface {
	Writer[T]

	// Marker tells which batch was stored last, the zero Marker if there is
	// none. It is asked once, before the first Write.
	Marker(ctx context.Context) (Marker, error)
}

// Marker tells which batch a Transactional sink stored last.
type Marker struct {
	Checkpoint string // Options.Checkpoint of the program that stored it
	Number     int64  // Batch.Number
}

// Claiming is a Transactional sink that can be used in a program that shares its
// source with others, instead of one with a checkpoint. It stores, all or nothing
// with the elements of a batch, how far each source has been read by it, so that
// whoever reads on begins behind what is stored: what [Batch.Hold] returns. With
// Options.Shared, its Writer need not be a Marked; after a Write that failed it is
// opened again.
type Claiming interface {
	StoresClaims()
}

// ErrRevoked is why a Write of a [Claiming] sink stored nothing, or only what
// nobody sees: others read the partitions by now.
var ErrRevoked = errors.New("sink: the batch was read from partitions that another program has by now")

// Claim is how far a batch has read a shared source, and as whom.
type Claim struct {
	System     string // where positions are stored: "kafka" and the cluster's id
	Group      string
	Member     string // of the group
	Instance   string // name of the program within the group, "" if it has none
	Generation int32  // of the group

	// Next is where to read on, by partition such as "twitter/0": those of which
	// the batch has something.
	Next map[string]int64
}

// Batch is what a sink is given: one batch of a stream, in partitions.
type Batch[T any] struct {
	ID    string    // the same whenever the batch is run again; sorts as Time does
	Time  time.Time // of the batch, in UTC
	Parts [][]T     // the elements, in order; into how many parts they are cut may change when it is run again

	// Number is the same whenever the batch is run again, too: 1 is the first
	// batch since the checkpoint, or else the program, began.
	Number int64

	// Hold is nil unless Options.Shared was set. It returns what is to be stored
	// with the elements, a Claim for each source of which the batch has something,
	// which holds until release is called: call it when the elements have been
	// sent, and release after the transaction has ended. Its error is ErrRevoked if
	// another program has the partitions by now.
	Hold func(ctx context.Context) (claims []Claim, release func(), err error)
}

// Len is how many elements the batch has.
func (b Batch[T]) Len() int {
	n := 0
	for _, p := range b.Parts {
		n += len(p)
	}
	return n
}

// Options is what an App tells a sink that it opens.
type Options struct {
	Name   string       // of the output, for messages
	App    string       // name of the App
	Logger *slog.Logger // nil means none

	// Checkpoint tells the checkpoint of the program from any other, "" if it
	// has none.
	Checkpoint string

	// Shared is true if the program shares its source with others, which write to
	// the same place: see [Claiming]. Member is its name among them that stays
	// when it is started again, "" if it has none. Batches of others may have the
	// same ID and other elements.
	Shared bool
	Member string
}

// Defaults fills in the zero fields.
func (o Options) Defaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
