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
		"Arrived":   testArrived[R],
		"Filled":    testFilled[R],
		"ByTime":    testByTime[R],
		"Untimed":   testUntimed[R],
		"Idle":      testIdle[R],
		"Prefetch":  testPrefetch[R],
		"Close":     testClose[R],
		"Context":   testContext[R],
		"OpenTwice": testOpenTwice[R],
	}
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
	if again := test.cut(r, source.Request{Mode: source.Arrived}); again.End != h.Ends {
		t.Errorf("a cut after the last record has End = %t, want %t", again.End, h.Ends)
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
		s := test.cut(r, source.Request{Mode: source.Filled, MaxBytes: 1000})
		test.take(s)
		if count(s) == 0 {
			t.Errorf("a filled slice is empty")
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
	for _, prefetch := range []int64{4 << 10, 1 << 20} {
		test, want := newTest(t, h, parts), byTime(parts, interval)
		r := test.open(source.Options{Replay: true, Partitions: 2, Prefetch: prefetch})
		var at time.Time
		for {
			next, ok, err := r.Next(test.ctx)
			if err != nil {
				t.Fatalf("next after %d records: %v", test.seen, err)
			}
			if !ok {
				break
			}
			if at.IsZero() {
				at = next.Truncate(interval)
			}
			at = at.Add(interval)
			s := test.cut(r, source.Request{Mode: source.ByTime, Time: at, MaxBytes: 1 << 30})
			got := test.take(s)
			slices.Sort(got)
			if !slices.Equal(got, want[at]) {
				t.Fatalf("batch %v has\n%v, want\n%v", at, got, want[at])
			}
			if s.End {
				break
			}
		}
		test.complete()
		test.close(r)
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
		s := test.cut(r, source.Request{Mode: source.Arrived})
		end = s.End
		test.take(s)
	}
	if end != h.Ends {
		t.Errorf("an empty source has End = %t, want %t", end, h.Ends)
	}
	if h.Skip["ByTime"] != "" {
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

// testClose closes readers in every situation.
func testClose[R any](t *testing.T, h Harness[R]) {
	for _, records := range []int{0, 300} { // it waits for more, or for room
		test := newTest(t, h, numbered(h.Partitions, records))
		for _, replay := range []bool{false, h.Skip["ByTime"] == ""} {
			test.close(test.open(source.Options{Replay: replay})) // at once

			r := test.open(source.Options{Replay: replay, Prefetch: 1 << 10, MaxBatchBytes: 1 << 10})
			test.settle(r)
			if err := r.Commit(test.ctx, ranges(test.cut(r, source.Request{Mode: source.Arrived, MaxBytes: 100}))); err != nil {
				t.Errorf("commit: %v", err)
			}
			test.settle(r)
			test.close(r)
		}
	}
}

// testContext is about calls whose context ends.
func testContext[R any](t *testing.T, h Harness[R]) {
	test := newTest(t, h, numbered(h.Partitions, 10))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	test.promptly("Open", func() {
		if r, err := test.source.Open(ended, source.Options{}); err == nil {
			test.close(r)
		}
	})
	r := test.open(source.Options{})
	defer test.close(r)
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(20*time.Millisecond, cancel).Stop()
	var s source.Slice[R]
	test.promptly("Cut", func() { // never so much
		var err error
		switch s, err = r.Cut(ctx, source.Request{Mode: source.Filled, MaxBytes: 1 << 30}); {
		case err == nil && !s.End:
			t.Errorf("a cut returned before the slice was full")
		case err != nil && !errors.Is(err, context.Canceled):
			t.Errorf("a cut whose context has ended returned %v", err)
		}
	})
	test.take(s)
	test.drain(r, source.Request{Mode: source.Arrived}) // nothing was lost by that
	test.complete()
	if h.Skip["ByTime"] != "" {
		return
	}
	replay := test.open(source.Options{Replay: true})
	defer test.close(replay)
	test.promptly("Next", func() {
		if _, _, err := replay.Next(ended); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Next whose context has ended returned %v", err)
		}
	})
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

func count[R any](s source.Slice[R]) (n int) {
	for _, p := range s.Parts {
		n += len(p.Records)
	}
	return n
}
