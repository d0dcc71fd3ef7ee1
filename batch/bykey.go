package batch

import (
	"iter"
	"slices"

	"github.com/godstream/godstream/internal/hash"
)

// CountByValue counts how often each element occurs, in order of first
// appearance.
func CountByValue[T comparable](b Batch[T]) Batch[Pair[T, int64]] {
	return exchange(b, "countByValue", func(in iter.Seq[T], t *table[T, int64]) {
		in(func(k T) bool {
			acc, _ := t.at(k)
			*acc++
			return true
		})
	}, func(a, b int64) int64 { return a + b })
}

// CountByKey counts the pairs of each key, in order of first appearance.
func CountByKey[K comparable, V any](b Batch[Pair[K, V]]) Batch[Pair[K, int64]] {
	return exchange(b, "countByKey", func(in iter.Seq[Pair[K, V]], t *table[K, int64]) {
		in(func(p Pair[K, V]) bool {
			acc, _ := t.at(p.Key)
			*acc++
			return true
		})
	}, func(a, b int64) int64 { return a + b })
}

// ReduceByKey combines the values of each key into one. Values meet in order
// but may be grouped in any way, so combine must be associative; it must not
// change its arguments. Keys come out in order of first appearance.
func ReduceByKey[K comparable, V any](b Batch[Pair[K, V]], combine func(a, b V) V) Batch[Pair[K, V]] {
	return exchange(b, "reduceByKey", func(in iter.Seq[Pair[K, V]], t *table[K, V]) {
		in(func(p Pair[K, V]) bool {
			if acc, fresh := t.at(p.Key); fresh {
				*acc = p.Value
			} else {
				*acc = combine(*acc, p.Value)
			}
			return true
		})
	}, combine)
}

// CombineByKey folds the values of each key into an accumulator: create makes
// one of a key's first value in a partition, add takes in a further one, merge
// joins the accumulators of two partitions, the earlier one first. add and merge
// may change what they are given and return it, if create makes it anew.
func CombineByKey[K comparable, V, A any](b Batch[Pair[K, V]], create func(V) A, add func(A, V) A, merge func(a, b A) A) Batch[Pair[K, A]] {
	return exchange(b, "combineByKey", func(in iter.Seq[Pair[K, V]], t *table[K, A]) {
		in(func(p Pair[K, V]) bool {
			if acc, fresh := t.at(p.Key); fresh {
				*acc = create(p.Value)
			} else {
				*acc = add(*acc, p.Value)
			}
			return true
		})
	}, merge)
}

// AggregateByKey is [CombineByKey] that begins with zero() for every key and
// partition.
func AggregateByKey[K comparable, V, A any](b Batch[Pair[K, V]], zero func() A, add func(A, V) A, merge func(a, b A) A) Batch[Pair[K, A]] {
	return CombineByKey(b, func(v V) A { return add(zero(), v) }, add, merge)
}

// GroupByKey gives the values of each key, in order. The slices belong to the
// batch: they may be kept and appended to, but not changed. It keeps every value
// in memory: to reduce them to one, ReduceByKey and CombineByKey are several
// times cheaper.
func GroupByKey[K comparable, V any](b Batch[Pair[K, V]]) Batch[Pair[K, []V]] {
	grouped := exchange(b, "groupByKey", func(in iter.Seq[Pair[K, V]], t *table[K, []V]) {
		in(func(p Pair[K, V]) bool {
			acc, _ := t.at(p.Key)
			*acc = append(*acc, p.Value)
			return true
		})
	}, func(a, b []V) []V { return append(a, b...) })
	return MapValues(grouped, slices.Clip[[]V])
}

// Distinct gives each element once, in order of first appearance.
func Distinct[T comparable](b Batch[T]) Batch[T] {
	found := exchange(b, "distinct", func(in iter.Seq[T], t *table[T, struct{}]) {
		in(func(k T) bool {
			t.at(k)
			return true
		})
	}, func(a, _ struct{}) struct{} { return a })
	return Map(found, ByKey)
}

