package stream

import (
	"errors"
	"time"

	"github.com/godstream/godstream/batch"
	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/internal/plan"
	"github.com/godstream/godstream/internal/state"
)

// UpdateStateByKey keeps a state for each key. In each batch, update is called
// for every key that has a state or values in the batch, with those values, in
// order, and the state so far, absent for a new key. What it returns is the new
// state; an absent one forgets the key. The stream gives all keys that are left
// and their states, in the order in which the keys came in.
//
//	totals := stream.UpdateStateByKey(counts, func(new []int64, total stream.Opt[int64]) stream.Opt[int64] {
//		for _, n := range new {
//			total.Value += n
//		}
//		return stream.Some(total.Value)
//	})
//
// Keys are updated on several workers at the same time. update must not change
// the old state in place where it is a map, a pointer or the like, and not keep
// the values. The work in a batch is that of all keys; [MapWithState] only visits
// those that have data.
//
// Options: [InitialState], [StateCodec].
func UpdateStateByKey[K comparable, V, S any](s Stream[Pair[K, V]], update func(values []V, state Opt[S]) Opt[S], opts ...Option) Stream[Pair[K, S]] {
	if update == nil {
		s.app.reject("UpdateStateByKey: update is nil")
	}
	return updateStateByKey(s, "UpdateStateByKey", state.Updater[K, V, S]{Of: update}, opts)
}

// UpdateStateByKeyFunc is [UpdateStateByKey] with a function that is also told
// the time of the batch and the key.
func UpdateStateByKeyFunc[K comparable, V, S any](s Stream[Pair[K, V]], update func(at time.Time, key K, values []V, state Opt[S]) Opt[S], opts ...Option) Stream[Pair[K, S]] {
	if update == nil {
		s.app.reject("UpdateStateByKeyFunc: update is nil")
	}
	return updateStateByKey(s, "UpdateStateByKeyFunc", state.Updater[K, V, S]{Keyed: update}, opts)
}

func updateStateByKey[K comparable, V, S any](s Stream[Pair[K, V]], name string, update state.Updater[K, V, S], opts []Option) Stream[Pair[K, S]] {
	if s.app == nil {
		return Stream[Pair[K, S]]{}
	}
	states := state.NewStates[K, S](false, false)
	var found []state.Found[K, V]
	var groups state.Groups[V]
	var c nodeConfig
	out := stateful(s, plan.Node{Op: "updateStateByKey"}, opts, &c, func() func(b *engine.Batch, env *batch.Env) batch.Batch[Pair[K, S]] {
		begin := initial[K, S](s.app, name, c)
		return func(b *engine.Batch, env *batch.Env) batch.Batch[Pair[K, S]] {
			begin(b, states)
			in := s.read(b).With(env)
			if len(found) != in.Partitions() {
				found = make([]state.Found[K, V], in.Partitions())
			}
			fresh := make([][]Pair[K, V], len(found))
			env.Run(len(found), func(p int) {
				defer env.Blame(p)
				state.Look(states, &found[p], in.Partition(p))
				fresh[p] = found[p].Fresh
			})
			state.Update(states, b.Time, found, &groups, env.Run, update)
			for g := range batch.GroupByKey(batch.Of(fresh...).With(env)).All() {
				if v, keep := update.New(b.Time, g.Key, g.Value).Get(); keep {
					states.Set(g.Key, v, b.Time)
				}
			}
			states.Compact()
			return batch.OfSeq(states.Parts(len(found))...).With(env)
		}
	})
	keepStates(s.app, out.node.id, out.Name(), "updateStateByKey", c, states)
	return out
}

// State is the state of a key while the function of [MapWithState] runs. It must
// not be kept.
type State[S any] struct {
	value     S
	ok        bool
	timingOut bool
	at        time.Time

	updated, removed bool
}

// Get returns the state, and whether there is one.
func (s *State[S]) Get() (S, bool) { return s.value, s.ok }

// Exists says whether there is a state.
func (s *State[S]) Exists() bool { return s.ok }

// Update sets the state. After Remove, and while the key times out, it panics,
// which fails the batch.
func (s *State[S]) Update(v S) {
	if s.removed || s.timingOut {
		panic(errors.New("State.Update: the state has been removed or is timing out"))
	}
	s.value, s.ok, s.updated = v, true, true
}

// Remove forgets the key. Twice, and while the key times out, it panics, which
// fails the batch.
func (s *State[S]) Remove() {
	if s.removed || s.timingOut {
		panic(errors.New("State.Remove: the state has been removed or is timing out"))
	}
	var none S
	s.value, s.ok, s.removed, s.updated = none, false, true, false
}

// TimingOut says whether the key times out: this is the last call for it.
func (s *State[S]) TimingOut() bool { return s.timingOut }

// Time is the time of the batch.
func (s *State[S]) Time() time.Time { return s.at }

