// Package sinktest holds the contract of package sink as a test suite, for every
// implementation of it:
//
//	func TestSink(t *testing.T) {
//		sinktest.Run(t, func(t *testing.T) sinktest.Place[string] {
//			dir := t.TempDir()
//			return sinktest.Place[string]{Sink: lines(dir), Read: func() ([]string, error) { return readLines(dir) }}
//		})
//	}
//
// It writes batches of a few shapes in order, some of them again as a recovery
// does, fails and ends Writes where it can, and compares what a reader sees with
// what the sink's Delivery promises. A Transactional sink is asked for its Marker
// whenever it was opened, and opened again after each failure; batches that it has
// are not written again, as by an App. Failures that only the sink's author can
// make happen, one at each step of a Write, are for tests beside it.
package sinktest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godstream/godstream/sink"
)

// Place is somewhere to write to, empty at first, with a sink that does so and a
// way to look.
type Place[T any] struct {
	// Sink writes there. It may be opened again after it was closed.
	Sink sink.Sink[T]

	// Element makes an element that Read tells as id: some letters, digits and
	// dots. It may be nil if T is string.
	Element func(id string) T

	// Read returns what a reader sees at the moment, in the order in which it
	// sees it. A place whose parts have no common order, such as a topic, must
	// be one part here.
	Read func() ([]string, error)

	// Atomic says that a reader never sees a part of a batch, whenever it looks.
	// Read is then also called while batches are written, by another goroutine.
	Atomic bool

	// Break makes every Write fail, in a while that is short enough for a test,
	// until mend is called. Nil if there is nothing that could break.
	Break func() (mend func())
}

// limit is how long anything may take.
const limit = 20 * time.Second

// Run tests the contract. It calls fresh for each test; what fresh starts is
// ended by t.Cleanup.
func Run[T any](t *testing.T, fresh func(t *testing.T) Place[T]) {
	tests := map[string]func(*testing.T, *check[T]){
		"batches come in order with all elements":      writesAll[T],
		"a batch that is done is written again":        writesAgain[T],
		"a reader looks while batches are written":     isAtomic[T],
		"a Write that failed is called again":          recovers[T],
		"ctx has ended before a Write":                 givesUp[T],
		"ctx ends during a Write that can not succeed": givesUpWaiting[T],
		"Open and its ctx":                             opens[T],
		"elements belong to the caller":                leavesElements[T],
		"Close leaves no goroutine":                    leavesNothing[T],
		"the Marker tells what is stored":              marks[T],
		"a Writer that was replaced stores nothing":    isReplaced[T],
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := &check[T]{Place: fresh(t), t: t}
			if c.Element == nil {
				c.Element = func(id string) T { return any(id).(T) }
			}
			test(t, c)
		})
	}
}

func writesAll[T any](t *testing.T, c *check[T]) {
	w := c.open()
	for i, sizes := range [][]int{{1}, {3, 2}, {0, 4, 0}, {0, 0}, {}, {700, 1, 800}, {1, 1, 1, 1, 1}} {
		c.write(w, i, sizes...)
	}
	c.close(w)
	c.sees()
}

func writesAgain[T any](t *testing.T, c *check[T]) {
	w := c.open()
	c.write(w, 1, 2, 2)
	c.write(w, 2, 3, 0)
	c.write(w, 2, 3, 0)
	c.write(w, 3, 0, 3)
	c.sees()
	c.close(w)
	w = c.open() // as a recovery does
	c.write(w, 2, 3, 0)
	c.write(w, 3, 0, 3)
	c.write(w, 4, 1, 1)
	c.close(w)
	c.sees()
}

func isAtomic[T any](t *testing.T, c *check[T]) {
	if !c.Atomic {
		t.Skip("the place shows parts of batches")
	}
	w := c.open()
	for i := range 8 {
		b := c.batch(i, 200, 400)
		c.known = append(c.known, c.ids(i, 200, 400))
		began, done, looked := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			close(began)
			err := c.whole()
			for err == nil {
				select {
				case <-done:
					looked <- nil
					return
				default:
					err = c.whole()
				}
			}
			looked <- err
		}()
		<-began
		err := c.give(context.Background(), w, b)
		close(done)
		if err = errors.Join(err, <-looked); err != nil {
			t.Fatal(err)
		}
	}
	c.close(w)
	c.sees()
}

func recovers[T any](t *testing.T, c *check[T]) {
	if c.Break == nil {
		t.Skip("the place can't break")
	}
	w := c.open()
	c.write(w, 1, 2, 1)
	for range 2 { // there may be something left of the first failure
		mend := c.Break()
		err := c.try(context.Background(), w, 2, 50, 50)
		if err == nil && !c.marked() { // an attempt before may have stored it
			t.Fatal("Write returned nil where the place was broken")
		}
		mend()
		w = c.afterFailure(w)
		if err := c.whole(); c.Atomic && err != nil {
			t.Error(err)
		}
	}
	c.write(w, 2, 50, 50)
	c.write(w, 3, 1)
	c.sees()

	mend := c.Break()
	if err := c.try(context.Background(), w, 4, 1); err == nil {
		t.Fatal("Write returned nil where the place was broken")
	}
	c.close(w) // the program ends with the failure
	mend()
	w = c.open()
	c.write(w, 4, 1)
	c.close(w)
	c.sees()
}

