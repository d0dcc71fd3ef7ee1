// Package sourcetest is the contract of a source as a test suite. A source that
// passes it works in an App, live and in a replay:
//
//	func TestContract(t *testing.T) {
//		sourcetest.Run(t, sourcetest.Harness[Reading]{
//			Source: func(t testing.TB, parts [][]sourcetest.Record) source.Source[Reading] {
//				return Sensor(serve(t, parts[0]))
//			},
//			Value: func(r Reading) string { return r.Name },
//			Ends:  true,
//		})
//	}
//
// It sees which goroutines are left when a reader has been closed, so tests that
// start others must not run at the same time.
package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godstream/godstream/source"
)

// Harness says how to test a source whose records are of type R.
type Harness[R any] struct {
	// Source makes a source that has these records, by partition, when it is
	// opened; there may be none. Values are short, printable and unlike one
	// another; times are whole seconds. What must be stopped afterwards is left to
	// t.Cleanup.
	Source func(t testing.TB, parts [][]Record) source.Source[R]

	// Value returns the value of a record.
	Value func(R) string

	// Partitions is how many partitions the source can have. 0 means 1.
	Partitions int

	// Ends tells that the source ends after its last record in a live App too.
	Ends bool

	// NoReplay is why the source can't be replayed by record time; "" if it can.
	NoReplay string

	// Grow adds records, by partition, behind those of the source that was made
	// last, to be read when it is opened again.
	Grow func(t testing.TB, more [][]Record)

	// NoGrow is why there is no Grow: what the source gives never grows.
	NoGrow string

	// Skip names checks that the source can't pass, each with the reason.
	Skip map[string]string
}

// Record is a record that the source is to have.
type Record struct {
	Value string
	Time  time.Time // zero if it is to have none
}

// patience is how long anything may take.
const patience = 20 * time.Second

