package crashtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// reading is what a reader of committed records finds, while they are written.
// Until stopped is closed, its fields belong to one goroutine.
type reading struct {
	*experiment
	*flow
	client  *kgo.Client
	missing int            // tweets that were not seen
	seen    []bool         // by number of the tweet
	last    map[string]int // number of the last tweet by author
	faults  []string       // the first of them
	ends    int            // partitions that are read to their end
	silence time.Duration

	cancel  context.CancelFunc
	stopped chan struct{}

	once sync.Once
	why  error         // that it gave up
	done chan struct{} // everything was seen, or will not be
}

func (x *experiment) read(f *flow) *reading {
	ctx, cancel := context.WithCancel(x.Context())
	r := &reading{experiment: x, flow: f, missing: len(f.authors), seen: make([]bool, len(f.authors)), last: map[string]int{},
		client: x.connect(kgo.ConsumeTopics("totals", "malformed"), kgo.FetchIsolationLevel(kgo.ReadCommitted())),
		cancel: cancel, stopped: make(chan struct{}), done: make(chan struct{})}
	go r.run(ctx)
	x.Cleanup(r.end)
	return r
}

func (r *reading) run(ctx context.Context) {
	defer close(r.stopped)
	last := time.Now()
	for r.ends < totalsParts+malformedParts && ctx.Err() == nil {
		r.client.PollFetches(ctx).EachRecord(func(m *kgo.Record) {
			quiet := time.Since(last)
			if quiet > time.Second {
				r.say("nothing was read for %v", quiet.Round(10*time.Millisecond))
			}
			r.silence, last = max(r.silence, quiet), time.Now()
			if fault := r.take(m); fault != "" && len(r.faults) < 20 {
				r.faults = append(r.faults, fmt.Sprintf("%s/%d@%d of batch %v: %s", m.Topic, m.Partition, m.Offset, m.Timestamp.UTC(), fault))
			}
		})
		if r.missing == 0 {
			r.stop(nil)
		}
	}
}

// take takes a record, and says what is wrong with it.
func (r *reading) take(m *kgo.Record) string {
	if string(m.Key) == "end" {
		r.ends++
		return ""
	}
	id, n, author := -1, 0, string(m.Key)
	if m.Topic == "malformed" {
		var ok bool
		if id, ok = r.malformed[string(m.Value)]; !ok {
			return fmt.Sprintf("%q was not sent", m.Value)
		}
	} else if _, err := fmt.Sscan(string(m.Value), &n, &id); err != nil {
		return fmt.Sprintf("%q: %v", m.Value, err)
	}
	if id < 0 || id >= len(r.seen) || r.authors[id] != author {
		return fmt.Sprintf("tweet %d of %q was not sent", id, author)
	}
	if r.seen[id] {
		return fmt.Sprintf("tweet %d of %q for the second time, as number %d", id, author, n)
	}
	r.seen[id] = true
	r.missing--
	if author == "" {
		return ""
	}
	before := r.last[author]
	r.last[author] = n
	if n != before+1 {
		return fmt.Sprintf("tweet %d is number %d of %q, after number %d", id, n, author, before)
	}
	return ""
}

// stop says that there is nothing to wait for.
func (r *reading) stop(why error) {
	r.once.Do(func() {
		r.why = why
		close(r.done)
	})
}

func (r *reading) end() {
	r.cancel()
	<-r.stopped
}

// finish reads what else there may be, and checks that all is right.
func (r *reading) finish() {
	r.Helper()
	last := r.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for topic, n := range map[string]int32{"totals": totalsParts, "malformed": malformedParts} {
		for p := range n {
			require.NoError(r, last.ProduceSync(r.Context(), &kgo.Record{Topic: topic, Partition: p, Key: []byte("end")}).FirstErr())
		}
	}
	select {
	case <-r.stopped:
	case <-time.After(time.Minute):
		r.end()
		r.Errorf("%d of %d partitions were read to their end", r.ends, totalsParts+malformedParts)
	}
	require.Empty(r, r.faults)
	require.NoError(r, r.why, "%d tweets are missing, such as %v", r.missing, r.some())
	require.Zero(r, r.missing)
	require.Equal(r, r.sent, r.last)
}

// some are tweets that were not seen.
func (r *reading) some() (ids []int) {
	for id, seen := range r.seen {
		if !seen && len(ids) < 20 {
			ids = append(ids, id)
		}
	}
	return ids
}
