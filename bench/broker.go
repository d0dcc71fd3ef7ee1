package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/IBM/sarama"

	"github.com/godstream/godstream/kafka/embedded"
)

func init() {
	commands["broker"] = broker
	commands["load"] = load
}

// corpus says where tweets are.
type corpus struct {
	Brokers string `json:"brokers"`
	Topic   string `json:"topic"`
	Records int    `json:"records"`
}

const corpusPartitions = 4

// broker runs a broker inside this process, with tweets, until its input ends.
func broker(args []string) error {
	c := corpus{Topic: "twitter"}
	port := 0
	err := flags("broker", args, func(s *flag.FlagSet) {
		s.IntVar(&c.Records, "n", 200_000, "tweets")
		s.IntVar(&port, "port", 0, "where it listens; 0: anywhere")
	})
	if err != nil {
		return err
	}
	b, err := embedded.Start(embedded.Config{Topics: map[string]int{c.Topic: corpusPartitions}, Port: port})
	if err != nil {
		return err
	}
	defer b.Close()
	r, w := io.Pipe()
	go func() { w.CloseWithError(newTweets().write(w, c.Records)) }()
	if _, err := b.Load(context.Background(), c.Topic, r); err != nil {
		return errors.Join(err, r.Close())
	}
	c.Brokers = strings.Join(b.Addrs(), ",")
	if err := json.NewEncoder(os.Stdout).Encode(c); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startBroker runs [broker] in a process of its own.
func startBroker(records int) (c corpus, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return c, nil, err
	}
	command := exec.Command(self, "broker", "-n", fmt.Sprint(records))
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return c, nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return c, nil, err
	}
	if err := command.Start(); err != nil {
		return c, nil, err
	}
	stop = func() error { return errors.Join(in.Close(), command.Wait()) }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c)
	}
	if err != nil {
		return c, nil, errors.Join(fmt.Errorf("start a broker: %w", err), stop())
	}
	return c, stop, nil
}

// tweetsAtBroker runs [broker] in a process of its own, until stop.
func tweetsAtBroker(records int) (at place, stop func(), err error) {
	c, end, err := startBroker(records)
	if err != nil {
		return at, nil, err
	}
	return place{brokers: c.Brokers, topic: c.Topic, records: c.Records}, func() {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: stop the broker:", err)
		}
	}, nil
}

// load puts tweets into a topic of brokers that run already, tweet i into
// partition i mod 4.
func load(args []string) error {
	c := corpus{}
	err := flags("load", args, func(s *flag.FlagSet) {
		s.StringVar(&c.Brokers, "brokers", "", "addresses, separated by commas")
		s.StringVar(&c.Topic, "topic", "twitter", "topic, which is made")
		s.IntVar(&c.Records, "n", 200_000, "tweets")
	})
	if err != nil {
		return err
	}
	if err := makeTopic(c.Brokers, c.Topic); err != nil {
		return err
	}
	config := producing()
	config.Producer.Return.Successes = true
	config.Producer.Flush.Bytes = 900_000
	producer, err := sarama.NewSyncProducer(strings.Split(c.Brokers, ","), config)
	if err != nil {
		return err
	}
	defer producer.Close()
	t := newTweets()
	const together = 2000
	for i := 0; i < c.Records; {
		var messages []*sarama.ProducerMessage
		for ; len(messages) < together && i < c.Records; i++ {
			messages = append(messages, &sarama.ProducerMessage{Topic: c.Topic, Partition: int32(i % corpusPartitions), Value: sarama.ByteEncoder(t.line(i))})
		}
		if err := producer.SendMessages(messages); err != nil {
			return fmt.Errorf("load tweets up to %d: %w", i, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}

// producing is what producers of tweets have in common.
func producing() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.V2_1_0_0
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.RequiredAcks = sarama.WaitForAll
	return config
}

func makeTopic(brokers, topic string) error {
	admin, err := sarama.NewClusterAdmin(strings.Split(brokers, ","), producing())
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: corpusPartitions, ReplicationFactor: 1}, false); err != nil {
		return fmt.Errorf("make topic %s: %w", topic, err)
	}
	return nil
}
