package state

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/godstream/godstream/batch"
)

// States is the state of each key, in order of insertion. It knows which have
// changed since they were last saved.
//
// It is written as a sequence of parts: the first has all keys, each further one
// what has changed since the one before.
type States[K comparable, S any] struct {
	table  *Table[K, cell[S]]
	format Format[K, S]
	tracks bool // whether it will be saved

	dirty []uint32 // numbers of keys that have changed, and of some that are gone
	gone  []K      // keys of saved states that are gone
	parts int      // that are saved
	begun bool

	oldest, newest uint32 // by time of the last touch, if touches count: number + 1
	touched        bool
	timed          bool
}

type cell[S any] struct {
	state        S
	at           time.Time // of the last touch
	older, newer uint32    // the neighbours by that: number + 1
	dirty, saved bool
}

// Format is how keys and states become bytes, and when two states are the same.
// It may be zero for states that are never saved.
type Format[K comparable, S any] struct {
	AppendKey   func(dst []byte, k K) ([]byte, error)
	ReadKey     func(data []byte) (K, []byte, error)
	AppendState func(dst []byte, s S) ([]byte, error)
	ReadState   func(data []byte) (S, []byte, error)
	Equal       func(a, b S) bool
}

// NewStates makes an empty one. timed keeps the time of the last touch with each
// state; touches makes it know, too, which key was touched before which.
func NewStates[K comparable, S any](timed, touches bool) *States[K, S] {
	return &States[K, S]{table: NewTable[K, cell[S]](), timed: timed, touched: touches}
}

// Track makes it know what changes, to be saved in a format.
func (t *States[K, S]) Track(f Format[K, S]) { t.tracks, t.format = true, f }

// Reset makes it as it was when it was made.
func (t *States[K, S]) Reset() { *t = *NewStates[K, S](t.timed, t.touched) }

// Begin says whether it has never been used before: not in this run, and not in
// one whose states were loaded.
func (t *States[K, S]) Begin() bool {
	fresh := !t.begun
	t.begun = true
	return fresh
}

// Len is how many keys there are.
func (t *States[K, S]) Len() int { return t.table.Len() }

// Numbers is how many numbers of keys there are, those of removed ones included.
func (t *States[K, S]) Numbers() int { return t.table.Numbers() }

// Get returns the number and the state of a key.
func (t *States[K, S]) Get(k K) (n uint32, s S, ok bool) {
	if n, ok = t.table.Get(k); ok {
		s = t.table.Value(n).state
	}
	return n, s, ok
}

// State returns the key and the state of a number.
func (t *States[K, S]) State(n uint32) (K, S) { return t.table.Key(n), t.table.Value(n).state }

// Set gives a key a state, at a batch time.
func (t *States[K, S]) Set(k K, s S, at time.Time) {
	n, fresh := t.table.At(k)
	c := t.table.Value(n)
	c.state = s
	t.change(n, c)
	if !t.touched {
		c.at = at
	} else {
		if !fresh {
			t.unlink(c)
		}
		t.link(n, c, at)
	}
}

// Touch notes that a key had data at a batch time.
func (t *States[K, S]) Touch(n uint32, at time.Time) {
	if c := t.table.Value(n); t.touched && !c.at.Equal(at) {
		t.unlink(c)
		t.link(n, c, at)
		t.change(n, c)
	}
}

func (t *States[K, S]) change(n uint32, c *cell[S]) {
	if t.tracks && !c.dirty {
		c.dirty = true
		t.dirty = append(t.dirty, n)
	}
}

// Remove forgets a key.
func (t *States[K, S]) Remove(n uint32) {
	c := t.table.Value(n)
	if t.tracks && c.saved {
		t.gone = append(t.gone, t.table.Key(n))
	}
	if t.touched {
		t.unlink(c)
	}
	t.table.Remove(n, false)
}

// Compact gives up the room of removed keys, now and then. Numbers change.
func (t *States[K, S]) Compact() {
	if t.table.Compact() == nil {
		return
	}
	t.dirty = t.dirty[:0]
	for n := range t.table.entries {
		if t.table.entries[n].value.dirty {
			t.dirty = append(t.dirty, uint32(n))
		}
	}
	t.relink()
}

// Before returns the numbers of keys that were last touched before a time, in
// order of insertion.
func (t *States[K, S]) Before(limit time.Time) (numbers []uint32) {
	for at := t.oldest; at != 0; {
		c := t.table.Value(at - 1)
		if !c.at.Before(limit) {
			break
		}
		numbers = append(numbers, at-1)
		at = c.newer
	}
	slices.Sort(numbers)
	return numbers
}

func (t *States[K, S]) link(n uint32, c *cell[S], at time.Time) {
	c.at, c.older, c.newer = at, t.newest, 0
	if t.newest != 0 {
		t.table.Value(t.newest - 1).newer = n + 1
	} else {
		t.oldest = n + 1
	}
	t.newest = n + 1
}

func (t *States[K, S]) unlink(c *cell[S]) {
	if c.older != 0 {
		t.table.Value(c.older - 1).newer = c.newer
	} else {
		t.oldest = c.newer
	}
	if c.newer != 0 {
		t.table.Value(c.newer - 1).older = c.older
	} else {
		t.newest = c.older
	}
}

