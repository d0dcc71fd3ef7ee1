package source

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is what is known of a file.
type file struct {
	path   string
	info   fs.FileInfo // at the last look
	still  time.Time   // since when it has been like that
	place  *place
	packed bool  // it is to be unpacked, also when it gets another name
	offset int64 // all before it has been given; of the unpacked bytes

	begun    looks // as it was when it was opened last; nil if it never was
	seen     seen  // what was read of it
	read     looks // as it was when it was read to its end; nil if it never was
	rest     bool  // bytes were left then that are no record yet
	leftOut  bool  // what was there at the start is not to be read, and its end is not known yet
	endless  bool  // the last record was a line without an end
	skipping bool  // in a line that is too long
	skipped  int64 // length of that line so far
	trouble  rarely

	mark  *state    // where it was read up to last; nil if something has been read since
	noted bool      // a slice has a position of it, or will have
	time  time.Time // of the last record that was read of it before the program was started again, in a replay
}

// fileNumber is what files must have in common to be the same.
type fileNumber struct{ device, inode uint64 }

func newFile(e entry) *file {
	return &file{path: e.path, info: e.info, still: time.Now(), place: &place{name: e.path}, packed: hasPackedName(e.path)}
}

func hasPackedName(path string) bool { return strings.HasSuffix(path, ".gz") }

// unread is how many of size bytes have not been read.
func (f *file) unread(size int64) int64 {
	return unread(f.packed, f.read != nil, size, f.offset, f.seen)
}

// unread is how many bytes of a file have not been read. The offset in a packed
// one is of unpacked bytes; of those that are left it has at least one if its end
// has not been seen.
func unread(packed, read bool, size, offset int64, seen seen) int64 {
	switch {
	case !packed:
		return max(0, size-offset)
	case read || size == 0:
		return 0
	}
	return max(1, size-seen.n)
}

// recognise finds out what has become of the files that are known.
func (r *filesReader[R]) recognise(ctx context.Context, found []entry, missed []miss) {
	r.missed(missed)
	before := r.known
	r.known = make(map[string]*file, len(found))
	var fresh []entry
	for _, e := range found {
		if f := before[e.path]; f != nil && os.SameFile(f.info, e.info) {
			delete(before, e.path)
			f.see(e.info)
			r.known[e.path] = f
		} else {
			fresh = append(fresh, e)
		}
	}
	numbered := map[fileNumber][]*file{}
	if len(fresh) > 0 {
		for _, f := range before {
			n := number(f.info)
			numbered[n] = append(numbered[n], f)
		}
	}
	var others []entry
	for _, e := range fresh {
		var f *file // that is no longer where it was
		for _, gone := range numbered[number(e.info)] {
			if before[gone.path] == gone && os.SameFile(gone.info, e.info) {
				f = gone
				delete(before, f.path)
				break
			}
		}
		if f == nil || hasPackedName(e.path) && !f.packed { // bytes that were no lines
			if f != nil {
				r.over(f)
			}
			others = append(others, e)
			continue
		}
		f.see(e.info)
		r.renamed(f, e.path)
		r.known[e.path] = f
	}
	for i, f := range r.again(ctx, others) {
		if f == nil {
			f = newFile(others[i])
		}
		r.known[f.path] = f
	}
	_ = r.missing(missed) // fails only if files are read once
	for path, f := range before {
		switch lost := f.unread(f.info.Size()); {
		case within(missed, path):
			r.known[path] = f
		case r.known[path] != nil:
			r.replaced(f, lost)
			r.known[path].noted = r.known[path].noted || f.noted
		default:
			if lost > 0 {
				r.deleted(path, f.offset, lost)
			}
			r.over(f)
		}
	}
	r.tellMoved()
}

// tellMoved notes files that have other names, after all names have been told
// that are over: some may have changed places.
func (r *filesReader[R]) tellMoved() {
	for _, f := range r.moved {
		r.note(f)
	}
	r.moved = nil
}

// renamed notes that a file has another name.
func (r *filesReader[R]) renamed(f *file, path string) {
	r.log.Info("source: a file was renamed", "from", f.path, "to", path)
	r.over(f)
	f.path, f.place = path, &place{name: path, pos: f.offset, state: f.note()}
	r.moved = append(r.moved, f)
}

