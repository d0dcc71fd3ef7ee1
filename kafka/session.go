package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// retryPause is the time between attempts at something that Kafka is not
// ready for.
const retryPause = 200 * time.Millisecond

// session is a connection to a cluster.
type session struct {
	client  sarama.Client
	config  *sarama.Config
	dialer  *dialer
	brokers string // addresses, for messages
	timeout time.Duration

	mu    sync.Mutex
	sides map[string]*sarama.Broker // by address and what for

	stop func() bool // keeps the end of Open's context from breaking the connections
}

// spot is a partition of a topic.
type spot struct {
	topic string
	id    int32
}

// parseSpot is the inverse of String.
func parseSpot(name string) (spot, error) {
	i := strings.LastIndexByte(name, '/')
	id, err := strconv.ParseInt(name[i+1:], 10, 32)
	if i < 0 || err != nil {
		return spot{}, fmt.Errorf("kafka: %q is not a partition of Kafka's, such as twitter/0", name)
	}
	return spot{name[:i], int32(id)}, nil
}

func (s spot) String() string { return fmt.Sprintf("%s/%d", s.topic, s.id) }

// connect makes a session. When ctx ends before settle, its connections break.
func connect(ctx context.Context, c Config) (*session, error) {
	s := &session{config: c.client(), brokers: strings.Join(c.Brokers, ", "), timeout: c.ConnectTimeout, sides: map[string]*sarama.Broker{}}
	haste := c.ConnectTimeout / time.Duration(len(c.Brokers)+1) // so that a mute broker does not use up all the time
	s.dialer = newDialer(s.config, max(haste, min(250*time.Millisecond, c.ConnectTimeout/2)))
	s.stop = context.AfterFunc(ctx, s.dialer.shut)
	client, err := sarama.NewClient(c.Brokers, s.config)
	if err != nil {
		s.stop()
		s.dialer.shut()
		s.dialer.wait()
		return nil, s.explain(ctx, err)
	}
	s.client = client
	return s, nil
}

// settle makes the session independent of Open's context, unless that has ended.
func (s *session) settle() bool {
	s.dialer.relax()
	return s.stop()
}

// close ends the session.
func (s *session) close() {
	s.stop()
	s.dialer.shut()
	for _, b := range s.sides {
		_ = b.Close() // fails if it is not open
	}
	s.client.Close() // fails only if it is closed
	s.dialer.wait()
}

// side returns a connection beside the client's own one to that broker, which
// a fetch occupies nearly all the time, waiting for records.
func (s *session) side(addr string) *sarama.Broker { return s.beside(addr, "", s.config) }

// beside returns one for requests that may take long, and would keep waiting what
// is sent after them.
func (s *session) beside(addr, requests string, c *sarama.Config) *sarama.Broker {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.sides[addr+requests]
	if b == nil {
		b = sarama.NewBroker(addr)
		s.sides[addr+requests] = b
	}
	_ = b.Open(c) // fails if it is open; a request tells what else went wrong
	return b
}

