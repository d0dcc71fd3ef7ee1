package state

import (
	"math/bits"
	"time"

	"github.com/godstream/godstream/batch"
)

// Window keeps what the values of each key in the panes that a window covers
// combine to. A pane is what one batch brings: a value for each of its keys.
//
// The work of a step is that of the panes that enter and leave. With an inverse,
// what leaves is taken out of the key's value again. Without one, a key has two
// stacks: its values up to the last flip, each combined in place with those that
// follow, and one value for all that came after it. When all panes before the
// flip have left, those that are there are flipped, the newest first, all keys
// together: to walk through one key's values after the other would miss the cache
// at each. So each value is combined at most twice on its way (the queue of two
// stacks is folklore; see Tangwongsan, Hirzel and Schneider, "Low-Latency
// Sliding-Window Aggregation in Worst-Case Constant Time", 2017).
//
// Keys are in the order in which they first appear in the panes. For that, each
// pane knows of which keys it has the oldest value, and each value where its
// key's next one is.
type Window[K comparable, V any] struct {
	combine func(older, newer V) V
	inverse func(all, oldest V) V // nil: two stacks

	keys    *Table[K, running[V]]
	panes   []*pane[V] // oldest first; those that the window covers
	first   uint32     // number of the oldest
	flipped int        // how many of them have been flipped, the oldest ones
}

// running is where a key stands.
type running[V any] struct {
	oldest, newest ref
	values         int // in all panes
	acc            V   // with an inverse: of all values; without: of those that are not flipped
}

// ref is a value in a pane.
type ref struct{ pane, at uint32 }

type pane[V any] struct {
	time   time.Time
	keys   []uint32 // numbers in the table, in order of first appearance
	values []V
	next   []ref // where the key's next value is; of the newest one it has no meaning

	first []uint64 // a bit for each key: its oldest value is this one
	most  int      // how many of them are set
}

// NewWindow makes a window. inverse(combine(a, b), a) must be b where there is an
// inverse; without one it is nil. Neither may change its arguments.
func NewWindow[K comparable, V any](combine, inverse func(a, b V) V) *Window[K, V] {
	return &Window[K, V]{combine: combine, inverse: inverse, keys: NewTable[K, running[V]]()}
}

// Reset makes it as it was when it was made.
func (w *Window[K, V]) Reset() { *w = *NewWindow[K](w.combine, w.inverse) }

// Len is how many keys the window has.
func (w *Window[K, V]) Len() int { return w.keys.Len() }

// Panes is how many panes it covers that are not empty.
func (w *Window[K, V]) Panes() int { return len(w.panes) }

// Leave removes the panes up to a time, that included, and the keys that have no
// value in later ones.
func (w *Window[K, V]) Leave(until time.Time) {
	for len(w.panes) > 0 && !w.panes[0].time.After(until) {
		if w.inverse == nil && w.flipped == 0 {
			w.flip()
		}
		p := w.panes[0]
		w.panes[0] = nil
		w.panes = w.panes[1:]
		w.first++
		w.flipped = max(0, w.flipped-1)
		for i, n := range p.keys {
			k := w.keys.Value(n)
			if k.values--; k.values == 0 {
				w.keys.Remove(n, true)
				continue
			}
			k.oldest = p.next[i]
			w.pane(k.oldest).mark(k.oldest.at)
			if w.inverse != nil {
				k.acc = w.inverse(k.acc, p.values[i])
			}
		}
	}
	if numbers := w.keys.Compact(); numbers != nil {
		for _, p := range w.panes {
			for i, n := range p.keys {
				p.keys[i] = numbers[n]
			}
		}
	}
}

// Enter adds the pane of a time, which is later than those that were added
// before: pairs in any number of parts, each key once.
func (w *Window[K, V]) Enter(at time.Time, parts ...[]batch.Pair[K, V]) {
	size := 0
	for _, pairs := range parts {
		size += len(pairs)
	}
	if size == 0 {
		return
	}
	p := &pane[V]{time: at, keys: make([]uint32, 0, size), values: make([]V, 0, size), next: make([]ref, size), first: make([]uint64, (size+63)/64)}
	number := w.first + uint32(len(w.panes))
	w.panes = append(w.panes, p)
	for _, pairs := range parts {
		w.enter(p, number, pairs)
	}
}

func (w *Window[K, V]) enter(p *pane[V], number uint32, pairs []batch.Pair[K, V]) {
	for _, pair := range pairs {
		here := ref{number, uint32(len(p.keys))}
		n, fresh := w.keys.At(pair.Key)
		p.keys, p.values = append(p.keys, n), append(p.values, pair.Value)
		k := w.keys.Value(n)
		switch {
		case fresh:
			*k = running[V]{oldest: here, acc: pair.Value}
			p.mark(here.at)
		case w.inverse == nil && w.isFlipped(k.newest): // nothing came since
			k.acc = pair.Value
		default:
			k.acc = w.combine(k.acc, pair.Value)
		}
		if !fresh {
			w.pane(k.newest).next[k.newest.at] = here
		}
		k.newest = here
		k.values++
	}
}

func (w *Window[K, V]) pane(r ref) *pane[V]  { return w.panes[r.pane-w.first] }
func (w *Window[K, V]) isFlipped(r ref) bool { return int(r.pane-w.first) < w.flipped }

// flip combines each value in the panes with those of its key that follow it.
func (w *Window[K, V]) flip() {
	for number := len(w.panes) - 1; number >= 0; number-- {
		p := w.panes[number]
		for i, n := range p.keys {
			k := w.keys.Value(n)
			if (k.newest != ref{w.first + uint32(number), uint32(i)}) {
				p.values[i] = w.combine(p.values[i], k.acc)
			}
			k.acc = p.values[i]
		}
	}
	w.flipped = len(w.panes)
}

// value is what all values of a key combine to.
func (w *Window[K, V]) value(k *running[V]) V {
	if w.inverse != nil || !w.isFlipped(k.oldest) {
		return k.acc
	}
	older := w.pane(k.oldest).values[k.oldest.at]
	if w.isFlipped(k.newest) {
		return older
	}
	return w.combine(older, k.acc)
}

// Pairs returns the keys and what their values combine to, in order of first
// appearance in the panes, in a slice that the caller owns.
func (w *Window[K, V]) Pairs() []batch.Pair[K, V] {
	out := make([]batch.Pair[K, V], 0, w.keys.Len())
	for _, p := range w.panes {
		if p.most == 0 {
			continue
		}
		for i, word := range p.first {
			for ; word != 0; word &= word - 1 {
				n := p.keys[i*64+bits.TrailingZeros64(word)]
				out = append(out, batch.P(w.keys.Key(n), w.value(w.keys.Value(n))))
			}
		}
	}
	return out
}

// mark notes that the oldest value of a key is here.
func (p *pane[V]) mark(at uint32) {
	p.first[at/64] |= 1 << (at % 64)
	p.most++
}
