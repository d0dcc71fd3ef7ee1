package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Config says which Kafka cluster to read, and from where on.
type Config struct {
	// Brokers are addresses ("host:port") of some brokers of the cluster; the
	// others are found through them. At least one is needed.
	Brokers []string

	// Group is the consumer group whose committed offsets say where to begin,
	// and under which the App commits what it has dealt with. Unless Shared is
	// set, the source does not join the group: it reads all partitions by itself.
	// Empty means that no offsets are kept in Kafka.
	Group string

	// Shared spreads the partitions over all programs that are members of the
	// Group, usually copies of one program. When members come and go, partitions
	// move: a batch that is in hand is completed and committed before a partition
	// is given up, so each record is in one batch that is done. A batch that
	// outlasts Client.Consumer.Group.Rebalance.Timeout (60 s) is given up, and the
	// new owner reads its records again; of a member that was killed, others take
	// over after Client.Consumer.Group.Session.Timeout (10 s).
	//
	// Each copy sees some partitions only. So operators that bring together what
	// belongs together (by key, joins, windows, state) are refused, and the group
	// has the positions, not a checkpoint. A Sink that is Transactional stores them
	// with each batch. It needs Kafka 2.5 or later.
	Shared bool

	// Member is a name for this copy that it has again when it is started again:
	// its partitions are not given to others when it stops, unless it is away for
	// longer than the session timeout (Kafka's static membership, group.instance.id).
	// No two copies may have the same. Empty means that the group gives a name, and
	// that partitions move at once when a member stops.
	Member string

	// Cooperative lets partitions be read on, while others move, that stay where
	// they are (Kafka's cooperative-sticky). All members must do so. Without it,
	// Client.Consumer.Group.Rebalance.GroupStrategies counts (range, unless it is
	// set), and all partitions are given up before they are distributed.
	Cooperative bool

	// Commits is to be used to commit offsets by hand. If it is set, the App does
	// not commit by itself.
	Commits *Commits

	// Start says where to begin in a topic. The zero value is [Committed].
	Start Start

	// Since begins each partition at its first record with this time or a
	// later one, or at its end if there is none, whatever Start would say and
	// the group has committed. The zero time means to begin as Start says.
	Since time.Time

	// Ranges are read instead of topics: exactly these offsets, after which the
	// source ends.
	Ranges []Range

	// Pattern is read instead of topics: all topics whose whole names match this
	// regular expression, those that are made later included; Kafka's own ones are
	// left out. The client looks for them every Client.Metadata.RefreshFrequency
	// (10 minutes, unless it is set). A topic that is found later is read from its
	// first record on, and one that is deleted is left out.
	Pattern string

	// Assign is read instead of topics: these partitions of each topic, and no
	// others.
	Assign map[string][]int32

	// Offsets is where to begin in partitions of a topic, whatever Start and Since
	// would say. A checkpoint counts more.
	Offsets map[string]map[int32]int64

	// OnLost says what to do when offsets that should be read are gone from
	// Kafka. The zero value is [Fail].
	OnLost Lost

	// ReadUncommitted also shows records of transactions that are open or were
	// aborted. The isolation level in Client does not count.
	ReadUncommitted bool

	// ConnectTimeout is how long Open tries to reach the cluster and to find
	// where each partition starts, and how long Kafka may say later that a topic
	// does not exist, or ends too early, before that is believed. Zero means 15 s.
	ConnectTimeout time.Duration

	// CloseTimeout is how long Close tries to commit what is not committed yet.
	// Zero means 5 s.
	CloseTimeout time.Duration

	// TLS encrypts the connections, and shows its certificates to brokers that ask
	// for one; GetClientCertificate may give others later, when they are renewed.
	// ServerName may be empty: the name is then the one that a broker says it has.
	// Nil means no TLS, unless Client has it.
	TLS *tls.Config

	// SASL logs in: [Plain], [SCRAM256], [SCRAM512] or [OAuthBearer].
	SASL SASL

	// Client has all other settings of the client: sizes of fetches, time limits,
	// Kafka's version; also TLS and SASL, if the fields above are zero. It is
	// copied, not changed. Nil means [Defaults]; to change some settings, begin
	// with those.
	Client *sarama.Config
}

// String is all fields but what is in Client.
func (c Config) String() string {
	type fields Config // has no String
	return fmt.Sprintf("%+v", fields(c))
}

// Start says where to begin to read a partition.
type Start int

const (
	// Committed begins where the group has committed, and at the earliest
	// record where it has not: nothing is left out.
	Committed Start = iota
	// CommittedOrLatest begins where the group has committed. Where it has not,
	// only records are read that arrive from now on.
	CommittedOrLatest
	// Earliest begins at the first record there is.
	Earliest
	// Latest reads only records that arrive from now on.
	Latest
)

// Lost says what to do when offsets are gone before they were read, because
// the topic's retention time or size was exceeded. In any case they are logged,
// and counted in source.Stats.
type Lost int

