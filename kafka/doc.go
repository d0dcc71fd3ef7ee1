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
// ones are not seen. Package embedded is a broker inside the process, to try
// things with.
//
// Sink writes a stream to a topic, with [SinkConfig.Transactional] exactly once.
//
// With [Config.Shared], copies of a program share the partitions as members of a
// consumer group:
//
//	raw := stream.From(app, kafka.Source(kafka.Config{Brokers: brokers, Group: "cleaners", Shared: true}, "twitter"))
//	clean := stream.Filter(raw, isClean)
//	stream.To(clean, kafka.Sink(kafka.SinkConfig{Brokers: brokers, Topic: "clean", Transactional: true}, message))
//
// [Config.TLS] and [Config.SASL] are for clusters that want them; [Config.Client]
// has them too, and everything else that the client can be told:
//
//	secure := kafka.Config{
//		Brokers: []string{"kafka.example:9093"},
//		TLS:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
//		SASL:    kafka.SCRAM512("alice", os.Getenv("KAFKA_PASSWORD")),
//	}
//
// A login that is refused fails Open, with the broker, the way and the user. While
// reading it is logged and tried again, as a broker that is away is, and a Write of
// a sink fails when its time is over. Passwords and tokens are in no error, log,
// plan or checkpoint.
//
// What can go wrong while a source reads, and what it does:
//
//   - A broker is away, restarts, or is no longer the leader: it tries again every
//     Client.Consumer.Retry.Backoff (1 s), for ever, or gives up with an error after
//     Client.Consumer.Retry.Max attempts in a row. It is logged when it begins and
//     when it ends, and counted in source.Stats. Nothing is lost or comes twice by it.
//   - Offsets are gone through retention: what [Config.OnLost] says.
//   - The topic was truncated or made anew, so that it ends before the next offset:
//     an [OutOfRangeError], after ConnectTimeout, for a new leader may not know at first.
//   - The topic was deleted: an error, after ConnectTimeout; one that matched
//     Config.Pattern is left out, which is logged.
//   - Records that can't be decoded (an unknown compression, a wrong checksum): an
//     error with the offset.
//   - A record larger than a fetch is fetched all the same, unless
//     Client.Consumer.Fetch.Max is set and it is larger than that: an error.
//
// The promise that is easy to get wrong: offsets that a group has committed say
// where to begin when nothing else does; they are not a checkpoint. A program
// that is killed reads what it had not committed again. With a checkpoint, the
// positions in it count.
package kafka
