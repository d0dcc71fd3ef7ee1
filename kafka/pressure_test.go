package kafka_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/bubble"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/stream"
)

// virtual is a network inside the process, on which a broker and its clients can
// have the clock of synctest.
type virtual struct{ *kfake.VirtualNetwork }

func (v virtual) Dial(network, addr string) (net.Conn, error) {
	return v.DialContext(context.Background(), network, addr)
}

// inBubble runs f with a broker that has the clock of synctest, and settings and a
// producer for it.
func inBubble(t *testing.T, partitions int32, f func(t *testing.T, client *sarama.Config, addrs []string, p *kgo.Client)) {
	t.Helper()
	embeddedOnly(t)
	bubble.Test(t, func(t *testing.T) {
		network := virtual{&kfake.VirtualNetwork{}}
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.SeedTopics(partitions, "twitter"), kfake.ListenFn(network.Listen))
		require.NoError(t, err)
		defer c.Close()
		p := producer(t, c.ListenAddrs(), kgo.Dialer(network.DialContext), kgo.DisableIdempotentWrite())
		defer p.Close()
		client := kafka.Defaults()
		client.Net.Proxy.Enable, client.Net.Proxy.Dialer = true, network
		f(t, client, c.ListenAddrs(), p)
	})
}

// overhead is about what a record takes besides its bytes.
const overhead = 200

// number is a value that begins with its number.
func number(n int64, size int) []byte {
	value := bytes.Repeat([]byte{'x'}, size)
	binary.BigEndian.PutUint64(value, uint64(n))
	return value
}

// The first batches after a time without the program are bounded without settings,
// and so is what is read ahead.
func TestBacklogComesInBoundedBatches(t *testing.T) {
	const (
		records, size   = 1500, 100_000
		batchBytes      = 64 << 20 // defaults
		prefetch        = 16 << 20
		partitions      = 3
		recordBytes     = size + overhead
		inSecondBatches = records - batchBytes/recordBytes
	)
	inBubble(t, partitions, func(t *testing.T, client *sarama.Config, addrs []string, p *kgo.Client) {
		for i := range int64(records) {
			produce(t, p, "twitter", int32(i%partitions), string(number(i, size)))
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		app := stream.New(stream.Config{Logger: quietly})
		s := stream.From(app, kafka.Source(kafka.Config{Brokers: addrs, Client: client}, "twitter"))
		var batches []int
		var lags []int64
		seen := 0
		stream.ForEachBatch(s, func(_ context.Context, _ stream.BatchInfo, b batch.Batch[kafka.Record]) error {
			n := len(batch.Collect(b))
			stats := app.Stats().Sources[0]
			require.LessOrEqual(t, stats.BufferedBytes, int64(batchBytes+prefetch+recordBytes))
			if n == 0 {
				return nil
			}
			batches, lags = append(batches, n), append(lags, stats.Lag)
			if seen += n; seen == records {
				stop()
			}
			return nil
		})
		require.NoError(t, app.Run(ctx))
		require.Equal(t, records, seen)
		require.InDelta(t, batchBytes/recordBytes, batches[0], partitions, "as much as a batch may hold")
		for _, n := range batches {
			require.LessOrEqual(t, n, batchBytes/recordBytes)
		}
		require.InDelta(t, inSecondBatches, lags[0], partitions, "when the first batch runs")
		require.IsDecreasing(t, lags)
		require.Zero(t, lags[len(lags)-1])
	})
}

// A program is slower than what arrives for a while. Nothing piles up in it but in
// Kafka, which shows as lag; when it is fast again, it catches up.
func TestSlowerThanWhatArrives(t *testing.T) {
	const (
		second     = 1000 // records arrive
		size       = 1000
		batchBytes = 1500 * (size + overhead)
		prefetch   = 100 * (size + overhead)
		slow       = 2 * time.Millisecond // a record
		fast       = 200 * time.Microsecond
		slowFor    = 60 * time.Second
		most       = batchBytes + prefetch + 2*(size+overhead)
	)
	for name, backpressure := range map[string]bool{"by size alone": false, "with backpressure": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, func(t *testing.T, client *sarama.Config, addrs []string, p *kgo.Client) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				app := stream.New(stream.Config{Backpressure: backpressure, MaxBatchBytes: batchBytes, Prefetch: prefetch, Logger: quietly})
				s := stream.From(app, kafka.Source(kafka.Config{Brokers: addrs, Client: client}, "twitter"))

				var produced atomic.Int64
				arrive := func() { // three of four go to one partition
					var some []*kgo.Record
					for range second / 20 {
						n := produced.Add(1) - 1
						some = append(some, &kgo.Record{Topic: "twitter", Partition: int32(n % 4 / 3), Value: number(n, size)})
					}
					assert.NoError(t, p.ProduceSync(context.Background(), some...).FirstErr())
				}
				done := make(chan struct{})
				began := time.Now()
				go func() {
					defer close(done)
					tick := time.NewTicker(time.Second / 20)
					defer tick.Stop()
					for {
						select {
						case <-tick.C:
							arrive()
							if b := app.Stats().Sources; len(b) > 0 {
								assert.LessOrEqual(t, b[0].BufferedBytes, int64(most))
							}
						case <-ctx.Done():
							return
						}
					}
				}()

				type result struct {
					at          time.Duration
					records     int
					took        time.Duration
					lag, behind int64
				}
				var results []result
				var seen int64
				next := map[int32]int64{}
				stream.ForEachBatch(s, func(_ context.Context, _ stream.BatchInfo, b batch.Batch[kafka.Record]) error {
					at, n := time.Since(began), 0
					for r := range b.All() {
						require.Equal(t, next[r.Partition], r.Offset)
						next[r.Partition]++
						n++
					}
					seen += int64(n)
					took := time.Duration(n) * fast
					if at < slowFor {
						took = time.Duration(n) * slow
					}
					time.Sleep(took)
					results = append(results, result{at, n, took, app.Stats().Sources[0].Lag, produced.Load() - seen})
					if at > slowFor+90*time.Second {
						stop()
					}
					return nil
				})
				require.NoError(t, app.Run(ctx))
				<-done

				var slowOnes, lateOnes []result
				for _, r := range results {
					require.LessOrEqual(t, r.records*(size+overhead), batchBytes)
					switch {
					case r.at > 20*time.Second && r.at < slowFor:
						slowOnes = append(slowOnes, r)
					case r.at > slowFor+80*time.Second:
						lateOnes = append(lateOnes, r)
					}
				}
				require.NotEmpty(t, slowOnes)
				for _, r := range slowOnes {
					if backpressure {
						require.InDelta(t, 1, r.took.Seconds(), 0.2, "batches take about the interval: %v", r)
					} else {
						require.InDelta(t, batchBytes/(size+overhead), r.records, 2, "as much as a batch may hold: %v", r)
					}
					require.LessOrEqual(t, r.lag, r.behind)
					cut := int64(3 * r.records) // two batches that wait, and it may be larger at first
					require.GreaterOrEqual(t, r.lag, r.behind-cut-2*second, "but for what is cut, and what has arrived since it was asked for: %v", r)
				}
				first, last := slowOnes[0], slowOnes[len(slowOnes)-1]
				require.InDelta(t, second/2*(last.at-first.at).Seconds(), last.lag-first.lag, 3*second, "half of what arrives")
				require.NotEmpty(t, lateOnes)
				for _, r := range lateOnes {
					require.InDelta(t, second, r.records, second/10, "what arrives, and no more")
					require.LessOrEqual(t, r.lag, int64(second/2), "what has arrived since the batch was cut")
				}
			})
		})
	}
}
