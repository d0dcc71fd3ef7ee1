package crashtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
	"github.com/godstream/godstream/stream"
)

// status is what the program uses of a tweet.
type status struct {
	ID   int `json:"id"`
	User struct {
		ScreenName string `json:"screen_name"`
	} `json:"user"`
}

// numbered is a tweet and how many its author has sent with it.
type numbered struct {
	Author string
	ID, N  int
}

// exactly is a program as people run it: live, with a checkpoint, it gives the
// tweets of each author their numbers, and writes them, and what is no tweet, to
// Kafka, exactly once. It has no Config.Retries: that a broker ends fails no batch.
func (s settings) exactly(brokers []string, dir string) (*stream.App, error) {
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	app := stream.New(stream.Config{Name: "exactly", Interval: 200 * time.Millisecond, Partitions: s.partitions, Workers: s.workers, SaveEvery: s.saveEvery,
		Logger: slog.New(slog.NewTextHandler(log, nil))})
	if s.source == "files" {
		number(stream.From(app, source.Dir(filepath.Join(dir, "in"), source.Settle(0))), brokers, source.Line.Text)
	} else {
		number(stream.From(app, kafka.Source(kafka.Config{Brokers: brokers, Group: "exactly"}, "tweets")), brokers, func(r kafka.Record) string { return string(r.Value) })
	}
	return app, nil
}

func number[R source.Record](in stream.Stream[R], brokers []string, text func(R) string) {
	statuses, malformed := stream.Decode(in, codec.JSON[status]().Check(func(s status) error {
		if s.User.ScreenName == "" {
			return errors.New("it has no author")
		}
		return nil
	}))
	byAuthor := stream.KeyBy(statuses, func(s status) string { return s.User.ScreenName })
	counted, _ := stream.MapWithState(byAuthor, func(author string, s stream.Opt[status], n *stream.State[int]) stream.Opt[numbered] {
		before, _ := n.Get()
		n.Update(before + 1)
		return stream.Some(numbered{author, s.Value.ID, before + 1})
	})
	to := func(topic string) kafka.SinkConfig {
		return kafka.SinkConfig{Brokers: brokers, Topic: topic, Transactional: true}
	}
	stream.To(counted, kafka.Sink(to("totals"), func(n numbered) (kafka.Message, error) {
		return kafka.Message{Key: []byte(n.Author), Value: fmt.Appendf(nil, "%d %d", n.N, n.ID)}, nil
	}), stream.Name("totals"))
	stream.To(malformed, kafka.Sink(to("malformed"), func(f stream.Failed[R]) (kafka.Message, error) {
		return kafka.Message{Value: []byte(text(f.Record))}, nil
	}), stream.Name("malformed"))
}

// flow makes the tweets, which have the numbers from 0 on; some are malformed. A
// few authors write most of them.
type flow struct {
	rng       *rand.Rand
	zipf      *rand.Zipf
	authors   []string       // by number of a tweet, "" for one that is malformed
	sent      map[string]int // by author
	malformed map[string]int // number of the tweet by its text
}

func newFlow(seed uint64) *flow {
	rng := rand.New(rand.NewPCG(seed, 1))
	return &flow{rng: rng, zipf: rand.NewZipf(rng, 1.2, 4, 20_000), sent: map[string]int{}, malformed: map[string]int{}}
}

var vocabulary = strings.Fields("the a to and of in is for on you it with that this my at be have just so not me like out all get new up one love day good time go what now kafka spark stream café あり 😀")

func (f *flow) next() string {
	id := len(f.authors)
	author := fmt.Sprint("author", f.zipf.Uint64())
	words := make([]string, 4+f.rng.IntN(10))
	for i := range words {
		words[i] = vocabulary[f.rng.IntN(len(vocabulary))]
	}
	text, _ := json.Marshal(strings.Join(words, " "))
	line := fmt.Sprintf(`{"id":%d,"created_at":"Wed Jan 11 17:08:55 +0000 2017","text":%s,"source":"web","truncated":false,"user":{"id":%d,"screen_name":%q,"followers_count":%d,"lang":"en"},"retweet_count":0,"entities":{"hashtags":[],"urls":[]},"lang":"en","timestamp_ms":"%d"}`,
		id, text, f.rng.IntN(1e9), author, f.rng.IntN(50_000), 1_484_154_535_000+int64(id))
	if f.rng.IntN(200) > 0 {
		f.authors = append(f.authors, author)
		f.sent[author]++
		return line
	}
	switch f.rng.IntN(5) {
	case 0:
		line = line[:20+f.rng.IntN(len(line)-20)] // has its number, and no end
	case 1:
		line += "}"
	case 2:
		line = fmt.Sprintf(`{"id":%d,"text":%s,"user":{}}`, id, text)
	case 3:
		line = fmt.Sprintf("\xff\xfe no JSON, number %d", id)
	case 4:
		line = fmt.Sprintf(`{"id":%d,"text":%s,"user":{"screen_name":[%q]}}`, id, text, author)
	}
	f.authors = append(f.authors, "")
	if _, twice := f.malformed[line]; twice {
		panic(line)
	}
	f.malformed[line] = id
	return line
}

func TestFlow(t *testing.T) {
	a, b := newFlow(7), newFlow(7)
	for range 20_000 {
		line := a.next()
		require.Equal(t, line, b.next(), "the same for the same seed")
		require.NotContains(t, line, "\n")
	}
	require.Greater(t, len(a.malformed), 50)
	require.Greater(t, len(a.sent), 1000)
	most := 0
	for author, n := range a.sent {
		require.NotEmpty(t, author)
		most = max(most, n)
	}
	require.Greater(t, most, 1000)
	c := codec.JSON[status]()
	for line, id := range a.malformed {
		s, err := c.Decode([]byte(line))
		require.True(t, err != nil || s.User.ScreenName == "", line)
		require.Contains(t, line, strconv.Itoa(id))
	}
}
