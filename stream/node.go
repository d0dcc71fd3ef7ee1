package stream

import (
	"cmp"
	"slices"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
)

// Stream is a sequence of batches of T: a handle that operators take and give.
// It may be copied, and read by any number of operators.
type Stream[T any] struct {
	app  *App
	node *node[T]
}

// App is the App that the stream belongs to, nil for a zero Stream.
func (s Stream[T]) App() *App { return s.app }

// Name is the name of the operator that makes the stream.
func (s Stream[T]) Name() string {
	if s.app == nil {
		return ""
	}
	return s.node.env.Op
}

// Pair is an element of a keyed stream.
type Pair[K comparable, V any] = batch.Pair[K, V]

// P makes a pair.
func P[K comparable, V any](k K, v V) Pair[K, V] { return batch.P(k, v) }

// node is where a type meets the plan: how one operator computes its batch.
type node[T any] struct {
	id      plan.ID
	env     *batch.Env
	period  time.Duration // between batches: the App's interval, or a window's slide
	emits   bool          // it may have elements in a batch without records
	shared  string        // the source that it comes from, if that is shared
	reach   time.Duration // how long after a batch the windows before the stream show what it held
	compute func(b *engine.Batch, env *batch.Env) batch.Batch[T]

	readers int // in each batch
	// Of the batch numbered at: what it holds, and how many are still to read it.
	at   int64
	held batch.Batch[T]
	left int

	memory *memory[T] // nil unless the stream is remembered
}

// read is the stream's batch. It is computed for the first reader and kept if
// there are others, until the last has read it.
func (s Stream[T]) read(b *engine.Batch) batch.Batch[T] {
	n := s.node
	if n.readers < 2 {
		return n.run(b)
	}
	if n.at != b.Seq {
		n.held, n.at, n.left = batch.Store(n.run(b)), b.Seq, n.readers
	}
	held := n.held
	if n.left--; n.left == 0 {
		n.held = batch.Batch[T]{}
	}
	return held
}

// run computes the batch; a panic that is nobody's yet is this node's.
func (n *node[T]) run(b *engine.Batch) batch.Batch[T] {
	defer n.env.Blame(-1)
	return n.compute(b, n.env)
}

// add declares a node and returns its stream. A stream that is zero, or of
// another App, makes it a fault.
func add[T any](a *App, n plan.Node, opts []Option, compute func(c nodeConfig) func(b *engine.Batch, env *batch.Env) batch.Batch[T], inputs ...input) Stream[T] {
	if a == nil {
		return Stream[T]{}
	}
	c, id, ok := a.declare(n, opts, inputs)
	if !ok {
		compute = func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[T] { return nil }
	}
	node := &node[T]{id: id, env: a.env(c.name), period: a.period(inputs), compute: compute(c)}
	node.emits = slices.Contains(emitters, n.Op)
	for _, in := range inputs {
		if in.App() == a {
			node.reach = max(node.reach, in.reach())
			node.emits = node.emits || in.emits()
			node.shared = cmp.Or(node.shared, in.sharedBy())
		}
	}
	a.sealers = append(a.sealers, func(readers []int, _ []bool) { node.readers = readers[id] })
	a.forgetter = append(a.forgetter, func() { node.held, node.at = batch.Batch[T]{}, 0 })
	return Stream[T]{app: a, node: node}
}

// input is a stream whose type does not matter.
type input interface {
	App() *App
	Name() string
	id() plan.ID
	period() time.Duration
	reach() time.Duration
	emits() bool
	sharedBy() string
}

// emitters are the operations that may make elements of none.
var emitters = []string{"count", "sum", "mean", "glom", "mapPartitions", "transform", "updateStateByKey", "mapWithState", "stateSnapshots"}

func (s Stream[T]) id() plan.ID           { return s.node.id }
func (s Stream[T]) period() time.Duration { return s.node.period }
func (s Stream[T]) reach() time.Duration  { return s.node.reach }
func (s Stream[T]) emits() bool           { return s.node.emits }
func (s Stream[T]) sharedBy() string      { return s.node.shared }

// period is the time between the batches of an operator on these streams.
func (a *App) period(inputs []input) time.Duration {
	for _, in := range inputs {
		if in.App() == a {
			return in.period()
		}
	}
	return a.config.Interval
}

// present says whether a stream of the given period has a batch at a time. At
// others it is absent: nothing below it runs.
// A stream of the App's interval has one in every batch that runs: one that was
// begun before a crash may be of another interval, if that was changed since.
func (a *App) present(period time.Duration, at time.Time) bool {
	return period == a.config.Interval || engine.Floor(at, period).Equal(at)
}

// declare adds a node to the plan, noting every fault of the declaration.
func (a *App) declare(n plan.Node, opts []Option, inputs []input) (nodeConfig, plan.ID, bool) {
	ok := true
	for _, in := range inputs {
		switch in.App() {
		case a:
			n.Inputs = append(n.Inputs, in.id())
			if first := inputs[0]; first.App() == a && first.period() != in.period() {
				a.reject("%s: %s has a batch every %v, %s every %v; combine streams of one period", n.Op, first.Name(), first.period(), in.Name(), in.period())
				ok = false
			}
		case nil:
			a.reject("%s: a stream is zero; streams are made by From and operators", n.Op)
			ok = false
		default:
			a.reject("%s: a stream belongs to app %s, another to app %s; an operator reads streams of one App", n.Op, a.Name(), in.App().Name())
			ok = false
		}
	}
	for _, in := range inputs {
		a.checkShared(n.Op, in)
	}
	c := a.options(n.Op, opts)
	n.Name = c.name
	a.mu.Lock()
	late := a.started
	id, err := a.plan.Add(n)
	c.name = a.plan.Node(id).Name
	a.mu.Unlock()
	if err != nil {
		a.reject("%s: %w; names are unique in a program", n.Op, err)
	}
	if late {
		a.reject("%s: declared after Run; declare the whole program before", n.Op)
	}
	return c, id, ok
}

func untyped[T any](streams []Stream[T]) []input {
	inputs := make([]input, len(streams))
	for i, s := range streams {
		inputs[i] = s
	}
	return inputs
}

// appOf is the first App that one of the streams belongs to.
func appOf(inputs ...input) *App {
	for _, in := range inputs {
		if in.App() != nil {
			return in.App()
		}
	}
	return nil
}

// lift makes a stream operator of a batch operator.
func lift[T, U any](s Stream[T], op string, opts []Option, f func(batch.Batch[T]) batch.Batch[U]) Stream[U] {
	return add(s.app, plan.Node{Op: op}, opts, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[U] {
		return func(b *engine.Batch, env *batch.Env) batch.Batch[U] { return f(s.read(b).With(env)) }
	}, s)
}
