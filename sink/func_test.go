package sink_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/sink/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// list is a place that fails in the middle of a batch while it is broken.
type list struct {
	mu       sync.Mutex
	broken   bool
	elements []string
	batches  map[string][]string // by ID
	ids      []string
}

func (l *list) Break() func() {
	l.set(true)
	return func() { l.set(false) }
}

func (l *list) set(broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = broken
}

func (l *list) append(_ context.Context, b sink.Batch[string]) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Concat(b.Parts...)
	if l.broken {
		l.elements = append(l.elements, all[:len(all)/2]...)
		return errors.New("broken")
	}
	l.elements = append(l.elements, all...)
	return nil
}

func (l *list) replace(_ context.Context, b sink.Batch[string]) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		return errors.New("broken")
	}
	if l.batches == nil {
		l.batches = map[string][]string{}
	}
	if _, there := l.batches[b.ID]; !there {
		l.ids = append(l.ids, b.ID)
	}
	l.batches[b.ID] = slices.Concat(b.Parts...)
	return nil
}

func (l *list) read() ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.elements)
	for _, id := range l.ids {
		all = append(all, l.batches[id]...)
	}
	return all, nil
}

func TestFuncThatAppends(t *testing.T) {
	sinktest.Run(t, func(*testing.T) sinktest.Place[string] {
		var l list
		return sinktest.Place[string]{Sink: sink.Func(sink.AtLeastOnce, l.append), Read: l.read, Break: l.Break}
	})
}

func TestFuncThatReplaces(t *testing.T) {
	sinktest.Run(t, func(*testing.T) sinktest.Place[string] {
		var l list
		return sinktest.Place[string]{Sink: sink.Func(sink.Idempotent, l.replace), Read: l.read, Break: l.Break, Atomic: true}
	})
}

func TestFuncIsCalledWithTheBatch(t *testing.T) {
	type key string
	ctx := context.WithValue(context.Background(), key("a"), "value")
	b := sink.Batch[int]{ID: "one", Parts: [][]int{{1, 2}, nil, {3}}}
	reason := errors.New("no")
	s := sink.Func(sink.AtLeastOnce, func(ctx context.Context, got sink.Batch[int]) error {
		require.Equal(t, "value", ctx.Value(key("a")))
		require.Equal(t, b, got)
		return reason
	})
	w, err := s.Open(context.Background(), sink.Options{})
	require.NoError(t, err)
	require.Equal(t, reason, w.Write(ctx, b))
	require.NoError(t, w.Close())
}

func TestFuncNeedsAFunction(t *testing.T) {
	s := sink.Func[int](sink.Idempotent, nil)
	require.EqualError(t, s.(interface{ Check() error }).Check(), "sink: Func: the function is nil")
	_, err := s.Open(context.Background(), sink.Options{})
	require.EqualError(t, err, "sink: Func: the function is nil")
}
