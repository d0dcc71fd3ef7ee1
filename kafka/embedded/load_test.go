package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/godstream/godstream/kafka/embedded"
)

// stored reads n records of a topic.
func stored(t *testing.T, b *embedded.Broker, topic string, n int64) []*kgo.Record {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(100<<20), kgo.BrokerMaxReadBytes(200<<20), kgo.FetchMaxWait(100*time.Millisecond))
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var got []*kgo.Record
	for int64(len(got)) < n {
		fetched := c.PollFetches(ctx)
		require.NoError(t, fetched.Err())
		got = append(got, fetched.Records()...)
	}
	return got
}

func values(records []*kgo.Record) []string {
	var got []string
	for _, r := range records {
		got = append(got, string(r.Value))
	}
	return got
}

func TestLoadKeepsLinesByteForByte(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text        string
		want        []string
		blank, size int64
	}{
		"nothing":                 {},
		"no newline at the end":   {text: "a\nb", want: []string{"a", "b"}, size: 2},
		"newline at the end":      {text: "a\nb\n", want: []string{"a", "b"}, size: 2},
		"carriage returns stay":   {text: "a\r\nb\r", want: []string{"a\r", "b\r"}, size: 4},
		"spaces stay":             {text: "  a \n\tb", want: []string{"  a ", "\tb"}, size: 6},
		"any bytes":               {text: "\x00\xff\ufeffä\n\xc3", want: []string{"\x00\xff\ufeffä", "\xc3"}, size: 8},
		"blank lines are counted": {text: "\n\na\n \t\r\nb\n\n", want: []string{"a", "b"}, blank: 4, size: 2},
		"only blank lines":        {text: "\n\n", blank: 2},
	}
	b := start(t, embedded.Config{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := strings.ReplaceAll(name, " ", "-")
			// One byte at a time: where reads end must not matter.
			got, err := b.Load(context.Background(), topic, iotest.OneByteReader(strings.NewReader(test.text)))
			require.NoError(t, err)
			require.Equal(t, embedded.Loaded{Records: int64(len(test.want)), Bytes: test.size, Blank: test.blank}, got)
			records := stored(t, b, topic, got.Records)
			require.Equal(t, test.want, values(records))
			for i, r := range records {
				require.EqualValues(t, i, r.Offset)
				require.Nil(t, r.Key)
				require.Empty(t, r.Headers)
				require.WithinDuration(t, time.Now(), r.Timestamp, time.Minute)
			}
		})
	}
}

func TestLoadGivesRecordsTheTimesOfTheirLines(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lines   []string
		want    []int64
		untimed int64
	}{
		"each its own, also backwards": {
			lines: []string{`{"at":1000}`, `{"at":"3001"}`, `{"at":2002}`}, want: []int64{1000, 3001, 2002},
		},
		"none: that of the line before": {
			lines: []string{`{"at":1000}`, `{"at":`, `[1]`, "\xff", `{"at":"x"}`, `{"at":2000}`, `no JSON`},
			want:  []int64{1000, 1000, 1000, 1000, 1000, 2000, 2000}, untimed: 5,
		},
		"leading ones: that of the first": {
			lines: []string{`no JSON`, `{}`, `{"at":2000}`, `{"at":1000}`}, want: []int64{2000, 2000, 2000, 1000}, untimed: 2,
		},
		"no line has one": {
			lines: []string{`a`, `b`}, want: []int64{-1, -1}, untimed: 2,
		},
	}
	b := start(t, embedded.Config{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := strings.NewReplacer(" ", "-", ":", "", ",", "").Replace(name)
			got, err := b.Load(context.Background(), topic, strings.NewReader(strings.Join(test.lines, "\n")), embedded.TimestampField("at"))
			require.NoError(t, err)
			require.Equal(t, test.untimed, got.Untimed)
			var times []int64
			records := stored(t, b, topic, got.Records)
			for _, r := range records {
				times = append(times, r.Timestamp.UnixMilli())
			}
			require.Equal(t, test.lines, values(records))
			require.Equal(t, test.want, times)
		})
	}
}

func TestLoadedRecordsAreFoundByTime(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{})
	_, err := b.Load(context.Background(), "twitter", strings.NewReader(`{"at":1000}
{"at":3000}
{"at":2000}`), embedded.TimestampField("at"))
	require.NoError(t, err)
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...))
	require.NoError(t, err)
	defer c.Close()
	for at, want := range map[int64]int64{999: 0, 1001: 1, 3000: 1, 3001: -1} {
		req := kmsg.NewPtrListOffsetsRequest()
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Timestamp = at
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "twitter", Partitions: []kmsg.ListOffsetsRequestTopicPartition{part}}}
		resp, err := req.RequestWith(context.Background(), c)
		require.NoError(t, err)
		require.Equal(t, want, resp.Topics[0].Partitions[0].Offset, "the first record at %d ms or later", at)
	}
}