const (
	// Fail stops with an [OutOfRangeError].
	Fail Lost = iota
	// SkipToEarliest goes on at the first record there is.
	SkipToEarliest
	// SkipToLatest goes on with records that arrive from now on.
	SkipToLatest
)

// Range is the half-open interval [From, Until) of offsets in a partition.
type Range struct {
	Topic       string
	Partition   int32
	From, Until int64
}

func (r Range) String() string {
	return fmt.Sprintf("%s/%d[%d,%d)", r.Topic, r.Partition, r.From, r.Until)
}

// Defaults returns the client settings that are used when Config.Client is nil. In
// a live program, brokers then answer a fetch when there is 1 MiB, or after a fiftieth
// of the interval (at least 1 ms, at most MaxWaitTime, 250 ms), instead of for each
// record.
//
// Besides what the source reads ahead (source.Options.Prefetch), the client
// holds the fetch in hand: of each broker at most Consumer.Fetch.MaxBytes
// (16 MiB), of each partition about Consumer.Fetch.Default (4 MiB). They have
// no metrics; set MetricRegistry to metrics.NewRegistry() if you want them.
func Defaults() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "godstream"
	c.MetricRegistry = noMetrics{}
	c.ChannelBufferSize = 2048
	c.Consumer.Fetch.Default = 4 << 20
	c.Consumer.Fetch.MaxBytes = 16 << 20
	c.Consumer.MaxWaitTime = 250 * time.Millisecond
	c.Consumer.Retry.Backoff = time.Second
	c.Metadata.Full = false
	c.Net.DialTimeout = 10 * time.Second
	return c
}

// paced is what a live program with the interval reads with. Each fetch costs as
// much as tens of records.
func (c Config) paced(interval time.Duration) Config {
	if c.Client == nil && interval > 0 {
		c.Client = Defaults()
		c.Client.Consumer.Fetch.Min = 1 << 20
		c.Client.Consumer.MaxWaitTime = min(max(interval/50, time.Millisecond), c.Client.Consumer.MaxWaitTime)
	}
	return c
}

const (
	connectTimeout = 15 * time.Second
	closeTimeout   = 5 * time.Second
)

// clone copies what c points to, so that its owner may change it.
func (c Config) clone() Config {
	c.Brokers, c.Ranges = slices.Clone(c.Brokers), slices.Clone(c.Ranges)
	c.Assign, c.Offsets = maps.Clone(c.Assign), maps.Clone(c.Offsets)
	if c.Client != nil {
		client := *c.Client
		c.Client = &client
	}
	c.TLS = c.TLS.Clone()
	return c
}

// defaults fills in the zero fields.
func (c Config) defaults() Config {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	if c.CloseTimeout == 0 {
		c.CloseTimeout = closeTimeout
	}
	return c
}

// client is the client's settings, a copy of its own, with those that the
// source relies on.
func (c Config) client() *sarama.Config {
	var s sarama.Config
	if c.Client != nil {
		s = *c.Client
	} else {
		s = *Defaults()
	}
	s.Consumer.Return.Errors = true
	s.Consumer.IsolationLevel = sarama.ReadCommitted
	if c.ReadUncommitted {
		s.Consumer.IsolationLevel = sarama.ReadUncommitted
	}
	s.Metadata.AllowAutoTopicCreation = false // a mistyped name must not make a topic
	secure(&s, c.TLS, c.SASL)
	if c.Shared && !s.Version.IsAtLeast(groupVersion) {
		s.Version = groupVersion
	}
	if c.Cooperative {
		s.Consumer.Group.Rebalance.Strategy = nil
		s.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	}
	if c.Member != "" {
		s.Consumer.Group.InstanceId = c.Member
	}
	return &s
}

// check returns all faults at once, each with the name of its field.
func (c Config) check(topics []string) error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("kafka: "+format, args...))
	}
	checkBrokers(c.Brokers, func(format string, args ...any) { fault("Config."+format, args...) })
	c.checkTopics(topics, fault)
	c.checkRanges(topics, fault)
	c.checkShared(fault)
	if c.Start < Committed || c.Start > Latest {
		fault("Config.Start is %d, which is none of the constants of type Start", c.Start)
	}
	if c.OnLost < Fail || c.OnLost > SkipToLatest {
		fault("Config.OnLost is %d, which is none of the constants of type Lost", c.OnLost)
	}
	if !c.Since.IsZero() && c.Start != Committed {
		fault("Config.Since and Config.Start both say where to begin; set one of them")
	}
	if c.ConnectTimeout < 0 {
		fault("Config.ConnectTimeout is negative: %v", c.ConnectTimeout)
	}
	if c.CloseTimeout < 0 {
		fault("Config.CloseTimeout is negative: %v", c.CloseTimeout)
	}
	checkSecurity(c.TLS, c.SASL, c.Client, func(format string, args ...any) { fault("Config."+format, args...) })
	client := c.client()
	if err := client.Validate(); err != nil {
		fault("Config.Client: %w", err)
	} else if !client.Version.IsAtLeast(sarama.V0_11_0_0) {
		fault("Config.Client.Version is %v; the oldest that works is 0.11.0", client.Version)
	}
	return errors.Join(faults...)
}