// try does f until it succeeds, ctx ends or trying again has no sense.
func (s *session) try(ctx context.Context, f func() error) error {
	var said error // by Kafka, which tells more than that the connection was given up
	for {
		err := f()
		if errors.As(err, new(sarama.KError)) {
			said = err
		}
		if err != nil && ctx.Err() != nil {
			return s.explain(ctx, cmp.Or(said, err))
		}
		if err == nil || !transient(err) {
			return s.explain(ctx, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
}

// explain tells an error of the client's so that the user knows what to do.
func (s *session) explain(ctx context.Context, err error) error {
	switch err = s.told(err); {
	case err == nil:
		return nil
	case ctx.Err() != nil && context.Cause(ctx) == errNoAnswer && errors.As(err, new(sarama.KError)):
		return fmt.Errorf("%w (for %v)", err, s.timeout)
	case ctx.Err() != nil && context.Cause(ctx) == errNoAnswer:
		if why := s.dialer.failure(); why != nil {
			return fmt.Errorf("kafka: connect to %s: %w within %v: %w", s.brokers, errNoAnswer, s.timeout, plain(why))
		}
		return fmt.Errorf("kafka: connect to %s: %w within %v; does Kafka listen there, and %s TLS?", s.brokers, errNoAnswer, s.timeout, s.dialer.with())
	case ctx.Err() != nil:
		return fmt.Errorf("kafka: connect to %s: %w", s.brokers, context.Cause(ctx))
	case errors.Is(err, sarama.ErrOutOfBrokers), errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		return fmt.Errorf("kafka: connect to %s: %w", s.brokers, plain(err))
	}
	return err
}

// metadata asks the broker that has the least to do.
func (s *session) metadata(req *sarama.MetadataRequest) (*sarama.MetadataResponse, error) {
	b := s.client.LeastLoadedBroker()
	if b == nil {
		return nil, sarama.ErrOutOfBrokers
	}
	_ = b.Open(s.config) // fails if it is open; the request tells what else went wrong
	answer, err := b.GetMetadata(req)
	if err != nil {
		_ = b.Close() // or it would never connect again
	}
	return answer, err
}

// topics returns the names that match, but for Kafka's own topics, in order.
func (s *session) topics(ctx context.Context, match *regexp.Regexp) (names []string, err error) {
	err = s.try(ctx, func() error {
		answer, err := s.metadata(sarama.NewMetadataRequest(s.config.Version, nil))
		if err != nil {
			return err
		}
		names = nil
		for _, t := range answer.Topics {
			if !t.IsInternal && !strings.HasPrefix(t.Name, "__") && match.MatchString(t.Name) {
				names = append(names, t.Name)
			}
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

// partitions returns the numbers of a topic's partitions.
func (s *session) partitions(ctx context.Context, topic string) (ids []int32, err error) {
	withoutMeter(topic)
	err = s.try(ctx, func() error {
		err := s.client.RefreshMetadata(topic)
		if err == nil {
			ids, err = s.client.Partitions(topic)
		}
		switch {
		case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
			return final{fmt.Errorf("kafka: topic %q does not exist on %s; create it first, or mend the name", topic, s.brokers)}
		case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
			return final{fmt.Errorf("kafka: topic %q: this user may not read it: %w", topic, sarama.ErrTopicAuthorizationFailed)}
		case err != nil && !errors.Is(err, sarama.ErrOutOfBrokers) && !errors.Is(err, sarama.ErrSASLAuthenticationFailed):
			return fmt.Errorf("kafka: topic %q: %w", topic, plain(err))
		}
		return err
	})
	return slices.Sorted(slices.Values(ids)), err
}

// cluster is the id of the cluster. It is asked for together with topics, for a user
// may be allowed to know of these only; with none, for all that there are.
func (s *session) cluster(ctx context.Context, topics ...string) (id string, err error) {
	err = s.try(ctx, func() error {
		answer, err := s.metadata(&sarama.MetadataRequest{Version: 5, Topics: topics})
		if err == nil && answer.ClusterID != nil {
			id = *answer.ClusterID
		}
		return err
	})
	return id, err
}

// offsets asks the leaders of partitions for the offset that belongs to a time
// in ms, or to sarama.OffsetOldest or OffsetNewest. It asks again after errors that
// pass, and after those in also.
func (s *session) offsets(ctx context.Context, at int64, isolation sarama.IsolationLevel, of []spot, also ...sarama.KError) (map[spot]int64, error) {
	found := make(map[spot]int64, len(of))
	err := s.try(ctx, func() error {
		missing := slices.DeleteFunc(slices.Clone(of), func(p spot) bool { _, ok := found[p]; return ok })
		err := s.askOffsets(at, isolation, missing, found, func(leader *sarama.Broker) *sarama.Broker { return leader })
		for _, k := range also {
			if errors.Is(err, k) {
				err = passing{err}
			}
		}
		if err != nil && transient(err) {
			_ = s.client.RefreshMetadata(topics(of)...) // the next attempt tells
		}
		return err
	})
	return found, err
}

// askOffsets asks once, on the connections that via chooses for the leaders, and
// adds to found what is answered. It returns the first error.
func (s *session) askOffsets(at int64, isolation sarama.IsolationLevel, of []spot, found map[spot]int64, via func(leader *sarama.Broker) *sarama.Broker) error {
	var first error
	fault := func(format string, args ...any) {
		if first == nil {
			first = fmt.Errorf(format, args...)
		}
	}
	spots := map[*sarama.Broker][]spot{}
	for _, p := range of {
		leader, err := s.client.Leader(p.topic, p.id)
		if err != nil {
			fault("kafka: find the leader of %v: %w", p, plain(err))
			continue
		}
		spots[leader] = append(spots[leader], p)
	}
	for leader, of := range spots {
		req := sarama.NewOffsetRequest(s.config.Version)
		req.IsolationLevel = isolation
		for _, p := range of {
			req.AddBlock(p.topic, p.id, at, 1)
		}
		broker := via(leader)
		resp, err := broker.GetAvailableOffsets(req)
		if err != nil {
			_ = broker.Close() // or it would never connect again
			fault("kafka: ask %s for offsets: %w", leader.Addr(), plain(err))
			continue
		}
		for _, p := range of {
			switch b := resp.GetBlock(p.topic, p.id); {
			case b == nil:
				fault("kafka: ask for the offsets of %v: %w", p, plain(sarama.ErrIncompleteResponse))
			case b.Err != sarama.ErrNoError:
				fault("kafka: ask for the offsets of %v: %w", p, b.Err)
			default:
				found[p] = b.Offset
			}
		}
	}
	return first
}

func topics(of []spot) []string {
	var names []string
	for _, p := range of {
		if !slices.Contains(names, p.topic) {
			names = append(names, p.topic)
		}
	}
	return names
}

// commitment is an offset that a group has committed, with a note.
type commitment struct {
	offset int64
	note   string
}

// committed returns what the group has committed, without those partitions where
// it has nothing. If it is to be stable, that waits for transactions to end.
func (s *session) committed(ctx context.Context, group string, of []spot, stable bool) (map[spot]commitment, error) {
	partitions := map[string][]int32{}
	for _, p := range of {
		partitions[p.topic] = append(partitions[p.topic], p.id)
	}
	found := map[spot]commitment{}
	err := s.try(ctx, func() error {
		fault := func(err error) error {
			return fmt.Errorf("kafka: ask for the offsets of group %q: %w", group, plain(err))
		}
		coordinator, err := s.client.Coordinator(group)
		if err != nil {
			return fault(err)
		}
		req := sarama.NewOffsetFetchRequest(s.config.Version, group, partitions)
		req.RequireStable = stable
		resp, err := coordinator.FetchOffset(req)
		if err != nil {
			_ = coordinator.Close()
			s.forgetCoordinator(group, err)
			return fault(err)
		}
		switch err := resp.GroupError(); err {
		case sarama.ErrNoError:
		case sarama.ErrGroupIDNotFound:
			return nil
		default:
			s.forgetCoordinator(group, err)
			return fault(err)
		}
		for _, p := range of {
			b := resp.GetBlock(p.topic, p.id)
			if b == nil {
				return fault(fmt.Errorf("%v: %w", p, sarama.ErrIncompleteResponse))
			}
			if b.Err != sarama.ErrNoError {
				s.forgetCoordinator(group, b.Err)
				return fault(fmt.Errorf("%v: %w", p, b.Err))
			}
			if b.Offset >= 0 {
				found[p] = commitment{b.Offset, b.Metadata}
			}
		}
		return nil
	})
	return found, err
}

// groupMember is as whom offsets are committed. Without a member's id, the group
// must have no members.
type groupMember struct {
	group, id  string
	instance   *string
	generation int32
}

// commit stores offsets for a group.
func (s *session) commit(as groupMember, offsets map[spot]int64) error {
	group := as.group
	coordinator, err := s.client.Coordinator(group)
	if err != nil {
		return err
	}
	req := sarama.NewOffsetCommitRequest(s.config, group)
	req.ConsumerID, req.ConsumerGroupGeneration, req.GroupInstanceId = as.id, as.generation, as.instance
	for p, offset := range offsets {
		req.AddBlockWithLeaderEpoch(p.topic, p.id, offset, -1, 0, "")
	}
	side := s.side(coordinator.Addr())
	resp, err := side.CommitOffset(req)
	if err != nil {
		_ = side.Close()
		s.forgetCoordinator(group, err)
		return err
	}
	var gone []spot
	for topic, partitions := range resp.Errors {
		for id, err := range partitions {
			if err == sarama.ErrUnknownTopicOrPartition {
				gone = append(gone, spot{topic, id})
				continue
			}
			if as.id == "" && (err == sarama.ErrUnknownMemberId || err == sarama.ErrIllegalGeneration) {
				return fmt.Errorf("%v: the group has members, programs that read with it in another way; use a Group of your own: %w", spot{topic, id}, err)
			}
			if err != sarama.ErrNoError {
				s.forgetCoordinator(group, err)
				return fmt.Errorf("%v: %w", spot{topic, id}, err)
			}
		}
	}
	if len(gone) > 0 {
		return missing{fmt.Errorf("%v: %w", gone[0], sarama.ErrUnknownTopicOrPartition), gone}
	}
	return nil
}

// missing tells that all offsets were stored but those of partitions that Kafka
// does not know.
type missing struct {
	error
	of []spot
}

func (m missing) Unwrap() error { return m.error }

// forgetCoordinator finds the coordinator anew if err says that it has moved, or
// that it does not answer.
func (s *session) forgetCoordinator(group string, err error) {
	var said sarama.KError
	if !errors.As(err, &said) || said == sarama.ErrNotCoordinatorForConsumer || said == sarama.ErrConsumerCoordinatorNotAvailable {
		_ = s.client.RefreshCoordinator(group) // the next attempt tells
	}
}
