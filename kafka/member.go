package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
)

// groupVersion is the first with everything that shared reading needs: names of
// members, cooperative rebalancing, offsets that wait for transactions to end.
var groupVersion = sarama.V2_5_0_0

// errLost tells that the group goes on without this member.
var errLost = errors.New("the group has gone on without this program, which did not answer in time")

// member is a place in a consumer group, by Kafka's protocol for them: the
// coordinator of the group counts generations; in each, one of the members, the
// leader, distributes the partitions.
type member struct {
	session     *session
	group       string
	instance    *string // the name that stays, or nil
	strategies  []sarama.BalanceStrategy
	cooperative bool
	log         *slog.Logger
	userData    []byte // that a strategy keeps with the members

	// still holds one while the generation is not to change: a commit is on its
	// way, or the member joins.
	still chan struct{}
	now   atomic.Pointer[groupMember]
}

// newMember makes a member that has not joined yet.
func newMember(s *session, c Config, log *slog.Logger) *member {
	group := s.config.Consumer.Group
	m := &member{session: s, group: c.Group, strategies: strategies(s.config), userData: group.Member.UserData, log: log, still: make(chan struct{}, 1)}
	m.cooperative = !slices.ContainsFunc(m.strategies, func(b sarama.BalanceStrategy) bool { return !isCooperative(b) })
	if group.InstanceId != "" {
		m.instance = &group.InstanceId
	}
	m.be("", sarama.GroupGenerationUndefined)
	return m
}

// be notes as whom the group knows us.
func (m *member) be(id string, generation int32) {
	m.now.Store(&groupMember{m.group, id, m.instance, generation})
}

func strategies(c *sarama.Config) []sarama.BalanceStrategy {
	if one := c.Consumer.Group.Rebalance.Strategy; one != nil {
		return []sarama.BalanceStrategy{one}
	}
	return c.Consumer.Group.Rebalance.GroupStrategies
}

func isCooperative(b sarama.BalanceStrategy) bool {
	s, ok := b.(sarama.RebalanceProtocolBalanceStrategy)
	return ok && slices.Contains(s.SupportedProtocols(), sarama.RebalanceProtocolCooperative)
}

// hold keeps the generation as it is until release is called.
func (m *member) hold(ctx context.Context) (as groupMember, release func(), err error) {
	select {
	case m.still <- struct{}{}:
		return *m.now.Load(), func() { <-m.still }, nil
	case <-ctx.Done():
		return groupMember{}, nil, context.Cause(ctx)
	}
}

// distribution is what a generation has to do.
type distribution struct {
	mine   []spot
	leader bool
	of     map[string]int // how many partitions each topic has; known to the leader
}

