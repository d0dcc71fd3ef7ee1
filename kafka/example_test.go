package kafka_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// Offsets are committed by the output that knows when a batch is safe.
func ExampleCommits() {
	broker, err := embedded.Start(embedded.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()
	if _, err := broker.Load(context.Background(), "twitter", strings.NewReader("tea\nrye\ntea\n")); err != nil {
		fmt.Println(err)
		return
	}

	var commits kafka.Commits
	config := kafka.Config{Brokers: broker.Addrs(), Group: "tweets", Commits: &commits}
	app := stream.New(stream.Config{Interval: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	tweets := stream.From(app, kafka.Source(config, "twitter"))
	stream.ForEachBatch(tweets, func(ctx context.Context, at stream.BatchInfo, b batch.Batch[kafka.Record]) error {
		ranges := at.Ranges[0].Ranges
		if ranges[0].Until < 3 {
			return nil
		}
		err := commits.Commit(ctx, ranges) // or CommitAsync, which does not wait
		fmt.Println("committed", ranges[0].Partition, "up to", ranges[0].Until, err)
		stop()
		return err
	})
	if err := app.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// committed twitter/0 up to 3 <nil>
}

// A program gives the source to stream.From. Here it is read by hand, as an App
// does: as a replay, which ends where the topic ends.
func ExampleSource() {
	broker, err := embedded.Start(embedded.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()
	ctx := context.Background()
	if _, err := broker.Load(ctx, "twitter", strings.NewReader("tea\nrye\ntea\n")); err != nil {
		fmt.Println(err)
		return
	}

	tweets := kafka.Source(kafka.Config{Brokers: broker.Addrs(), Group: "tweets"}, "twitter")
	reader, err := tweets.Open(ctx, source.Options{Replay: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reader.Close()
	slice, err := reader.Cut(ctx, source.Request{Mode: source.Filled})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, part := range slice.Parts {
		for _, record := range part.Records {
			fmt.Println(record.Origin(), string(record.Value))
		}
		fmt.Println(part.Range.Partition, part.Range.From, part.Range.Until)
	}
	fmt.Println("end:", slice.End)
	// Output:
	// twitter/0@0 tea
	// twitter/0@1 rye
	// twitter/0@2 tea
	// twitter/0 0 3
	// end: true
}

// A cluster with certificates of a CA of its own, that wants one of the client, too,
// and a login.
func ExampleSCRAM512() {
	ca, err := os.ReadFile("ca.pem")
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	certificate, err := tls.LoadX509KeyPair("client.pem", "client.key")
	if err != nil {
		log.Fatal(err)
	}
	secure := kafka.Config{
		Brokers: []string{"kafka.example:9093"},
		TLS:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
		SASL:    kafka.SCRAM512("alice", os.Getenv("KAFKA_PASSWORD")),
	}
	tweets := kafka.Source(secure, "twitter")
	counts := kafka.Sink(kafka.SinkConfig{Brokers: secure.Brokers, Topic: "counts", TLS: secure.TLS, SASL: secure.SASL},
		kafka.Values(codec.JSON[int]().Encode))
	_, _ = tweets, counts
}

// What the fields have no word for goes through the client's settings, here an
// extension that comes with the token.
func ExampleConfig_client() {
	client := kafka.Defaults()
	client.Net.TLS.Enable = true // with the CAs of the machine
	client.Net.SASL.Enable = true
	client.Net.SASL.Mechanism = sarama.SASLTypeOAuth
	client.Net.SASL.TokenProvider = clusterTokens{}
	tweets := kafka.Source(kafka.Config{Brokers: []string{"kafka.example:9093"}, Client: client}, "twitter")
	_ = tweets
}

type clusterTokens struct{}

func (clusterTokens) Token() (*sarama.AccessToken, error) {
	return &sarama.AccessToken{Token: os.Getenv("KAFKA_TOKEN"), Extensions: map[string]string{"logicalCluster": "lkc-1"}}, nil
}
