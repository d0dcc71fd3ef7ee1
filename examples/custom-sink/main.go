// Custom-sink shows how to write a sink of one's own: [Archive] in archive.go puts
// each batch to an HTTP server, in some fifty lines, and passes the contract's
// tests.
//
//	go run ./examples/custom-sink
//
// It sums up three hours of a shop's sales and archives a batch an hour, on a
// server inside the program. The first run fails halfway, since the server is
// full. The second run writes all batches again; the archive has each of them
// once.
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/godstream/godstream/examples/internal/program"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// Total is what a batch has for each kind of goods that was sold.
type Total struct {
	Goods string
	Cents int
}

// server keeps what is put, by path, until it has as many bodies as it holds.
type server struct {
	mu     sync.Mutex
	bodies map[string]string
	holds  int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // all of it, or it is not stored
	if err != nil || r.Method != http.MethodPut {
		http.Error(w, "put a whole batch", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.bodies[r.URL.Path]; !known && len(s.bodies) == s.holds {
		http.Error(w, "the archive is full", http.StatusInsufficientStorage)
		return
	}
	s.bodies[r.URL.Path] = string(body)
	w.WriteHeader(http.StatusNoContent)
}

// resize changes how many bodies the server holds.
func (s *server) resize(holds int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = holds
}

// all is what the server has: paths in order, and the bodies.
func (s *server) all() (paths []string, bodies map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.bodies)), maps.Clone(s.bodies)
}

// archive sums up the sales of each hour and puts the totals below url.
func archive(ctx context.Context, url string) error {
	type sale = stream.Pair[string, int]
	sold := stream.P[string, int]
	app := stream.New(stream.Config{Name: "custom-sink", Interval: time.Hour, Ticks: stream.Step, Start: time.Date(2024, 5, 1, 8, 0, 0, 0, time.UTC)})
	sales := stream.From(app, source.Queue(
		[]sale{sold("tea", 320), sold("rye", 450), sold("tea", 320)},
		[]sale{sold("rye", 450)},
		[]sale{sold("tea", 320), sold("tea", 640)},
	))
	sums := stream.ReduceByKey(sales, func(a, b int) int { return a + b })
	totals := stream.Map(sums, func(p sale) Total { return Total{p.Key, p.Value} })
	stream.To(totals, Archive[Total]{URL: url})
	return app.Run(ctx)
}

func run(ctx context.Context, stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &server{bodies: map[string]string{}, holds: 2}
	web := &http.Server{Handler: s}
	defer web.Close()
	go web.Serve(listener)

	url := "http://" + listener.Addr().String() + "/totals"
	fmt.Fprintln(stdout, "first run:", archive(ctx, url))
	s.resize(10)
	if err := archive(ctx, url); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "second run: done")
	paths, bodies := s.all()
	for _, path := range paths {
		fmt.Fprintf(stdout, "\n%s\n%s", path, bodies[path])
	}
	return nil
}

func main() {
	program.Main(func(ctx context.Context, _ []string, stdout, _ io.Writer) error { return run(ctx, stdout) })
}
