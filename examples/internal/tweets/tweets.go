// Package tweets is what the tweet examples share: where their tweets come
// from, and what of a tweet they use.
package tweets

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/codec/fastjson"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// Tweet is the part of a tweet that the examples use.
type Tweet struct {
	Text string `json:"text"`
	User struct {
		ScreenName string `json:"screen_name"`
	} `json:"user"`
}

// Codec reads tweets that say who wrote them.
func Codec() codec.Codec[Tweet] {
	return fastjson.JSON[Tweet]().Check(func(t Tweet) error {
		if t.User.ScreenName == "" {
			return errors.New("user.screen_name is missing")
		}
		return nil
	})
}

// Input is where tweets come from: a recording that is replayed through an
// embedded broker, or a Kafka cluster.
type Input struct {
	Brokers   string
	Topic     string
	Group     string
	Recording string
	Interval  time.Duration

	broker *embedded.Broker
}

// Flags declares the input's command-line flags.
func (in *Input) Flags(fs *flag.FlagSet, interval time.Duration) {
	fs.StringVar(&in.Brokers, "brokers", "", "`addresses` of a Kafka cluster to read until interrupted, separated by commas (default: a recording, replayed through a broker inside this program)")
	fs.StringVar(&in.Topic, "topic", "twitter", "`topic` to read")
	fs.StringVar(&in.Group, "group", "spark-streaming", "consumer `group` whose offsets are kept")
	fs.StringVar(&in.Recording, "recording", "", "`file` with a tweet in JSON a line, to replay instead of the one that comes with the program")
	fs.DurationVar(&in.Interval, "interval", interval, "`time` between batches")
}

// Config is how an App runs on this input: live on a cluster, by record time on
// a recording.
func (in *Input) Config(name string) stream.Config {
	c := stream.Config{Name: name, Interval: in.Interval, Ticks: stream.Replay}
	if in.Brokers != "" {
		c.Ticks = stream.Live
	}
	return c
}

// Source is the messages. Without -brokers it starts a broker and loads the
// recording, recorded unless the user names a file. Close the input afterwards.
func (in *Input) Source(ctx context.Context, recorded []byte) (source.Source[kafka.Record], error) {
	if in.Brokers != "" {
		return kafka.Source(kafka.Config{Brokers: strings.Split(in.Brokers, ","), Group: in.Group}, in.Topic), nil
	}
	var lines io.Reader = bytes.NewReader(recorded)
	if in.Recording != "" {
		f, err := os.Open(in.Recording)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		lines = f
	}
	broker, err := embedded.Start(embedded.Config{})
	if err != nil {
		return nil, err
	}
	in.broker = broker
	if _, err := broker.Load(ctx, in.Topic, lines, embedded.TimestampField("timestamp_ms")); err != nil {
		return nil, fmt.Errorf("load the recording: %w", err)
	}
	return kafka.Source(kafka.Config{Brokers: broker.Addrs(), Group: in.Group}, in.Topic), nil
}

// Close stops the broker that Source has started.
func (in *Input) Close() {
	if in.broker != nil {
		in.broker.Close()
	}
}