// exchange folds each partition into a table of its own and merges the tables
// by key. What comes out is in the order of first appearance in the sequence,
// cut into as many equal partitions as there were: neither the hash nor the
// number of partitions or workers shows in it.
func exchange[T any, K comparable, A any](b Batch[T], op string, fold func(in iter.Seq[T], t *table[K, A]), merge func(a, b A) A) Batch[Pair[K, A]] {
	tables := foldParts(b, op, hash.Of[K](), fold)
	return Split(mergeTables(b.env, op, tables, merge), len(b.parts)).With(b.env)
}

func foldParts[T any, K comparable, A any](b Batch[T], op string, hash func(K) uint64, fold func(in iter.Seq[T], t *table[K, A])) []*table[K, A] {
	tables := make([]*table[K, A], len(b.parts))
	expected := b.env.expected()
	b.eachPart(op, func(p int, in iter.Seq[T]) {
		t := newTable[K, A](hash, expected)
		fold(in, t)
		tables[p] = t
	})
	most := 0
	for _, t := range tables {
		most = max(most, len(t.entries))
	}
	b.env.expect(most)
	return tables
}

// expected is how many keys a partition is likely to have: as many as last time.
func (e *Env) expected() int {
	if e == nil || e.Keys == nil {
		return 0
	}
	return int(e.Keys.Load())
}

func (e *Env) expect(keys int) {
	if e != nil && e.Keys != nil {
		e.Keys.Store(int64(keys))
	}
}

// mergeTables merges tables that share a hash into one in order of first
// appearance.
func mergeTables[K comparable, A any](env *Env, op string, tables []*table[K, A], merge func(a, b A) A) []Pair[K, A] {
	if len(tables) == 0 {
		return nil
	}
	rest := 0 // entries that have to be looked up in what came before them
	for _, t := range tables[1:] {
		rest += len(t.entries)
	}
	if buckets := min(env.workers(), 1+rest/minBucket); buckets > 1 {
		return mergeBuckets(env, op, tables, merge, buckets)
	}
	return mergeInto(env, op, tables, merge)
}

// minBucket is how many entries make it worth the while to merge on another
// worker.
var minBucket = 8192 // less in tests

// mergeInto merges everything into the first table.
func mergeInto[K comparable, A any](env *Env, op string, tables []*table[K, A], merge func(a, b A) A) []Pair[K, A] {
	into := tables[0]
	for p, t := range tables[1:] {
		func() {
			defer env.blame(op, p+1)
			for i := range t.entries {
				e := &t.entries[i]
				if acc, fresh := into.find(e.Key, t.hashes[i]); fresh {
					*acc = e.Value
				} else {
					*acc = merge(*acc, e.Value)
				}
			}
		}()
	}
	return into.entries
}

// mergeBuckets divides the keys by hash among several tasks. Each merges its
// keys into the entry where the key appears first and marks the others, so that
// those left are in order.
func mergeBuckets[K comparable, A any](env *Env, op string, tables []*table[K, A], merge func(a, b A) A, buckets int) []Pair[K, A] {
	later := make([][]bool, len(tables)) // the key appears in an earlier partition
	for p, t := range tables {
		later[p] = make([]bool, len(t.entries))
	}
	expected := 0
	for _, t := range tables {
		expected = max(expected, len(t.entries)/buckets)
	}
	env.run(buckets, func(bucket int) {
		firsts := newTable[K, *A](tables[0].hash, expected)
		for p, t := range tables {
			func() {
				defer env.blame(op, p)
				for i, h := range t.hashes {
					if int(h>>32*uint64(buckets)>>32) != bucket { // the upper half, as a fraction of all
						continue
					}
					e := &t.entries[i]
					if first, fresh := firsts.find(e.Key, h); fresh {
						*first = &e.Value
					} else {
						**first = merge(**first, e.Value)
						later[p][i] = true
					}
				}
			}()
		}
	})
	var all []Pair[K, A]
	for p, t := range tables {
		for i := range t.entries {
			if !later[p][i] {
				all = append(all, t.entries[i])
			}
		}
	}
	return all
}
