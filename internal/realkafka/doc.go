// Package realkafka runs Apache Kafka itself, for tests: one broker or three,
// processes on this machine, from the jars of Maven Central. It needs Java 17 or
// later and Maven.
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(realkafka.Main(m)) }
//
//	func TestReading(t *testing.T) {
//		realkafka.Need(t)
//		brokers := realkafka.Shared(t) // one broker for all tests that change nothing of it
//		...
//	}
//
//	func TestLossOfABroker(t *testing.T) {
//		realkafka.Need(t)
//		c := realkafka.Start(t, realkafka.Config{Brokers: 3})
//		...
//		c.Kill(1)
//		...
//		c.Restart(1)
//	}
//
// Tests with a shared broker use names of topics, groups and transactional ids
// that no other test uses, also when they run twice.
//
// Whether such tests run says the environment: GODSTREAM_KAFKA=real runs them,
// and a broker that can't be had is a failure; without it they are skipped.
package realkafka
