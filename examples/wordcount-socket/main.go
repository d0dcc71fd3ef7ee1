// Wordcount-socket counts the words that a TCP server sends, second by second:
// Spark's "network word count".
//
//	go run ./examples/wordcount-socket
//
// By default it reads a server inside the program, which says a line in each
// second and hangs up. To talk to it yourself, run nc -lk 9999 in another window
// and give it -addr localhost:9999; then it goes on until it is interrupted.
package main

import (
	"context"
	"flag"
	"io"
	"net"
	"strings"
	"time"

	"github.com/godstream/godstream/examples/internal/program"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

const poem = `the tea is hot and the rye is dry
so pour the tea
and cut the rye
`

// say sends the poem, a line in each interval, to the first who connects.
func say(server net.Listener, interval time.Duration) {
	c, err := server.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	for line := range strings.Lines(poem) {
		if _, err := io.WriteString(c, line); err != nil {
			return
		}
		time.Sleep(interval)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("wordcount-socket", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "", "`host:port` of a server to read until interrupted (default: one inside this program)")
	interval := flags.Duration("interval", time.Second, "`time` between batches")
	if err := flags.Parse(args); err != nil {
		return program.ErrUsage // the flag set has said what is wrong
	}
	var options []source.Option
	if *addr == "" {
		server, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer server.Close()
		go say(server, *interval)
		*addr, options = server.Addr().String(), append(options, source.Once())
	}

	app := stream.New(stream.Config{Name: "wordcount-socket", Interval: *interval})
	lines := stream.Map(stream.From(app, source.Socket(*addr, options...)), source.Line.Text)
	words := stream.FlatMap(lines, strings.FieldsSeq)
	stream.Print(stream.CountByValue(words), stream.Writer(stdout))
	return app.Run(ctx)
}

func main() { program.Main(run) }
