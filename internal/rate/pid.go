// Package rate estimates how many records a second a program can process, from
// how its last batches went.
package rate

import "time"

// PID is Spark's estimator of the same name, with its formula: the rate is
// lowered by how much the last batch was slower than it, and by what has piled up.
// The weights are those of the error, of what has piled up, and of the change of
// the error.
type PID struct {
	Proportional, Integral, Derivative float64
	Min                                float64       // records a second
	Interval                           time.Duration // of the batches

	at    time.Time // of the last batch that counted
	rate  float64
	error float64
}

// Next takes in a batch: when it was done, how many records it had, how long it
// took and how long it had waited before. It returns the new rate in records a
// second; ok is false if the batch tells nothing: the first one, and those that
// are empty.
func (p *PID) Next(done time.Time, records int64, processing, scheduling time.Duration) (rate float64, ok bool) {
	if !done.After(p.at) || records <= 0 || processing <= 0 {
		return 0, false
	}
	speed := float64(records) / processing.Seconds()
	if p.at.IsZero() {
		p.at, p.rate, p.error = done, speed, 0
		return 0, false
	}
	err := p.rate - speed
	piled := scheduling.Seconds() * speed / p.Interval.Seconds()
	change := (err - p.error) / done.Sub(p.at).Seconds()
	p.rate = max(p.rate-p.Proportional*err-p.Integral*piled-p.Derivative*change, p.Min)
	p.at, p.error = done, err
	return p.rate, true
}
