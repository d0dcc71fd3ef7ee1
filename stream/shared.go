package stream

import (
	"context"
	"errors"
	"slices"

	"github.com/godstream/godstream/internal/engine"
	"github.com/godstream/godstream/sink"
	"github.com/godstream/godstream/source"
)

// sharing is what an App has that shares a source with others.
type sharing struct {
	shared string // name of the source, "" if none is shared
}

// acrossCopies are the operations whose results would be wrong in a program that
// sees only some partitions: what they bring together may be in another copy.
var acrossCopies = []string{
	"countByValue", "countByKey", "reduceByKey", "combineByKey", "aggregateByKey", "groupByKey", "distinct",
	"cogroup", "join", "leftOuterJoin", "rightOuterJoin", "fullOuterJoin",
	"window", "countByWindow", "reduceByWindow", "countByValueAndWindow", "reduceByKeyAndWindow", "reduceByKeyAndWindowInverse", "groupByKeyAndWindow",
	"updateStateByKey", "mapWithState",
}

// share notes that a source of the program is shared.
func (a *App) share(name string) {
	a.shared = name
	if len(a.transactional) > 0 {
		a.reject("From: %s is shared; declare it before the transactional output, which depends on that", name)
	}
	if a.config.Ticks == Replay {
		a.reject("From: %s is shared, and a replay reads all partitions: leave Shared out, or use Ticks Live", name)
	}
}

// checkShared rejects an operation that is of no use on what is shared.
func (a *App) checkShared(op string, in input) {
	if in.App() == a && in.sharedBy() != "" && slices.Contains(acrossCopies, op) {
		a.reject("%s: %s is shared, so each copy of the program sees some partitions only, and what belongs together may be in several of them: read all partitions in one program (without Shared) to group by key, join, use windows or keep state", op, in.sharedBy())
	}
}

// holder returns what a sink asks for what to store with a batch.
func (a *App) holder(b *engine.Batch) func(context.Context) ([]sink.Claim, func(), error) {
	if a.shared == "" {
		return nil
	}
	return func(ctx context.Context) (claims []sink.Claim, release func(), err error) {
		var held []func()
		release = func() {
			for _, r := range held {
				r()
			}
		}
		for i, s := range a.sources {
			if _, shared := s.isShared(); !shared {
				continue
			}
			next := map[string]int64{}
			for _, r := range b.Slices[i].Ranges {
				if r.From != r.Until {
					next[r.Partition] = r.Until
				}
			}
			if len(next) == 0 {
				continue // to wait until partitions are distributed would be for nothing
			}
			c, r, err := s.hold(ctx)
			if err != nil {
				release()
				if errors.Is(err, source.ErrRevoked) {
					err = errors.Join(sink.ErrRevoked, err)
				}
				return nil, nil, err
			}
			held = append(held, r)
			claim := sink.Claim{System: c.System, Group: c.Group, Member: c.Member, Instance: c.Instance, Generation: c.Generation, Next: next}
			claims = append(claims, claim)
		}
		return claims, release, nil
	}
}

// member is the name of this copy among those of the program, "" if it has none.
func (a *App) member() string {
	for _, s := range a.sources {
		if member, shared := s.isShared(); shared && member != "" {
			return member
		}
	}
	return ""
}

// revoked says whether a batch was given up since other programs have its
// partitions, and notes that the program goes on with those that it gets.
func (a *App) revoked(ctx context.Context, err error) bool {
	if !errors.Is(err, source.ErrRevoked) || ctx.Err() != nil {
		return false
	}
	a.config.Logger.Warn("partitions went to another program while a batch of them was in hand; the batch was given up, and that program reads its records again",
		"app", a.Name(), "way out", "shorter batches, or a longer rebalance timeout")
	a.monitor.Reopen()
	return true
}
