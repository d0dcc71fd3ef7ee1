package sourcetest

import (
	"context"
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

	slices []source.Slice[R] // all that were cut
	seen   int               // records in them
	next   []int             // by partition: the record that must come next
	until  map[string]int64  // where the last range of a partition ended
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
	t.slices, t.seen, t.next, t.until = nil, 0, make([]int, len(t.parts)), map[string]int64{}
}

func (t *test[R]) open(o source.Options) (r source.Reader[R]) {
	t.Helper()
	o.Name, o.App = "from-1", "sourcetest"
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
	if n := count(s); q.Mode != source.ByTime && q.MaxBytes > 0 && n > 1 {
		var bytes int64
		for _, p := range s.Parts {
			bytes += p.Bytes
		}
		if bytes > q.MaxBytes {
			t.Fatalf("a slice has %d bytes in %d records, more than MaxBytes, %d", bytes, n, q.MaxBytes)
		}
	}
	return s
}

// drain cuts until all records have come.
func (t *test[R]) drain(r source.Reader[R], q source.Request) {
	t.Helper()
	for t.seen < len(t.where) || t.h.Ends {
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
	for _, part := range s.Parts {
		at := part.Range
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
			t.next[where.partition]++
			t.seen++
		}
	}
	t.slices = append(t.slices, s)
	return values
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

// watchStats calls Stats all the time, until stop is called.
func (t *test[R]) watchStats(r source.Reader[R], limit int64) (stop func()) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for {
			s := r.Stats()
			if s.BufferedRecords < 0 || s.BufferedBytes < 0 || limit > 0 && s.BufferedBytes > limit {
				t.Errorf("%d records of %d bytes are buffered; Prefetch and MaxBatchBytes allow %d", s.BufferedRecords, s.BufferedBytes, limit)
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
