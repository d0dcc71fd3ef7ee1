package state

import "github.com/godstream/godstream/internal/hash"

// Table maps keys to values. Every key has a number, which it keeps until it is
// removed or the table compacted; numbers are given in order, so that walking
// through them is walking through the keys in order of insertion, unless numbers
// of removed keys are used again.
//
// An index of open addressing finds a key's number; half of a hash is kept in it,
// so that keys are only compared when they are very likely equal.
type Table[K comparable, V any] struct {
	hash    func(K) uint64
	index   []uint64 // upper half of the hash, then the number + 1; 0 is free
	entries []entry[K, V]
	live    int
	free    []uint32 // numbers to be used again
}

type entry[K comparable, V any] struct {
	key   K
	value V
	hash  uint64
	live  bool
}

const (
	tag        = 0xffffffff << 32
	firstIndex = 16
)

// NewTable makes an empty table.
func NewTable[K comparable, V any]() *Table[K, V] {
	return &Table[K, V]{hash: hash.Of[K](), index: make([]uint64, firstIndex)}
}

// Len is how many keys there are.
func (t *Table[K, V]) Len() int { return t.live }

// Get returns the number of a key.
func (t *Table[K, V]) Get(k K) (n uint32, ok bool) {
	n, _, ok = t.find(k, t.hash(k))
	return n, ok
}

// At returns the number of a key, and whether it was inserted for that.
func (t *Table[K, V]) At(k K) (n uint32, fresh bool) {
	h := t.hash(k)
	n, i, ok := t.find(k, h)
	if ok {
		return n, false
	}
	if 2*t.live >= len(t.index) {
		t.reindex(2 * len(t.index))
		i = t.gap(h)
	}
	e := entry[K, V]{key: k, hash: h, live: true}
	if last := len(t.free) - 1; last >= 0 {
		n, t.free = t.free[last], t.free[:last]
		t.entries[n] = e
	} else {
		n = uint32(len(t.entries))
		t.entries = append(t.entries, e)
	}
	t.live++
	t.index[i] = h&tag | uint64(n+1)
	return n, true
}

// Key returns the key of a number.
func (t *Table[K, V]) Key(n uint32) K { return t.entries[n].key }

// Value returns the value of a number; the pointer is valid until the next At.
func (t *Table[K, V]) Value(n uint32) *V { return &t.entries[n].value }

// Remove forgets a key. Its number is not given again, unless reuse is true.
func (t *Table[K, V]) Remove(n uint32, reuse bool) {
	e := &t.entries[n]
	mask := uint64(len(t.index) - 1)
	i := e.hash & mask
	for uint32(t.index[i]) != n+1 { // by number, since not every key equals itself
		i = (i + 1) & mask
	}
	t.close(i)
	*e = entry[K, V]{}
	t.live--
	if reuse {
		t.free = append(t.free, n)
	}
	if room := len(t.index) / 8; room >= firstIndex && t.live < room/2 {
		t.reindex(room)
	}
}

// close frees a place of the index and moves those after it up that would not be
// found across the gap (Knuth, The Art of Computer Programming 3, 6.4, R).
func (t *Table[K, V]) close(gap uint64) {
	mask := uint64(len(t.index) - 1)
	for i := (gap + 1) & mask; t.index[i] != 0; i = (i + 1) & mask {
		home := t.entries[uint32(t.index[i])-1].hash & mask
		if (i-home)&mask >= (i-gap)&mask {
			t.index[gap] = t.index[i]
			gap = i
		}
	}
	t.index[gap] = 0
}

// find returns the number of a key, or the place of the index where it belongs.
func (t *Table[K, V]) find(k K, h uint64) (n uint32, place uint64, ok bool) {
	mask := uint64(len(t.index) - 1)
	i := h & mask
	for slot := t.index[i]; slot != 0; slot = t.index[i] {
		if (slot^h)&tag == 0 {
			if n = uint32(slot) - 1; t.entries[n].key == k {
				return n, i, true
			}
		}
		i = (i + 1) & mask
	}
	return 0, i, false
}

// reindex makes the index anew.
func (t *Table[K, V]) reindex(size int) {
	t.index = make([]uint64, size)
	for n := range t.entries {
		if e := &t.entries[n]; e.live {
			t.index[t.gap(e.hash)] = e.hash&tag | uint64(n+1)
		}
	}
}

// gap is the first free place for a hash.
func (t *Table[K, V]) gap(h uint64) uint64 {
	mask := uint64(len(t.index) - 1)
	i := h & mask
	for t.index[i] != 0 {
		i = (i + 1) & mask
	}
	return i
}

// Live says whether a number is that of a key; the numbers are 0 to Numbers()-1.
func (t *Table[K, V]) Live(n uint32) bool { return t.entries[n].live }

// Numbers is how many numbers have been given.
func (t *Table[K, V]) Numbers() int { return len(t.entries) }

// Compact gives the keys new numbers, in the same order, if so many numbers are
// not those of keys that it is worth the while. It returns the new numbers by old
// ones, or nil if nothing has changed.
func (t *Table[K, V]) Compact() (numbers []uint32) {
	if dead := len(t.entries) - t.live; dead < 1024 || dead < 2*t.live {
		return nil
	}
	kept := make([]entry[K, V], 0, t.live)
	numbers = make([]uint32, len(t.entries))
	for n, e := range t.entries {
		if e.live {
			numbers[n] = uint32(len(kept))
			kept = append(kept, e)
		}
	}
	t.entries, t.free = kept, nil
	size := firstIndex
	for size < 2*t.live {
		size *= 2
	}
	t.reindex(size)
	return numbers
}
