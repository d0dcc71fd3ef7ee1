package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/stream"
)

// W2: batches of 100,000 numbers, or of strings of which there are 10,000: map,
// filter, count by value.
func init() {
	ints, strs := w2[int64]{"int", w2Ints, mapInt, keepInt}, w2[string]{"string", w2Strings, mapString, keepString}
	register("W2", "ours", ints.ours)
	register("W2", "loop", ints.loop)
	register("W2s", "ours", strs.ours)
	register("W2s", "loop", strs.loop)
}

type w2[T comparable] struct {
	kind  string
	input func(count, size int) [][]T
	f     func(T) T
	keep  func(T) bool
}

func w2Ints(count, size int) [][]int64 {
	s := lcg(42)
	return batches(count, size, func() int64 { return int64(s.next() % 1_000_000) })
}

func w2Strings(count, size int) [][]string {
	s, names := lcg(42), users(10_000, 5)
	return batches(count, size, func() string { return names[s.next()%10_000] })
}

func mapInt(v int64) int64      { return (v*31 + 7) % 10_007 }
func keepInt(v int64) bool      { return v%2 == 0 }
func mapString(s string) string { return strings.ToUpper(s) }
func keepString(s string) bool  { return s[len(s)-1] != '7' }

type w2Flags struct{ batches, size int }

func (f *w2Flags) parse(args []string) error {
	return flags("W2", args, func(s *flag.FlagSet) {
		s.IntVar(&f.batches, "batches", 200, "batches; the first is not measured")
		s.IntVar(&f.size, "records", 100_000, "records a batch")
	})
}

func (w w2[T]) ours(args []string) (Result, error) {
	var f w2Flags
	if err := f.parse(args); err != nil {
		return Result{}, err
	}
	in := w.input(f.batches, f.size)
	var m meter
	var kept int64
	distinct, n := 0, 0
	app := stream.New(settings("W2"))
	records := stream.From(app, given[T]{count: len(in), batch: func(i int) []T { return in[i] }})
	counts := stream.CountByValue(stream.Filter(stream.Map(records, w.f), w.keep))
	stream.ForEachBatch(counts, func(_ context.Context, _ stream.BatchInfo, b batch.Batch[stream.Pair[T, int64]]) error {
		here := 0
		for p := range b.All() {
			kept += p.Value
			here++
		}
		distinct = max(distinct, here)
		if n++; n == 1 {
			m.start()
		} else {
			m.lap(f.size)
		}
		return nil
	})
	if err := app.Run(context.Background()); err != nil {
		return Result{}, err
	}
	return m.result("godstream-"+w.kind, "W2", fmt.Sprintf("kept=%d distinct=%d", kept, distinct), nil), nil
}

// loop counts each half of a batch into a map and adds one to the other.
func (w w2[T]) loop(args []string) (Result, error) {
	var f w2Flags
	if err := f.parse(args); err != nil {
		return Result{}, err
	}
	in := w.input(f.batches, f.size)
	var m meter
	var kept int64
	distinct := 0
	for i, b := range in {
		began := time.Now()
		counts := inHalves(b, func(half []T) map[T]int64 {
			counts := map[T]int64{}
			for _, v := range half {
				if v = w.f(v); w.keep(v) {
					counts[v]++
				}
			}
			return counts
		})
		for _, n := range counts {
			kept += n
		}
		distinct = max(distinct, len(counts))
		if i == 0 {
			m.start()
		} else {
			m.batch(len(b), time.Since(began))
		}
	}
	return m.result("go-loop-"+w.kind, "W2", fmt.Sprintf("kept=%d distinct=%d", kept, distinct), nil), nil
}

// inHalves counts both halves of a batch at the same time.
func inHalves[T any, K comparable](b []T, count func(half []T) map[K]int64) map[K]int64 {
	var halves [2]map[K]int64
	var wait sync.WaitGroup
	for h := range halves {
		wait.Go(func() { halves[h] = count(b[len(b)*h/2 : len(b)*(h+1)/2]) })
	}
	wait.Wait()
	for k, n := range halves[1] {
		halves[0][k] += n
	}
	return halves[0]
}
