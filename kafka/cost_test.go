package kafka_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime/pprof"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/codec/fastjson"
	"github.com/godstream/godstream/internal/cost"
	"github.com/godstream/godstream/internal/realkafka"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/kafka/embedded"
	"github.com/godstream/godstream/stream"
)

// What reading costs beside loops on the bare client. Broker and readers are
// processes of their own, and readers take turns:
//
//	make reading                     # 7 pairs, with Kafka itself: needs Java and Maven
//	GODSTREAM_READING=3 go test -v -run TestCostOfReading ./kafka  # with the embedded broker
const (
	readingVariable = "GODSTREAM_READING" // how many pairs
	childVariable   = "GODSTREAM_READER"  // what this process is to do: a job
)

// limits are what it may cost, as ratios of medians to the loop's. Of short
// records, what is done for each weighs more, and speed varies too much.
var limits = map[string]struct{ cpu, speed float64 }{
	"read tweets": {1.15, 0.8}, "count tweets": {1.2, 0.8}, "read short": {1.4, 0}, "count short": {1.4, 0},
}

// job is what a process does, and result what it says about it.
type job struct {
	Do         string // "read" or "count", with "bare" or "ours" as By; or "broker"
	By         string
	Brokers    []string
	Topic      string
	Partitions int32
	Records    int64
	Live       bool          // batches at ticks
	Interval   time.Duration // if Live
	Fetch      int32         // for ours: settings of the client, 0 for those of Defaults
	Buffer     int
	Profile    string // a file
}

type result struct {
	Records, Authors int64
	Seconds          float64
	CPU              float64 // us a record, of the whole process
	RSS              int64   // MiB
}