// deleted notes that a file is gone of which not all was read.
func (r *filesReader[R]) deleted(path string, at, lost int64) {
	r.Lost(lost)
	r.log.Warn("source: a file was deleted before it was read", "file", path, "byte", at, "lost", lost)
}

// note makes the next slices tell where a file is read up to.
func (r *filesReader[R]) note(f *file) {
	f.noted = true
	r.feed.note(f.place, f.note(), f.offset, false)
}

// over makes the next slices tell that the name of a file is not in use any more.
func (r *filesReader[R]) over(f *file) {
	if f.noted {
		r.feed.note(f.place, f.note(), f.offset, true)
	}
}

// missed notes what one could not look at.
func (r *filesReader[R]) missed(missed []miss) {
	if len(missed) == 0 {
		r.looks = rarely{}
		return
	}
	r.Retried()
	if times, ok := r.looks.now(); ok {
		r.log.Warn("source: can't look at files, trying again", "path", missed[0].path, "reason", missed[0].err, "paths", len(missed), "times", times)
	}
}

// within says whether one could not look at path.
func within(missed []miss, path string) bool {
	return slices.ContainsFunc(missed, func(m miss) bool {
		relative, err := filepath.Rel(m.path, path)
		return err == nil && filepath.IsLocal(relative)
	})
}

// is says whether an open file is this one, and not a pipe that has got its number.
func (f *file) is(info fs.FileInfo) bool { return info.Mode().IsRegular() && os.SameFile(f.info, info) }

// see notes how a file looks now.
func (f *file) see(info fs.FileInfo) {
	if !same(f.info, info) {
		f.still = time.Now()
	}
	f.info = info
}

func same(a, b looks) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// replaced notes that a file was written anew.
func (r *filesReader[R]) replaced(f *file, lost int64) {
	r.Replaced()
	r.Lost(lost)
	r.log.Warn("source: a file was replaced; what is there now is read from the start", "file", f.path, "byte", f.offset, "lost", lost)
}

// anew forgets what was read of a file that was replaced.
func (r *filesReader[R]) anew(f *file) {
	var lost int64
	if f.begun != nil {
		lost = f.unread(f.begun.Size())
	}
	r.replaced(f, lost)
	noted := f.noted
	*f = *newFile(entry{f.path, f.info})
	f.noted = noted // by its name
}

// leaveOut counts what is there as read.
func (r *filesReader[R]) leaveOut(ctx context.Context) error {
	r.feed.note(&place{}, nil, 0, false) // from now on, what comes is new, also after a restart
	found, missed := r.list()
	r.missed(missed)
	for _, e := range found {
		f := newFile(e)
		f.read, f.begun, f.offset, f.leftOut = e.info, e.info, e.info.Size(), true
		if err := r.pass(ctx, f); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			r.unreadable(f, err)
		}
		r.known[e.path] = f
		r.note(f)
	}
	return nil
}

// pass finds out what is at the end of a file that is left out.
func (r *filesReader[R]) pass(ctx context.Context, f *file) error {
	raw, err := r.files.open(f.path)
	if err != nil {
		return err
	}
	defer raw.Close()
	size := f.read.Size()
	switch info, err := raw.Stat(); {
	case err != nil:
		return err
	case !f.is(info):
		return errMoved
	}
	if err := f.seen.passOver(raw, size); err != nil {
		return err
	}
	last := lastByte('\n')
	if f.packed {
		f.offset, err = io.Copy(&last, &unpacker{from: io.LimitReader(stoppable{ctx, raw}, size)})
	} else if size > 0 {
		_, err = io.Copy(&last, io.NewSectionReader(raw, size-1, 1))
	}
	if err != nil && !errors.As(err, new(corrupt)) { // which may be incomplete
		return err
	}
	f.skipping = last != '\n' // the rest of a line that is there
	if n := int64(r.files.length); n > 0 {
		f.offset -= f.offset % n
	}
	f.place, f.leftOut, f.mark = &place{name: f.path, pos: f.offset}, false, nil
	return nil
}

// lastByte keeps the last byte that is written to it.
type lastByte byte

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		*l = lastByte(p[len(p)-1])
	}
	return len(p), nil
}
