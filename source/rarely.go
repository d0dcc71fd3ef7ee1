package source

import "time"

// reminder is how often something that keeps happening is logged.
const reminder = time.Minute

// rarely lets something be logged at once and then once a minute at most.
type rarely struct {
	last  time.Time
	times int
}

// now says whether to log it now, and how many times it has happened since it
// was logged last.
func (r *rarely) now() (times int, ok bool) {
	r.times++
	if now := time.Now(); now.Sub(r.last) >= reminder {
		times, r.times, r.last = r.times, 0, now
		return times, true
	}
	return 0, false
}
