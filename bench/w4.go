package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/stream"
)

// W4: how often each of a million keys has come, 50,000 records a batch. W4
// visits the keys of the batch alone, W4u calls a function for every key in every
// batch, as updateStateByKey does.
func init() {
	register("W4", "ours", w4{}.touched)
	register("W4", "loop", w4{}.loop(touchMaps))
	register("W4", "loop-exchange", w4{}.loop(touchExchanged))
	register("W4u", "ours", w4{}.everyKey)
	register("W4u", "loop-rebuild", w4{}.loop(rebuildMaps))
	register("W4u", "loop-dense", w4{}.loop(addDense))
	register("W4u", "loop-dense-exchange", w4{}.loop(addExchanged))
	register("W4u", "loop-dense-func", w4{}.loop(updateDense))
}

type w4 struct {
	keys, batches, size int
	save                time.Duration // between saves; 0: none
	every               int           // batches between the snapshots of a loop; 0: none

	names []string
	in    [][]uint32 // numbers of names
}

func (w *w4) parse(args []string) error {
	err := flags("W4", args, func(s *flag.FlagSet) {
		s.IntVar(&w.keys, "keys", 1_000_000, "keys")
		s.IntVar(&w.batches, "batches", 60, "batches; the first is not measured")
		s.IntVar(&w.size, "records", 50_000, "records a batch")
		s.DurationVar(&w.save, "save", 0, "ours: save so often, to a temporary directory; 0: never")
		s.IntVar(&w.every, "checkpoint", 0, "loops: write a snapshot after so many batches, which is not in the time of a batch; 0: never")
	})
	w.names = users(w.keys, 7)
	s := lcg(9)
	w.in = batches(w.batches, w.size, func() uint32 { return uint32(s.next() % uint64(w.keys)) })
	return err
}

// strings are the batches as a program gets them.
func (w *w4) strings() [][]string {
	all := make([][]string, len(w.in))
	for i, b := range w.in {
		all[i] = make([]string, len(b))
		for j, n := range b {
			all[i][j] = w.names[n]
		}
	}
	return all
}

func (w w4) touched(args []string) (Result, error) {
	if err := w.parse(args); err != nil {
		return Result{}, err
	}
	return w.run("godstream-mapWithState", func(records stream.Stream[string], initial []stream.Pair[string, int64]) (stream.Stream[int64], int64) {
		ones := stream.Map(records, func(s string) stream.Pair[string, int64] { return stream.P(s, int64(1)) })
		counts, _ := stream.MapWithState(ones, func(_ string, one stream.Opt[int64], s *stream.State[int64]) stream.Opt[int64] {
			n, _ := s.Get()
			s.Update(n + one.Value)
			return stream.Some(n + one.Value)
		}, stream.InitialState(initial))
		return stream.Count(counts), int64(w.batches) * int64(w.size)
	})
}

func (w w4) everyKey(args []string) (Result, error) {
	if err := w.parse(args); err != nil {
		return Result{}, err
	}
	return w.run("godstream-updateStateByKey", func(records stream.Stream[string], initial []stream.Pair[string, int64]) (stream.Stream[int64], int64) {
		ones := stream.Map(records, func(s string) stream.Pair[string, int64] { return stream.P(s, int64(1)) })
		counts := stream.UpdateStateByKey(ones, sumUp, stream.InitialState(initial))
		total := stream.Sum(stream.Map(counts, func(p stream.Pair[string, int64]) int64 { return p.Value }))
		var all int64
		for i := range w.batches {
			all += int64(w.keys) + int64(i+1)*int64(w.size)
		}
		return total, all
	})
}

func sumUp(values []int64, count stream.Opt[int64]) stream.Opt[int64] {
	for _, n := range values {
		count.Value += n
	}
	return stream.Some(count.Value)
}

// run runs the program that declare makes: a number for each batch, which add up
// to what it says.
func (w w4) run(peer string, declare func(records stream.Stream[string], initial []stream.Pair[string, int64]) (stream.Stream[int64], int64)) (Result, error) {
	in := w.strings()
	initial := make([]stream.Pair[string, int64], len(w.names))
	for i, name := range w.names {
		initial[i] = stream.P(name, int64(1))
	}
	var m meter
	n, sum, want := 0, int64(0), int64(0)
	build := func() (*stream.App, error) {
		config := settings("W4")
		config.SaveEvery = w.save
		app := stream.New(config)
		var numbers stream.Stream[int64]
		numbers, want = declare(stream.From(app, given[string]{count: len(in), batch: func(i int) []string { return in[i] }}), initial)
		stream.ForEach(numbers, func(number int64) error {
			sum += number
			if n++; n == 1 {
				m.start()
			} else {
				m.lap(w.size)
			}
			return nil
		})
		return app, nil
	}
	app, err := build()
	if w.save > 0 {
		dir, e := os.MkdirTemp("", "bench-w4-")
		if e != nil {
			return Result{}, e
		}
		defer os.RemoveAll(dir)
		app, err = stream.GetOrCreate(checkpoint.Dir(filepath.Join(dir, "checkpoint")), build)
	}
	if err != nil {
		return Result{}, err
	}
	if err := app.Run(context.Background()); err != nil {
		return Result{}, err
	}
	return m.result(peer, "W4", verdict(sum == want), map[string]any{"keys": w.keys}), nil
}

