package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/godstream/godstream/batch"
)

// States is the state of each key, in order of insertion. It knows which have
// changed since they were last saved.
//
// It is written as a sequence of parts: each has what has changed since the one
// before; the first all keys, or the first of an image (see Image).
type States[K comparable, S any] struct {
	table  *Table[K, S]
	format Format[K, S]
	tracks bool // whether it will be saved

	marks   []mark   // of each number
	fetched mark     // so that they are read ahead
	dirty   []uint32 // numbers of keys that have changed, and of some that are gone
	gone    []K      // keys of saved states that are gone
	parts   bool     // something is saved
	begun   bool

	length int    // of an entry, on the average of the last part
	imaged uint32 // how many numbers are in the image that is being made

	timed bool
	times []time.Time // of last touches, by mark; some are nobody's any longer

	touched        bool   // touches count
	links          []link // of each number, if they do
	oldest, newest uint32 // number + 1
}

// mark is what a key has besides its state: how it stands to what is saved, and
// above that when it was last touched, as a place in States.times, if that is kept.
type mark uint32

const (
	dirty mark = 1 << iota // it has changed since the last save
	saved                  // it is saved
	step                   // of places in times
)

func (m mark) place() uint32        { return uint32(m / step) }
func (m mark) at(place uint32) mark { return m%step + mark(place)*step }

// link is where a key stands by the time of its last touch.
type link struct {
	older, newer uint32 // the neighbours: number + 1
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
	return &States[K, S]{table: NewTable[K, S](), timed: timed, touched: touches}
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
		s = t.table.values[n]
	}
	return n, s, ok
}

// Find looks keys up as [Table.Find] does.
func (t *States[K, S]) Find(keys []K, numbers []uint32) { t.table.Find(keys, numbers) }

// Fetch does so too, and copies the states of those that are there. They may be
// others when a key has its turn; but then the cache has what belongs to it.
func (t *States[K, S]) Fetch(keys []K, numbers []uint32, olds []S) {
	t.table.Find(keys, numbers)
	for i := range keys {
		if n := numbers[i]; n > 0 {
			olds[i] = t.table.values[n-1]
			t.fetched ^= t.marks[n-1]
		}
	}
}

// Live says whether a number is that of a key.
func (t *States[K, S]) Live(n uint32) bool { return t.table.Live(n) }

// State returns the key and the state of a number.
func (t *States[K, S]) State(n uint32) (K, S) { return t.table.keys[n], t.table.values[n] }

// Set gives a key a state, at a batch time.
func (t *States[K, S]) Set(k K, s S, at time.Time) {
	t.Put(t.number(k), s, at)
}

// number is the number of a key, a new one if it has none.
func (t *States[K, S]) number(k K) uint32 {
	n, fresh := t.table.At(k)
	if !fresh {
		return n
	}
	t.marks = append(t.marks, 0)
	if t.touched {
		t.links = append(t.links, link{})
		t.link(n)
	}
	return n
}

// Put gives the key of a number a state, at a batch time.
func (t *States[K, S]) Put(n uint32, s S, at time.Time) {
	t.table.values[n] = s
	t.change(n)
	t.touch(n, at)
}

// Touch notes that a key had data at a batch time.
func (t *States[K, S]) Touch(n uint32, at time.Time) {
	if t.touched && !t.times[t.marks[n].place()].Equal(at) {
		t.touch(n, at)
		t.change(n)
	}
}

func (t *States[K, S]) touch(n uint32, at time.Time) {
	if t.timed {
		t.marks[n] = t.marks[n].at(t.stamp(at))
	}
	if t.touched {
		t.unlink(n)
		t.link(n)
	}
}

// stamp is the place of a time. What is nobody's is given up once there are more
// of these than keys.
func (t *States[K, S]) stamp(at time.Time) uint32 {
	if last := len(t.times) - 1; last >= 0 && t.times[last].Equal(at) {
		return uint32(last)
	}
	if len(t.times) > 2*t.table.Len()+minTimes {
		t.restamp()
	}
	t.times = append(t.times, at)
	return uint32(len(t.times) - 1)
}

// minTimes is how many times are kept in any case.
const minTimes = 1024

func (t *States[K, S]) restamp() {
	places := make([]uint32, len(t.times)) // new ones + 1, by old ones
	var kept []time.Time
	for n, m := range t.marks {
		if !t.table.Live(uint32(n)) {
			continue
		}
		place := m.place()
		if places[place] == 0 {
			kept = append(kept, t.times[place])
			places[place] = uint32(len(kept))
		}
		t.marks[n] = m.at(places[place] - 1)
	}
	t.times = kept
}

