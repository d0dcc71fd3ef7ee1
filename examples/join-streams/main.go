// Join-streams joins two topics by key, batch by batch: orders, and the payments
// that came in the same ten seconds.
//
//	go run ./examples/join-streams
package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/examples/internal/program"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
	"github.com/godstream/godstream/stream"
)

const orders = `{"ms":1000,"order":"A1","what":"tea"}
{"ms":2000,"order":"A2","what":"rye"}
{"ms":9500,"order":"A3","what":"ink"}
{"ms":12000,"order":"A4","what":"tea"}
`

const payments = `{"ms":1500,"order":"A1","cents":300}
{"ms":8000,"order":"A3","cents":120}
{"ms":9000,"order":"A1","cents":50}
{"ms":13000,"order":"B7","cents":999}
{"ms":14000,"order":"A4","cents":300}
`

type order struct{ Order, What string }

type payment struct {
	Order string
	Cents int
}

func run(ctx context.Context, stdout io.Writer) error {
	broker, err := embedded.Start(embedded.Config{})
	if err != nil {
		return err
	}
	defer broker.Close()
	for topic, lines := range map[string]string{"orders": orders, "payments": payments} {
		if _, err := broker.Load(ctx, topic, strings.NewReader(lines), embedded.TimestampField("ms")); err != nil {
			return err
		}
	}

	app := stream.New(stream.Config{Name: "join-streams", Interval: 10 * time.Second, Ticks: stream.Replay})
	cluster := kafka.Config{Brokers: broker.Addrs()}
	ordered, _ := stream.Decode(stream.From(app, kafka.Source(cluster, "orders")), codec.JSON[order]())
	paid, _ := stream.Decode(stream.From(app, kafka.Source(cluster, "payments")), codec.JSON[payment]())

	byOrder := stream.KeyBy(ordered, func(o order) string { return o.Order })
	cents := stream.Map(paid, func(p payment) stream.Pair[string, int] { return stream.P(p.Order, p.Cents) })
	total := stream.ReduceByKey(cents, func(a, b int) int { return a + b })

	joined := stream.FullOuterJoin(byOrder, total)
	stream.Print(stream.Map(joined, func(p stream.Pair[string, stream.Both[stream.Opt[order], stream.Opt[int]]]) string {
		switch what, cents := p.Value.Left, p.Value.Right; {
		case !what.OK:
			return fmt.Sprintf("%s: paid %d, but nobody ordered it in this batch", p.Key, cents.Value)
		case !cents.OK:
			return fmt.Sprintf("%s: %s, not paid in this batch", p.Key, what.Value.What)
		default:
			return fmt.Sprintf("%s: %s, paid %d", p.Key, what.Value.What, cents.Value)
		}
	}), stream.Writer(stdout))
	return app.Run(ctx)
}

func main() {
	program.Main(func(ctx context.Context, _ []string, stdout, _ io.Writer) error { return run(ctx, stdout) })
}
