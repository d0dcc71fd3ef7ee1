package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// Buffer holds the records that a source has fetched ahead, by partition, and
// cuts them into slices. It is a whole [Reader]: a source makes one, adds a
// [Feed] for each partition, starts what fills them with [Buffer.Go], and
// returns it.
//
//	func (s letters) Open(_ context.Context, o source.Options) (source.Reader[string], error) {
//		b := source.NewBuffer[string](o)
//		feed := b.Feed("letters", 0)
//		b.Go(func(context.Context) error {
//			for i, letter := range s {
//				if err := feed.Put(letter, int64(i+1), len(letter), time.Time{}); err != nil {
//					return err // the reader has been closed
//				}
//			}
//			feed.End()
//			return nil
//		})
//		return b, nil
//	}
//
// A reader that has more to do embeds it and has methods of its own.
//
// What waits in a Buffer is bounded: by Options.MaxBatchBytes and
// Options.Prefetch together, in a replay by Prefetch alone. Half of it is
// shared by all partitions and half is divided among them, so that one that is
// far ahead never keeps another from being read.
type Buffer[R any] struct {
	opts  Options
	limit int64
	life  context.Context // until Shut
	end   context.CancelFunc
	work  sync.WaitGroup // what Go has started

	mu     sync.Mutex
	news   sync.Cond // a Cut or Next may go on
	room   sync.Cond // a Put may go on
	need   need
	feeds  []*Feed[R]
	spread int
	open   bool  // feeds may be added
	own    int64 // bytes that each feed may hold whatever the others do
	first  int   // the feed that is served first at the next cut by bytes
	turn   int   // and by records
	bytes  int64 // in all feeds
	over   int64 // of these, in the half that is shared
	stats  Stats // but for what is buffered
	err    error // of the first Fail
	shut   bool
}

// need is what a waiting Cut or Next waits for; the first that comes wakes it.
type need struct {
	waiting bool
	bytes   int64     // so many in all feeds
	time    time.Time // a record of this time or later in a feed that lacks one
}

// Feed is one partition of a [Buffer]. One goroutine at a time may fill it.
type Feed[R any] struct {
	buf   *Buffer[R]
	place *place // of the records of Put; nil if they have one each

	records blocks[R]
	marks   []mark      // one for each record
	times   []time.Time // of each record, in a replay
	runs    []run       // of all records
	cut     cut[R]      // what the slice in hand holds of it
	bytes   int64
	until   int64     // position after the last record, and after Skip
	end     int64     // where the other side ends, as far as that is known
	last    time.Time // of the last record that had a time
	untimed int       // leading records whose time is not known yet
	lacks   bool      // a Cut or Next waits for a record or the end of this feed
	full    bool      // a Put is waiting
	wanted  int       // how many times all that there is was wanted
	given   int       // and at which of these it was given last
	ended   bool
	dropped bool
	over    bool // to be dropped when all is cut
}

// mark is what a Buffer knows of a record.
type mark struct {
	until, size int64
}

// run is how many records in a row are of the same place, and end in the same
// state; or a note, without a record, that a place is at a position.
type run struct {
	place *place
	state *state
	n     int
	note  bool
	over  bool  // nothing more comes of the place
	pos   int64 // of a note
}

// place is a partition and the position in it up to which all is cut.
type place struct {
	name  string
	pos   int64
	state *state    // of a file there
	time  time.Time // of the record before it, in a replay

	begun  *state  // where the slice in hand begins
	breaks []int64 // positions in it after lines without an end
}

// ErrClosed is what Put returns when the reader has been closed: stop filling.
var ErrClosed = errors.New("source: the reader is closed")

// NewBuffer makes a Buffer bounded as o says.
func NewBuffer[R any](o Options) *Buffer[R] {
	o = o.Defaults()
	b := &Buffer[R]{opts: o, limit: o.Prefetch}
	if !o.Replay {
		b.limit += o.MaxBatchBytes
	}
	b.life, b.end = context.WithCancel(context.Background())
	b.news.L, b.room.L = &b.mu, &b.mu
	return b
}

// Spread makes the records of all feeds, in order, be divided among
// Options.Partitions partitions of each batch, instead of a partition for each
// feed: for what has no partitions of its own.
func (b *Buffer[R]) Spread() { b.spread = b.opts.Partitions }

// StayOpen tells that feeds may be added at any time, so that the source never
// ends.
func (b *Buffer[R]) StayOpen() { b.open = true }

// Feed adds a partition whose first record is at position from. It is a part of
// each slice, in the order in which feeds were added. Those that are known at the
// start are to be added before the first is filled, since they share the room.
func (b *Buffer[R]) Feed(partition string, from int64) *Feed[R] {
	return b.add(&place{name: partition, pos: from})
}