func TestLoadSpreadsRecordsInTurn(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{Topics: map[string]int{"twitter": 3}})
	_, err := b.Load(context.Background(), "twitter", strings.NewReader("0\n1\n2\n\n3\n4\n5\n6\n"))
	require.NoError(t, err)
	for _, r := range stored(t, b, "twitter", 7) {
		require.Equal(t, string(r.Value), fmt.Sprint(r.Offset*3+int64(r.Partition)))
	}
}

func TestLoadAppends(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{})
	for _, text := range []string{"a\nb", "c", "d\n"} {
		_, err := b.Load(context.Background(), "twitter", strings.NewReader(text))
		require.NoError(t, err)
	}
	require.Equal(t, []string{"a", "b", "c", "d"}, values(stored(t, b, "twitter", 4)))
}

func TestLoadOfManyBatches(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{})
	var text bytes.Buffer
	var want []string
	for i := range 5000 {
		line := fmt.Sprintf(`{"i":%d,"fill":"%s"}`, i, strings.Repeat("x", i%1000))
		want = append(want, line)
		text.WriteString(line + "\n")
	}
	got, err := b.Load(context.Background(), "twitter", &text)
	require.NoError(t, err)
	require.EqualValues(t, 5000, got.Records)
	require.Equal(t, want, values(stored(t, b, "twitter", 5000)))
}

func TestLoadOfLongLines(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{})
	long := strings.Join(numbers(2_000_000), "")
	longest := strings.Repeat("y", embedded.MaxRecordBytes)
	got, err := b.Load(context.Background(), "twitter", strings.NewReader("a\n"+long+"\nb\n"+longest))
	require.NoError(t, err)
	require.EqualValues(t, 4, got.Records)
	records := stored(t, b, "twitter", 4)
	require.Equal(t, "a", string(records[0].Value))
	require.True(t, long == string(records[1].Value))
	require.Equal(t, "b", string(records[2].Value))
	require.True(t, longest == string(records[3].Value))

	for _, end := range []string{"\n", strings.Repeat("y", 2<<20)} {
		_, err = b.Load(context.Background(), "other", strings.NewReader("a\n"+longest+"y"+end))
		require.EqualError(t, err, `embedded: load topic "other": line 2: longer than the 33554432 bytes that a record may have`)
	}
}

// numbers is "0", "1", …: text in which every piece is another.
func numbers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = strconv.Itoa(i)
	}
	return out
}

func TestLoadFailsWithItsReader(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{})
	why := errors.New("disk on fire")
	_, err := b.Load(context.Background(), "twitter", io.MultiReader(strings.NewReader("a\nb\nhalf a li"), iotest.ErrReader(why)))
	require.ErrorIs(t, err, why)
	require.ErrorContains(t, err, `embedded: load topic "twitter": line 3: `)
}

func TestLoadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{})
	why := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(context.Background())
	endless := readerFunc(func(p []byte) (int, error) {
		cancel(why)
		return copy(p, strings.Repeat("some line\n", len(p)/10)), nil
	})
	for _, o := range [][]embedded.LoadOption{nil, {embedded.TimestampField("at")}} { // the latter waits for a time
		_, err := b.Load(ctx, "twitter", endless, o...)
		require.ErrorIs(t, err, why)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestLoadOfNoTopic(t *testing.T) {
	t.Parallel()
	b := start(t, embedded.Config{})
	_, err := b.Load(context.Background(), "not/a topic", strings.NewReader("a"))
	require.ErrorContains(t, err, `embedded: load topic "not/a topic": `)
}

func BenchmarkLoad(b *testing.B) {
	var line bytes.Buffer
	line.WriteString(`{"created_at":"Wed Oct 10 20:19:24 +0000 2018","id":1050118621198921728,"text":"`)
	for line.Len() < 1500 {
		line.WriteString("to be or not to be ")
	}
	line.WriteString(`","user":{"screen_name":"alice","followers":123,"nested":{"a":[1,2,3,4.5e6,null,true]}},"entities":{"hashtags":[],"urls":[{"url":"https://example.com"}]},"filler":"`)
	for line.Len() < 1950 {
		line.WriteString("x")
	}
	line.WriteString(`","timestamp_ms":"1539202764000"}` + "\n")
	const lines = 100_000
	text := bytes.Repeat(line.Bytes(), lines)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		broker, err := embedded.Start(embedded.Config{})
		require.NoError(b, err)
		loaded, err := broker.Load(context.Background(), "twitter", bytes.NewReader(text), embedded.TimestampField("timestamp_ms"))
		require.NoError(b, err)
		require.EqualValues(b, lines, loaded.Records)
		require.Zero(b, loaded.Untimed)
		broker.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
}
