package source

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Buffer holds the records that a source has fetched ahead, by partition, and
// cuts them into slices: most of what a [Reader] does. A source makes one, adds
// a [Feed] for each partition, and fills the feeds from goroutines of its own:
//
//	type reader struct {
//		*source.Buffer[Line] // Cut, Next, Stats
//		...
//	}
//
// What waits in a Buffer is bounded: by Options.MaxBatchBytes and
// Options.Prefetch together, in a replay by Prefetch alone. Half of it is
// shared by all partitions and half is divided among them, so that one that is
// far ahead never keeps another from being read.
type Buffer[R any] struct {
	opts  Options
	limit int64

	mu    sync.Mutex
	news  sync.Cond // a Cut or Next may go on
	room  sync.Cond // a Put may go on
	wants bool      // a Cut or Next is waiting
	feeds []*Feed[R]
	first int   // the feed that is served first at the next cut
	bytes int64 // in all feeds
	lost  int64
	tries int64
	err   error // of the first Fail
	shut  bool
}

// Feed is one partition of a [Buffer]. One goroutine at a time may fill it.
type Feed[R any] struct {
	buf  *Buffer[R]
	name string
	from int64 // position of the first record that is not cut

	records []R
	marks   []mark // one for each record
	bytes   int64
	until   int64     // position after the last record
	last    time.Time // of the last record that had a time
	untimed int       // leading records whose time is not known yet
	full    bool      // a Put is waiting
	ended   bool
}

// mark is what a Buffer knows of a record.
type mark struct {
	at    time.Time
	until int64
	size  int64
}

// ErrClosed is what Put returns when the reader has been closed: stop filling.
var ErrClosed = errors.New("source: the reader is closed")

// TooLargeError tells that the records of one batch of a replay outgrew the
// App's limit. Shorten the interval or raise the limit.
type TooLargeError struct {
	Source string
	Time   time.Time
	Bytes  int64
	Limit  int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("source %s: batch %s: %d bytes so far are more than the %d that one batch of a replay may hold; shorten Interval or raise MaxReplayBatchBytes",
		e.Source, e.Time.UTC().Format(time.RFC3339Nano), e.Bytes, e.Limit)
}

// NewBuffer makes a Buffer bounded as o says.
func NewBuffer[R any](o Options) *Buffer[R] {
	o = o.Defaults()
	b := &Buffer[R]{opts: o, limit: o.Prefetch}
	if !o.Replay {
		b.limit += o.MaxBatchBytes
	}
	b.news.L, b.room.L = &b.mu, &b.mu
	return b
}

// Feed adds a partition whose first record is at position from.
func (b *Buffer[R]) Feed(partition string, from int64) *Feed[R] {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &Feed[R]{buf: b, name: partition, from: from, until: from}
	b.feeds = append(b.feeds, f)
	return f
}

// Put adds a record. Position until is the one after it; size is about how many
// bytes it keeps alive; a zero time means that it has none, so it gets that of
// the record before it (leading ones that of the first that has one). Put
// waits while the buffer is full and returns [ErrClosed] when the reader has
// been closed.
func (f *Feed[R]) Put(r R, until int64, size int, at time.Time) error {
	b := f.buf
	b.mu.Lock()
	defer b.mu.Unlock()
	for f.crowded() && !b.shut {
		f.full = true
		b.tell() // who waits for this partition must know that no more comes
		b.room.Wait()
	}
	f.full = false
	if b.shut {
		return ErrClosed
	}
	f.time(&at)
	f.records = append(f.records, r)
	f.marks = append(f.marks, mark{at: at, until: until, size: int64(size)})
	f.until = until
	f.bytes += int64(size)
	b.bytes += int64(size)
	b.tell()
	return nil
}

// Skip moves the end of the partition on past positions that hold no record.
func (f *Feed[R]) Skip(until int64) {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	f.until = max(f.until, until)
}

