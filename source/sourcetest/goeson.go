package sourcetest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/godstream/godstream/source"
)

// testGoesOn reads on after a crash: from the positions of a checkpoint, after
// slices that are given again exactly as they were, also when there is more now.
func testGoesOn[R any](t *testing.T, h Harness[R]) {
	if h.Grow == nil && h.NoGrow == "" {
		t.Fatal("the Harness has neither Grow nor NoGrow, which says why")
	}
	for _, replay := range []bool{false, true} {
		if replay && h.NoReplay != "" {
			continue
		}
		t.Run(fmt.Sprintf("replay=%t", replay), func(t *testing.T) {
			test := newTest(t, h, numbered(h.Partitions, 40))
			if v, ok := test.source.(source.Volatile[R]); ok {
				testVolatile(test, v, replay)
				return
			}
			r := test.openAt(nil, replay)
			test.readOn(r, replay)
			test.close(r)
			test.complete()
			all := slices.Clone(test.slices)
			n := len(all)
			for _, at := range [][2]int{{0, n}, {1, 2}, {n / 2, n / 2}, {n / 2, 3 * n / 4}, {n, n}} { // done and begun
				test.again(all, at[0], min(at[1], n), replay)
			}
			if h.Grow == nil || t.Failed() {
				return
			}
			more := grown(test.parts)
			h.Grow(t, more)
			test.grow(more)
			test.again(all, n/3, 2*n/3, replay)
			test.again(all, n, n, replay)
		})
	}
}

// again opens the source as a program does that has so many slices done and has
// begun so many, and reads the rest.
func (t *test[R]) again(all []source.Slice[R], done, begun int, replay bool) {
	t.Helper()
	if begun == 0 {
		return // that is the beginning
	}
	t.reset()
	for _, s := range all[:done] {
		t.take(s)
	}
	r := t.openAt(positions(all, done, begun), replay)
	defer t.close(r)
	for i, want := range all[done:begun] {
		if len(want.Parts) == 0 {
			continue // an App does not ask for it
		}
		got := t.cut(r, source.Request{Mode: source.Exact, Ranges: ranges(want)})
		if !slices.Equal(ranges(got), ranges(want)) {
			t.Fatalf("slice %d of %d done and %d begun: the ranges are\n%v, want\n%v", done+i, done, begun, ranges(got), ranges(want))
		}
		for p := range want.Parts {
			if g, w := t.values(nil, got.Parts[p].Records), t.values(nil, want.Parts[p].Records); !slices.Equal(g, w) {
				t.Fatalf("slice %d of %d done and %d begun, %v: the records are\n%q, want\n%q", done+i, done, begun, want.Parts[p].Range, g, w)
			}
			if !reflect.DeepEqual(got.Parts[p].Records, want.Parts[p].Records) && len(want.Parts[p].Records) > 0 {
				t.Fatalf("slice %d of %d done and %d begun, %v: the records are other ones", done+i, done, begun, want.Parts[p].Range)
			}
		}
		t.take(got)
	}
	t.readOn(r, replay)
	t.complete()
}

// openAt opens the source with positions.
func (t *test[R]) openAt(at []source.Position, replay bool) source.Reader[R] {
	t.Helper()
	return t.open(source.Options{Partitions: 3, Replay: replay, Positions: at})
}

// readOn reads the rest in small slices.
func (t *test[R]) readOn(r source.Reader[R], replay bool) {
	t.Helper()
	if !replay {
		t.drain(r, source.Request{Mode: source.Arrived, MaxBytes: 3000})
		return
	}
	for {
		next, ok, err := r.Next(t.ctx)
		if err != nil {
			t.Fatalf("next after %d records: %v", t.seen, err)
		}
		if !ok {
			return
		}
		s := t.cut(r, source.Request{Mode: source.ByTime, Time: next.Add(5 * time.Second), MaxBytes: 1 << 30})
		t.take(s)
		if s.End {
			return
		}
	}
}

// positions is what a checkpoint says after some slices, and what the log adds of
// those that were begun.
func positions[R any](all []source.Slice[R], done, begun int) []source.Position {
	at := []source.Position{} // in order, as it is kept
	place := func(name string) int {
		return slices.IndexFunc(at, func(p source.Position) bool { return p.Partition == name })
	}
	for _, s := range all[:done] {
		for _, r := range ranges(s) {
			if i := place(r.Partition); i >= 0 {
				at = slices.Delete(at, i, i+1)
			}
			if !r.Over {
				at = append(at, source.Position{Partition: r.Partition, Offset: r.Until, Mark: r.Mark})
			}
		}
	}
	for _, s := range all[done:begun] {
		for _, r := range ranges(s) {
			if place(r.Partition) < 0 {
				at = append(at, source.Position{Partition: r.Partition, Offset: r.From})
			}
		}
	}
	return at
}

// grown makes records that follow others.
func grown(parts [][]Record) [][]Record {
	more := make([][]Record, len(parts))
	for p, records := range parts {
		for i := range 10 {
			at := records[len(records)-1].Time.Add(time.Duration(i) * time.Second)
			more[p] = append(more[p], Record{Value: fmt.Sprintf("grown-%d-%d", p, i), Time: at})
		}
	}
	return more
}

// grow makes the test expect more.
func (t *test[R]) grow(more [][]Record) {
	for p, records := range more {
		for i, record := range records {
			t.where[record.Value] = place{p, len(t.parts[p]) + i}
		}
		t.parts[p] = slices.Concat(t.parts[p], records)
	}
}

// testVolatile writes records ahead, as an App does, and reads them again.
func testVolatile[R any](t *test[R], v source.Volatile[R], replay bool) {
	r := t.openAt(nil, replay)
	t.readOn(r, replay)
	t.close(r)
	t.complete()
	for _, s := range t.slices {
		for _, part := range s.Parts {
			for _, record := range part.Records {
				before := []byte("before")
				data, err := v.AppendRecord(before, record)
				if err != nil {
					t.Fatalf("append record %q: %v", t.h.Value(record), err)
				}
				if string(data[:min(len(data), len(before))]) != string(before) {
					t.Fatalf("AppendRecord does not append")
				}
				data = data[len(before):]
				for n := range data { // damaged ones are errors, or other records
					_, _ = v.DecodeRecord(data[:n:n])
				}
				again, err := v.DecodeRecord(data)
				if err != nil {
					t.Fatalf("decode record %q: %v", t.h.Value(record), err)
				}
				clear(data) // which must not be kept
				if !reflect.DeepEqual(again, record) {
					t.Fatalf("record %v was written ahead and is %v when it is read again", record, again)
				}
			}
		}
	}
	at := positions(t.slices, len(t.slices), len(t.slices))
	r = t.openAt(at, replay)
	defer t.close(r)
	until := t.until
	t.reset()
	t.until = until // where the next slice begins
	t.readOn(r, replay)
}