// join takes part in the next generation, with what the member owns already, and
// waits until the partitions have been distributed: as long as it takes the other
// members to give up what they have. If it owns something and the group has gone on
// without it, the error is errLost.
func (m *member) join(ctx context.Context, topics []string, owned []spot) (d distribution, err error) {
	_, release, err := m.hold(ctx)
	if err != nil {
		return d, err
	}
	defer release()
	away := outage{log: m.log, what: "join the group", group: m.group}
	defer func() { away.end(err) }()
	for {
		d, err = m.attempt(ctx, topics, owned)
		var pause time.Duration
		switch {
		case err == nil:
			return d, nil
		case ctx.Err() != nil:
			return d, context.Cause(ctx)
		case errors.Is(err, sarama.ErrMemberIdRequired): // it is known now
		case errors.Is(err, sarama.ErrUnknownMemberId), errors.Is(err, sarama.ErrIllegalGeneration):
			if len(owned) > 0 { // still as whom it was, or who holds could store what Kafka would have refused
				return d, errLost
			}
			m.be("", sarama.GroupGenerationUndefined)
		case errors.Is(err, sarama.ErrRebalanceInProgress):
			pause = leastPause
		case passes(err):
			away.begin(m.session.told(err))
			_ = m.session.client.RefreshCoordinator(m.group) // the next attempt tells
			pause = retryPause
		default:
			return d, final{m.explain(err)}
		}
		select {
		case <-ctx.Done():
			return d, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// attempt joins once. It does not wait longer than ctx, for the others may take long.
func (m *member) attempt(ctx context.Context, topics []string, owned []spot) (d distribution, err error) {
	coordinator, err := m.session.client.Coordinator(m.group)
	if err != nil {
		return d, err
	}
	version, as := m.session.config.Version, m.now.Load()
	req := sarama.NewJoinGroupRequest(version)
	req.GroupId, req.MemberId, req.GroupInstanceId, req.ProtocolType = m.group, as.id, m.instance, "consumer"
	timeouts := m.session.config.Consumer.Group
	req.SessionTimeout, req.RebalanceTimeout = int32(timeouts.Session.Timeout.Milliseconds()), int32(timeouts.Rebalance.Timeout.Milliseconds())
	for _, s := range m.strategies {
		about := &sarama.ConsumerGroupMemberMetadata{Version: 1, Topics: topics, UserData: m.userData, GenerationID: as.generation}
		if version.IsAtLeast(sarama.V3_2_0_0) {
			about.Version = 2 // with the generation
		}
		for topic, ids := range byTopic(owned) {
			about.OwnedPartitions = append(about.OwnedPartitions, &sarama.OwnedPartition{Topic: topic, Partitions: ids})
		}
		if keeps, ok := s.(sarama.SubscriptionUserDataBalanceStrategy); ok {
			if about.UserData, err = keeps.SubscriptionUserData(slices.Clone(topics)); err != nil {
				return d, final{fmt.Errorf("strategy %s: %w", s.Name(), err)}
			}
		}
		if err := req.AddGroupProtocolMetadata(s.Name(), about); err != nil {
			return d, final{err}
		}
	}
	patient := *m.session.config
	patient.Net.ReadTimeout += patient.Consumer.Group.Rebalance.Timeout // so long the others may take
	apart := m.session.beside(coordinator.Addr(), " join", &patient)    // what is ours already is read on meanwhile
	joined, err := ask(ctx, m.session.dialer, apart, (*sarama.Broker).JoinGroup, req)
	if err != nil {
		return d, err
	}
	if joined.Err == sarama.ErrMemberIdRequired || joined.Err == sarama.ErrNoError {
		m.be(joined.MemberId, as.generation)
	}
	if joined.Err != sarama.ErrNoError {
		return d, joined.Err
	}
	i := slices.IndexFunc(m.strategies, func(s sarama.BalanceStrategy) bool { return s.Name() == joined.GroupProtocol })
	if i < 0 {
		return d, final{fmt.Errorf("the group distributes partitions by %q, which is not among this program's strategies", joined.GroupProtocol)}
	}
	strategy := m.strategies[i]
	name, kind := strategy.Name(), "consumer"
	sync := &sarama.SyncGroupRequest{Version: 3, GroupId: m.group, MemberId: joined.MemberId, GroupInstanceId: m.instance, GenerationId: joined.GenerationId}
	if version.IsAtLeast(sarama.V2_5_0_0) {
		sync.Version, sync.ProtocolType, sync.ProtocolName = 5, &kind, &name
	}
	if joined.LeaderId == joined.MemberId {
		d.leader = true
		if d.of, err = m.distribute(strategy, joined, sync); err != nil {
			return d, err
		}
	}
	synced, err := ask(ctx, m.session.dialer, apart, (*sarama.Broker).SyncGroup, sync)
	if err != nil {
		return d, err
	}
	if synced.Err != sarama.ErrNoError {
		return d, synced.Err
	}
	m.be(joined.MemberId, joined.GenerationId)
	if len(synced.MemberAssignment) == 0 {
		return d, nil
	}
	mine, err := synced.GetMemberAssignment()
	if err != nil {
		return d, final{fmt.Errorf("the leader's distribution: %w", err)}
	}
	if mine.UserData != nil {
		m.userData = mine.UserData
	}
	if wants, ok := strategy.(sarama.OnAssignmentBalanceStrategy); ok {
		wants.OnAssignment(mine, joined.GenerationId)
	}
	for _, topic := range slices.Sorted(maps.Keys(mine.Topics)) {
		for _, id := range slices.Sorted(slices.Values(mine.Topics[topic])) {
			d.mine = append(d.mine, spot{topic, id})
		}
	}
	return d, nil
}

// ask sends a request whose answer may take long. If ctx ends before that comes,
// nobody waits for it but the end of the session, which breaks the connection.
func ask[Q, A any](ctx context.Context, d *dialer, b *sarama.Broker, send func(*sarama.Broker, Q) (A, error), request Q) (answer A, err error) {
	if !d.use() {
		return answer, errShut
	}
	answer, err = unless(ctx, func() (A, error) {
		defer d.used.Done()
		return send(b, request)
	})
	if err != nil && ctx.Err() == nil { // else Close would wait for the answer
		_ = b.Close()
	}
	return answer, err
}

// distribute is what the leader does: it adds to the request who gets which
// partitions, and returns how many each topic has.
func (m *member) distribute(strategy sarama.BalanceStrategy, joined *sarama.JoinGroupResponse, to *sarama.SyncGroupRequest) (map[string]int, error) {
	members, err := joined.GetMembers()
	if err != nil {
		return nil, final{fmt.Errorf("what a member of the group says of itself: %w", err)}
	}
	topics, of := map[string][]int32{}, map[string]int{}
	for _, about := range members {
		for _, topic := range about.Topics {
			topics[topic] = nil
		}
	}
	for topic := range topics {
		withoutMeter(topic)
		err := m.session.client.RefreshMetadata(topic)
		if err == nil {
			topics[topic], err = m.session.client.Partitions(topic)
		}
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) { // another member's, who finds out by itself
			delete(topics, topic)
		} else if err != nil {
			return nil, err
		}
		of[topic] = len(topics[topic])
	}
	var plan sarama.BalanceStrategyPlan
	if len(topics) > 0 { // some strategies make an error of there being none
		plan, err = strategy.Plan(members, topics)
	}
	if err != nil {
		return nil, final{fmt.Errorf("strategy %s: %w", strategy.Name(), err)}
	}
	for id := range members {
		data, err := strategy.AssignmentData(id, plan[id], joined.GenerationId)
		if err == nil {
			err = to.AddGroupAssignmentMember(id, &sarama.ConsumerGroupMemberAssignment{Topics: plan[id], UserData: data})
		}
		if err != nil {
			return nil, final{fmt.Errorf("strategy %s: %w", strategy.Name(), err)}
		}
	}
	return of, nil
}

// byTopic sorts partitions by topic.
func byTopic(of []spot) map[string][]int32 {
	ids := map[string][]int32{}
	for _, p := range of {
		ids[p.topic] = append(ids[p.topic], p.id)
	}
	return ids
}

// pulse tells the coordinator that the member lives, in a goroutine, until it is
// stopped. Its context ends when the group wants to go on to another generation,
// with the cause errRebalance; lost is closed when it has done so already.
type pulse struct {
	life context.Context // of the source
	ctx  context.Context
	stop func()
	lost chan struct{}
	err  error // final one, when lost is closed
}

var errRebalance = errors.New("the partitions are distributed anew")

func (m *member) beat(life context.Context) *pulse {
	ctx, cancel := context.WithCancelCause(life)
	p := &pulse{life: life, ctx: ctx, lost: make(chan struct{})}
	over, done := make(chan struct{}), make(chan struct{})
	p.stop = func() {
		close(over)
		<-done
		cancel(nil)
	}
	go func() {
		defer close(done)
		away := outage{log: m.log, what: "reach the coordinator of the group", group: m.group}
		every := m.session.config.Consumer.Group.Heartbeat.Interval
		wait := every
		for {
			select {
			case <-over:
				return
			case <-life.Done():
				return
			case <-time.After(wait):
			}
			err := m.tell()
			wait = every
			switch {
			case err == nil:
				away.end(nil)
			case errors.Is(err, sarama.ErrRebalanceInProgress):
				away.end(nil)
				cancel(errRebalance)
			case errors.Is(err, sarama.ErrUnknownMemberId), errors.Is(err, sarama.ErrIllegalGeneration):
				close(p.lost)
				cancel(errLost)
				return
			case life.Err() != nil:
				return
			case passes(err):
				away.begin(m.session.told(err))
				_ = m.session.client.RefreshCoordinator(m.group)
				wait = min(every, retryPause)
			default:
				p.err = final{m.explain(err)}
				close(p.lost)
				cancel(errLost)
				return
			}
		}
	}()
	return p
}

// tell sends one heartbeat.
func (m *member) tell() error {
	coordinator, err := m.session.client.Coordinator(m.group)
	if err != nil {
		return err
	}
	as, side := m.now.Load(), m.session.side(coordinator.Addr())
	resp, err := side.Heartbeat(&sarama.HeartbeatRequest{Version: 4, GroupId: m.group, MemberId: as.id, GroupInstanceId: as.instance, GenerationId: as.generation})
	if err != nil {
		_ = side.Close()
		return err
	}
	if resp.Err != sarama.ErrNoError {
		return resp.Err
	}
	return nil
}

// forget makes the next join that of a new member.
func (m *member) forget(ctx context.Context) {
	if _, release, err := m.hold(ctx); err == nil {
		m.be("", sarama.GroupGenerationUndefined)
		release()
	}
}

// leave tells the others at once that they may have the partitions. A member with
// a name is awaited instead, for as long as the session timeout.
func (m *member) leave() error {
	id := m.now.Load().id
	if id == "" || m.instance != nil {
		return nil
	}
	coordinator, err := m.session.client.Coordinator(m.group)
	if err != nil {
		return err
	}
	side := m.session.side(coordinator.Addr())
	resp, err := side.LeaveGroup(&sarama.LeaveGroupRequest{Version: 4, GroupId: m.group, Members: []sarama.MemberIdentity{{MemberId: id}}})
	switch {
	case err != nil:
		_ = side.Close()
		return err
	case resp.Err != sarama.ErrNoError && resp.Err != sarama.ErrUnknownMemberId:
		return resp.Err
	}
	return nil
}

// judge says what an error of a commit means for the member.
func (m *member) judge(err error) error {
	switch {
	case errors.Is(err, sarama.ErrUnknownMemberId), errors.Is(err, sarama.ErrIllegalGeneration):
		return errLost
	case errors.Is(err, sarama.ErrRebalanceInProgress):
		return errRebalance
	case errors.Is(err, sarama.ErrFencedInstancedId):
		return final{m.explain(err)}
	}
	return err
}

// explain tells an error of the coordinator's so that the user knows what to do.
func (m *member) explain(err error) error {
	say := func(format string, args ...any) error {
		return line{fmt.Sprintf("kafka: group %q: ", m.group) + fmt.Sprintf(format, args...), err}
	}
	group := m.session.config.Consumer.Group
	switch {
	case errors.Is(err, sarama.ErrFencedInstancedId):
		return say("another program has joined with Config.Member %q since; give each copy a name of its own", *m.instance)
	case errors.Is(err, sarama.ErrInconsistentGroupProtocol):
		return say("its members distribute partitions in another way than this program, which offers %s; set Config.Cooperative and Client.Consumer.Group.Rebalance.GroupStrategies alike in all copies, or give this one a Group of its own", m.names())
	case errors.Is(err, sarama.ErrInvalidSessionTimeout):
		return say("Client.Consumer.Group.Session.Timeout is %v, which the broker does not allow (group.min.session.timeout.ms, group.max.session.timeout.ms)", group.Session.Timeout)
	case errors.Is(err, sarama.ErrGroupAuthorizationFailed):
		return say("this user may not use it (operation Read)")
	case errors.Is(err, sarama.ErrGroupMaxSizeReached):
		return say("it has as many members as the broker allows (group.max.size)")
	}
	return say("%v", plain(err))
}

func (m *member) names() (names []string) {
	for _, s := range m.strategies {
		names = append(names, s.Name())
	}
	return names
}

// outage logs when something begins to fail, once more if that turns out to be a
// refusal, and when it works again.
type outage struct {
	log         *slog.Logger
	what, group string
	since       time.Time
	refused     bool // that we were refused was told
}

func (o *outage) begin(err error) {
	refused := errors.As(err, new(refusal))
	switch {
	case o.since.IsZero():
		o.since, o.refused = time.Now(), refused
		o.log.Warn("kafka: can't "+o.what+", trying again", "group", o.group, "error", plain(err).Error())
	case refused && !o.refused:
		o.refused = true
		o.log.Warn("kafka: still can't "+o.what+", trying again", "group", o.group, "error", plain(err).Error())
	}
}

func (o *outage) end(err error) {
	if err == nil && !o.since.IsZero() {
		o.log.Info("kafka: can "+o.what+" again", "group", o.group, "after", time.Since(o.since).Round(time.Millisecond))
		o.since = time.Time{}
	}
}