// End tells that no record follows in this partition.
func (f *Feed[R]) End() {
	f.buf.mu.Lock()
	defer f.buf.mu.Unlock()
	f.ended = true
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
func (b *Buffer[R]) Retried() { b.mu.Lock(); b.tries++; b.mu.Unlock() }

// Lost counts n positions that are gone on the other side.
func (b *Buffer[R]) Lost(n int64) { b.mu.Lock(); b.lost += n; b.mu.Unlock() }

// Shut makes every Put return [ErrClosed]. A reader calls it first in Close.
func (b *Buffer[R]) Shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shut = true
	b.room.Broadcast()
	b.news.Broadcast()
}

// Stats tells what is buffered. It implements [Reader].
func (b *Buffer[R]) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Stats{BufferedBytes: b.bytes, Retries: b.tries, Lost: b.lost}
	for _, f := range b.feeds {
		s.BufferedRecords += len(f.records)
	}
	return s
}

// Cut implements [Reader].
func (b *Buffer[R]) Cut(ctx context.Context, r Request) (Slice[R], error) {
	if r.MaxBytes <= 0 {
		r.MaxBytes = b.opts.MaxBatchBytes
	}
	stop := context.AfterFunc(ctx, b.wake)
	defer stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Mode == ByTime {
		return b.byTime(ctx, r)
	}
	if r.Mode == Filled {
		for b.bytes < min(r.MaxBytes, b.limit) && !b.allEnded() && !b.anyFull() {
			if err := b.wait(ctx); err != nil {
				return Slice[R]{}, err
			}
		}
	}
	if b.err != nil {
		return Slice[R]{}, b.err
	}
	return b.slice(b.share(r.MaxBytes)), nil
}

// Next implements [Reader].
func (b *Buffer[R]) Next(ctx context.Context) (time.Time, bool, error) {
	stop := context.AfterFunc(ctx, b.wake)
	defer stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		var next time.Time
		found, known := false, true
		for _, f := range b.feeds {
			known = known && f.settled()
			if len(f.marks) > 0 {
				at := f.marks[0].at
				if at.IsZero() { // nothing in this partition says when
					at = time.Unix(0, 0).UTC()
				}
				if !found || at.Before(next) {
					next, found = at, true
				}
			}
		}
		if b.err != nil {
			return time.Time{}, false, b.err
		}
		if known {
			return next, found, nil
		}
		if err := b.wait(ctx); err != nil {
			return time.Time{}, false, err
		}
	}
}

// byTime moves what is before r.Time into a slice as it arrives, so that a
// batch may be larger than the buffer.
func (b *Buffer[R]) byTime(ctx context.Context, r Request) (Slice[R], error) {
	out := b.slice(make([]int, len(b.feeds)))
	var bytes int64
	for {
		done, took := true, false
		for i, f := range b.feeds {
			if i == len(out.Parts) { // a partition that was added meanwhile
				out.Parts = append(out.Parts, f.take(0))
			}
			n := 0
			for n < len(f.marks) && f.marks[n].at.Before(r.Time) && (n >= f.untimed || f.ended || f.full) {
				n++
			}
			done = done && (n < len(f.marks) && n >= f.untimed || f.ended)
			if n > 0 || f.ended {
				part := f.take(n)
				bytes += part.Bytes
				took = took || n > 0
				out.Parts[i].add(part)
			}
		}
		if b.err != nil {
			return Slice[R]{}, b.err
		}
		if bytes > r.MaxBytes {
			return Slice[R]{}, &TooLargeError{Source: b.opts.Name, Time: r.Time, Bytes: bytes, Limit: r.MaxBytes}
		}
		if done {
			out.End = b.drained()
			return out, nil
		}
		if took {
			b.makeRoom()
		}
		if err := b.wait(ctx); err != nil {
			return Slice[R]{}, err
		}
	}
}

