// Package kafka reads streams from Kafka topics, and writes them to topics.
//
//	messages := stream.From(app, kafka.Source(kafka.Config{
//		Brokers: []string{"localhost:9092"},
//		Group:   "tweets",
//	}, "twitter"))
//	texts := stream.Map(messages, func(r kafka.Record) string { return string(r.Value) })
//
// Each partition of the topics is a partition of the stream, in the order of
// the topics and then of the numbers, and its records come in the order of
// their offsets. Transactions are respected: records of open and of aborted
// ones are not seen. A broker that goes away and comes back is logged; nothing
// is lost and nothing comes twice by it. Package embedded is a broker inside
// the process, to try things with.
//
// Sink writes a stream to a topic, with [SinkConfig.Transactional] exactly once.
//
// TLS, SASL and everything else that the client can be told goes through
// [Config.Client]:
//
//	client := kafka.Defaults()
//	client.Net.TLS.Enable = true
//
// The promise that is easy to get wrong: offsets that a group has committed say
// where to begin when nothing else does; they are not a checkpoint. A program
// that is killed reads what it had not committed again. With a checkpoint, the
// positions in it count.
package kafka