func (b *Buffer[R]) add(p *place) *Feed[R] {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &Feed[R]{buf: b, place: p}
	if p != nil {
		f.until = p.pos
	}
	b.feeds = append(b.feeds, f)
	b.divide()
	return f
}

// divide counts anew how much is in the shared half, after the number of feeds
// has changed.
func (b *Buffer[R]) divide() {
	b.own, b.over = b.limit/2/int64(max(1, len(b.feeds))), 0
	for _, f := range b.feeds {
		b.over += max(0, f.bytes-b.own)
	}
	b.room.Broadcast()
}

// Drop gives the partition up: what was not cut is forgotten, Put returns
// [ErrClosed] from now on, and no slice that is cut later has a part of it. It
// returns the position up to which it was cut.
func (f *Feed[R]) Drop() (until int64) {
	b := f.buf
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(f)
	return f.place.pos
}

func (b *Buffer[R]) drop(f *Feed[R]) {
	i := slices.Index(b.feeds, f)
	if i < 0 {
		return
	}
	b.feeds = slices.Delete(b.feeds, i, i+1)
	b.first, b.turn = 0, 0
	b.bytes -= f.bytes
	f.dropped, f.records, f.marks, f.times, f.runs, f.bytes = true, blocks[R]{}, nil, nil, nil, 0
	b.divide()
	b.news.Broadcast()
}

// Go calls fill in a goroutine. An error that it returns makes the next Cut
// fail, and so does a panic; ErrClosed does not. Its ctx ends when the reader is
// closed, and Close waits for it.
func (b *Buffer[R]) Go(fill func(ctx context.Context) error) {
	b.work.Go(func() {
		err := errors.New("runtime.Goexit ended the goroutine that reads")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			if err != nil && b.life.Err() == nil {
				b.Fail(err)
			}
		}()
		err = fill(b.life)
	})
}

// Item is a record as Put and PutAll take it.
type Item[R any] struct {
	Record R
	Until  int64     // the position after it
	Size   int       // about how many bytes it keeps alive, at least 1
	Time   time.Time // zero if it has none
}

// Put adds a record. Position until is the one after it; size is about how many
// bytes it keeps alive, at least 1; a zero time means that it has none, so it
// gets that of the record before it (leading ones that of the first that has
// one). Put waits while the buffer is full and returns [ErrClosed] when the
// reader has been closed.
func (f *Feed[R]) Put(r R, until int64, size int, at time.Time) error {
	return f.put(f.place, nil, r, until, size, at)
}

// PutAll is Put for several records, faster than one after the other. It keeps
// nothing of the slice.
func (f *Feed[R]) PutAll(items []Item[R]) error {
	return f.putAll(f.place, nil, items)
}

func (f *Feed[R]) put(p *place, s *state, r R, until int64, size int, at time.Time) error {
	return f.putAll(p, s, []Item[R]{{r, until, size, at}})
}

func (f *Feed[R]) putAll(p *place, s *state, items []Item[R]) error {
	b := f.buf
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(items) > 0 {
		if f.crowded() && !f.closed() {
			f.full = true
			b.tell() // who waits for this partition must know that no more comes
			for f.crowded() && !f.closed() {
				b.room.Wait()
			}
			f.full = false
		}
		if f.closed() {
			return ErrClosed
		}
		n := f.add(items)
		if k := len(f.runs); k > 0 && f.runs[k-1].place == p && f.runs[k-1].state == s && !f.runs[k-1].note {
			f.runs[k-1].n += n
		} else {
			f.runs = append(f.runs, run{place: p, state: s, n: n})
		}
		items = items[n:]
	}
	return nil
}

// add moves records into the feed until it is crowded, at least one, and returns
// how many.
func (f *Feed[R]) add(items []Item[R]) (n int) {
	b := f.buf
	room := max(0, b.limit/2-b.over) + max(0, b.own-f.bytes) // crowded after so many bytes
	bytes, needed := int64(0), false
	for n < len(items) && (n == 0 || bytes < room) {
		item := &items[n]
		size := int64(max(item.Size, 1))
		f.records.push(item.Record)
		f.marks = append(f.marks, mark{item.Until, size})
		if b.opts.Replay {
			at := item.Time
			f.time(&at)
			f.times = append(f.times, at)
			needed = needed || !at.Before(b.need.time)
		}
		bytes += size
		n++
	}
	f.until = items[n-1].Until
	f.resize(bytes)
	if b.bytes >= b.need.bytes || f.lacks && (needed || !b.opts.Replay) {
		b.tell()
	}
	return n
}