// share says how many records each feed may give so that all together hold at
// most limit bytes: first in proportion to what it holds, then what is left to
// whoever comes first, beginning with another feed each time. One record is
// always given, so that one larger than the limit does not block the rest.
func (b *Buffer[R]) share(limit int64) []int {
	counts := make([]int, len(b.feeds))
	if b.bytes <= limit {
		for i, f := range b.feeds {
			counts[i] = len(f.records)
		}
		return counts
	}
	left, taken := limit, 0
	grow := func(i int, budget int64) {
		f := b.feeds[i]
		for counts[i] < len(f.marks) && f.marks[counts[i]].size <= budget {
			budget -= f.marks[counts[i]].size
			left -= f.marks[counts[i]].size
			counts[i]++
			taken++
		}
	}
	for i, f := range b.feeds {
		grow(i, int64(float64(limit)*float64(f.bytes)/float64(b.bytes)))
	}
	for k := range b.feeds {
		grow((b.first+k)%len(b.feeds), left)
	}
	for k := 0; taken == 0 && k < len(b.feeds); k++ {
		if i := (b.first + k) % len(b.feeds); len(b.feeds[i].marks) > 0 {
			counts[i], taken = 1, 1
		}
	}
	b.first = (b.first + 1) % len(b.feeds)
	return counts
}

// slice takes counts[i] records of feed i.
func (b *Buffer[R]) slice(counts []int) Slice[R] {
	out := Slice[R]{Parts: make([]Part[R], len(b.feeds))}
	for i, f := range b.feeds {
		out.Parts[i] = f.take(counts[i])
	}
	out.End = b.drained()
	b.makeRoom()
	return out
}

func (f *Feed[R]) take(n int) Part[R] {
	p := Part[R]{Range: Range{Partition: f.name, From: f.from, Until: f.from}, Records: f.records[:n:n]}
	for _, m := range f.marks[:n] {
		p.Bytes += m.size
	}
	if n > 0 {
		p.Range.Until = f.marks[n-1].until
	}
	if n == len(f.records) {
		p.Range.Until = f.until // with the gap behind the last record
		f.records, f.marks = nil, f.marks[:0]
	} else {
		f.records, f.marks = f.records[n:], f.marks[n:]
	}
	f.from = p.Range.Until
	f.untimed = max(0, f.untimed-n)
	f.bytes -= p.Bytes
	f.buf.bytes -= p.Bytes
	return p
}

// add appends what follows p in its partition.
func (p *Part[R]) add(next Part[R]) {
	if len(p.Records) == 0 {
		p.Records = next.Records
	} else {
		p.Records = append(p.Records, next.Records...)
	}
	p.Range.Until = next.Range.Until
	p.Bytes += next.Bytes
}

// time gives a record without a time that of the one before it, and records
// that came before the first time that time.
func (f *Feed[R]) time(at *time.Time) {
	switch {
	case !at.IsZero():
		for i := range f.untimed {
			f.marks[i].at = *at
		}
		f.untimed, f.last = 0, *at
	case !f.last.IsZero():
		*at = f.last
	default:
		f.untimed++
	}
}

// crowded says whether the feed has to wait for room.
func (f *Feed[R]) crowded() bool {
	b := f.buf
	return f.bytes > 0 && b.bytes >= b.limit/2 && f.bytes >= b.limit/2/int64(len(b.feeds))
}

// settled says whether the time of the first record is known, or never will be.
func (f *Feed[R]) settled() bool {
	return f.ended || f.full || len(f.marks) > f.untimed
}

func (b *Buffer[R]) allEnded() bool {
	for _, f := range b.feeds {
		if !f.ended {
			return false
		}
	}
	return true
}

// anyFull says whether a partition waits for room: then no more can be had.
func (b *Buffer[R]) anyFull() bool {
	for _, f := range b.feeds {
		if f.full {
			return true
		}
	}
	return false
}

// makeRoom lets those go on who wait to put something.
func (b *Buffer[R]) makeRoom() {
	for _, f := range b.feeds {
		f.full = false // who still has to wait says so again
	}
	b.room.Broadcast()
}

func (b *Buffer[R]) drained() bool {
	for _, f := range b.feeds {
		if !f.ended || len(f.records) > 0 {
			return false
		}
	}
	return true
}

func (b *Buffer[R]) tell() {
	if b.wants {
		b.news.Broadcast()
	}
}

func (b *Buffer[R]) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.Broadcast()
}

// wait waits for news; the lock is held before and after.
func (b *Buffer[R]) wait(ctx context.Context) error {
	if b.err != nil {
		return b.err
	}
	if b.shut {
		return ErrClosed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.wants = true
	b.news.Wait()
	b.wants = false
	return nil
}
