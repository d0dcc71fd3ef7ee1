package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// kept is the positions of a checkpoint that have not been taken up yet.
type kept struct {
	order []string // names, in which some may be twice
	at    map[string]Position

	files  []*known // made of these when reading begins
	named  map[string]*known
	number map[fileNumber][]*known
}

func (k *kept) set(p Position) {
	k.order = append(k.order, p.Partition)
	k.at[p.Partition] = p
}

// goOn takes the positions of a checkpoint. Reading ahead begins when the slices
// have been given that are given again.
func (r *filesReader[R]) goOn(positions []Position) error {
	r.since = len(positions) > 0
	r.kept.at = map[string]Position{}
	for _, p := range positions {
		if p.Mark != "" {
			if _, err := newKnown(p); err != nil {
				return err
			}
		}
		r.kept.set(p)
	}
	return nil
}

// unpack makes files of the positions.
func (k *kept) unpack() error {
	k.named, k.number = map[string]*known{}, map[fileNumber][]*known{}
	for _, name := range k.order {
		p, ok := k.at[name]
		if !ok || name == "" { // that was only to say that there is a checkpoint
			continue
		}
		delete(k.at, name)
		f, err := newKnown(p)
		if err != nil {
			return err
		}
		k.files = append(k.files, f)
		k.named[name] = f
		if f.fileNumber != (fileNumber{}) {
			k.number[f.fileNumber] = append(k.number[f.fileNumber], f)
		}
	}
	k.order, k.at = nil, nil
	return nil
}

// again returns, for each entry, the file of the checkpoint that it is, or nil.
// The surest way comes first: by its number, by its name, and, where files have no
// numbers, by what is in it.
func (r *filesReader[R]) again(ctx context.Context, entries []entry) []*file {
	files := make([]*file, len(entries))
	ways := []func(e entry) []*known{
		func(e entry) []*known { return r.kept.number[number(e.info)] },
		func(e entry) []*known {
			// Devices may be numbered anew when the system starts; a copy is another
			// file, unless it has the same time.
			if k := r.kept.named[e.path]; k != nil && (k.inode == number(e.info).inode || same(k.past, e.info)) {
				return []*known{k}
			}
			return nil
		},
		func(e entry) (all []*known) {
			for _, k := range r.kept.files {
				if k.fileNumber == (fileNumber{}) && k.seen.n > 0 {
					all = append(all, k)
				}
			}
			return all
		},
	}
	for _, way := range ways {
		if len(r.kept.files) == 0 {
			break
		}
		for i, e := range entries {
			if files[i] != nil {
				continue
			}
			for _, k := range way(e) {
				if !k.taken && r.is(ctx, k, e) {
					k.taken, files[i] = true, k.file(e, r.files.whole)
					if k.name != e.path {
						files[i].path, files[i].place.name = k.name, k.name
						r.renamed(files[i], e.path)
					}
					break
				}
			}
		}
	}
	return files
}

// is says whether an entry can be a file of the checkpoint.
func (r *filesReader[R]) is(ctx context.Context, k *known, e entry) bool {
	switch {
	case hasPackedName(e.path) && !k.packed:
		return false
	case r.files.whole && k.offset > 0 && !same(k.past, e.info):
		return false // it is read again
	}
	return k.holds(ctx, e, r.files.open)
}

// missing notes what has become of the files of the checkpoint that are not there.
// Those are looked for later that may be where one could not look.
func (r *filesReader[R]) missing(missed []miss) error {
	var left []*known
	for _, k := range r.kept.files {
		lost, now := k.unread(), r.known[k.name]
		if !k.taken && within(missed, k.name) {
			left = append(left, k)
			continue
		}
		taken := k.taken
		k.taken = true // should the file come back, it is another one
		switch {
		case taken:
		case now != nil:
			if now.noted = true; k.offset > 0 || k.seen.n > 0 {
				r.replaced(&file{path: k.name, offset: k.offset}, lost)
			}
		case lost > 0 && r.once:
			return fmt.Errorf("%s is gone, of which %d bytes were not read", quoted(k.name), lost)
		default:
			if lost > 0 {
				r.deleted(k.name, k.offset, lost)
			}
			r.feed.note(&place{name: k.name, pos: k.offset}, &k.state, k.offset, true)
		}
	}
	r.kept.files = left
	return nil
}

