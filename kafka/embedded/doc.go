// Package embedded is a Kafka broker inside the process, for examples, tests
// and laptops: nothing to install, nothing left behind.
//
//	broker, err := embedded.Start(embedded.Config{})
//	if err != nil {
//		return err
//	}
//	defer broker.Close()
//	loaded, err := broker.Load(ctx, "twitter", file, embedded.TimestampField("timestamp_ms"))
//	...
//	messages := stream.From(app, kafka.Source(kafka.Config{Brokers: broker.Addrs()}, "twitter"))
//
// It listens on 127.0.0.1 and speaks the Kafka protocol, transactions and
// consumer groups included, so any client can use it. All methods may be
// called concurrently.
//
// The promise that is easy to get wrong: everything is in memory. A topic
// takes as much of it as its records do, nothing expires, and Close forgets it
// all. [Broker.Pause] keeps the data.
package embedded
