package kafka_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"github.com/godstream/godstream/kafka"
	"github.com/godstream/godstream/source"
)

func check(s source.Source[kafka.Record]) error {
	return s.(interface{ Check() error }).Check()
}

func TestCheckNamesEachFault(t *testing.T) {
	t.Parallel()
	at := []string{"localhost:9092"}
	one := []string{"twitter"}
	old := kafka.Defaults()
	old.Version = sarama.V0_10_2_0
	broken := kafka.Defaults()
	broken.Consumer.Fetch.Default = -1
	ranges := func(r ...kafka.Range) kafka.Config { return kafka.Config{Brokers: at, Ranges: r} }
	tests := map[string]struct {
		config kafka.Config
		topics []string
		want   []string // parts of the message; none: no fault
	}{
		"brokers and a topic are enough": {config: kafka.Config{Brokers: at}, topics: one},
		"no group though committed":      {config: kafka.Config{Brokers: at, Start: kafka.Committed}, topics: one},
		"only ranges":                    {config: ranges(kafka.Range{Topic: "twitter", Until: 3})},
		"an address in version 6":        {config: kafka.Config{Brokers: []string{"[::1]:9092"}}, topics: one},
		"nothing at all":                 {want: []string{"Config.Brokers is empty", "Source has no topics"}},
		"broker without port":            {config: kafka.Config{Brokers: []string{"localhost"}}, topics: one, want: []string{`Config.Brokers has "localhost"`}},
		"topic twice":                    {config: kafka.Config{Brokers: at}, topics: []string{"twitter", "twitter"}, want: []string{`topic "twitter" twice`}},
		"topics without a name, with a bad one, too long": {
			config: kafka.Config{Brokers: at}, topics: []string{"", "a/b", strings.Repeat("x", 250), ".."},
			want: []string{`topic ""`, `topic "a/b"`, `topic "xxx`, `topic ".."`},
		},
		"ranges and topics":       {config: ranges(kafka.Range{Topic: "news", Until: 3}), topics: one, want: []string{"Config.Ranges and the topics twitter"}},
		"ranges and group":        {config: kafka.Config{Brokers: at, Group: "g", Ranges: []kafka.Range{{Topic: "news"}}}, want: []string{"Config.Group"}},
		"ranges and start":        {config: kafka.Config{Brokers: at, Start: kafka.Latest, Ranges: []kafka.Range{{Topic: "news"}}}, want: []string{"Config.Start"}},
		"inverted range":          {config: ranges(kafka.Range{Topic: "twitter", From: 3, Until: 2}), want: []string{"twitter/0[3,2)"}},
		"negative range":          {config: ranges(kafka.Range{Topic: "twitter", From: -1, Until: 2}), want: []string{"twitter/0[-1,2)"}},
		"negative partition":      {config: ranges(kafka.Range{Topic: "twitter", Partition: -1}), want: []string{"partition is negative"}},
		"range of no topic":       {config: ranges(kafka.Range{}), want: []string{`"" can't be`}},
		"partition twice":         {config: ranges(kafka.Range{Topic: "twitter", Until: 2}, kafka.Range{Topic: "twitter", From: 5, Until: 7}), want: []string{"twitter/0 twice"}},
		"start and since":         {config: kafka.Config{Brokers: at, Start: kafka.Latest, Since: time.Now()}, topics: one, want: []string{"Config.Since and Config.Start"}},
		"unknown start, on lost":  {config: kafka.Config{Brokers: at, Start: 9, OnLost: 7}, topics: one, want: []string{"Config.Start is 9", "Config.OnLost is 7"}},
		"negative times":          {config: kafka.Config{Brokers: at, ConnectTimeout: -1, CloseTimeout: -1}, topics: one, want: []string{"Config.ConnectTimeout", "Config.CloseTimeout"}},
		"shared":                  {config: kafka.Config{Brokers: at, Group: "g", Shared: true, Member: "one", Cooperative: true}, topics: one},
		"shared without a group":  {config: kafka.Config{Brokers: at, Shared: true}, topics: one, want: []string{"Config.Shared needs a Group"}},
		"shared, with starts":     {config: kafka.Config{Brokers: at, Group: "g", Shared: true, Start: kafka.Latest}, topics: one, want: []string{"only Committed and CommittedOrLatest can be given"}},
		"shared, with offsets":    {config: kafka.Config{Brokers: at, Group: "g", Shared: true, Offsets: map[string]map[int32]int64{"twitter": {0: 1}}}, topics: one, want: []string{"only Committed and CommittedOrLatest can be given"}},
		"shared, with partitions": {config: kafka.Config{Brokers: at, Group: "g", Shared: true, Assign: map[string][]int32{"twitter": {0}}}, want: []string{"leave Config.Assign and Config.Ranges out"}},
		"member of nothing":       {config: kafka.Config{Brokers: at, Group: "g", Member: "one"}, topics: one, want: []string{"set Config.Shared"}},
		"commits without a group": {config: kafka.Config{Brokers: at, Commits: &kafka.Commits{}}, topics: one, want: []string{"Config.Commits needs a Group"}},
		"client of an old Kafka":  {config: kafka.Config{Brokers: at, Client: old}, topics: one, want: []string{"Config.Client"}},
		"client with a bad value": {config: kafka.Config{Brokers: at, Client: broken}, topics: one, want: []string{"Config.Client", "Fetch.Default"}},
		"client of zeros":         {config: kafka.Config{Brokers: at, Client: &sarama.Config{}}, topics: one, want: []string{"Config.Client"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := check(kafka.Source(test.config, test.topics...))
			if len(test.want) == 0 {
				require.NoError(t, err)
				return
			}
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			for line := range strings.SplitSeq(err.Error(), "\n") {
				require.True(t, strings.HasPrefix(line, "kafka: "), line)
			}
		})
	}
}

