package sourcetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godstream/godstream/source"
)

// test reads a source whose records are known.
type test[R any] struct {
	*testing.T
	ctx    context.Context
	h      Harness[R]
	source source.Source[R]
	parts  [][]Record
	where  map[string]place

	opts   source.Options    // of the last open
	slices []source.Slice[R] // all that were cut
	seen   int               // records in them
	next   []int             // by partition: the record that must come next
	until  map[string]int64  // where the last range of a partition ended
	owner  map[string]int    // to which of parts the records of a partition belong
}

// place is where a value belongs.
type place struct{ partition, index int }

func newTest[R any](t *testing.T, h Harness[R], parts [][]Record) *test[R] {
	test := &test[R]{T: t, h: h, source: h.Source(t, parts), parts: parts, where: map[string]place{}}
	for p, records := range parts {
		for i, record := range records {
			test.where[record.Value] = place{p, i}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	test.ctx = ctx
	test.reset()
	return test
}

// reset forgets what was seen.
func (t *test[R]) reset() {
	t.slices, t.seen, t.next = nil, 0, make([]int, len(t.parts))
	t.until, t.owner = map[string]int64{}, map[string]int{}
}

// name is what the operator is called.
const name = "from-1"

func (t *test[R]) open(o source.Options) (r source.Reader[R]) {
	t.Helper()
	o.Name, o.App = name, "sourcetest"
	t.opts = o.Defaults()
	t.promptly("Open", func() {
		var err error
		if r, err = t.source.Open(t.ctx, o); err != nil {
			t.Errorf("open: %v", err)
		}
	})
	if r == nil {
		t.FailNow()
	}
	return r
}

func (t *test[R]) close(r source.Reader[R]) {
	t.Helper()
	t.promptly("Close", func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// promptly calls f, which must return in time.
func (t *test[R]) promptly(what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s does not return", what)
	}
}

func (t *test[R]) cut(r source.Reader[R], q source.Request) source.Slice[R] {
	t.Helper()
	if q.Time.IsZero() {
		q.Time = time.Now()
	}
	s, err := r.Cut(t.ctx, q)
	if err != nil {
		t.Fatalf("cut after %d records: %v", t.seen, err)
	}
	limit := q.MaxBytes
	if limit <= 0 {
		limit = t.opts.MaxBatchBytes
	}
	if bytes, n := size(s), count(s); q.Mode != source.ByTime && n > 1 && bytes > limit {
		t.Fatalf("a slice has %d bytes in %d records, more than MaxBytes, %d", bytes, n, limit)
	}
	return s
}

// inTime gives up a test that takes too long, for not each Cut looks at its context.
func (t *test[R]) inTime() {
	t.Helper()
	if t.ctx.Err() != nil {
		t.Fatalf("only %d of %d records came within %v", t.seen, len(t.where), patience)
	}
}

// interrupt calls f with a context that has ended, and says whether it was done
// all the same.
func (t *test[R]) interrupt(what string, f func(context.Context) error) (done bool) {
	t.Helper()
	ended, cancel := context.WithCancel(t.ctx)
	cancel()
	t.promptly(what, func() {
		err := f(ended)
		if done = err == nil; !done && !errors.Is(err, context.Canceled) {
			t.Errorf("%s whose context has ended returned %v", what, err)
		}
	})
	return done
}

// first is the smallest time among the records that come next in each
// partition; zero if there is none.
func (t *test[R]) first() (first time.Time) {
	for p, records := range t.parts {
		for _, record := range records[t.next[p]:] { // leading ones without a time have that of the first that has one
			if record.Time.IsZero() {
				continue
			}
			if first.IsZero() || record.Time.Before(first) {
				first = record.Time
			}
			break
		}
	}
	return first
}

// positions tells how many records of its partition are before each position
// at which a range has ended.
func (t *test[R]) positions() map[source.Range]int {
	before, counts := map[string]int{}, map[source.Range]int{}
	for _, s := range t.slices {
		for _, p := range s.Parts {
			before[p.Range.Partition] += len(p.Records)
			counts[source.Range{Partition: p.Range.Partition, Until: p.Range.Until}] = before[p.Range.Partition]
		}
	}
	return counts
}

// drain cuts until all records have come.
func (t *test[R]) drain(r source.Reader[R], q source.Request) {
	t.Helper()
	for t.seen < len(t.where) || t.h.Ends {
		t.inTime()
		s := t.cut(r, q)
		t.take(s)
		if s.End {
			break
		}
		if q.Mode == source.Filled && count(s) == 0 {
			t.Fatalf("a filled slice is empty, and not the last")
		}
	}
}

// take checks a slice and returns the values in it.
func (t *test[R]) take(s source.Slice[R]) (values []string) {
	t.Helper()
	t.spread(s)
	parts := map[string]bool{}
	for _, part := range s.Parts {
		at := part.Range
		if parts[at.Partition] {
			t.Fatalf("partition %q has two parts in a slice", at.Partition)
		}
		parts[at.Partition] = true
		if from, known := t.until[at.Partition]; known && at.From != from {
			t.Fatalf("a range of partition %q begins at %d, the one before ended at %d", at.Partition, at.From, from)
		}
		if at.Until-at.From < int64(len(part.Records)) {
			t.Fatalf("range [%d, %d) of partition %q is too short for %d records", at.From, at.Until, at.Partition, len(part.Records))
		}
		t.until[at.Partition] = at.Until
		for _, record := range part.Records {
			value := t.h.Value(record)
			values = append(values, value)
			where, known := t.where[value]
			if !known {
				t.Fatalf("there is no record %q", value)
			}
			if want := t.next[where.partition]; where.index != want {
				t.Fatalf("record %q came when %d records of its partition had, want %d", value, want, where.index)
			}
			if owner, known := t.owner[at.Partition]; known && owner != where.partition {
				t.Fatalf("partition %q has record %q and others that are of another partition", at.Partition, value)
			}
			t.owner[at.Partition] = where.partition
			t.next[where.partition]++
			t.seen++
		}
	}
	t.slices = append(t.slices, s)
	return values
}

// spread checks how the batch divides the records.
func (t *test[R]) spread(s source.Slice[R]) {
	t.Helper()
	if s.Spread != 0 && s.Spread != t.opts.Partitions {
		t.Fatalf("Spread is %d; want 0, or Options.Partitions, %d", s.Spread, t.opts.Partitions)
	}
	if len(t.slices) > 0 && t.slices[0].Spread != s.Spread {
		t.Fatalf("Spread is %d, and was %d in the first slice", s.Spread, t.slices[0].Spread)
	}
	partitions, want := s.Partitions(), s.Spread
	if want == 0 {
		want = len(s.Parts)
	}
	if len(partitions) != want {
		t.Fatalf("the batch has %d partitions, want %d", len(partitions), want)
	}
	var in, out []string
	for _, p := range s.Parts {
		in = t.values(in, p.Records)
	}
	for _, p := range partitions {
		out = t.values(out, p)
	}
	if !slices.Equal(in, out) {
		t.Fatalf("the partitions of the batch have %q, its parts %q", out, in)
	}
}

func (t *test[R]) values(all []string, records []R) []string {
	for _, record := range records {
		all = append(all, t.h.Value(record))
	}
	return all
}

// complete checks that every record has come, and is still what it was.
func (t *test[R]) complete() {
	t.Helper()
	if t.seen != len(t.where) {
		t.Errorf("%d records came, want %d", t.seen, len(t.where))
	}
	all := t.slices
	t.reset()
	for _, s := range all {
		t.take(s) // a reader that uses memory of a batch again would be found out
	}
}

// settle waits until nothing has changed for a moment.
func (t *test[R]) settle(r source.Reader[R]) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	last := r.Stats()
	for same := 0; same < 10; same++ {
		<-tick.C
		if s := r.Stats(); s != last {
			last, same = s, 0
		}
	}
}

// caughtUp waits until nothing is left to be cut, which the source may only find
// out a moment later if what follows its last record is a gap.
func (t *test[R]) caughtUp(r source.Reader[R]) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for r.Stats().Lag > 0 {
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			t.Errorf("all has been cut, but Lag stays %d", r.Stats().Lag)
			return
		}
	}
}

// watchStats calls Stats all the time, until stop is called.
func (t *test[R]) watchStats(r source.Reader[R], limit int64) (stop func()) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for {
			s := r.Stats()
			if s.BufferedRecords < 0 || s.BufferedBytes < 0 || s.Lag < int64(s.BufferedRecords) || limit > 0 && s.BufferedBytes > limit {
				t.Errorf("%d records of %d bytes are buffered and Lag is %d; Prefetch and MaxBatchBytes allow %d", s.BufferedRecords, s.BufferedBytes, s.Lag, limit)
				return
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		wait.Wait()
	}
}
