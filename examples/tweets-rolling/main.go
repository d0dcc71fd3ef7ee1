// Tweets-rolling is the second program of the article that godstream comes from:
// tweets from Kafka, counted per batch and over the last minute, by a program
// that goes on from its checkpoint when it is started again.
//
//	go run ./examples/tweets-rolling
//
// By default it replays a recorded minute through a broker inside the program
// and ends. With -brokers it reads a cluster until it is interrupted, and with
// -checkpoint it goes on where it was; -help lists the flags.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/godstream/godstream/checkpoint"
	"github.com/godstream/godstream/examples/internal/program"
	"github.com/godstream/godstream/examples/internal/tweets"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/window"
)

//go:embed tweets-rolling.ndjson
var recording []byte

// build declares the program: what is printed of each batch.
func build(config stream.Config, from source.Source[kafka.Record], show int, stdout, stderr io.Writer) *stream.App {
	app := stream.New(config)
	messages := stream.From(app, from)
	parsed, malformed := stream.Decode(messages, tweets.Codec())
	authors := stream.Map(parsed, func(t tweets.Tweet) string { return t.User.ScreenName })
	lastMinute := window.Sliding(time.Minute, config.Interval)

	batch := stream.Map(stream.Count(parsed), func(n int64) string {
		return fmt.Sprintf("Tweets this batch: %d", n)
	})
	minute := stream.Map(stream.CountByWindow(parsed, lastMinute), func(n int64) string {
		return fmt.Sprintf("Tweets total (One minute rolling count): %d", n)
	})
	stream.Print(stream.Union(batch, minute), stream.Writer(stdout))

	top := func(title string, counts stream.Stream[stream.Pair[string, int64]]) {
		sorted := stream.SortBy(counts, stream.ByValue, stream.Descending())
		stream.Print(stream.Map(sorted, func(p stream.Pair[string, int64]) string {
			return fmt.Sprintf("%s:\tValue %s\tCount %d", title, p.Key, p.Value)
		}), stream.Writer(stdout), stream.N(show))
	}
	top("Author counts this batch", stream.CountByValue(authors))
	top("Author counts (One minute rolling)", stream.CountByValueAndWindow(authors, lastMinute))

	stream.ForEach(malformed, func(f stream.Failed[kafka.Record]) error {
		_, err := fmt.Fprintln(stderr, "malformed:", f)
		return err
	})
	return app
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var in tweets.Input
	flags := flag.NewFlagSet("tweets-rolling", flag.ContinueOnError)
	flags.SetOutput(stderr)
	in.Flags(flags, 5*time.Second)
	show := flags.Int("n", 10, "`lines` to print of each count by author")
	dir := flags.String("checkpoint", "", "`folder` to go on from when started again (default: a new one, removed at the end)")
	if err := flags.Parse(args); err != nil {
		return program.ErrUsage // the flag set has said what is wrong
	}
	if *dir == "" {
		temporary, err := os.MkdirTemp("", "tweets-rolling-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temporary)
		*dir = temporary
	}
	defer in.Close()
	from, err := in.Source(ctx, recording)
	if err != nil {
		return err
	}
	app, err := stream.GetOrCreate(checkpoint.Dir(*dir), func() (*stream.App, error) {
		return build(in.Config("tweets-rolling"), from, *show, stdout, stderr), nil
	})
	if err != nil {
		return err
	}
	if was := app.Recovered(); !was.Time.IsZero() || was.Pending > 0 {
		fmt.Fprintf(stderr, "going on from %s; %d later batches were begun and run again\n", *dir, was.Pending)
	}
	err = app.Run(ctx)
	if s := app.Stats(); s.Records > 0 {
		fmt.Fprintf(stderr, "%d batches, %d records, %d of them malformed\n", s.Batches, s.Records, s.Operators[0].Failed)
	}
	return err
}

func main() { program.Main(run) }