// shards is over how many goroutines a loop divides the keys.
const shards = 2

// looped is a loop over batches: it keeps the counts of a shard's keys.
type looped interface {
	batch(in []string, split [shards][]string) // all of the batch, and divided by shard before the clock
	sum() int64
	each(yield func(key string, n int64))
}

func (w w4) loop(make func(names []string, shardOf func(n int) int) (string, looped)) contender {
	return func(args []string) (Result, error) {
		if err := w.parse(args); err != nil {
			return Result{}, err
		}
		in := w.strings()
		split := func(i int) (split [shards][]string) {
			for _, n := range w.in[i] {
				s := shardOf(int(n))
				split[s] = append(split[s], w.names[n])
			}
			return split
		}
		var divided [][shards][]string
		for i := range in {
			divided = append(divided, split(i))
		}
		dir, err := os.MkdirTemp("", "bench-w4-")
		if err != nil {
			return Result{}, err
		}
		defer os.RemoveAll(dir)
		name, l := make(w.names, shardOf)
		var m meter
		var snapshots []time.Duration
		for i := range in {
			if i == 1 {
				m.start()
			}
			began := time.Now()
			l.batch(in[i], divided[i])
			took := time.Since(began)
			if w.every > 0 && (i+1)%w.every == 0 {
				began := time.Now()
				if err := snapshot(filepath.Join(dir, fmt.Sprint(i)), l); err != nil {
					return Result{}, err
				}
				snapshots = append(snapshots, time.Since(began))
			}
			if i > 0 {
				m.batch(w.size, took)
			}
		}
		right := l.sum() == int64(w.keys)+int64(w.batches)*int64(w.size)
		return m.result(name, "W4", verdict(right), map[string]any{"keys": w.keys, "snapshot_ms_p50": ms(quantile(snapshots, .5))}), nil
	}
}

func shardOf(n int) int { return n % shards }

// snapshot writes all counts to a file.
func snapshot(name string, l looped) error {
	f, err := os.Create(name + ".tmp")
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	var buf []byte
	l.each(func(key string, n int64) {
		buf = binary.AppendUvarint(buf[:0], uint64(len(key)))
		buf = append(buf, key...)
		buf = binary.AppendVarint(buf, n)
		_, _ = w.Write(buf) // Flush tells
	})
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(name+".tmp", name)
}

// onShards runs do for each shard, at the same time.
func onShards(do func(s int)) {
	var wait sync.WaitGroup
	for s := range shards {
		wait.Go(func() { do(s) })
	}
	wait.Wait()
}

// counted is a map of counts for each shard.
type counted [shards]map[string]int64

func newCounted(names []string, shardOf func(n int) int) (c counted) {
	for s := range c {
		c[s] = map[string]int64{}
	}
	for n, name := range names {
		c[shardOf(n)][name] = 1
	}
	return c
}

func (c *counted) sum() (sum int64) {
	c.each(func(_ string, n int64) { sum += n })
	return sum
}

func (c *counted) each(yield func(key string, n int64)) {
	for _, m := range c {
		for k, n := range m {
			yield(k, n)
		}
	}
}

// touch adds to the counts of records that are divided already.
type touch struct{ counted }

func touchMaps(names []string, shardOf func(n int) int) (string, looped) {
	return "go-loop-map", &touch{newCounted(names, shardOf)}
}

func (t *touch) batch(_ []string, split [shards][]string) {
	onShards(func(s int) {
		counts := t.counted[s]
		for _, k := range split[s] {
			counts[k]++
		}
	})
}

// exchange divides the records of each half of a batch by the hashes of their
// keys, as a program has to that gets them in any order.
type exchange struct{ seed maphash.Seed }

func newExchange() exchange { return exchange{maphash.MakeSeed()} }

func (e exchange) shard(k string) int { return int(maphash.String(e.seed, k) >> 63) }

// divide gives the records by half and shard.
func (e exchange) divide(in []string) (boxes [shards][shards][]string) {
	onShards(func(from int) {
		half := in[len(in)*from/shards : len(in)*(from+1)/shards]
		var box [shards][]string
		for to := range box {
			box[to] = make([]string, 0, len(half)*5/8)
		}
		for _, k := range half {
			to := e.shard(k)
			box[to] = append(box[to], k)
		}
		boxes[from] = box
	})
	return boxes
}

