package source_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// program makes an App that does not wait for a clock and logs nothing.
func program(ticks stream.Ticks) *stream.App {
	return stream.New(stream.Config{Ticks: ticks, Interval: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)})
}

// printed runs an App that prints the elements of a stream.
func printed[T any](app *stream.App, s stream.Stream[T]) {
	stream.ForEach(s, func(t T) error {
		_, err := fmt.Println(t)
		return err
	})
	if err := app.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
}

// directory makes a directory with one file.
func directory(name, content string) string {
	dir, err := os.MkdirTemp("", "example")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
	}
	if err != nil {
		panic(err)
	}
	return dir
}

func ExampleFile() {
	dir := directory("words.txt", "tea rye tea\nrye tea\n")
	defer os.RemoveAll(dir)

	app := program(stream.Step)
	lines := stream.Map(stream.From(app, source.File(filepath.Join(dir, "words.txt"))), source.Line.Text)
	words := stream.FlatMap(lines, strings.FieldsSeq)
	printed(app, stream.CountByValue(words))
	// Output:
	// (tea, 3)
	// (rye, 2)
}

// Once ends with what is there. Without it, the files are followed.
func ExampleDir() {
	dir := directory("access.log", "GET /\nGET /about\n")
	defer os.RemoveAll(dir)

	app := program(stream.Step)
	lines := stream.From(app, source.Dir(dir, source.Once()))
	printed(app, stream.Map(lines, func(l source.Line) string {
		return fmt.Sprintf("%s at byte %d: %s", filepath.Base(l.Name), l.At, l.Data)
	}))
	// Output:
	// access.log at byte 0: GET /
	// access.log at byte 6: GET /about
}

// In a replay, the batches are those of the times in the lines.
func ExampleTime() {
	dir := directory("access.log", "15:30:01 GET /\n15:30:09 GET /about\n15:30:25 GET /\n")
	defer os.RemoveAll(dir)

	app := program(stream.Replay)
	lines := stream.From(app, source.Dir(dir, source.Time(func(l source.Line) time.Time {
		at, _ := time.Parse(time.TimeOnly, l.Text()[:8]) // a line without one has the time of the line before
		return at
	})))
	printed(app, stream.Count(lines))
	// Output:
	// 2
	// 0
	// 1
}

func ExampleDirFiles() {
	dir := directory("note.txt", "one\ntwo\n")
	defer os.RemoveAll(dir)

	app := program(stream.Step)
	notes := stream.From(app, source.DirFiles(dir, source.Once()))
	printed(app, stream.Map(notes, func(b source.Blob) int { return len(b.Data) }))
	// Output: 8
}

func ExampleDirRecords() {
	dir := directory("readings.bin", "\x00\x07\x00\x09")
	defer os.RemoveAll(dir)

	app := program(stream.Step)
	readings := stream.From(app, source.DirRecords(dir, 2, source.Once()))
	printed(app, stream.Map(readings, func(b source.Blob) uint16 { return binary.BigEndian.Uint16(b.Data) }))
	// Output:
	// 7
	// 9
}

func ExampleSocket() {
	server, err := net.Listen("tcp", "127.0.0.1:0") // such as nc -l 9999
	if err != nil {
		panic(err)
	}
	go func() {
		defer server.Close()
		if c, err := server.Accept(); err == nil {
			io.WriteString(c, "tea rye\r\ntea")
			c.Close()
		}
	}()

	app := program(stream.Step)
	lines := stream.Map(stream.From(app, source.Socket(server.Addr().String(), source.Once())), source.Line.Text)
	printed(app, stream.CountByValue(stream.FlatMap(lines, strings.FieldsSeq)))
	// Output:
	// (tea, 2)
	// (rye, 1)
}

func ExampleFunc() {
	app := program(stream.Step)
	squares := source.Func(func(ctx context.Context, from int64) iter.Seq2[int64, error] {
		return func(yield func(int64, error) bool) {
			for i := from; i < 4; i++ {
				if !yield(i*i, nil) {
					return
				}
			}
		}
	})
	printed(app, stream.From(app, squares))
	// Output:
	// 0
	// 1
	// 4
	// 9
}

func ExampleQueue() {
	app := program(stream.Step)
	printed(app, stream.Count(stream.From(app, source.Queue([]string{"tea", "rye"}, []string{"tea"}))))
	// Output:
	// 2
	// 1
}

// letters is a source of one's own.
type letters []string

func (s letters) Open(_ context.Context, o source.Options) (source.Reader[string], error) {
	b := source.NewBuffer[string](o)
	feed := b.Feed("letters", 0)
	b.Go(func(context.Context) error {
		for i, letter := range s {
			if err := feed.Put(letter, int64(i+1), len(letter), time.Time{}); err != nil {
				return err // the reader has been closed
			}
		}
		feed.End()
		return nil
	})
	return b, nil
}

func ExampleNewBuffer() {
	app := program(stream.Step)
	printed(app, stream.From(app, letters{"a", "b"}))
	// Output:
	// a
	// b
}
