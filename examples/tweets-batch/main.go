// Tweets-batch is the first program of the article that godstream comes from:
// tweets from Kafka, looked at one batch at a time.
//
//	go run ./examples/tweets-batch
//
// By default it replays a recorded minute through a broker inside the program
// and ends. With -brokers it reads a cluster until it is interrupted; -help
// lists the flags.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/godstream/godstream/examples/internal/program"
	"github.com/godstream/godstream/examples/internal/tweets"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

//go:embed tweets-batch.ndjson
var recording []byte

// declare says what is printed of each batch.
func declare(app *stream.App, from source.Source[kafka.Record], show int, stdout, stderr io.Writer) {
	out, first := stream.Writer(stdout), stream.N(show)

	messages := stream.From(app, from)
	parsed, malformed := stream.Decode(messages, tweets.Codec())
	stream.ForEach(malformed, func(f stream.Failed[kafka.Record]) error {
		_, err := fmt.Fprintln(stderr, "malformed:", f)
		return err
	})

	stream.Print(stream.Map(stream.Count(parsed), func(n int64) string {
		return fmt.Sprintf("Tweets in this batch: %d", n)
	}), out)

	authors := stream.Map(parsed, func(t tweets.Tweet) string { return t.User.ScreenName })
	counts := stream.CountByValue(authors)
	stream.Print(counts, out, first)
	stream.Print(stream.SortBy(counts, stream.ByValue, stream.Descending()), out, first)
	stream.Print(stream.Top(counts, 5, stream.ByValue), out)

	notable := stream.Filter(counts, func(p stream.Pair[string, int64]) bool {
		return p.Value > 1 || strings.HasPrefix(p.Key, "rm")
	})
	stream.Print(stream.SortBy(notable, stream.ByValue, stream.Descending()), out, first)

	words := stream.FlatMap(parsed, func(t tweets.Tweet) iter.Seq[string] { return strings.FieldsSeq(t.Text) })
	stream.Print(stream.SortBy(stream.CountByValue(words), stream.ByValue, stream.Descending()), out, first)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var in tweets.Input
	flags := flag.NewFlagSet("tweets-batch", flag.ContinueOnError)
	flags.SetOutput(stderr)
	in.Flags(flags, time.Minute)
	show := flags.Int("n", 10, "`lines` to print of each batch")
	if err := flags.Parse(args); err != nil {
		return program.ErrUsage // the flag set has said what is wrong
	}
	defer in.Close()
	from, err := in.Source(ctx, recording)
	if err != nil {
		return err
	}
	app := stream.New(in.Config("tweets-batch"))
	declare(app, from, *show, stdout, stderr)
	err = app.Run(ctx)
	if s := app.Stats(); s.Records > 0 {
		fmt.Fprintf(stderr, "%d batches, %d records, %d of them malformed\n", s.Batches, s.Records, s.Operators[0].Failed)
	}
	return err
}

func main() { program.Main(run) }
