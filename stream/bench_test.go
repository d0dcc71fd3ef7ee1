package stream_test

import (
	"testing"

	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
	"github.com/godstream/godstream/stream/streamtest"
)

// BenchmarkEmptyBatch is what a batch costs that has nothing in it, with ten
// operators and an output.
func BenchmarkEmptyBatch(b *testing.B) {
	app := streamtest.New(stream.Config{Partitions: 4, Workers: 2})
	s := stream.From(app, source.Queue(make([][]int, b.N)...))
	for range 8 {
		s = stream.Map(s, func(i int) int { return i + 1 })
	}
	counts := stream.SortBy(stream.CountByValue(s), stream.ByKey)
	stream.ForEach(counts, func(stream.Pair[int, int64]) error { return nil })
	b.ReportAllocs()
	b.ResetTimer()
	streamtest.Run(b, app)
}

// BenchmarkCountByValue is a whole program: map, filter, countByValue over
// batches of 100,000 numbers.
func BenchmarkCountByValue(b *testing.B) {
	numbers := make([]int, 100_000)
	for i := range numbers {
		numbers[i] = i * 2654435761 % 10_007
	}
	batches := make([][]int, b.N)
	for i := range batches {
		batches[i] = numbers
	}
	app := streamtest.New(stream.Config{Partitions: 1, Workers: 1})
	s := stream.From(app, source.Queue(batches...))
	even := stream.Filter(stream.Map(s, func(i int) int { return i + 1 }), func(i int) bool { return i%2 == 0 })
	stream.ForEach(stream.Count(stream.CountByValue(even)), func(int64) error { return nil })
	b.ResetTimer()
	streamtest.Run(b, app)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(numbers)), "ns/elem")
}
