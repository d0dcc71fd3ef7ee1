package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

func TestStart(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	p := producer(t, b.Addrs())
	noon := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	for i, v := range numbered("a", 6) {
		require.NoError(t, p.ProduceSync(context.Background(), &kgo.Record{Topic: "twitter", Value: []byte(v), Timestamp: noon.Add(time.Duration(i) * time.Minute)}).FirstErr())
	}
	commit(t, b.Addrs(), "reader", source.Range{Partition: "twitter/0", Until: 4})

	tests := map[string]struct {
		config kafka.Config
		want   int64
	}{
		"nothing set":                          {want: 0},
		"committed":                            {config: kafka.Config{Group: "reader"}, want: 4},
		"nothing committed":                    {config: kafka.Config{Group: "other"}, want: 0},
		"nothing committed, else the latest":   {config: kafka.Config{Group: "other", Start: kafka.CommittedOrLatest}, want: 6},
		"committed, else the latest":           {config: kafka.Config{Group: "reader", Start: kafka.CommittedOrLatest}, want: 4},
		"no group, else the latest":            {config: kafka.Config{Start: kafka.CommittedOrLatest}, want: 6},
		"earliest whatever was committed":      {config: kafka.Config{Group: "reader", Start: kafka.Earliest}, want: 0},
		"latest whatever was committed":        {config: kafka.Config{Group: "reader", Start: kafka.Latest}, want: 6},
		"since a record's time":                {config: kafka.Config{Since: noon.Add(2 * time.Minute)}, want: 2},
		"since a time between two records":     {config: kafka.Config{Since: noon.Add(2*time.Minute + 1)}, want: 2}, // Kafka counts milliseconds
		"since a later time between two":       {config: kafka.Config{Since: noon.Add(2*time.Minute + time.Millisecond)}, want: 3},
		"since after the last record":          {config: kafka.Config{Since: noon.Add(time.Hour)}, want: 6},
		"since before the first":               {config: kafka.Config{Since: noon.Add(-time.Hour)}, want: 0},
		"since whatever the group's offset is": {config: kafka.Config{Group: "reader", Since: noon.Add(time.Minute)}, want: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.config.Brokers = b.Addrs()
			r := open(t, kafka.Source(test.config, "twitter"), source.Options{Replay: true})
			got, ranges := all(t, r)
			require.Equal(t, numbered("a", 6)[test.want:], values(got))
			require.Equal(t, map[string]source.Range{"twitter/0": {Partition: "twitter/0", From: test.want, Until: 6}}, ranges)
		})
	}
}

// commit opens a source, commits and closes it.
func commit(t *testing.T, addrs []string, group string, ranges ...source.Range) {
	t.Helper()
	r, err := kafka.Source(kafka.Config{Brokers: addrs, Group: group}, "twitter").Open(context.Background(), source.Options{})
	require.NoError(t, err)
	require.NoError(t, r.Commit(context.Background(), ranges))
	require.NoError(t, r.Close())
}

func TestCommittedPositionsAreWhereTheNextRunBegins(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2})
	p := producer(t, b.Addrs())
	produce(t, p, "twitter", 0, numbered("a", 3)...)
	produce(t, p, "twitter", 1, numbered("b", 3)...)
	s := kafka.Source(kafka.Config{Brokers: b.Addrs(), Group: "tweets"}, "twitter")

	first, err := s.Open(context.Background(), source.Options{})
	require.NoError(t, err)
	read(t, first, 6)
	for until := int64(1); until <= 2; until++ { // the newer of several wins
		require.NoError(t, first.Commit(context.Background(), []source.Range{
			{Partition: "twitter/0", From: 0, Until: until}, {Partition: "twitter/1", From: 0, Until: 3},
		}))
	}
	require.ErrorContains(t, first.Commit(context.Background(), []source.Range{{Partition: "news/7", Until: 3}}), "news/7")
	require.NoError(t, first.Close())
	require.NoError(t, first.Close(), "closing twice is allowed")

	produce(t, p, "twitter", 1, "b3")
	second := open(t, s, source.Options{})
	require.ElementsMatch(t, []string{"a2", "b3"}, values(read(t, second, 2)))
}

func TestLatestSeesOnlyWhatArrivesAfterOpen(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	p := producer(t, b.Addrs())
	produce(t, p, "twitter", 0, "before")
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Start: kafka.Latest}, "twitter"), source.Options{})
	produce(t, p, "twitter", 0, "after")
	require.Equal(t, []string{"after"}, values(read(t, r, 1)))
}

func TestRangesAreReadExactlyAndEnd(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 2, "news": 1})
	p := producer(t, b.Addrs())
	produce(t, p, "twitter", 0, numbered("a", 5)...)
	produce(t, p, "twitter", 1, numbered("b", 5)...)
	produce(t, p, "news", 0, numbered("n", 5)...)

	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Ranges: []kafka.Range{
		{Topic: "twitter", Partition: 1, From: 1, Until: 3},
		{Topic: "news", Partition: 0, From: 4, Until: 5},
		{Topic: "twitter", Partition: 0, From: 2, Until: 2},
	}}), source.Options{})
	got, ranges := all(t, r)
	require.Equal(t, []string{"b1", "b2", "n4"}, values(got), "in the order of the ranges")
	require.Equal(t, map[string]source.Range{
		"twitter/1": {Partition: "twitter/1", From: 1, Until: 3},
		"news/0":    {Partition: "news/0", From: 4, Until: 5},
		"twitter/0": {Partition: "twitter/0", From: 2, Until: 2},
	}, ranges)

	beyond := kafka.Source(kafka.Config{Brokers: b.Addrs(), Ranges: []kafka.Range{
		{Topic: "news", Partition: 0, From: 2, Until: 6}, {Topic: "twitter", Partition: 1, From: 0, Until: 9},
	}})
	_, err := beyond.Open(context.Background(), source.Options{})
	require.ErrorContains(t, err, "range news/0[2,6): the partition ends at 5")
	require.ErrorContains(t, err, "range twitter/1[0,9): the partition ends at 5")
}
