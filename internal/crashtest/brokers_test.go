package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/internal/realkafka"
)

// Tweets are sent to Kafka while the program that counts them is killed at random
// instants, and so are brokers, one at a time. A reader of committed records finds
// each number of each author once, in order, and each malformed tweet once.
//
// GODSTREAM_TWEETS is how many tweets there are. Up to half as many brokers end as
// programs are killed.
func TestTweetsOfATopicOnce(t *testing.T) { exactlyOnce(t, "tweets") }

// The same tweets come in files, which are moved into a directory.
func TestTweetsOfFilesOnce(t *testing.T) { exactlyOnce(t, "files") }

const (
	rate = 4000 // tweets a second

	totalsParts, malformedParts = 4, 2 // partitions of the topics that are written
)

func exactlyOnce(t *testing.T, from string) {
	realkafka.Need(t)
	n := amount(t, "GODSTREAM_TWEETS", 100_000)
	kills, _, rng := howOften(t, 5)
	x := &experiment{T: t, rng: rng, from: from, began: time.Now(), over: make(chan struct{})}
	x.cluster = realkafka.Start(t, realkafka.Config{Brokers: 3})
	x.client = x.connect()
	x.topic("tweets", 6)
	x.topic("totals", totalsParts)
	x.topic("malformed", malformedParts)
	x.makeDir()
	t.Setenv("CRASHTEST_BROKER", strings.Join(x.cluster.Addrs(), ","))

	f := newFlow(rng.Uint64())
	lines := make([]string, n)
	for i := range lines {
		lines[i] = f.next()
	}
	long := time.Duration(n) * time.Second / rate
	instants, chance := x.instants((kills+1)/2, long*3/4), rand.New(rand.NewPCG(rng.Uint64(), 0))
	var others sync.WaitGroup
	t.Cleanup(others.Wait)
	x.began = time.Now()
	reading := x.read(f)
	others.Go(func() { x.send(lines) })
	others.Go(func() { x.endBrokers(instants, chance) })

	for _, at := range x.instants(kills, long) {
		p := x.start()
		killed, _ := p.end(t, time.Until(x.began.Add(at)), syscall.SIGKILL)
		require.True(t, killed, "it ended by itself: %s", &p.stderr)
		x.say("the program is killed")
	}
	p := x.start()
	limit, cancel := context.WithDeadline(t.Context(), x.began.Add(2*long+2*time.Minute))
	defer cancel()
	defer context.AfterFunc(limit, func() { reading.stop(limit.Err()) })()
	killed, _ := p.endWhen(t, reading.done, syscall.SIGTERM)
	require.False(t, killed)
	x.say("the program has stopped")
	close(x.over)
	others.Wait()
	reading.finish()
	require.Positive(t, x.ends, "no broker was killed")
	x.say("%d tweets of %d authors, %d malformed; %s; the longest silence was %v", n, len(f.sent), len(f.malformed), x.again(), reading.silence.Round(10*time.Millisecond))
}

// experiment is what happens around the program.
type experiment struct {
	*testing.T
	rng     *rand.Rand
	from    string
	dir     string
	cluster *realkafka.Cluster
	client  *kgo.Client
	began   time.Time
	over    chan struct{} // the program has stopped
	ends    int           // of brokers

	mu    sync.Mutex
	story []string
}

// makeDir makes the folder, which stays with the story if the test fails.
func (x *experiment) makeDir() {
	dir, err := os.MkdirTemp("", "crashtest-")
	require.NoError(x, err)
	x.dir = dir
	x.Cleanup(func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.Log(strings.Join(x.story, "\n"))
		if x.Failed() {
			x.Log("kept in " + dir)
		} else {
			os.RemoveAll(dir)
		}
	})
	require.NoError(x, os.Mkdir(filepath.Join(dir, "in"), 0o700))
	require.NoError(x, os.Mkdir(filepath.Join(dir, "unfinished"), 0o700))
}

func (x *experiment) say(format string, values ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.story = append(x.story, fmt.Sprintf("%8.3f  "+format, append([]any{time.Since(x.began).Seconds()}, values...)...))
}

// connect returns a client that is not the one of package kafka.
func (x *experiment) connect(opts ...kgo.Opt) *kgo.Client {
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(x.cluster.Addrs()...))...)
	require.NoError(x, err)
	x.Cleanup(c.Close)
	return c
}

func (x *experiment) topic(name string, partitions int32) {
	r, topic := kmsg.NewPtrCreateTopicsRequest(), kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 3
	r.Topics = append(r.Topics, topic)
	answer, err := r.RequestWith(x.Context(), x.client)
	require.NoError(x, err)
	require.Zero(x, answer.Topics[0].ErrorCode, answer.Topics[0].ErrorMessage)
}

