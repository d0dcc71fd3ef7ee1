package source

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// lookEvery is how often a directory is looked through between batches.
const lookEvery = time.Second

// follow reads what comes until ctx ends.
func (r *filesReader[R]) follow(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		questions := r.feed.questions()
		found, missed, err := r.look()
		if err == nil {
			r.recognise(ctx, found, missed)
		} else {
			r.missed([]miss{{r.files.path, err}})
		}
		for _, e := range found {
			if f := r.known[e.path]; r.due(f) {
				if err := r.readOn(ctx, f); err != nil {
					return err
				}
			}
		}
		r.feed.answer(questions)
		select {
		case <-ctx.Done():
			return nil
		case <-r.asked:
		case <-tick.C:
		}
	}
}

// look lists the files. If there is something new, a second list must agree: while
// files are renamed, one may show a file twice or not at all. No list is better
// than a wrong one, which would make a file be read twice.
func (r *filesReader[R]) look() (found []entry, missed []miss, _ error) {
	found, missed = r.list()
	for range 10 {
		known := 0 // files that are where they were
		for _, e := range found {
			if f := r.known[e.path]; f != nil && os.SameFile(f.info, e.info) {
				known++
			}
		}
		if known == len(found) && known == len(r.known) {
			return found, missed, nil
		}
		later, missedLater := r.list()
		if contains(later, found) && (known == len(r.known) || len(later) == len(found)) {
			return found, append(missed, missedLater...), nil // a directory may have gone within the first look
		}
		found, missed = later, missedLater
	}
	return nil, nil, errors.New("files are renamed all the time")
}

// contains says whether all files of some are in all, under the same names.
func contains(all, some []entry) bool {
	infos := make(map[string]fs.FileInfo, len(all))
	for _, e := range all {
		infos[e.path] = e.info
	}
	for _, e := range some {
		if infos[e.path] == nil || !os.SameFile(infos[e.path], e.info) {
			return false
		}
	}
	return true
}

// settled says whether a file seems to be complete.
func (r *filesReader[R]) settled(f *file) bool {
	now := time.Now()
	return now.Sub(f.still) >= r.files.settle || now.Sub(f.info.ModTime()) >= r.files.settle
}

// due says whether there is something to read.
func (r *filesReader[R]) due(f *file) bool {
	changed := f.read == nil || !same(f.read, f.info)
	return changed && !r.files.whole || (changed || f.rest) && r.settled(f)
}

// readOn gives what is new in a file. Only the end of the reader is an error.
func (r *filesReader[R]) readOn(ctx context.Context, f *file) error {
	var err error
	if f.leftOut {
		err = r.pass(ctx, f)
	}
	var o *opened
	if err == nil {
		o, err = r.openFile(ctx, f, r.settled(f), blockSize)
	}
	if errors.Is(err, errReplaced) {
		r.anew(f)
		o, err = r.openFile(ctx, f, r.settled(f), blockSize)
	}
	if err != nil {
		return r.unreadable(f, err)
	}
	defer o.Close()
	for {
		record, size, err := r.files.next(o)
		o.save()
		switch {
		case err == nil:
			f.noted = true
			if err := r.feed.put(f.place, f.note(), record, o.done, size, f.info.ModTime()); err != nil {
				return err
			}
			continue
		case errors.Is(err, errReplaced):
			r.anew(f) // the next look sees how it is now
			return nil
		case errors.As(err, new(corrupt)) && o.final:
			r.reject(f, "the file can't be unpacked: "+err.Error(), o.done, 0)
		case errors.As(err, new(corrupt)):
			f.rest = true // it may be incomplete
		case err != io.EOF:
			return r.unreadable(f, err)
		}
		f.read, f.trouble = f.info, rarely{}
		r.note(f)
		return nil
	}
}

// unreadable notes that a file could not be read.
func (r *filesReader[R]) unreadable(f *file, err error) error {
	switch {
	case errors.Is(err, ErrClosed):
		return err
	case errors.Is(err, fs.ErrNotExist), err == errMoved: // the next look sees what has become of it
		return nil
	}
	r.Retried()
	if times, ok := f.trouble.now(); ok {
		r.log.Warn("source: can't read a file, trying again", "file", f.path, "byte", f.offset, "reason", err, "times", times)
	}
	return nil
}