func TestDescriptionHasNoSecrets(t *testing.T) {
	t.Parallel()
	client := kafka.Defaults()
	client.Net.SASL.User, client.Net.SASL.Password = "alice", "hunter2"
	s := kafka.Source(kafka.Config{Brokers: []string{"localhost:9092"}, Client: client}, "twitter", "news")
	require.Equal(t, "kafka twitter, news", fmt.Sprint(s))
	require.NotContains(t, fmt.Sprintf("%v %s", s, s), "hunter2")

	few := kafka.Source(kafka.Config{Ranges: []kafka.Range{{Topic: "twitter", Partition: 1, From: 5, Until: 9}}})
	require.Equal(t, "kafka twitter/1[5,9)", fmt.Sprint(few))
	many := kafka.Source(kafka.Config{Ranges: make([]kafka.Range, 9)})
	require.Equal(t, "kafka /0[0,0), /0[0,0), /0[0,0), 6 more ranges", fmt.Sprint(many))
}

func TestSourceKeepsItsOwnCopy(t *testing.T) {
	t.Parallel()
	client := kafka.Defaults()
	c := kafka.Config{Brokers: []string{"localhost:9092"}, Client: client}
	topics := []string{"twitter"}
	s := kafka.Source(c, topics...)
	c.Brokers[0], topics[0], client.Consumer.Fetch.Default = "", "", -1
	require.NoError(t, check(s))
	require.Equal(t, "kafka twitter", fmt.Sprint(s))
}

func TestClientIsNotChanged(t *testing.T) {
	t.Parallel()
	b := start(t, map[string]int{"twitter": 1})
	client := kafka.Defaults()
	before := *client
	r := open(t, kafka.Source(kafka.Config{Brokers: b.Addrs(), Client: client}, "twitter"), source.Options{})
	require.NoError(t, r.Close())
	require.Equal(t, before.Net.Proxy, client.Net.Proxy)
	require.Equal(t, before.Metadata.AllowAutoTopicCreation, client.Metadata.AllowAutoTopicCreation)
	require.Equal(t, before.Consumer.IsolationLevel, client.Consumer.IsolationLevel)
	require.Nil(t, client.Metadata.Retry.BackoffFunc)
}
