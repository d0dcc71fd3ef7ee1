package source

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// Source describes where records of type R come from. It is a value without
// resources: one Source may be opened by several Apps.
//
// A Source that also has a method Check() error is asked, when it is given to
// stream.From, whether its settings make sense. One with a method
// String() string is described by it in plans, logs and errors.
type Source[R any] interface {
	// Open connects, finds where each partition starts and begins to fetch. It
	// gives up within a bounded time, with an error that names the address, and
	// when ctx ends. What it starts goes on until Close, whatever becomes of ctx.
	Open(ctx context.Context, o Options) (Reader[R], error)
}

// Reader is one opened source. Cut and Next are called by one goroutine at a
// time and Commit by one at a time, but Commit while the next slice is being
// cut. Close is called once, when none of these is running or will be. Any
// goroutine may call Stats at any time, also during and after Close.
type Reader[R any] interface {
	// Cut fixes the next slice of every partition and returns it with its
	// records. The slices of a partition follow one another without a gap. A
	// slice has at most Request.MaxBytes, or one record. Cut gives up when ctx
	// ends; any other error is final: the App stops with it.
	Cut(ctx context.Context, r Request) (Slice[R], error)

	// Next returns the smallest record time among the first records that are
	// not cut yet, waiting until it is known; false at the end of all
	// partitions. Only replays by record time call it.
	Next(ctx context.Context) (time.Time, bool, error)

	// Commit tells that everything in these ranges has been dealt with and need
	// not be read again after a restart. It must not block for long; what it
	// could not tell others about is logged, for it does not lose anything.
	Commit(ctx context.Context, done []Range) error

	// Close gives up what was not cut, waits for every goroutine of the reader
	// and sends what Commit left to be sent.
	Close() error

	// Stats tells what is buffered and what went wrong and was mended.
	Stats() Stats
}

// Options is what an App tells a source that it opens. Zero fields have the
// meanings of [Options.Defaults].
type Options struct {
	Name string // of the operator, for messages
	App  string // name of the App

	// Replay is true when batches are cut by record time: the source fixes its
	// end now and stops there.
	Replay bool

	// Interval is the time between the batches of a live program, else 0. Records may
	// be let wait for a small part of it, if it is cheaper to fetch many at once.
	Interval time.Duration

	// Partitions is what Slice.Spread is to be for a source that has no
	// partitions of its own.
	Partitions int

	// Positions is where the partitions are to be read on, if a checkpoint says
	// so: what Range.Until and Range.Mark were of the last slice that counts. A
	// partition that is not among them begins as usual. Nil means that there is
	// no checkpoint; empty that nothing has been read yet.
	Positions []Position

	// StoredBySink is true if a sink stores how far a shared source was dealt with,
	// in the transaction of each batch. Commit then only tells the reader.
	StoredBySink bool

	Prefetch      int64        // bytes to read ahead at most
	MaxBatchBytes int64        // bytes a batch may hold of this source
	Logger        *slog.Logger // never nil after Defaults
}