// MapWithState keeps a state for each key, and calls f for each pair, in order,
// with the pair's value and the key's state, which f may update or remove. The
// first stream gives what f returns, unless that is absent. The second gives all
// keys and states after each batch, in the order in which the keys came in, and
// costs nothing if it is not read.
//
//	visits, open := stream.MapWithState(clicks, func(user string, click stream.Opt[Click], s *stream.State[Visit]) stream.Opt[Visit] {
//		visit, _ := s.Get()
//		if s.TimingOut() {
//			return stream.Some(visit)
//		}
//		s.Update(visit.Add(click.Value))
//		return stream.Opt[Visit]{}
//	}, stream.Timeout(30*time.Minute))
//
// With [Timeout], a key that has had no data for longer than that gets one last
// call in the first batch after it, without a value, after those of the batch's
// pairs, and is forgotten. A state must not be changed in place where it is a
// map, a pointer or the like.
//
// The work in a batch is that of its pairs, one after the other.
//
// Options: [Timeout], [InitialState], [StateCodec].
func MapWithState[K comparable, V, S, U any](s Stream[Pair[K, V]], f func(key K, value Opt[V], state *State[S]) Opt[U], opts ...Option) (Stream[U], Stream[Pair[K, S]]) {
	if s.app == nil {
		return Stream[U]{}, Stream[Pair[K, S]]{}
	}
	if f == nil {
		s.app.reject("MapWithState: the function is nil")
	}
	var c nodeConfig
	var states *state.States[K, S]
	last := 0 // how many the last batch gave
	out := stateful(s, plan.Node{Op: "mapWithState"}, opts, &c, func() func(b *engine.Batch, env *batch.Env) batch.Batch[U] {
		states = state.NewStates[K, S](true, c.timeout > 0)
		begin := initial[K, S](s.app, "MapWithState", c)
		return func(b *engine.Batch, env *batch.Env) batch.Batch[U] {
			begin(b, states)
			mapped := make([]U, 0, last)
			call := func(k K, v Opt[V], st *State[S]) {
				if u, some := f(k, v, st).Get(); some {
					mapped = append(mapped, u)
				}
			}
			in := s.read(b).With(env)
			st := &State[S]{at: b.Time}
			block, olds := state.NewBlock[K, V](), make([]S, state.Together)
			block.Each(in.All(), func(keys []K, values []V) {
				states.Fetch(keys, block.Numbers[:], olds)
				for i, k := range keys {
					n, v, ok := uint32(0), *new(S), false
					if place := block.Numbers[i]; place > 0 && states.Live(place-1) {
						n, ok = place-1, true
						_, v = states.State(n)
					} else { // it was not there, and may be now, or it is there no longer
						n, v, ok = states.Get(k)
					}
					st.value, st.ok, st.updated, st.removed = v, ok, false, false
					call(k, Some(values[i]), st)
					switch {
					case ok && st.updated:
						states.Put(n, st.value, b.Time)
					case st.updated:
						states.Set(k, st.value, b.Time)
					case ok && st.removed:
						states.Remove(n)
					case ok:
						states.Touch(n, b.Time)
					}
				}
			})
			if c.timeout > 0 {
				for _, n := range states.Before(b.Time.Add(-c.timeout)) {
					k, v := states.State(n)
					call(k, Opt[V]{}, &State[S]{value: v, ok: true, at: b.Time, timingOut: true})
					states.Remove(n)
				}
			}
			states.Compact()
			last = len(mapped)
			return batch.Split(mapped, in.Partitions()).With(env)
		}
	})
	all := add(s.app, plan.Node{Op: "stateSnapshots", Side: true}, []Option{Name(out.Name() + "-states")}, func(nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[Pair[K, S]] {
		return func(b *engine.Batch, env *batch.Env) batch.Batch[Pair[K, S]] {
			parts := out.node.run(b).Partitions() // once in a batch
			return batch.OfSeq(states.Parts(parts)...).With(env)
		}
	}, out)
	keepStates(s.app, out.node.id, out.Name(), "mapWithState", c, states)
	return out, all
}

// stateful declares an operator that is computed exactly once in each batch of
// its period, whether an output reads it in that batch or not.
func stateful[T, U any](s Stream[T], n plan.Node, opts []Option, c *nodeConfig, compute func() func(b *engine.Batch, env *batch.Env) batch.Batch[U]) Stream[U] {
	var (
		seen int64 // number of the batch that was computed
		held batch.Batch[U]
	)
	out := add(s.app, n, opts, func(conf nodeConfig) func(*engine.Batch, *batch.Env) batch.Batch[U] {
		*c = conf
		f := compute()
		return func(b *engine.Batch, env *batch.Env) batch.Batch[U] {
			if seen != b.Seq {
				held, seen = f(b, env), b.Seq
			}
			return held
		}
	}, s)
	period := s.node.period
	needed := false
	a := s.app
	a.sealers = append(a.sealers, func(_ []int, all []bool) { needed = all[out.node.id] })
	a.observers = append(a.observers, func(b *engine.Batch) {
		if needed && a.present(period, b.Time) {
			out.node.run(b)
		}
	})
	a.forgetter = append(a.forgetter, func() { held = batch.Batch[U]{} })
	a.resetters = append(a.resetters, func() { seen = 0 })
	return out
}

// initial returns what puts the initial states in before the first batch.
func initial[K comparable, S any](a *App, op string, c nodeConfig) func(*engine.Batch, *state.States[K, S]) {
	pairs, ok := c.initial.([]Pair[K, S])
	if c.initial != nil && !ok {
		a.reject("%s: InitialState has %T, the operator keeps %T", op, c.initial, pairs)
	}
	return func(b *engine.Batch, states *state.States[K, S]) {
		if states.Begin() {
			for _, p := range pairs {
				states.Set(p.Key, p.Value, b.Time)
			}
		}
	}
}
