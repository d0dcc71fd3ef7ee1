package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/internal/cost"
	"github.com/godstream/godstream/internal/disk"
	"github.com/godstream/godstream/stream"
)

// save: a program with the state of a million keys of which each batch changes a
// hundredth, and which is saved after each batch. What it waits for between the
// end of a batch and the begin of the next one is the save and the line of the log.
// The first save has all keys.
func init() {
	register("save", "mapWithState", saving{mapped: true}.run)
	register("save", "updateStateByKey", saving{}.run)
}

type saving struct {
	mapped        bool
	keys, changed int
	batches       int
	sync          bool
}

// gap is what happened between a batch and the next one.
type gap struct {
	wait, cpu time.Duration
	bytes     int64 // that were written
}

func (v saving) run(args []string) (Result, error) {
	err := flags("save", args, func(s *flag.FlagSet) {
		s.IntVar(&v.keys, "keys", 1_000_000, "keys")
		s.IntVar(&v.changed, "changed", 0, "keys that change in a batch; 0: a hundredth")
		s.IntVar(&v.batches, "batches", 250, "batches; the first is not measured")
		s.BoolVar(&v.sync, "fsync", false, "wait until the disk has what is written, which counts as waiting for it then")
	})
	if err != nil {
		return Result{}, err
	}
	if v.changed == 0 {
		v.changed = max(1, v.keys/100)
	}
	names := users(v.keys, 7)
	initial := make([]stream.Pair[string, int64], len(names))
	for i, name := range names {
		initial[i] = stream.P(name, int64(1))
	}
	next := 0
	in := batches(v.batches, v.changed, func() stream.Pair[string, int64] {
		next = (next + 617) % len(names) // which has no factor of their number
		return stream.P(names[next], int64(1))
	})

	dir, err := os.MkdirTemp("", "bench-save-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	written := &counting{Disk: disk.Real, sync: v.sync}
	var m meter
	var before gap
	var began, ended time.Time
	var gaps []gap
	n := 0
	app, err := stream.GetOrCreate(checkpoint.On(written, filepath.Join(dir, "checkpoint")), func() (*stream.App, error) {
		config := settings("save")
		config.SaveEvery = 1
		app := stream.New(config)
		records := stream.From(app, given[stream.Pair[string, int64]]{count: len(in), batch: func(i int) []stream.Pair[string, int64] { return in[i] }})
		seen := stream.Transform(records, func(b batch.Batch[stream.Pair[string, int64]]) batch.Batch[stream.Pair[string, int64]] {
			if began = time.Now(); n > 0 {
				gaps = append(gaps, gap{began.Sub(ended), cost.Used() - before.cpu, written.bytes - before.bytes})
			}
			return b
		})
		stream.ForEach(v.count(seen, initial), func(int64) error {
			if n++; n == 1 {
				m.start()
			} else {
				m.batch(v.changed, time.Since(began))
			}
			ended, before = time.Now(), gap{cpu: cost.Used(), bytes: written.bytes}
			return nil
		})
		return app, nil
	})
	if err != nil {
		return Result{}, err
	}
	if err := app.Run(context.Background()); err != nil {
		return Result{}, err
	}
	return m.result("godstream", "save", "", v.compare(gaps)), nil
}

func (v saving) count(in stream.Stream[stream.Pair[string, int64]], initial []stream.Pair[string, int64]) stream.Stream[int64] {
	if v.mapped {
		counts, _ := stream.MapWithState(in, func(_ string, one stream.Opt[int64], s *stream.State[int64]) stream.Opt[int64] {
			n, _ := s.Get()
			s.Update(n + one.Value)
			return stream.Some(n + one.Value)
		}, stream.InitialState(initial))
		return stream.Count(counts)
	}
	return stream.Count(stream.UpdateStateByKey(in, sumUp, stream.InitialState(initial)))
}

// compare compares saves of what has changed with the first one, which has
// everything, and counts those that write a bit of everything anew too.
func (v saving) compare(gaps []gap) map[string]any {
	whole, gaps := gaps[:1], gaps[1:]
	var some, more []gap
	least := gaps[0].bytes
	for _, g := range gaps {
		least = min(least, g.bytes)
	}
	for _, g := range gaps {
		if g.bytes > 2*least {
			more = append(more, g)
		} else {
			some = append(some, g)
		}
	}
	waits := func(gaps []gap) (all []time.Duration) {
		for _, g := range gaps {
			all = append(all, g.wait)
		}
		return all
	}
	median := func(gaps []gap, of func(gap) float64) float64 {
		var all []float64
		for _, g := range gaps {
			all = append(all, of(g))
		}
		slices.Sort(all)
		if len(all) == 0 {
			return 0
		}
		return all[len(all)/2]
	}
	bytes := func(g gap) float64 { return float64(g.bytes) }
	cpu := func(g gap) float64 { return g.cpu.Seconds() * 1e3 }
	mean := 0.
	for _, g := range gaps {
		mean += cpu(g) / float64(len(gaps))
	}
	return map[string]any{
		"keys": v.keys, "changed": v.changed, "saves": len(gaps), "saves_that_renew": len(more),
		"whole_bytes": median(whole, bytes), "changed_bytes": median(some, bytes), "bytes_ratio": round(median(some, bytes) / median(whole, bytes)), "renew_bytes": median(more, bytes),
		"whole_cpu_ms": round(median(whole, cpu)), "changed_cpu_ms": round(median(some, cpu)), "cpu_ratio": round(median(some, cpu) / median(whole, cpu)),
		"renew_cpu_ms": round(median(more, cpu)), "mean_cpu_ms": round(mean),
		"whole_wait_ms": ms(whole[0].wait), "wait_ms_p50": ms(quantile(waits(gaps), .5)), "wait_ms_p99": ms(quantile(waits(gaps), .99)), "wait_ms_max": ms(quantile(waits(gaps), 1)),
		"renew_wait_ms_p50": ms(quantile(waits(more), .5)), "renew_wait_ms_p99": ms(quantile(waits(more), .99)),
	}
}

// counting is a disk that counts what is written, and syncs only if it is to.
type counting struct {
	disk.Disk
	sync  bool
	bytes int64
}

type countingFile struct {
	disk.File
	of *counting
}

func (c *counting) Create(path string) (disk.File, error) {
	f, err := c.Disk.Create(path)
	return &countingFile{f, c}, err
}

func (c *counting) Append(path string) (disk.File, error) {
	f, err := c.Disk.Append(path)
	return &countingFile{f, c}, err
}

func (c *counting) Sync(dir string) error {
	if !c.sync {
		return nil
	}
	return c.Disk.Sync(dir)
}

func (f *countingFile) Write(data []byte) (int, error) {
	n, err := f.File.Write(data)
	f.of.bytes += int64(n)
	return n, err
}

func (f *countingFile) Sync() error {
	if !f.of.sync {
		return nil
	}
	return f.File.Sync()
}