// relink puts the keys in order of their last touch.
func (t *States[K, S]) relink() {
	if !t.touched {
		return
	}
	numbers := make([]uint32, 0, t.table.Len())
	for n := range t.table.entries {
		if t.table.entries[n].live {
			numbers = append(numbers, uint32(n))
		}
	}
	slices.SortStableFunc(numbers, func(a, b uint32) int { return t.table.Value(a).at.Compare(t.table.Value(b).at) })
	t.oldest, t.newest = 0, 0
	for _, n := range numbers {
		c := t.table.Value(n)
		t.link(n, c, c.at)
	}
}

// Pairs returns all keys and states, in order of insertion, in a slice that the
// caller owns.
func (t *States[K, S]) Pairs() []batch.Pair[K, S] {
	out := make([]batch.Pair[K, S], 0, t.Len())
	for n := range t.table.entries {
		if e := &t.table.entries[n]; e.live {
			out = append(out, batch.P(e.key, e.value.state))
		}
	}
	return out
}

// Update gives each key the state that f makes of its old one, or removes it if
// f says false, and returns all that are left, in order of insertion, in so many
// parts. run calls the tasks that it is given, one for each part, maybe at the
// same time.
func (t *States[K, S]) Update(parts int, run func(n int, task func(i int)), f func(n uint32, k K, old S) (S, bool)) [][]batch.Pair[K, S] {
	type result struct {
		pairs          []batch.Pair[K, S]
		changed, ended []uint32
	}
	parts = max(parts, 1)
	results := make([]result, parts)
	run(parts, func(i int) {
		r, all := &results[i], t.table.Numbers()
		from, until := i*all/parts, (i+1)*all/parts
		r.pairs = make([]batch.Pair[K, S], 0, until-from)
		for n := uint32(from); n < uint32(until); n++ {
			e := &t.table.entries[n]
			if !e.live {
				continue
			}
			s, keep := f(n, e.key, e.value.state)
			if !keep {
				r.ended = append(r.ended, n)
				continue
			}
			if t.tracks && !e.value.dirty && !t.format.Equal(e.value.state, s) {
				r.changed = append(r.changed, n)
			}
			e.value.state = s
			r.pairs = append(r.pairs, batch.P(e.key, s))
		}
	})
	out := make([][]batch.Pair[K, S], parts)
	for i, r := range results {
		out[i] = r.pairs
		for _, n := range r.changed {
			t.change(n, t.table.Value(n))
		}
		for _, n := range r.ended {
			t.Remove(n)
		}
	}
	return out
}

// Save returns how many of the oldest parts are no longer needed, and the part
// to add. whole asks for one part that has all.
func (t *States[K, S]) Save(whole bool) (drop int, add [][]byte, err error) {
	if !t.begun || !whole && t.parts > 0 && len(t.dirty)+len(t.gone) == 0 {
		return 0, nil, nil
	}
	var numbers []uint32
	gone := t.gone
	if whole {
		gone = nil
		for n := range t.table.entries {
			if t.table.entries[n].live {
				numbers = append(numbers, uint32(n))
			}
		}
	} else {
		for _, n := range t.dirty {
			if t.table.Live(n) && t.table.Value(n).dirty {
				numbers = append(numbers, n)
			}
		}
		slices.Sort(numbers) // new keys in order of insertion
		numbers = slices.Compact(numbers)
	}
	part, err := AppendAll(nil, [][]K{gone}, t.format.AppendKey)
	if err != nil {
		return 0, nil, err
	}
	if part, err = AppendAll(part, [][]uint32{numbers}, t.appendEntry); err != nil {
		return 0, nil, err
	}
	for _, n := range numbers {
		c := t.table.Value(n)
		c.dirty, c.saved = false, true
	}
	t.dirty, t.gone = t.dirty[:0], nil
	if whole {
		drop, t.parts = t.parts, 0
	}
	t.parts++
	return drop, [][]byte{part}, nil
}

func (t *States[K, S]) appendEntry(dst []byte, n uint32) ([]byte, error) {
	e := &t.table.entries[n]
	dst, err := t.format.AppendKey(dst, e.key)
	if err != nil {
		return nil, fmt.Errorf("key %v: %w", e.key, err)
	}
	if t.timed {
		dst = AppendTime(dst, e.value.at)
	}
	if dst, err = t.format.AppendState(dst, e.value.state); err != nil {
		return nil, fmt.Errorf("state of %v: %w", e.key, err)
	}
	return dst, nil
}

// Load takes in the parts that are saved, oldest first. The table is empty before.
func (t *States[K, S]) Load(parts [][]byte) error {
	type entry struct {
		key   K
		at    time.Time
		state S
	}
	for i, part := range parts {
		gone, rest, err := ReadAll(part, t.format.ReadKey)
		if err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
		set, rest, err := ReadAll(rest, func(data []byte) (e entry, rest []byte, err error) {
			if e.key, data, err = t.format.ReadKey(data); err != nil {
				return e, nil, err
			}
			if t.timed {
				if e.at, data, err = ReadTime(data); err != nil {
					return e, nil, err
				}
			}
			e.state, rest, err = t.format.ReadState(data)
			return e, rest, err
		})
		if err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
		if len(rest) > 0 {
			return fmt.Errorf("part %d: %w: %d bytes", i, errLeftOver, len(rest))
		}
		for _, k := range gone {
			if n, ok := t.table.Get(k); ok {
				t.table.Remove(n, false)
			}
		}
		t.table.Compact()
		for _, e := range set {
			n, _ := t.table.At(e.key)
			*t.table.Value(n) = cell[S]{state: e.state, at: e.at, saved: true}
		}
	}
	t.parts, t.begun = len(parts), true
	t.relink()
	return nil
}

var errLeftOver = errors.New("bytes are left over")