// exact reads a slice again that was begun before a crash.
func (r *filesReader[R]) exact(ctx context.Context, q Request) (Slice[R], error) {
	if r.running {
		return Slice[R]{}, errors.New("source: an exact slice must come before all others")
	}
	if r.kept.at == nil {
		r.kept.at = map[string]Position{}
	}
	s := Slice[R]{Spread: r.spread}
	for _, want := range q.Ranges {
		part := Part[R]{Range: want}
		if want.From != want.Until {
			if err := r.reread(ctx, want, &part); ctx.Err() != nil {
				return s, context.Cause(ctx)
			} else if err != nil {
				return s, fmt.Errorf("source: %s: bytes %d to %d of %s, which belong to a batch that is run again: %w; put the file back as it was, or read everything anew with checkpoint.Drop(%q)",
					r.files, want.From, want.Until, quoted(want.Partition), err, r.opts.Name)
			}
		}
		s.Parts = append(s.Parts, part)
		if want.Over {
			delete(r.kept.at, want.Partition)
		} else {
			r.kept.set(Position{want.Partition, want.Until, want.Mark})
		}
	}
	return s, nil
}

// errChanged tells that what a batch had of a file is not there any more.
var errChanged = errors.New("the file is gone or was changed")

// reread adds the records of a range to its part.
func (r *filesReader[R]) reread(ctx context.Context, want Range, part *Part[R]) error {
	k, err := newKnown(Position{want.Partition, want.Until, want.Mark})
	if err != nil {
		return err
	}
	raw, err := r.find(ctx, k)
	if err != nil {
		return err
	}
	defer raw.Close()
	at, lines := want.From, k.begun
	for _, end := range append(k.breaks, want.Until) {
		if end == at {
			continue
		}
		if end < at || end > want.Until {
			return errMark
		}
		if err := r.rereadTo(ctx, raw, k, at, end, lines, part); err != nil {
			return err
		}
		at, lines = end, lineState{endless: true}
	}
	return nil
}

// rereadTo adds the records of a range in which only the last line may lack its end.
func (r *filesReader[R]) rereadTo(ctx context.Context, raw rawFile, k *known, from, until int64, lines lineState, part *Part[R]) error {
	info, err := raw.Stat()
	if err != nil {
		return err
	}
	f := &file{path: k.name, info: sized{info, k.size}, packed: k.packed, offset: from, skipping: lines.skipping, skipped: lines.skipped}
	var in io.Reader = stoppable{ctx, io.NewSectionReader(raw, from, until-from)}
	if k.packed {
		in = &unpacker{from: stoppable{ctx, io.NewSectionReader(raw, 0, k.seen.n)}}
		if _, err := io.CopyN(io.Discard, in, from); err != nil {
			return err
		}
		in = io.LimitReader(in, until-from)
	}
	o := &opened{file: f, raw: raw, reject: func(*file, string, int64, int64) {}, length: r.files.length, final: true, done: from, endless: lines.endless}
	o.in.in = bufio.NewReaderSize(in, blockSize)
	r.prepare(o, f)
	o.in.long = func(int64, int64, bool) {} // it was counted then
	for {
		record, size, err := r.files.next(o)
		switch {
		case err == nil:
			part.Records = append(part.Records, record)
			part.Bytes += int64(size)
			continue
		case errors.As(err, new(corrupt)) && o.done == until: // behind what was given then, too
			return nil
		case err != io.EOF:
			return err
		case o.done != until:
			return errChanged
		}
		return nil
	}
}

// find opens the file that has what was read.
func (r *filesReader[R]) find(ctx context.Context, k *known) (rawFile, error) {
	holds := func(e entry) rawFile {
		if !k.holds(ctx, e, r.files.open) {
			return nil
		}
		raw, err := r.files.open(e.path)
		if err != nil {
			return nil
		}
		if info, err := raw.Stat(); err == nil && info.Mode().IsRegular() && os.SameFile(info, e.info) {
			return raw
		}
		raw.Close()
		return nil
	}
	if info, err := os.Stat(k.name); err == nil {
		if raw := holds(entry{k.name, info}); raw != nil {
			return raw, nil
		}
	}
	found, missed := r.list()
	for _, e := range found { // it may have another name now
		if e.path != k.name && k.fileNumber == number(e.info) {
			if raw := holds(e); raw != nil {
				return raw, nil
			}
		}
	}
	if len(missed) > 0 && within(missed, k.name) {
		return nil, missed[0].err
	}
	return nil, errChanged
}
