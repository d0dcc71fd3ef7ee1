package kafka

import (
	"context"
	"time"

	"github.com/IBM/sarama"
)

const (
	lagAge   = time.Second // of what is known of a partition's end while it is behind
	lagLooks = 8           // partitions at whose gaps is looked in that time
)

// behind tells the buffer where the partition ends.
func (p *partition) behind(end int64) {
	p.end.Store(end)
	p.heard.Store(time.Now().UnixNano())
	p.feed.Behind(min(end, p.until))
}

// fetched takes in where the partition ended at the client's last fetch, which may
// be long ago.
func (p *partition) fetched(end int64) {
	if end > p.end.Load() {
		p.behind(end)
	}
}

// watchLag asks where partitions end that are not read up to there. The client
// tells it with each fetch, but fetches nothing while the buffer is full, and does
// not know what of it is in open transactions.
func (r *reader) watchLag(life context.Context) error {
	tick := time.NewTicker(lagAge)
	defer tick.Stop()
	for {
		select {
		case <-life.Done():
			return nil
		case <-tick.C:
			r.askEnds(r.laggards())
		}
	}
}

// laggards are the partitions that are behind and of whose end nothing was told for
// a while, and when it was.
func (r *reader) laggards() map[*partition]int64 {
	found := map[*partition]int64{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts {
		heard := p.heard.Load()
		waiting, from, end := p.feed.Lag()
		if p.until == never && !p.over.Load() && (waiting > 0 || from < end) && time.Since(time.Unix(0, heard)) >= lagAge/2 {
			found[p] = heard
		}
	}
	return found
}

func (r *reader) askEnds(of map[*partition]int64) {
	var spots []spot
	for p := range of {
		spots = append(spots, p.spot)
	}
	if len(spots) == 0 {
		return
	}
	ends := map[spot]int64{}
	_ = r.session.askOffsets(sarama.OffsetNewest, r.session.config.Consumer.IsolationLevel, spots, ends, func(leader *sarama.Broker) *sarama.Broker {
		return r.session.side(leader.Addr())
	}) // those who read see it too
	looks := lagLooks
	for p, heard := range of {
		end, ok := ends[p.spot]
		if !ok {
			continue
		}
		waiting, from, _ := p.feed.Lag()
		if waiting == 0 && from < end && looks > 0 { // there may be only a gap
			looks--
			if to, seen, err := r.session.visible(p.spot, from, end); err == nil && !seen && to >= end {
				end = from
			}
		}
		if p.heard.Load() == heard {
			p.behind(end)
		}
	}
}