// exchanged adds to the counts of records that it divides.
type exchanged struct {
	counted
	exchange
}

func touchExchanged(names []string, _ func(n int) int) (string, looped) {
	e := newExchange()
	return "go-loop-exchange", &exchanged{newCounted(names, func(n int) int { return e.shard(names[n]) }), e}
}

func (e *exchanged) batch(in []string, _ [shards][]string) {
	boxes := e.divide(in)
	onShards(func(to int) {
		counts := e.counted[to]
		for from := range boxes {
			for _, k := range boxes[from][to] {
				counts[k]++
			}
		}
	})
}

// rebuilt makes a new map of all keys with each batch.
type rebuilt struct{ counted }

func rebuildMaps(names []string, shardOf func(n int) int) (string, looped) {
	return "go-loop-rebuild", &rebuilt{newCounted(names, shardOf)}
}

func (r *rebuilt) batch(_ []string, split [shards][]string) {
	onShards(func(s int) {
		here := countStrings(split[s])
		before := r.counted[s]
		after := make(map[string]int64, len(before))
		for k, n := range before {
			after[k] = n + here[k]
		}
		for k, n := range here {
			if _, ok := before[k]; !ok {
				after[k] = n
			}
		}
		r.counted[s] = after
	})
}

// dense keeps the counts in slices, in order of insertion, and where each key is.
type dense struct {
	shard [shards]denseShard
	visit func(s *denseShard, in []string) // one batch
	total int64                            // of the last batch
}

type denseShard struct {
	place  map[string]uint32
	keys   []string
	counts []int64
	here   []int64   // of the batch
	values [][]int64 // of the batch
	sum    int64     // of all counts after the batch
}

func newDense(names []string, shardOf func(n int) int, visit func(*denseShard, []string)) *dense {
	d := &dense{visit: visit}
	for s := range d.shard {
		d.shard[s].place = map[string]uint32{}
	}
	for n, name := range names {
		s := &d.shard[shardOf(n)]
		s.at(name)
		s.counts[s.at(name)] = 1
	}
	return d
}

// at is the place of a key, a new one if it has none.
func (s *denseShard) at(k string) uint32 {
	n, ok := s.place[k]
	if !ok {
		n = uint32(len(s.keys))
		s.place[k] = n
		s.keys, s.counts, s.here, s.values = append(s.keys, k), append(s.counts, 0), append(s.here, 0), append(s.values, nil)
	}
	return n
}

func (d *dense) batch(_ []string, split [shards][]string) {
	onShards(func(s int) { d.visit(&d.shard[s], split[s]) })
	d.addUp()
}

func (d *dense) addUp() {
	d.total = 0
	for s := range d.shard {
		d.total += d.shard[s].sum
	}
}

func (d *dense) sum() int64 { return d.total }

func (d *dense) each(yield func(key string, n int64)) {
	for _, s := range d.shard {
		for i, k := range s.keys {
			yield(k, s.counts[i])
		}
	}
}

// addDense adds what has come to each count, and gives the sum of all.
func addDense(names []string, shardOf func(n int) int) (string, looped) {
	return "go-loop-dense", newDense(names, shardOf, func(s *denseShard, in []string) {
		s.count(in)
		s.add()
	})
}

func (s *denseShard) count(in []string) {
	for _, k := range in {
		s.here[s.at(k)]++
	}
}

func (s *denseShard) add() {
	s.sum = 0
	for i, n := range s.here {
		s.counts[i] += n
		s.here[i] = 0
		s.sum += s.counts[i]
	}
}

// exchangedDense is addDense for records that it divides.
type exchangedDense struct {
	*dense
	exchange
}

func addExchanged(names []string, _ func(n int) int) (string, looped) {
	e := newExchange()
	return "go-loop-dense-exchange", &exchangedDense{newDense(names, func(n int) int { return e.shard(names[n]) }, nil), e}
}

func (e *exchangedDense) batch(in []string, _ [shards][]string) {
	boxes := e.divide(in)
	onShards(func(to int) {
		s := &e.dense.shard[to]
		for from := range boxes {
			s.count(boxes[from][to])
		}
		s.add()
	})
	e.addUp()
}

// updateDense calls the function that ours calls, for each key with its values.
func updateDense(names []string, shardOf func(n int) int) (string, looped) {
	update := opaque(sumUp)
	return "go-loop-dense-func", newDense(names, shardOf, func(s *denseShard, in []string) {
		for _, k := range in {
			n := s.at(k)
			s.values[n] = append(s.values[n], 1)
		}
		s.sum = 0
		for i, values := range s.values {
			s.counts[i] = update(values, stream.Some(s.counts[i])).Value
			s.sum += s.counts[i]
			s.values[i] = values[:0]
		}
	})
}

// opaque keeps the compiler from knowing which function it calls.
//
//go:noinline
func opaque[F any](f F) F { return f }
