package kafka_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
	"github.com/godstream/godstream/source"
)

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
