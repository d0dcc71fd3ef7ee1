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
//
// It is one broker without replicas. What else is different from Apache Kafka:
//
//   - What a transaction has written is seen when it ends; in Kafka a moment later,
//     when markers have been written. A program that begins to replay at once may
//     find that the topic ends before them.
//   - Asked for the offsets of a group that has committed nothing it says that there
//     is no such group, by which the OffsetManager of sarama, for one, fails. A
//     kafka.Source sees no offsets, as in Kafka.
//   - A topic that is compacted begins at its first record that is left; in Kafka it
//     begins where it began.
//   - It refuses what a producer sends after an aborted transaction, sometimes; Kafka
//     does not.
package embedded