func givesUp[T any](t *testing.T, c *check[T]) {
	w := c.open()
	c.write(w, 1, 2, 1)
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	if err := c.try(ctx, w, 2, 5, 5); !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
		t.Errorf("Write returned %v after ctx had ended", err)
	}
	w = c.afterFailure(w)
	if err := c.whole(); c.Atomic && err != nil {
		t.Error(err)
	}
	c.write(w, 2, 5, 5)
	c.write(w, 3, 1)
	c.close(w)
	c.sees()
}

func givesUpWaiting[T any](t *testing.T, c *check[T]) {
	if c.Break == nil {
		t.Skip("the place can't break")
	}
	w := c.open()
	c.write(w, 1, 2, 1)
	mend := c.Break()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.try(ctx, w, 2, 5, 5); err == nil {
		t.Error("Write returned nil where the place was broken")
	}
	mend()
	w = c.afterFailure(w)
	c.write(w, 2, 5, 5)
	c.close(w)
	c.sees()
}

func opens[T any](t *testing.T, c *check[T]) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w, err := c.Sink.Open(ctx, options)
	if err == nil { // had nothing to wait for
		c.close(w)
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("Open returned %v after ctx had ended", err)
	}

	ctx, cancel = context.WithCancel(context.Background())
	w, err = c.Sink.Open(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	c.mark(w)
	c.write(w, 1, 2)
	c.close(w)
	c.sees()
}

func leavesElements[T any](t *testing.T, c *check[T]) {
	w := c.open()
	b := c.batch(1, 3, 2)
	if err := c.give(context.Background(), w, b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b, c.batch(1, 3, 2)) {
		t.Error("Write has changed the batch")
	}
	c.known = append(c.known, c.ids(1, 3, 2))
	for _, p := range b.Parts {
		clear(p) // now they are the caller's again
	}
	clear(b.Parts)
	c.write(w, 2, 2)
	c.close(w)
	c.sees()
}

