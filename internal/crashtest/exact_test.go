package crashtest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/internal/crashpoint"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
	"github.com/godstream/godstream/stream"
)

// totals is a program that reads tweets from Kafka and writes to Kafka, in
// transactions, how many each author has sent so far.
func (s settings) totals(broker string) *stream.App {
	app := stream.New(stream.Config{Name: "crashtest", Interval: time.Second, Ticks: stream.Replay, Partitions: s.partitions, Workers: s.workers, SaveEvery: s.saveEvery})
	brokers := []string{broker}
	parsed, _ := stream.Decode(stream.From(app, kafka.Source(kafka.Config{Brokers: brokers}, "tweets")), codec.JSON[tweet]())
	counts := stream.UpdateStateByKey(stream.KeyBy(parsed, func(t tweet) string { return t.Author }), func(sent []tweet, n stream.Opt[int]) stream.Opt[int] {
		return stream.Some(n.Value + len(sent))
	})
	out := kafka.Sink(kafka.SinkConfig{Brokers: brokers, Topic: "totals", Transactional: true}, func(p stream.Pair[string, int]) (kafka.Message, error) {
		return kafka.Message{Key: []byte(p.Key), Value: []byte(strconv.Itoa(p.Value))}, nil
	})
	stream.To(counts, out, stream.Name("totals"))
	return app
}

// wantTotals is what has to be in the topic "totals", each once.
func wantTotals() (want []string) {
	all, sent := tweets(), map[string]int{}
	for at := all[0].At/1000 + 1; len(all) > 0; at++ {
		for len(all) > 0 && all[0].At < at*1000 {
			sent[all[0].Author]++
			all = all[1:]
		}
		for author, n := range sent {
			want = append(want, fmt.Sprint(at, " ", author, " ", n))
		}
	}
	slices.Sort(want)
	return want
}

// readTotals is what a reader of committed records finds there.
func readTotals(t *testing.T, broker string) (got []string) {
	app := stream.New(stream.Config{Ticks: stream.Replay, Interval: time.Second, Logger: slog.New(slog.DiscardHandler)})
	stream.ForEach(stream.From(app, kafka.Source(kafka.Config{Brokers: []string{broker}}, "totals")), func(r kafka.Record) error {
		got = append(got, fmt.Sprint(r.Timestamp.Unix(), " ", string(r.Key), " ", string(r.Value)))
		return nil
	})
	require.NoError(t, app.Run(context.Background()))
	slices.Sort(got)
	return got
}

// TestKilledAtRandomInstantsWithTransactions kills programs whose broker lives on:
// at each place in the life of a batch, and then anywhere. Each total is in the
// topic once.
func TestKilledAtRandomInstantsWithTransactions(t *testing.T) {
	want, budget, rng := howOften(t, 20)
	var text strings.Builder
	for _, t := range tweets() {
		fmt.Fprintf(&text, "{\"author\":%q,\"text\":%q,\"at\":%d}\n", t.Author, t.Text, t.At)
	}
	begin, length := time.Now(), time.Second // how long a run takes
	kills, runs, places := 0, 0, slices.Clone(crashpoint.OfBatch)
	for ; kills < want && time.Since(begin) < budget; runs++ {
		broker, err := embedded.Start(embedded.Config{Topics: map[string]int{"tweets": 2, "totals": 2}})
		require.NoError(t, err)
		_, err = broker.Load(context.Background(), "tweets", strings.NewReader(text.String()), embedded.TimestampField("at"))
		require.NoError(t, err)
		t.Setenv("CRASHTEST_BROKER", broker.Addrs()[0])
		dir := t.TempDir()
		var story []string
		for reached := false; !reached; {
			s := settings{source: "broker", store: true, partitions: 1 + rng.IntN(4), workers: 1 + rng.IntN(3),
				saveEvery: []time.Duration{1, 5 * time.Millisecond, time.Hour}[rng.IntN(3)]}
			crash, after := "", time.Duration(rng.Float64()*float64(length))
			switch {
			case len(places) > 0:
				crash, after = fmt.Sprint(places[0], ":", 1+rng.IntN(4)), time.Hour
				places = places[1:]
			case len(story) > 15: // without a save between, it need not get any further
				after = time.Hour
			}
			story = append(story, fmt.Sprintf("%v: %s after %v", s, crash, after))
			p := start(t, dir, s, crash)
			p.until(t, began)
			at := time.Now()
			var killed bool
			if killed, reached = p.end(t, after, syscall.SIGKILL); killed {
				kills++
			} else {
				length = time.Since(at)
			}
		}
		got := readTotals(t, broker.Addrs()[0])
		require.Equal(t, wantTotals(), got, strings.Join(story, "; "))
		broker.Close()
	}
	t.Logf("%d kills in %d programs and %v", kills, runs, time.Since(begin).Round(time.Second))
	require.Positive(t, kills)
}

// The numbers of what is wanted, so that the test can't pass for want of batches.
func TestWantedTotals(t *testing.T) {
	want, of := wantTotals(), map[string]bool{}
	for _, line := range want {
		at, _, _ := strings.Cut(line, " ")
		of[at] = true
	}
	require.Greater(t, len(slices.Collect(maps.Keys(of))), 30)
}
