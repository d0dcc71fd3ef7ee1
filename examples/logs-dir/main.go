// Logs-dir reads a directory of web servers' logs and tells, minute by minute,
// how many requests had which status, and which paths were asked for most.
//
//	go run ./examples/logs-dir
//
// By default it replays the logs of two machines by the times in them, from a
// directory that it makes. With -dir it replays another directory, and with
// -follow too it follows the logs there until it is interrupted.
package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/godstream/godstream/examples/internal/program"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

//go:embed sample
var sample embed.FS

// request is a line of a log.
type request struct {
	Path   string
	Status int
}

// common is the Common Log Format.
var common = regexp.MustCompile(`^\S+ \S+ \S+ \[[^]]+\] "\S+ (\S+)[^"]*" (\d{3}) `)

func parse(l source.Line) (request, error) {
	fields := common.FindSubmatch(l.Data)
	if fields == nil {
		return request{}, errors.New("not in Common Log Format")
	}
	status, err := strconv.Atoi(string(fields[2]))
	return request{string(fields[1]), status}, err
}

// timeOf is when a request was made: [11/Jan/2017:15:33:04 +0000].
func timeOf(l source.Line) time.Time {
	_, rest, _ := bytes.Cut(l.Data, []byte("["))
	text, _, _ := bytes.Cut(rest, []byte("]"))
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", string(text))
	if err != nil {
		return time.Time{} // it has that of the line before it
	}
	return at
}

func declare(app *stream.App, dir string, stdout, stderr io.Writer) {
	lines := stream.From(app, source.Dir(dir, source.Time(timeOf)))
	requests, malformed := stream.TryMap(lines, parse)
	stream.ForEach(malformed, func(f stream.Failed[source.Line]) error {
		_, err := fmt.Fprintln(stderr, "malformed:", f)
		return err
	})
	statuses := stream.CountByValue(stream.Map(requests, func(r request) int { return r.Status }))
	stream.Print(stream.SortBy(statuses, stream.ByKey), stream.Writer(stdout))
	paths := stream.CountByValue(stream.Map(requests, func(r request) string { return r.Path }))
	stream.Print(stream.Top(paths, 3, stream.ByValue), stream.Writer(stdout))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("logs-dir", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", "", "`directory` with logs in Common Log Format (default: the sample of this program)")
	follow := flags.Bool("follow", false, "follow the logs until interrupted, instead of replaying them")
	interval := flags.Duration("interval", time.Minute, "`time` between batches")
	if err := flags.Parse(args); err != nil {
		return program.ErrUsage // the flag set has said what is wrong
	}
	if *dir == "" {
		own, err := os.MkdirTemp("", "logs-dir-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(own)
		logs, err := fs.Sub(sample, "sample")
		if err != nil {
			return err
		}
		if err := os.CopyFS(own, logs); err != nil {
			return err
		}
		*dir = own
	}
	config := stream.Config{Name: "logs-dir", Interval: *interval, Ticks: stream.Replay}
	if *follow {
		config.Ticks = stream.Live
	}
	app := stream.New(config)
	declare(app, *dir, stdout, stderr)
	return app.Run(ctx)
}

func main() { program.Main(run) }
