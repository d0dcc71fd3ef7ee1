package state

import (
	"iter"
	"time"

	"github.com/godstream/godstream/batch"
)

// Found is what a partition of a batch has: values of keys that have a state, and
// pairs of those that have none.
type Found[K comparable, V any] struct {
	numbers []uint32
	values  []V
	Fresh   []batch.Pair[K, V]
}

// Look finds the numbers of the keys of a partition, and begins anew for that.
// Several goroutines may look at the same time.
func Look[K comparable, V, S any](t *States[K, S], f *Found[K, V], in iter.Seq[batch.Pair[K, V]]) {
	if cap(f.values) > 4*len(f.values)+Together { // room that a batch needed once
		*f = Found[K, V]{}
	}
	f.numbers, f.values, f.Fresh = f.numbers[:0], f.values[:0], nil
	b := NewBlock[K, V]()
	b.Each(in, func(keys []K, values []V) {
		t.Find(keys, b.Numbers[:])
		for i, k := range keys {
			if n := b.Numbers[i]; n > 0 {
				f.numbers, f.values = append(f.numbers, n-1), append(f.values, values[i])
			} else {
				f.Fresh = append(f.Fresh, batch.P(k, values[i]))
			}
		}
	})
}

// Block is as many pairs as are looked up together.
type Block[K comparable, V any] struct {
	keys    [Together]K
	values  [Together]V
	Numbers [Together]uint32
}

// NewBlock makes one.
func NewBlock[K comparable, V any]() *Block[K, V] { return &Block[K, V]{} }

// Each calls do with one block after the other.
func (b *Block[K, V]) Each(in iter.Seq[batch.Pair[K, V]], do func(keys []K, values []V)) {
	n := 0
	in(func(p batch.Pair[K, V]) bool {
		b.keys[n], b.values[n] = p.Key, p.Value
		if n++; n == Together {
			do(b.keys[:], b.values[:])
			n = 0
		}
		return true
	})
	do(b.keys[:n], b.values[:n])
}

// Groups is the values of each key of a batch, in order.
type Groups[V any] struct {
	of     []uint32 // of each number: its group + 1, or 0
	ends   []int    // of the groups in values
	values []V
}

// Group puts the values together that partitions have of a key.
func (g *Groups[V]) group(numbers int, parts func(yield func(numbers []uint32, values []V))) {
	if cap(g.of) < numbers {
		g.of = make([]uint32, numbers, numbers+numbers/4)
	}
	g.of = g.of[:numbers]
	clear(g.of)
	g.ends = g.ends[:0]
	total := 0
	parts(func(numbers []uint32, _ []V) {
		total += len(numbers)
		for i, n := range numbers {
			if g.of[n] == 0 {
				g.ends = append(g.ends, 0)
				g.of[n] = uint32(len(g.ends))
			}
			numbers[i] = g.of[n] - 1
			g.ends[numbers[i]]++
		}
	})
	end := 0
	for i, size := range g.ends { // first where it begins, which moves to its end
		g.ends[i] = end
		end += size
	}
	g.values = make([]V, total) // anew, since a function may have kept them, against its word
	parts(func(groups []uint32, values []V) {
		for i, group := range groups {
			g.values[g.ends[group]] = values[i]
			g.ends[group]++
		}
	})
}

// at is the values of a group.
func (g *Groups[V]) at(group uint32) []V {
	from, until := 0, g.ends[group]
	if group > 0 {
		from = g.ends[group-1]
	}
	return g.values[from:until:until]
}

// Updater is how [Update] makes a new state of an old one: by Keyed if Of is nil.
type Updater[K comparable, V, S any] struct {
	Of    func(values []V, old batch.Opt[S]) batch.Opt[S]
	Keyed func(at time.Time, k K, values []V, old batch.Opt[S]) batch.Opt[S]
}

// New is the state of a key that had none.
func (f Updater[K, V, S]) New(at time.Time, k K, values []V) batch.Opt[S] {
	if f.Of != nil {
		return f.Of(values, batch.Opt[S]{})
	}
	return f.Keyed(at, k, values, batch.Opt[S]{})
}

// Update gives each key the state that f makes of the values found of it and its
// old one, or removes it. run calls the tasks that it is given, one for each part
// of the keys, maybe at the same time.
func Update[K comparable, V, S any](t *States[K, S], at time.Time, found []Found[K, V], groups *Groups[V], run func(n int, task func(i int)), f Updater[K, V, S]) {
	groups.group(t.table.Numbers(), func(yield func([]uint32, []V)) {
		for _, p := range found {
			yield(p.numbers, p.values)
		}
	})
	type result struct{ changed, ended []uint32 }
	results := make([]result, max(len(found), 1))
	run(len(results), func(i int) {
		r := &results[i]
		from, until := t.part(i, len(results))
		states, of, all := t.table.values[:until], groups.of[:until], t.table.full()
		for n := from; n < until; n++ {
			if !all && !t.table.Live(n) {
				continue
			}
			old := batch.Opt[S]{Value: states[n], OK: true}
			var s batch.Opt[S]
			var values []V
			if group := of[n]; group > 0 {
				values = groups.at(group - 1)
			}
			if f.Of != nil {
				s = f.Of(values, old)
			} else {
				s = f.Keyed(at, t.table.keys[n], values, old)
			}
			if !s.OK {
				r.ended = append(r.ended, n)
				continue
			}
			if t.tracks && t.marks[n]&dirty == 0 && !t.format.Equal(old.Value, s.Value) {
				r.changed = append(r.changed, n)
			}
			states[n] = s.Value
		}
	})
	for _, r := range results {
		for _, n := range r.changed {
			t.change(n)
		}
		for _, n := range r.ended {
			t.Remove(n)
		}
	}
	groups.values = nil
	for i := range found { // what was found is not kept, the room for it is
		clear(found[i].values)
	}
}
