package stream_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// event is a record of a test source: a value at a time, in seconds.
type event struct {
	value string
	at    float64 // negative: it has no time
}

func (e event) Payload() []byte { return []byte(e.value) }
func (e event) Origin() string  { return "test@" + e.value }

// history is a source of events that are all there when it is opened; a
// partition each. In a replay it ends with the last of them.
type history struct {
	parts  [][]event
	commit func([]source.Range)
	feed   func(ctx context.Context, b *source.Buffer[event]) // fills the buffer instead, until ctx ends
}

func (h history) String() string { return "history" }

func (h history) Open(_ context.Context, o source.Options) (source.Reader[event], error) {
	r := &historyReader{Buffer: source.NewBuffer[event](o), history: h}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	if h.feed != nil {
		r.wait.Go(func() { h.feed(ctx, r.Buffer) })
	}
	for p, events := range h.parts {
		f := r.Feed(string(rune('a'+p)), 0)
		r.wait.Go(func() {
			defer f.End()
			for i, e := range events {
				var at time.Time
				if e.at >= 0 {
					at = time.UnixMilli(int64(e.at * 1000))
				}
				if f.Put(e, int64(i+1), len(e.value), at) != nil {
					return
				}
			}
		})
	}
	return r, nil
}

type historyReader struct {
	*source.Buffer[event]
	history
	wait   sync.WaitGroup
	cancel context.CancelFunc
}

func (r *historyReader) Commit(_ context.Context, done []source.Range) error {
	if r.commit != nil {
		r.commit(done)
	}
	return nil
}

func (r *historyReader) Close() error {
	r.Shut()
	r.cancel()
	r.wait.Wait()
	return nil
}

func values(s stream.Stream[event]) stream.Stream[string] {
	return stream.Map(s, func(e event) string { return e.value })
}
