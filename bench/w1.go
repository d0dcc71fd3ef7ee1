package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	goccy "github.com/goccy/go-json"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/codec/fastjson"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/stream"
)

// W1: tweets from Kafka, in JSON, counted by author batch after batch. It needs a
// broker: go run ./bench broker starts one and fills it, go run ./bench load fills
// another.
func init() {
	register("W1", "ours", w1{}.ours)
	register("W1", "loop", w1{}.loop)
}

type w1 struct {
	brokers, topic, truth string
	records, partitions   int
	decoder               string
	fetch, buffer         int
	batch, prefetch       int64
}

// w1Tweet is the part of a tweet that is decoded.
type w1Tweet struct {
	User struct {
		ScreenName string `json:"screen_name"`
	} `json:"user"`
}

func (w *w1) parse(args []string) error {
	err := flags("W1", args, func(s *flag.FlagSet) {
		s.StringVar(&w.brokers, "brokers", "", "addresses of brokers, separated by commas")
		s.StringVar(&w.topic, "topic", "twitter", "topic")
		s.IntVar(&w.records, "n", 200_000, "records to read, a like number of each partition")
		s.IntVar(&w.partitions, "partitions", 4, "partitions of the topic")
		s.StringVar(&w.truth, "truth", "", "file with what a right count finds: records, valid, invalid, distinct, top_author, top_count")
		s.StringVar(&w.decoder, "decoder", "fast", "ours: fast is codec/fastjson, std is codec.JSON")
		s.Int64Var(&w.batch, "batch", 0, "ours: MaxBatchBytes; 0 is the default")
		s.Int64Var(&w.prefetch, "prefetch", 0, "ours: Prefetch; 0 is the default")
		s.IntVar(&w.fetch, "fetch", 0, "bytes that a fetch asks of a partition; 0: 8 MiB for the loop, what kafka.Defaults has for ours")
		s.IntVar(&w.buffer, "buffer", 0, "records that the client may have waiting for each partition; 0: 30,000 for the loop, what kafka.Defaults has for ours")
	})
	if err == nil && w.brokers == "" {
		err = errors.New("it needs -brokers: go run ./bench broker starts one")
	}
	return err
}

// tune sets what the flags say, or else these.
func (w *w1) tune(c *sarama.Config, fetch, buffer int) {
	c.Consumer.Fetch.Default = int32(cmp.Or(w.fetch, fetch))
	c.ChannelBufferSize = cmp.Or(w.buffer, buffer)
}

// until is the offset at which a partition ends.
func (w *w1) until(p int) int64 {
	n := w.records / w.partitions
	if p < w.records%w.partitions {
		n++
	}
	return int64(n)
}

// tally is what all batches have counted.
type tally struct {
	authors map[string]int64
	valid   int64
	invalid int64
}

func (t *tally) String() string {
	top, most := "", int64(0)
	for a, n := range t.authors {
		if n > most || n == most && a < top {
			top, most = a, n
		}
	}
	return fmt.Sprintf("valid=%d invalid=%d distinct=%d %s=%d", t.valid, t.invalid, len(t.authors), top, most)
}

// check compares a tally with the truth, if there is a file with it.
func (w *w1) check(t *tally) (string, error) {
	if w.truth == "" {
		return t.String(), nil
	}
	data, err := os.ReadFile(w.truth)
	if err != nil {
		return "", err
	}
	var want struct {
		Valid, Invalid, Distinct int64
		TopAuthor                string `json:"top_author"`
		TopCount                 int64  `json:"top_count"`
	}
	if err := json.Unmarshal(data, &want); err != nil {
		return "", fmt.Errorf("%s: %w", w.truth, err)
	}
	if is := fmt.Sprintf("valid=%d invalid=%d distinct=%d %s=%d", want.Valid, want.Invalid, want.Distinct, want.TopAuthor, want.TopCount); is != t.String() {
		return fmt.Sprintf("WRONG: %s, and not %s", t, is), nil
	}
	return "ok", nil
}

