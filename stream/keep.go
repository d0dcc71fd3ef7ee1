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

// pairFormats is the formats of keys and of what belongs to them, which may have a
// codec.
type pairFormats[K comparable, V any] struct {
	keys   shape.Format[K]
	values shape.Format[V]
	shapes []string
}

func pairFormatsOf[K comparable, V any](c nodeConfig) (f pairFormats[K, V], err error) {
	var wrong error
	f.keys, err = shape.KeyOf[K]()
	if f.values, wrong = formatOf[V](c.codec); err == nil {
		err = wrong
	}
	f.shapes = []string{f.keys.Shape(), f.values.Shape()}
	return f, err
}

// reading returns what reads keys and values that have the given shapes.
func (f pairFormats[K, V]) reading(shapes []string, accept bool) (key func([]byte) (K, []byte, error), value func([]byte) (V, []byte, error), err error) {
	if len(shapes) != 2 {
		return nil, nil, fmt.Errorf("it has %d shapes, not 2", len(shapes))
	}
	if key, err = f.keys.Reading(shapes[0], accept); err == nil {
		value, err = f.values.Reading(shapes[1], accept)
	}
	return key, value, err
}

// keepStates makes the states of an operator be saved.
func keepStates[K comparable, S any](a *App, id plan.ID, name, kind string, c nodeConfig, states *state.States[K, S]) {
	f, err := pairFormatsOf[K, S](c)
	format := state.Format[K, S]{AppendKey: f.keys.Append, ReadKey: f.keys.Decode, AppendState: f.values.Append, ReadState: f.values.Decode, Equal: f.values.Equal}
	a.resetters = append(a.resetters, states.Reset)
	a.keep(keeper{node: id, named: c.named, fault: err,
		track: func() { states.Track(format) },
		Keeper: recovery.Keeper{Name: name, Kind: kind, Shapes: f.shapes, Keys: states.Len,
			Save: func() (int, [][]byte, error) {
				part, err := states.Save()
				if part == nil {
					return 0, nil, err
				}
				return 0, [][]byte{part}, nil
			},
			Image: func(begin bool, room int) (i recovery.Imaged, err error) {
				i.Both, i.Rest, i.Image, i.Complete, err = states.Image(begin, room)
				return i, err
			},
			Check: func(shapes []string, accept bool) error {
				_, _, err := f.reading(shapes, accept)
				return err
			},
			Load: func(shapes []string, accept bool, parts [][]byte) (err error) {
				old := format
				if old.ReadKey, old.ReadState, err = f.reading(shapes, accept); err != nil {
					return err
				}
				states.Track(old)
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

// formOfPairs is the form of pairs.
func formOfPairs[K comparable, V any](c nodeConfig) form[Pair[K, V]] {
	f, err := pairFormatsOf[K, V](c)
	return form[Pair[K, V]]{f.shapes, err, func(dst []byte, p Pair[K, V]) ([]byte, error) {
		dst, err := f.keys.Append(dst, p.Key)
		if err != nil {
			return nil, err
		}
		return f.values.Append(dst, p.Value)
	}, func(shapes []string, accept bool) (func([]byte) (Pair[K, V], []byte, error), error) {
		key, value, err := f.reading(shapes, accept)
		return func(data []byte) (p Pair[K, V], rest []byte, err error) {
			if p.Key, data, err = key(data); err == nil {
				p.Value, data, err = value(data)
			}
			return p, data, err
		}, err
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
			Save: func() (int, [][]byte, error) {
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