func leavesNothing[T any](t *testing.T, c *check[T]) {
	before := goleak.IgnoreCurrent()
	w := c.open()
	c.write(w, 1, 2, 2)
	c.close(w)
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

func marks[T any](t *testing.T, c *check[T]) {
	if !c.marked() {
		t.Skip("the sink has no Marker")
	}
	for i, sizes := range [][]int{{2, 1}, {0}, {3}, {}} { // batches without elements, too
		w := c.open()
		c.write(w, i, sizes...)
		c.close(w)
	}
	w := c.open()
	c.close(w)
	w = c.open()
	c.write(w, 4, 1)
	c.write(w, 5)
	c.write(w, 6)
	c.close(w)
	w = c.open()
	c.close(w)
	c.sees()
}

func isReplaced[T any](t *testing.T, c *check[T]) {
	if !c.marked() {
		t.Skip("the sink may have several Writers")
	}
	for i, sizes := range [][]int{{2, 1}, {}} {
		n := 3 * i
		old := c.open()
		c.write(old, n, 2, 1)
		w := c.open()
		if err := c.prompt(func() error { return old.Write(context.Background(), c.batch(n+1, sizes...)) }); err == nil {
			t.Error("Write returned nil after another Writer was opened")
		}
		c.write(w, n+1, 3)
		c.close(old)
		c.write(w, n+2, 1)
		c.close(w)
		w = c.open()
		c.close(w)
		c.sees()
	}
}

// check writes to a place and knows what should be there.
type check[T any] struct {
	Place[T]
	t     *testing.T
	known [][]string // elements of the batches that are done or may be

	// Of a Transactional sink, by Batch.Number:
	done  int64 // the last batch that is stored
	tried int64 // the last batch that may be
}

var options = sink.Options{Name: "to-1", App: "sinktest", Checkpoint: "1f3a"}

func (c *check[T]) open() sink.Writer[T] {
	c.t.Helper()
	w, err := c.Sink.Open(context.Background(), options)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mark(w)
	return w
}

func (c *check[T]) marked() bool { return c.Sink.Delivery() == sink.Transactional }

// mark asks which batch is stored.
func (c *check[T]) mark(w sink.Writer[T]) {
	c.t.Helper()
	if !c.marked() {
		return
	}
	marked, ok := w.(sink.Marked[T])
	if !ok {
		c.t.Fatalf("the sink is transactional, but its Writer %T has no Marker", w)
	}
	m, err := marked.Marker(context.Background())
	if err != nil {
		c.t.Fatalf("Marker: %v", err)
	}
	if m.Number < c.done || m.Number > c.tried || m.Number > 0 && m.Checkpoint != options.Checkpoint {
		c.t.Errorf("Marker is %+v, with batch %d done and %d tried by checkpoint %s", m, c.done, c.tried, options.Checkpoint)
	}
	c.done = m.Number
}

// afterFailure is the Writer that goes on after a Write that returned an error.
func (c *check[T]) afterFailure(w sink.Writer[T]) sink.Writer[T] {
	c.t.Helper()
	if !c.marked() {
		return w
	}
	c.close(w)
	return c.open()
}

func (c *check[T]) close(w sink.Writer[T]) {
	c.t.Helper()
	if err := c.prompt(w.Close); err != nil {
		c.t.Errorf("Close: %v", err)
	}
}

// ids are the elements of a batch, with so many in each partition.
func (c *check[T]) ids(n int, sizes ...int) []string {
	var ids []string
	for p, size := range sizes {
		for i := range size {
			ids = append(ids, fmt.Sprintf("b%d.%d.%d", n, p, i))
		}
	}
	return ids
}

func (c *check[T]) batch(n int, sizes ...int) sink.Batch[T] {
	at := time.Date(2024, 5, 1, 10, 0, n, 0, time.UTC)
	b := sink.Batch[T]{ID: at.Format("2006-01-02T15:04:05.000000000Z"), Time: at, Number: int64(n) + 1}
	ids := c.ids(n, sizes...)
	for _, size := range sizes {
		part := make([]T, size)
		for i := range part {
			part[i] = c.Element(ids[i])
		}
		ids = ids[size:]
		b.Parts = append(b.Parts, part)
	}
	return b
}

// write writes a batch, which must succeed.
func (c *check[T]) write(w sink.Writer[T], n int, sizes ...int) {
	c.t.Helper()
	if err := c.try(context.Background(), w, n, sizes...); err != nil {
		c.t.Fatalf("Write of batch %d: %v", n, err)
	}
}

// try writes a batch that may be seen from now on.
func (c *check[T]) try(ctx context.Context, w sink.Writer[T], n int, sizes ...int) error {
	ids := c.ids(n, sizes...)
	if !slices.ContainsFunc(c.known, func(k []string) bool { return slices.Equal(k, ids) }) {
		c.known = append(c.known, ids)
	}
	return c.give(ctx, w, c.batch(n, sizes...))
}

func (c *check[T]) give(ctx context.Context, w sink.Writer[T], b sink.Batch[T]) error {
	if c.marked() && b.Number <= c.done {
		return nil // as an App does
	}
	c.tried = max(c.tried, b.Number)
	err := c.prompt(func() error { return w.Write(ctx, b) })
	if err == nil {
		c.done = b.Number
	}
	return err
}

// prompt calls f and fails if it does not return.
func (c *check[T]) prompt(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		c.t.Fatalf("did not return within %v", limit)
		return nil
	}
}

// sees checks that a reader sees all batches, as Delivery promises.
func (c *check[T]) sees() {
	c.t.Helper()
	got, err := c.Read()
	if err != nil {
		c.t.Fatalf("Read: %v", err)
	}
	if c.Sink.Delivery() == sink.AtLeastOnce {
		got = lastOnly(got)
	}
	if want := slices.Concat(c.known...); !slices.Equal(got, want) {
		c.t.Errorf("a reader sees %s\nwant          %s (%v)", brief(got), brief(want), c.Sink.Delivery())
	}
}

// lastOnly leaves the last of equal elements. A Write that succeeds has written
// all of its batch in order, after what is left of attempts before.
func lastOnly(ids []string) []string {
	var last []string
	seen := map[string]bool{}
	for _, id := range slices.Backward(ids) {
		if !seen[id] {
			seen[id] = true
			last = append(last, id)
		}
	}
	slices.Reverse(last)
	return last
}

// whole says whether a reader sees a part of a batch without the rest.
func (c *check[T]) whole() error {
	got, err := c.Read()
	if err != nil {
		return fmt.Errorf("Read: %w", err)
	}
	seen := map[string]bool{}
	for _, id := range got {
		seen[id] = true
	}
	for _, b := range c.known {
		n := 0
		for _, id := range b {
			if seen[id] {
				n++
			}
		}
		if n != 0 && n != len(b) {
			return fmt.Errorf("a reader sees %d of the %d elements of a batch: %s", n, len(b), brief(got))
		}
	}
	return nil
}

// brief shows some of many.
func brief(ids []string) string {
	if len(ids) > 40 {
		return fmt.Sprintf("%d: %s … %s", len(ids), strings.Join(ids[:20], " "), strings.Join(ids[len(ids)-20:], " "))
	}
	return fmt.Sprintf("%d: %s", len(ids), strings.Join(ids, " "))
}
