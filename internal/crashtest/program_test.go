package crashtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/window"
)

// tweet is a record of the program that is killed.
type tweet struct {
	Author string
	Text   string
	At     int64 // ms
}

// tweets is the input: 40 seconds of which some are empty.
func tweets() (all []tweet) {
	rng := rand.New(rand.NewPCG(1, 2))
	for s := range 40 {
		if s%9 == 4 || s > 20 && s < 25 {
			continue
		}
		for i := range rng.IntN(12) {
			all = append(all, tweet{fmt.Sprint("author", rng.IntN(5+s/4)), fmt.Sprint("word", rng.IntN(9)), 1_500_000_000_000 + int64(s)*1000 + int64(i)*50})
		}
	}
	return all
}

// settings is how the program runs, which must not show in what it writes.
type settings struct {
	source     string // "function", "kafka", "live" or, with their broker in another process, "broker", "shared", "cooperative", "tweets", "files"
	store      bool   // there is a checkpoint
	partitions int
	workers    int
	saveEvery  time.Duration
	hold       bool // stop in the middle of a batch, until killed
}

func (s settings) String() string {
	return fmt.Sprintf("%s %t %d %d %d %t", s.source, s.store, s.partitions, s.workers, s.saveEvery, s.hold)
}

const (
	began  = "began\n" // what the program says before it opens the checkpoint,
	holds  = "holds\n" // when it stops in the middle of a batch,
	ended  = "ended\n" // and when it has reached the end
	locked = 3         // exit code for checkpoint.ErrLocked
)

