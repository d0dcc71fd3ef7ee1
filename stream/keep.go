package stream

import (
	"fmt"
	"slices"
	"time"

	"github.com/godstream/godstream/codec"
	"github.com/godstream/godstream/internal/plan"
	"github.com/godstream/godstream/internal/recovery"
	"github.com/godstream/godstream/internal/shape"
	"github.com/godstream/godstream/internal/state"
)

// keeper is an operator that keeps data from batch to batch.
type keeper struct {
	recovery.Keeper
	node   plan.ID
	place  *Fault             // where it was declared
	named  bool               // by the user
	fault  error              // why its types can't be saved
	track  func()             // before the first batch, if it will be saved
	filled func() []time.Time // batches that a window shows
}

// keep registers an operator that keeps data. The faults of formats only count if
// there is a store.
func (a *App) keep(k keeper) {
	k.place = a.fault("")
	a.keepers = append(a.keepers, k)
}

// formatOf is the format of elements: that of a codec, if there is one.
func formatOf[T any](c any) (shape.Format[T], error) {
	if c == nil {
		return shape.Of[T]()
	}
	of, ok := c.(codec.Codec[T])
	if !ok {
		return shape.Format[T]{}, fmt.Errorf("StateCodec has %T, what is kept is %T", c, *new(T))
	}
	return shape.ByCodec(of), of.Err()
}

// keepStates makes the states of an operator be saved.
func keepStates[K comparable, S any](a *App, id plan.ID, name, kind string, c nodeConfig, states *state.States[K, S]) {
	keys, err := shape.KeyOf[K]()
	values, err2 := formatOf[S](c.codec)
	if err == nil {
		err = err2
	}
	reading := func(shapes []string, accept bool) (format state.Format[K, S], err error) {
		if len(shapes) != 2 {
			return format, fmt.Errorf("it has %d shapes, not 2", len(shapes))
		}
		if format.ReadKey, err = keys.Reading(shapes[0], accept); err != nil {
			return format, err
		}
		format.ReadState, err = values.Reading(shapes[1], accept)
		format.AppendKey, format.AppendState, format.Equal = keys.Append, values.Append, values.Equal
		return format, err
	}
	a.resetters = append(a.resetters, states.Reset)
	a.keep(keeper{node: id, named: c.named, fault: err,
		track: func() {
			states.Track(state.Format[K, S]{AppendKey: keys.Append, ReadKey: keys.Decode, AppendState: values.Append, ReadState: values.Decode, Equal: values.Equal})
		},
		Keeper: recovery.Keeper{Name: name, Kind: kind, Shapes: []string{keys.Shape(), values.Shape()}, Keys: states.Len, Save: states.Save,
			Check: func(shapes []string, accept bool) error {
				_, err := reading(shapes, accept)
				return err
			},
			Load: func(shapes []string, accept bool, parts [][]byte) error {
				format, err := reading(shapes, accept)
				if err != nil {
					return err
				}
				states.Track(format)
				return states.Load(parts)
			},
		},
	})
}

// form is how the elements of a pane become bytes.
type form[T any] struct {
	shapes  []string
	err     error
	append  func(dst []byte, t T) ([]byte, error)
	reading func(shapes []string, accept bool) (func(data []byte) (T, []byte, error), error)
}

// formOf is the form of elements.
func formOf[T any](c nodeConfig) form[T] {
	f, err := formatOf[T](c.codec)
	return form[T]{[]string{f.Shape()}, err, f.Append, func(shapes []string, accept bool) (func([]byte) (T, []byte, error), error) {
		if len(shapes) != 1 {
			return nil, fmt.Errorf("it has %d shapes, not 1", len(shapes))
		}
		return f.Reading(shapes[0], accept)
	}}
}

// formOfPairs is the form of pairs, of which the values may have a codec.
func formOfPairs[K comparable, V any](c nodeConfig) form[Pair[K, V]] {
	keys, err := shape.KeyOf[K]()
	values, err2 := formatOf[V](c.codec)
	if err == nil {
		err = err2
	}
	return form[Pair[K, V]]{[]string{keys.Shape(), values.Shape()}, err, func(dst []byte, p Pair[K, V]) ([]byte, error) {
		dst, err := keys.Append(dst, p.Key)
		if err != nil {
			return nil, err
		}
		return values.Append(dst, p.Value)
	}, func(shapes []string, accept bool) (func([]byte) (Pair[K, V], []byte, error), error) {
		if len(shapes) != 2 {
			return nil, fmt.Errorf("it has %d shapes, not 2", len(shapes))
		}
		key, err := keys.Reading(shapes[0], accept)
		if err != nil {
			return nil, err
		}
		value, err := values.Reading(shapes[1], accept)
		if err != nil {
			return nil, err
		}
		return func(data []byte) (p Pair[K, V], rest []byte, err error) {
			if p.Key, data, err = key(data); err == nil {
				p.Value, data, err = value(data)
			}
			return p, data, err
		}, nil
	}}
}

// panesKeeper saves the panes of a window: of each its time and its elements.
type panesKeeper[T any] struct {
	panes state.Panes
	form  form[T]
	saves bool
}

// enter notes a pane; the elements may be changed after.
func (p *panesKeeper[T]) enter(at time.Time, parts [][]T) {
	empty := true
	for _, part := range parts {
		empty = empty && len(part) == 0
	}
	if !p.saves || empty {
		return
	}
	bytes, err := state.AppendAll(state.AppendTime(nil, at), parts, p.form.append)
	if err != nil {
		panic(fmt.Errorf("a pane can't be kept in the checkpoint: %w", err))
	}
	p.panes.Add(at, bytes)
}

// leave notes that the panes up to a time are no longer covered.
func (p *panesKeeper[T]) leave(until time.Time) {
	if p.saves {
		p.panes.Leave(until)
	}
}

// keepPanes makes the panes of a window be saved. load gets those that a
// checkpoint has, oldest first; reset forgets all.
func keepPanes[T any](a *App, id plan.ID, name, kind string, c nodeConfig, f form[T], keys func() int, load func(at time.Time, elements []T), reset func()) *panesKeeper[T] {
	p := &panesKeeper[T]{form: f}
	var restored []time.Time
	a.resetters = append(a.resetters, func() {
		p.panes, restored = state.Panes{}, nil
		reset()
	})
	a.keep(keeper{node: id, named: c.named, fault: f.err,
		track:  func() { p.saves = true },
		filled: func() []time.Time { return restored },
		Keeper: recovery.Keeper{Name: name, Kind: kind, Shapes: f.shapes, Keys: keys,
			Save: func(bool) (int, [][]byte, error) {
				drop, add := p.panes.Save()
				return drop, add, nil
			},
			Check: func(shapes []string, accept bool) error {
				_, err := f.reading(shapes, accept)
				return err
			},
			Load: func(shapes []string, accept bool, parts [][]byte) error {
				read, err := f.reading(shapes, accept)
				if err != nil {
					return err
				}
				for _, part := range parts {
					at, rest, err := state.ReadTime(part)
					if err != nil {
						return err
					}
					elements, rest, err := state.ReadAll(rest, read)
					if err != nil {
						return fmt.Errorf("pane of %v: %w", at, err)
					}
					if len(rest) > 0 {
						return fmt.Errorf("pane of %v: %d bytes are left over", at, len(rest))
					}
					if slices.Equal(shapes, f.shapes) {
						p.panes.Loaded(at)
					} else { // it is written anew
						p.panes.Replaced()
						p.saves = true
						p.enter(at, [][]T{elements})
					}
					restored = append(restored, at)
					load(at, elements)
				}
				return nil
			},
		},
	})
	return p
}
