package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Panes knows which panes of a window a checkpoint has, and holds the bytes of
// those that it does not have yet. A pane is written once: a window is kept as
// the sequence of its panes, of which the oldest ones leave.
type Panes struct {
	saved []time.Time // oldest first
	left  int         // saved ones that have left since the last Save
	fresh []freshPane
}

type freshPane struct {
	time  time.Time
	bytes []byte
}

// Add adds the bytes of a pane.
func (p *Panes) Add(at time.Time, bytes []byte) { p.fresh = append(p.fresh, freshPane{at, bytes}) }

// Leave removes the panes up to a time, that included.
func (p *Panes) Leave(until time.Time) {
	for len(p.saved) > 0 && !p.saved[0].After(until) {
		p.saved = p.saved[1:]
		p.left++
	}
	for len(p.fresh) > 0 && !p.fresh[0].time.After(until) {
		p.fresh = p.fresh[1:]
	}
}

// Save returns how many of the oldest saved panes have left since it was last
// called, and the panes that have been added.
func (p *Panes) Save() (drop int, add [][]byte) {
	drop = p.left
	for _, f := range p.fresh {
		p.saved = append(p.saved, f.time)
		add = append(add, f.bytes)
	}
	p.left, p.fresh = 0, nil
	return drop, add
}

// Loaded notes that a pane was read from a checkpoint.
func (p *Panes) Loaded(at time.Time) { p.saved = append(p.saved, at) }

// Replaced notes that a pane was read from a checkpoint and is to be dropped
// there, since it will be added again in another form.
func (p *Panes) Replaced() { p.left++ }

// AppendTime appends a time: seconds since the epoch as a varint, nanoseconds as
// an unsigned one.
func AppendTime(dst []byte, t time.Time) []byte {
	dst = binary.AppendVarint(dst, t.Unix())
	return binary.AppendUvarint(dst, uint64(t.Nanosecond()))
}

// ReadTime reads what AppendTime has written and returns what follows.
func ReadTime(data []byte) (t time.Time, rest []byte, err error) {
	seconds, n := binary.Varint(data)
	if n <= 0 {
		return t, nil, errors.New("a time is cut off")
	}
	data = data[n:]
	nanos, n := binary.Uvarint(data)
	if n <= 0 || nanos >= uint64(time.Second) {
		return t, nil, errors.New("a time is damaged")
	}
	return time.Unix(seconds, int64(nanos)).UTC(), data[n:], nil
}

// maxElements is how many elements there may be that have no bytes.
const maxElements = 1 << 22

// AppendAll appends a number of elements and the elements, each as appendOne
// does.
func AppendAll[T any](dst []byte, parts [][]T, appendOne func([]byte, T) ([]byte, error)) ([]byte, error) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	begin := len(dst)
	for _, p := range parts {
		for _, t := range p {
			var err error
			if dst, err = appendOne(dst, t); err != nil {
				return nil, err
			}
		}
	}
	if n > len(dst)-begin+maxElements {
		return nil, fmt.Errorf("%d elements without bytes are more than can be read again", n)
	}
	return dst, nil
}

// ReadAll reads what AppendAll has written and returns what follows.
func ReadAll[T any](data []byte, readOne func([]byte) (T, []byte, error)) (all []T, rest []byte, err error) {
	n, used := binary.Uvarint(data)
	if used <= 0 {
		return nil, nil, errors.New("a number of elements is cut off")
	}
	data = data[used:]
	if n > uint64(len(data))+maxElements {
		return nil, nil, fmt.Errorf("%d elements are more than there can be in %d bytes", n, len(data))
	}
	all = make([]T, 0, min(n, uint64(len(data)), 1024)) // n may be nonsense
	for i := range n {
		var t T
		if t, data, err = readOne(data); err != nil {
			return nil, nil, fmt.Errorf("element %d of %d: %w", i, n, err)
		}
		all = append(all, t)
	}
	return all, data, nil
}