// note tells, behind what was put, that a place is at a position, or over.
func (f *Feed[R]) note(p *place, s *state, pos int64, over bool) {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	f.runs = append(f.runs, run{place: p, state: s, note: true, over: over, pos: pos})
}

// time gives a record without a time that of the one before it, and records
// that came before the first time that time.
func (f *Feed[R]) time(at *time.Time) {
	switch {
	case !at.IsZero():
		for i := range f.untimed {
			f.times[i] = *at
		}
		f.untimed, f.last = 0, *at
	case !f.last.IsZero():
		*at = f.last
	default:
		f.untimed++
	}
}

// resize counts bytes that the feed holds, or no longer holds.
func (f *Feed[R]) resize(by int64) {
	b, own := f.buf, f.buf.own
	b.over -= max(0, f.bytes-own)
	f.bytes += by
	b.bytes += by
	b.over += max(0, f.bytes-own)
}

// closed says whether nothing can be put any more.
func (f *Feed[R]) closed() bool { return f.dropped || f.buf.shut }

// crowded says whether the feed has to wait for room.
func (f *Feed[R]) crowded() bool {
	b := f.buf
	return f.bytes > 0 && f.bytes >= b.own && b.over >= b.limit/2
}

// stuck says whether a Put waits, and will until something is cut.
func (f *Feed[R]) stuck() bool { return f.full && f.crowded() }

// Skip moves the end of the partition on past positions that hold no record.
func (f *Feed[R]) Skip(until int64) {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	f.until = max(f.until, until)
	if f.lacks {
		f.buf.tell()
	}
}

// Behind tells where the partition ends on the other side, as far as that is known
// now: what is between the last record that was put and there counts in Stats.Lag,
// and when rates are shared.
func (f *Feed[R]) Behind(end int64) {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	f.end = end
}

// Lag tells how many records wait to be cut, and from where to where others are
// known to be on the other side.
func (f *Feed[R]) Lag() (waiting int, from, end int64) {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	return len(f.marks), f.until, f.end
}

// ask wants what is there now to be given, answered the number of times that
// this was asked, and answer tells that what was there then has been given.
func (f *Feed[R]) ask() {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	f.wanted++
}

func (f *Feed[R]) questions() int {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	return f.wanted
}

func (f *Feed[R]) answer(questions int) {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	f.given = questions
	f.buf.tell()
}

// End tells that no record follows in this partition. It is not for the case of
// an error: what was read would look complete.
func (f *Feed[R]) End() {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	f.ended = true
	f.buf.tell()
}

// Over tells that the partition is gone on the other side. When all that was put
// is cut, Range.Over says so, and no later slice has a part of it.
func (f *Feed[R]) Over() {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	f.over, f.ended, f.end = true, true, 0
	f.buf.tell()
}

// Fail makes the next Cut return err, which ends the App.
func (b *Buffer[R]) Fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
	b.tell()
}

// Retried counts that something failed and is tried again.
func (b *Buffer[R]) Retried() { b.mu.Lock(); b.stats.Retries++; b.mu.Unlock() }

// Lost counts n positions that are gone on the other side.
func (b *Buffer[R]) Lost(n int64) { b.mu.Lock(); b.stats.Lost += n; b.mu.Unlock() }

// Rejected counts a record that was not taken in.
func (b *Buffer[R]) Rejected() { b.mu.Lock(); b.stats.Rejected++; b.mu.Unlock() }

// Replaced counts that what was read has been replaced by something else.
func (b *Buffer[R]) Replaced() { b.mu.Lock(); b.stats.Replaced++; b.mu.Unlock() }

// Stats tells what is buffered and what was counted. It implements [Reader].
func (b *Buffer[R]) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.BufferedBytes = b.bytes
	for _, f := range b.feeds {
		s.BufferedRecords += len(f.marks)
		s.Lag += min(f.lag(), math.MaxInt64-s.Lag)
	}
	return s
}

// Commit implements [Reader]: there is nobody to tell.
func (b *Buffer[R]) Commit(context.Context, []Range) error { return nil }

// Shut makes every Put return [ErrClosed], and ends the context of what Go has
// started. A reader with a Close of its own calls it first.
func (b *Buffer[R]) Shut() {
	b.end()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shut = true
	b.room.Broadcast()
	b.news.Broadcast()
}

// Close implements [Reader]: it gives up what was not cut and waits for what Go
// has started.
func (b *Buffer[R]) Close() error {
	b.Shut()
	b.work.Wait()
	return nil
}
