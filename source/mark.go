package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

// state is what a mark says of a file: how it was when it was read up to a
// position. It is never changed.
type state struct {
	fileNumber
	past        // how it looked
	seen   seen // what was read of it, which may be more than what is before the position
	packed bool // it is to be unpacked
	read   bool // it was read to its end
	lineState
	rest, leftOut bool
}

// past is how a file looked.
type past struct {
	size    int64
	changed int64 // in nanoseconds
}

func (p past) Size() int64        { return p.size }
func (p past) ModTime() time.Time { return time.Unix(0, p.changed) }

// sized is how a file looks, but for its size.
type sized struct {
	fs.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }

// looks is what is used of a file's or a past's look.
type looks interface {
	Size() int64
	ModTime() time.Time
}

// lineState is what one must know to read on in the middle of a line.
type lineState struct {
	endless  bool  // the last record was a line without an end
	skipping bool  // in a line that is too long
	skipped  int64 // length of that line so far
}

// note is the state of a file where it has been read up to.
func (f *file) note() *state {
	now := lineState{f.endless, f.skipping, f.skipped}
	read := f.read != nil && f.begun != nil && same(f.read, f.begun)
	if m := f.mark; m == nil || m.lineState != now || now.endless || m.read != read || m.rest != f.rest {
		look := f.begun
		if look == nil {
			look = f.info
		}
		f.mark = &state{fileNumber: number(f.info), past: past{look.Size(), look.ModTime().UnixNano()}, seen: f.seen, packed: f.packed,
			read: read, lineState: now, rest: f.rest, leftOut: f.leftOut}
	}
	return f.mark
}

// mark is a Range's mark: the state where it ends, the time of the last record in a
// replay, the state where it begins, as far as lines are concerned, and after
// which lines without an end something was added.
func (p *place) mark() string {
	s, begun := p.state, lineState{}
	if p.begun != nil {
		begun = p.begun.lineState
	}
	b := []byte("1")
	add := func(values ...int64) {
		for _, v := range values {
			b = strconv.AppendInt(append(b, ' '), v, 10)
		}
	}
	hash := func(values ...uint64) {
		for _, v := range values {
			b = strconv.AppendUint(append(b, ' '), v, 16)
		}
	}
	hash(s.device, s.inode)
	add(s.size, s.changed, s.seen.n)
	hash(uint64(s.seen.all), s.seen.head, s.seen.tail)
	bits := uint64(0)
	for i, set := range []bool{s.seen.gap, s.packed, s.read, s.rest, s.leftOut, s.endless, s.skipping, begun.endless, begun.skipping, !p.time.IsZero()} {
		if set {
			bits |= 1 << i
		}
	}
	hash(bits)
	add(s.skipped, begun.skipped)
	if p.time.IsZero() {
		add(0, 0)
	} else {
		add(p.time.Unix(), int64(p.time.Nanosecond()))
	}
	add(p.breaks...)
	return string(b)
}

// marked is what a mark says.
type marked struct {
	state
	time   time.Time
	begun  lineState
	breaks []int64
}

var errMark = errors.New("it is not what this source writes")

// readMark reads a mark.
func readMark(mark string) (m marked, err error) {
	fields := strings.Split(mark, " ")
	if len(fields) < 14 || fields[0] != "1" {
		return m, errMark
	}
	fields = fields[1:]
	next := func(base, bits int) (v uint64) {
		if err == nil {
			v, err = strconv.ParseUint(fields[0], base, bits)
		}
		fields = fields[1:]
		return v
	}
	signed := func() (v int64) {
		if err == nil {
			v, err = strconv.ParseInt(fields[0], 10, 64)
		}
		fields = fields[1:]
		return v
	}
	size := func() int64 { return int64(next(10, 63)) }
	m.fileNumber = fileNumber{next(16, 64), next(16, 64)}
	m.size, m.changed, m.seen.n = size(), signed(), size()
	m.seen.all, m.seen.head, m.seen.tail = uint32(next(16, 32)), next(16, 64), next(16, 64)
	bits, timed := next(16, 10), false
	for i, set := range []*bool{&m.seen.gap, &m.packed, &m.read, &m.rest, &m.leftOut, &m.endless, &m.skipping, &m.begun.endless, &m.begun.skipping, &timed} {
		*set = bits&(1<<i) != 0
	}
	m.skipped, m.begun.skipped = size(), size()
	if seconds, nanos := signed(), signed(); timed {
		m.time = time.Unix(seconds, nanos).UTC()
	}
	for len(fields) > 0 {
		m.breaks = append(m.breaks, size())
	}
	if err != nil || !slices.IsSorted(m.breaks) {
		return marked{}, errMark
	}
	return m, nil
}

// known is a position of a checkpoint: a file that was read up to there.
type known struct {
	marked
	name   string
	offset int64
	taken  bool // it is known what has become of it
}

func newKnown(p Position) (*known, error) {
	k := &known{name: p.Partition, offset: p.Offset}
	if p.Mark == "" && p.Offset == 0 {
		return k, nil // nothing was read of it
	}
	var err error
	if k.marked, err = readMark(p.Mark); err == nil && p.Offset < 0 {
		err = errMark
	}
	if err != nil {
		return nil, fmt.Errorf("file %s, byte %d: the mark %q in the checkpoint can't be read: %w", quoted(p.Partition), p.Offset, p.Mark, err)
	}
	return k, nil
}

// file makes the file of it again, which is at e now.
func (k *known) file(e entry, whole bool) *file {
	f := newFile(e)
	f.packed, f.offset, f.begun, f.seen = k.packed, k.offset, k.past, k.seen
	if k.read || whole && k.offset > 0 {
		f.read = k.past
	}
	f.rest, f.leftOut, f.endless, f.skipping, f.skipped = k.rest, k.leftOut, k.endless, k.skipping, k.skipped
	f.place.pos, f.noted, f.time = k.offset, true, k.time
	f.place.state = &k.state
	return f
}

// unread is how many bytes were there that have not been read.
func (k *known) unread() int64 {
	return unread(k.packed, k.read, k.size, k.offset, k.seen)
}

// holds says whether a file has what was read. What can't be told now is told
// when it is read on.
func (k *known) holds(ctx context.Context, e entry, open func(string) (rawFile, error)) bool {
	if k.seen.n > e.info.Size() {
		return false
	}
	if k.fileNumber == number(e.info) && k.fileNumber != (fileNumber{}) && same(k.past, e.info) {
		return true
	}
	raw, err := open(e.path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer raw.Close()
	switch info, err := raw.Stat(); {
	case err != nil:
		return true
	case !info.Mode().IsRegular() || info.Size() < k.seen.n:
		return false
	case info.Size() <= k.size && !same(k.past, info), k.fileNumber != number(info), k.fileNumber == (fileNumber{}) && k.name != e.path:
		return k.seen.checkAll(ctx, raw) != errReplaced
	}
	return k.seen.check(raw) != errReplaced
}
