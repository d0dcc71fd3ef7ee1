package batch

// table maps keys to accumulators. The entries are dense and in the order in
// which their keys were first seen; an index of open addressing finds them.
// Half of a hash is kept in the index, so that entries are only looked at when
// they are very likely the right ones.
//
// The hash differs from process to process, which is why nobody can choose
// keys that collide, and why no order may ever follow from it.
type table[K comparable, A any] struct {
	hash    func(K) uint64
	index   []uint64 // upper half of the hash, then the entry's number + 1; 0 is free
	entries []Pair[K, A]
	hashes  []uint64 // of the entries
	keys    int      // that are expected
}

const (
	tag        = 0xffffffff << 32
	firstIndex = 16
)

// newTable makes a table that will have about so many keys, as far as is known.
func newTable[K comparable, A any](hash func(K) uint64, keys int) *table[K, A] {
	return &table[K, A]{hash: hash, index: make([]uint64, firstIndex), keys: keys}
}

// at returns the accumulator of k, and whether k is new. The pointer is valid
// until the next call.
func (t *table[K, A]) at(k K) (acc *A, fresh bool) { return t.find(k, t.hash(k)) }

func (t *table[K, A]) find(k K, hash uint64) (acc *A, fresh bool) {
	mask := uint64(len(t.index) - 1)
	i := hash & mask
	for slot := t.index[i]; slot != 0; slot = t.index[i] {
		if (slot^hash)&tag == 0 {
			if e := &t.entries[uint32(slot)-1]; e.Key == k {
				return &e.Value, false
			}
		}
		i = (i + 1) & mask
	}
	return t.insert(k, hash, i), true
}

func (t *table[K, A]) insert(k K, hash, i uint64) *A {
	if 2*len(t.entries) >= len(t.index) {
		t.grow()
		i = t.free(hash)
	}
	t.entries = append(t.entries, Pair[K, A]{Key: k})
	t.hashes = append(t.hashes, hash)
	t.index[i] = hash&tag | uint64(len(t.entries))
	return &t.entries[len(t.entries)-1].Value
}

// grow makes room for twice as many entries or, the first time, for as many as are
// expected: moving them each time takes longer than counting them. The index is
// never more than half full.
func (t *table[K, A]) grow() {
	size, room := 2*len(t.index), len(t.index)
	if t.keys > room {
		for size < 2*t.keys {
			size *= 2
		}
		room = min(size/2, t.keys+t.keys/8)
	}
	t.index = make([]uint64, size)
	t.entries = append(make([]Pair[K, A], 0, room), t.entries...)
	t.hashes = append(make([]uint64, 0, room), t.hashes...)
	for n, h := range t.hashes {
		t.index[t.free(h)] = h&tag | uint64(n+1)
	}
}

// free is the first free place for a hash.
func (t *table[K, A]) free(hash uint64) uint64 {
	mask := uint64(len(t.index) - 1)
	i := hash & mask
	for t.index[i] != 0 {
		i = (i + 1) & mask
	}
	return i
}