// Run runs all checks.
func Run[R any](t *testing.T, h Harness[R]) {
	checks := map[string]func(*testing.T, Harness[R]){
		"Arrived":     testArrived[R],
		"Filled":      testFilled[R],
		"OneByOne":    testOneByOne[R],
		"GoesOn":      testGoesOn[R],
		"Positions":   testPositions[R],
		"ByTime":      testByTime[R],
		"Untimed":     testUntimed[R],
		"TooLarge":    testTooLarge[R],
		"Idle":        testIdle[R],
		"Prefetch":    testPrefetch[R],
		"ReplayAhead": testReplayAhead[R],
		"Commit":      testCommit[R],
		"Close":       testClose[R],
		"Context":     testContext[R],
		"OpenContext": testOpenContext[R],
		"OpenTwice":   testOpenTwice[R],
	}
	replays := []string{"ByTime", "Untimed", "TooLarge", "ReplayAhead"}
	h.Partitions = max(h.Partitions, 1)
	for name := range h.Skip {
		if checks[name] == nil {
			t.Errorf("Skip has %q, which is no check", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		t.Run(name, func(t *testing.T) {
			if reason := h.Skip[name]; reason != "" {
				t.Skip(reason)
			}
			if h.NoReplay != "" && slices.Contains(replays, name) {
				t.Skip(h.NoReplay)
			}
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { // after those of h.Source
				if err := goleak.Find(before); err != nil && !t.Failed() {
					t.Errorf("goroutines are left after Close: %v", err)
				}
			})
			checks[name](t, h)
		})
	}
}

// testArrived takes what is there, in bounded slices, until it has everything.
func testArrived[R any](t *testing.T, h Harness[R]) {
	test := newTest(t, h, numbered(h.Partitions, 500))
	r := test.open(source.Options{Partitions: 3})
	defer test.close(r)
	stop := test.watchStats(r, 0)
	defer stop()
	test.drain(r, source.Request{Mode: source.Arrived, MaxBytes: 8 << 10})
	if again := test.cut(r, source.Request{Mode: source.Arrived}); again.End != h.Ends || count(again) > 0 {
		t.Errorf("a cut after the last record has %d records and End = %t, want none and %t", count(again), again.End, h.Ends)
	}
	test.caughtUp(r)
	if s := r.Stats(); s.BufferedRecords != 0 || s.BufferedBytes != 0 || s.Lost != 0 || s.Rejected != 0 || s.Replaced != 0 {
		t.Errorf("when all has been cut and nothing went wrong, Stats are %+v", s)
	}
	test.complete()
}

// testFilled takes slices of a size, as a program does that is stepped through.
func testFilled[R any](t *testing.T, h Harness[R]) {
	test := newTest(t, h, numbered(h.Partitions, 500))
	r := test.open(source.Options{Partitions: 3})
	defer test.close(r)
	if h.Ends {
		test.drain(r, source.Request{Mode: source.Filled, MaxBytes: 8 << 10})
		test.complete()
		return
	}
	for range 3 { // the last part of a source that does not end would never be full
		const enough = 1000
		s := test.cut(r, source.Request{Mode: source.Filled, MaxBytes: enough})
		test.take(s)
		if count(s) == 0 {
			t.Errorf("a filled slice is empty")
		}
		if got, left := size(s), r.Stats().BufferedBytes; got > 0 && got+left < enough {
			t.Errorf("a filled slice has %d bytes and %d were left, but it was to wait for %d", got, left, enough)
		}
	}
}

// testOneByOne takes slices for which any record is too large, or MaxBytes is
// not given.
func testOneByOne[R any](t *testing.T, h Harness[R]) {
	test := newTest(t, h, numbered(h.Partitions, 20))
	for _, o := range []source.Options{{}, {MaxBatchBytes: 1}} {
		test.reset()
		r := test.open(o)
		q := source.Request{Mode: source.Filled, MaxBytes: 1}
		if o.MaxBatchBytes > 0 {
			q.MaxBytes = 0 // the same, by Options
		}
		test.drain(r, q)
		test.complete()
		test.close(r)
	}
}

// testPositions reads twice, in slices of other sizes: a position must always
// be the same place among the records, or no range could be read again.
func testPositions[R any](t *testing.T, h Harness[R]) {
	test := newTest(t, h, numbered(h.Partitions, 60))
	var before map[source.Range]int
	for i, max := range []int64{1, 2000, 1 << 20} {
		test.reset()
		r := test.open(source.Options{Partitions: 1 + i})
		test.drain(r, source.Request{Mode: source.Arrived, MaxBytes: max})
		test.complete()
		test.close(r)
		counts := test.positions()
		for at, n := range counts {
			if want, known := before[at]; known && n != want {
				t.Errorf("position %d of partition %q is after %d records, and when they were read before, after %d", at.Until, at.Partition, n, want)
			}
		}
		if before == nil {
			before = counts
		}
		for partition, until := range test.until { // where all were read, whatever the sizes
			end := source.Range{Partition: partition, Until: until}
			if _, known := before[end]; h.Ends && !known {
				t.Errorf("partition %q ends at %d, and did not when it was read before", partition, until)
			}
		}
	}
}

// testByTime compares the batches of a replay with those of a plain loop.
func testByTime[R any](t *testing.T, h Harness[R]) {
	random := rand.New(rand.NewPCG(1, 2))
	parts := numbered(h.Partitions, 100)
	for _, records := range parts {
		at := time.Date(2017, 1, 11, 15, 30, random.IntN(60), 0, time.UTC)
		for i := range records {
			records[i].Time = at.Add(-time.Duration(random.IntN(3)) * time.Second) // some are late
			if at = at.Add(time.Duration(random.IntN(3)) * time.Second); i%40 == 20 {
				at = at.Add(3 * time.Minute) // batches in between are empty
			}
		}
	}
	testReplay(t, h, parts)
}

// testUntimed is about records without a time, at the start and later.
func testUntimed[R any](t *testing.T, h Harness[R]) {
	parts := numbered(h.Partitions, 9)
	for p, records := range parts {
		for i := range records {
			if records[i].Time = (time.Time{}); i%3 == 2 {
				records[i].Time = time.Date(2017, 1, 11, 15, 30, 20*(i+p), 0, time.UTC)
			}
		}
	}
	testReplay(t, h, parts)
}

func testReplay[R any](t *testing.T, h Harness[R], parts [][]Record) {
	const interval = 10 * time.Second
	test, want := newTest(t, h, parts), byTime(parts, interval)
	for _, prefetch := range []int64{4 << 10, 1 << 20} {
		for _, interrupted := range []bool{false, true} { // each call made in vain first
			test.reset()
			r := test.open(source.Options{Replay: true, Partitions: 2, Prefetch: prefetch})
			var at time.Time
			for {
				if interrupted {
					test.interrupt("Next", func(ctx context.Context) error { _, _, err := r.Next(ctx); return err })
				}
				next, ok, err := r.Next(test.ctx)
				if err != nil {
					t.Fatalf("next after %d records: %v", test.seen, err)
				}
				if first := test.first(); ok != !first.IsZero() || ok && !next.Equal(first) {
					t.Fatalf("next after %d records is %v, %t; want %v", test.seen, next, ok, first)
				}
				if !ok {
					break
				}
				if at.IsZero() {
					at = next.Truncate(interval)
				}
				at = at.Add(interval)
				q := source.Request{Mode: source.ByTime, Time: at, MaxBytes: 1 << 30}
				var s source.Slice[R]
				if !interrupted || !test.interrupt("Cut", func(ctx context.Context) (err error) { s, err = r.Cut(ctx, q); return err }) {
					s = test.cut(r, q)
				}
				got := test.take(s)
				slices.Sort(got)
				if !slices.Equal(got, want[at]) {
					t.Fatalf("batch %v has\n%v, want\n%v", at, got, want[at])
				}
				if s.End != test.first().IsZero() {
					t.Fatalf("batch %v has End = %t after %d records of %d", at, s.End, test.seen, len(test.where))
				}
			}
			test.complete()
			test.close(r)
		}
	}
}

// byTime is what a replay has to come to: each partition cut by itself, the
// longest prefix of records that are before the batch's time.
func byTime(parts [][]Record, interval time.Duration) map[time.Time][]string {
	batches := map[time.Time][]string{}
	for _, records := range parts {
		var batch time.Time
		for i, record := range records {
			for k := i; record.Time.IsZero() && batch.IsZero(); k++ { // the first that has one
				record.Time = records[k].Time
			}
			if at := record.Time.Truncate(interval).Add(interval); at.After(batch) {
				batch = at
			}
			batches[batch] = append(batches[batch], record.Value)
		}
	}
	for _, values := range batches {
		slices.Sort(values)
	}
	return batches
}

// testIdle is about a source that has nothing to give.
func testIdle[R any](t *testing.T, h Harness[R]) {
	test := newTest(t, h, make([][]Record, h.Partitions))
	r := test.open(source.Options{})
	defer test.close(r)
	end := false
	for i := 0; i < 10 || h.Ends && !end; i++ {
		test.inTime()
		s := test.cut(r, source.Request{Mode: source.Arrived})
		end = s.End
		test.take(s)
	}
	if end != h.Ends {
		t.Errorf("an empty source has End = %t, want %t", end, h.Ends)
	}
	if h.NoReplay != "" {
		return
	}
	replay := test.open(source.Options{Replay: true})
	defer test.close(replay)
	if at, ok, err := replay.Next(test.ctx); ok || err != nil {
		t.Errorf("Next of an empty source = %v, %t, %v; want false", at, ok, err)
	}
}

// testPrefetch is about how much is read ahead.
func testPrefetch[R any](t *testing.T, h Harness[R]) {
	const limit, slack = 16 << 10, 8 << 10
	test := newTest(t, h, numbered(h.Partitions, 1000))
	r := test.open(source.Options{Prefetch: limit / 2, MaxBatchBytes: limit / 2})
	defer test.close(r)
	stop := test.watchStats(r, limit+slack)
	defer stop()
	test.drain(r, source.Request{Mode: source.Arrived, MaxBytes: limit / 4})
	test.complete()
}

// testReplayAhead is about how much a replay reads ahead, and that a batch of it
// may be larger than that.
func testReplayAhead[R any](t *testing.T, h Harness[R]) {
	const limit, slack = 16 << 10, 8 << 10
	test := newTest(t, h, numbered(h.Partitions, 1000))
	r := test.open(source.Options{Replay: true, Prefetch: limit, MaxBatchBytes: 1 << 10})
	defer test.close(r)
	stop := test.watchStats(r, limit+slack)
	defer stop()
	test.settle(r)
	s := test.cut(r, source.Request{Mode: source.ByTime, Time: time.Now(), MaxBytes: 1 << 30})
	test.take(s)
	if !s.End {
		t.Errorf("the only batch has no End")
	}
	test.complete()
}

// testTooLarge is about a batch of a replay that outgrows the limit.
func testTooLarge[R any](t *testing.T, h Harness[R]) {
	test := newTest(t, h, numbered(h.Partitions, 300))
	r := test.open(source.Options{Replay: true})
	defer test.close(r)
	at := time.Now()
	_, err := r.Cut(test.ctx, source.Request{Mode: source.ByTime, Time: at, MaxBytes: 1000})
	var large *source.TooLargeError
	if !errors.As(err, &large) {
		t.Fatalf("a batch of 300 records may have 1000 bytes; Cut returned %v, want a TooLargeError", err)
	}
	if large.Source != name || !large.Time.Equal(at) || large.Limit != 1000 || large.Bytes <= 1000 {
		t.Errorf("the error of a batch that is too large has %+v", *large)
	}
}

// testCommit commits as an App does: while the next slice is being cut.
func testCommit[R any](t *testing.T, h Harness[R]) {
	test := newTest(t, h, numbered(h.Partitions, 300))
	r := test.open(source.Options{})
	defer test.close(r) // with something left to be sent
	done := make(chan []source.Range)
	var wait sync.WaitGroup
	wait.Go(func() {
		for ranges := range done {
			test.promptly("Commit", func() {
				if err := r.Commit(test.ctx, ranges); err != nil {
					t.Errorf("commit %v: %v", ranges, err)
				}
			})
		}
	})
	defer wait.Wait()
	defer close(done)
	done <- nil
	for test.seen < len(test.where) {
		test.inTime()
		s := test.cut(r, source.Request{Mode: source.Arrived, MaxBytes: 4 << 10})
		test.take(s)
		done <- ranges(s) // empty ones too
	}
	test.complete()
}

// testClose closes readers in every situation.
func testClose[R any](t *testing.T, h Harness[R]) {
	for _, records := range []int{0, 300} { // it waits for more, or for room
		test := newTest(t, h, numbered(h.Partitions, records))
		for _, replay := range []bool{false, h.NoReplay == ""} {
			test.close(test.open(source.Options{Replay: replay})) // at once

			r := test.open(source.Options{Replay: replay, Prefetch: 1 << 10, MaxBatchBytes: 1 << 10})
			test.settle(r)
			if err := r.Commit(test.ctx, ranges(test.cut(r, source.Request{Mode: source.Arrived, MaxBytes: 100}))); err != nil {
				t.Errorf("commit: %v", err)
			}
			test.settle(r)
			stop := test.watchStats(r, 0) // which an App may ask for whenever it likes
			test.close(r)
			stop()
			r.Stats()
		}
	}
}

// testContext is about calls whose context ends.
func testContext[R any](t *testing.T, h Harness[R]) {
	test := newTest(t, h, numbered(h.Partitions, 10))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	test.promptly("Open", func() {
		switch r, err := test.source.Open(ended, source.Options{}); {
		case err == nil:
			test.close(r)
		case !errors.Is(err, context.Canceled):
			t.Errorf("Open whose context has ended returned %v", err)
		}
	})
	r := test.open(source.Options{})
	defer test.close(r)
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(20*time.Millisecond, cancel).Stop()
	var s source.Slice[R]
	var err error
	test.promptly("Cut", func() { // never so much
		switch s, err = r.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 1 << 30}); {
		case err == nil && !s.End:
			t.Errorf("a cut returned before the slice was full")
		case err != nil && !errors.Is(err, context.Canceled):
			t.Errorf("a cut whose context has ended returned %v", err)
		}
	})
	if err == nil {
		test.take(s)
	}
	test.drain(r, source.Request{Mode: source.Arrived}) // nothing was lost by that
	test.complete()
}

