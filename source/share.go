package source

import (
	"math"
	"math/bits"
)

// shares says how many records each feed gives to a slice.
func (b *Buffer[R]) shares(r Request) []int {
	counts := b.fill(r.MaxBytes)
	if r.Mode != Arrived || r.MaxRecords <= 0 && r.MaxPerPartition <= 0 {
		return counts
	}
	all := make([]share, len(counts))
	for i, f := range b.feeds {
		most := int64(counts[i])
		if r.MaxPerPartition > 0 {
			most = min(most, max(r.MaxPerPartition, r.MinPerPartition))
		}
		all[i] = share{weight: f.lag(), least: min(most, max(r.MinPerPartition, 1)), most: most}
	}
	if r.MaxRecords > 0 {
		b.turn = divide(r.MaxRecords, all, b.turn, r.MinPerPartition <= 0)
		for i := range all {
			all[i].most = all[i].got
		}
	}
	for i := range counts {
		counts[i] = int(all[i].most)
	}
	return counts
}

// share is what one of several gets of a number of records.
type share struct {
	weight      int64
	least, most int64 // bounds
	got         int64
	bound       bool // got is a bound
}

// divide gives n records away, to each in proportion to its weight but within its
// bounds. What rounding leaves goes to each in turn, from turn on, and so does
// everything if n is too small for the least of each, unless those are to be kept.
// It returns whose turn is next.
func divide(n int64, all []share, turn int, turns bool) int {
	var least, most int64
	for _, s := range all {
		least, most = least+s.least, most+s.most
	}
	n = min(n, most)
	switch {
	case len(all) == 0 || n <= least && !turns:
		for i := range all {
			all[i].got = all[i].least
		}
		return turn
	case n < least:
		// nobody gets more than one
	default:
		proportion(n, all)
	}
	for i := range all {
		n -= all[i].got
	}
	for turn %= len(all); n > 0; turn = (turn + 1) % len(all) {
		if s := &all[turn]; s.got < s.most {
			s.got++
			n--
		}
	}
	return turn
}

// proportion is divide without what rounding leaves.
func proportion(n int64, all []share) {
	heaviest := math.MaxInt64 / int64(len(all)) // so that the sum is a number
	for {
		left, weights := n, int64(0)
		for _, s := range all {
			if s.bound {
				left -= s.got
			} else {
				weights += min(max(s.weight, 1), heaviest)
			}
		}
		// Those that get less than their least take from the others, and those that
		// get more than their most leave something: what weighs more is final.
		var lacks, spare int64
		for i := range all {
			if s := &all[i]; !s.bound {
				s.got = ratio(left, min(max(s.weight, 1), heaviest), weights)
				lacks += max(0, s.least-s.got)
				spare += max(0, s.got-s.most)
			}
		}
		if lacks == 0 && spare == 0 {
			return
		}
		for i := range all {
			switch s := &all[i]; {
			case s.bound:
			case s.got < s.least && lacks >= spare:
				s.got, s.bound = s.least, true
			case s.got > s.most && spare >= lacks:
				s.got, s.bound = s.most, true
			}
		}
	}
}

// ratio is n*weight/weights; weight is at most weights.
func ratio(n, weight, weights int64) int64 {
	high, low := bits.Mul64(uint64(n), uint64(weight))
	quotient, _ := bits.Div64(high, low, uint64(weights))
	return int64(quotient)
}

// fill says how many records each feed may give so that all together hold at
// most limit bytes. The feed whose turn it is gives one in any case, so that a
// large record blocks nothing and waits for no more cuts than there are feeds;
// then all give in proportion to what they hold or know to follow, and then what is
// left goes to whoever comes first, beginning with the feed whose turn it is.
func (b *Buffer[R]) fill(limit int64) []int {
	counts := make([]int, len(b.feeds))
	if b.bytes <= limit {
		for i, f := range b.feeds {
			counts[i] = len(f.marks)
		}
		return counts
	}
	for len(b.feeds[b.first].marks) == 0 {
		b.first = (b.first + 1) % len(b.feeds)
	}
	turn, left := b.first, limit
	b.first = (turn + 1) % len(b.feeds)
	counts[turn]++
	left -= b.feeds[turn].marks[0].size
	grow := func(i int, budget int64) {
		marks := b.feeds[i].marks
		for budget = min(budget, left); counts[i] < len(marks) && marks[counts[i]].size <= budget; counts[i]++ {
			budget -= marks[counts[i]].size
			left -= marks[counts[i]].size
		}
	}
	var all float64
	for _, f := range b.feeds {
		all += f.waits()
	}
	for i, f := range b.feeds {
		fair := int64(float64(limit) * (f.waits() / all))
		if i == turn {
			fair -= f.marks[0].size
		}
		grow(i, fair)
	}
	for k := range b.feeds {
		grow((turn+k)%len(b.feeds), left)
	}
	return counts
}

// lag is how many records are known to be there and not cut yet; more than there
// are if positions have gaps.
func (f *Feed[R]) lag() int64 { return int64(len(f.marks)) + max(0, f.end-f.until) }

// waits is about how many bytes lag is.
func (f *Feed[R]) waits() float64 {
	if len(f.marks) == 0 {
		return 0
	}
	return float64(f.bytes) * float64(f.lag()) / float64(len(f.marks))
}
