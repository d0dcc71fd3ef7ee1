package source

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// readOnce gives all records of files up to the sizes they were seen to have:
// file after file or, in a replay with the option Time, merged by time.
func (r *filesReader[R]) readOnce(ctx context.Context, found []*file) error {
	files := make(lanes[R], 0, len(found))
	defer func() {
		for _, l := range files {
			l.Close()
		}
	}()
	buffer := blockSize
	if r.stamp != nil && len(found) > 0 {
		buffer = min(max(r.prefetch/len(found), 4<<10), blockSize) // many may be open
	}
	for _, f := range found {
		if f.read != nil && same(f.read, f.info) && !f.rest {
			continue // there is nothing more
		}
		l := &lane[R]{file: f, at: f.info.ModTime(), buffer: buffer}
		files = append(files, l)
		if r.stamp != nil && !f.time.IsZero() {
			l.at = f.time
		} else if r.stamp != nil {
			if err := r.firstTime(ctx, l); err != nil {
				return err
			}
		}
	}
	heap.Init(&files)
	for len(files) > 0 {
		first := files[0]
		if first.opened != nil {
			first.file.noted = true
			if err := r.feed.put(first.file.place, first.file.note(), first.record, first.opened.done, first.size, first.at); err != nil {
				return err
			}
		}
		switch err := r.advance(ctx, first); err {
		case nil:
			heap.Fix(&files, 0)
		case io.EOF:
			heap.Pop(&files).(*lane[R]).Close()
			first.file.read = first.file.info
			r.note(first.file)
		default:
			return err
		}
	}
	r.feed.End()
	return nil
}

// lane is a file that is read once, and the record that comes next in it.
type lane[R any] struct {
	file   *file
	buffer int
	opened *opened // nil until its turn comes
	record R
	size   int
	at     time.Time // of the record, or of the one before it if that is later
}

func (l *lane[R]) Close() {
	if l.opened != nil {
		l.opened.Close()
		l.opened = nil
	}
}

// firstTime makes the time of a lane that of the first record that has one. It
// stays that of the file if none has.
func (r *filesReader[R]) firstTime(ctx context.Context, f *lane[R]) (err error) {
	if f.opened, err = r.openFile(ctx, f.file, true, f.buffer); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	defer f.Close()
	f.opened.reject = func(*file, string, int64, int64) {} // that comes when it is read
	f.opened.in.long = func(int64, int64, bool) {}
	for {
		record, _, err := r.files.next(f.opened)
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("source: read %s at byte %d: %w", quoted(f.file.path), f.opened.done, err)
		}
		if at := r.stamp(record); !at.IsZero() {
			f.at = at
			return nil
		}
	}
}

// advance reads the next record of a lane.
func (r *filesReader[R]) advance(ctx context.Context, l *lane[R]) (err error) {
	if l.opened == nil {
		if l.opened, err = r.openFile(ctx, l.file, true, l.buffer); err != nil {
			return fmt.Errorf("source: %w", err)
		}
	}
	l.record, l.size, err = r.files.next(l.opened)
	l.opened.save()
	switch {
	case err == io.EOF:
		return io.EOF
	case err != nil:
		return fmt.Errorf("source: read %s at byte %d: %w", quoted(l.file.path), l.opened.done, err)
	case r.stamp != nil:
		if at := r.stamp(l.record); at.After(l.at) {
			l.at = at
		}
	}
	return nil
}

// lanes is a heap: the record that is to be given first comes first.
type lanes[R any] []*lane[R]

func (h lanes[R]) Len() int      { return len(h) }
func (h lanes[R]) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h lanes[R]) Less(i, j int) bool {
	return cmp.Or(h[i].at.Compare(h[j].at), strings.Compare(h[i].file.path, h[j].file.path)) < 0
}
func (h *lanes[R]) Push(l any) { *h = append(*h, l.(*lane[R])) }
func (h *lanes[R]) Pop() any {
	l := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return l
}