func (w w1) ours(args []string) (Result, error) {
	if err := w.parse(args); err != nil {
		return Result{}, err
	}
	var ranges []kafka.Range
	for p := range w.partitions {
		ranges = append(ranges, kafka.Range{Topic: w.topic, Partition: int32(p), Until: w.until(p)})
	}
	of := fastjson.JSON[w1Tweet]
	if w.decoder == "std" {
		of = codec.JSON[w1Tweet]
	}
	var m meter
	t := tally{authors: map[string]int64{}}
	n, here := 0, 0
	config := settings("W1")
	config.MaxBatchBytes, config.Prefetch = w.batch, w.prefetch
	app := stream.New(config)
	client := kafka.Defaults()
	w.tune(client, int(client.Consumer.Fetch.Default), client.ChannelBufferSize)
	messages := stream.From(app, kafka.Source(kafka.Config{Brokers: strings.Split(w.brokers, ","), Ranges: ranges, Client: client}))
	parsed, malformed := stream.Decode(messages, of())
	authors := stream.Map(parsed, func(t w1Tweet) string { return t.User.ScreenName })
	stream.ForEachBatch(stream.CountByValue(authors), func(_ context.Context, _ stream.BatchInfo, b batch.Batch[stream.Pair[string, int64]]) error {
		here = 0
		for p := range b.All() {
			t.authors[p.Key] += p.Value
			here += int(p.Value)
		}
		return nil
	})
	stream.ForEach(stream.Count(malformed), func(failed int64) error {
		t.valid += int64(here)
		t.invalid += failed
		switch n++; {
		case here+int(failed) == 0:
		case n == 1:
			m.start()
		default:
			m.lap(here + int(failed))
		}
		return nil
	})
	if err := app.Run(context.Background()); err != nil {
		return Result{}, err
	}
	check, err := w.check(&t)
	return m.result("godstream-"+w.decoder, "W1", check, map[string]any{"batches": len(m.batches)}), err
}

// loop reads each partition with a goroutine, for a second or 25,000 records, and
// adds up what they have counted.
func (w w1) loop(args []string) (Result, error) {
	if err := w.parse(args); err != nil {
		return Result{}, err
	}
	config := sarama.NewConfig()
	w.tune(config, 8<<20, 30_000)
	consumer, err := sarama.NewConsumer(strings.Split(w.brokers, ","), config)
	if err != nil {
		return Result{}, err
	}
	defer consumer.Close()
	parts := make([]sarama.PartitionConsumer, w.partitions)
	for p := range parts {
		if parts[p], err = consumer.ConsumePartition(w.topic, int32(p), sarama.OffsetOldest); err != nil {
			return Result{}, err
		}
		defer parts[p].AsyncClose()
	}
	var m meter
	t := tally{authors: map[string]int64{}}
	left := make([]int64, w.partitions)
	for p := range left {
		left[p] = w.until(p)
	}
	for batch := 0; t.valid+t.invalid < int64(w.records); batch++ {
		began := time.Now()
		deadline, cancel := context.WithDeadline(context.Background(), began.Add(time.Second))
		counts, failed := make([]map[string]int64, w.partitions), make([]int64, w.partitions)
		var wait sync.WaitGroup
		for p := range parts {
			wait.Go(func() {
				counts[p] = map[string]int64{}
				read, bad := countAuthors(parts[p].Messages(), min(25_000, left[p]), deadline.Done(), counts[p])
				left[p], failed[p] = left[p]-read, bad
			})
		}
		wait.Wait()
		cancel()
		all := counts[0]
		for _, c := range counts[1:] {
			for a, n := range c {
				all[a] += n
			}
		}
		took, records := time.Since(began), int64(0)
		for _, n := range failed {
			t.invalid += n
			records += n
		}
		for a, n := range all {
			t.authors[a] += n
			t.valid += n
			records += n
		}
		if batch == 0 {
			m.start()
		} else {
			m.batch(int(records), took)
		}
	}
	check, err := w.check(&t)
	return m.result("go-sarama-goccy", "W1", check, map[string]any{"batches": len(m.batches)}), err
}

// countAuthors takes so many messages, fewer if done comes first, and counts the
// authors of those that can be read.
func countAuthors(messages <-chan *sarama.ConsumerMessage, most int64, done <-chan struct{}, counts map[string]int64) (read, failed int64) {
	for ; read < most; read++ {
		var message *sarama.ConsumerMessage
		select {
		case message = <-messages:
		case <-done:
			return read, failed
		}
		var t w1Tweet
		if err := goccy.Unmarshal(message.Value, &t); err != nil {
			failed++
			continue
		}
		counts[t.User.ScreenName]++
	}
	return read, failed
}
