package main

import (
	"context"
	"flag"
	"sync"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/window"
)

// W3: the count by value of the last 600 batches of 10,000 strings, of which
// there are 10,000, after each batch; W3r: without taking out what leaves.
func init() {
	register("W3", "ours", w3{name: "inverse"}.ours)
	register("W3", "loop", w3{name: "inverse"}.loop)
	register("W3r", "ours", w3{name: "recompute"}.ours)
	register("W3r", "loop", w3{name: "recompute"}.loop)
}

type w3 struct {
	name                        string
	window, batches, size, keys int
}

// w3Pool is how many different batches there are.
const w3Pool = 97

func (w *w3) parse(args []string, measured int) ([][]string, error) {
	err := flags("W3", args, func(s *flag.FlagSet) {
		s.IntVar(&w.window, "window", 600, "batches that the window covers")
		s.IntVar(&w.batches, "batches", measured, "batches measured once the window is full")
		s.IntVar(&w.size, "records", 10_000, "records a batch")
		s.IntVar(&w.keys, "keys", 10_000, "different strings")
	})
	s, names := lcg(7), users(w.keys, 5)
	return batches(w3Pool, w.size, func() string { return names[s.next()%uint64(len(names))] }), err
}

func (w w3) result(m *meter, peer string, right bool) Result {
	return m.result(peer+"-"+w.name, "W3", verdict(right), map[string]any{"window": w.window})
}

func (w w3) ours(args []string) (Result, error) {
	in, err := w.parse(args, 600)
	if err != nil {
		return Result{}, err
	}
	var m meter
	n, right := 0, true
	app := stream.New(settings("W3"))
	records := stream.From(app, given[string]{count: w.window + w.batches, batch: func(i int) []string { return in[i%len(in)] }})
	covers := window.Sliding(time.Duration(w.window)*time.Second, time.Second)
	var counts stream.Stream[stream.Pair[string, int64]]
	if w.name == "inverse" {
		counts = stream.CountByValueAndWindow(records, covers)
	} else {
		ones := stream.Map(records, func(s string) stream.Pair[string, int64] { return stream.P(s, int64(1)) })
		counts = stream.ReduceByKeyAndWindow(ones, func(a, b int64) int64 { return a + b }, covers)
	}
	stream.ForEachBatch(counts, func(_ context.Context, _ stream.BatchInfo, b batch.Batch[stream.Pair[string, int64]]) error {
		var sum int64
		for p := range b.All() {
			sum += p.Value
		}
		switch n++; {
		case n == w.window:
			m.start()
		case n > w.window:
			m.lap(w.size)
			right = right && sum == int64(w.window)*int64(w.size)
		}
		return nil
	})
	if err := app.Run(context.Background()); err != nil {
		return Result{}, err
	}
	return w.result(&m, "godstream", right), nil
}

// loop keeps a map of counts for each batch, and either one of all, to which it
// adds what comes and from which it takes what leaves, or counts anew.
func (w w3) loop(args []string) (Result, error) {
	measured := 600
	if w.name == "recompute" {
		measured = 60
	}
	in, err := w.parse(args, measured)
	if err != nil {
		return Result{}, err
	}
	panes := make([]map[string]int64, w.window)
	all := map[string]int64{}
	var m meter
	right := true
	for i := range w.window + w.batches {
		if i == w.window {
			m.start()
		}
		began := time.Now()
		entering := inHalves(in[i%len(in)], countStrings)
		leaving := panes[i%w.window]
		panes[i%w.window] = entering
		switch {
		case w.name == "inverse":
			for k, n := range entering {
				all[k] += n
			}
			for k, n := range leaving {
				if n = all[k] - n; n == 0 {
					delete(all, k)
				} else {
					all[k] = n
				}
			}
		case i >= w.window-1:
			all = addUp(panes)
		}
		var sum int64
		for _, n := range all {
			sum += n
		}
		if i >= w.window {
			m.batch(w.size, time.Since(began))
			right = right && sum == int64(w.window)*int64(w.size)
		}
	}
	return w.result(&m, "go-loop", right), nil
}

func countStrings(in []string) map[string]int64 {
	counts := map[string]int64{}
	for _, s := range in {
		counts[s]++
	}
	return counts
}

// addUp adds up both halves of the panes at the same time.
func addUp(panes []map[string]int64) map[string]int64 {
	var halves [2]map[string]int64
	var wait sync.WaitGroup
	for h := range halves {
		wait.Go(func() {
			sum := map[string]int64{}
			for _, p := range panes[len(panes)*h/2 : len(panes)*(h+1)/2] {
				for k, n := range p {
					sum[k] += n
				}
			}
			halves[h] = sum
		})
	}
	wait.Wait()
	for k, n := range halves[1] {
		halves[0][k] += n
	}
	return halves[0]
}
