package source

import (
	"context"
	"fmt"
	"math"
	"time"
)

// listed is Arrived for feeds that are asked to give what is there: it waits until
// they have.
const listed Mode = -1

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

// Cut implements [Reader].
func (b *Buffer[R]) Cut(ctx context.Context, r Request) (Slice[R], error) {
	if r.MaxBytes <= 0 {
		r.MaxBytes = b.opts.MaxBatchBytes
	}
	stop := context.AfterFunc(ctx, b.wake)
	defer stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r.Mode {
	case ByTime:
		if !b.opts.Replay {
			return Slice[R]{}, b.noReplay()
		}
		return b.byTime(ctx, r)
	case Exact:
		return b.exact(ctx, r)
	}
	if r.Mode != Arrived {
		enough := min(r.MaxBytes, b.limit)
		for b.bytes < enough && b.more(r.Mode == listed) {
			if err := b.wait(ctx, need{bytes: enough}); err != nil {
				return Slice[R]{}, err
			}
		}
	}
	if b.err != nil {
		return Slice[R]{}, b.err
	}
	for i, n := range b.shares(r) {
		b.feeds[i].take(n)
	}
	return b.slice(), nil
}

// Next implements [Reader].
func (b *Buffer[R]) Next(ctx context.Context) (time.Time, bool, error) {
	stop := context.AfterFunc(ctx, b.wake)
	defer stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.opts.Replay {
		return time.Time{}, false, b.noReplay()
	}
	for {
		var next time.Time
		found, known := false, true
		for _, f := range b.feeds {
			if err := f.hopeless(); err != nil {
				return time.Time{}, false, err
			}
			f.lacks = !f.ended && len(f.marks) == f.untimed
			known = known && !f.lacks
			if len(f.marks) > 0 {
				at := f.times[0]
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
		if err := b.wait(ctx, need{bytes: math.MaxInt64}); err != nil {
			return time.Time{}, false, err
		}
	}
}

func (b *Buffer[R]) noReplay() error {
	return fmt.Errorf("source %s: it was not opened for a replay, so it can't be cut by record time; set Options.Replay", b.opts.Name)
}

// byTime moves what is before r.Time into the slice as it arrives, so that a
// batch may be larger than the buffer.
func (b *Buffer[R]) byTime(ctx context.Context, r Request) (Slice[R], error) {
	for {
		var bytes int64
		before, done := b.bytes, true
		for _, f := range b.feeds {
			if err := f.hopeless(); err != nil {
				return Slice[R]{}, err
			}
			n := 0
			for n < len(f.times) && f.times[n].Before(r.Time) && (f.untimed == 0 || f.ended) {
				n++
			}
			f.lacks = !f.ended && (n == len(f.marks) || f.untimed > 0)
			done = done && !f.lacks
			f.take(n)
			bytes += f.cut.bytes
		}
		if b.err != nil {
			return Slice[R]{}, b.err
		}
		if bytes > r.MaxBytes {
			return Slice[R]{}, &TooLargeError{Source: b.opts.Name, Time: r.Time, Bytes: bytes, Limit: r.MaxBytes}
		}
		if done {
			return b.slice(), nil
		}
		if b.bytes < before {
			b.room.Broadcast()
		}
		if err := b.wait(ctx, need{bytes: math.MaxInt64, time: r.Time}); err != nil {
			return Slice[R]{}, err
		}
	}
}

// exact moves the records of the ranges into the slice as they arrive. Each feed
// is one partition.
func (b *Buffer[R]) exact(ctx context.Context, r Request) (Slice[R], error) {
	until := make(map[string]Range, len(r.Ranges))
	for _, r := range r.Ranges {
		if r.From != r.Until || !r.Over { // what is over may be there no longer
			until[r.Partition] = r
		}
	}
	for {
		before, done := b.bytes, true
		found := 0
		for _, f := range b.feeds {
			if f.place == nil {
				return Slice[R]{}, fmt.Errorf("source %s: this source can't give a slice again", b.opts.Name)
			}
			want, ok := until[f.place.name]
			if !ok {
				continue
			}
			found++
			if f.place.pos != want.From && f.cut.last == nil {
				return Slice[R]{}, fmt.Errorf("source %s: partition %q is read from %d on, but the batch to be run again has what follows %d", b.opts.Name, want.Partition, f.place.pos, want.From)
			}
			n := 0
			for n < len(f.marks) && f.marks[n].until <= want.Until {
				n++
			}
			f.lacks = n == len(f.marks) && f.until < want.Until
			if f.lacks && f.ended {
				return Slice[R]{}, fmt.Errorf("source %s: partition %q ends at %d, but the batch to be run again goes up to %d", b.opts.Name, want.Partition, f.until, want.Until)
			}
			done = done && !f.lacks
			f.take(n)
		}
		if b.err != nil {
			return Slice[R]{}, b.err
		}
		if found < len(until) {
			return Slice[R]{}, fmt.Errorf("source %s: the batch to be run again has %d partitions, of which %d are there", b.opts.Name, len(until), found)
		}
		if done {
			return b.exactly(until), nil
		}
		if b.bytes < before {
			b.room.Broadcast()
		}
		if err := b.wait(ctx, need{bytes: math.MaxInt64}); err != nil {
			return Slice[R]{}, err
		}
	}
}

// exactly completes a slice of the given ranges.
func (b *Buffer[R]) exactly(until map[string]Range) Slice[R] {
	s := b.slice()
	parts := s.Parts[:0]
	for _, p := range s.Parts {
		if want, ok := until[p.Range.Partition]; ok {
			p.Range.Until = want.Until
			parts = append(parts, p)
		}
	}
	for _, f := range b.feeds {
		if want, ok := until[f.place.name]; ok {
			f.place.pos = want.Until
		}
	}
	s.Parts = parts
	return s
}

// hopeless says that a feed can hold no more and no record in it has a time.
func (f *Feed[R]) hopeless() error {
	if !f.stuck() || f.untimed == 0 {
		return nil
	}
	return fmt.Errorf("source %s: the first %d records of partition %q (%d bytes, all that may be read ahead) have no time, so they belong to no batch of a replay; give records times, or raise Prefetch if later ones have them",
		f.buf.opts.Name, f.untimed, f.runs[0].place.name, f.bytes)
}

// cut is what a slice that is being made holds of a feed, by place.
type cut[R any] struct {
	parts  []Part[R]
	places []*place       // theirs
	index  map[*place]int // where their parts are, if there is more than one
	last   *place         // that of the last part that was asked for
	at     int            // where that part is
	bytes  int64
}

// part returns the part for a place.
func (c *cut[R]) part(p *place) *Part[R] {
	if p == c.last {
		return &c.parts[c.at]
	}
	at, ok := c.index[p]
	if !ok {
		at = len(c.parts)
		c.parts = append(c.parts, Part[R]{Range: Range{Partition: p.name, From: p.pos, Until: p.pos}})
		c.places = append(c.places, p)
		p.begun, p.breaks = p.state, nil
		if c.last != nil {
			if c.index == nil {
				c.index = map[*place]int{c.last: c.at}
			}
			c.index[p] = at
		}
	}
	c.last, c.at = p, at
	return &c.parts[at]
}

// take moves the first n records of the feed into the slice.
func (f *Feed[R]) take(n int) {
	records, marks := f.records.take(n), f.marks[:n]
	var bytes int64
	for len(f.runs) > 0 && (len(records) > 0 || f.runs[0].note) {
		place := f.runs[0].place
		p := f.cut.part(place)
		if r := f.runs[0]; r.note {
			place.state, place.pos, p.Range.Until, p.Range.Over = r.state, r.pos, r.pos, r.over
			f.runs = f.runs[1:]
			continue
		}
		k := 0 // records of the place, of as many runs as there are
		for len(f.runs) > 0 && f.runs[0].place == place && !f.runs[0].note && k < len(records) {
			n := min(f.runs[0].n, len(records)-k)
			k += n
			if place.state = f.runs[0].state; place.state != nil && place.state.endless {
				place.breaks = append(place.breaks, marks[k-1].until)
			}
			if f.runs[0].n -= n; f.runs[0].n == 0 {
				f.runs = f.runs[1:]
			}
		}
		if p.Records == nil {
			p.Records = records[:k:k]
		} else {
			p.Records = append(p.Records, records[:k]...)
		}
		for _, m := range marks[:k] {
			p.Bytes += m.size
			bytes += m.size
		}
		p.Range.Until = marks[k-1].until
		place.pos = p.Range.Until
		if f.buf.opts.Replay {
			place.time = f.times[n-len(records)+k-1]
		}
		records, marks = records[k:], marks[k:]
	}
	if len(f.runs) == 0 {
		f.runs = nil // lest places stay that are gone
	}
	f.cut.bytes += bytes
	f.resize(-bytes)
	f.untimed = max(0, f.untimed-n)
	f.cutOff(n)
}

// cutOff forgets what is known of the first n records.
func (f *Feed[R]) cutOff(n int) {
	f.marks = cutOff(f.marks, n)
	if f.buf.opts.Replay {
		f.times = cutOff(f.times, n)
	}
}

// cutOff returns s without its first n elements, in the same array: moved to its
// beginning, or where they are if moving them would take longer. An array that is
// empty and much larger than was needed is given up.
func cutOff[T any](s []T, n int) []T {
	switch left := len(s) - n; {
	case left > n:
		return s[n:]
	case left == 0 && cap(s) > 4*max(n, 16):
		return nil
	default:
		return append(s[:0], s[n:]...)
	}
}

// slice completes the slice in hand.
func (b *Buffer[R]) slice() Slice[R] {
	out := Slice[R]{Parts: make([]Part[R], 0, len(b.feeds)), Spread: b.spread, End: !b.open}
	var over []*Feed[R]
	for _, f := range b.feeds {
		if f.place != nil {
			p := f.cut.part(f.place)
			if len(f.marks) == 0 { // with the gap behind the last record
				p.Range.Until, f.place.pos = f.until, f.until
				if p.Range.Over = f.over; f.over {
					over = append(over, f)
				}
			}
		}
		for i, p := range f.cut.places {
			if p.state != nil {
				f.cut.parts[i].Range.Mark = p.mark()
			}
		}
		out.Parts = append(out.Parts, f.cut.parts...)
		out.End = out.End && f.ended && len(f.marks) == 0
		f.cut = cut[R]{}
	}
	for _, f := range over {
		b.drop(f)
	}
	b.room.Broadcast()
	return out
}

// more says whether it makes sense to wait for more bytes. It does not while a
// Put waits for room.
func (b *Buffer[R]) more(wanted bool) bool {
	more := b.open && len(b.feeds) == 0
	for _, f := range b.feeds {
		if f.stuck() {
			return false
		}
		more = more || !f.ended && !(wanted && f.given == f.wanted)
	}
	return more
}

// wait waits for news; the lock is held before and after.
func (b *Buffer[R]) wait(ctx context.Context, n need) error {
	if b.err != nil {
		return b.err
	}
	if b.shut {
		return ErrClosed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.need, b.need.waiting = n, true
	b.news.Wait()
	b.need.waiting = false
	return nil
}

func (b *Buffer[R]) tell() {
	if b.need.waiting {
		b.news.Broadcast()
	}
}

func (b *Buffer[R]) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.news.Broadcast()
}
