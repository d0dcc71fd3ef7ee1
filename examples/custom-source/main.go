// Custom-source shows how to write a source of one's own: [Station] in sensor.go
// polls an HTTP server, in some fifty lines, and passes the contract's tests.
//
//	go run ./examples/custom-source
//
// It replays the readings of a weather station inside the program and prints the
// mean and the highest temperature of each half minute.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/godstream/godstream/examples/internal/program"
	"github.com/godstream/godstream/stream"
)

// Reading is what a sensor measured.
type Reading struct {
	ID      int64 // 1, 2, …
	Sensor  string
	Celsius float64
	At      time.Time
}

// serve answers with up to 100 readings that come after the one asked for.
func serve(all []Reading) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after, err := strconv.Atoi(r.FormValue("after"))
		if err != nil || after < 0 {
			http.Error(w, "after is no number of a reading", http.StatusBadRequest)
			return
		}
		after = min(after, len(all))
		json.NewEncoder(w).Encode(all[after:min(after+100, len(all))])
	})
}

// morning is two minutes of readings, one each second.
func morning() (all []Reading) {
	start := time.Date(2017, 1, 11, 6, 0, 0, 0, time.UTC)
	for i := range 120 {
		all = append(all, Reading{ID: int64(i + 1), Sensor: "roof", Celsius: math.Round(float64(i)*0.5) / 10, At: start.Add(time.Duration(i) * time.Second)})
	}
	return all
}

func run(ctx context.Context, stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: serve(morning())}
	defer server.Close()
	go server.Serve(listener)

	app := stream.New(stream.Config{Name: "custom-source", Interval: 30 * time.Second, Ticks: stream.Replay})
	readings := stream.From(app, Station{URL: "http://" + listener.Addr().String(), Every: time.Second})
	degrees := stream.Map(readings, func(r Reading) float64 { return r.Celsius })
	mean := stream.Map(stream.Mean(degrees), func(c float64) string { return fmt.Sprintf("mean %.1f °C", c) })
	highest := stream.Map(stream.Max(degrees), func(c float64) string { return fmt.Sprintf("highest %.1f °C", c) })
	stream.Print(stream.Union(mean, highest), stream.Writer(stdout))
	return app.Run(ctx)
}

func main() {
	program.Main(func(ctx context.Context, _ []string, stdout, _ io.Writer) error { return run(ctx, stdout) })
}