func (t *States[K, S]) change(n uint32) {
	if t.tracks && t.marks[n]&dirty == 0 {
		t.marks[n] |= dirty
		t.dirty = append(t.dirty, n)
	}
}

// Remove forgets a key.
func (t *States[K, S]) Remove(n uint32) {
	if t.tracks && t.marks[n]&saved != 0 {
		t.gone = append(t.gone, t.table.keys[n])
	}
	if t.touched {
		t.unlink(n)
	}
	t.marks[n] = 0
	t.table.Remove(n, false)
}

// Compact gives up the room of removed keys, now and then. Numbers change.
func (t *States[K, S]) Compact() {
	if !t.table.sparse() {
		return
	}
	imaged := uint32(0)
	for n := range t.imaged {
		if t.table.Live(n) {
			imaged++
		}
	}
	t.imaged, t.marks = imaged, compact(t.table, t.marks)
	t.table.Compact()
	t.dirty = t.dirty[:0]
	for n, m := range t.marks {
		if m&dirty != 0 {
			t.dirty = append(t.dirty, uint32(n))
		}
	}
	t.relink()
}

// Before returns the numbers of keys that were last touched before a time, in
// order of insertion.
func (t *States[K, S]) Before(limit time.Time) (numbers []uint32) {
	for at := t.oldest; at != 0 && t.times[t.marks[at-1].place()].Before(limit); at = t.links[at-1].newer {
		numbers = append(numbers, at-1)
	}
	slices.Sort(numbers)
	return numbers
}

// link makes a key the one that was touched last.
func (t *States[K, S]) link(n uint32) {
	t.links[n] = link{older: t.newest}
	if t.newest != 0 {
		t.links[t.newest-1].newer = n + 1
	} else {
		t.oldest = n + 1
	}
	t.newest = n + 1
}

func (t *States[K, S]) unlink(n uint32) {
	l := t.links[n]
	if l.older != 0 {
		t.links[l.older-1].newer = l.newer
	} else {
		t.oldest = l.newer
	}
	if l.newer != 0 {
		t.links[l.newer-1].older = l.older
	} else {
		t.newest = l.older
	}
}

// relink puts the keys in order of their last touch.
func (t *States[K, S]) relink() {
	if !t.touched {
		return
	}
	numbers := make([]uint32, 0, t.table.Len())
	for n := range t.table.keys {
		if t.table.Live(uint32(n)) {
			numbers = append(numbers, uint32(n))
		}
	}
	at := func(n uint32) time.Time { return t.times[t.marks[n].place()] }
	slices.SortStableFunc(numbers, func(a, b uint32) int { return at(a).Compare(at(b)) })
	t.links, t.oldest, t.newest = make([]link, len(t.table.keys)), 0, 0
	for _, n := range numbers {
		t.link(n)
	}
}

// Parts returns all keys and states, in order of insertion, in so many parts. They
// are those of the moment in which they are read: that must be before the next
// change.
func (t *States[K, S]) Parts(parts int) []iter.Seq[batch.Pair[K, S]] {
	all := make([]iter.Seq[batch.Pair[K, S]], max(parts, 1))
	for i := range all {
		from, until := t.part(i, len(all))
		all[i] = func(yield func(batch.Pair[K, S]) bool) {
			keys, states, all := t.table.keys[:until], t.table.values[:until], t.table.full()
			for n := from; n < until; n++ {
				if (all || t.table.Live(n)) && !yield(batch.P(keys[n], states[n])) {
					return
				}
			}
		}
	}
	return all
}

// part is the numbers of a part of all.
func (t *States[K, S]) part(i, of int) (from, until uint32) {
	all := t.table.Numbers()
	return uint32(i * all / of), uint32((i + 1) * all / of)
}

// Save returns what has changed since it was last called, as a part; nil if nothing
// has.
func (t *States[K, S]) Save() (part []byte, err error) {
	if !t.begun || t.parts && len(t.dirty)+len(t.gone) == 0 {
		return nil, nil
	}
	if part, err = t.encode(t.gone, t.changed()); err == nil {
		t.clean()
	}
	return part, err
}