// child is the program that is killed. It writes to dir.
func child(dir, how string) int {
	slog.SetLogLoggerLevel(slog.LevelError)
	var s settings
	if _, err := fmt.Sscan(how, &s.source, &s.store, &s.partitions, &s.workers, &s.saveEvery, &s.hold); err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	_ = stop // a signal that comes when the program has ended must not kill it
	fmt.Print(began)
	switch err := s.run(ctx, dir); {
	case errors.Is(err, checkpoint.ErrLocked):
		fmt.Fprintln(os.Stderr, err)
		return locked
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if ctx.Err() == nil {
		fmt.Print(ended)
	}
	return 0
}

func (s settings) run(ctx context.Context, dir string) error {
	lines, err := openLines(filepath.Join(dir, "lines"))
	if err != nil {
		return err
	}
	defer lines.Close()
	build := func() (*stream.App, error) {
		switch s.source {
		case "live":
			return s.live(lines), nil
		case "broker":
			return s.totals(os.Getenv("CRASHTEST_BROKER")), nil
		case "tweets", "files":
			return s.exactly(strings.Split(os.Getenv("CRASHTEST_BROKER"), ","), dir)
		}
		app := stream.New(stream.Config{Name: "crashtest", Interval: time.Second, Ticks: stream.Replay, Partitions: s.partitions, Workers: s.workers, SaveEvery: s.saveEvery})
		var in stream.Stream[tweet]
		if s.source == "kafka" {
			broker, err := embedded.Start(embedded.Config{Topics: map[string]int{"tweets": 2}})
			if err != nil {
				return nil, err
			}
			var text strings.Builder
			for _, t := range tweets() {
				fmt.Fprintf(&text, "{\"author\":%q,\"text\":%q,\"at\":%d}\n", t.Author, t.Text, t.At)
			}
			if _, err := broker.Load(context.WithoutCancel(ctx), "tweets", strings.NewReader(text.String()), embedded.TimestampField("at")); err != nil {
				return nil, err
			}
			parsed, failed := stream.Decode(stream.From(app, kafka.Source(kafka.Config{Brokers: broker.Addrs(), Group: "crashtest"}, "tweets")),
				codec.JSON[tweet]().Check(func(t tweet) error {
					if t.Text == "word8" {
						return errors.New("not this word")
					}
					return nil
				}))
			write(lines, "failed", failed)
			in = parsed
		} else {
			in = stream.From(app, source.Func(func(_ context.Context, from int64) iter.Seq2[tweet, error] {
				return func(yield func(tweet, error) bool) {
					for _, t := range tweets()[from:] {
						if !yield(t, nil) {
							return
						}
					}
				}
			}, source.Time(func(t tweet) time.Time { return time.UnixMilli(t.At) })))
		}
		s.declare(in, lines, dir)
		return app, nil
	}
	if s.source == "shared" || s.source == "cooperative" {
		return copies(os.Getenv("CRASHTEST_BROKER"), s.source == "cooperative").Run(ctx)
	}
	if !s.store {
		app, err := build()
		if err != nil {
			return err
		}
		return app.Run(ctx)
	}
	app, err := stream.GetOrCreate(checkpoint.Dir(filepath.Join(dir, "checkpoint")), build)
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

type totals struct {
	Tweets int
	Words  map[string]int
	Last   time.Time
}

// declare declares each kind of operator that keeps data, and outputs.
func (s settings) declare(in stream.Stream[tweet], lines io.Writer, dir string) {
	w := window.Sliding(7*time.Second, 2*time.Second)
	authors := stream.Map(in, func(t tweet) string { return t.Author })
	words := stream.Map(in, func(t tweet) stream.Pair[string, string] { return stream.P(t.Author, t.Text+" ") })
	concat := func(a, b string) string { return a + b }

	write(lines, "count", stream.Count(in))
	write(lines, "window", stream.Window(in, w))
	write(lines, "count in window", stream.CountByWindow(in, w))
	write(lines, "authors in window", stream.CountByValueAndWindow(authors, window.Sliding(10*time.Second, time.Second)))
	write(lines, "words in window", stream.ReduceByKeyAndWindow(words, concat, w, stream.Name("reduced")))
	write(lines, "words in window, with inverse", stream.ReduceByKeyAndWindowInverse(words, concat,
		func(all, oldest string) string { return all[len(oldest):] }, window.Sliding(9*time.Second, time.Second), stream.Name("inverse")))
	write(lines, "groups in window", stream.GroupByKeyAndWindow(words, window.Tumbling(3*time.Second)))
	if s.hold {
		stream.ForEachBatch(in, func(_ context.Context, at stream.BatchInfo, _ batch.Batch[tweet]) error {
			if at.Time.Unix() == 1_500_000_010 {
				fmt.Print(holds)
				select {}
			}
			return nil
		})
	}
	write(lines, "totals", stream.UpdateStateByKeyFunc(words, func(at time.Time, _ string, said []string, old stream.Opt[totals]) stream.Opt[totals] {
		if len(said) == 0 && at.Sub(old.Value.Last) > 8*time.Second {
			return stream.Opt[totals]{}
		}
		now := totals{old.Value.Tweets + len(said), map[string]int{}, old.Value.Last}
		for word, n := range old.Value.Words {
			now.Words[word] = n
		}
		for _, word := range said {
			now.Words[word]++
			now.Last = at.UTC()
		}
		return stream.Some(now)
	}))
	said, open := stream.MapWithState(words, func(author string, word stream.Opt[string], s *stream.State[int]) stream.Opt[string] {
		n, _ := s.Get()
		if s.TimingOut() {
			return stream.Some(fmt.Sprintf("%s is gone after %d", author, n))
		}
		s.Update(n + 1)
		return stream.Some(fmt.Sprintf("%s said %q, number %d", author, word.Value, n+1))
	}, stream.Timeout(5*time.Second))
	write(lines, "said", said)
	write(lines, "open", open)
	stream.To(stream.Repartition(said, 2), sink.Files(sink.FilesConfig{Dir: filepath.Join(dir, "files")}, sink.Text[string]))
}

const (
	numbers = 600                   // that a live program counts
	tick    = 3 * time.Millisecond  // its interval
	span    = 30 * time.Millisecond // of its window, which slides by two intervals
)

// live is a program whose batches are what has arrived at a tick of the clock. So
// they differ from run to run; but one that was begun must stay what it is.
func (s settings) live(lines io.Writer) *stream.App {
	app := stream.New(stream.Config{Name: "crashtest", Interval: tick, Partitions: s.partitions, Workers: s.workers, SaveEvery: s.saveEvery})
	in := stream.From(app, source.Func(func(ctx context.Context, from int64) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			ticker := time.NewTicker(time.Millisecond)
			defer ticker.Stop()
			for i := int(from); i < numbers; i++ {
				if i%5 == 0 {
					select {
					case <-ticker.C:
					case <-ctx.Done():
						return
					}
				}
				if !yield(i, nil) {
					return
				}
			}
		}
	}))
	w := window.Sliding(span, 2*tick)
	add := func(a, b int) int { return a + b }
	keyed := stream.KeyBy(in, func(int) string { return "all" })
	write(lines, "numbers", in)
	write(lines, "count in window", stream.CountByWindow(in, w))
	write(lines, "sum in window", stream.ReduceByKeyAndWindow(keyed, add, w, stream.Name("reduced")))
	write(lines, "sum in window, with inverse", stream.ReduceByKeyAndWindowInverse(keyed, add, func(a, b int) int { return a - b }, w, stream.Name("inverse")))
	write(lines, "total", stream.UpdateStateByKey(keyed, func(values []int, old stream.Opt[int]) stream.Opt[int] {
		for _, v := range values {
			old.Value += v
		}
		return stream.Some(old.Value)
	}))
	_, states := stream.MapWithState(keyed, func(_ string, v stream.Opt[int], s *stream.State[int]) stream.Opt[int] {
		n, _ := s.Get()
		s.Update(n + 1)
		return v
	})
	write(lines, "seen", states)
	return app
}

// write writes a line for each batch. The mark at the end says that it is whole.
func write[T any](to io.Writer, output string, s stream.Stream[T]) {
	stream.ForEachBatch(s, func(_ context.Context, at stream.BatchInfo, b batch.Batch[T]) error {
		_, err := fmt.Fprintf(to, "%d\t%s\t%q%s\n", at.Time.UnixMilli(), output, fmt.Sprint(batch.Collect(b)), whole)
		return err
	}, stream.Name("write "+output))
}

const whole = " ."

// syncedFile is on the disk when Write returns.
type syncedFile struct{ *os.File }

func (f syncedFile) Write(line []byte) (int, error) {
	n, err := f.File.Write(line)
	return n, errors.Join(err, f.Sync())
}

// openLines opens a file to append to. A line that a crash has cut off stays one.
func openLines(path string) (io.WriteCloser, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	lines := syncedFile{f}
	_, err = lines.Write([]byte("\n"))
	return lines, err
}
