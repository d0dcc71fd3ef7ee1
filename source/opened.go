package source

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
)

// opened is a file that is being read.
type opened struct {
	file   *file
	raw    rawFile
	in     lineReader
	reject func(f *file, what string, at, length int64)
	length int    // of a record, if that is fixed
	buf    []byte // of that length
	final  bool   // what follows the last record is to be one too

	done    int64 // position after the last record
	rest    bool  // bytes follow that are no record yet
	endless bool  // the last record was a line without an end
}

// errReplaced tells that a file no longer has what was read of it, errMoved that
// the file at a path is no longer the one that was seen there.
var (
	errReplaced = errors.New("the file has shrunk or was written anew since the start")
	errMoved    = errors.New("another file has taken its place")
)

// corrupt is an error in packed data, which trying again does not mend.
type corrupt struct{ error }

func (c corrupt) Unwrap() error { return c.error }

// openFile opens a file where it is to be read on, up to the size it was seen to
// have.
func (r *filesReader[R]) openFile(ctx context.Context, f *file, final bool, buffer int) (*opened, error) {
	raw, err := r.files.open(f.path)
	if err != nil {
		return nil, err
	}
	o := &opened{file: f, raw: raw, reject: r.reject, length: r.files.length, final: final, done: f.offset, endless: f.endless}
	if err = o.recognise(ctx); err == nil && f.read != nil && r.files.whole {
		err = errReplaced // it has changed
	}
	if err == nil {
		err = o.begin(ctx, buffer)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	f.begun, f.mark = f.info, nil
	r.prepare(o, f)
	return o, nil
}

// prepare makes records be read as the file says.
func (r *filesReader[R]) prepare(o *opened, f *file) {
	o.in.max, o.in.arena = r.files.maxRecord, &r.arena
	o.in.start, o.in.at, o.in.skipping, o.in.skipped = f.offset, f.offset, f.skipping, f.skipped
	o.in.long = func(at, length int64, ended bool) {
		if !ended {
			o.reject(f, "a line is longer than MaxRecord and is left out", at, length)
		} else if r.told {
			r.log.Info("source: the line that is left out has ended", "file", f.path, "byte", at, "length", length)
		}
	}
}

// recognise says whether it is the file that was seen, and has what was read.
func (o *opened) recognise(ctx context.Context) error {
	f := o.file
	switch info, err := o.raw.Stat(); {
	case err != nil:
		return err
	case !f.is(info):
		return errMoved
	case f.info.Size() < f.seen.n:
		return errReplaced
	case f.begun != nil && info.Size() <= f.begun.Size() && !info.ModTime().Equal(f.begun.ModTime()):
		return f.seen.checkAll(ctx, o.raw) // changed, but not grown
	}
	return f.seen.check(o.raw)
}

// begin makes ready to read where the file is to be read on.
func (o *opened) begin(ctx context.Context, buffer int) error {
	f, size := o.file, o.file.info.Size()
	all := &pieces{ctx: ctx, file: f, raw: o.raw, final: o.final}
	limited := &io.LimitedReader{R: stoppable{ctx, all}, N: size}
	var in io.Reader = limited
	if f.packed {
		in = &unpacker{from: limited}
		if _, err := io.CopyN(io.Discard, in, f.offset); err != nil && err != io.EOF && !errors.As(err, new(corrupt)) {
			return err
		}
	} else {
		if _, err := o.raw.Seek(f.offset, io.SeekStart); err != nil {
			return err
		}
		all.at, limited.N = f.offset, max(0, size-f.offset)
	}
	o.in.in = bufio.NewReaderSize(in, buffer)
	return nil
}

// save notes in the file where it is to be read on.
func (o *opened) save() {
	f := o.file
	f.offset, f.rest, f.endless, f.skipping, f.skipped = o.done, o.rest, o.endless, o.in.skipping, o.in.skipped
}

func (o *opened) Close() error { return o.raw.Close() }

func nextLine(o *opened) (Line, int, error) {
	if o.endless { // what was missing may have come
		o.in.passEnd()
		o.done, o.endless = o.in.at, o.in.at == o.done
	}
	data, err := o.in.next()
	if partial := o.in.at > o.in.start; err == nil || err == io.EOF && partial && o.final {
		o.done, o.endless = o.in.at, err == io.EOF
		return Line{Data: data, Name: o.file.path, At: o.in.start}, len(data) + lineOverhead, nil
	} else {
		o.endless = o.endless && o.done == o.in.start
		o.done, o.rest = o.in.start, partial
	}
	return Line{}, 0, err
}

func nextFile(o *opened) (Blob, int, error) {
	if !o.final || o.done > 0 {
		o.rest = !o.final
		return Blob{}, 0, io.EOF
	}
	data, err := io.ReadAll(io.LimitReader(o.in.in, int64(o.in.max)+1))
	switch {
	case err != nil:
		return Blob{}, 0, err
	case len(data) > o.in.max:
		o.done = o.file.info.Size()
		o.reject(o.file, "a file is longer than MaxRecord and is left out", 0, o.done)
		return Blob{}, 0, io.EOF
	}
	o.done = max(1, int64(len(data))) // an empty file is a record too
	return Blob{Data: data, Name: o.file.path}, len(data) + lineOverhead, nil
}

func nextRecord(o *opened) (Blob, int, error) {
	if o.buf == nil {
		o.buf = make([]byte, o.length)
	}
	n, err := io.ReadFull(o.in.in, o.buf)
	switch {
	case err == nil:
		from := o.done
		o.done += int64(n)
		return Blob{Data: o.in.arena.keep(o.buf), Name: o.file.path, At: from}, n + lineOverhead, nil
	case err == io.ErrUnexpectedEOF && o.final:
		o.reject(o.file, fmt.Sprintf("bytes at the end are less than a record of %d and are left out", o.length), o.done, int64(n))
		return Blob{}, 0, io.EOF
	case err == io.ErrUnexpectedEOF:
		o.rest = true
		return Blob{}, 0, io.EOF
	}
	return Blob{}, 0, err
}

// stoppable is a reader that stops when ctx ends.
type stoppable struct {
	ctx context.Context
	io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, ErrClosed
	}
	return s.Reader.Read(p)
}

// unpacker unpacks gzip; its errors are [corrupt] unless they are of reading.
type unpacker struct {
	from io.Reader
	gzip *gzip.Reader
}

func (u *unpacker) Read(p []byte) (n int, err error) {
	if u.gzip == nil {
		if u.gzip, err = gzip.NewReader(u.from); err == nil {
			return u.Read(p)
		}
		u.gzip = nil
	} else {
		n, err = u.gzip.Read(p)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, new(flate.CorruptInputError)) {
		err = corrupt{err}
	}
	return n, err
}
