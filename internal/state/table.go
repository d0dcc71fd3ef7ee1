package state

import "github.com/godstream/godstream/internal/hash"

// Table maps keys to values. Every key has a number, which it keeps until it is
// removed or the table compacted; numbers are given in order, so that walking
// through them is walking through the keys in order of insertion, unless numbers
// of removed keys are used again.
//
// An index of open addressing finds a key's number; half of a hash is kept in it,
// so that keys are only compared when they are very likely equal. What lookups,
// walks over keys and walks over values need lies apart, so that each goes through
// as little memory as it can.
type Table[K comparable, V any] struct {
	hash   func(K) uint64
	many   func(keys []K, hashes []uint64)
	look   func(keys []K) byte // nil if there is nothing to look at
	index  []uint64            // upper half of the hash, then the number + 1; 0 is free
	keys   []K
	values []V
	hashes []uint64
	alive  []uint64 // a bit for each number that is that of a key
	live   int
	free   []uint32 // numbers to be used again
}

const (
	tag        = 0xffffffff << 32
	firstIndex = 16
)

// NewTable makes an empty table.
func NewTable[K comparable, V any]() *Table[K, V] {
	return &Table[K, V]{hash: hash.Of[K](), many: hash.Many[K](), look: hash.Touch[K](), index: make([]uint64, firstIndex)}
}

// Len is how many keys there are.
func (t *Table[K, V]) Len() int { return t.live }

// Together is how many keys are best looked up at once.
const Together = 64

// Find looks up to Together keys up and sets numbers[i] to the number of keys[i]
// + 1, or to 0 if it is not there. The memory's answers to one step of all of them
// are waited for at the same time, which in a table that no cache holds takes a
// fraction of what one lookup after the other does.
func (t *Table[K, V]) Find(keys []K, numbers []uint32) {
	var hashes, slots [Together]uint64
	mask := uint64(len(t.index) - 1)
	t.many(keys, hashes[:])
	for i := range keys {
		slots[i%Together] = t.index[hashes[i%Together]&mask]
	}
	for i, k := range keys {
		h, slot := hashes[i%Together], slots[i%Together]
		n := uint32(slot)
		if n != 0 && ((slot^h)&tag != 0 || t.keys[n-1] != k) {
			found, _, ok := t.find(k, h)
			if n = found + 1; !ok {
				n = 0
			}
		}
		numbers[i] = n
	}
}

// touch has the keys of some numbers read into the cache, all of them at the same
// time.
func (t *Table[K, V]) touch(numbers []uint32) {
	if t.look == nil {
		return
	}
	var keys [Together]K
	for i, n := range numbers {
		keys[i%Together] = t.keys[n]
	}
	t.look(keys[:len(numbers)])
}

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
	if last := len(t.free) - 1; last >= 0 {
		n, t.free = t.free[last], t.free[:last]
		t.keys[n], t.hashes[n] = k, h
	} else {
		n = uint32(len(t.keys))
		t.keys, t.values, t.hashes = append(t.keys, k), append(t.values, *new(V)), append(t.hashes, h)
		if n%64 == 0 {
			t.alive = append(t.alive, 0)
		}
	}
	t.alive[n/64] |= 1 << (n % 64)
	t.live++
	t.index[i] = h&tag | uint64(n+1)
	return n, true
}

// Key returns the key of a number.
func (t *Table[K, V]) Key(n uint32) K { return t.keys[n] }

// Value returns the value of a number; the pointer is valid until the next At.
func (t *Table[K, V]) Value(n uint32) *V { return &t.values[n] }

// Remove forgets a key. Its number is not given again, unless reuse is true.
func (t *Table[K, V]) Remove(n uint32, reuse bool) {
	mask := uint64(len(t.index) - 1)
	i := t.hashes[n] & mask
	for uint32(t.index[i]) != n+1 { // by number, since not every key equals itself
		i = (i + 1) & mask
	}
	t.close(i)
	t.keys[n], t.values[n] = *new(K), *new(V)
	t.alive[n/64] &^= 1 << (n % 64)
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
		home := t.hashes[uint32(t.index[i])-1] & mask
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
			if n = uint32(slot) - 1; t.keys[n] == k {
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
	for n, h := range t.hashes {
		if t.Live(uint32(n)) {
			t.index[t.gap(h)] = h&tag | uint64(n+1)
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
func (t *Table[K, V]) Live(n uint32) bool { return t.alive[n/64]&(1<<(n%64)) != 0 }

// full says that all numbers are those of keys.
func (t *Table[K, V]) full() bool { return t.live == len(t.keys) }

// Numbers is how many numbers have been given.
func (t *Table[K, V]) Numbers() int { return len(t.keys) }

// Compact gives the keys new numbers, in the same order, if so many numbers are
// not those of keys that it is worth the while. It returns the new numbers by old
// ones, or nil if nothing has changed.
func (t *Table[K, V]) Compact() (numbers []uint32) {
	if !t.sparse() {
		return nil
	}
	numbers = make([]uint32, len(t.keys))
	kept := uint32(0)
	for n := range t.keys {
		if t.Live(uint32(n)) {
			numbers[n] = kept
			kept++
		}
	}
	t.keys, t.values, t.hashes, t.free = compact(t, t.keys), compact(t, t.values), compact(t, t.hashes), nil
	t.alive = make([]uint64, (t.live+63)/64)
	for n := range t.keys {
		t.alive[n/64] |= 1 << (n % 64)
	}
	size := firstIndex
	for size < 2*t.live {
		size *= 2
	}
	t.reindex(size)
	return numbers
}

// sparse says that it is worth the while to compact the table.
func (t *Table[K, V]) sparse() bool {
	dead := len(t.keys) - t.live
	return dead >= 1024 && dead >= 2*t.live
}

// compact is what belongs to the keys of a table, of what belongs to its numbers.
func compact[K comparable, V, T any](t *Table[K, V], of []T) []T {
	if len(of) == 0 {
		return nil
	}
	kept := make([]T, 0, t.live)
	for n := range of {
		if t.Live(uint32(n)) {
			kept = append(kept, of[n])
		}
	}
	return kept
}
