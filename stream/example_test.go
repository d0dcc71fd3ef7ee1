package stream_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

func ExampleCountByValue() {
	app := stream.New(stream.Config{Interval: 10 * time.Millisecond})
	lines := stream.From(app, source.Queue([]string{"tea rye", "tea"}))
	words := stream.FlatMap(lines, strings.FieldsSeq)
	stream.ForEach(stream.CountByValue(words), func(p stream.Pair[string, int64]) error {
		_, err := fmt.Println(p.Key, p.Value)
		return err
	})
	if err := app.Run(context.Background()); err != nil { // returns when the queue is empty
		fmt.Println(err)
	}
	// Output:
	// tea 2
	// rye 1
}
