package batch_test

import (
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/godstream/godstream/batch"
)

// workload is one computation written twice: with operators, and as the loop
// that one would write by hand around the same functions. Each returns a number
// that must be the same for both.
type workload struct {
	name            string
	limit           float64 // how many times the loop's CPU time the operators may take
	elements        int
	godstream, loop func(parts int) int64 // over the first so many partitions
}

const (
	benchParts = 100
	benchPart  = 100_000 // elements in each
)

func BenchmarkMapFilterCountByValue(b *testing.B) {
	for _, w := range countByValueWork() {
		b.Run(w.name, w.bench)
	}
}

func BenchmarkTenNarrow(b *testing.B) {
	for _, w := range tenNarrowWork() {
		b.Run(w.name, w.bench)
	}
}

func BenchmarkFlatMapCountByValue(b *testing.B) { flatMapWork().bench(b) }

func (w workload) bench(b *testing.B) {
	for _, side := range []struct {
		name string
		do   func(parts int) int64
	}{{"godstream", w.godstream}, {"loop", w.loop}} {
		b.Run(side.name, func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n := 0
			for b.Loop() {
				side.do(benchParts)
				n++
			}
			runtime.ReadMemStats(&after)
			elements := float64(n) * float64(w.elements)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/elements, "ns/elem")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/elements, "allocs/elem")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// Each partition is a batch of its own.
func countByValueWork() []workload {
	ints, strs := benchInts(), benchStrings()
	mapInt := opaque(func(v int64) int64 { return (v*31 + 7) % 10_007 })
	keepInt := opaque(func(v int64) bool { return v%2 == 0 })
	mapStr := opaque(func(s string) string { return strings.TrimPrefix(s, "@") })
	keepStr := opaque(func(s string) bool { return s[len(s)-1] != '7' })
	return []workload{
		{
			name: "ints", limit: 1.6, elements: benchParts * benchPart,
			godstream: func(parts int) int64 { return countOperators(ints[:parts], mapInt, keepInt) },
			loop:      func(parts int) int64 { return countLoop(ints[:parts], mapInt, keepInt) },
		},
		{
			name: "strings", limit: 1.6, elements: benchParts * benchPart,
			godstream: func(parts int) int64 { return countOperators(strs[:parts], mapStr, keepStr) },
			loop:      func(parts int) int64 { return countLoop(strs[:parts], mapStr, keepStr) },
		},
	}
}

func countOperators[T comparable](parts [][]T, f func(T) T, keep func(T) bool) (distinct int64) {
	for _, part := range parts {
		counts := batch.CountByValue(batch.Filter(batch.Map(batch.Of(part), f), keep))
		distinct += batch.Collect(batch.Count(counts))[0]
	}
	return distinct
}

func countLoop[T comparable](parts [][]T, f func(T) T, keep func(T) bool) (distinct int64) {
	for _, part := range parts {
		m := make(map[T]int64)
		for _, v := range part {
			if w := f(v); keep(w) {
				m[w]++
			}
		}
		distinct += int64(len(m))
	}
	return distinct
}

func tenNarrowWork() []workload {
	ints := benchInts()
	add := opaque(func(v int64) int64 { return v + 3 })
	double := opaque(func(v int64) int64 { return v * 2 })
	shift := opaque(func(v int64) int64 { return v >> 1 })
	xor := opaque(func(v int64) int64 { return v ^ 0x5555 })
	sub := opaque(func(v int64) int64 { return v - 1 })
	half := opaque(func(v int64) bool { return v%10 != 0 })
	some := opaque(func(v int64) bool { return v%7 != 0 })
	most := opaque(func(v int64) bool { return v&15 != 0 })
	near := opaque(func(v int64) bool { return v < 1<<40 })

	narrowed := opaque(func(v int64) int32 { return int32(v) })
	add32 := opaque(func(v int32) int32 { return v + 3 })
	most32 := opaque(func(v int32) bool { return v&15 != 0 })
	float := opaque(func(v int32) float64 { return float64(v) })
	scale := opaque(func(v float64) float64 { return v * 1.5 })
	finite := opaque(func(v float64) bool { return v < 1e18 })
	back := opaque(func(v float64) int { return int(v) })
	odd := opaque(func(v int) bool { return v%9 != 0 })
	return []workload{
		{
			name: "same type", limit: 2, elements: benchParts * benchPart,
			godstream: func(parts int) int64 {
				b := batch.Map(batch.Of(ints[:parts]...), add)
				b = batch.Filter(b, half)
				b = batch.Map(b, double)
				b = batch.Map(b, shift)
				b = batch.Filter(b, some)
				b = batch.Map(b, xor)
				b = batch.Filter(b, most)
				b = batch.Map(b, sub)
				b = batch.Filter(b, near)
				b = batch.Map(b, add)
				return batch.Collect(batch.Count(b))[0]
			},
			loop: func(parts int) (n int64) {
				for _, part := range ints[:parts] {
					for _, v := range part {
						if v = add(v); !half(v) {
							continue
						}
						if v = shift(double(v)); !some(v) {
							continue
						}
						if v = xor(v); !most(v) {
							continue
						}
						if v = sub(v); !near(v) {
							continue
						}
						add(v)
						n++
					}
				}
				return n
			},
		},
		{
			name: "type changes", limit: 2, elements: benchParts * benchPart,
			godstream: func(parts int) int64 {
				b := batch.Map(batch.Of(ints[:parts]...), add)
				b = batch.Filter(b, half)
				c := batch.Map(b, narrowed)
				c = batch.Map(c, add32)
				c = batch.Filter(c, most32)
				d := batch.Map(c, float)
				d = batch.Map(d, scale)
				d = batch.Filter(d, finite)
				e := batch.Map(d, back)
				e = batch.Filter(e, odd)
				return batch.Collect(batch.Count(e))[0]
			},
			loop: func(parts int) (n int64) {
				for _, part := range ints[:parts] {
					for _, v := range part {
						if v = add(v); !half(v) {
							continue
						}
						w := add32(narrowed(v))
						if !most32(w) {
							continue
						}
						x := scale(float(w))
						if !finite(x) || !odd(back(x)) {
							continue
						}
						n++
					}
				}
				return n
			},
		},
	}
}

func flatMapWork() workload {
	lines := benchLines()
	split := opaque(strings.FieldsSeq)
	return workload{
		name: "words", limit: 1.3, elements: benchParts * benchPart,
		godstream: func(parts int) (distinct int64) {
			for _, part := range lines[:parts] {
				counts := batch.CountByValue(batch.FlatMap(batch.Of(part), split))
				distinct += batch.Collect(batch.Count(counts))[0]
			}
			return distinct
		},
		loop: func(parts int) (distinct int64) {
			for _, part := range lines[:parts] {
				m := make(map[string]int64)
				for _, line := range part {
					for w := range split(line) {
						m[w]++
					}
				}
				distinct += int64(len(m))
			}
			return distinct
		},
	}
}

var _ func(string) iter.Seq[string] = strings.FieldsSeq

// opaque keeps the compiler from knowing which function it calls.
//
//go:noinline
func opaque[F any](f F) F { return f }

// lcg makes the same input on every run and in every language.
type lcg uint64

func (s *lcg) next() uint64 {
	*s = *s*6364136223846793005 + 1442695040888963407
	return uint64(*s) >> 33
}

var benchInts = sync.OnceValue(func() [][]int64 {
	s := lcg(42)
	return benchInput(func() int64 { return int64(s.next() % 1_000_000) }, benchPart)
})

var benchStrings = sync.OnceValue(func() [][]string {
	s, names := lcg(42), benchNames()
	return benchInput(func() string { return names[s.next()%10_000] }, benchPart)
})

// benchLines has lines of ten words.
var benchLines = sync.OnceValue(func() [][]string {
	s, names := lcg(42), benchNames()
	lines := make([]string, 20_000) // of which the input is made
	for i := range lines {
		words := make([]string, 10)
		for w := range words {
			words[w] = names[s.next()%10_000]
		}
		lines[i] = strings.Join(words, " ")
	}
	return benchInput(func() string { return lines[s.next()%20_000] }, benchPart/10)
})

func benchNames() []string {
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("@user%05d", i)
	}
	return names
}

func benchInput[T any](next func() T, length int) [][]T {
	parts := make([][]T, benchParts)
	for p := range parts {
		parts[p] = make([]T, length)
		for i := range parts[p] {
			parts[p][i] = next()
		}
	}
	return parts
}
