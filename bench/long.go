package main

import (
	"context"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/window"
)

// long: a program with windows and states that runs for many batches, with new
// keys in each and none that stays: the memory and the disk that it takes in each
// quarter.
func init() { register("long", "ours", long{}.ours) }

type long struct {
	batches, size, keys, fresh int
}

// usage is what a program takes at a time.
type usage struct{ live, held, disk int64 }

func (l long) ours(args []string) (Result, error) {
	if err := flags("long", args, func(s *flag.FlagSet) {
		s.IntVar(&l.batches, "batches", 20_000, "batches, of which a fifth is over before it is measured")
		s.IntVar(&l.size, "records", 2000, "records a batch")
		s.IntVar(&l.keys, "keys", 20_000, "keys that come at a time")
		s.IntVar(&l.fresh, "fresh", 200, "keys in the place of others, each batch")
	}); err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp("", "bench-long-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	random := lcg(11)
	var m meter
	var quarters [4]usage
	n := 0
	app, err := stream.GetOrCreate(checkpoint.Dir(filepath.Join(dir, "checkpoint")), func() (*stream.App, error) {
		config := settings("long")
		config.SaveEvery = 100 * time.Millisecond
		app := stream.New(config)
		in := stream.From(app, given[stream.Pair[uint64, int64]]{count: l.batches, batch: func(i int) []stream.Pair[uint64, int64] {
			b := make([]stream.Pair[uint64, int64], l.size)
			for j := range b {
				b[j] = stream.P(uint64(i*l.fresh)+random.next()%uint64(l.keys), int64(1))
			}
			return b
		}})
		add, subtract := func(a, b int64) int64 { return a + b }, func(a, b int64) int64 { return a - b }
		minute := window.Sliding(time.Minute, time.Second)
		inverse := stream.ReduceByKeyAndWindowInverse(in, add, subtract, minute, stream.Name("inverse"))
		without := stream.ReduceByKeyAndWindow(in, add, minute, stream.Name("without"))
		mapped, _ := stream.MapWithState(in, func(_ uint64, one stream.Opt[int64], s *stream.State[int64]) stream.Opt[int64] {
			if !s.TimingOut() {
				n, _ := s.Get()
				s.Update(n + one.Value)
			}
			return one
		}, stream.Timeout(time.Minute))
		updated := stream.UpdateStateByKey(in, func(values []int64, idle stream.Opt[int64]) stream.Opt[int64] {
			if len(values) > 0 {
				return stream.Some[int64](0)
			}
			return stream.Opt[int64]{Value: idle.Value + 1, OK: idle.Value < 60}
		})
		for _, s := range []stream.Stream[int64]{stream.Count(inverse), stream.Count(without), stream.Count(mapped), stream.Count(updated)} {
			stream.ForEach(s, func(int64) error { return nil })
		}
		stream.ForEachBatch(in, func(context.Context, stream.BatchInfo, batch.Batch[stream.Pair[uint64, int64]]) error {
			n++
			begin := max(l.batches/5, 1)
			switch {
			case n == begin:
				m.start()
			case n > begin:
				m.lap(l.size)
				if (n-begin)%max(l.batches/100, 1) == 0 {
					q := &quarters[(n-begin-1)*4/(l.batches-begin)]
					now, err := l.usage(dir)
					if err != nil {
						return err
					}
					q.live, q.held, q.disk = max(q.live, now.live), max(q.held, now.held), max(q.disk, now.disk)
				}
			}
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
	extra := map[string]any{}
	for name, of := range map[string]func(usage) int64{
		"live_heap_kb": func(u usage) int64 { return u.live }, "memory_kb": func(u usage) int64 { return u.held }, "disk_kb": func(u usage) int64 { return u.disk },
	} {
		var all [4]int64
		for i, u := range quarters {
			all[i] = of(u) >> 10
		}
		extra[name+"_by_quarter"] = all
	}
	return m.result("godstream", "long", "", extra), nil
}

// usage is what the heap had that was live when the collector last ran, what the
// runtime has of the system, and the files in a directory.
func (long) usage(dir string) (u usage, err error) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.live, u.held = int64(sample[0].Value.Uint64()), int64(m.Sys-m.HeapReleased)
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			u.disk += info.Size()
		}
		return err
	})
	return u, err
}
