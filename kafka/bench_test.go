package kafka_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

// BenchmarkSource reads records of 2 KB. The broker works in the same process.
func BenchmarkSource(b *testing.B) {
	const records = 100_000
	for _, partitions := range []int{1, 4} {
		b.Run(fmt.Sprint("partitions=", partitions), func(b *testing.B) {
			broker := start(b, map[string]int{"twitter": partitions})
			_, err := broker.Load(context.Background(), "twitter", strings.NewReader(strings.Repeat(strings.Repeat("x", 2000)+"\n", records)))
			require.NoError(b, err)
			b.SetBytes(2000)
			b.ReportAllocs()
			n := 0
			for n < b.N {
				r, err := kafka.Source(kafka.Config{Brokers: broker.Addrs()}, "twitter").Open(context.Background(), source.Options{Replay: true})
				require.NoError(b, err)
				for end := false; !end; {
					s, err := r.Cut(context.Background(), source.Request{Mode: source.Filled, MaxBytes: 8 << 20})
					require.NoError(b, err)
					for _, p := range s.Parts {
						n += len(p.Records)
					}
					end = s.End
				}
				require.NoError(b, r.Close())
			}
		})
	}
}
