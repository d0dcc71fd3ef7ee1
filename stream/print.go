package stream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/plan"
)

// Print prints the first elements of each batch, empty ones included, one a
// line, in the layout of PySpark's pprint:
//
//	-------------------------------------------
//	Time: 2017-01-11 15:34:00
//	-------------------------------------------
//	(rmoff, 3)
//	...
//
// followed by an empty line. The dots say that there are more. A batch is one
// Write. The options [N], [All], [Writer] and [Location] apply. A Write that fails
// fails the batch.
func Print[T any](s Stream[T], opts ...Option) {
	output(s, plan.Node{Op: "print"}, opts, func(c nodeConfig) func(context.Context, BatchInfo, batch.Batch[T]) error {
		var to io.Writer = os.Stdout
		if c.writer != nil {
			to = c.writer
		}
		location := c.location
		if location == nil {
			location = time.Local
			if s.app.config.Ticks == Replay {
				location = time.UTC
			}
		}
		return func(_ context.Context, at BatchInfo, b batch.Batch[T]) error {
			var out bytes.Buffer
			fmt.Fprintf(&out, "%s\nTime: %s\n%s\n", rule, printedTime(at.Time.In(location)), rule)
			n := 0
			for t := range b.All() {
				if n == c.n {
					fmt.Fprintln(&out, "...")
					break
				}
				fmt.Fprintln(&out, t)
				n++
			}
			fmt.Fprintln(&out)
			_, err := to.Write(out.Bytes())
			return err
		}
	})
}

var rule = strings.Repeat("-", 43)

// printedTime is as Python prints a time: with microseconds if it has any.
func printedTime(t time.Time) string {
	if t.Nanosecond() == 0 {
		return t.Format(time.DateTime)
	}
	return t.Format("2006-01-02 15:04:05.000000")
}