// instants are random ones within a time, in order.
func (x *experiment) instants(n int, within time.Duration) (all []time.Duration) {
	for range n {
		all = append(all, time.Duration(x.rng.Float64()*float64(within)))
	}
	slices.Sort(all)
	return all
}

// start starts the program, with settings that must not show in what it writes.
func (x *experiment) start() *process {
	s := settings{source: x.from, store: true, partitions: 1 + x.rng.IntN(4), workers: 1 + x.rng.IntN(3),
		saveEvery: []time.Duration{1, time.Second, 10 * time.Second}[x.rng.IntN(3)]}
	p := start(x.T, x.dir, s, "")
	p.until(x.T, began)
	x.say("the program has started: %v", s)
	return p
}

// send sends the tweets, twenty portions a second.
func (x *experiment) send(lines []string) {
	const portions = 20
	tick := time.NewTicker(time.Second / portions)
	defer tick.Stop()
	i := 0
	for portion := range slices.Chunk(lines, rate/portions) {
		select {
		case <-tick.C:
		case <-x.Context().Done():
			return
		}
		i++
		if x.from == "files" {
			name := fmt.Sprintf("%06d.ndjson", i)
			unfinished := filepath.Join(x.dir, "unfinished", name)
			err := os.WriteFile(unfinished, []byte(strings.Join(portion, "\n")+"\n"), 0o600)
			if err == nil {
				err = os.Rename(unfinished, filepath.Join(x.dir, "in", name))
			}
			if err != nil {
				x.Error(err)
			}
			continue
		}
		for _, line := range portion {
			x.client.Produce(x.Context(), &kgo.Record{Topic: "tweets", Value: []byte(line)}, func(_ *kgo.Record, err error) {
				if err != nil {
					x.Error(err)
				}
			})
		}
	}
	if err := x.client.Flush(x.Context()); err != nil {
		x.Error(err)
	}
	x.say("all is sent")
}

// endBrokers ends a broker at each of the instants, or when the one before is back
// and has what it has missed, until the program has stopped.
func (x *experiment) endBrokers(instants []time.Duration, rng *rand.Rand) {
	for i, at := range instants {
		if !x.wait(time.Until(x.began.Add(at))) {
			return
		}
		broker, why := rng.IntN(3), "any"
		switch which := rng.IntN(3); {
		case i == 0 || which == 0:
			broker, why = x.coordinator("exactly/totals", 1), "coordinator of transactions"
		case which == 1:
			broker, why = x.coordinator("godstream.exactly.totals", 0), "coordinator of the group"
		}
		x.ends++
		if i > 0 && rng.IntN(3) == 0 {
			x.cluster.Stop(broker)
			x.say("broker %d (%s) has stopped", broker, why)
		} else {
			x.cluster.Kill(broker)
			x.say("broker %d (%s) is killed", broker, why)
		}
		x.wait(time.Duration(rng.IntN(5000)) * time.Millisecond)
		x.say("broker %d starts again", broker)
		x.cluster.Restart(broker)
		x.say("broker %d is ready", broker)
		for !x.inSync() {
			if !x.wait(100 * time.Millisecond) {
				return
			}
		}
		x.say("all brokers are in sync")
	}
}

// inSync says whether all brokers have all that there is.
func (x *experiment) inSync() bool {
	answer, err := kmsg.NewPtrMetadataRequest().RequestWith(x.Context(), x.client) // of all topics
	if err != nil {
		return false
	}
	for _, topic := range answer.Topics {
		for _, p := range topic.Partitions {
			if len(p.ISR) < 3 {
				return false
			}
		}
	}
	return true
}

// wait waits, and says whether the program was there all the time.
func (x *experiment) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-x.over:
	case <-x.Context().Done():
	}
	return false
}

// coordinator is the number of the broker that coordinates a group (0) or a
// transactional.id (1).
func (x *experiment) coordinator(of string, kind int8) int {
	r := kmsg.NewPtrFindCoordinatorRequest()
	r.CoordinatorKey, r.CoordinatorType = of, kind
	for x.Context().Err() == nil {
		answer, err := r.RequestWith(x.Context(), x.client)
		if err == nil && answer.NodeID > 0 {
			return int(answer.NodeID) - 1
		}
	}
	return 0
}

// again tells what the program had to do again, by its log.
func (x *experiment) again() string {
	text, err := os.ReadFile(filepath.Join(x.dir, "log"))
	if err != nil {
		return err.Error()
	}
	of := func(event string) int { return strings.Count(string(text), event) }
	return fmt.Sprintf("%d batches failed, %d ran again, %d were stored already", of("a batch failed"), of("runs again"), of("is stored already"))
}