// Image is Save while all states are written anew, bit by bit: parts that begin
// with the first keys, from begin on. It returns what has changed of keys that are
// in the image already and which are gone, what has changed of others, and the
// next keys of the image, which take room bytes more than what has changed, or a
// few more. complete says that the image has all keys.
//
// The parts for the image, in this order, are a sequence as that of Save: since a
// part has only changes of keys that are in a part before it, the order of all keys
// is that of insertion.
func (t *States[K, S]) Image(begin bool, room int) (both, rest, image []byte, complete bool, err error) {
	if begin {
		t.imaged = 0
	}
	if !t.begun {
		return nil, nil, nil, true, nil
	}
	numbers := t.changed()
	place, _ := slices.BinarySearch(numbers, t.imaged)
	if place > 0 || len(t.gone) > 0 {
		if both, err = t.encode(t.gone, numbers[:place]); err != nil {
			return nil, nil, nil, false, err
		}
	}
	if place < len(numbers) || !t.parts {
		if rest, err = t.encode(nil, numbers[place:]); err != nil {
			return nil, nil, nil, false, err
		}
	}
	room += len(both) + len(rest)
	var entries []byte
	from, count := t.imaged, 0
	for all := uint32(t.table.Numbers()); t.imaged < all && len(entries) < room; t.imaged++ {
		if t.table.Live(t.imaged) {
			if entries, err = t.appendEntry(entries, t.imaged); err != nil {
				return nil, nil, nil, false, err
			}
			count++
		}
	}
	complete = int(t.imaged) == t.table.Numbers()
	if count > 0 || from == 0 && complete {
		image = binary.AppendUvarint(binary.AppendUvarint(make([]byte, 0, len(entries)+16), 0), uint64(count))
		image = append(image, entries...)
	}
	t.clean()
	return both, rest, image, complete, nil
}

// changed is the numbers of keys that have changed, in order of insertion.
func (t *States[K, S]) changed() []uint32 {
	numbers := make([]uint32, 0, len(t.dirty))
	for _, n := range t.dirty {
		if t.marks[n]&dirty != 0 {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// mostAhead is for how many bytes a part has room before they are there: the part
// before may have had other lengths.
const mostAhead = 1 << 20

// encode makes a part.
func (t *States[K, S]) encode(gone []K, numbers []uint32) ([]byte, error) {
	part, err := AppendAll(nil, [][]K{gone}, t.format.AppendKey)
	if err != nil {
		return nil, err
	}
	if t.length > 0 {
		part = slices.Grow(part, binary.MaxVarintLen64+min(len(numbers)*t.length, mostAhead))
	}
	begin, ahead := len(part), 0
	part, err = AppendAll(part, [][]uint32{numbers}, func(dst []byte, n uint32) ([]byte, error) {
		if ahead%Together == 0 {
			t.touchAll(numbers[ahead:min(ahead+Together, len(numbers))])
		}
		ahead++
		return t.appendEntry(dst, n)
	})
	if len(numbers) > 0 {
		t.length = 1 + (len(part)-begin)/len(numbers)
	}
	return part, err
}

// touchAll has what belongs to some numbers read into the cache.
func (t *States[K, S]) touchAll(numbers []uint32) {
	t.table.touch(numbers)
	var states [Together]S
	for i, n := range numbers {
		states[i%Together] = t.table.values[n]
		t.fetched ^= t.marks[n]
	}
}

// clean notes that everything is saved.
func (t *States[K, S]) clean() {
	for _, n := range t.dirty {
		if t.marks[n]&dirty != 0 {
			t.marks[n] = t.marks[n]&^dirty | saved
		}
	}
	t.dirty, t.gone, t.parts = t.dirty[:0], nil, true
}

func (t *States[K, S]) appendEntry(dst []byte, n uint32) ([]byte, error) {
	k := t.table.keys[n]
	dst, err := t.format.AppendKey(dst, k)
	if err != nil {
		return nil, fmt.Errorf("key %v: %w", k, err)
	}
	if t.timed {
		dst = AppendTime(dst, t.times[t.marks[n].place()])
	}
	if dst, err = t.format.AppendState(dst, t.table.values[n]); err != nil {
		return nil, fmt.Errorf("state of %v: %w", k, err)
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
				t.Remove(n)
			}
		}
		t.Compact()
		for _, e := range set {
			t.Set(e.key, e.state, e.at)
		}
	}
	for n := range t.marks {
		t.marks[n] = t.marks[n]&^dirty | saved
	}
	t.dirty, t.gone = nil, nil
	t.parts, t.begun = len(parts) > 0, true
	t.relink()
	return nil
}

var errLeftOver = errors.New("bytes are left over")