// Defaults fills in the zero fields: one partition, 16 MiB, 64 MiB, no log.
func (o Options) Defaults() Options {
	o.Partitions = max(o.Partitions, 1)
	if o.Prefetch <= 0 {
		o.Prefetch = 16 << 20
	}
	if o.MaxBatchBytes <= 0 {
		o.MaxBatchBytes = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Position is where a partition is to be read on.
type Position struct {
	Partition string
	Offset    int64
	Mark      string // see Range
}

// Position returns the position that a checkpoint has of a partition.
func (o Options) Position(partition string) (p Position, ok bool) {
	for _, p := range o.Positions {
		if p.Partition == partition {
			return p, true
		}
	}
	return Position{}, false
}

// Mode is how a slice is bounded.
type Mode int

const (
	// Arrived takes what is there, up to MaxBytes, and does not wait for more.
	Arrived Mode = iota
	// ByTime takes of each partition the longest prefix of records whose times
	// are before Request.Time, waiting until it is known. Bytes do not bound it;
	// a slice that outgrows MaxBytes is a [TooLargeError].
	ByTime
	// Filled waits until MaxBytes are there, or all that the reader may hold, or
	// the source has ended.
	Filled
	// Exact takes what Request.Ranges says, in that order, waiting until it is
	// there: a batch that was begun before a crash is run again. Only the first
	// slices after Open are exact, and their ranges follow Options.Positions. If
	// what was there is gone, Cut fails and says so.
	Exact
)

// Request asks for the slice of one batch.
type Request struct {
	Time     time.Time // of the batch: the end of its interval
	Mode     Mode
	MaxBytes int64 // 0 means Options.MaxBatchBytes

	// MaxRecords bounds an Arrived slice too, shared among the partitions in
	// proportion to how far each is behind, as in Stats.Lag; MaxPerPartition bounds
	// each of them. 0 means no bound. Whatever these say, each partition gives
	// MinPerPartition records, if it has them and MaxBytes allows. If that is 0,
	// each gives one, or they take turns if MaxRecords is less than that.
	MaxRecords, MaxPerPartition, MinPerPartition int64

	Ranges []Range // if Mode is Exact
}

// Slice is what one batch holds of a source.
type Slice[R any] struct {
	Parts []Part[R]

	// Spread is among how many partitions of the batch all records are divided,
	// in order: Options.Partitions, for a source that has no partitions of its
	// own. 0 makes each part a partition.
	Spread int

	End bool // no record follows, ever
}

// Partitions returns the records as the batch holds them. Spread ones are split
// at equal numbers: partition p of n has those from p*len/n to (p+1)*len/n.
func (s Slice[R]) Partitions() [][]R {
	all := make([][]R, len(s.Parts))
	for i, p := range s.Parts {
		all[i] = p.Records
	}
	if s.Spread == 0 {
		return all
	}
	var records []R
	if len(all) == 1 {
		records = all[0]
	} else {
		records = slices.Concat(all...)
	}
	all = make([][]R, s.Spread)
	for p := range all {
		from, until := p*len(records)/len(all), (p+1)*len(records)/len(all)
		all[p] = records[from:until:until]
	}
	return all
}

// Part is what one batch holds of one partition of a source. Records belong to
// the batch: the reader does not touch them again.
type Part[R any] struct {
	Range   Range
	Records []R
	Bytes   int64 // about what the records keep alive; 0 if that is not known
}

// Range is the half-open interval [From, Until) of positions in a partition:
// offsets in Kafka, bytes of a file, ordinal numbers of elements elsewhere. It
// may hold fewer records than Until-From, since positions may have gaps, and it
// may be empty. The ranges of a partition follow one another, slice after slice;
// but a file that was written anew begins at 0 again, also within a slice, which
// then has two parts of that name.
type Range struct {
	Partition   string // such as "twitter/0" or "logs/access.log"
	From, Until int64

	// Mark is what else a source has to know to read on at Until, in any form,
	// such as what a file looked like. It is kept in checkpoints; most sources
	// leave it empty.
	Mark string

	// Over tells that the partition is gone and nothing more comes of it, such as
	// a file that was deleted: its position need not be kept any longer. A
	// partition of that name that comes later is another one.
	Over bool `json:",omitempty"`
}

// Volatile is a Source whose records can't be read again. In a program with a
// checkpoint, what a batch holds of it is written there before the batch runs;
// what was fetched and is in no batch yet is lost in a crash.
type Volatile[R any] interface {
	Source[R]

	// AppendRecord appends the bytes of a record to dst, and DecodeRecord makes
	// the record of them again, keeping none of data.
	AppendRecord(dst []byte, r R) ([]byte, error)
	DecodeRecord(data []byte) (R, error)
}

// Stats is a reader's own account of itself.
type Stats struct {
	BufferedRecords int   // fetched and not cut yet
	BufferedBytes   int64 // of those

	// Lag is how many records are known to be there and not cut yet: what is
	// buffered, and what the other side has besides, if the source knows. Kafka does,
	// by offsets; there it is more than the records if offsets have gaps.
	Lag int64

	Retries  int64 // times that something failed and was tried again
	Lost     int64 // positions that the other side no longer had
	Rejected int64 // records that were not taken in and are logged: a line that is too long
	Replaced int64 // partitions that were written anew and are read from the start: files
}

// Record is what stream.Decode reads: bytes, and where they came from.
type Record interface {
	// Payload is the bytes to decode. They must not be changed.
	Payload() []byte
	// Origin says where the record is, for people: "twitter/0@812".
	Origin() string
}