// testOpenContext ends the context of Open as soon as that has returned: what it
// started goes on.
func testOpenContext[R any](t *testing.T, h Harness[R]) {
	for _, replay := range []bool{false, h.NoReplay == ""} {
		test := newTest(t, h, numbered(h.Partitions, 200))
		whole := test.ctx
		ctx, cancel := context.WithCancel(whole)
		test.ctx = ctx
		r := test.open(source.Options{Replay: replay})
		cancel()
		test.ctx = whole
		if replay {
			test.take(test.cut(r, source.Request{Mode: source.ByTime, Time: time.Now()}))
		} else {
			test.drain(r, source.Request{Mode: source.Arrived})
		}
		test.complete()
		test.close(r)
	}
}

// testOpenTwice is about two Apps with the same source.
func testOpenTwice[R any](t *testing.T, h Harness[R]) {
	one := newTest(t, h, numbered(h.Partitions, 50))
	two := *one
	two.reset()
	a, b := one.open(source.Options{}), two.open(source.Options{})
	defer one.close(a)
	defer two.close(b)
	two.drain(b, source.Request{Mode: source.Arrived})
	two.complete()
	one.drain(a, source.Request{Mode: source.Arrived})
	one.complete()
}

// numbered makes records with values that say where they belong.
func numbered(partitions, n int) [][]Record {
	parts := make([][]Record, partitions)
	for p := range parts {
		for i := range n {
			at := time.Date(2017, 1, 11, 15, 30, i, 0, time.UTC)
			parts[p] = append(parts[p], Record{Value: fmt.Sprintf("record-%d-%d-%s", p, i, strings.Repeat("x", i%30)), Time: at})
		}
	}
	return parts
}

func ranges[R any](s source.Slice[R]) (all []source.Range) {
	for _, p := range s.Parts {
		all = append(all, p.Range)
	}
	return all
}

func size[R any](s source.Slice[R]) (bytes int64) {
	for _, p := range s.Parts {
		bytes += p.Bytes
	}
	return bytes
}

func count[R any](s source.Slice[R]) (n int) {
	for _, p := range s.Parts {
		n += len(p.Records)
	}
	return n
}
