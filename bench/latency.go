package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/codec/fastjson"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/stream"
)

// latency: W1 live, while tweets arrive: how long after a tweet was sent the count
// of its batch is there. The key of a tweet is the time at which it was sent.
func init() {
	register("latency", "ours", latency{}.ours)
	commands["send"] = send
	commands["delays"] = delays
}

type latency struct {
	brokers, topic string
	interval, warm time.Duration
	length         time.Duration
}

func (l latency) ours(args []string) (Result, error) {
	if err := flags("latency", args, func(s *flag.FlagSet) {
		s.StringVar(&l.brokers, "brokers", "", "addresses of brokers, separated by commas, to which go run ./bench send sends")
		s.StringVar(&l.topic, "topic", "live", "topic")
		s.DurationVar(&l.interval, "interval", time.Second, "interval")
		s.DurationVar(&l.warm, "warm", 5*time.Second, "what is left out at the beginning")
		s.DurationVar(&l.length, "length", 20*time.Second, "how long to measure")
	}); err != nil {
		return Result{}, err
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	config := settings("latency")
	config.Ticks, config.Interval, config.MaxBatchBytes = stream.Live, l.interval, 512<<20
	app := stream.New(config)
	messages := stream.From(app, kafka.Source(kafka.Config{Brokers: strings.Split(l.brokers, ","), Start: kafka.Latest}, l.topic))
	parsed, _ := stream.Decode(messages, fastjson.JSON[w1Tweet]())
	authors := stream.Map(parsed, func(t w1Tweet) string { return t.User.ScreenName })
	var m meter
	var began, done time.Time
	var all []time.Duration
	distinct := 0
	stream.ForEachBatch(stream.CountByValue(authors), func(_ context.Context, _ stream.BatchInfo, b batch.Batch[stream.Pair[string, int64]]) error {
		for range b.All() {
			distinct++
		}
		done = time.Now()
		return nil
	})
	stream.ForEachBatch(messages, func(_ context.Context, _ stream.BatchInfo, b batch.Batch[kafka.Record]) error {
		n := 0
		for r := range b.All() {
			n++
			if measured := !m.at.IsZero(); measured {
				all = append(all, done.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(r.Key)))))
			}
		}
		switch {
		case n == 0:
		case began.IsZero():
			began = done
		case !m.at.IsZero():
			m.lap(n)
			if done.Sub(began) > l.warm+l.length {
				end()
			}
		case done.Sub(began) > l.warm:
			m.start()
		}
		return nil
	})
	if err := app.Run(ctx); err != nil {
		return Result{}, err
	}
	if len(all) == 0 {
		return Result{}, errors.New("no tweet has come")
	}
	return m.result("godstream", "latency", "", map[string]any{
		"interval_ms": ms(l.interval), "delay_ms_p50": ms(quantile(all, .5)), "delay_ms_p99": ms(quantile(all, .99)), "delay_ms_max": ms(quantile(all, 1)),
		"ticks_merged": app.Stats().Merged,
	}), nil
}

// send sends tweets at a steady rate, or as fast as the brokers take them.
func send(args []string) error {
	var brokers, topic string
	var rate int
	var length time.Duration
	if err := flags("send", args, func(s *flag.FlagSet) {
		s.StringVar(&brokers, "brokers", "", "addresses, separated by commas")
		s.StringVar(&topic, "topic", "live", "topic")
		s.IntVar(&rate, "rate", 0, "tweets a second; 0: as many as go")
		s.DurationVar(&length, "length", time.Minute, "for how long")
	}); err != nil {
		return err
	}
	return sendTweets(brokers, topic, rate, length, nil)
}

// sendTweets sends until that is over, or enough is closed.
func sendTweets(brokers, topic string, rate int, length time.Duration, enough <-chan struct{}) error {
	producer, err := sarama.NewAsyncProducer(strings.Split(brokers, ","), producing())
	if err != nil {
		return err
	}
	t := newTweets()
	lines := make([]sarama.ByteEncoder, 2000)
	for i := range lines {
		lines[i] = t.line(i)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for now := began; now.Sub(began) < length; now = time.Now() {
		due := sent + 100
		if rate > 0 {
			<-tick.C
			due = int(float64(rate) * now.Sub(began).Seconds())
		}
		for ; sent < due; sent++ {
			key := binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano()))
			m := &sarama.ProducerMessage{Topic: topic, Partition: int32(sent % corpusPartitions), Key: sarama.ByteEncoder(key), Value: lines[sent%len(lines)]}
			select {
			case <-enough:
				return producer.Close()
			case producer.Input() <- m:
			case err := <-producer.Errors():
				return errors.Join(err, producer.Close())
			}
		}
	}
	return producer.Close()
}

// delays finds the rate at which program, brokers and sender are together as busy as
// they can be, and measures the delay at half of that.
func delays(args []string) error {
	var brokers string
	var rate int
	var length time.Duration
	if err := flags("delays", args, func(s *flag.FlagSet) {
		s.StringVar(&brokers, "brokers", "", "addresses of brokers; empty: one is started")
		s.IntVar(&rate, "rate", 0, "tweets a second; 0: half of what goes")
		s.DurationVar(&length, "length", 20*time.Second, "how long to measure with each interval")
	}); err != nil {
		return err
	}
	if brokers == "" {
		c, stop, err := startBroker(1)
		if err != nil {
			return err
		}
		defer func() { _ = stop() }()
		brokers = c.Brokers
	}
	if rate == 0 {
		r, err := delay(brokers, time.Second, length, 0)
		if err != nil {
			return err
		}
		fmt.Printf("at most %s tweets a second go, from sender to count\n\n", short(r.RecordsPerSec))
		rate = int(r.RecordsPerSec / 2)
	}
	fmt.Printf("| interval | tweets/s | delay ms p50 | p99 | most | CPU µs a tweet | ticks merged |\n|---|---|---|---|---|---|---|\n")
	for _, interval := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond} {
		r, err := delay(brokers, interval, length, rate)
		if err != nil {
			return fmt.Errorf("interval %v: %w", interval, err)
		}
		fmt.Printf("| %v | %s | %s | %s | %s | %s | %v |\n", interval, short(r.RecordsPerSec),
			short(r.number("delay_ms_p50")), short(r.number("delay_ms_p99")), short(r.number("delay_ms_max")), short(cpuPerRecord.of(r)), r.Extra["ticks_merged"])
	}
	return nil
}

// delay measures one, with a sender and a program that are processes of their own.
func delay(brokers string, interval, length time.Duration, rate int) (r Result, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	topic := fmt.Sprintf("live-%d-%d-%d", interval.Milliseconds(), rate, time.Now().UnixNano())
	if err := makeTopic(brokers, topic); err != nil {
		return r, err
	}
	sender := exec.Command(self, "send", "-brokers", brokers, "-topic", topic, "-rate", fmt.Sprint(rate), "-length", "1h")
	sender.Stderr = os.Stderr
	if err := sender.Start(); err != nil {
		return r, err
	}
	defer func() {
		_ = sender.Process.Kill()
		_ = sender.Wait()
	}()
	r, _, err = ours("latency", fmt.Sprintf("-brokers %s -topic %s -interval %v -length %v", brokers, topic, interval, length)).run(place{})
	return r, err
}