func init() {
	if text := os.Getenv(childVariable); text != "" {
		if err := child(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func child(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	if j.Do == "broker" {
		b, err := embedded.Start(embedded.Config{})
		if err != nil {
			return err
		}
		defer b.Close()
		fmt.Println(b.Addrs()[0])
		_, err = io.Copy(io.Discard, os.Stdin) // until the parent ends
		return err
	}
	if j.Profile != "" {
		f, err := os.Create(j.Profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
	}
	read := map[string]func(job) (result, error){"bare": bare, "ours": ours}[j.By]
	began := time.Now()
	r, err := read(j)
	r.Seconds = time.Since(began).Seconds()
	pprof.StopCPUProfile()
	r.CPU = float64(cost.Used().Microseconds()) / float64(r.Records)
	r.RSS = cost.MaxRSS() >> 20
	if err == nil && r.Records != j.Records {
		err = fmt.Errorf("%d records, want %d", r.Records, j.Records)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

type author struct {
	User struct {
		ScreenName string `json:"screen_name"`
	} `json:"user"`
}

// bare is a loop on the client, with settings that suit it.
func bare(j job) (r result, err error) {
	c := sarama.NewConfig()
	c.Version = sarama.V3_9_0_0
	c.ChannelBufferSize = 30_000
	c.Consumer.Fetch.Default = 8 << 20
	consumer, err := sarama.NewConsumer(j.Brokers, c)
	if err != nil {
		return r, err
	}
	var partitions []sarama.PartitionConsumer
	left := make([]int64, j.Partitions)
	for p := range j.Partitions {
		pc, err := consumer.ConsumePartition(j.Topic, p, sarama.OffsetOldest)
		if err != nil {
			return r, err
		}
		partitions = append(partitions, pc)
		left[p] = pc.HighWaterMarkOffset()
	}
	decode := fastjson.JSON[author]()
	total := map[string]int64{}
	for {
		const some = 7000 // of each partition, in a batch
		counts := make([]map[string]int64, j.Partitions)
		read := make([]int64, j.Partitions)
		var wait sync.WaitGroup
		for p, pc := range partitions {
			wait.Go(func() {
				n := left[p]
				if j.Do == "count" {
					counts[p] = map[string]int64{}
					n = min(n, some)
				}
				for range n {
					m := <-pc.Messages()
					if j.Do == "count" {
						v, err := decode.Decode(m.Value)
						if err != nil {
							panic(err)
						}
						counts[p][v.User.ScreenName]++
					}
				}
				read[p] = n
				left[p] -= n
			})
		}
		wait.Wait()
		all := counts[0]
		for _, m := range counts[1:] {
			for k, n := range m {
				all[k] += n
			}
		}
		for k, n := range all {
			total[k] += n
		}
		var n int64
		for _, k := range read {
			n += k
		}
		if n == 0 {
			break
		}
		r.Records += n
	}
	r.Authors = int64(len(total))
	for _, pc := range partitions {
		pc.AsyncClose()
	}
	return r, consumer.Close()
}

// ours is a program.
func ours(j job) (r result, err error) {
	client := kafka.Defaults()
	client.Consumer.Fetch.Default = cmp.Or(j.Fetch, client.Consumer.Fetch.Default)
	client.ChannelBufferSize = cmp.Or(j.Buffer, client.ChannelBufferSize)
	config := kafka.Config{Brokers: j.Brokers, Client: client, Start: kafka.Earliest}
	topics := []string{j.Topic}
	app := stream.New(stream.Config{Ticks: stream.Live, Interval: j.Interval, Logger: quietly})
	if !j.Live {
		app = stream.New(stream.Config{Ticks: stream.Step, Logger: quietly})
		config.Start, topics = 0, nil
		for p := range j.Partitions {
			config.Ranges = append(config.Ranges, kafka.Range{Topic: j.Topic, Partition: p, Until: j.Records / int64(j.Partitions)})
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	messages := stream.From(app, kafka.Source(config, topics...))
	if j.Do == "read" {
		stream.ForEach(stream.Count(messages), func(n int64) error {
			if r.Records += n; r.Records == j.Records {
				stop()
			}
			return nil
		})
		err = app.Run(ctx)
		return r, err
	}
	tweets, _ := stream.Decode(messages, fastjson.JSON[author]())
	authors := stream.Map(tweets, func(a author) string { return a.User.ScreenName })
	total := map[string]int64{}
	stream.ForEachBatch(stream.CountByValue(authors), func(_ context.Context, _ stream.BatchInfo, b batch.Batch[stream.Pair[string, int64]]) error {
		for p := range b.All() {
			total[p.Key] += p.Value
			r.Records += p.Value
		}
		if r.Records == j.Records {
			stop()
		}
		return nil
	})
	err = app.Run(ctx)
	r.Authors = int64(len(total))
	return r, err
}

// short is a document of some 100 bytes.
func short(dst []byte, random *rand.Rand, who *rand.Zipf, n int64) []byte {
	return fmt.Appendf(dst, `{"id":%d,"text":"%0*d","user":{"screen_name":"author_%d"}}`, n, 20+random.IntN(20), n, who.Uint64())
}

// tweet is one of some 2 KB, of one of 100,000 authors of whom few write much.
func tweet(dst []byte, random *rand.Rand, who *rand.Zipf, n int64) []byte {
	dst = fmt.Appendf(dst, `{"created_at":"Wed Jan 11 15:34:%02d +0000 2017","id":%d,"text":"`, n%60, n)
	for range 20 {
		dst = append(dst, "words that nobody reads "[:4+random.IntN(20)]...)
	}
	dst = append(dst, `","truncated":false,"entities":{"hashtags":[`...)
	for i := range 12 {
		dst = fmt.Appendf(dst, `{"text":"tag%d","indices":[%d,%d]},`, random.IntN(1000), i, i+9)
	}
	dst = fmt.Appendf(dst, `{}]},"user":{"id":%d,"screen_name":"author_%d","description":"`, n, who.Uint64())
	for range 40 {
		dst = append(dst, "more words, or fewer than that, "[:12+random.IntN(20)]...)
	}
	return append(dst, `","followers_count":12,"verified":false},"lang":"en","retweeted":false}`...)
}

// stock makes a topic with that many records, and returns its name.
func stock(t *testing.T, brokers []string, partitions int32, records int64, document func([]byte, *rand.Rand, *rand.Zipf, int64) []byte) string {
	topic := fmt.Sprintf("reading-%d", rand.Uint32())
	p := producer(t, brokers, kgo.ProducerLinger(5*time.Millisecond), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(900_000), kgo.MaxBufferedRecords(20_000))
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 10_000
	request.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}}
	made, err := request.RequestWith(t.Context(), p)
	require.NoError(t, err)
	require.Zero(t, made.Topics[0].ErrorCode)
	random := rand.New(rand.NewPCG(1, 2))
	who := rand.NewZipf(random, 1.1, 1, 100_000-1)
	var bytes int64
	for n := range records {
		value := document(nil, random, who, n)
		bytes += int64(len(value))
		p.Produce(t.Context(), &kgo.Record{Topic: topic, Partition: int32(n) % partitions, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	require.NoError(t, p.Flush(t.Context()))
	t.Logf("%d records of %d bytes in %d partitions", records, bytes/records, partitions)
	return topic
}

// run does a job in a process of its own.
func (j job) run(t *testing.T) (r result) {
	t.Helper()
	text, err := json.Marshal(j)
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), childVariable+"="+string(text))
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	require.NoError(t, err, stderr.String())
	require.NoError(t, json.Unmarshal(out, &r), "%s", out)
	return r
}

func TestCostOfReading(t *testing.T) {
	pairs, err := strconv.Atoi(cmp.Or(os.Getenv(readingVariable), "0"))
	require.NoError(t, err, readingVariable)
	if pairs == 0 {
		t.Skipf("takes long: set %s to how many times the readers take turns", readingVariable)
	}
	const partitions = 4
	records := int64(600_000)
	var brokers []string
	if realkafka.Wanted(t) {
		brokers = realkafka.Start(t, realkafka.Config{}).Addrs()
	} else {
		records = 150_000 // they are in the broker's memory
		brokers = []string{brokerBeside(t)}
	}
	for _, of := range []struct {
		name     string
		document func([]byte, *rand.Rand, *rand.Zipf, int64) []byte
		times    int64
	}{{"tweets", tweet, 1}, {"short", short, 5}} {
		records := records * of.times
		topic := stock(t, brokers, partitions, records, of.document)
		for _, do := range []string{"read", "count"} {
			t.Run(do+" "+of.name, func(t *testing.T) {
				compare(t, pairs, do+" "+of.name, job{Do: do, Brokers: brokers, Topic: topic, Partitions: partitions, Records: records})
			})
		}
	}
}

// compare lets the loop and the program do a job in turn.
func compare(t *testing.T, pairs int, what string, j job) {
	runs := map[string][]result{}
	for pair := range pairs {
		sides := []string{"bare", "ours"}
		if pair%2 == 1 {
			slices.Reverse(sides)
		}
		for _, by := range sides {
			j.By = by
			r := j.run(t)
			runs[by] = append(runs[by], r)
			t.Logf("%s: %.2f us a record, %.0f records/s, %d MiB", by, r.CPU, float64(r.Records)/r.Seconds, r.RSS)
		}
	}
	require.Equal(t, runs["bare"][0].Authors, runs["ours"][0].Authors)
	ratio := func(of func(result) float64) float64 { return median(runs["ours"], of) / median(runs["bare"], of) }
	cpu := ratio(func(r result) float64 { return r.CPU })
	speed := ratio(func(r result) float64 { return float64(r.Records) / r.Seconds })
	memory := ratio(func(r result) float64 { return float64(r.RSS) })
	limit := limits[what]
	t.Logf("ours / bare: CPU a record %.2f (at most %.2f), throughput %.2f (at least %.2f), memory %.2f", cpu, limit.cpu, speed, limit.speed, memory)
	if cpu > limit.cpu || speed < limit.speed {
		t.Errorf("CPU a record is %.2f of the loop's, throughput %.2f", cpu, speed)
	}
}

func median(runs []result, of func(result) float64) float64 {
	var all []float64
	for _, r := range runs {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// brokerBeside starts an embedded broker in a process of its own.
func brokerBeside(t *testing.T) (addr string) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childVariable+`={"Do":"broker"}`)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		in.Close() // ends it
		require.NoError(t, c.Wait())
	})
	_, err = fmt.Fscan(out, &addr)
	require.NoError(t, err)
	return addr
}
