package kafka

import (
	"context"
	"errors"
	"sync"

	"github.com/godstream/godstream/source"
)

// Commits commits offsets by hand, for the Group of the source whose
// [Config.Commits] it is. The zero value is ready to use; it is for one source of
// one App at a time.
//
//	var commits kafka.Commits
//	messages := stream.From(app, kafka.Source(kafka.Config{Brokers: brokers, Group: "tweets", Commits: &commits}, "twitter"))
//	stream.ForEachBatch(messages, func(ctx context.Context, at stream.BatchInfo, b batch.Batch[kafka.Record]) error {
//		if err := store(ctx, b); err != nil {
//			return err
//		}
//		return commits.Commit(ctx, at.Ranges[0].Ranges)
//	})
type Commits struct {
	mu     sync.Mutex
	reader *reader // nil while the source is not open
}

var errNotOpen = errors.New("kafka: commit by hand: the source is not open; Config.Commits is to be used by outputs, while the App runs")

// CommitAsync begins to store that everything before the ends of these ranges has
// been dealt with, and returns at once. What can't be stored is tried again every
// second, newer offsets of a partition taking the place of older ones, until the
// source is closed. If then is not nil, it is called with nil when the offsets are
// stored, or with the reason why they will not be; it must return soon.
func (c *Commits) CommitAsync(ranges []source.Range, then func(error)) {
	if err := c.add(ranges, then); err != nil && then != nil {
		then(err)
	}
}

// Commit stores the same and waits until it is stored. When ctx ends before, the
// offsets may be stored all the same.
func (c *Commits) Commit(ctx context.Context, ranges []source.Range) error {
	done := make(chan error, 1)
	if err := c.add(ranges, func(err error) { done <- err }); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Commits) add(ranges []source.Range, then func(error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reader == nil {
		return errNotOpen
	}
	offsets, err := c.reader.offsets(ranges)
	if err == nil {
		c.reader.commits.add(offsets, then)
	}
	return err
}

func (c *Commits) bind(r *reader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reader = r
}

// unbind ends what bind has begun, unless another reader has been bound since.
func (c *Commits) unbind(r *reader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reader == r {
		c.reader = nil
	}
}