// checkBrokers finds the faults of the field Brokers of a Config or SinkConfig.
func checkBrokers(brokers []string, fault func(string, ...any)) {
	if len(brokers) == 0 {
		fault("Brokers is empty; give the address of a broker, such as localhost:9092")
	}
	for _, b := range brokers {
		if _, port, err := net.SplitHostPort(b); err != nil || port == "" {
			fault("Brokers has %q, which is not host:port", b)
		}
	}
}

func (c Config) checkTopics(topics []string, fault func(string, ...any)) {
	if len(topics) == 0 && len(c.Ranges) == 0 && c.Pattern == "" && len(c.Assign) == 0 {
		fault("Source has no topics; name one, or set Config.Pattern, Config.Assign or Config.Ranges")
	}
	if len(c.Assign) > 0 && (len(topics) > 0 || len(c.Ranges) > 0 || c.Pattern != "") {
		fault("Config.Assign and topics, Config.Pattern or Config.Ranges both say what to read; give one of them")
	}
	for topic, ids := range c.Assign {
		if !validTopic(topic) || len(ids) == 0 {
			fault("Config.Assign has topic %q with %d partitions", topic, len(ids))
		}
		for i, id := range ids {
			if id < 0 || slices.Contains(ids[:i], id) {
				fault("Config.Assign has partition %d of topic %q, which is negative or there twice", id, topic)
			}
		}
	}
	for topic, offsets := range c.Offsets {
		for id, at := range offsets {
			if at < 0 {
				fault("Config.Offsets has offset %d for partition %d of topic %q; the first one is 0", at, id, topic)
			}
		}
	}
	if c.Pattern != "" {
		if _, err := regexp.Compile(c.Pattern); err != nil {
			fault("Config.Pattern is no regular expression: %w", err)
		}
		if len(topics) > 0 || len(c.Ranges) > 0 {
			fault("Config.Pattern and topics or Config.Ranges both say what to read; give one of them")
		}
	}
	for i, t := range topics {
		if slices.Contains(topics[:i], t) {
			fault("Source has topic %q twice", t)
		} else if !validTopic(t) {
			fault("Source has topic %q, which can't be the name of one: those have 1 to 249 of the characters a-z A-Z 0-9 . _ -", t)
		}
	}
}

func (c Config) checkShared(fault func(string, ...any)) {
	if c.Commits != nil && c.Group == "" {
		fault("Config.Commits needs a Group to commit for")
	}
	if !c.Shared {
		if c.Member != "" || c.Cooperative {
			fault("Config.Member and Config.Cooperative are about groups whose members share partitions; set Config.Shared, or leave them out")
		}
		return
	}
	if c.Group == "" {
		fault("Config.Shared needs a Group, whose members the partitions are spread over")
	}
	if c.Start == Earliest || c.Start == Latest || !c.Since.IsZero() || len(c.Offsets) > 0 {
		fault("Config.Shared: partitions begin where the group has committed, or a partition that moves would be read twice or in part; of Start, Since and Offsets, only Committed and CommittedOrLatest can be given")
	}
	if len(c.Assign) > 0 || len(c.Ranges) > 0 {
		fault("Config.Shared: the group says which partitions are read; leave Config.Assign and Config.Ranges out")
	}
}

func (c Config) checkRanges(topics []string, fault func(string, ...any)) {
	if len(c.Ranges) == 0 {
		return
	}
	if len(topics) > 0 {
		fault("Config.Ranges and the topics %s both say what to read; give one of them", strings.Join(topics, ", "))
	}
	if c.Group != "" {
		fault("Config.Ranges and Config.Group: reading ranges again must not change what the group has committed; leave Group out")
	}
	if c.Start != Committed || !c.Since.IsZero() {
		fault("Config.Ranges says where to begin; leave Config.Start and Config.Since out")
	}
	for i, r := range c.Ranges {
		same := func(o Range) bool { return o.Topic == r.Topic && o.Partition == r.Partition }
		switch {
		case !validTopic(r.Topic):
			fault("Config.Ranges has %v: %q can't be the name of a topic", r, r.Topic)
		case r.Partition < 0:
			fault("Config.Ranges has %v: the partition is negative", r)
		case r.From < 0 || r.Until < r.From:
			fault("Config.Ranges has %v: not 0 <= From <= Until", r)
		case slices.ContainsFunc(c.Ranges[:i], same):
			fault("Config.Ranges has %s/%d twice", r.Topic, r.Partition)
		}
	}
}

// validTopic says whether a topic can have that name.
func validTopic(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 249 {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-')
	})
}
